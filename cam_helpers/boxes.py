"""From heat to boxes: threshold the map, keep a connected component, draw its box (lesson 05; paper, section 3.2)."""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

__all__ = ["boxes_from_maps", "heuristic_boxes"]

_EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=int)


def boxes_from_maps(
    maps: Tensor, threshold: float = 0.2, rule: str = "largest", normalize: str = "max"
) -> list[Tensor]:
    """Boxes around the hottest regions of each map.

    maps (N,H,W), signed or not, at the size of the picture -> list of N float32 tensors (M,4) on the maps' device,
    xyxy in pixels with x2 and y2 exclusive. A pixel belongs to a region when its value is *above* `threshold` times
    the map's maximum; pixels that touch, corners included, are one region. normalize="minmax" counts from the map's
    minimum instead of from zero: `threshold` is then a part of the way from the minimum to the maximum.

    rule="largest": the box of the region with the most pixels, the paper's rule (M is 1 or 0; of equal regions the
    first in reading order). rule="all": a box for every region, largest first.
    rule="released": what the authors' released code does, largest box first: the regions above 20, 100 and 110 of
    255 (`threshold` has no say), each mask cut back to the pixels whose distance to its edge is more than 10/255 of the
    largest, boxes that share more than half of the larger one's area merged into it. (Left out: its contours of
    holes, its margin of five pixels at the right and lower edges, and a slip that lets a few overlaps through.)

    Without a positive maximum there is no evidence and no box: all-negative and all-zero maps give M = 0, as do maps
    without pixels. A constant positive map is evidence everywhere: one box, the whole picture (with "minmax" it is
    evidence of nothing: no box). Values that are NaN or infinite are no evidence; they belong to no region and do not
    count for the maximum or minimum.

    Raises TypeError for what is not a tensor, ValueError for maps of another rank, a threshold outside 0 to 1, or an
    unknown rule or normalization.
    Zhou et al., section 3.2: above 20 % of the maximum, largest component.
    """
    check_maps(maps)
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold is a part of the map's maximum, from 0 to 1, got {threshold}")
    if rule not in ("largest", "all", "released"):
        raise ValueError(f"rule must be 'largest', 'all' or 'released', got {rule!r}")
    heat, peak = evidence(maps, normalize)
    if rule == "released":
        grey = (heat / peak.where(peak > 0, torch.inf) * 255).clamp(0, 255).round().cpu().numpy()
        return [torch.from_numpy(_released_boxes(g)).to(maps.device) for g in grey]
    above = ((heat > threshold * peak) & (peak > 0)).cpu().numpy()
    return [torch.from_numpy(_component_boxes(mask, rule)).to(maps.device) for mask in above]


def heuristic_boxes(maps: Tensor, classes: Tensor, normalize: str = "max") -> tuple[list[Tensor], list[Tensor]]:
    """Five labelled boxes from three predictions: the loose and the tight one of the first two, the loose of the third.

    maps (N,3+,H,W): those of the highest classes, in falling order; classes (N,3+): which these are -> N tensors (M,4)
    and N (M,), M up to 5, as `scores.localization_error` takes them. Loose and tight: the largest and the second
    largest box of rule="released". Raises ValueError for other shapes. Zhou et al., Table 3 ("heuristics").
    """
    if maps.ndim != 4 or maps.shape[1] < 3 or classes.shape != maps.shape[:2]:
        raise ValueError(f"maps must be (N,3+,H,W) and classes (N,3+), got {tuple(maps.shape)}, {tuple(classes.shape)}")
    per_class = [boxes_from_maps(maps[:, c], rule="released", normalize=normalize) for c in range(3)]
    chosen = [[boxes[:k] for boxes, k in zip(found, (2, 2, 1), strict=True)] for found in zip(*per_class, strict=True)]
    counts = [torch.tensor([len(boxes) for boxes in three], device=classes.device) for three in chosen]
    names = [three.repeat_interleave(count) for three, count in zip(classes[:, :3], counts, strict=True)]
    return [torch.cat(three) for three in chosen], names


def check_maps(maps: Tensor) -> None:
    """Raises TypeError or ValueError for what is not a tensor (N,H,W)."""
    if not isinstance(maps, Tensor):
        raise TypeError(f"maps must be a tensor (N,H,W), got {type(maps).__name__}: torch.as_tensor(maps)")
    if maps.ndim != 3:
        hints = {2: ": add the batch dimension, maps[None]", 4: ": choose one map per picture, maps[:, c]"}
        raise ValueError(f"maps must be (N,H,W), got {tuple(maps.shape)}{hints.get(maps.ndim, '')}")


def evidence(maps: Tensor, normalize: str) -> tuple[Tensor, Tensor]:
    """(N,H,W) -> (heat (N,H,W) float64 counted from zero evidence, its maximum (N,1,1)); no evidence where that is ≤ 0.

    "max": zero is zero. "minmax": zero is the map's minimum. What is no finite number becomes -inf.
    """
    if normalize not in ("max", "minmax"):
        raise ValueError(f"normalize must be 'max' or 'minmax', got {normalize!r}")
    heat = maps.detach().double()
    if not heat.numel():
        return heat, heat.new_zeros(len(heat), 1, 1)
    finite = heat.isfinite()
    if normalize == "minmax":
        heat = heat - torch.where(finite, heat, torch.inf).amin((1, 2), keepdim=True)
    heat = torch.where(finite, heat, -torch.inf)
    return heat, heat.amax((1, 2), keepdim=True)


def _component_boxes(mask: np.ndarray, rule: str) -> np.ndarray:
    labels, count = ndimage.label(mask, structure=_EIGHT_NEIGHBOURS)
    if not count:
        return np.zeros((0, 4), dtype=np.float32)
    pixels = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    order = np.argsort(-pixels, kind="stable")[: 1 if rule == "largest" else count]
    slices = ndimage.find_objects(labels)
    return np.array([(x.start, y.start, x.stop, y.stop) for y, x in (slices[i] for i in order)], dtype=np.float32)


def _released_boxes(grey: np.ndarray) -> np.ndarray:
    """(H,W), 0 to 255 -> (M,4), by area."""
    found = []
    for level in (20, 100, 110):
        mask = grey > level
        if mask.any() and not mask.all():  # without an edge there is no distance to it
            depth = ndimage.distance_transform_edt(mask)
            mask = np.floor(depth * 255 / depth.max() + 0.5) > 10
        found.append(_component_boxes(mask, "all"))
    found = np.concatenate(found)
    size = (found[:, 2:] - found[:, :2]).prod(1)
    kept = []
    for box in found[np.argsort(-size, kind="stable")]:
        for other in kept:
            shared = np.clip(np.minimum(box[2:], other[2:]) - np.maximum(box[:2], other[:2]), 0, None).prod()
            if shared > int((other[2:] - other[:2]).prod() * 0.5):
                break
        else:
            kept.append(box)
    return np.array(kept, np.float32).reshape(-1, 4)
