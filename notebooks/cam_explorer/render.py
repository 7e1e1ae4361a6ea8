"""From settings and a forwarded picture to an image and a sentence: fast enough to follow the mouse."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage
from torch import Tensor
from torchvision.ops import box_iou

from cam_helpers import drawing
from cam_helpers.boxes import boxes_from_maps, region_above
from cam_helpers.maps import resize

from .settings import Settings
from .source import ForwardedPicture, largest

__all__ = ["describe", "draw", "identity", "montage", "percent", "png", "render", "shared_limit"]

BOX, TRUE_BOX, OTHER_BOX = *drawing.BOX_COLOURS[:2], "#96bec4"
OPACITY = {  # of each level, as a fraction of the settings' opacity
    "heat": drawing.RISING,
    "signed": abs(2 * drawing.LEVELS - 1),
    "grid": np.ones(256),
}
POSITIONS = [["upper left", "top", "upper right"], ["left", "centre", "right"], ["lower left", "bottom", "lower right"]]
LEGEND_HEIGHT = 26  # pixels
FONT = ImageFont.load_default(12)


def render(settings: Settings, picture: ForwardedPicture, limit: float | None = None) -> bytes:
    """What `draw` draws, as the bytes of a PNG."""
    return png(draw(settings, picture, limit))


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1, compress_type=3)  # run lengths: three quarters of the time, 2 % larger
    return buffer.getvalue()


def draw(settings: Settings, picture: ForwardedPicture, limit: float | None = None) -> Image.Image:
    """The picture with its map and boxes, a legend below. limit: the value of the brightest colour, where several
    pictures share one scale."""
    _, full, boxes = _map_and_boxes(settings, picture)
    if settings.style in ("contour", "dim"):
        peak = max(0, full.max().item())
        image = _masked(settings, picture, region_above(full, settings.threshold).numpy())
        legend = f"above {100 * settings.threshold:.0f} % of the map's maximum, {peak:.3g}", None
    else:
        image, legend = _coloured(settings, picture, limit)
    pen = ImageDraw.Draw(image)
    for box in _true_boxes(settings, picture).tolist():
        _outline(pen, box, TRUE_BOX, 2)
    for i, box in reversed(list(enumerate(boxes.tolist()))):
        if i and settings.rule == "largest":  # what the rule leaves out stays visible
            _outline(pen, box, OTHER_BOX, 1)
        else:
            _outline(pen, box, "black", 5)
            _outline(pen, box, BOX, 3, inset=1)
    return Image.fromarray(np.vstack([image, _legend(image.width, *legend)]))


def shared_limit(shown: Iterable[tuple[Settings, ForwardedPicture]]) -> float:
    """The largest value in these maps, with style "signed" the largest absolute value: the end of their scale."""
    return max((abs(p.map(s)) if s.style == "signed" else p.map(s)).max().item() for s, p in shown)


def percent(fraction: float) -> str:
    return "<1 %" if 0 < fraction < 0.005 else f"{100 * fraction:.0f} %"


def describe(settings: Settings, picture: ForwardedPicture, name: str = "") -> str:
    """What `draw` shows, in one sentence: where the map is strongest, what the box covers, how it fits the true box.
    name: what the sentence is about; "" is the class or the unit."""
    shown = f"unit {settings.unit}" if settings.unit is not None else picture.classes[picture.class_index(settings)]
    _, full, boxes = _map_and_boxes(settings, picture)
    if not len(boxes):
        return f"{name or shown}: no evidence anywhere, the map has no positive value, so there is no box."
    y, x = divmod(int(full.argmax()), full.shape[1])
    position = POSITIONS[3 * y // full.shape[0]][3 * x // full.shape[1]]
    covers = f"{100 * ((boxes[0, 2:] - boxes[0, :2]).prod() / full.numel()).item():.0f} % of the picture"
    facts = [f"box covers {covers}"]
    if len(boxes) > 1:
        several = f"{len(boxes)} boxes, the largest covers {covers}"
        facts = [several if settings.rule == "all" else f"{facts[0]} (smaller regions left out: {len(boxes) - 1})"]
    true = _true_boxes(settings, picture)
    if len(true):
        kept = boxes if settings.rule == "all" else boxes[:1]
        facts.append(f"IoU {box_iou(kept, true).max().item():.2f} with the true box (yellow)")
    return f"{name or shown}: strongest at the {position}, {', '.join(facts)}."


def identity(settings: Settings, picture: ForwardedPicture) -> str:
    """Does the map still add up to the class's score (lecture 12:10)? A sentence with both numbers."""
    logits = picture.cams.logits[0]
    logit = logits[picture.class_index(settings)].item()
    rebuilt = picture.focus(settings).rebuilt().item()
    if settings.weights == "as trained" and settings.off:
        units = "unit" if len(settings.off) == 1 else "units"
        return f"Without {units} {', '.join(map(str, settings.off))} the score is {rebuilt:.2f} instead of {logit:.2f}."
    subject = {
        "as trained": "The map",
        "softmax": "With the softmax of the weights the map",
        "positive": "With the positive weights only the map",
    }[settings.weights]
    holds = abs(rebuilt - logit) <= 1e-4 * max(logits.abs().max().item(), 1e-12)
    verdict = "the identity holds" if holds else "the identity is broken"
    numbers = f"adds up to {rebuilt:.2f}, the score is {logit:.2f}"
    return f"{subject} {numbers}: {verdict} (difference {abs(rebuilt - logit):.1g})."


