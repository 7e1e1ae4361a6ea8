"""The drawings keep to the sprite format, and the look-alike pairs differ in one part only."""

import io
import re
import xml.etree.ElementTree as ET
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import resvg_py
from PIL import Image

FOLDER = Path(__file__).parents[1] / "data" / "drawn_world" / "sprites"
FILES = sorted(FOLDER.glob("*.svg"))
SVG = "{http://www.w3.org/2000/svg}"
# Letters and marks are not things: a sheet holds many glyphs, of which a row of writing takes some and draws them
# with a pen in a colour of its own. So a sheet has more parts than a thing, no size, no palettes and no use for a tight
# viewBox. What a glyph must be instead is tested below.
SHEETS = [p for p in FILES if p.stem[:-2] in ("letters", "marks")]
THINGS = [p for p in FILES if p not in SHEETS]
SHAPES = {"g", "path", "circle", "ellipse", "rect", "line", "polyline", "polygon", "use"}
REST = {"svg", "defs", "linearGradient", "radialGradient", "stop", "style", "clipPath", "title", "desc"}

PAIRS = {("cat", "dog"): "head", ("palace", "church"): "roof", ("windmill", "lighthouse"): "top"}
OBJECTS = """cat dog palace church windmill lighthouse fish bird butterfly car sailboat airplane umbrella lamp chair
clock apple mushroom hot_air_balloon key"""
CLUTTER = "ball box leaf shell star bottle_cap stone ribbon pinecone button spring feather dice flower"


def box(root):
    return [float(v) for v in root.get("viewBox").split()]


def render(svg: str, side: int = 200) -> np.ndarray:
    """RGBA uint8, longest side `side`."""
    _, _, w, h = box(ET.fromstring(svg))
    size = {"width": round(side * w / max(w, h)), "height": round(side * h / max(w, h))}
    png = bytes(resvg_py.svg_to_bytes(svg_string=svg, skip_system_fonts=True, **size))
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGBA"))


def palettes(root):
    return [dict(c.split(":") for c in p.split(",")) for p in root.get("data-palettes", "").split("|")]


def parts(path):
    """Part name -> its shapes, as the file has them."""
    text = path.read_text()
    return {g.get("id"): ET.tostring(g).strip() for g in ET.fromstring(text) if g.tag == SVG + "g"}


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_format(path):
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*-[1-9]", path.stem)
    assert path.stat().st_size <= 6144
    root = ET.fromstring(path.read_text())
    assert {e.tag for e in root.iter()} <= {SVG + t for t in SHAPES | REST}
    values = [v for e in root.iter() for v in [*e.attrib.values(), e.text or ""]]
    targets = {t for v in values for t in re.findall(r"url\((.*?)\)", v)}
    targets |= {v for e in root.iter() for k, v in e.attrib.items() if k.endswith("href")}
    assert targets <= {"#" + e.get("id", "") for e in root.iter()}, "refers to something that is not in the file"
    ids = [e.get("id") for e in root.iter() if e.get("id")]
    assert len(ids) == len(set(ids))
    children = [c.tag.removeprefix(SVG) for c in root]
    assert set(children) <= {"g", "defs", "style"}, "a visible shape outside the parts"
    assert 1 <= children.count("g") <= (26 if path in SHEETS else 6)
    assert all(re.fullmatch("[a-z_0-9]+", g.get("id", "")) for g in root if g.tag == SVG + "g")
    assert path in SHEETS or 0 < float(root.get("data-size")) < 50
    assert root.get("data-groups") and (path not in SHEETS or root.get("data-groups") == "writing")


@pytest.mark.parametrize("path", THINGS, ids=lambda p: p.stem)
def test_viewbox_is_tight(path):
    text = path.read_text()
    x, y, w, h = box(ET.fromstring(text))
    assert (x, y, max(w, h)) == (0, 0, 100)
    # a frame of 20 units around it shows what the viewBox would cut off
    alpha = render(re.sub('viewBox="[^"]*"', f'viewBox="-20 -20 {w + 40} {h + 40}"', text), 700)[..., 3]
    unit = max(alpha.shape) / (max(w, h) + 40)
    rows, columns = (np.flatnonzero((alpha > 24).any(axis)) / unit - 20 for axis in (1, 0))
    extent = np.array([columns[0], rows[0], columns[-1] - w, rows[-1] - h])
    assert np.abs(extent).max() <= 2.2, extent.round(1)


