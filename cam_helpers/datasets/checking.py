"""Looking at every file once, when the data are opened, so that nothing breaks an hour later."""

from __future__ import annotations

import os
from typing import NamedTuple

import numpy as np
from PIL import Image

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
