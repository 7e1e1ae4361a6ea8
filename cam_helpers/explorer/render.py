"""From a view and a scene to the bytes of a PNG and to a sentence: pure functions, and fast enough to follow a finger.

Blending is done by Pillow on 8-bit levels (a palette and an alpha per level); matplotlib is asked once per colour map.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import lru_cache

import matplotlib
import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage
from torch import Tensor
from torchvision.ops import box_iou

from ..boxes import boxes_from_maps
from ..maps import resize
from .scene import Scene
from .state import View

__all__ = ["describe", "draw", "identity", "montage", "percent", "png", "render"]

SIGNED = "RdBu_r"
_BOX, _FAINT, _TRUE = (0, 224, 255), (150, 190, 196), (255, 255, 255)
_PLACES = [["upper left", "top", "upper right"], ["left", "centre", "right"], ["lower left", "bottom", "lower right"]]
_LEGEND = 26  # pixels


def render(view: View, scene: Scene, limit: float | None = None) -> bytes:
    """The PNG that `view` shows of `scene`. limit: the value of the brightest colour, where pictures share a scale."""
    return png(draw(view, scene, limit))


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1, compress_type=3)  # run lengths: three quarters of the time, 2 % larger
    return buffer.getvalue()


def draw(view: View, scene: Scene, limit: float | None = None) -> Image.Image:
    """The picture, its boxes and, below, the legend. The scaling is `pictures.overlay`'s: negative values are cut."""
    heat, full, boxes = _found(view, scene)
    photo, size = scene.photo, scene.photo.size
    signed = view.style == "signed"
    if limit is None and view.unit is None and view.scale == "shared":
        limit = scene.limit(view.weights)[signed]
    words = "own scale" if limit is None else "shared scale"
    limit = max((heat.abs() if signed else heat).max().item() if limit is None else limit, 1e-12)
    colours = SIGNED if signed else view.colours
    if view.style in ("contour", "dim"):
        mask = (full > view.threshold * full.max()) & (full.max() > 0)
        image = _masked(mask.numpy(), photo, view)
        most = max(0, full.max().item())
        legend = (f"above {100 * view.threshold:.0f} % of the map's maximum, {most:.3g}", "", "", None)
    else:
        if view.style == "grid":
            level = Image.fromarray(_levels(heat, 0, limit)).resize(size, Image.Resampling.NEAREST)
        else:
            level = Image.fromarray(_levels(full, -limit if signed else 0, limit))
        image = _tinted(level, scene.grey, colours, _alphas(view.style, view.opacity))
        legend = (words, f"{-limit if signed else 0:.3g}", f"{limit:.3g}", colours)
    pen = ImageDraw.Draw(image)
    for x1, y1, x2, y2 in _truth(view, scene):
        pen.rectangle((x1, y1, x2 - 1, y2 - 1), outline=_TRUE, width=2)
    for i, (x1, y1, x2, y2) in reversed(list(enumerate(boxes.tolist()))):
        if i and view.rule == "largest":  # what the rule leaves out stays visible, faintly
            pen.rectangle((x1, y1, x2 - 1, y2 - 1), outline=_FAINT, width=1)
        else:
            pen.rectangle((x1, y1, x2 - 1, y2 - 1), outline="black", width=5)
            pen.rectangle((x1 + 1, y1 + 1, x2 - 2, y2 - 2) if min(x2 - x1, y2 - y1) > 4 else (x1, y1, x2 - 1, y2 - 1),
                          outline=_BOX, width=3)  # fmt: skip
    framed = Image.new("RGB", (size[0], size[1] + _LEGEND), "white")
    framed.paste(image)
    framed.paste(_legend(size[0], *legend), (0, size[1]))
    return framed


def percent(part: float) -> str:
    return "<1 %" if 0 < part < 0.005 else f"{100 * part:.0f} %"


