"""Heat as colour over a picture, and a picture darkened outside a mask: the one drawing behind figures and widgets.

Pillow blends 8-bit levels, with one colour and one opacity a level: fast enough for a widget that follows the mouse.
Everything has the picture's size; `maps.resize` brings a map to it.
"""

from __future__ import annotations

from functools import lru_cache

import matplotlib
import numpy as np
from PIL import Image

__all__ = ["BOX_COLOURS", "HEAT", "LEVELS", "RISING", "SIGNED", "darken", "grey", "palette", "tint", "to_levels"]

HEAT, SIGNED = "inferno", "RdBu_r"  # perceptually uniform; red for the class, blue against it
BOX_COLOURS = ("#00e0ff", "#ffd400", "#ff5ec4", "#7dff6a", "#ffffff")

LEVELS = np.arange(256) / 255
RISING = 0.25 + 0.75 * LEVELS  # opacity of heat: clearer where the map is higher


def to_levels(heat: np.ndarray, low: float, high: float) -> Image.Image:
    """(H,W) float -> 8-bit levels: `low` and what is below it becomes 0, `high` and what is above it 255."""
    levels = np.rint((heat - low) * (255 / (high - low)))
    return Image.fromarray(levels.clip(0, 255).astype(np.uint8))


def tint(levels: Image.Image, under: Image.Image, colours: str, opacity: np.ndarray) -> Image.Image:
    """Blend the levels' colours over an RGB picture.

    Args:
        levels: 8-bit levels, as `to_levels` gives them
        under: the RGB picture of the same size
        colours: the name of a matplotlib colour map
        opacity: (256,), from 0 to 1: how much each level covers the picture
    """
    mask = levels.point(np.rint(255 * opacity).astype(int).tolist())
    coloured = levels.copy()
    coloured.putpalette(palette(colours))
    return Image.composite(coloured.convert("RGB"), under, mask)


def grey(photo: Image.Image) -> Image.Image:
    """The mean of the three channels, as RGB: under heat, every hue then comes from the colour map."""
    return photo.convert("L", (1 / 3, 1 / 3, 1 / 3, 0)).convert("RGB")


def darken(photo: Image.Image, keep: np.ndarray, darkness: float) -> Image.Image:
    """Take the part `darkness` (0 to 1) of the light outside the boolean mask `keep` (H,W); lecture 19:43."""
    dark = photo.point([round(value * (1 - darkness)) for value in range(256)] * 3)
    return Image.composite(photo, dark, Image.fromarray(keep))


@lru_cache
def palette(colours: str) -> bytes:
    """256 RGB colours of a matplotlib colour map, as `Image.putpalette` takes them."""
    return (matplotlib.colormaps[colours](np.arange(256))[:, :3] * 255).round().astype(np.uint8).tobytes()
