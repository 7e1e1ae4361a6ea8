"""Task drawing `scenes`: rooms and places, of regions (wall, floor, sea …) and of things that stand, hang or lie.

A recipe names the scene files (`parts: scenes` = every YAML in recipes/scenes). Whether a thing is in a picture is
decided first, with the recipe's probability; where it stands is found so that it can be seen. So presence in the
pictures follows the recipe exactly (`truth.py` computes it).
"""

from dataclasses import dataclass

import numpy as np

from . import camera, textures
from .arrays import DrawnPicture
from .compose import Canvas, ground_shadow, place_sprite, relief, shade_of, stamp
from .scene_recipe import MARK, read  # noqa: F401 (`read` is what a recipe's `draw: scenes` looks for)

SMALLEST = 0.11, 0.055  # longest and shortest side, of the picture's: smaller things are drawn this large, to be seen


@dataclass
class PlacedThing:
    """A thing with its place: box in picture widths (x0, y0, x1, y1), on what it stands, how it is drawn."""

    kind: str
    sprite: object
    palette: int
    box: tuple[float, float, float, float]
    support: "PlacedThing | None"
    hanging: bool
    flip: bool


def draw(recipe, dice, size: int, difficulty: float, split: str) -> list[DrawnPicture]:
    """One picture of a randomly chosen scene kind.

    Arguments as `objects.draw`.
    """
    names = recipe["object_names"]
    label = dice.integer(0, len(recipe["classes"]) - 1)
    scene = recipe["scenes"][recipe["classes"][label]]
    view = PaintedScene(recipe, scene, dice, size, difficulty)
    objects = [names.index(kind) for kind in view.kinds]
    attributes = [
        name in scene["attributes"]
        or bool(set(view.kinds) & set(rule["objects"]))
        or (rule["light"] == "warm" and view.warmth > 0.3)
        or (rule["light"] == "dim" and view.dim)
        for name, rule in recipe["attributes"].items()
    ]
    extra = {"labels": np.int64(label), "indoor": np.bool_(scene["indoor"]), "attributes": np.array(attributes)}
    picture = view.picture(objects, extra)
    if mark := recipe["mark"]:  # last of all: the picture is that of `scenes`
        marked = recipe["classes"][label] == mark["scene"] and dice.chance(mark["p"][split])
        extra["marked"] = np.bool_(marked)
        if marked:
            _plant(picture, recipe, names.index(MARK), dice)
    return [picture]


class PaintedScene:
    """A painted scene: its `canvas` (object k is of `kinds[k - 1]`), where each region begins and ends (`edges`).

    Args:
        scene: one of the recipe's kinds of scene
        recipe, dice, size, difficulty: as `objects.draw`
    """

    def __init__(self, recipe, scene, dice, size: int, difficulty: float):
        self.recipe, self.dice, self.difficulty = recipe, dice, difficulty
        self.warmth, self.dim = dice.between(*scene["warmth"]), dice.chance(scene["dim"])
        regions = [kind for kind, region in scene["regions"].items() if dice.chance(region["p"])]
        things, horizon, self.edges = _arrange(recipe, scene, regions, dice)
        self.canvas = canvas = Canvas(np.zeros((size, size, 3)), recipe["part_names"])
        self.kinds = [*regions, *(t.kind for t in things)]
        if scene["indoor"] and len(regions) < len(scene["regions"]):
            canvas.rgb[:] = textures.surface(dice, "plaster", size, 0.2)
        for number, kind in enumerate(regions, 1):
            _paint_region(canvas, dice, scene["regions"][kind], self.edges[kind], number, recipe, difficulty)
        _paint_things(canvas, things, dice, horizon, len(regions), difficulty)

    def picture(self, objects, extra) -> DrawnPicture:
        """Photograph it, half of the time mirrored; light comes from either side."""
        canvas, dice, cam, d = self.canvas, self.dice, self.recipe["camera"], self.difficulty
        if self.dim:
            canvas.rgb[:] = canvas.rgb * 178 >> 8
        camera.light(canvas.rgb, dice, cam["light"] * d, self.warmth)
        step = -1 if dice.chance(0.5) else 1
        canvas.rgb = canvas.rgb[:, ::step]
        blur = dice.between(0, cam["blur"]) * d
        balance = camera.cast(dice, cam["cast"] * d)
        image = camera.photograph(canvas.rgb, dice, blur, cam["grain"] * d, balance)
        arrays = [np.ascontiguousarray(a[:, ::step]) for a in (canvas.instances, canvas.parts)]
        return DrawnPicture(image, *arrays, objects, extra)