def montage(images: Sequence[Image.Image], captions: Sequence[str], columns: int) -> Image.Image:
    """Images side by side, a caption above each."""
    width, height = (max(image.size[i] for image in images) for i in (0, 1))
    columns, rows = min(columns, len(images)), -(-len(images) // columns)
    sheet = Image.new("RGB", (columns * (width + 6) - 6, rows * (height + 22)), "white")
    pen = ImageDraw.Draw(sheet)
    for i, (image, caption) in enumerate(zip(images, captions, strict=True)):
        x, y = i % columns * (width + 6), i // columns * (height + 22)
        pen.text((x + 2, y + 3), _shortened(caption, width), "black", FONT)
        sheet.paste(image, (x, y + 20))
    return sheet


# -- below: helpers ---------------------------------------------------------------------------------------------


@lru_cache(maxsize=2)  # the image and its sentence ask for the same
def _map_and_boxes(settings: Settings, picture: ForwardedPicture) -> tuple[Tensor, Tensor, Tensor]:
    """-> the map (h,w), the same at the picture's size (H,W), the boxes of all its regions (M,4), largest first."""
    heat = picture.map(settings)
    full = resize(heat[None, None], picture.photo.size[::-1])[0]
    return heat, full[0], boxes_from_maps(full, settings.threshold, "all")[0]


def _true_boxes(settings: Settings, picture: ForwardedPicture) -> Tensor:
    if picture.truth is None or settings.unit is not None:
        return torch.zeros(0, 4)
    labels, boxes = picture.truth
    return boxes[labels == picture.class_index(settings)]


def _coloured(
    settings: Settings, picture: ForwardedPicture, limit: float | None
) -> tuple[Image.Image, tuple[str, str]]:
    """Styles with a colour scale, which is that of `pictures.overlay`: negative values are cut, but for "signed"."""
    heat, full, _ = _map_and_boxes(settings, picture)
    signed = settings.style == "signed"
    if limit is None and settings.scale == "shared" and settings.unit is None:
        limit = largest(picture, settings.weights)[signed]
    scale = "own scale" if limit is None else "shared scale"
    if limit is None:
        limit = shared_limit([(settings, picture)])
    high = max(limit, 1e-12)
    low = -high if signed else 0
    if settings.style == "grid":
        levels = drawing.to_levels(heat.numpy(), low, high).resize(picture.photo.size, Image.Resampling.NEAREST)
    else:
        levels = drawing.to_levels(full.numpy(), low, high)
    colours = drawing.SIGNED if signed else settings.colours
    opacity = np.ones(256) if settings.style == "map" else settings.opacity * OPACITY[settings.style]
    image = drawing.tint(levels, picture.grey, colours, opacity)
    return image, (f"{low:.3g} to {high:.3g}, {scale}", colours)


def _masked(settings: Settings, picture: ForwardedPicture, mask: np.ndarray) -> Image.Image:
    if settings.style == "dim":
        return drawing.darken(picture.photo, mask, settings.opacity)
    inner = ndimage.minimum_filter(mask, 5, mode="nearest")
    contour = Image.fromarray(((mask & ~inner) * (255 * settings.opacity)).astype(np.uint8))
    return Image.composite(Image.new("RGB", picture.photo.size, BOX), picture.photo, contour)


def _outline(pen: ImageDraw.ImageDraw, box: Sequence[float], colour: str, width: int, inset: int = 0) -> None:
    x1, y1 = box[0] + inset, box[1] + inset
    x2, y2 = max(x1, box[2] - 1 - inset), max(y1, box[3] - 1 - inset)
    pen.rectangle((x1, y1, x2, y2), outline=colour, width=width)


def _shortened(text: str, width: int) -> str:
    while text and FONT.getlength(text) > width - 4:
        text = text[:-2].rstrip("…") + "…" if len(text) > 2 else ""
    return text


@lru_cache(maxsize=64)
def _legend(width: int, words: str, colours: str | None) -> Image.Image:
    """The colours, where the picture has a scale, and what they mean."""
    strip, x = Image.new("RGB", (width, LEGEND_HEIGHT), "white"), 2
    if colours:
        bar = Image.fromarray(np.tile(np.arange(256, dtype=np.uint8), (12, 1)))
        bar.putpalette(drawing.palette(colours))
        strip.paste(bar.convert("RGB").resize((max(width // 4, 1), 12)), (x, 7))
        x += width // 4 + 5
    ImageDraw.Draw(strip).text((x, 5), _shortened(words, width - x), "black", FONT)
    return strip
