"""Boxes as an annotation file tells them, and how they are fitted to the picture they belong to."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from xml.etree.ElementTree import ParseError

import torch
from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import parse

from . import conventions
from .checking import Look, tidy_boxes


class AnnotationError(ValueError):
    """An annotation file cannot be used; the text says why."""


@dataclass
class Annotation:
    """What a file says about one picture, unchecked.

    names, corners, difficult: one entry a box; the corners (left, top, right, bottom) are inclusive, the first pixel is
    `origin`. size: (H, W) of the picture they were drawn on, if told. stretched: the picture is a resized copy of it.
    """

    names: list[str] = field(default_factory=list)
    corners: list[list[float]] = field(default_factory=list)
    difficult: list[bool] = field(default_factory=list)
    size: tuple[int, int] | None = None
    origin: int = 1
    stretched: bool = False

    def only(self, indices) -> Annotation:
        """The same with these boxes only."""
        names, corners, difficult = ([x[i] for i in indices] for x in (self.names, self.corners, self.difficult))
        return Annotation(names, corners, difficult, self.size, self.origin, self.stretched)


def read_voc_xml(path: str | os.PathLike) -> Annotation:
    """Read a PASCAL VOC annotation (as labelImg and many tools write it). A stranger's XML: entities are refused.

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
    found = Annotation()
    if root.find("size") is not None:
        height, width = (_number(root.findtext(f"size/{side}")) for side in ("height", "width"))
        found.size = (int(height), int(width)) if height >= 0 and width >= 0 else (0, 0)
    for thing in root.iter("object"):
        found.names.append((thing.findtext("name") or "").strip())
        found.corners.append([_number(thing.findtext(f"bndbox/{c}")) for c in ("xmin", "ymin", "xmax", "ymax")])
        found.difficult.append((thing.findtext("difficult") or "").strip() == "1")
    return found


def fit_boxes(annotation: Annotation, look: Look) -> tuple[torch.Tensor, list[int], list[tuple[str, str]]]:
    """The annotation's boxes in the picture as it is read: upright, at its own size.

    Returns boxes float32 (M, 4), which of the annotation's boxes they are, and problems (reason, action).
    """
    size, told = look.size, annotation.size
    wrong = []

    def convert(corners):
        return conventions.from_inclusive(corners, annotation.origin)

    def scale(corners):
        return conventions.scale_boxes(convert(corners), told, size)

    def turn(corners):
        return conventions.turn_boxes(convert(corners), look.orientation, told)

    how = convert
    if told is not None and told != size:
        sizes = f"is for a picture of {told[1]}×{told[0]}, it is {size[1]}×{size[0]}"
        if 0 in told:
            wrong.append((f"gives the picture's size as {told[1]}×{told[0]}", "boxes used as they are"))
        elif annotation.stretched:
            how = scale
        elif look.orientation in conventions.ROTATED and told == size[::-1]:
            how = turn
            wrong.append((f"{sizes} upright", "boxes turned with the picture"))
        elif abs(told[0] * size[1] - told[1] * size[0]) <= 0.02 * told[0] * size[1]:
            how = scale
            wrong.append((sizes, "boxes scaled with the picture"))
        else:  # cropped, or another picture: where the boxes belong cannot be known
            return torch.zeros(0, 4), [], [(sizes, "boxes left out")] if annotation.corners else []
    boxes, kept, more = tidy_boxes(annotation.corners, size, how)
    return boxes, kept, wrong + more


def _number(text: str | None) -> float:
    try:
        value = float(text)
    except (TypeError, ValueError):
        return float("nan")
    return value if abs(value) < 1e9 else float("nan")
