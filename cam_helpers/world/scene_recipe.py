"""Reading and checking a `scenes` recipe and its scene files."""

from .objects import read_camera

MARK = "watermark"


def read(values: dict, check) -> dict:
    """The keys of a `scenes` recipe; see data/world/scenes.yaml."""
    parts = check.take(values, "parts")
    scenes = {name: _read_scene(dict(part), check, name) for name, part in parts.items()}
    kinds = {k: None for s in scenes.values() for k in s["things"]}
    regions = {k: None for s in scenes.values() for k in s["regions"]}
    rules, inner = check.section(values, "attributes")
    found = {"classes": list(scenes), "scenes": scenes, "attributes": {}, "attribute_names": list(rules)}
    for name in list(rules):
        rule, here = inner.section(rules, name)
        found["attributes"][name] = {
            "objects": here.words(rule, "objects", []),
            "light": here.one_of(rule, "light", ("", "warm", "dim"), ""),
        }
        here.done(rule)
        for kind in found["attributes"][name]["objects"]:
            if kind not in kinds and kind not in regions:
                here.fail("objects", f"{kind!r} is in no scene; correct the name or add it to a scene")
    for name, scene in scenes.items():
        for word in scene["attributes"]:
            if word not in found["attributes"]:
                check.fail(f"{name}.yaml: attributes", f"{word!r} is not declared; add it to those of {check.file}")
    found["camera"] = read_camera(values, check)
    found["mark"] = _read_mark(values, check, list(scenes)) if "mark" in values else None
    found["kinds"] = list(kinds) + ([found["mark"]["sprite"]] if found["mark"] else [])
    found["object_names"] = [*regions, *kinds] + ([MARK] if found["mark"] else [])
    found["part_names"] = ["", *check.sprites.parts(found["kinds"])]
    return found


def _read_scene(values: dict, check, name: str) -> dict:
    check = type(check)(f"{name}.yaml", check.sprites)
    scene = {
        "indoor": check.one_of(values, "indoor", (True, False)),
        "attributes": check.words(values, "attributes", []),
        "warmth": check.span(values, "warmth", (-0.3, 0.3), low=-1),
        "dim": check.number(values, "dim", 0.0),
        "person": check.span(values, "person", low=0.05, high=1.5),
        "regions": {},
        "things": {},
    }
    regions, inner = check.section(values, "regions")
    for kind in list(regions):
        region, here = inner.section(regions, kind)
        scene["regions"][kind] = {
            "p": here.number(region, "p", 1.0),
            "to": here.span(region, "to", (1.0, 1.0)),
            "textures": here.textures(region, "textures"),
            "lean": here.one_of(region, "lean", (True, False), False),
            "ramps": here.words(region, "ramps", []),
        }
        here.done(region)
    things, inner = check.section(values, "things")
    for kind in list(things):
        thing, here = inner.section(things, kind)
        here.kinds({"name": [kind]}, "name")
        upon = here.take(thing, "upon", None)
        if upon is not None and upon not in scene["regions"] and upon not in scene["things"]:
            here.fail("upon", f"{upon!r} is no region here and no thing above this one; move it up or correct it")
        scene["things"][kind] = {
            "p": here.number(thing, "p"),
            "upon": upon,
            "count": here.span(thing, "count", (1, 1), low=1, high=8, whole=True),
            "depth": here.span(thing, "depth", (0.0, 0.8)),
            "height": here.span(thing, "height", (0.15, 0.6), low=-1),
            "drawing": here.whole(thing, "drawing", 0, high=99),
            "scale": here.number(thing, "scale", 1.0, low=0.1, high=5),
        }
        here.done(thing)
    check.done(values)
    return scene


def _read_mark(values, check, scenes) -> dict:
    mark, inner = check.section(values, "mark")
    found = {
        "scene": inner.one_of(mark, "scene", scenes),
        "sprite": inner.kinds({"sprite": [inner.take(mark, "sprite")]}, "sprite")[0],
        "length": inner.number(mark, "length", low=0.03, high=0.5),
        "p": inner.mapping(mark, "p", dict.fromkeys(("train", "val", "test"), check.number)),
    }
    inner.done(mark)
    return found
