"""Sprites: one SVG file is one drawing of one kind, with named parts and colours that may be exchanged.

`data/README.md` describes the format. A file is parsed as hostile input: no document types, no links out of the
file, only drawing elements. Rasterising happens once per process, size and palette.
"""

import copy
import hashlib
import io
import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import resvg_py
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring
from PIL import Image

SIDES = (16, 24, 32, 48, 64, 96, 128, 192, 256, 384)  # half octaves: a drawing is never shrunk by more than 1.5
MARGIN = 2  # transparent pixels around every raster, so that sampling may step over the edge
_SVG = "{http://www.w3.org/2000/svg}"
_ALLOWED = """svg g path circle ellipse rect line polyline polygon defs linearGradient radialGradient stop style
title desc clipPath use""".split()  # noqa: SIM905


class SpriteError(ValueError):
    """A sprite file that cannot be used; the message says which, why, and what to do."""


@dataclass(eq=False)
class Sprite:
    """One drawing: `kind`, `parts` (names, painter's order), `palettes` (class -> colour; first the file's own)."""

    kind: str
    name: str
    parts: tuple[str, ...]
    palettes: tuple[dict[str, str], ...]
    groups: frozenset[str]
    stature: float  # typical height, a standing person = 1
    width: float  # of the viewBox
    height: float
    root: ET.Element
    _rasters: dict = field(default_factory=dict)

    def raster(self, palette: int, side: float) -> tuple[np.ndarray, np.ndarray]:
        """The drawing whose longest side has at least `side` pixels (up to the largest of SIDES).

        Returns premultiplied RGBA uint8 (h,w,4) and the part at each pixel, uint8 (h,w): 0 none, k = parts[k-1];
        both with MARGIN transparent pixels on each side.
        """
        side = next((s for s in SIDES if s >= side), SIDES[-1])
        palette %= len(self.palettes)
        if (palette, side) not in self._rasters:
            rgba = _render(_recoloured(self.root, self.palettes[palette]), side, self.width, self.height)
            if side not in self._rasters:
                self._rasters[side] = _part_map(self, side)
            self._rasters[palette, side] = (rgba, self._rasters[side])
        return self._rasters[palette, side]


class Library:
    """All sprites of a folder by kind. `select` understands kinds and group words (`group:animal`)."""

    def __init__(self, sprites: list[Sprite], digest: dict[str, str]):
        self.kinds: dict[str, list[Sprite]] = {}
        self.digest = digest  # sprite name -> sha256 of its file
        for sprite in sprites:
            self.kinds.setdefault(sprite.kind, []).append(sprite)

    def select(self, words) -> list[str]:
        """The kinds meant by a list of words, without repeats. Raises KeyError with the word that matches nothing."""
        found: dict[str, None] = {}
        for word in words:
            group = word.removeprefix("group:")
            hits = [word] if group == word else [k for k, s in self.kinds.items() if group in s[0].groups]
            if not hits or hits[0] not in self.kinds:
                raise KeyError(word)
            found.update(dict.fromkeys(hits))
        return list(found)

    def parts(self, kinds) -> list[str]:
        """Names of all parts of these kinds, in a fixed order."""
        return sorted({p for k in kinds for s in self.kinds[k] for p in s.parts})


def library(folder: Path) -> Library:
    """Every `<kind>-<n>.svg` of the folder, read once per process and again when a file changes. Raises SpriteError."""
    files = sorted(Path(folder).glob("*.svg"))
    return _library(folder, tuple((f, f.stat().st_mtime_ns, f.stat().st_size) for f in files))


@lru_cache(maxsize=2)
def _library(folder: Path, files: tuple) -> Library:
    sprites, digest = [], {}
    for path, _, _ in files:
        data = path.read_bytes()
        digest[path.stem] = hashlib.sha256(data).hexdigest()
        sprites.append(parse(data, path.name))
    if not sprites:
        raise SpriteError(f"{folder}: no sprites (files named <kind>-<n>.svg) were found; is the data folder complete?")
    return Library(sprites, digest)


