"""One tolerant reader for pictures of any kind: whatever the file holds, the result is RGB, upright and 8 bits deep."""

import contextlib
import io
import os
from typing import IO

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError

# Only formats that are decoded inside Pillow: EPS, for one, would give an unchecked file to another program.
_FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "PPM", "AVIF", "JPEG2000", "TGA", "ICO")
MAX_PIXELS = 50_000_000


class PictureError(ValueError):
    """A picture cannot be used. The text says why, and what to do about it."""


def read_picture(
    source: str | os.PathLike | bytes | IO[bytes] | Image.Image, max_pixels: int = MAX_PIXELS
) -> torch.Tensor:
    """Read a picture as RGB, turned the way its EXIF orientation asks: uint8 (3, H, W).

    Grey becomes three equal channels, transparency is laid on white, palettes and CMYK become RGB, 16 bits a pixel
    are scaled by the full range (0–65535 to 0–255; floats from 0–1, or else from their own minimum–maximum).
    Of an animation, the first frame.

    source      a path, the bytes of a file, an open binary file, or a PIL image.
    max_pixels  pictures with more are refused from their header, before any pixel is decoded.

    Raises PictureError when it is no picture, is cut off, or is too large; OSError (FileNotFoundError …) when the file
    cannot be opened; TypeError when `source` is something else.
    """
    if isinstance(source, (str, os.PathLike)):
        with open(source, "rb") as file:  # a missing file is the caller's OSError, not a bad picture
            return _read(file, os.fsdecode(source), max_pixels)
    if isinstance(source, Image.Image):
        return _read(source, "this picture", max_pixels)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _read(io.BytesIO(source), "these bytes", max_pixels)
    if hasattr(source, "read"):
        return _read(source, str(getattr(source, "name", "this file")), max_pixels)
    raise TypeError(f"expected a path, bytes, an open binary file or a PIL image, got {type(source).__name__}")


def _read(source: IO[bytes] | Image.Image, name: str, max_pixels: int) -> torch.Tensor:
    try:
        if isinstance(source, Image.Image):
            return _decode(source, name, max_pixels)
        Image.init()
        with Image.open(source, formats=[f for f in _FORMATS if f in Image.OPEN]) as picture:
            return _decode(picture, name, max_pixels)
    except PictureError:
        raise
    except UnidentifiedImageError:
        hint = "is empty" if not _first_byte(source) else "is not a picture that can be read"
        raise PictureError(f"{name} {hint}: fetch it again, or save it as JPEG or PNG") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):  # the warning, where warnings are errors
        raise PictureError(_too_large(name, "more pixels than are safe", max_pixels)) from None
    except Exception as error:  # a decoder fed with damaged bytes may raise anything at all
        raise PictureError(f"{name} is damaged or cut off ({error}): fetch or copy it again") from error


def _decode(picture: Image.Image, name: str, max_pixels: int) -> torch.Tensor:
    width, height = picture.size
    if width * height > max_pixels:
        raise PictureError(_too_large(name, f"{width}×{height} pixels", max_pixels))
    if not width or not height:
        raise PictureError(f"{name} has no pixels ({width}×{height}): leave it out")
    picture.load()
    with contextlib.suppress(Exception):  # a broken EXIF block is no reason to lose the picture
        picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith(("I", "F")):
        picture = Image.fromarray(_to_8_bits(np.asarray(picture)))
    elif picture.has_transparency_data:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1).contiguous()


def _to_8_bits(grey: np.ndarray) -> np.ndarray:
    """Deep grey values: by the full range of 16 bits or of 0–1 where they fit it, else by what they hold."""
    full = 65535.0 if np.issubdtype(grey.dtype, np.integer) else 1.0
    values = np.nan_to_num(grey.astype(np.float64), posinf=0.0, neginf=0.0)
    low, high = values.min(), values.max()
    if low >= 0 and high <= full:
        low, high = 0.0, full
    return np.round((values - low) * (255 / max(high - low, 1e-12))).astype(np.uint8)


def _too_large(name: str, size: str, max_pixels: int) -> str:
    return f"{name} has {size}, the limit is {max_pixels:,}: make it smaller, or pass a larger max_pixels"


def _first_byte(file: IO[bytes]) -> bytes:
    try:
        file.seek(0)
        return file.read(1)
    except (OSError, ValueError):  # a stream that cannot go back
        return b"?"
