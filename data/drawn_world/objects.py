"""Task drawing `objects`: one or more labelled objects on a textured ground, among unlabelled clutter."""

import copy
import math

import numpy as np
from PIL import Image

from . import camera, textures
from .arrays import DrawnPicture
from .compose import Canvas, ground_shadow, place_sprite, relief, shade_of, tint
from .dice import Dice

ORDERS = ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))


def read(reader) -> dict:
    """The keys of an `objects` recipe; see data/drawn_world/recipes/objects.yaml for what each one means."""
    found = {
        "classes": reader.kinds("classes"),
        "lookalikes": reader.take("lookalikes", []),
        "labelled": reader.integer("labelled", 1, low=1, high=4),
        "length": reader.span("length", low=0.1),
        "tilt": reader.number("tilt", high=180),
        "grounds": reader.textures("grounds"),
        "walls": reader.textures("walls"),
    }
    found |= {key: reader.number(key) for key in ("covered", "recoloured", "standing")}
    with reader.section("clutter") as inner:
        found["clutter"] = {
            "kinds": inner.kinds("kinds"),
            "count": inner.span("count", high=20, kind=int),
            "length": inner.span("length", low=0.02),
        }
    both = set(found["classes"]) & set(found["clutter"]["kinds"])
    if both:
        reader.fail("clutter.kinds", f"{min(both)!r} is a class too; clutter must not be among the classes")
    found["camera"] = read_camera(reader)
    found["kinds"] = found["object_names"] = found["classes"] + found["clutter"]["kinds"]
    found["part_names"] = ["", *reader.sprites.parts(found["classes"])]
    return found


def read_camera(reader) -> dict:
    """The `camera` section: texture contrast, uneven light, blur (1/64 of the picture), grain (grey levels), cast."""
    limits = {"contrast": 2, "light": 2, "blur": 3, "grain": 100, "cast": 1}
    with reader.section("camera") as inner:
        return {key: inner.number(key, high=high) for key, high in limits.items()}


def draw(recipe, dice, size: int, difficulty: float, split: str) -> list[DrawnPicture]:
    """One picture: the ground, clutter behind, the labelled objects, and sometimes clutter in front of one.

    Args:
        recipe: checked, see `tasks.load_recipe`
        dice: the random numbers of this picture
        size: side in pixels
        difficulty: 0 (plain ground, no clutter) to 1
        split: "train", "val" or "test"
    """
    labels = dice.sample(range(len(recipe["classes"])), recipe["labelled"])
    stage = Stage(recipe, dice, size, difficulty)
    stage.scatter()
    for number, label in enumerate(labels, 1):
        stage.put(recipe["classes"][label], number)
    if dice.chance(recipe["covered"] * difficulty):
        stage.cover(dice.integer(1, len(labels)))
    target = np.int64(labels[0]) if recipe["labelled"] == 1 else presence(recipe, labels)
    return [stage.picture(labels, {"labels": target})]


def presence(recipe, labels) -> np.ndarray:
    """float32 0/1 for every class."""
    return np.isin(np.arange(len(recipe["classes"])), labels).astype(np.float32)


