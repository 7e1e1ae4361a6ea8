"""From heat to boxes: threshold the map, keep a connected component, draw its box (lesson 05; paper, section 3.2)."""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

__all__ = ["boxes_from_maps", "heuristic_boxes", "region_above", "scaled", "value_range"]


def boxes_from_maps(
    maps: Tensor, threshold: float = 0.2, rule: str = "largest", normalize: str = "max"
) -> list[Tensor]:
    """Boxes around the hottest regions of each map.

    A pixel belongs to a region when its value is *above* `threshold` times the map's maximum; pixels that touch,
    corners included, are one region. Without a positive maximum there is no evidence and no box: all-negative and
    all-zero maps give M = 0, as do maps without pixels. A constant positive map is evidence everywhere: one box, the
    whole picture (with "minmax" it is evidence of nothing: no box). NaN and infinite values belong to no region and do
    not count for the maximum or minimum.

    Args:
        maps: (N,H,W), signed or not, at the size of the picture
        threshold: part of the map's maximum, 0 to 1
        rule: "largest", the box of the region with the most pixels, the paper's rule (M is 1 or 0; of equal regions the
            first in reading order); "all", a box for every region, largest first; "released", what the authors'
            released code does, largest box first: the regions above 20, 100 and 110 of 255 (`threshold` is ignored),
            each mask cut back to the pixels whose distance to its edge is more than 10/255 of the largest, boxes that
            share more than half of the larger one's area merged into it. (Left out: its contours of holes, its margin
            of five pixels at the right and lower edges, and a bug that lets a few overlaps through.)
        normalize: "max" counts from zero, "minmax" from the map's minimum: `threshold` is then a part of the way from
            the minimum to the maximum

    Returns:
        N float32 tensors (M,4) on the maps' device, xyxy in pixels, x2 and y2 exclusive

    Raises:
        TypeError: maps that are not a tensor
        ValueError: maps of another rank, a threshold outside 0 to 1, an unknown rule or normalization

    Zhou et al., section 3.2: above 20 % of the maximum, largest component.
    """
    check_maps(maps)
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold is a part of the map's maximum, from 0 to 1, got {threshold}")
    if rule not in ("largest", "all", "released"):
        raise ValueError(f"rule must be 'largest', 'all' or 'released', got {rule!r}")
    heat = maps.detach().cpu().double()  # in this order: MPS has no double precision
    if rule == "released":
        grey = (scaled(heat, normalize).clamp_min(0) * 255).round().numpy()
        return [torch.from_numpy(_released_boxes(g)).to(maps.device) for g in grey]
    kept = 1 if rule == "largest" else None
    masks = region_above(heat, threshold, normalize).numpy()
    return [torch.from_numpy(_largest_first(mask)[:kept]).to(maps.device) for mask in masks]


def heuristic_boxes(maps: Tensor, classes: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Five labelled boxes from three predictions: the loose and the tight one of the first two, the loose of the third.

    maps (N,3+,H,W): those of the highest classes, in falling order; classes (N,3+): which these are -> N tensors (M,4)
    and N (M,), M up to 5, as `scores.localization_error` takes them. Loose and tight: the largest and the second
    largest box of rule="released". Raises ValueError for other shapes. Zhou et al., Table 3 ("heuristics").
    """
    if maps.ndim != 4 or maps.shape[1] < 3 or classes.shape != maps.shape[:2]:
        raise ValueError(f"maps must be (N,3+,H,W) and classes (N,3+), got {tuple(maps.shape)}, {tuple(classes.shape)}")
    per_class = [boxes_from_maps(maps[:, c], rule="released") for c in range(3)]
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


def value_range(maps: Tensor, normalize: str = "max") -> tuple[Tensor, Tensor]:
    """The value that counts as no evidence and the value that counts as most, of each map.

    maps (...,H,W) -> low, high, each (...,1,1). normalize="max": from zero to the map's maximum; "minmax": from its
    minimum to its maximum. NaN and infinite values do not count; a map without any other value has 0 and 0. Where
    high ≤ low there is no evidence. Raises ValueError for another `normalize`.
    """
    if normalize not in ("max", "minmax"):
        raise ValueError(f"normalize must be 'max' or 'minmax', got {normalize!r}")
    if not maps.numel():
        zero = torch.zeros(*maps.shape[:-2], 1, 1, dtype=maps.dtype, device=maps.device)
        return zero, zero
    low, high = maps.amin((-2, -1), keepdim=True), maps.amax((-2, -1), keepdim=True)
    if not (low.isfinite().all() and high.isfinite().all()):
        finite = maps.isfinite()
        low = torch.where(finite, maps, torch.inf).amin((-2, -1), keepdim=True).nan_to_num(posinf=0.0)
        high = torch.where(finite, maps, -torch.inf).amax((-2, -1), keepdim=True).nan_to_num(neginf=0.0)
    return (torch.zeros_like(high) if normalize == "max" else low), high


def scaled(maps: Tensor, normalize: str = "max") -> Tensor:
    """Each map divided by its maximum ("max"), or stretched from its minimum 0 to its maximum 1 ("minmax").

    maps (...,H,W) -> the same shape, at most 1; with "max" negative evidence stays negative. Maps without evidence,
    and values that are NaN or infinite, become 0.
    """
    low, high = value_range(maps, normalize)
    span = torch.where(high > low, high - low, torch.inf)
    return ((maps - low) / span).nan_to_num(0.0, posinf=0.0, neginf=0.0)


def region_above(maps: Tensor, threshold: float, normalize: str = "max") -> Tensor:
    """The pixels where each map is above `threshold` times its maximum.

    maps (...,H,W) -> bool (...,H,W), computed in the maps' own precision. normalize="minmax": above that part of the
    way from the map's minimum to its maximum. A map without evidence has no such pixel. Zhou et al., section 3.2.
    """
    low, high = value_range(maps, normalize)
    return (maps - low > threshold * (high - low)) & (maps <= high) & (high > low)  # infinity is above the highest


def component_boxes(
    mask: np.ndarray, weights: np.ndarray | None = None, connectivity: int = 2
) -> tuple[np.ndarray, np.ndarray]:
    """The boxes around the connected components of a mask, in the reading order of their first pixels.

    mask bool (H,W); weights: one for each pixel, flat (H·W,); None counts pixels. connectivity=2: pixels that touch at
    a corner are connected too; 1: only those that share an edge. -> boxes int (M,4), xyxy with x2 and y2 exclusive, and
    the sum of the weights in each component (M,).
    """
    labels, count = ndimage.label(mask, structure=ndimage.generate_binary_structure(2, connectivity))
    slices = ndimage.find_objects(labels) if count else []
    boxes = np.array([(x.start, y.start, x.stop, y.stop) for y, x in slices], dtype=int).reshape(-1, 4)
    return boxes, np.bincount(labels.ravel(), weights, count + 1)[1:]


def _largest_first(mask: np.ndarray) -> np.ndarray:
    boxes, pixels = component_boxes(mask)
    return boxes[np.argsort(-pixels, kind="stable")].astype(np.float32)


def _released_boxes(grey: np.ndarray) -> np.ndarray:
    """(H,W), 0 to 255 -> (M,4), by area."""
    found = []
    for level in (20, 100, 110):
        mask = grey > level
        if mask.any() and not mask.all():  # without an edge there is no distance to it
            depth = ndimage.distance_transform_edt(mask)
            mask = np.floor(depth * 255 / depth.max() + 0.5) > 10
        found.append(_largest_first(mask))
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