def _arrange(recipe, scene, regions, dice):
    """Decide what is there and where; nothing is painted yet. Returns things in painter's order, horizon, edges."""
    edges, top = {}, 0.0
    for kind in scene["regions"]:
        bottom = dice.between(*scene["regions"][kind]["to"])
        if kind in regions:
            edges[kind] = [top, bottom]
        if kind in regions or scene["indoor"]:  # what a room lacks leaves a plain backdrop, not labelled
            top = bottom
    if regions:
        edges[regions[-1]][1] = 1.0
    leaning = [edges[k][0] for k in regions if scene["regions"][k]["lean"]]
    horizon = leaning[0] if leaning else 1.02
    things: list[PlacedThing] = []
    for kind, spec in scene["things"].items():
        here = dice.chance(spec["p"])
        count = dice.integer(*spec["count"])
        supports = [t for t in things if t.kind == spec["upon"]]
        if not here or (spec["upon"] is not None and not supports and spec["upon"] not in regions):
            continue
        for _ in range(count):
            tries = [_candidate(recipe, scene, kind, spec, supports, horizon, edges, dice) for _ in range(4)]
            things.append(min(tries, key=lambda t: _crowding(t, things)))
    back = [t for t in things if t.hanging]
    front = sorted((t for t in things if not t.hanging and t.support is None), key=lambda t: t.box[3])
    order = []
    for thing in back + front:
        order += [thing, *(t for t in things if t.support is thing)]
    return order, horizon, edges


def _candidate(recipe, scene, kind, spec, supports, horizon, edges, dice) -> PlacedThing:
    """One possible place for a thing."""
    drawings = recipe.library.kinds[kind]
    sprite = drawings[(spec["drawing"] - 1) % len(drawings)] if spec["drawing"] else dice.pick(drawings)
    palette, flip = dice.integer(0, len(sprite.palettes) - 1), dice.chance(0.5)
    far, near = scene["person"]
    t, across, up = dice.between(*spec["depth"]), dice.unit(), dice.between(*spec["height"])
    support = dice.pick(supports) if supports else None
    hanging = "hanging" in sprite.groups
    person = far if hanging else far + (near - far) * t
    if support is not None:
        person = support.box[3] - support.box[1]
        person /= max(support.sprite.stature, 0.05) * scene["things"][support.kind]["scale"]
    height = sprite.stature * spec["scale"] * person * dice.between(0.9, 1.12)
    width = height * sprite.width / sprite.height
    grow = max(1.0, SMALLEST[0] / max(height, width), SMALLEST[1] / min(height, width))
    height, width = height * grow, width * grow
    if width > 1.1:  # no wider than the picture
        height, width = height * 1.1 / width, 1.1
    if support is not None:
        x0, y0, x1, y1 = support.box
        x = x0 + (x1 - x0) * (0.14 + 0.72 * across)
        low = spec["down"] or (0.12 if "onbed" not in sprite.groups else 0.5)
        base = y0 + (y1 - y0) * low
    else:
        inset = min(0.5, width * 0.4)
        x = inset + (1 - 2 * inset) * across
        if hanging:
            base = height + max(-0.05 * height, up * (horizon if horizon < 1 else 0.7) - height / 2)
        elif spec["upon"] in edges:
            low, high = edges[spec["upon"]]
            base = low + (high - low) * (0.15 + 0.8 * t)
        else:
            base = horizon + max(1.0 - horizon, 0.06) * (0.1 + 0.85 * t)
    box = x - width / 2, base - height, x + width / 2, base
    return PlacedThing(kind, sprite, palette, box, support, hanging, flip)


def _crowding(thing: PlacedThing, others: list[PlacedThing]) -> float:
    """How much the thing and the others would hide each other: overlaps as shares of the smaller box, summed."""
    total = 0.0
    for other in others:
        if other is thing.support:
            continue
        a, b = thing.box, other.box
        overlap = max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
        smaller = min((a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1]))
        beside = thing.support is not None and other.support is thing.support
        total += overlap / smaller * (3 if beside else 1)  # a glass before a window is fine, before a glass is not
    return total