class Stage:
    """A ground with light and shadow on which objects are put: seen from above, or a floor before a wall.

    Arguments as `draw`.
    """

    def __init__(self, recipe, dice, size: int, difficulty: float):
        self.recipe, self.dice, self.size, self.difficulty = recipe, dice, size, difficulty
        contrast = recipe["camera"]["contrast"] * difficulty
        self.standing = dice.chance(recipe["standing"])
        self.horizon = dice.between(0.3, 0.6)
        ground = textures.surface(dice, dice.pick(recipe["grounds"]), size, contrast)
        if self.standing:
            wall = textures.surface(dice, dice.pick(recipe["walls"]), size, contrast)
            edge = round(self.horizon * size)
            ground = np.concatenate([wall[:edge], textures.lean(ground, size - edge)])
            seam = np.arange(size)[:, None, None] - edge
            ground = ground * (256 - np.maximum(0, 70 - abs(seam) * 5 * 64 // size)) >> 8
        self.canvas = Canvas(ground, recipe["part_names"])
        self.grain = textures.noise(dice, size, 24, 24, 2)

    def layer(self, kind: str, length, near=None):
        """A sprite of the kind at a random place and pose, lit. near: (x, y) of its centre, in picture widths."""
        dice, size = self.dice, self.size
        sprite, palette = drawing(self.recipe, dice, kind)
        part = min(0.9, dice.around(length, self.difficulty) * fair(sprite))
        spread = max(0.0, 1 - part * 0.8) / 2
        x, y = dice.between(0.5 - spread, 0.5 + spread), dice.between(0.5 - spread, 0.5 + spread)
        turn = dice.between(-1, 1) * self.recipe["tilt"] * self.difficulty * (0.35 if self.standing else 1)
        stretch = 1 + dice.between(-0.12, 0.12) * self.difficulty
        shear = dice.between(-0.1, 0.1) * self.difficulty
        colours = colouring(self.recipe, dice)
        x, y = near or (x, y)
        y = self.floored(y, part, sprite)
        layer = place_sprite(sprite, palette, x * size, y * size, part * size, turn, stretch, shear)
        relief(layer, self.grain, 0.5, 0.14 * self.difficulty)
        tint(layer, *colours)
        return layer

    def floored(self, y: float, length: float, sprite) -> float:
        """Where the centre of a sprite must be for its lower edge to be somewhere on the floor, if there is one."""
        half = length / 2 * min(1, sprite.height / sprite.width)
        return max(y, self.horizon + 0.06 - half) if self.standing else y

    def clutter(self, near=None):
        """A layer with some clutter."""
        return self.layer(self.dice.pick(self.recipe["clutter"]["kinds"]), self.recipe["clutter"]["length"], near)

    def scatter(self) -> None:
        """Put clutter anywhere."""
        for _ in range(round(self.dice.integer(*self.recipe["clutter"]["count"]) * self.difficulty)):
            self.paste(self.clutter(), 0)

    def paste(self, layer, number: int, shade: float | None = None) -> None:
        """Shadow first (`shade`: how dark), then the object itself."""
        if self.standing:
            ground_shadow(self.canvas, layer, base_of(layer), 0.45)
        shade_of(self.canvas, layer, self.size, shade or (0.25 if self.standing else 0.5))
        self.canvas.paste(layer, number)

    def put(self, kind: str, number: int) -> None:
        """Put a labelled object where it can be seen and covers little of the others."""
        best = None
        for _ in range(8):
            layer = self.layer(kind, self.recipe["length"])
            hidden = self.canvas.cover(layer)[1:number]
            rest = [h / max(1, (self.canvas.instances == k + 1).sum()) for k, h in enumerate(hidden)]
            worst = max([0.0, *rest]) + max(0.0, 0.9 - self.canvas.visible(layer) / max(1, layer.area))
            if best is None or worst < best[0]:
                best = worst, layer
            if worst < 0.12:
                break
        self.paste(best[1], number)

    def cover(self, number: int) -> None:
        """Put clutter in front of an object, hiding at most a quarter of it and half of any part."""
        ys, xs = np.nonzero(self.canvas.instances == number)
        at = self.dice.integer(0, len(ys) - 1)
        near = (xs[at] / self.size, ys[at] / self.size)
        layer = self.clutter(near)
        before = self._parts_of(number)
        kept = copy.deepcopy(self.canvas)
        self.paste(layer, 0)
        after = self._parts_of(number)
        if after.sum() * 4 < before.sum() * 3 or (after * 2 < before).any():
            self.canvas = kept

    def _parts_of(self, number: int) -> np.ndarray:
        """Pixels of each part of an object that can be seen."""
        return np.bincount(self.canvas.parts[self.canvas.instances == number], minlength=256)

    def picture(self, objects, extra, shot=None, mirror=True) -> DrawnPicture:
        """Photograph it.

        Args:
            objects: the label of each object that was put, in order
            extra: what else the picture says: its labels, its clip
            shot: a number that fixes light, lens and side, so that the frames of a clip share them; their noise differs
            mirror: half of the pictures are mirrored, so that light comes from either side
        """
        cam, d = self.recipe["camera"], self.difficulty
        dice = self.dice if shot is None else Dice(shot)
        camera.light(self.canvas.rgb, dice, cam["light"] * d)
        self.mirrored = dice.chance(0.5) and mirror
        blur, balance = dice.between(0, cam["blur"]) * d, camera.cast(dice, cam["cast"] * d)
        image = camera.photograph(self.canvas.rgb, self.dice, blur, cam["grain"] * d, balance)
        step = -1 if self.mirrored else 1
        arrays = [np.ascontiguousarray(a[:, ::step]) for a in (image, self.canvas.instances, self.canvas.parts)]
        return DrawnPicture(*arrays, list(objects), extra)


def fair(sprite) -> float:
    """How much larger a thin drawing is shown, a massive one smaller: its area must not tell its kind."""
    filled = (sprite.raster(0, 48)[0][..., 3] >= 128).sum() / 48**2
    return min(1.3, max(0.75, math.sqrt(0.45 / max(filled, 0.01))))


def drawing(recipe, dice, kind: str):
    """One of the sprites of a kind, and the number of one of its palettes."""
    sprite = dice.pick(recipe.library.kinds[kind])
    return sprite, dice.integer(0, len(sprite.palettes) - 1)


def colouring(recipe, dice):
    """Order and gains of an object's channels: as a whole, it may be lighter or darker than its ground."""
    order = ORDERS[dice.integer(0, 5)] if dice.chance(recipe["recoloured"]) else ORDERS[0]
    whole = dice.between(0.55, 1.25)
    return order, [whole * dice.between(0.88, 1.12) for _ in range(3)]


def base_of(layer) -> int:
    """The lowest row of a layer that is solid, in picture pixels."""
    box = Image.fromarray(layer.solid).getbbox()
    return layer.y + (box[3] if box else layer.rgba.shape[0])
