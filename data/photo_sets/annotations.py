"""Boxes as an annotation file tells them, and how they are fitted to the picture they belong to.

Ours are xyxy in pixels, x2 and y2 exclusive: a box around the single pixel in column 3, row 5 is (3, 5, 4, 6).
"""

import os
from dataclasses import dataclass, field
from typing import NamedTuple
from xml.etree.ElementTree import ParseError

import torch
from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import parse
from torch import Tensor
from torchvision.ops import clip_boxes_to_image
from torchvision.transforms.v2.functional import resize
from torchvision.tv_tensors import BoundingBoxes

from .checking import ROTATED, Look


class AnnotationError(ValueError):
    """An annotation file cannot be used; the text says why."""


class AnnotatedObject(NamedTuple):
    """One object as the file has it; corners: left, top, right, bottom; nan where there is no number.

    outline: see `outlines`; None where only the box is known. text: the word, of an object that is one.
    """

    name: str
    corners: list[float]
    outline: object = None
    text: str = ""


@dataclass
class Annotation:
    """What a file says about one picture, unchecked.

    origin: the number of the first pixel, where corners are pixels that both belong to the box; exclusive: they are
    distances instead, as ours. size: (H, W) of the picture that the boxes were drawn on, if told. stretched: the
    picture is a resized copy of it.
    """

    objects: list[AnnotatedObject] = field(default_factory=list)
    size: tuple[int, int] | None = None
    origin: int = 1
    stretched: bool = False
    exclusive: bool = False


def read_voc_xml(path: str | os.PathLike) -> Annotation:
    """Read a PASCAL VOC annotation (as labelImg and many tools write it). XML entities, a way to attack, are refused.

    A corner that is no number becomes nan, for `fit_boxes` to report. Raises AnnotationError, or OSError.
    """
    if os.path.getsize(path) > 10_000_000:
        raise AnnotationError("is larger than 10 MB, too large for one picture's boxes")
    try:
        root = parse(os.fspath(path)).getroot()
    except DefusedXmlException as error:
        raise AnnotationError(f"declares entities, which may hide an attack ({type(error).__name__})") from None
    except (ParseError, ValueError, LookupError) as error:
        raise AnnotationError(f"is not well-formed XML ({error})") from None
    if root.tag != "annotation":
        raise AnnotationError(f"is not a PASCAL VOC annotation: its root is <{root.tag}>, not <annotation>")
    annotation = Annotation()
    if root.find("size") is not None:
        height, width = number(root.findtext("size/height")), number(root.findtext("size/width"))
        annotation.size = (int(height), int(width)) if height >= 0 and width >= 0 else (0, 0)
    for item in root.iter("object"):
        corners = [number(item.findtext(f"bndbox/{corner}")) for corner in ("xmin", "ymin", "xmax", "ymax")]
        annotation.objects.append(AnnotatedObject((item.findtext("name") or "").strip(), corners))
    return annotation


def number(text: object) -> float:
    """A number that can be a position in a picture; nan for anything else."""
    try:
        value = float(text)
    except (TypeError, ValueError, OverflowError):
        return float("nan")
    return value if abs(value) < 1e9 else float("nan")


