"""From heat to boxes: threshold the map, keep a connected component, draw its box (lesson 05; paper, section 3.2)."""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

__all__ = ["boxes_from_maps"]

_EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=int)


def boxes_from_maps(maps: Tensor, threshold: float = 0.2, rule: str = "largest") -> list[Tensor]:
    """Boxes around the hottest regions of each map.

    maps (N,H,W), signed or not, at the size of the picture -> list of N float32 tensors (M,4) on the maps' device,
    xyxy in pixels with x2 and y2 exclusive. A pixel belongs to a region when its value is *above* `threshold` times
    the map's maximum; pixels that touch, corners included, are one region.

    rule="largest": the box of the region with the most pixels, the paper's rule (M is 1 or 0; of equal regions the
    first in reading order). rule="all": a box for every region, largest first.

    Without a positive maximum there is no evidence and no box: all-negative and all-zero maps give M = 0, as do maps
    without pixels. A constant positive map is evidence everywhere: one box, the whole picture. Values that are NaN or
    infinite are no evidence; they belong to no region and do not count for the maximum.

    Raises TypeError for what is not a tensor, ValueError for maps of another rank, a threshold outside 0 to 1, or an
    unknown rule.
    Zhou et al., section 3.2: above 20 % of the maximum, largest component.
    """
    if not isinstance(maps, Tensor):
        raise TypeError(f"maps must be a tensor (N,H,W), got {type(maps).__name__}: torch.as_tensor(maps)")
    if maps.ndim != 3:
        hints = {2: ": add the batch dimension, maps[None]", 4: ": choose one map per picture, maps[:, c]"}
        raise ValueError(f"maps must be (N,H,W), got {tuple(maps.shape)}{hints.get(maps.ndim, '')}")
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold is a part of the map's maximum, from 0 to 1, got {threshold}")
    if rule not in ("largest", "all"):
        raise ValueError(f"rule must be 'largest' or 'all', got {rule!r}")
    if not maps.numel():
        return [maps.new_zeros((0, 4), dtype=torch.float32) for _ in maps]
    heat = maps.detach().double()
    heat = torch.where(heat.isfinite(), heat, -torch.inf)
    peak = heat.amax((1, 2), keepdim=True)
    above = ((heat > threshold * peak) & (peak > 0)).cpu().numpy()
    return [torch.from_numpy(_component_boxes(mask, rule)).to(maps.device) for mask in above]


def _component_boxes(mask: np.ndarray, rule: str) -> np.ndarray:
    labels, count = ndimage.label(mask, structure=_EIGHT_NEIGHBOURS)
    if not count:
        return np.zeros((0, 4), dtype=np.float32)
    pixels = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    order = np.argsort(-pixels, kind="stable")[: 1 if rule == "largest" else count]
    slices = ndimage.find_objects(labels)
    return np.array([(x.start, y.start, x.stop, y.stop) for y, x in (slices[i] for i in order)], dtype=np.float32)
