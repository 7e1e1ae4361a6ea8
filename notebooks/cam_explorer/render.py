"""From settings and a forwarded picture to an image and a sentence: fast enough to follow the mouse."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torchvision.ops import box_iou

from cam_helpers import drawing
from cam_helpers.boxes import boxes_from_maps, region_above
from cam_helpers.maps import resize

from .settings import Settings
from .source import ForwardedPicture

__all__ = ["describe", "draw", "identity", "montage", "percent", "photo_png", "png", "point", "render", "shared_limit"]

BOX, TRUE_BOX, FIELD = drawing.BOX_COLOURS[:3]
RISING = np.minimum(2 * drawing.LEVELS, 1)  # without evidence the photo keeps its colours; from half of it on, all
OPACITY = {  # of each level, as a fraction of the settings' opacity
    "heat": RISING,
    "signed": np.minimum(abs(4 * drawing.LEVELS - 2), 1),
    "grid": RISING,
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
    """The picture with its map and boxes, or the peak of a difference; the cell that is pointed at, and what it can
    see; a legend below. limit: the value of the brightest colour, where several pictures share one scale."""
    _, full, boxes = _map_and_boxes(settings, picture)
    if settings.style == "dim":
        peak = max(0, full.max().item())
        image = drawing.darken(picture.photo, region_above(full, settings.threshold).numpy(), settings.opacity)
        legend = f"above {100 * settings.threshold:.0f} % of the map's maximum, {peak:.3g}", None
    else:
        image, legend = _coloured(settings, picture, limit)
    pen = ImageDraw.Draw(image)
    for box in _true_boxes(settings, picture).tolist():
        _outline(pen, box, TRUE_BOX, 2)
    for box in boxes.tolist():
        _strong(pen, box, BOX)
    if settings.against is not None:
        y, x = divmod(int(full.argmax()), full.shape[1])
        for radius, colour in ((9, "black"), (8, "white")):
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), outline=colour, width=2)
    if settings.cell is not None:
        _strong(pen, picture.field_box(settings.cell), FIELD)
        _strong(pen, picture.cell_box(settings.cell), "white")
    return Image.fromarray(np.vstack([image, _legend(image.width, *legend)]))


def shared_limit(shown: Iterable[tuple[Settings, ForwardedPicture]]) -> float:
    """The largest value in these maps, with style "signed" the largest absolute value: the end of their scale."""
    return max((abs(p.map(s)) if s.style == "signed" else p.map(s)).max().item() for s, p in shown)


def percent(fraction: float) -> str:
    return "<1 %" if 0 < fraction < 0.005 else f"{100 * fraction:.0f} %"


def describe(settings: Settings, picture: ForwardedPicture, name: str = "") -> str:
    """What `draw` shows, in one sentence: where the map is strongest, what the box covers, how it fits the true box; of
    two classes, by how much one leads. name: what the sentence is about; "" is the class or the unit."""
    name = name or (picture.shown(settings) if settings.unit is None else f"unit {settings.unit}")
    _, full, boxes = _map_and_boxes(settings, picture)
    if settings.against is not None and settings.unit is None:
        lead = picture.focus(settings).rebuilt().nan_to_num(0, 0, 0).item()  # as the map
        places = f"most for the first at the {_position(full)} (ring), for the second at the {_position(-full)}"
        return f"{name}: the lead is {lead:+.2f}; {places}."
    if not len(boxes):
        return f"{name}: no evidence anywhere, the map has no positive value, so there is no box."
    covers = f"{100 * ((boxes[0, 2:] - boxes[0, :2]).prod() / full.numel()).item():.0f} % of the picture"
    facts = [f"box covers {covers}"]
    if len(boxes) > 1:
        facts = [f"{len(boxes)} boxes, the largest covers {covers}"]
    true = _true_boxes(settings, picture)
    if len(true):
        facts.append(f"IoU {box_iou(boxes, true).max().item():.2f} with the true box (yellow)")
    return f"{name}: strongest at the {_position(full)}, {', '.join(facts)}."


def point(settings: Settings, picture: ForwardedPicture, listed: int = 3) -> str:
    """What the cell that is pointed at is worth, which units make it so, and how much of the picture it can see."""
    focus, (row, column) = picture.focus(settings), settings.cell
    units = focus.weight[0] * focus.features[0, :, row, column].float()
    value, name = units.sum().item(), picture.shown(settings)
    says = f"Row {row}, column {column}: {value:+.2f}"
    if focus.pool == "avg" and not focus.rectified:
        share, score = value / focus.features[0, 0].numel(), focus.rebuilt().item()
        says += f" by {focus.features[0, 0].numel()} cells is {share:+.3f} of the score {score:.2f} of {name}"
        says += f" ({100 * share / score:.1f} %)" if score > 0 else ""
    best = units.abs().topk(min(listed, len(units))).indices.tolist()
    made = ", ".join(f"unit {k} {units[k]:+.2f}" for k in best)
    says += f". Made by {made}, the others {value - units[best].sum():+.2f}."
    x1, y1, x2, y2 = picture.field_box(settings.cell)
    return f"{says} It can see {percent((x2 - x1) * (y2 - y1) / np.prod(picture.photo.size))} of the picture (pink)."


@lru_cache(maxsize=16)
def photo_png(picture: ForwardedPicture) -> tuple[bytes, str]:
    """The picture without a map, in its colours, with the boxes of all objects that are known -> PNG, its text."""
    image, text = picture.photo.copy(), picture.name
    if picture.truth is not None:
        labels, boxes = picture.truth
        pen = ImageDraw.Draw(image)
        for box in boxes.tolist():
            _strong(pen, box, TRUE_BOX)
        names = dict.fromkeys(picture.classes[c] for c in labels.tolist())
        text += f"; true (yellow): {', '.join(names) or 'nothing'}"
    return png(Image.fromarray(np.vstack([image, _legend(image.width, text, None)]))), text


def identity(settings: Settings, picture: ForwardedPicture, units: Sequence[int] = ()) -> str:
    """The score of the class as a sum in words (lecture 12:10): what these units add, all others, and the constant;
    with other weights, or units switched off, also what the score is as trained."""
    focus, shares = picture.focus(settings), picture.shares(settings)
    shares[list(settings.off)] = 0
    listed, total, logit = shares[list(units)].sum().item(), focus.rebuilt().item(), focus.logits.item()
    others = f"{listed:+.2f}, the other {len(shares) - len(units)} {shares.sum().item() - listed:+.2f}"
    said = f"{len(units)} units add {others}" if len(units) else f"The units add {shares.sum():+.2f}"
    said += f", the constant {total - shares.sum().item():+.2f}: {total:.2f}"
    if abs(total - logit) <= 1e-4 * max(picture.cams.logits.abs().max().item(), 1e-12):
        return f"{said}, the score."
    return f"{said}. As trained, with all units, the score is {logit:.2f}."


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
    """-> the map (h,w), the same at the picture's size (H,W), its boxes (M,4): none of a difference of two classes, nor
    where a cell is pointed at."""
    heat = picture.map(settings)
    full = resize(heat[None, None], picture.photo.size[::-1])[0]
    if settings.against is not None or settings.cell is not None:
        return heat, full[0], torch.zeros(0, 4)
    return heat, full[0], boxes_from_maps(full, settings.threshold, settings.rule)[0]


def _position(full: Tensor) -> str:
    y, x = divmod(int(full.argmax()), full.shape[1])
    return POSITIONS[3 * y // full.shape[0]][3 * x // full.shape[1]]


def _true_boxes(settings: Settings, picture: ForwardedPicture) -> Tensor:
    if picture.truth is None or settings.unit is not None or settings.against is not None:
        return torch.zeros(0, 4)
    labels, boxes = picture.truth
    return boxes[labels == picture.class_index(settings)]


def _coloured(
    settings: Settings, picture: ForwardedPicture, limit: float | None
) -> tuple[Image.Image, tuple[str, str]]:
    """Styles with a colour scale, which is that of `pictures.overlay`: negative values are cut, but for "signed"."""
    heat, full, _ = _map_and_boxes(settings, picture)
    signed = settings.style == "signed"
    scale = "own scale" if limit is None and settings.scale == "own" else "shared"
    if limit is None:  # units that are switched off leave the scale as it is
        whose = settings if settings.scale == "own" else replace(settings, label=None, unit=None)
        limit = shared_limit([(replace(whose, off=()), picture)])
    high = max(limit, 1e-12)
    low = -high if signed else 0
    if settings.style == "grid":
        levels = drawing.to_levels(heat.numpy(), low, high).resize(picture.photo.size, Image.Resampling.NEAREST)
    else:
        levels = drawing.to_levels(full.numpy(), low, high)
    colours = drawing.SIGNED if signed else drawing.HEAT
    opacity = np.ones(256) if settings.style == "map" else settings.opacity * OPACITY[settings.style]
    image = drawing.tint(levels, picture.photo, colours, opacity)
    return image, (f"{low:.3g} to {high:.3g}, {scale}", colours)


def _strong(pen: ImageDraw.ImageDraw, box: Sequence[float], colour: str) -> None:
    _outline(pen, box, "black", 5)
    _outline(pen, box, colour, 3, inset=1)


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