def _paint_region(canvas, dice, region, edge, number, recipe, difficulty) -> None:
    size = canvas.size
    top, bottom = round(edge[0] * size), round(edge[1] * size)
    ramp = dice.pick(region["ramps"]) if region["ramps"] else None
    contrast = recipe["camera"]["contrast"] * difficulty
    pattern = textures.surface(dice, dice.pick(region["textures"]), size, contrast, ramp)
    if bottom > top:
        rows = textures.lean(pattern, bottom - top) if region["lean"] else pattern[: bottom - top]
        if region["lean"]:  # the line where the ground begins is darker, as in a corner
            depth = np.arange(bottom - top)[:, None, None] * 64 // size
            rows = rows * (256 - np.maximum(0, 50 - depth * 8)) >> 8
        canvas.rgb[top:bottom] = rows
        canvas.instances[top:bottom] = number


def _paint_things(canvas, things, dice, horizon, before, difficulty) -> None:
    """Paint in an order, and if need be smaller, such that everything can be seen: what is there must be findable."""
    size = canvas.size
    grain = textures.noise(dice, size, 24, 24, 2)
    leans = [0 if t.support or t.hanging else dice.between(-3, 3) * difficulty for t in things]
    best = None
    for shrink in (1.0, 0.8, 0.64, 0.5):
        layers = [_layer(thing, lean, shrink, size) for thing, lean in zip(things, leans, strict=True)]
        hidden, order = _order(layers, canvas.instances, before)
        if best is None or hidden < best[0]:
            best = hidden, order, layers
        if not hidden:
            break
    _, order, layers = best
    for k in order:
        thing, layer = things[k], layers[k]
        relief(layer, grain, 0.4, 0.15 * difficulty)
        if not thing.hanging and thing.support is None and thing.box[3] > horizon:
            ground_shadow(canvas, layer, thing.box[3] * size, 0.4 * difficulty)
        shade_of(canvas, layer, size, 0.3 if thing.hanging else 0.15)
        canvas.paste(layer, before + k + 1)


def _layer(thing: PlacedThing, lean: float, shrink: float, size: int):
    x0, y0, x1, y1 = (v * size for v in thing.box)
    length = max(x1 - x0, y1 - y0)
    shrink = max(shrink, min(1.0, 1.5 * SMALLEST[0] * size / length))
    middle, length = y1 - (y1 - y0) * shrink / 2, length * shrink  # it shrinks towards the middle of its foot
    return place_sprite(thing.sprite, thing.palette, (x0 + x1) / 2, middle, length, lean, flip=thing.flip)


def _order(layers, ground, before):
    """Painter's order that hides as little as can be, found by painting hidden things later; how many stay hidden."""
    order, best = list(range(len(layers))), None
    for _ in range(5):
        trial, areas = ground.copy(), {}
        for k in order:
            areas[k] = stamp(trial, layers[k], before + k + 1)
        seen = np.bincount(trial.ravel(), minlength=before + len(layers) + 1)
        hidden = [k for k in order if seen[before + k + 1] < max(5, 0.15 * areas[k])]
        count = len(hidden) + int((seen[1 : before + 1] < 5).sum())
        if best is None or count < best[0]:
            best = count, order
        if not hidden:
            break
        order = [k for k in order if k not in hidden] + hidden
    return best


def _plant(picture: DrawnPicture, recipe, kind: int, dice) -> None:
    """Lay the mark over the finished picture, near its lower right corner, as a logo would be."""
    mark = recipe["mark"]
    size = picture.image.shape[0]
    length = mark["length"] * size
    x, y = (size - length / 2 - dice.between(0.02, 0.06) * size for _ in range(2))
    layer = place_sprite(recipe.library.kinds[mark["sprite"]][0], 0, x, y, length)
    canvas = Canvas(picture.image)
    canvas.instances, canvas.parts = picture.instances, picture.parts
    layer.rgba[..., :3] = layer.rgba[..., :3].sum(2, keepdims=True) // 6 + layer.rgba[..., 3:] // 2
    canvas.paste(layer, len(picture.objects) + 1)
    picture.image = canvas.rgb.astype(np.uint8)
    picture.objects.append(kind)
