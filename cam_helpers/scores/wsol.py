"""protocol="wsol": the boxes of clovaai/wsolevaluation (Choe et al., CVPR 2020), number for number on the same maps.

It cuts maps to whole numbers 0–255 and thresholds to whole parts of their maximum, and takes OpenCV's contours. A box
ends one pixel late, except at the picture's right and lower edges; where there is none, it is the first pixel. Both
corners of a box belong to it.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage
from skimage.morphology import reconstruction
from torch import Tensor

from ..boxes import scaled
from .overlap import ious
from .regions import Regions, best_overlaps, joined, regions


def thresholds(count: int) -> np.ndarray:
    """Theirs, to the last digit: 700 of 1000 is 0.7000000000000001."""
    return np.arange(count) * (1 / max(count, 1))


def overlaps(heat: Tensor, truth: Tensor, grid: np.ndarray, every: bool, normalize: str) -> np.ndarray:
    """The IoU that counts at each threshold -> (T,).

    Args:
        heat: (H,W)
        truth: (G,4), true boxes, both corners inside
        grid: (T,), the thresholds, rising
        every: the outlines of regions and of their holes are boxes, and the best counts; else the outline with the
            largest area inside the line through the centres of its edge pixels, holes filled; of equal ones the last in
            reading order
        normalize: "max" or "minmax"
    """
    heat = heat.detach().cpu().double()  # there, too: single precision puts a few pixels on another level
    grey = (scaled(heat, normalize).clamp_min(0) * 255).numpy().astype(np.uint8)
    levels = np.searchsorted((grid * grey.max()).astype(int), grey).astype(np.int32)
    found = joined(regions(levels, len(grid)), _holes(levels, len(grid))) if every else _outlines(levels, len(grid))
    found.boxes[:, 2:] = np.minimum(found.boxes[:, 2:] + 1, levels.shape[::-1])
    truth = truth + torch.tensor([0, 0, 1, 1])
    first_pixel = ious(torch.tensor([[0, 0, 1, 1]]), truth).max().item()
    return best_overlaps(found._replace(first=-found.first), truth, len(grid), every, none=first_pixel)


def _holes(levels: np.ndarray, count: int) -> Regions:
    """The holes of the regions, with the boxes of the contours that run around them, on the region's own pixels."""
    dark = regions(count - np.pad(levels, 1), count, connectivity=1)
    inner = dark.first > 0  # the other one reaches the frame: it is outside, not a hole
    low, high, boxes, weights, first = (field[inner] for field in dark)
    return Regions(count - high, count - low, boxes - 1 + [-1, -1, 1, 1], weights, first)


def _outlines(levels: np.ndarray, count: int) -> Regions:
    """The outermost regions, holes filled; weights: the area inside the line through the centres of their edge pixels.

    Of the four pixels of a 2×2 window that line encloses a whole square with four of them, half of one with three.
    """
    # Holes filled: what cannot be reached from the frame is raised
    framed = np.pad(levels, 1)
    seed = np.full_like(framed, count)
    seed[[0, -1]] = seed[:, [0, -1]] = 0
    cross = ndimage.generate_binary_structure(2, 1)
    filled = reconstruction(seed, framed, method="erosion", footprint=cross)[1:-1, 1:-1].astype(int)
    # Areas: each window counts where its lowest pixel completes four, and half where the next one completes three
    place = np.arange(filled.size).reshape(filled.shape)
    corners = (slice(None, -1), slice(1, None))
    windows = np.stack([place[y, x].ravel() for y in corners for x in corners])
    rank = np.argsort(filled.ravel()[windows], axis=0)[:2]
    completing = np.take_along_axis(windows, rank, 0).ravel()
    return regions(filled, count, weights=np.bincount(completing, minlength=filled.size) / 2)
