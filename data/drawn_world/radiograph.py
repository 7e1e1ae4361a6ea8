"""Task drawing `radiograph`: pictures like chest films, half of them with nodules in the lungs.

Drawn as a film is made: every tissue adds density along the ray, more density is brighter. No sprites are used and no
patient is shown. Shadows that look a little like nodules (crossing ribs, vessels end-on) are in both classes.
"""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from . import camera, textures
from .arrays import DrawnPicture
from .objects import read_camera

FINE = 3  # outlines are drawn this much larger and then averaged


def read(reader) -> dict:
    """The keys of a `radiograph` recipe; see data/drawn_world/recipes/radiograph.yaml."""
    return {
        "classes": ["clear", "nodules"],
        "object_names": ["nodule"],
        "part_names": [""],
        "kinds": [],
        "p": reader.number("p"),
        "count": reader.span("count", low=1, high=8, kind=int),
        "radius": reader.span("radius", low=0.01, high=0.2),
        "strength": reader.span("strength", low=1, high=255),
        "camera": read_camera(reader),
    }


def draw(recipe, dice, size: int, difficulty: float, split: str) -> list[DrawnPicture]:
    """One film; label 1 if it has nodules.

    Arguments as `objects.draw`.
    """
    label = dice.chance(recipe["p"])
    count = dice.integer(*recipe["count"])
    chest = Chest(dice, size)
    density = chest.density(difficulty)
    lungs = chest.lungs >= 200
    instances, drawn = np.zeros((size, size), np.uint8), 0
    for _ in range(count * 4):
        x, y, radius = chest.lung_place(), dice.between(0.24, 0.7), dice.between(*recipe["radius"])
        strength = dice.between(*recipe["strength"]) * (1.6 - 0.6 * difficulty)
        if not label or drawn == count:
            continue
        blob = _blob(size, x, y, radius, textures.noise(dice, size, 8, 8, 2))
        core = (blob > 90) & (instances == 0)
        if core.sum() < 4 or (core & lungs).sum() < 0.9 * core.sum():
            continue
        drawn += 1
        density += blob * round(strength * 256) >> 16
        instances[core] = drawn
    if label and not drawn:  # never a labelled film without its nodule: the middle of the right lung always has room
        blob = _blob(size, 0.3, 0.45, max(recipe["radius"]), np.full((size, size), 128, np.uint8))
        density += blob * round(max(recipe["strength"]) * 256) >> 16
        instances[blob > 90] = drawn = 1
    cam = recipe["camera"]
    rgb = np.repeat(np.clip(density, 0, 255)[..., None], 3, axis=2)
    camera.light(rgb, dice, cam["light"] * difficulty)
    image = camera.photograph(rgb, dice, dice.between(0, cam["blur"]) * difficulty, cam["grain"] * difficulty)
    grey = np.repeat(image.astype(np.int32).sum(2, keepdims=True) // 3, 3, axis=2).astype(np.uint8)
    return [DrawnPicture(grey, instances, np.zeros_like(instances), [0] * drawn, {"labels": np.int64(label)})]


class Chest:
    """One body: outlines in picture widths, with the small differences between people."""

    def __init__(self, dice, size: int):
        self.dice, self.size = dice, size
        self.wide, self.tall = dice.between(0.92, 1.06), dice.between(0.94, 1.05)
        self.mid, self.heart = dice.between(0.48, 0.52), dice.between(0.85, 1.2)
        self.lungs = self._paint([(self._lung(-1), 0), (self._lung(1), 0)], 0.008)

    def lung_place(self) -> float:
        """Where a nodule may be, from left to right."""
        side = self.dice.pick((-1, 1))
        return self.mid + side * self.dice.between(0.13, 0.33) * self.wide

    def density(self, difficulty: float) -> np.ndarray:
        """int32 (size,size) brightness of the film before noise."""
        dice, size = self.dice, self.size
        shoulders = [(-0.2, 1.1), (-0.12, 0.34), (0.1, 0.12), (0.38, 0.03), (0.42, -0.1), (0.58, -0.1), (0.62, 0.03),
                     (0.9, 0.12), (1.12, 0.34), (1.2, 1.1)]  # fmt: skip
        body = self._paint([([self._at(x - 0.5, y) for x, y in shoulders], 0)], 0.02)
        film = 14 + (body * round(dice.between(120, 150)) >> 8)
        film -= self.lungs * round(dice.between(82, 100)) >> 8
        cloud = textures.noise(dice, size, 5, 5, 4).astype(np.int32) - 128
        film += cloud * round(26 * difficulty + 4) >> 8
        h = self.heart
        heart = [(-0.07, 0.36), (0.05, 0.34), (0.09, 0.46), (0.17 * h, 0.6), (0.2 * h, 0.74), (0.12, 0.84),
                 (-0.09, 0.84), (-0.1, 0.7), (-0.06, 0.5)]  # fmt: skip
        film += self._paint([(_smooth([self._at(x, y) for x, y in heart]), 0)], 0.02) * 74 >> 8
        return film + self._vessels(difficulty) + self._bones()

    def _vessels(self, difficulty):
        dice = self.dice
        lines = []
        for _ in range(26):
            side, y = dice.pick((-1, 1)), dice.between(0.4, 0.52)
            x = self._at(side * 0.07, y)[0]
            dx, dy, bend = side * dice.between(0.06, 0.24), dice.between(-0.26, 0.28), dice.between(-0.05, 0.05)
            curve = _curve((x, y), (x + dx / 2 + bend, y + dy / 2), (x + dx, y + dy))
            lines.append((curve, dice.between(0.004, 0.012)))
        for _ in range(round(8 * difficulty)):  # vessels end-on: small dots, not nodules
            x, y = self.lung_place(), dice.between(0.25, 0.7)
            lines.append(([(x, y), (x + 0.006, y)], 0.014))
        return (self._paint(lines, 0.004) * self.lungs >> 8) * 30 >> 8

    def _bones(self):
        dice = self.dice
        back, front, edges = [], [], []
        slope, first = dice.between(0.02, 0.1), dice.between(0.1, 0.15)
        for k in range(9):
            y = first + 0.082 * k
            reach = min(0.42, 0.24 + 0.05 * k)
            for side in (-1, 1):
                curve = self._arc(side, y, (0.04, 0.03), (reach * 0.6, -0.06), (reach, slope + 0.07))
                back.append((curve, 0.03))
                edges.append(([(x, y + 0.013) for x, y in curve], 0.006))
                front.append((self._arc(side, y, (reach, slope + 0.05), (reach * 0.75, 0.2), (0.16, 0.2)), 0.03))
        bar = [(self._arc(side, 0, (0.03, 0.13), (0.2, 0.16), (0.42, 0.04)), 0.034) for side in (-1, 1)]
        spine = [([self._at(-0.005, y), self._at(0.005, y)], 0.07) for y in np.arange(0.02, 1.0, 0.075)]
        layers = [(back, 36, 0.006), (edges, 22, 0.003), (front[:12], 15, 0.008), (bar, 46, 0.006), (spine, 16, 0.008),
                  ([([(self.mid, -0.1), (self.mid, 1.1)], 0.085)], 50, 0.02)]  # fmt: skip
        return sum(self._paint(lines, soft) * value >> 8 for lines, value, soft in layers)

    def _lung(self, side):
        """One lung as an outline; the left one (on the right of the film) is narrower."""
        s = 1 if side < 0 else 0.94
        dome = self.dice.between(0.74, 0.82)
        points = [(0.06, 0.16), (0.15, 0.075), (0.25, 0.15), (0.34 * s, 0.36), (0.385 * s, 0.6),
                  (0.39 * s, dome + 0.08), (0.24, dome - 0.05), (0.09, dome), (0.075, 0.6), (0.05, 0.4)]  # fmt: skip
        return _smooth([self._at(side * x, y) for x, y in points])

    def _arc(self, side, y, *points):
        return _curve(*(self._at(side * x, y + dy) for x, dy in points))

    def _at(self, x, y):
        return self.mid + x * self.wide, 0.5 + (y - 0.5) * self.tall

    def _paint(self, lines, softness):
        """int32 (size,size) 0–255: lines, each (points, width), or filled outlines where the width is 0."""
        n = self.size * FINE
        sheet = Image.new("L", (n, n))
        pen = ImageDraw.Draw(sheet)
        for line, width in lines:
            points = [(x * n, y * n) for x, y in line]
            if width:
                pen.line(points, fill=255, width=max(1, round(width * n)), joint="curve")
            else:
                pen.polygon(points, fill=255)
        return np.asarray(sheet.reduce(FINE).filter(ImageFilter.BoxBlur(softness * self.size))).astype(np.int32)


def _curve(a, b, c, steps: int = 12):
    """A parabola from a to c, drawn towards b."""
    t = [k / steps for k in range(steps + 1)]
    weights = [((1 - u) ** 2, 2 * u * (1 - u), u * u) for u in t]
    return [tuple(i * p + j * q + k * r for p, q, r in zip(a, b, c, strict=True)) for i, j, k in weights]


def _smooth(points):
    """A closed outline with its corners rounded (parabolas between the middles of the sides)."""
    out = []
    for k, corner in enumerate(points):
        before, after = points[k - 1], points[(k + 1) % len(points)]
        start = tuple((p + q) / 2 for p, q in zip(before, corner, strict=True))
        end = tuple((p + q) / 2 for p, q in zip(corner, after, strict=True))
        out += _curve(start, corner, end, 5)[:-1]
    return out


def _blob(size, x, y, radius, wobble) -> np.ndarray:
    """A soft round shadow, int32 0–256: (1 − r²)² with an uneven rim."""
    at = np.arange(size, dtype=np.int64) * 2 + 1
    unit = max(1, round(radius * size * 2))
    dx, dy = at[None, :] - round(x * size * 2), at[:, None] - round(y * size * 2)
    square = (dx * dx + dy * dy) * 256 // (unit * unit)
    square = square * (256 + (wobble.astype(np.int64) - 128)) >> 8
    left = np.maximum(256 - square, 0)
    return (left * left >> 8).astype(np.int32)