@pytest.mark.parametrize("path", THINGS, ids=lambda p: p.stem)
def test_palettes_and_parts_can_be_seen(path):
    text = path.read_text()
    root = ET.fromstring(text)
    whole = render(text, 64).astype(int)
    assert len(palettes(root)) >= 2
    for palette in palettes(root):
        changed = text
        for name, colour in palette.items():
            rule = rf"(\.{name}\s*{{[^}}]*?)#[0-9a-fA-F]{{3,8}}"
            assert re.search(rule, text), f"{name} is not in the style"
            changed = re.sub(rule, rf"\g<1>{colour}", changed)
        difference = np.abs(render(changed, 64).astype(int) - whole).max(-1) > 12
        assert difference.sum() > 0.03 * (whole[..., 3] > 127).sum(), palette
    for part in [g for g in root if g.tag == SVG + "g"]:
        rest = ET.fromstring(text)
        rest.remove(next(g for g in rest if g.get("id") == part.get("id")))
        left = render(ET.tostring(rest, encoding="unicode"), 64).astype(int)
        assert (np.abs(left - whole).max(-1) > 12).sum() > 8, f"{part.get('id')} cannot be seen"


@pytest.mark.parametrize("path", SHEETS, ids=lambda p: p.stem)
def test_glyphs_fill_their_boxes_and_differ(path):
    root = ET.fromstring(path.read_text())
    pen = float(re.search(r"stroke-width:\s*([\d.]+)", root.find(SVG + "style").text)[1])
    seen = {}
    for glyph in [g for g in root if g.tag == SVG + "g"]:
        width, top, foot = (float(v) for v in glyph.get("data-box").split())
        glyph.set("transform", "translate(50 50)")
        alone = ET.Element(root.tag, {"viewBox": "0 0 200 200"})
        alone.extend([root.find(SVG + "style"), glyph])
        alpha = render(ET.tostring(alone, encoding="unicode"), 400)[..., 3]
        rows, columns = (np.flatnonzero((alpha > 24).any(axis)) / 2 - 50 for axis in (1, 0))
        beside, over = (np.array([-v[0], v[-1]]) - pen / 2 for v in (columns, rows))
        beside, over = beside - [0, width], over - [-top, foot]
        assert beside.min() > -14 and beside.max() < 25, (glyph.get("id"), beside)
        if root.get("data-gap"):  # a word is not cut off at its ends
            room = float(root.get("data-gap")) / 2 - pen / 2, float(root.get("data-lean", 0))
            assert (beside < [room[0] + 5, sum(room) + 2]).all(), (glyph.get("id"), beside)
        assert over.max() < 12, (glyph.get("id"), over)
        seen[glyph.get("id")] = alpha > 127
    assert len(seen) >= 12
    assert all((a ^ b).sum() > 0.08 * (a | b).sum() for a, b in combinations(seen.values(), 2)), "two are alike"


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
@pytest.mark.parametrize("n", [1, 2])
def test_look_alikes_differ_in_one_part(pair, n):
    one, two = (FOLDER / f"{kind}-{n}.svg" for kind in pair)
    assert list(parts(one)) == list(parts(two))
    assert [name for name in parts(one) if parts(one)[name] != parts(two)[name]] == [PAIRS[pair]]
    roots = [ET.fromstring(p.read_text()) for p in (one, two)]
    assert roots[0].get("data-palettes") == roots[1].get("data-palettes")
    style = roots[0].find(SVG + "style"), roots[1].find(SVG + "style")
    assert style[0].text == style[1].text


def test_every_kind_is_drawn():
    drawn = {p.stem for p in FILES}
    assert {f"{k}-{n}" for k in OBJECTS.split() for n in (1, 2)} | {f"{k}-1" for k in CLUTTER.split()} <= drawn
    assert len(OBJECTS.split()) == 20


def test_no_colour_belongs_to_one_kind():
    users: dict[str, set] = {}
    for kind in OBJECTS.split():
        for path in FOLDER.glob(f"{kind}-*.svg"):
            for palette in palettes(ET.fromstring(path.read_text())):
                for colour in palette.values():
                    users.setdefault(colour, set()).add(kind)
    assert min(map(len, users.values())) >= 5, {c: sorted(k) for c, k in users.items() if len(k) < 5}
