"""From maps to right and wrong boxes, at one threshold or at all (paper, section 3.2; Choe et al., CVPR 2020)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..boxes import value_range
from . import wsol
from .outcome import Score
from .overlap import check_boxes, check_finite, check_iou
from .regions import best_overlaps, regions


def gt_known_accuracy(maps, gt_boxes, threshold=0.2, iou=0.5, normalize="max", protocol="course") -> Score:
    """GT-known localization: the part of the pictures whose box is right when the class is given.

    The box of the largest region (`boxes_from_maps`) is right when its IoU with any true box is at least `iou`.

    Args:
        maps: (N,H,W), each picture's map of its *true* class, at the size of the picture
        gt_boxes: N tensors (M,4), xyxy, x2 and y2 exclusive
        threshold: fixed before: the paper's 0.2, or the `best_threshold` of other pictures
        iou: the overlap to reach
        normalize, protocol: as in `BoxSweep`, which says what is raised

    Paper, section 3.2.
    """
    return BoxSweep((threshold,), iou, "largest", normalize, protocol, keep=True).update(maps, gt_boxes).compute()


def best_threshold(maps, gt_boxes, iou=0.5, normalize="max", thresholds=1000, protocol="course") -> float:
    """The threshold to give to `gt_known_accuracy` on *other* pictures: the one with most right boxes on these held-out
    ones, the lowest of equally good ones. Arguments as `gt_known_accuracy` and `BoxSweep`."""
    return BoxSweep(thresholds, iou, "largest", normalize, protocol).update(maps, gt_boxes).compute().threshold


def max_box_acc(maps, gt_boxes, iou=0.5, normalize="minmax", thresholds=1000, protocol="course") -> Score:
    """MaxBoxAcc (V1): GT-known accuracy at the threshold, one for all pictures, that suits *these* pictures best.

    An **oracle**: it has seen the answers. To compare methods at thresholds that have not, choose them elsewhere
    (`best_threshold`, then `gt_known_accuracy`). -> Score with .value .threshold .thresholds (T,) .curve (T,), the
    accuracy at each, and .hits (N,). Choe et al., CVPR 2020. Arguments and errors as `gt_known_accuracy` and
    `BoxSweep`.
    """
    return BoxSweep(thresholds, iou, "largest", normalize, protocol, keep=True).update(maps, gt_boxes).compute()


def max_box_acc_v2(maps, gt_boxes, iou=(0.3, 0.5, 0.7), normalize="minmax", thresholds=1000, protocol="course"):
    """MaxBoxAccV2: the mean of MaxBoxAcc over several IoUs, where the box of *any* region may be the right one.

    An **oracle** too, with a threshold for each IoU: .threshold is a tuple (D,), .curve (D,T), .hits (N,D).
    Arguments and errors as `gt_known_accuracy` and `BoxSweep`. Choe et al., extended version (2020).
    """
    return BoxSweep(thresholds, tuple(iou), "all", normalize, protocol, keep=True).update(maps, gt_boxes).compute()


def best(means: np.ndarray) -> np.ndarray:
    """(B,D,T) -> (B,): the best threshold for each IoU, then the mean over IoUs."""
    return means.max(2).mean(1)


class BoxSweep:
    """Right boxes at every threshold, batch by batch: what GT-known accuracy and MaxBoxAcc are made of.

    Memory does not grow with the number of pictures, unless keep=True asks for their outcomes.

    Args:
        thresholds: how many, evenly from 0 to below 1, or their values, rising
        iou: one number, or several for one curve each
        rule: "largest", the box of the largest region; "all", of any region
        normalize: "max" or "minmax", see `boxes_from_maps`
        protocol: "course", boxes exactly as `boxes_from_maps` makes them; where there is none the picture is missed.
            "wsol", clovaai/wsolevaluation, number for number on the same maps at the pictures' size (it resizes
            bicubically), see `scores.wsol`; hand over gt_boxes with the numbers of the annotation files (there scaled
            to 224 pixels and cut, `int(x * 224 / width)`), to which both corners belong
        keep: remember each picture's outcomes (D·T bytes), so that the score has .hits and .interval()
    """

    def __init__(self, thresholds=1000, iou=0.5, rule="largest", normalize="minmax", protocol="course", keep=False):
        if rule not in ("largest", "all"):
            raise ValueError(f"rule must be 'largest' or 'all', got {rule!r}")
        if protocol not in ("course", "wsol"):
            raise ValueError(f"protocol must be 'course' or 'wsol', got {protocol!r}")
        self.every, self.normalize, self.wsol, self.keep = rule == "all", normalize, protocol == "wsol", keep
        if isinstance(thresholds, int):
            self.grid = wsol.thresholds(thresholds) if self.wsol else np.arange(thresholds) / thresholds
        else:
            self.grid = np.asarray(thresholds, dtype=float)
        if self.grid.ndim != 1 or not len(self.grid) or not (np.diff(self.grid, prepend=0, append=1) >= 0).all():
            raise ValueError(f"thresholds must be parts of the map's maximum, rising from 0 to 1, got {thresholds}")
        self.single, self.ious = np.ndim(iou) == 0, np.atleast_1d(np.asarray(iou, dtype=float))
        check_iou(*self.ious)
        self.count, self.right, self.outcomes = 0, np.zeros((len(self.ious), len(self.grid)), dtype=int), []

    def update(self, maps: Tensor, gt_boxes: Sequence[Tensor]) -> BoxSweep:
        """maps (n,H,W), gt_boxes: n tensors (M,4), M ≥ 1 -> self.

        Raises TypeError or ValueError for maps of another form or with NaN or infinite values, for another number of
        boxes than maps, and for a picture without a true box or with one that has no area.
        """
        check_finite(maps)
        truth = check_boxes(gt_boxes, len(maps), inclusive=self.wsol)
        for heat, boxes in zip(maps, truth, strict=True):
            right = self._overlaps(heat, boxes) >= self.ious[:, None]  # (D,T)
            self.count, self.right = self.count + 1, self.right + right
            if self.keep:
                self.outcomes.append(right)
        return self

    def compute(self) -> Score:
        """-> Score, see `max_box_acc`; with a first dimension for the IoUs where several were asked for.

        Raises ValueError when there was no picture.
        """
        if not self.count:
            raise ValueError("no pictures to score")
        curve = self.right / self.count
        index = curve.argmax(1)
        outcomes = torch.from_numpy(np.stack(self.outcomes)) if self.keep else None
        score = Score(best(curve[None])[0], outcomes, best, thresholds=torch.from_numpy(self.grid))
        score.threshold, score.curve = tuple(self.grid[index].tolist()), torch.from_numpy(curve)
        if self.keep:
            score.hits = outcomes[:, range(len(index)), index]
        if self.single:
            score.threshold, score.curve = score.threshold[0], score.curve[0]
            score.hits = score.hits[:, 0] if self.keep else None
        return score

    def _overlaps(self, heat: Tensor, truth: Tensor) -> np.ndarray:
        """-> (T,): the best IoU of a box that counts with a true one, at each threshold."""
        if self.wsol:
            return wsol.overlaps(heat, truth, self.grid, self.every, self.normalize)
        heat = heat.detach().cpu().double()
        low, high = (end.item() for end in value_range(heat, self.normalize))
        # How many thresholds each pixel is above
        limits = self.grid * (high - low) if high > low else [np.inf]
        levels = np.searchsorted(limits, (heat - low).numpy()).astype(np.int32)
        return best_overlaps(regions(levels, len(self.grid)), truth, len(self.grid), self.every)
