"""The outline of an object as COCO writes it, polygons or runs of pixels, and the mask that it stands for."""

from collections.abc import Sequence

import numpy as np
import torch
from skimage.draw import polygon
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2.functional import resize

Outline = list[np.ndarray] | np.ndarray  # polygons, each (K,2) of x and y; or the lengths of runs


def read_outline(given: object, size: tuple[int, int]) -> Outline | None:
    """A "segmentation" of COCO as arrays; None where it cannot be drawn into a picture of the size (H, W).

    given: a list of polygons [x, y, x, y, …], the first pixel from 0 to 1; or {"size": [H, W], "counts": …}, the
    lengths of runs down one column after the other that are off, on, off, …, as numbers or as COCO's compressed text.
    """
    pixels = size[0] * size[1]
    try:
        if isinstance(given, dict):
            counts = given["counts"]
            outline = np.asarray(_unpack(counts) if isinstance(counts, str) else counts, dtype=np.int64)
            # the largest, too: a sum of too large numbers could come out right
            whole = given["size"] == list(size) and outline.max() <= pixels and outline.sum() == pixels
            usable = whole and outline.ndim == 1 and outline.min() >= 0
        else:
            outline = [np.asarray(corners, dtype=np.float64).reshape(-1, 2) for corners in given]
            usable = all(len(corners) > 2 and (np.abs(corners) < 1e9).all() for corners in outline)
    except (TypeError, ValueError, OverflowError, LookupError):
        return None
    return outline if usable else None


def _unpack(text: str) -> np.ndarray:
    """COCO's compressed counts: digits of 5 bits from the character 0 on, the lowest first, 32 more where the count
    goes on; from the third count on it is the difference to the last but one."""
    digits = np.frombuffer(text.encode("ascii"), np.uint8).astype(np.int64) - 48
    last = np.flatnonzero(digits < 32)
    first = np.concatenate([[0], last[:-1] + 1])
    places = np.arange(len(digits)) - np.repeat(first, last - first + 1)
    counts = np.add.reduceat((digits & 31) << 5 * places, first)
    counts -= (digits[last] & 16) << 5 * (last - first) + 1  # the highest bit is the sign
    for chain in (counts[1::2], counts[2::2]):
        chain[:] = chain.cumsum()
    return counts


def draw_outlines(outlines: Sequence[Outline | None], size: tuple[int, int], shown: tuple[int, int]) -> Tensor:
    """Outlines of a picture of the size (H, W) as bool (M, *shown); nothing where an outline is None."""
    masks = torch.zeros(len(outlines), *shown, dtype=torch.bool)
    for mask, outline in zip(masks, outlines, strict=True):
        if outline is None:
            continue
        if isinstance(outline, np.ndarray):
            drawn = np.repeat(np.arange(len(outline)) % 2, outline).astype(np.uint8).reshape(size[::-1]).T
        else:
            drawn = np.zeros(size, dtype=np.uint8)
            for x, y in (corners.T for corners in outline):
                drawn[polygon(y - 0.5, x - 0.5, size)] = 1  # scikit-image counts from the middle of the first pixel
        mask.copy_(resize(torch.from_numpy(drawn)[None], list(shown), InterpolationMode.NEAREST_EXACT)[0])
    return masks
