"""Looking at every file once, when the data are opened, so that nothing breaks an hour later."""

from __future__ import annotations

import math
import os
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from tqdm.auto import tqdm

from ..images import PictureError, read_picture
from . import conventions


class Look(NamedTuple):
    """size: (H, W) upright; orientation: 1–8 as EXIF has it; note: something odd but harmless, or ""."""

    size: tuple[int, int]
    orientation: int
    note: str


def look_at(path: str | os.PathLike, decode: bool = True) -> Look:
    """Measure a picture and make sure that it can be read. Raises PictureError or OSError as `read_picture` does.

    decode  False trusts the header: many times faster, but a file that was cut off is found out only when it is used.
    """
    try:
        with Image.open(path, formats=["JPEG"]) as jpeg:  # the common case, several times faster
            (width, height), orientation = jpeg.size, jpeg.getexif().get(0x0112, 1)
            if decode:
                jpeg.draft("L", (1, 1))  # an eighth of the size, but every byte is read
                jpeg.load()
            kind, quick = jpeg.format, width * height <= 50_000_000
    except Exception:  # not a JPEG, or a bad one
        quick = False
    if not quick:
        height, width = read_picture(path).shape[1:]  # has the last word, and the words
        with Image.open(path) as picture:
            kind, orientation = picture.format, 1
    elif orientation in conventions.ROTATED:
        width, height = height, width
    named = Image.registered_extensions().get(os.path.splitext(os.fspath(path))[1].lower())
    odd = named != kind and {named, kind} != {"JPEG", "MPO"}
    return Look((height, width), orientation, f"holds {kind}, which its name does not say" if odd else "")


def look_at_all(function, items: list, what: str = "checking pictures") -> list:
    """function(item) for every item, on a few threads, with a progress bar; an exception is returned, not raised."""

    def guarded(item):
        try:
            return function(item)
        except (PictureError, OSError) as error:
            return error

    with ThreadPoolExecutor(min(8, (os.cpu_count() or 1) + 1)) as pool:
        bar = tqdm(pool.map(guarded, items), what, len(items), disable=len(items) < 500, leave=False, unit="file")
        return list(bar)


def read_index_map(path: str | os.PathLike, size: tuple[int, int]) -> np.ndarray:
    """A label picture (PNG, grey or palette) as its raw numbers: uint8 (H, W).

    Raises PictureError when it is no such picture or not of the given size, OSError when it cannot be opened.
    """
    with open(path, "rb") as file:
        try:
            with Image.open(file, formats=["PNG"]) as picture:
                if picture.mode not in ("L", "P", "1"):
                    raise PictureError(f"has the mode {picture.mode}, not one number a pixel")
                if picture.size != tuple(size[::-1]):
                    wrong, right = "×".join(map(str, picture.size)), f"{size[1]}×{size[0]}"
                    raise PictureError(f"is {wrong}, its picture is {right}")
                return np.array(picture, dtype=np.uint8)
        except PictureError:
            raise
        except Exception as error:
            raise PictureError(f"cannot be read as a label picture ({error})") from error


def tidy_boxes(corners: list, size: tuple[int, int], convert=torch.as_tensor) -> tuple[torch.Tensor, list[int], list]:
    """The boxes that can be used, of boxes as they were found.

    corners  list of four numbers: left, top, right, bottom, in the convention of their file
    size     (H, W) of the picture
    convert  from that convention to ours (see `conventions`)

    Returns float32 (M, 4), which of the given boxes these are, and what was wrong: pairs (reason, action).
    """
    height, width = size
    good, kept, wrong = [], [], []
    for index, corner in enumerate(corners):
        x1, y1, x2, y2 = map(float, corner)
        said = f"box {index + 1} ({', '.join(f'{v:g}' for v in (x1, y1, x2, y2))})"
        if not all(map(math.isfinite, (x1, y1, x2, y2))):
            wrong.append((f"{said} has a corner that is no number", "box left out"))
            continue
        if x2 == x1 or y2 == y1:  # with inclusive corners one pixel, in practice a slip of the hand
            wrong.append((f"{said} has no area", "box left out"))
            continue
        if x2 < x1 or y2 < y1:
            x1, x2, y1, y2 = min(x1, x2), max(x1, x2), min(y1, y2), max(y1, y2)
            wrong.append((f"{said} is inverted", "corners exchanged"))
        box = convert(torch.tensor([x1, y1, x2, y2])).tolist()
        inside = max(box[0], 0.0), max(box[1], 0.0), min(box[2], float(width)), min(box[3], float(height))
        if inside[0] >= inside[2] or inside[1] >= inside[3]:
            wrong.append((f"{said} is outside the picture of {width}×{height}", "box left out"))
            continue
        # half the tools count from 0 and half from 1: one pixel over the edge is a convention, not a mistake
        if max(abs(a - b) for a, b in zip(inside, box, strict=True)) > 1:
            wrong.append((f"{said} reaches out of the picture of {width}×{height}", "box cut at the edge"))
        good.append(inside)
        kept.append(index)
    return torch.tensor(good, dtype=torch.float32).reshape(-1, 4), kept, wrong
