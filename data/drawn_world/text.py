"""Task drawing `text`: words on boards and walls, among rows of marks that are no letters.

A font is a sprite whose parts are the letters, drawn as lines; `data-box` says how wide each is and where it begins and
ends. A row is a sprite put together from such parts, with the pen (`<style>`) of the font, so that a row of marks
differs from a word in nothing but its shapes.
"""

import math
import xml.etree.ElementTree as ET
from copy import deepcopy
from functools import lru_cache

import numpy as np

from .arrays import DrawnPicture
from .compose import place_sprite, relief, stamp, tint
from .objects import Stage, colouring, read_camera
from .sprites import Sprite, parse

_SVG = "http://www.w3.org/2000/svg"
BLOCK = parse(
    f'<svg xmlns="{_SVG}" viewBox="0 0 4 1"><g id="a"><path d="M0 0H4V1H0Z"/></g></svg>'.encode(), "block-1.svg"
)


def read(reader) -> dict:
    """The keys of a `text` recipe; see data/drawn_world/recipes/text.yaml."""
    found = {
        "classes": ["none", "text"],
        "object_names": ["text"],
        "part_names": ["", "letters"],
        "rows": reader.span("rows", low=1, high=6, kind=int),
        "height": reader.span("height", low=0.05, high=0.6),
        "tilt": reader.number("tilt", high=90),
        "grounds": reader.textures("grounds"),
        "walls": reader.textures("walls"),
    }
    found |= {key: reader.number(key) for key in ("p", "also", "shear", "board", "alone", "recoloured", "standing")}
    found |= {key: reader.kinds(key) for key in ("fonts", "marks", "boards")}
    for key in ("fonts", "marks"):
        for name, root in ((s.name, s.root) for kind in found[key] for s in reader.sprites.kinds[kind]):
            if key == "fonts" and not root.get("data-gap"):
                reader.fail(key, f"{name}.svg has no data-gap, the room between two letters; name kinds like `letters`")
            if not any(g.get("data-box") for g in root):
                reader.fail(key, f"no part of {name}.svg has a data-box; name kinds like `letters` and `marks`")
    letters = set(reader.sprites.parts(found["fonts"]))
    with reader.section("words") as inner:
        found["words"] = {split: inner.words(split) for split in ("train", "val", "test")}
        every = [w for words in found["words"].values() for w in words]
        for split, words in found["words"].items():
            for word in words:
                if not word or set(word) - letters:
                    inner.fail(split, f"the fonts cannot write {word!r}; use small letters a to z")
                if every.count(word) > 1:
                    inner.fail(split, f"{word!r} stands twice; a word belongs to one split")
            if not words:
                inner.fail(split, "no words; write some")
    found["camera"] = read_camera(reader)
    found["kinds"] = found["fonts"] + found["marks"] + found["boards"]
    return found


def draw(recipe, dice, size: int, difficulty: float, split: str) -> list[DrawnPicture]:
    """One picture; label 1 if it has a word. An object is the slanting rectangle of a word; its part, the ink.

    Arguments as `objects.draw`.
    """
    label = dice.chance(recipe["p"])
    stage = Stage(recipe, dice, size, difficulty)
    taken, blocks = [], []
    for number in range(dice.integer(*recipe["rows"])):
        written = dice.chance(recipe["also"] if number else 1.0) and label
        row = _row(recipe, dice, split, written)
        block = _write(stage, row, len(blocks) + 1 if written else 0, taken)
        blocks += [block] if written and block else []
    for number, block in enumerate(blocks, 1):
        stamp(stage.canvas.instances, block, number)
    return [stage.picture([0] * len(blocks), {"labels": np.int64(label)}, mirror=False)]


def _row(recipe, dice, split: str, written: bool) -> Sprite:
    """A word, or as many marks as a word has letters."""
    font, sheet, word = _pick(recipe, dice, "fonts"), _pick(recipe, dice, "marks"), dice.pick(recipe["words"][split])
    alone, marks = dice.chance(recipe["alone"]), [dice.pick(sheet.parts) for _ in word]
    if written:
        return _sprite(font, font, tuple(word))
    return _sprite(sheet, font, tuple(marks[:1] * len(word) if alone else marks))


