"""From maps to right and wrong boxes, at one threshold or at all (paper, section 3.2; Choe et al., CVPR 2020)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torchvision.ops import box_iou

from ..boxes import check_maps, evidence
from .outcome import Accumulator, Score
from .regions import Regions, holes, outlines, regions


def gt_known_accuracy(
    maps: Tensor,
    gt_boxes: Sequence[Tensor],
    threshold: float = 0.2,
    iou: float = 0.5,
    normalize: str = "max",
    protocol: str = "course",
) -> Score:
    """GT-known localization: the part of the pictures whose box is right when the class is given.

    maps (N,H,W): each picture's map of its *true* class, at the size of the picture; gt_boxes: N tensors (M,4), xyxy,
    x2 and y2 exclusive. The box of the largest region (`boxes_from_maps`) is right when its IoU with any true box is
    at least `iou`. The threshold is fixed before: the paper's 0.2, or `best_threshold` of other pictures.
    Raises as `BoxSweep`. Paper, section 3.2.
    """
    sweep = BoxSweep((threshold,), iou, "largest", normalize, protocol, keep=True)
    return sweep.update(maps, gt_boxes).compute()


def best_threshold(
    maps: Tensor,
    gt_boxes: Sequence[Tensor],
    iou: float = 0.5,
    normalize: str = "max",
    thresholds: int | Sequence[float] = 1000,
    protocol: str = "course",
) -> float:
    """The threshold to give to `gt_known_accuracy` on *other* pictures: the one with most right boxes on these held-out
    ones (the lowest of equally good ones). Arguments as there; thresholds as for `BoxSweep`."""
    sweep = BoxSweep(thresholds, iou, "largest", normalize, protocol)
    return sweep.update(maps, gt_boxes).compute().threshold


def max_box_acc(
    maps: Tensor,
    gt_boxes: Sequence[Tensor],
    iou: float = 0.5,
    normalize: str = "minmax",
    thresholds: int | Sequence[float] = 1000,
    protocol: str = "course",
) -> Score:
    """MaxBoxAcc (V1): GT-known accuracy at the one threshold, the same for all pictures, that suits *these* pictures
    best. An **oracle**: it has seen the answers, and no method may be called better for it than for a threshold that
    was chosen elsewhere (`best_threshold`, `gt_known_accuracy`).

    -> Score with .value .threshold .thresholds (T,) .curve (T,), the accuracy at each threshold, and .hits (N,).
    Arguments and errors as `BoxSweep`. Choe et al., CVPR 2020.
    """
    return BoxSweep(thresholds, iou, "largest", normalize, protocol, keep=True).update(maps, gt_boxes).compute()


def max_box_acc_v2(
    maps: Tensor,
    gt_boxes: Sequence[Tensor],
    iou: Sequence[float] = (0.3, 0.5, 0.7),
    normalize: str = "minmax",
    thresholds: int | Sequence[float] = 1000,
    protocol: str = "course",
) -> Score:
    """MaxBoxAccV2: the mean of MaxBoxAcc over several IoUs, when the box of *any* region may be the right one.

    An **oracle** as `max_box_acc` is, with a threshold for each IoU: .threshold is a tuple (D,), .curve (D,T),
    .hits (N,D). Arguments and errors as `BoxSweep`. Choe et al., 2020 (extended version).
    """
    return BoxSweep(thresholds, tuple(iou), "all", normalize, protocol, keep=True).update(maps, gt_boxes).compute()


def best(means: np.ndarray) -> np.ndarray:
    """(B,D,T) -> (B,): the best threshold for each IoU, then the mean over IoUs."""
    return means.max(2).mean(1)


class BoxSweep(Accumulator):
    """Right boxes at every threshold, batch by batch: what GT-known accuracy and MaxBoxAcc are made of.

    thresholds  how many, evenly from 0 to below 1, or their values, rising.
    iou         one number, or several for one score each.
    rule        "largest": the box of the largest region; "all": of any region.
    normalize   "max" or "minmax", see `boxes_from_maps`.
    protocol    "course": regions and boxes as `boxes_from_maps` makes them, at every threshold; no box is a miss.
                "wsol": as clovaai/wsolevaluation does, number for number. There the map is float32 and cut to whole
                numbers 0–255, the threshold to a whole part of its maximum; the largest region is that with the
                largest area inside the line through the centres of its edge pixels (holes filled; of equal ones the
                last in reading order); with "all", the outlines of holes count as well; boxes are one pixel too
                wide except at the right edge and too high except at the lower one, and no box is the first pixel;
                IoU takes corners as inclusive, so gt_boxes are those of the annotation files (there resized to 224
                and cut: `int(x * 224 / width)`), without our + 1. Their maps are resized by a bicubic.
    keep        remember each picture's outcomes (D·T bytes), so that the score has .hits and .interval().
    """

    of_mean = staticmethod(best)

    def __init__(
        self,
        thresholds: int | Sequence[float] = 1000,
        iou: float | Sequence[float] = 0.5,
        rule: str = "largest",
        normalize: str = "minmax",
        protocol: str = "course",
        keep: bool = False,
    ):
        if isinstance(thresholds, int):
            # as np.arange(0, 1, 1 / thresholds) counts, but 700 of 1000 is 0.7, not 0.7000000000000001
            steps = np.arange(thresholds)
            thresholds = steps * (1 / thresholds) if protocol == "wsol" else steps / thresholds
        grid = np.asarray(thresholds, dtype=float)
        if grid.ndim != 1 or not grid.size or not (np.diff(grid, prepend=0, append=1) >= 0).all():
            raise ValueError(f"thresholds must be parts of the map's maximum, rising from 0 to 1, got {thresholds}")
        for name, value, known in (("rule", rule, ("largest", "all")), ("protocol", protocol, ("course", "wsol"))):
            if value not in known:
                raise ValueError(f"{name} must be '{known[0]}' or '{known[1]}', got {value!r}")
        if normalize not in ("max", "minmax"):
            raise ValueError(f"normalize must be 'max' or 'minmax', got {normalize!r}")
        self._single, self._ious = np.ndim(iou) == 0, np.atleast_1d(np.asarray(iou, dtype=float))
        check_iou(*self._ious)
        self.grid = grid
        super().__init__(
            keep, thresholds=tuple(grid), iou=tuple(self._ious), rule=rule, normalize=normalize, protocol=protocol
        )

    def update(self, maps: Tensor, gt_boxes: Sequence[Tensor]) -> BoxSweep:
        """maps (n,H,W), gt_boxes: n tensors (M,4), M ≥ 1 -> self.

        Raises TypeError or ValueError for maps of another form or with NaN or infinite values, for another number of
        boxes than maps, and for a picture without a true box or with one that has no area.
        """
        check_finite(maps)
        truth = check_boxes(gt_boxes, len(maps), inclusive=self.settings["protocol"] == "wsol")
        overlaps = [self._overlaps(heat, boxes) for heat, boxes in zip(maps, truth, strict=True)]
        return self._add(np.array(overlaps).reshape(len(maps), 1, len(self.grid)) >= self._ious[:, None])

    def compute(self) -> Score:
        """-> Score, see `max_box_acc`; without a second dimension where `iou` is one number."""
        curve = self._mean()
        index = curve.argmax(1)
        score = self._score(threshold=tuple(self.grid[index].tolist()), curve=torch.from_numpy(curve))
        score.thresholds = torch.from_numpy(self.grid)
        if self.keep:
            score.hits = torch.stack([score.outcomes[:, d, t] for d, t in enumerate(index)], 1)
        if self._single:
            score.threshold, score.curve = score.threshold[0], score.curve[0]
            score.hits = score.hits[:, 0] if self.keep else None
        return score

    def _overlaps(self, heat: Tensor, truth: Tensor) -> np.ndarray:
        """-> (T,): the best IoU of a box that counts with a true one, at each threshold."""
        rule, wsol, count = self.settings["rule"], self.settings["protocol"] == "wsol", len(self.grid)
        levels = (self._wsol_levels if wsol else self._levels)(heat)
        if not wsol:
            found = regions(levels, count)
        elif rule == "largest":
            found = outlines(levels, count)
        else:
            found = Regions(*map(np.concatenate, zip(regions(levels, count), holes(levels, count), strict=True)))
        boxes = torch.from_numpy(found.boxes)
        result = np.zeros(count)
        if wsol:
            height, width = levels.shape
            boxes[:, 2:] = boxes[:, 2:].minimum(torch.tensor([width, height]) - 1) + 1
            truth = truth + torch.tensor([0, 0, 1, 1])
            result[:] = ious(torch.tensor([[0, 0, 1, 1]]), truth).max()
        if not len(boxes):
            return result
        overlaps = ious(boxes, truth).amax(1).numpy()
        # Whatever counts most is written last.
        order = (
            np.argsort(overlaps)
            if rule == "all"
            else np.lexsort((found.first if wsol else -found.first, found.weights))
        )
        for low, high, overlap in zip(found.low[order], found.high[order], overlaps[order], strict=True):
            result[low:high] = overlap
        return result

    def _levels(self, heat: Tensor) -> np.ndarray:
        """(H,W) -> (H,W) int32: how many thresholds each pixel is above."""
        heat, peak = (t[0].cpu().numpy() for t in evidence(heat[None], self.settings["normalize"]))
        if peak <= 0:
            return np.zeros(heat.shape, np.int32)
        return np.searchsorted(self.grid * peak.item(), heat).astype(np.int32)

    def _wsol_levels(self, heat: Tensor) -> np.ndarray:
        heat = heat.detach().float().cpu().numpy()
        heat = heat - heat.min() if self.settings["normalize"] == "minmax" else heat.clip(0)
        grey = (heat / (heat.max() or 1) * 255).astype(np.uint8)
        return np.searchsorted((self.grid * grey.max()).astype(int), grey).astype(np.int32)


def check_finite(maps: Tensor) -> None:
    """Raises for what is not a tensor (N,H,W) of finite numbers with at least one pixel."""
    check_maps(maps)
    if 0 in maps.shape[1:]:
        raise ValueError(f"maps have no pixels: {tuple(maps.shape)}")
    bad = ~torch.isfinite(maps).flatten(1).all(1)
    if bad.any():
        raise ValueError(f"maps hold NaN or infinite values (picture {int(bad.nonzero()[0])})")


def check_boxes(gt_boxes: Sequence[Tensor], n: int | None = None, inclusive: bool = False) -> list[Tensor]:
    """-> the true boxes as float64 on the CPU. Raises ValueError, naming the picture, for what is no list of boxes."""
    if n is not None and len(gt_boxes) != n:
        raise ValueError(f"maps and gt_boxes must be of the same pictures, got {n} and {len(gt_boxes)}")
    found = []
    for i, boxes in enumerate(gt_boxes):
        boxes = torch.as_tensor(boxes).detach().cpu().double()
        if boxes.ndim != 2 or boxes.shape[1] != 4:
            raise ValueError(f"picture {i}: true boxes must be (M,4), got {tuple(boxes.shape)}")
        if not len(boxes):
            raise ValueError(f"picture {i} has no true box: there is nothing to find in it")
        if not (boxes[:, 2:] - boxes[:, :2] + inclusive > 0).all():
            raise ValueError(f"picture {i}: true boxes must be x1, y1, x2, y2 with x1 < x2 and y1 < y2")
        found.append(boxes)
    return found


def check_iou(*values: float) -> None:
    if not all(0 < value <= 1 for value in values):
        raise ValueError(f"an IoU to reach is above 0 and at most 1, got {', '.join(map(str, values))}")


def ious(boxes: Tensor, truth: Tensor) -> Tensor:
    """(M,4), (G,4) -> (M,G) float64, so that a half is a half."""
    return box_iou(boxes.double(), truth.double())
