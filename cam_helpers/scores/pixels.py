"""Scores that look at single pixels: which of them are the object's (PxAP), and where the hottest one is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..boxes import scaled
from .outcome import Score, proportion
from .overlap import check_boxes, check_finite

_EDGES = np.append(np.arange(1000) * 0.001, 1.0)


def pixel_average_precision(maps: Tensor, masks: Tensor, ignore: Tensor | None = None) -> Score:
    """PxAP: the area under the precision-recall curve of all pixels of all pictures together.

    maps (N,H,W), min–max normalized each (a constant map to zeros); masks (N,H,W), true pixels; ignore (N,H,W),
    pixels that do not count unless they are true. -> Score with .precision and .recall (1001,), from the threshold 1
    down to 0 in steps of 0.001; the numbers of clovaai/wsolevaluation. Raises ValueError for other shapes, NaN, or
    masks without any true pixel. Choe et al., CVPR 2020.
    """
    check_finite(maps)
    for name, other in (("masks", masks), ("ignore", ignore)):
        if other is not None and other.shape != maps.shape:
            raise ValueError(f"{name} must be (N,H,W) as maps, got {tuple(other.shape)} and {tuple(maps.shape)}")
    # Histograms of true and of false pixels over the thresholds
    heat = scaled(maps.detach().cpu().double(), "minmax").numpy()
    true = masks.cpu().numpy().astype(bool)
    bins = np.searchsorted(_EDGES, heat, side="right") - 1 + len(_EDGES) * ~true
    if ignore is not None:  # into a bin of their own, that is thrown away
        bins[ignore.cpu().numpy().astype(bool) & ~true] = 2 * len(_EDGES)
    counts = [np.bincount(one.ravel(), minlength=2 * len(_EDGES) + 1)[:-1] for one in bins]
    counts = np.array(counts, np.int32).reshape(len(maps), 2, len(_EDGES))
    if not counts[:, 0].any():
        raise ValueError("no mask has a true pixel: there is nothing to find")
    # The curve, and the area under it
    mean = counts.mean(0)[None]
    precision, recall = (torch.from_numpy(curve[0]) for curve in _curve(mean))
    outcomes = torch.from_numpy(counts)
    return Score(_area(mean)[0], outcomes, _area, precision=precision, recall=recall)


def pointing_game(maps: Tensor, gt_boxes: Sequence[Tensor] | Tensor, beside: int = 0) -> Score:
    """The part of the pictures whose hottest pixel has its centre in the true region.

    Of equally hot pixels the first in reading order counts; a constant map points nowhere.

    Args:
        maps: (N,H,W), of the true class
        gt_boxes: boxes as for `gt_known_accuracy`, or bool masks (N,H,W)
        beside: so many pixels beside a mask count too; Zhang et al. (ECCV 2016) take 15
    """
    check_finite(maps)
    hits, masks = [], isinstance(gt_boxes, Tensor)
    for heat, true in zip(maps, gt_boxes if masks else check_boxes(gt_boxes, len(maps)), strict=True):
        y, x = divmod(int(heat.argmax()), heat.shape[1])
        if masks:
            inside = true[max(y - beside, 0) : y + beside + 1, max(x - beside, 0) : x + beside + 1]
        else:
            centre = torch.tensor([x + 0.5, y + 0.5])
            inside = ((true[:, :2] <= centre) & (centre < true[:, 2:])).all(1)
        hits.append(bool(inside.any() and heat.min() < heat.max()))
    return proportion(hits)


def _area(means: np.ndarray) -> np.ndarray:
    """(B,2,T) mean numbers of true and false pixels in each bin, rising -> (B,): the area under each curve."""
    precision, recall = _curve(means)
    return (precision * np.diff(recall, prepend=0)).sum(1)


def _curve(means: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(B,2,T) -> precision (B,T) and recall (B,T), from the highest threshold down."""
    true, false = means[:, :, ::-1].cumsum(2).swapaxes(0, 1)
    tiny = np.finfo(float).tiny  # nothing found: precision 0; nothing to find: recall 0
    return true / (true + false).clip(tiny), true / true[:, -1:].clip(tiny)
