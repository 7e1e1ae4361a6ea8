"""Boxes that are compared: how much they overlap, and whether they are boxes at all."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torchvision.ops import box_iou

from ..boxes import check_maps


def ious(boxes: Tensor, truth: Tensor) -> Tensor:
    """(M,4), (G,4) -> (M,G) float64, so that a half is exactly a half."""
    return box_iou(boxes.double(), truth.double())


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
    for value in values:
        if not 0 < value <= 1:
            raise ValueError(f"an IoU to reach is above 0 and at most 1, got {value}")