def _pick(recipe, dice, key) -> Sprite:
    return dice.pick(recipe.library.kinds[dice.pick(recipe[key])])


@lru_cache(maxsize=4096)
def _sprite(sheet: Sprite, font: Sprite, parts: tuple[str, ...]) -> Sprite:
    """Parts of a sheet in a row, drawn with the pen of a font."""
    drawn = {g.get("id"): g for g in sheet.root if g.get("data-box")}
    boxes = [tuple(map(float, drawn[p].get("data-box").split())) for p in parts]
    gap, lean = float(font.root.get("data-gap")), float(font.root.get("data-lean", 0))
    low, high = min(b[1] for b in boxes), max(b[2] for b in boxes)
    row, x = ET.Element(f"{{{_SVG}}}g", id="letters"), gap / 2
    for part, (width, _, _) in zip(parts, boxes, strict=True):
        letter = deepcopy(drawn[part])
        del letter.attrib["id"]
        letter.set("transform", f"translate({x} {gap / 2 - low})")
        row.append(letter)
        x += width + gap
    width, height = x - gap / 2 + lean, high - low + gap
    root = ET.Element(f"{{{_SVG}}}svg", viewBox=f"0 0 {width} {height}")
    root.extend([next(font.root.iter(f"{{{_SVG}}}style")), row])
    return Sprite("row", "".join(parts), ("letters",), ({},), frozenset(), 1.0, width, height, root)


def _write(stage: Stage, row: Sprite, number: int, taken: list):
    """Write a row where it meets no other, perhaps on a board; returns its block, or None if there is no room."""
    recipe, dice, size, d = stage.recipe, stage.dice, stage.size, stage.difficulty
    high = dice.between(*recipe["height"]) * row.height / 100
    wide = high * row.width / row.height * (1 + dice.between(-0.2, 0.2) * d)
    tilt, shear = (dice.between(-recipe[key], recipe[key]) * d for key in ("tilt", "shear"))
    boarded, dark, (order, _) = dice.chance(recipe["board"]), dice.chance(0.5), colouring(recipe, dice)
    board, palette = _pick(recipe, dice, "boards"), dice.integer(0, 3)
    ink = [dice.between(0.0, 0.3) if dark else dice.between(0.75, 1.0) for _ in range(3)]
    paint = [dice.between(0.6, 1.1) if dark else dice.between(0.15, 0.5) for _ in range(3)]
    rim = 0.22 * high * boarded
    cos, sin = math.cos(math.radians(tilt)), abs(math.sin(math.radians(tilt)))
    reach = [cos * wide + (sin + abs(shear)) * high + 2 * rim, sin * wide + cos * high + 2 * rim]
    fit = min(1.0, 0.94 / max(reach))
    wide, high, rim, *reach = (v * fit for v in (wide, high, rim, *reach))
    tries = []
    for _ in range(8):
        x, y = (0.5 + dice.between(-0.48, 0.48) * (1 - v) for v in reach)
        tries.append((x - reach[0] / 2, y - reach[1] / 2, x + reach[0] / 2, y + reach[1] / 2))
    free = [t for t in tries if not any(t[0] < o[2] and o[0] < t[2] and t[1] < o[3] and o[1] < t[3] for o in taken)]
    if not free:
        return None
    taken.append(free[0])
    at = [(free[0][k] + free[0][k + 2]) / 2 * size for k in (0, 1)]
    if boarded:
        plank = _fit(board, palette, at, (wide + 2 * rim) * size, (high + 2 * rim) * size, tilt, shear)
        relief(plank, stage.grain, 0.3, 0.2 * d)
        tint(plank, order, paint)
        stage.paste(plank, 0, 0.35)
    layer, block = (_fit(s, 0, at, wide * size, high * size, tilt, shear) for s in (row, BLOCK))
    tint(layer, order, ink)
    stage.canvas.paste(layer, number)
    return block


def _fit(sprite: Sprite, palette: int, at, wide: float, high: float, tilt: float, shear: float):
    """A sprite that is wider than high, as wide and as high as wanted, in pixels."""
    length = high * sprite.width / sprite.height
    return place_sprite(sprite, palette, *at, length, tilt, wide / length, shear)
