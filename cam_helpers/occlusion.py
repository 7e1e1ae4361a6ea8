"""A small window hides one part of a picture after another (Zeiler and Fergus 2014, section 4.2)."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["hidden", "mean_over_windows", "window_corners"]


def window_corners(size: tuple[int, int], window: int, stride: int) -> Tensor:
    """The upper left corners (y, x) of square windows on a picture, column by column -> int64 (M,2).

    size (H,W). The last windows of a row or column may reach over the edge, so that every pixel is in one. Raises
    ValueError for windows that do not fit.
    """
    if not 0 < stride <= window <= min(size):
        raise ValueError(f"expected 0 < stride ≤ window ≤ side of the picture, got {stride}, {window}, {tuple(size)}")
    rows, columns = (torch.arange(0, side - window + stride, stride) for side in size)
    return torch.cartesian_prod(columns, rows).flip(1)


def hidden(images: Tensor, corner: Tensor, window: int, paint: Tensor) -> Tensor:
    """Copies of the pictures with one window painted over -> (N,3,H,W).

    Args:
        images: (N,3,H,W)
        corner: (2,), upper left (y, x) of the window; what lies outside the picture is cut off
        window: its side in pixels
        paint: (N,3,1,1), or fewer dimensions
    """
    (top, left), (bottom, right) = corner.clamp_min(0).tolist(), (corner + window).clamp_min(0).tolist()
    images = images.clone()
    images[:, :, top:bottom, left:right] = paint
    return images


def mean_over_windows(values: Tensor, corners: Tensor, window: int, size: tuple[int, int]) -> Tensor:
    """At each pixel the mean over the windows it is in, 0 where it is in none -> (N,H,W).

    Args:
        values: (N,M), one for each window
        corners: (M,2), see `window_corners`
        window: side in pixels
        size: (H, W)
    """
    total, count = torch.zeros(len(values), *size), torch.zeros(size)
    for value, (y, x) in zip(values.T.cpu(), corners.tolist(), strict=True):
        total[:, y : y + window, x : x + window] += value[:, None, None]
        count[y : y + window, x : x + window] += 1
    return (total / count.clamp_min(1)).to(values.device)
