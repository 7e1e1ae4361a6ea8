"""Task drawing `video`: short clips in which objects enter, move, cover one another and leave.

Every frame is a picture of the data set, in order; `clip` and `frame` say where it belongs. The kinds in a clip differ,
so a kind is also a track.
"""

import copy

import numpy as np

from . import objects
from .arrays import DrawnPicture
from .compose import place_sprite, relief, tint


def read(reader) -> dict:
    """The keys of a `video` recipe: those of `objects`, the frames of a clip, and how many objects move through it."""
    frames = reader.integer("frames", low=2, high=200)
    movers = reader.span("movers", low=1, high=5, kind=int)
    return objects.read(reader) | {"frames": frames, "movers": movers}


def draw(recipe, dice, size: int, difficulty: float, split: str) -> list[DrawnPicture]:
    """One clip, as a list of frames; labels are 0/1 for every class that can be seen in the frame.

    Arguments as `objects.draw`.
    """
    stage = objects.Stage(recipe, dice, size, difficulty)
    stage.scatter()
    kinds = dice.sample(range(len(recipe["classes"])), dice.integer(*recipe["movers"]))
    movers = [Mover(recipe, dice, recipe["classes"][k], difficulty) for k in kinds]
    shot, empty = dice.integer(0, 2**32 - 1), stage.canvas
    frames = []
    for number in range(recipe["frames"]):
        stage.canvas = copy.deepcopy(empty)
        layers = [m.layer(number / (recipe["frames"] - 1), size, stage) for m in movers]
        for k, layer in enumerate(layers, 1):
            stage.paste(layer, k, 0.4)
        shown = stage.canvas.keep_visible([max(4, 0.2 * layer.area) for layer in layers])
        seen_kinds = [kinds[k] for k in shown]
        extra = {"labels": objects.presence(recipe, seen_kinds), "frame": np.int64(number)}
        frames.append(stage.picture(seen_kinds, extra, shot))
    return frames


class Mover:
    """One object on its way through a clip: in at one side, along a parabola, out at another (or it stays).

    Args:
        recipe, dice, difficulty: as `objects.draw`
        kind: of object
    """

    def __init__(self, recipe, dice, kind: str, difficulty: float):
        self.sprite, self.palette = objects.drawing(recipe, dice, kind)
        self.length = min(0.8, dice.between(*recipe["length"]) * objects.fair(self.sprite))
        side, up = dice.pick((-1, 1)), dice.between(0.3, 0.75)
        far = 0.5 + self.length / 2 + 0.05
        self.start = 0.5 - side * far, up
        self.middle = dice.between(0.3, 0.7), dice.between(0.25, 0.75)
        self.end = (0.5 + side * far, dice.between(0.3, 0.75)) if dice.chance(0.6) else self.middle
        self.first, self.last = dice.between(-0.3, 0.25), dice.between(0.8, 1.3)
        self.turn, self.sway = dice.between(-12, 12) * difficulty, dice.between(-14, 14) * difficulty
        self.grow = dice.between(-0.25, 0.25) * difficulty
        self.colours = objects.colouring(recipe, dice)
        self.rough = 0.2 * difficulty

    def layer(self, time: float, size: int, stage):
        """The object at a time of the clip (0 first frame – 1 last)."""
        t = min(1.0, max(0.0, (time - self.first) / (self.last - self.first)))
        x, y = ((1 - t) ** 2 * a + 2 * t * (1 - t) * b + t * t * c
                for a, b, c in zip(self.start, self.middle, self.end, strict=True))  # fmt: skip
        length = self.length * (1 + self.grow * t)
        y = stage.floored(y, length, self.sprite)
        turn = self.turn + self.sway * (4 * t * (1 - t))
        layer = place_sprite(self.sprite, self.palette, x * size, y * size, length * size, turn)
        relief(layer, stage.grain, 0.5, self.rough)
        tint(layer, *self.colours)
        return layer
