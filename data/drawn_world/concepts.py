"""Task drawing `concepts`: captioned scenes; a phrase such as "cat on chair" is true of half of them.

Paper, section 4.2 (concept localization): positives have the phrase in their caption, negatives are random pictures.
"""

import numpy as np
from PIL import Image

from .arrays import DrawnPicture
from .objects import read_camera
from .recipe_reader import RecipeReader
from .scene_recipe import read_scene, read_scenes
from .scenes import PaintedScene

NONE = "none"


def read(reader) -> dict:
    """The keys of a `concepts` recipe; see data/drawn_world/recipes/concepts.yaml."""
    parts = reader.take("parts")
    plain = {name: part for name, part in parts.items() if "phrase" not in part}
    found = {"p": reader.number("p"), "twins": reader.number("twins"), "camera": read_camera(reader)}
    found["scenes"] = read_scenes(reader, plain)
    found["phrases"] = {}
    for name, part in parts.items():
        if name not in plain:
            phrase = _read_phrase(RecipeReader(f"{name}.yaml", reader.sprites, dict(part)), plain)
            found["phrases"][phrase["phrase"]] = phrase
    if not found["phrases"] or not plain:
        reader.fail("parts", "found no scenes with a `phrase`, or none without; name folders that have both")
    every = [*found["scenes"].values(), *(v for p in found["phrases"].values() for v in (*p["true"], *p["twin"]))]
    found["kinds"] = list(dict.fromkeys(k for scene in every for k in scene["things"]))
    found["part_names"] = ["", *reader.sprites.parts(found["kinds"])]
    found["object_names"] = list(found["phrases"])
    found["classes"] = [*found["phrases"], NONE]
    return found


def _read_phrase(reader, plain) -> dict:
    """A phrase: the scenes in which it is `true`, their `twin`, in which it is not, and their names (`places`)."""
    words = reader.take("phrase", good=lambda v: isinstance(v, str) and v.strip(), wanted="write the phrase")
    found = {"phrase": words, "region": reader.words("region", []), "mirror": reader.take("mirror", None)}
    found["view"] = reader.words("view", [])
    twin = reader.take("twin", good=lambda v: isinstance(v, dict), wanted="write things")
    like = reader.words("like", [])
    for key, names in (("view", found["view"]), ("like", like)):
        for name in names:
            if name not in plain:
                reader.fail(key, f"there is no scene {name!r}; choose from: {', '.join(plain)}")
    found |= {"true": [], "twin": [], "places": like or [reader.take("place", "outdoors")]}
    things = reader.take("things", good=lambda v: isinstance(v, dict), wanted="write things below it")
    for base in [plain[name] for name in like] or [{"things": {}}]:
        for key, more in (("true", {}), ("twin", twin)):
            merged = {**base, **reader.values, "things": {**base["things"], **things, **more}}
            found[key].append(read_scene(RecipeReader(reader.file, reader.sprites, merged)))
    for scene in found["true"]:
        there = [k for part in (scene["things"], scene["regions"]) for k, spec in part.items() if spec["p"] == 1]
        for key in [*found["region"], *[found["mirror"]] * bool(found["mirror"]), *["window"] * bool(found["view"])]:
            if key not in there:
                reader.fail("region", f"{key!r} is not always there; give it `p: 1`, or correct the name")
    if not (found["region"] or found["mirror"] or found["view"]):
        reader.fail("region", "is missing; say which things and regions the phrase speaks of")
    return found


def draw(recipe, dice, size: int, difficulty: float, split: str) -> list[DrawnPicture]:
    """One picture with a caption. Its object, if the phrase is true, is the region of the phrase.

    Arguments as `objects.draw`.
    """
    true, twin = dice.chance(recipe["p"]), dice.chance(recipe["twins"])
    label, place = dice.integer(0, len(recipe["phrases"]) - 1), dice.pick(list(recipe["scenes"]))
    phrase = list(recipe["phrases"].values())[label]
    scene = recipe["scenes"][place]
    if true or twin:
        number = dice.integer(0, len(phrase["true"]) - 1)
        scene, place = phrase["true" if true else "twin"][number], phrase["places"][number]
    for _ in range(9):
        view = PaintedScene(recipe, scene, dice, size, difficulty)
        region = _region(view, phrase) if true else np.zeros((size, size), bool)
        if not true or region.sum() * 100 > size * size:  # the phrase can be seen
            break
    view.canvas.instances[:] = region
    view.canvas.parts[~region] = 0
    things = [k.replace("_", " ") for k in dict.fromkeys(view.kinds) if k in scene["things"]]
    caption = f"{place.replace('_', ' ')} with {', '.join(things)}" if things else place.replace("_", " ")
    caption = f"{phrase['phrase']}, {caption}" if true else caption
    extra = {"labels": np.int64(label if true else len(recipe["phrases"])), "captions": np.str_(caption)}
    return [view.picture([label] * true, extra)]


def _region(view: PaintedScene, phrase: dict) -> np.ndarray:
    """bool (size,size): what the phrase speaks of; mirror images, and views behind panes, are painted first."""
    canvas = view.canvas
    if phrase["mirror"]:
        return _mirror(view, phrase["mirror"])
    if not phrase["view"]:
        return np.isin(canvas.instances, [k + 1 for k, kind in enumerate(view.kinds) if kind in phrase["region"]])
    recipe, dice = view.recipe, view.dice
    scene = recipe["scenes"][dice.pick(phrase["view"])]
    outside = PaintedScene(recipe, scene, dice, canvas.size, view.difficulty).canvas.rgb
    panes = recipe["part_names"].index("panes")
    windows = [k + 1 for k, kind in enumerate(view.kinds) if kind == "window"]
    glass = np.isin(canvas.instances, windows) & (canvas.parts == panes)
    x0, y0, x1, y1 = Image.fromarray(glass).getbbox() or (0, 0, 1, 1)
    seen = Image.fromarray(np.clip(outside, 0, 255).astype(np.uint8)).resize((x1 - x0, y1 - y0), Image.BOX)
    inside = glass[y0:y1, x0:x1]
    canvas.rgb[y0:y1, x0:x1][inside] = np.asarray(seen)[inside]
    return glass


def _mirror(view: PaintedScene, kind: str) -> np.ndarray:
    """Mirror what is above the water in it, a little darker, and shifted here and there by ripples."""
    canvas = view.canvas
    lake = canvas.instances == view.kinds.index(kind) + 1
    edge = round(view.edges[kind][0] * canvas.size)
    down = np.arange(edge, canvas.size)
    up = np.maximum(0, 2 * edge - 1 - down)
    shift = [round(view.dice.between(-1.2, 1.2) * canvas.size / 64 * (k - edge) / canvas.size * 2) for k in down]
    image = np.stack([np.roll(canvas.rgb[u], s, axis=0) for u, s in zip(up, shift, strict=True)])
    water, own = canvas.rgb[edge:], lake[edge:]
    water[own] = (image[own] * 200 + water[own] * 56) >> 8
    return lake
