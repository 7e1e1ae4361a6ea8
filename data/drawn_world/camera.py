"""The camera: light over the whole scene, then lens, white balance and sensor noise."""

import numpy as np
from PIL import Image, ImageFilter

from .textures import noise

_AT = np.arange(256)
TONES = ((_AT + (_AT * _AT * (765 - 2 * _AT) + 32512) // 65025) // 2).astype(np.uint8)  # a film's gentle S


def light(rgb: np.ndarray, dice, strength: float, warmth: float = 0.0) -> None:
    """Uneven light on int32 rgb (size,size,3), in place: brighter at the upper left, patches of shade, dark corners.

    Args:
        rgb: the scene
        dice: random numbers
        strength: 0 (even light) to 1
        warmth: -1 (cold) to 1 (warm)
    """
    size = rgb.shape[0]
    at = (np.arange(size, dtype=np.int64) * 2 + 1 - size) * 256 // size  # -256 … 256 across the picture
    x, y = at[None, :], at[:, None]
    slope_x, slope_y = round(dice.between(-60, 10) * strength), round(dice.between(-60, 0) * strength)
    corners = round(dice.between(5, 45) * strength)
    patches = (noise(dice, size, 2, 2, 1).astype(np.int64) - 128) * round(dice.between(0, 110) * strength) >> 8
    gain = 276 + round(dice.between(-40, 40) * strength)
    gain = gain + ((x * slope_x + y * slope_y - (x * x + y * y >> 8) * corners) >> 8) + patches
    balance = [256 + round(v) for v in (warmth * 34, warmth * 6, -warmth * 40)]
    rgb[:] = (rgb * gain[..., None] >> 8) * np.array(balance) >> 8


def cast(dice, spread: float) -> np.ndarray:
    """A random white balance: gains of the three channels, 256 = 1; spread 0 (none) – 1."""
    return np.array([256 + round(dice.between(-60, 60) * spread) for _ in range(3)])


def photograph(rgb: np.ndarray, dice, blur: float, grain: float, balance=256) -> np.ndarray:
    """Expose: uint8 (size,size,3) from int32 rgb.

    Args:
        rgb: the lit scene
        dice: random numbers
        blur: radius in 1/64 of the picture (a better lens above 96 pixels)
        grain: amplitude of the noise in grey levels
        balance: gains of the channels, 256 = 1
    """
    size = rgb.shape[0]
    image = TONES[np.clip(rgb * balance >> 8, 0, 255)]
    if blur > 0:
        image = np.asarray(Image.fromarray(image).filter(ImageFilter.BoxBlur(blur * min(size, 96) / 64)))
    amount = round(grain * 256)
    # two bytes make triangular noise: cheap, symmetric, and the same everywhere
    colour = dice.bytes(size, size, 3).astype(np.int32) - dice.bytes(size, size, 1)
    return np.clip(image + (colour * amount >> 15), 0, 255).astype(np.uint8)
