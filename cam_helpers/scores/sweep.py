"""From maps to right and wrong boxes, at one threshold or at all (paper, section 3.2; Choe et al., CVPR 2020)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torchvision.ops import box_iou

from ..boxes import check_maps, scaled, value_range
from .outcome import Accumulator, Score
from .regions import Regions, holes, outlines, regions


def gt_known_accuracy(maps, gt_boxes, threshold=0.2, iou=0.5, normalize="max", protocol="course") -> Score:
    """GT-known localization: the part of the pictures whose box is right when the class is given.

    maps (N,H,W): each picture's map of its *true* class, at the size of the picture; gt_boxes: N tensors (M,4), xyxy,
    x2 and y2 exclusive. The box of the largest region (`boxes_from_maps`) is right when its IoU with any true box is
    at least `iou`. The threshold is fixed before: the paper's 0.2, or the `best_threshold` of other pictures.
    Errors and protocol as `BoxSweep`. Paper, section 3.2.
    """
    return BoxSweep((threshold,), iou, "largest", normalize, protocol, keep=True).update(maps, gt_boxes).compute()


def best_threshold(maps, gt_boxes, iou=0.5, normalize="max", thresholds=1000, protocol="course") -> float:
    """The threshold to give to `gt_known_accuracy` on *other* pictures: the one with most right boxes on these held-out
    ones, the lowest of equally good ones. Arguments as there and in `BoxSweep`."""
    return BoxSweep(thresholds, iou, "largest", normalize, protocol).update(maps, gt_boxes).compute().threshold


def max_box_acc(maps, gt_boxes, iou=0.5, normalize="minmax", thresholds=1000, protocol="course") -> Score:
    """MaxBoxAcc (V1): GT-known accuracy at the threshold, one for all pictures, that suits *these* pictures best.

    An **oracle**: it has seen the answers. To compare methods at thresholds that have not, choose them elsewhere
    (`best_threshold`, then `gt_known_accuracy`). -> Score with .value .threshold .thresholds (T,) .curve (T,), the
    accuracy at each, and .hits (N,). Arguments and errors as `BoxSweep`. Choe et al., CVPR 2020.
    """
    return BoxSweep(thresholds, iou, "largest", normalize, protocol, keep=True).update(maps, gt_boxes).compute()


def max_box_acc_v2(maps, gt_boxes, iou=(0.3, 0.5, 0.7), normalize="minmax", thresholds=1000, protocol="course"):
    """MaxBoxAccV2: the mean of MaxBoxAcc over several IoUs, where the box of *any* region may be the right one.

    An **oracle** too, with a threshold for each IoU: .threshold is a tuple (D,), .curve (D,T), .hits (N,D).
    Arguments and errors as `BoxSweep`. Choe et al., extended version (2020).
    """
    return BoxSweep(thresholds, tuple(iou), "all", normalize, protocol, keep=True).update(maps, gt_boxes).compute()


def best(means: np.ndarray) -> np.ndarray:
    """(B,D,T) -> (B,): the best threshold for each IoU, then the mean over IoUs."""
    return means.max(2).mean(1)


class BoxSweep(Accumulator):
    """Right boxes at every threshold, batch by batch: what GT-known accuracy and MaxBoxAcc are made of.

    thresholds  how many, evenly from 0 to below 1, or their values, rising.
    iou         one number, or several for one curve each.
    rule        "largest": the box of the largest region; "all": of any region.
    normalize   "max" or "minmax", see `boxes_from_maps`.
    protocol    "course": boxes exactly as `boxes_from_maps` makes them; where there is none the picture is missed.
                "wsol": clovaai/wsolevaluation, number for number on the same maps at the pictures' size (it resizes
                bicubically). It cuts maps to whole numbers 0–255 and thresholds to whole parts of their maximum. Its
                largest region has the largest area inside the line through the centres of its edge pixels, holes
                filled; of equal ones it takes the last in reading order.
                With "all" the outlines of holes are boxes too. A box ends one pixel late, except at the picture's right
                and lower edges; no box is the first pixel. Both corners of a box belong to it: hand over gt_boxes with
                the numbers of the annotation files (there scaled to 224 pixels and cut, `int(x * 224 / width)`).
    keep        remember each picture's outcomes (D·T bytes), so that the score has .hits and .interval().
    """

    of_mean = staticmethod(best)

    def __init__(self, thresholds=1000, iou=0.5, rule="largest", normalize="minmax", protocol="course", keep=False):
        if isinstance(thresholds, int):  # 700 of 1000 is 0.7 here, and 0.7000000000000001 there
            steps = np.arange(thresholds)
            self.grid = steps * (1 / max(thresholds, 1)) if protocol == "wsol" else steps / thresholds
        else:
            self.grid = np.asarray(thresholds, dtype=float)
        if self.grid.ndim != 1 or not len(self.grid) or not (np.diff(self.grid, prepend=0, append=1) >= 0).all():
            raise ValueError(f"thresholds must be parts of the map's maximum, rising from 0 to 1, got {thresholds}")
        words = {"rule": rule, "normalize": normalize, "protocol": protocol}
        for name, known in (("rule", "largest all"), ("normalize", "max minmax"), ("protocol", "course wsol")):
            if words[name] not in known.split():
                raise ValueError(f"{name} must be one of {known.split()}, got {words[name]!r}")
        self.rule, self.normalize, self.wsol, self.single = rule, normalize, protocol == "wsol", np.ndim(iou) == 0
        self.ious = np.atleast_1d(np.asarray(iou, dtype=float))
        check_iou(*self.ious)
        grid = thresholds if isinstance(thresholds, int) else tuple(self.grid)
        super().__init__(keep, thresholds=grid, iou=(self.single, *self.ious), **words)

    def update(self, maps: Tensor, gt_boxes: Sequence[Tensor]) -> BoxSweep:
        """maps (n,H,W), gt_boxes: n tensors (M,4), M ≥ 1 -> self.

        Raises TypeError or ValueError for maps of another form or with NaN or infinite values, for another number of
        boxes than maps, and for a picture without a true box or with one that has no area.
        """
        check_finite(maps)
        truth = check_boxes(gt_boxes, len(maps), inclusive=self.wsol)
        overlaps = [self._overlaps(heat, boxes) for heat, boxes in zip(maps, truth, strict=True)]
        return self._add(np.array(overlaps).reshape(len(maps), 1, len(self.grid)) >= self.ious[:, None])

    def compute(self) -> Score:
        """-> Score, see `max_box_acc`; with a first dimension for the IoUs where several were asked for."""
        curve = self._mean()
        index = curve.argmax(1)
        score = self._score(thresholds=torch.from_numpy(self.grid))
        score.threshold, score.curve = tuple(self.grid[index].tolist()), torch.from_numpy(curve)
        if self.keep:
            score.hits = score.outcomes[:, range(len(index)), index]
        if self.single:
            score.threshold, score.curve = score.threshold[0], score.curve[0]
            score.hits = score.hits[:, 0] if self.keep else None
        return score

    def _overlaps(self, heat: Tensor, truth: Tensor) -> np.ndarray:
        """-> (T,): the best IoU of a box that counts with a true one, at each threshold."""
        count, result = len(self.grid), np.zeros(len(self.grid))
        levels = (self._wsol_levels if self.wsol else self._levels)(heat)
        found = outlines(levels, count) if self.wsol and self.rule == "largest" else regions(levels, count)
        if self.wsol:
            if self.rule == "all":
                found = Regions(*map(np.concatenate, zip(found, holes(levels, count), strict=True)))
            found.boxes[:, 2:] = np.minimum(found.boxes[:, 2:] + 1, levels.shape[::-1])
            truth = truth + torch.tensor([0, 0, 1, 1])
            result[:] = ious(torch.tensor([[0, 0, 1, 1]]), truth).max()
        if not len(found.boxes):
            return result
        overlaps = ious(torch.from_numpy(found.boxes), truth).amax(1).numpy()
        # What counts most is written last.
        ties = found.first if self.wsol else -found.first
        order = np.argsort(overlaps) if self.rule == "all" else np.lexsort((ties, found.weights))
        for low, high, overlap in zip(found.low[order], found.high[order], overlaps[order], strict=True):
            result[low:high] = overlap
        return result

    def _levels(self, heat: Tensor) -> np.ndarray:
        """(H,W) -> (H,W) int32: how many thresholds each pixel is above."""
        heat = heat.detach().cpu().double()
        low, high = (end.item() for end in value_range(heat, self.normalize))
        return np.searchsorted(self.grid * (high - low) if high > low else [np.inf], heat - low).astype(np.int32)

    def _wsol_levels(self, heat: Tensor) -> np.ndarray:
        heat = heat.detach().cpu().double()  # there, too: single precision puts a few pixels on another level
        grey = (scaled(heat, self.normalize).clamp_min(0) * 255).numpy().astype(np.uint8)
        return np.searchsorted((self.grid * grey.max()).astype(int), grey).astype(np.int32)


def check_finite(maps: Tensor) -> None:
    """Raises TypeError or ValueError for what is not a tensor (N,H,W) of finite numbers with at least one pixel."""
    check_maps(maps)
    if 0 in maps.shape[1:] or not maps.isfinite().all():
        raise ValueError(f"maps must have pixels and no NaN or infinite values, got {tuple(maps.shape)}")


def check_boxes(gt_boxes: Sequence[Tensor], n: int, inclusive: bool = False) -> list[Tensor]:
    """-> the true boxes as float64 on the CPU. Raises ValueError, naming the picture, for what is no list of boxes."""
    if len(gt_boxes) != n:
        raise ValueError(f"maps and gt_boxes must be of the same pictures, got {n} and {len(gt_boxes)}")
    found = [torch.as_tensor(boxes).detach().cpu().double() for boxes in gt_boxes]
    for i, boxes in enumerate(found):
        boxed = boxes.ndim == 2 and boxes.shape[1] == 4 and len(boxes)
        if not boxed or not (boxes[:, 2:] - boxes[:, :2] + inclusive > 0).all():
            raise ValueError(f"picture {i} needs true boxes (M,4), M ≥ 1, x1 < x2 and y1 < y2, got {boxes.tolist()}")
    return found


def check_iou(*values: float) -> None:
    if not all(0 < value <= 1 for value in values):
        raise ValueError(f"an IoU to reach is above 0 and at most 1, got {', '.join(map(str, values))}")


def ious(boxes: Tensor, truth: Tensor) -> Tensor:
    """(M,4), (G,4) -> (M,G) float64, so that a half is a half."""
    return box_iou(boxes.double(), truth.double())
