"""Units as words: which of them speak for a class, how few are enough, how much depends on one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def rank_units(weight: Tensor, features: Tensor | None = None, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """-> (values (C,K), units (C,K)): for each class its units, the most important first.

    weight (C,K): by w_k^c, as the paper. With features (N,K), see `gap_features`, and labels (N,): by w_k^c·F^k, F^k
    the mean over the class's own pictures: what the unit adds to the score. Zhou et al., section 5.
    """
    if features is not None:
        labels = labels.to(features.device)
        if missing := sorted(set(range(len(weight))) - set(labels.tolist())):
            raise ValueError(f"there is no picture of class {missing[0]} to take the mean of")
        weight = weight * torch.stack([features[labels == c].mean(0) for c in range(len(weight))])
    return weight.sort(dim=1, descending=True, stable=True)


def bag_of_words(
    features: Tensor, labels: Tensor, weight: Tensor, bias: Tensor | None, units: Tensor, counts: Sequence[int]
) -> Tensor:
    """Which pictures are still classified correctly when each class uses only its first m units.

    Args:
        features: (N,K), see `gap_features`
        labels: (N,)
        weight, bias: (C,K) and (C,) or None, of the classifier
        units: (C,K), the order of the units, from `rank_units` on other pictures
        counts: the numbers m; with m = K it is the classifier itself

    Returns:
        bool (len(counts),N); `scores.interval(hits[i])` gives the accuracy's interval
    """
    found = []
    for m in counts:
        kept = torch.zeros_like(weight).scatter_(1, units[:, :m], 1)
        found.append(F.linear(features, weight * kept, bias).argmax(1) == labels)
    return torch.stack(found)


def switch_off(features: Tensor, labels: Tensor, weight: Tensor, bias: Tensor | None = None, batch=256) -> Tensor:
    """How many more of a class's pictures are wrong without unit k: (C,K), as a share of the class's pictures.

    Switching a unit off takes w_k^c·F^k from every class score, so no forward pass is needed: all units at once, in one
    product.

    Args:
        features: (N,K), see `gap_features`
        labels: (N,); a class without pictures gives NaN
        weight, bias: (C,K) and (C,) or None, of the classifier
        batch: pictures at a time
    """
    lost = torch.zeros_like(weight)
    for x, y in zip(features.split(batch), labels.split(batch), strict=True):
        scores = F.linear(x, weight, bias)
        without = scores[:, None] - torch.einsum("nk,ck->nkc", x, weight)
        change = (scores.argmax(1) == y).float()[:, None] - (without.argmax(2) == y[:, None]).float()
        lost.index_add_(0, y, change)
    return lost / torch.bincount(labels, minlength=len(weight))[:, None]