def fit_boxes(annotation: Annotation, look: Look) -> tuple[Tensor, list[AnnotatedObject], list[tuple[str, str]]]:
    """The annotation's boxes in the picture as it is read: upright, at its own size.

    Returns boxes float32 (M, 4), their objects, and problems (reason, action).
    """
    corners = torch.tensor([item.corners for item in annotation.objects]).reshape(-1, 4)
    first, last = corners[:, :2], corners[:, 2:]
    ordered = torch.cat((first.minimum(last), first.maximum(last)), 1)  # left before right, top before bottom
    given = ordered if annotation.exclusive else from_inclusive(ordered, annotation.origin)
    boxes, problems = _to_the_picture(given, annotation, look)
    if boxes is None:
        return torch.zeros(0, 4), [], problems
    inside, picture = clip_boxes_to_image(boxes, look.size), f"the picture of {look.size[1]}×{look.size[0]}"
    checks = [
        (~corners.isfinite().all(1), "has a corner that is no number", "box left out"),
        (((corners >= 0) & (corners <= 1)).all(1), "lies between 0 and 1: fractions, not pixels", "box left out"),
        # with inclusive corners one pixel, in practice a slip of the hand
        ((first == last).any(1), "has no area", "box left out"),
        ((inside[:, :2] >= inside[:, 2:]).any(1), f"is outside {picture}", "box left out"),
        ((first > last).any(1), "is inverted", "corners exchanged"),
        # half the tools count from 0 and half from 1: one pixel over the edge is a convention, not a mistake
        ((boxes - inside).abs().amax(1) > 1, f"reaches out of {picture}", "box cut at the edge"),
    ]
    checks, kept = [(failed.tolist(), reason, action) for failed, reason, action in checks], []
    for k, item in enumerate(annotation.objects):
        box = f"box {k + 1} ({', '.join(f'{v:g}' for v in item.corners)})"
        found = [(f"{box} {reason}", action) for failed, reason, action in checks if failed[k]]
        left_out = [problem for problem in found if problem[1] == "box left out"]
        problems += left_out[:1] or found
        if not left_out:
            kept.append(k)
    return inside[kept], [annotation.objects[k] for k in kept], problems


def _to_the_picture(boxes: Tensor, annotation: Annotation, look: Look) -> tuple[Tensor | None, list[tuple[str, str]]]:
    """Boxes moved from the picture that they were drawn on to the one that is read; None where that is impossible."""
    told, size = annotation.size, look.size
    if told is None or told == size:
        return boxes, []
    if 0 in told:
        return boxes, [(f"gives the picture's size as {told[1]}×{told[0]}", "boxes used as they are")]
    if annotation.stretched:
        return scale_boxes(boxes, told, size), []
    sizes = f"is for a picture of {told[1]}×{told[0]}, it is {size[1]}×{size[0]}"
    if look.orientation in ROTATED and told == size[::-1]:
        turned = turn_boxes(boxes, look.orientation, told)
        return turned, [(f"{sizes} upright", "boxes turned with the picture")]
    if abs(told[0] * size[1] - told[1] * size[0]) <= 0.02 * told[0] * size[1]:
        return scale_boxes(boxes, told, size), [(sizes, "boxes scaled with the picture")]
    # cropped, or another picture: where the boxes belong cannot be known
    return None, [(sizes, "boxes left out")] if len(boxes) else []


def from_inclusive(boxes: Tensor, origin: int = 0) -> Tensor:
    """Corners that both belong to the box, the first pixel counted as `origin` (PASCAL VOC: 1) → ours, (…, 4)."""
    return boxes + torch.tensor([-origin, -origin, 1 - origin, 1 - origin])


def scale_boxes(boxes: Tensor, old: tuple[int, int], new: tuple[int, int]) -> Tensor:
    """Boxes (M, 4) of a picture of size `old` (H, W) in the same picture stretched to size `new` (H, W)."""
    return resize(BoundingBoxes(boxes, format="XYXY", canvas_size=old), list(new)).as_subclass(Tensor)


def turn_boxes(boxes: Tensor, orientation: int, size: tuple[int, int]) -> Tensor:
    """Boxes (M, 4) drawn on the pixels as stored, size (H, W), in the picture turned upright (EXIF orientation 5–8)."""
    height, width = size
    x1, y1, x2, y2 = boxes.unbind(-1)
    if orientation in (7, 8):  # left and right change places
        x1, x2 = width - x2, width - x1
    if orientation in (6, 7):  # top and bottom change places
        y1, y2 = height - y2, height - y1
    return torch.stack([y1, x1, y2, x2], -1)
