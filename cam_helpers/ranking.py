"""Which class scores highest: one rule for the accuracies of training and of the scores."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["in_top_k"]


def in_top_k(logits: Tensor, labels: Tensor, k: int = 1) -> Tensor:
    """Is a true class among the k highest scores? -> bool (N,).

    logits (N,C); labels (N,) class indices, or (N,C) 0/1 where a picture may hold several classes: one of them is
    enough. A tie counts against the network: a wrong class that scores as high as the true one stands before it, and
    so does a NaN.
    """
    true = F.one_hot(labels, logits.shape[1]).bool() if labels.ndim == 1 else labels > 0
    best = torch.where(true, logits, -torch.inf).amax(1, keepdim=True)
    ahead = (~(logits < best) & ~true).sum(1)
    return (ahead < k) & true.any(1)
