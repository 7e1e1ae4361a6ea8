"""Errors of classification and of localization with labels (paper, Tables 1 to 3)."""

from __future__ import annotations

import torch
from torch import Tensor

from ..ranking import in_top_k
from .outcome import Score, proportion
from .overlap import check_boxes, check_iou, ious


def classification_error(logits: Tensor, labels: Tensor, topk: tuple[int, ...] = (1, 5)) -> dict[int, Score]:
    """The part of the pictures whose label is not among the k highest logits: a dict k -> Score.

    logits (N,C), labels (N,) class indices. A tie counts as wrong: a class that scores as high as the label stands
    before it. With k ≥ C nothing can be missed. Raises ValueError for other shapes, labels that are no class, NaN among
    the logits, or a k below 1. Paper, Table 1.
    """
    if logits.ndim != 2 or labels.shape != logits.shape[:1]:
        raise ValueError(f"logits must be (N,C) and labels (N,), got {tuple(logits.shape)} and {tuple(labels.shape)}")
    if logits.isnan().any():
        raise ValueError("logits hold NaN")
    labels = labels.to(logits.device, torch.long)
    if len(labels) and (labels.min() < 0 or labels.max() >= logits.shape[1]):
        raise ValueError(f"labels must be classes, 0 to {logits.shape[1] - 1}")
    if min(topk) < 1:
        raise ValueError(f"k must be at least 1, got {min(topk)}")
    return {k: proportion(in_top_k(logits, labels, k), errors=True) for k in topk}


def localization_error(boxes, classes, gt_boxes, labels, iou: float = 0.5) -> Score:
    """The part of the pictures for which no labelled box is right, in the sense of ILSVRC.

    A box is right when its class is the picture's label and its IoU with any true box is at least `iou`.

    Args:
        boxes: N tensors (M,4), xyxy with x2 and y2 exclusive; one box a picture gives the top-1 error, five the top-5
            error; a picture without boxes is missed
        classes: N × (M,), the class index of each box
        gt_boxes: N tensors (G,4), the true boxes of the picture's label
        labels: (N,), the true class of each picture
        iou: the overlap to reach

    Raises ValueError for lists of different lengths, other shapes, or more than five boxes. Paper, Tables 2 and 3.
    """
    check_iou(iou)
    lengths = [len(boxes), len(classes), len(gt_boxes), len(labels)]
    if len(set(lengths)) > 1:
        raise ValueError(f"boxes, classes, gt_boxes and labels must be of the same pictures, got {lengths}")
    hits, truth = [], check_boxes(gt_boxes, len(labels))
    for found, named, true, label in zip(boxes, classes, truth, labels, strict=True):
        named = torch.as_tensor(named).cpu()
        if found.shape != (len(named), 4) or len(named) > 5:
            raise ValueError(f"boxes must be (M,4) with M classes, up to 5, got {tuple(found.shape)} and {len(named)}")
        right = ious(found.cpu()[named == int(label)], true) >= iou
        hits.append(bool(right.any()))
    return proportion(hits, errors=True)
