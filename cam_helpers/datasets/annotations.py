"""Boxes as an annotation file tells them, and how they are fitted to the picture they belong to."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple
from xml.etree.ElementTree import ParseError

import torch
from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import parse
from torchvision.ops import clip_boxes_to_image

from . import conventions
from .checking import Look
from .problems import Problems


class AnnotationError(ValueError):
    """An annotation file cannot be used; the text says why."""


class Thing(NamedTuple):
    """One box as it was found; corners: left, top, right, bottom, inclusive; nan where the file has no number."""

    name: str
    corners: list[float]
    difficult: bool = False


@dataclass
class Annotation:
    """What a file says about one picture, unchecked.

    origin: the number of the first pixel. size: (H, W) of the picture that the boxes were drawn on, if told.
    stretched: the picture is a resized copy of it.
    """

    things: list[Thing] = field(default_factory=list)
    size: tuple[int, int] | None = None
    origin: int = 1
    stretched: bool = False


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
        name, difficult = ((thing.findtext(tag) or "").strip() for tag in ("name", "difficult"))
        corners = [_number(thing.findtext(f"bndbox/{corner}")) for corner in ("xmin", "ymin", "xmax", "ymax")]
        found.things.append(Thing(name, corners, difficult == "1"))
    return found


def read_or_list(xml: str | os.PathLike, picture: str, problems: Problems, action: str) -> Annotation | None:
    """The annotation, or None and a line in the list of problems."""
    try:
        return read_voc_xml(xml)
    except FileNotFoundError:
        problems.add(picture, "has no annotation", action)
    except (AnnotationError, OSError) as error:
        problems.add(xml, error, action)
    return None


def fit_boxes(annotation: Annotation, look: Look) -> tuple[torch.Tensor, list[Thing], list[tuple[str, str]]]:
    """The annotation's boxes in the picture as it is read: upright, at its own size.

    Returns boxes float32 (M, 4), the things they belong to, and problems (reason, action).
    """
    size, told = look.size, annotation.size
    picture, change, kept, wrong = f"{size[1]}×{size[0]}", torch.as_tensor, [], []
    if told is not None and told != size:
        sizes = f"is for a picture of {told[1]}×{told[0]}, it is {picture}"
        scale = partial(conventions.scale_boxes, old=told, new=size)
        if 0 in told:
            wrong.append((f"gives the picture's size as {told[1]}×{told[0]}", "boxes used as they are"))
        elif annotation.stretched:
            change = scale
        elif look.orientation in conventions.ROTATED and told == size[::-1]:
            change = partial(conventions.turn_boxes, orientation=look.orientation, size=told)
            wrong.append((f"{sizes} upright", "boxes turned with the picture"))
        elif abs(told[0] * size[1] - told[1] * size[0]) <= 0.02 * told[0] * size[1]:
            change = scale
            wrong.append((sizes, "boxes scaled with the picture"))
        else:  # cropped, or another picture: where the boxes belong cannot be known
            return torch.zeros(0, 4), [], [(sizes, "boxes left out")] if annotation.things else []
    found = torch.tensor([thing.corners for thing in annotation.things]).reshape(-1, 2, 2)
    ordered = found.sort(1).values.flatten(1)  # left before right, top before bottom
    boxes = change(conventions.from_inclusive(ordered, annotation.origin))
    inside = clip_boxes_to_image(boxes, size)
    empty = (inside[:, :2] >= inside[:, 2:]).any(1)
    # half the tools count from 0 and half from 1: one pixel over the edge is a convention, not a mistake
    cut = (boxes - inside).abs().amax(1) > 1
    for k, corners in enumerate(found.flatten(1)):
        said = f"box {k + 1} ({', '.join(f'{v:g}' for v in annotation.things[k].corners)})"
        if not corners.isfinite().all():
            wrong.append((f"{said} has a corner that is no number", "box left out"))
            continue
        if (corners[:2] == corners[2:]).any():  # with inclusive corners one pixel, in practice a slip of the hand
            wrong.append((f"{said} has no area", "box left out"))
            continue
        if (corners[:2] > corners[2:]).any():
            wrong.append((f"{said} is inverted", "corners exchanged"))
        if empty[k]:
            wrong.append((f"{said} is outside the picture of {picture}", "box left out"))
            continue
        if cut[k]:
            wrong.append((f"{said} reaches out of the picture of {picture}", "box cut at the edge"))
        kept.append(k)
    return inside[kept], [annotation.things[k] for k in kept], wrong


def _number(text: str | None) -> float:
    try:
        value = float(text)
    except (TypeError, ValueError):
        return float("nan")
    return value if abs(value) < 1e9 else float("nan")
