"""Reading and checking a `scenes` recipe and its scene files."""

from .objects import read_camera
from .recipe_reader import SPLITS, RecipeReader

MARK = "watermark"


def read(reader) -> dict:
    """The keys of a `scenes` recipe; see data/drawn_world/recipes/scenes.yaml."""
    scenes = read_scenes(reader, reader.take("parts"))
    kinds = list(dict.fromkeys(k for s in scenes.values() for k in s["things"]))
    regions = list(dict.fromkeys(k for s in scenes.values() for k in s["regions"]))
    attributes = {}
    for name, here in reader.each("attributes"):
        rule = {"objects": here.words("objects", []), "light": here.one_of("light", ("", "warm", "dim"), "")}
        attributes[name] = rule
        for kind in rule["objects"]:
            if kind not in kinds and kind not in regions:
                here.fail("objects", f"{kind!r} is in no scene; correct the name or add it to a scene")
    for name, scene in scenes.items():
        for word in scene["attributes"]:
            if word not in attributes:
                reader.fail(f"{name}.yaml: attributes", f"{word!r} is not declared; add it to those of {reader.file}")
    camera = read_camera(reader)
    mark = _read_mark(reader, list(scenes)) if "mark" in reader.values else None
    sprites = kinds + ([mark["sprite"]] if mark else [])
    return {
        "classes": list(scenes),
        "scenes": scenes,
        "attributes": attributes,
        "attribute_names": list(attributes),
        "camera": camera,
        "mark": mark,
        "kinds": sprites,
        "object_names": [*regions, *kinds] + ([MARK] if mark else []),
        "part_names": ["", *reader.sprites.parts(sprites)],
    }


def read_scenes(reader, parts: dict) -> dict:
    """Scene name -> what its file says, checked; parts: file name without ending -> its keys and values."""
    return {name: read_scene(RecipeReader(f"{name}.yaml", reader.sprites, dict(p))) for name, p in parts.items()}


def read_scene(reader) -> dict:
    scene = {
        "indoor": reader.one_of("indoor", (True, False)),
        "attributes": reader.words("attributes", []),
        "warmth": reader.span("warmth", (-0.3, 0.3), low=-1),
        "dim": reader.number("dim", 0.0),
        "person": reader.span("person", low=0.05, high=1.5),
        "regions": {},
        "things": {},
    }
    for kind, here in reader.each("regions"):
        scene["regions"][kind] = {
            "p": here.number("p", 1.0),
            "to": here.span("to", (1.0, 1.0)),
            "textures": here.textures("textures"),
            "lean": here.one_of("lean", (True, False), False),
            "ramps": here.words("ramps", []),
        }
    for kind, here in reader.each("things"):
        here.select([kind], "name")
        upon = here.take("upon", None)
        if upon is not None and upon not in scene["regions"] and upon not in scene["things"]:
            here.fail("upon", f"{upon!r} is no region here and no thing above this one; move it up or correct it")
        scene["things"][kind] = {
            "p": here.number("p"),
            "upon": upon,
            "count": here.span("count", (1, 1), low=1, high=8, kind=int),
            "depth": here.span("depth", (0.0, 0.8)),
            "height": here.span("height", (0.15, 0.6), low=-1),
            "down": here.number("down", 0.0),
            "drawing": here.integer("drawing", 0, high=99),
            "scale": here.number("scale", 1.0, low=0.1, high=5),
        }
    reader.done()
    return scene


def _read_mark(reader, scenes) -> dict:
    with reader.section("mark") as mark:
        found = {
            "scene": mark.one_of("scene", scenes),
            "sprite": mark.select([mark.take("sprite")], "sprite")[0],
            "length": mark.number("length", low=0.03, high=0.5),
        }
        with mark.section("p") as inner:
            found["p"] = {split: inner.number(split) for split in SPLITS}
    return found
