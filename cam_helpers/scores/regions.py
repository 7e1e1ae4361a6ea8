"""Every connected region of every threshold at once, and the best overlap with a true box at each threshold.

Raising the threshold only splits and shrinks regions, so those of all thresholds form a tree (a max-tree) with far
fewer nodes than there are thresholds times regions. One pass builds it, and no map is labelled twice.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from skimage.morphology import max_tree
from torch import Tensor

from ..boxes import component_boxes
from .overlap import ious

_FEW = 64  # up to about as many thresholds, labelling the map at each of them is faster than growing the tree


class Regions(NamedTuple):
    """R regions. Thresholds are numbered; a region is there, unchanged, for low ≤ t < high."""

    low: np.ndarray
    high: np.ndarray
    boxes: np.ndarray  # (R,4) xyxy, x2 and y2 exclusive
    weights: np.ndarray  # the sum of its pixels' weights
    first: np.ndarray  # rises with its first pixel in reading order; 0 for the region of the first pixel of all


def regions(levels: np.ndarray, count: int, connectivity: int = 2, weights: np.ndarray | None = None) -> Regions:
    """The connected regions above each threshold.

    Args:
        levels: (H,W) int, 0 to count: how many of the thresholds a pixel is above
        count: how many thresholds there are
        connectivity: 2, pixels touch at corners too; 1, at edges only
        weights: (H,W), what a pixel adds to its region's weight; None: 1
    """
    weights = np.ones(levels.size) if weights is None else weights.ravel()
    if count > _FEW and min(levels.shape) > 2:  # scikit-image grows no trees on lines
        return _tree(levels, connectivity, weights)
    return _labelled(levels, count, connectivity, weights)


def best_overlaps(found: Regions, truth: Tensor, count: int, every: bool, none: float = 0.0) -> np.ndarray:
    """The best IoU with a true box at each threshold -> (count,).

    Args:
        found: the regions of a map
        truth: (G,4), xyxy, x2/y2 exclusive
        count: how many thresholds there are
        every: of any region; else of the region with the largest weight, of equal ones the first
        none: the IoU where there is no region
    """
    result = np.full(count, none)
    if not len(found.boxes):
        return result
    overlaps = ious(torch.from_numpy(found.boxes), truth).amax(1).numpy()
    # What counts most is written last
    order = np.argsort(overlaps) if every else np.lexsort((-found.first, found.weights))
    for low, high, overlap in zip(found.low[order], found.high[order], overlaps[order], strict=True):
        result[low:high] = overlap
    return result


def _labelled(levels: np.ndarray, count: int, connectivity: int, weights: np.ndarray) -> Regions:
    """Each threshold by itself, where some pixel lies between it and the one before: else nothing has changed."""
    starts = np.flatnonzero(np.bincount(levels.ravel(), minlength=count)[:count])
    parts = []
    for low, high in pairwise(np.unique([0, *starts, count])):
        boxes, sums = component_boxes(levels > low, weights, connectivity)
        n = len(boxes)
        parts.append(Regions(np.full(n, low), np.full(n, high), boxes, sums, np.arange(n)))
    return joined(*parts)


def joined(*parts: Regions) -> Regions:
    return Regions(*map(np.concatenate, zip(*parts, strict=True)))


def _tree(levels: np.ndarray, connectivity: int, weights: np.ndarray) -> Regions:
    """All thresholds in one pass, as the nodes of a max-tree."""
    parent, level = max_tree(levels, connectivity=connectivity)[0].ravel(), levels.ravel()
    place = np.arange(level.size)
    # Nodes: each has the name of one of its pixels, the parent of its other pixels; that one's parent is the node below
    node = np.where((level[parent] != level) | (parent == place), place, parent)
    order = np.argsort(node, kind="stable")
    starts = np.flatnonzero(np.diff(node[order], prepend=-1))
    names = node[order][starts]
    # Of each node's own pixels: the corners of their box, the first in reading order, the sum of their weights
    y, x = np.divmod(order, levels.shape[1])
    least = np.minimum.reduceat([x, y, -x - 1, -y - 1, order], starts, axis=1)
    weights = np.add.reduceat(weights[order], starts)
    # Regions: each node is handed down to the node below, the highest level first
    below, high = np.searchsorted(names, parent[names]), level[names]
    falling = np.argsort(-high, kind="stable")
    for nodes in np.split(falling, np.flatnonzero(np.diff(high[falling])) + 1)[:-1]:  # the last level is the root alone
        np.add.at(weights, below[nodes], weights[nodes])
        for row in least:
            np.minimum.at(row, below[nodes], row[nodes])
    low = np.where(parent[names] == names, 0, level[parent[names]])
    x1, y1, x2, y2, first = least
    return Regions(low, high, np.stack([x1, y1, -x2, -y2], 1), weights, first)
