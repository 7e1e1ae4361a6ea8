"""Every connected region of every threshold at once.

Raising the threshold only splits and shrinks regions, so those of all thresholds form a tree (a max-tree) with far
fewer nodes than there are thresholds times regions. One pass builds it, and no map is labelled twice.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import ndimage
from skimage.morphology import max_tree, reconstruction

from ..boxes import component_boxes

_FEW = 64  # up to about as many thresholds, labelling the map at each of them is faster than growing the tree


class Regions(NamedTuple):
    """R regions. Thresholds are numbered; a region is there, unchanged, for low ≤ t < high."""

    low: np.ndarray
    high: np.ndarray
    boxes: np.ndarray  # (R,4) xyxy, x2 and y2 exclusive
    weights: np.ndarray  # the sum of its pixels' weights
    first: np.ndarray  # rises with its first pixel in reading order; 0 for the region of the first pixel of all


def regions(levels: np.ndarray, count: int, connectivity: int = 2, weights: np.ndarray | None = None) -> Regions:
    """levels (H,W) int, 0 to count: how many of the thresholds a pixel is above. weights (H,W): None for ones.
    connectivity 2: pixels touch at corners too; 1: at edges only."""
    weights = np.ones(levels.size) if weights is None else weights.ravel()
    grow = count > _FEW and min(levels.shape) > 2  # scikit-image grows no trees on lines
    return (_tree if grow else _labelled)(levels, count, connectivity, weights)


def _labelled(levels, count, connectivity, weights) -> Regions:
    found = [Regions(*(np.zeros(shape, int) for shape in (0, 0, (0, 4), 0, 0)))]
    for t in range(count):
        boxes, sums = component_boxes(levels > t, weights, connectivity)
        n = len(boxes)
        found.append(Regions(np.full(n, t), np.full(n, t + 1), boxes, sums, np.arange(n)))
    return Regions(*map(np.concatenate, zip(*found, strict=True)))


def _tree(levels, count, connectivity, weights) -> Regions:
    parent, level = max_tree(levels, connectivity=connectivity)[0].ravel(), levels.ravel()
    place = np.arange(level.size)
    # A node is named after one of its pixels, the parent of its other pixels; that one's parent is the node below.
    node = np.where((level[parent] != level) | (parent == place), place, parent)
    order = np.argsort(node, kind="stable")
    starts = np.flatnonzero(np.diff(node[order], prepend=-1))
    names = node[order][starts]
    y, x = np.divmod(order, levels.shape[1])
    least = np.minimum.reduceat([x, y, -x - 1, -y - 1, order], starts, axis=1)
    weights = np.add.reduceat(weights[order], starts)
    below, high = np.searchsorted(names, parent[names]), level[names]
    falling = np.argsort(-high, kind="stable")
    for nodes in np.split(falling, np.flatnonzero(np.diff(high[falling])) + 1)[:-1]:  # the last level is the root alone
        np.add.at(weights, below[nodes], weights[nodes])
        for row in least:
            np.minimum.at(row, below[nodes], row[nodes])
    low = np.where(parent[names] == names, 0, level[parent[names]])
    x1, y1, x2, y2, first = least
    return Regions(low, high, np.stack([x1, y1, -x2, -y2], 1), weights, first)


# -- the contours that OpenCV would find, for the protocol of wsolevaluation ----------------------------------------


def holes(levels: np.ndarray, count: int) -> Regions:
    """The holes of the regions, with the boxes of the contours that run around them, on the region's own pixels."""
    dark = regions(count - np.pad(levels, 1), count, connectivity=1)
    inner = dark.first > 0  # the other one reaches the frame: it is outside, not a hole
    low, high, boxes, weights, first = (field[inner] for field in dark)
    return Regions(count - high, count - low, boxes - 1 + [-1, -1, 1, 1], weights, first)


def outlines(levels: np.ndarray, count: int) -> Regions:
    """The outermost regions, holes filled; weights: the area inside the line through the centres of their edge pixels.

    Of the four pixels of a 2×2 window that line encloses a whole square with four of them, half of one with three.
    """
    framed = np.pad(levels, 1)
    seed = np.full_like(framed, count)
    seed[[0, -1]] = seed[:, [0, -1]] = 0
    cross = ndimage.generate_binary_structure(2, 1)
    filled = reconstruction(seed, framed, method="erosion", footprint=cross)[1:-1, 1:-1].astype(int)
    place = np.arange(filled.size).reshape(filled.shape)
    corners = (slice(None, -1), slice(1, None))
    windows = np.stack([place[y, x].ravel() for y in corners for x in corners])
    rank = np.argsort(filled.ravel()[windows], axis=0)[:2]  # the lowest pixel completes four, the next one three
    completing = np.take_along_axis(windows, rank, 0).ravel()
    return regions(filled, count, weights=np.bincount(completing, minlength=filled.size) / 2)