def describe(view: View, scene: Scene, name: str = "") -> str:
    """What `draw` shows, in one sentence: where the map is strongest, what the box covers, how it fits the truth.
    name: what the sentence is about, the class or the unit where it is not given."""
    name = name or (scene.classes[scene.label(view)] if view.unit is None else f"unit {view.unit}")
    _, full, boxes = _found(view, scene)
    if not len(boxes):
        return f"{name}: no evidence anywhere, the map has no positive value, so there is no box."
    y, x = divmod(int(full.argmax()), full.shape[1])
    place = _PLACES[3 * y // full.shape[0]][3 * x // full.shape[1]]
    covers = f"{100 * ((boxes[0, 2:] - boxes[0, :2]).prod() / full.numel()).item():.0f} % of the picture"
    others = len(boxes) - 1
    if others and view.rule == "all":
        parts = [f"{len(boxes)} boxes, the largest covers {covers}"]
    else:
        plural = "region is" if others == 1 else "regions are"
        parts = [f"box covers {covers}" + (f" ({others} smaller {plural} left out)" if others else "")]
    if len(truth := _truth(view, scene)):
        kept = boxes if view.rule == "all" else boxes[:1]
        parts.append(f"IoU {box_iou(kept, torch.tensor(truth)).max().item():.2f} with the true box (white)")
    return f"{name}: strongest at the {place}, {', '.join(parts)}."


def identity(view: View, scene: Scene) -> str:
    """Does the map still add up to the class's score (lecture 12:10)? A sentence with both numbers."""
    c = scene.label(view)
    logit, kept = scene.cams.logits[0, c].item(), scene.focus(view).rebuilt().item()
    tolerance = 1e-4 * max(scene.cams.logits.abs().max().item(), 1e-12)
    if view.weights == "as trained" and view.off:
        units = "unit" if len(view.off) == 1 else "units"
        return f"Without {units} {', '.join(map(str, view.off))} the score is {kept:.2f} instead of {logit:.2f}."
    what = {"softmax": "With the softmax of the weights the", "positive": "With the positive weights only the"}
    verdict = "the identity holds" if abs(kept - logit) <= tolerance else "the identity is broken"
    numbers = f"adds up to {kept:.2f}, the score is {logit:.2f}"
    return f"{what.get(view.weights, 'The')} map {numbers}: {verdict} (difference {abs(kept - logit):.1g})."


def montage(images: Sequence[Image.Image], captions: Sequence[str], columns: int = 5) -> Image.Image:
    """Pictures side by side, a caption above each."""
    w, h = (max(image.size[i] for image in images) for i in (0, 1))
    columns = min(columns, len(images))
    sheet = Image.new("RGB", (columns * (w + 6) - 6, -(-len(images) // columns) * (h + 22)), "white")
    pen = ImageDraw.Draw(sheet)
    for i, (image, caption) in enumerate(zip(images, captions, strict=True)):
        x, y = i % columns * (w + 6), i // columns * (h + 22)
        pen.text((x + 2, y + 3), _fit(caption, w), "black", _font())
        sheet.paste(image, (x, y + 20))
    return sheet


# -- below: helpers ---------------------------------------------------------------------------------------------


@lru_cache(maxsize=2)  # the picture and its sentence ask for the same
def _found(view: View, scene: Scene) -> tuple[Tensor, Tensor, Tensor]:
    """-> the map (h,w), the same at the picture's size (H,W), the boxes of all its regions (M,4), largest first."""
    heat = scene.map(view)
    full = resize(heat[None, None], scene.photo.size[::-1])
    return heat, full[0, 0], boxes_from_maps(full[0], view.threshold, "all")[0]


def _truth(view: View, scene: Scene) -> list[list[float]]:
    if scene.truth is None or view.unit is not None:
        return []
    labels, boxes = scene.truth
    return boxes[labels == scene.label(view)].tolist()


def _levels(heat: Tensor, low: float, high: float) -> np.ndarray:
    return ((heat - low) * (255 / (high - low))).round().clamp(0, 255).to(torch.uint8).numpy()


@lru_cache
def _palette(name: str) -> bytes:
    return (matplotlib.colormaps[name](np.arange(256))[:, :3] * 255).round().astype(np.uint8).tobytes()


def _alphas(style: str, opacity: float) -> list[int]:
    if style == "map":
        return [255] * 256
    levels = np.arange(256) / 255
    part = {"heat": 0.25 + 0.75 * levels, "signed": abs(2 * levels - 1), "grid": np.ones(256)}[style]
    return np.round(255 * opacity * part).astype(int).tolist()


def _tinted(level: Image.Image, under: Image.Image, colours: str, alphas: list[int]) -> Image.Image:
    mask = level.point(alphas)
    level.putpalette(_palette(colours))
    return Image.composite(level.convert("RGB"), under, mask)


def _masked(mask: np.ndarray, photo: Image.Image, view: View) -> Image.Image:
    if view.style == "dim":
        dark = photo.point([round(v * (1 - view.opacity)) for v in range(256)] * 3)
        return Image.composite(photo, dark, Image.fromarray(mask))
    inner = ndimage.minimum_filter(mask, 5, mode="nearest")
    line = Image.fromarray(((mask & ~inner) * (255 * view.opacity)).astype(np.uint8))
    return Image.composite(Image.new("RGB", photo.size, _BOX), photo, line)


@lru_cache
def _font() -> ImageFont.ImageFont:
    return ImageFont.load_default(12)


def _fit(text: str, width: int) -> str:
    while text and _font().getlength(text) > width - 4:
        text = text[:-2].rstrip("…") + "…" if len(text) > 2 else ""
    return text


@lru_cache(maxsize=64)
def _legend(width: int, words: str, low: str, high: str, colours: str | None) -> Image.Image:
    strip = Image.new("RGB", (width, _LEGEND), "white")
    pen, x = ImageDraw.Draw(strip), 2
    if colours:
        for text in (low, None, high):
            if text is None:
                bar = Image.fromarray(np.tile(np.arange(256, dtype=np.uint8), (12, 1)))
                bar.putpalette(_palette(colours))
                strip.paste(bar.convert("RGB").resize((max(width // 4, 1), 12)), (x, 7))
                x += width // 4 + 5
            else:
                pen.text((x, 5), text, "black", _font())
                x += round(_font().getlength(text)) + 5
    pen.text((x + 5, 5), _fit(words, width - x - 5), "black", _font())
    return strip