def parse(data: bytes, name: str) -> Sprite:
    """One sprite from the bytes of its file. Raises SpriteError if it is not a sprite or not a harmless one."""

    def fail(why: str):
        raise SpriteError(f"{name}: {why} (the sprite format is in data/README.md)")

    match = re.fullmatch(r"([a-z0-9_]+)-(\d+)\.svg", name)
    if not match:
        fail("the name must be <kind>-<number>.svg, kind in lower case, words joined by _")
    if len(data) > 64_000:
        fail("larger than 64 kB; save it as plain SVG")
    try:
        root = fromstring(data, forbid_dtd=True)
    except (ET.ParseError, DefusedXmlException) as error:
        fail(f"not well-formed XML, or with a document type: {error}")
    for element in root.iter():
        tag = str(element.tag).removeprefix(_SVG)
        if tag not in _ALLOWED:
            fail(f"element <{tag}> is not allowed; use shapes, paths and gradients only")
        values = [*element.attrib.values(), element.text or ""]
        links = [v for k, v in element.attrib.items() if k.endswith("href") and not v.startswith("#")]
        if links or any(re.search(r"url\(\s*['\"]?[^#'\"\s]|@import", v) for v in values):
            fail("it refers to something outside the file; everything must be inside")
    try:
        _, _, width, height = map(float, root.get("viewBox", "").replace(",", " ").split())
        stature = float(root.get("data-size", "0.5"))
    except ValueError:
        fail('viewBox="0 0 W H" is missing, or data-size is not a number')
    if not (width > 0 and height > 0):
        fail("the viewBox is empty")
    parts = tuple(g.get("id", "") for g in root if g.tag == _SVG + "g")
    if not parts or "" in parts or len(set(parts)) < len(parts) or len(parts) > 32:
        fail('the root needs 1 to 32 direct children <g id="…">, one per part, with different ids')
    palettes = [{}]
    for text in filter(None, root.get("data-palettes", "").split("|")):
        pairs = [re.fullmatch(r"\s*(\w+)\s*:\s*(#[0-9a-fA-F]{3,8})\s*", p) for p in text.split(",")]
        if None in pairs:
            fail(f'data-palettes: "{text}" is not of the form c1:#555,c2:#ddd')
        palettes.append({p[1]: p[2] for p in pairs})
    groups = frozenset(root.get("data-groups", "").split())
    return Sprite(match[1], name[:-4], parts, tuple(palettes), groups, stature, width, height, root)


def _recoloured(root: ET.Element, palette: dict[str, str]) -> ET.Element:
    root = copy.deepcopy(root)

    def rule(match):
        colour = palette.get(match[1])
        return match[0] if colour is None else f".{match[1]}{{{re.sub('#[0-9a-fA-F]{3,8}', colour, match[2])}}}"

    for style in root.iter(_SVG + "style"):
        style.text = re.sub(r"\.([\w-]+)\s*\{([^}]*)\}", rule, style.text or "")
    return root


def _render(root: ET.Element, side: int, width: float, height: float) -> np.ndarray:
    """Premultiplied RGBA, longest side `side`, inside the margin; changes the root."""
    w, h = (max(1, round(length * (side / max(width, height)))) for length in (width, height))
    root.attrib.update(width=str(w), height=str(h), preserveAspectRatio="none")
    png = bytes(resvg_py.svg_to_bytes(svg_string=ET.tostring(root, encoding="unicode"), skip_system_fonts=True))
    rgba = np.asarray(Image.open(io.BytesIO(png)).convert("RGBA")).astype(np.int32)
    rgba[..., :3] = (rgba[..., :3] * rgba[..., 3:] + 127) // 255
    return np.pad(rgba.astype(np.uint8), ((MARGIN, MARGIN), (MARGIN, MARGIN), (0, 0)))


def _part_map(sprite: Sprite, side: int) -> np.ndarray:
    """Which part is on top: parts drawn alone, later covers earlier; faint pixels go to the strongest part."""
    best = owner = np.zeros((1, 1), np.int16)
    for index, part in enumerate(sprite.parts, 1):
        alone = copy.deepcopy(sprite.root)
        for g in [g for g in alone if g.tag == _SVG + "g" and g.get("id") != part]:
            alone.remove(g)
        alpha = _render(alone, side, sprite.width, sprite.height)[..., 3].astype(np.int16)
        over = (alpha >= 128) | (alpha > best)
        best, owner = np.where(over, alpha, best), np.where(over, index, owner)
    return owner.astype(np.uint8)
