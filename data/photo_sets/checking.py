"""Looking at every file once, when a set is opened, and the list of everything that was wrong with the files."""

import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from cam_helpers.images import MAX_PIXELS, PictureError, read_picture

ROTATED = (5, 6, 7, 8)  # EXIF orientations that exchange width and height


class MissingData(FileNotFoundError):
    """The data are not where they were expected. The text says where to get them and how to ask for the download."""


class Problem(NamedTuple):
    """file: relative to the root, safe to print; reason: what is wrong with it; action: what was done about it."""

    file: str
    reason: str
    action: str


class Problems(list):
    """A list of Problem that knows the set's root and lists nothing twice."""

    def __init__(self, root: str | os.PathLike, found: Sequence[Problem] = ()):
        super().__init__(found)
        self.root, self._listed = os.fspath(root), set(found)

    def add(self, file: str | os.PathLike, reason: object, action: str) -> None:
        name = os.fspath(file)
        if isinstance(reason, FileNotFoundError):
            reason = "is missing"
        # a reader's error repeats the whole path: the file column has it already
        text = printable(str(reason)).replace(printable(name), "it")
        if os.path.isabs(name):
            name = os.path.relpath(name, self.root)
        problem = Problem(printable(name), " ".join(text.split()), action)
        if problem not in self._listed:
            self._listed.add(problem)
            self.append(problem)


def printable(name: str) -> str:
    """A file name that is not UTF-8 with its odd bytes spelled out (caf\\xe9.jpg), so that it can be shown anywhere."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


class Look(NamedTuple):
    """size: (H, W) upright; orientation: 1–8 as EXIF has it; note: something odd but harmless, or ""."""

    size: tuple[int, int]
    orientation: int
    note: str


def inspect_picture(path: str | os.PathLike, decode: bool = True) -> Look:
    """Measure a picture and make sure that it can be read; decode=False trusts its header (many times faster).

    Raises PictureError or OSError as `read_picture` does.
    """
    try:
        with Image.open(path, formats=["JPEG"]) as jpeg:  # the common case, several times faster
            width, height = jpeg.size
            orientation, kind = jpeg.getexif().get(0x0112, 1), jpeg.format
            if decode:
                jpeg.draft("L", (1, 1))  # an eighth of the size, but every byte is read
                jpeg.load()
            readable = width * height <= MAX_PIXELS
    except Exception:  # not a JPEG, or a damaged one
        readable = False
    if not readable:
        height, width = read_picture(path).shape[1:]  # decides, and says what is wrong
        with Image.open(path) as picture:
            orientation, kind = 1, picture.format
    elif orientation in ROTATED:
        width, height = height, width
    named = Image.registered_extensions().get(os.path.splitext(os.fspath(path))[1].lower())
    odd = named != kind and {named, kind} != {"JPEG", "MPO"}
    return Look((height, width), orientation, f"holds {kind}, which its name does not say" if odd else "")


def read_label_map(path: str | os.PathLike, size: tuple[int, int]) -> np.ndarray:
    """A label picture (PNG, grey or palette) as its raw numbers: uint8 (H, W).

    Raises PictureError when it is no such picture or not of the given size, OSError when it cannot be opened.
    """
    with open(path, "rb") as file:
        try:
            with Image.open(file, formats=["PNG"]) as picture:
                mode, (width, height), numbers = picture.mode, picture.size, np.array(picture, dtype=np.uint8)
        except Exception as error:  # a decoder fed with damaged bytes may raise anything at all
            raise PictureError(f"cannot be read as a label picture ({error})") from error
    if mode not in ("L", "P", "1"):
        raise PictureError(f"has the mode {mode}, not one number a pixel")
    if (height, width) != tuple(size):
        raise PictureError(f"is {width}×{height}, its picture is {size[1]}×{size[0]}")
    return numbers
