"""Network dissection: name each unit by the object or part that it overlaps best (Bau et al., CVPR 2017)."""

from __future__ import annotations

from math import floor

import pandas as pd
import torch
from torch import Tensor

from ..maps import resize


def activation_thresholds(features: Tensor, quantile: float = 0.005) -> Tensor:
    """What each unit exceeds at a share `quantile` of all places of all pictures, at most: (N,K,h,w) -> (K,)."""
    if not 0 < quantile < 1:
        raise ValueError(f"quantile is a share of all places, between 0 and 1, got {quantile}")
    values = features.transpose(0, 1).flatten(1)  # (K,N·h·w)
    return values.topk(floor(quantile * values.shape[1] + 1e-9) + 1, dim=1).values[:, -1]


class Dissection:
    """How well each unit's active region agrees with each concept, counted over a whole set; parts can be merged.

    iou: a table, units × concepts: pixels in both, divided by pixels in either, of all pictures together. A unit is
    active where its map, resized bilinearly to the labels, is above its threshold (K,), see `activation_thresholds`.
    """

    def __init__(self, thresholds: Tensor, names):
        self.thresholds, self.names = thresholds.cpu(), list(names)
        self.both = torch.zeros(len(self.names) + 1, len(thresholds), dtype=torch.double)  # the last: no concept
        self.active, self.concept = torch.zeros(len(thresholds)).double(), torch.zeros(len(self.names) + 1).double()

    def update(self, features: Tensor, layers: Tensor) -> Dissection:
        """features (N,K,h,w); layers int64 (N,L,H,W): the concept at each pixel, an index into names or -1, in each of
        L layers (objects, parts); every concept belongs to one layer only."""
        for maps, kinds in zip(features, layers, strict=True):  # one by one: at full size they take much memory
            active = resize(maps[None].float().cpu(), kinds.shape[1:])[0] > self.thresholds[:, None, None]
            active = active.flatten(1).T.double()
            self.active += active.sum(0)
            for layer in kinds.flatten(1) % (len(self.names) + 1):  # -1 becomes the last
                self.both.index_add_(0, layer, active)
                self.concept += torch.bincount(layer, minlength=len(self.concept))
        return self

    def merge(self, other: Dissection) -> Dissection:
        """Add the pictures of another one. Raises ValueError if its thresholds or names differ."""
        if self.names != other.names or not torch.equal(self.thresholds, other.thresholds):
            raise ValueError("cannot merge: the thresholds or the names of the concepts differ")
        self.both = self.both + other.both
        self.active = self.active + other.active
        self.concept = self.concept + other.concept
        return self

    @property
    def iou(self) -> pd.DataFrame:
        both, concept = self.both[:-1].T, self.concept[:-1]
        either = self.active[:, None] + concept - both
        return pd.DataFrame((both / either.clamp_min(1)).numpy(), columns=self.names)

    def best(self, bar: float = 0.04) -> pd.DataFrame:
        """A row per unit: concept, iou, detector (is the iou above the bar? Bau et al. take 0.04)."""
        iou = self.iou
        found = pd.DataFrame({"concept": iou.idxmax(axis=1), "iou": iou.max(axis=1)}).rename_axis("unit")
        return found.assign(detector=found["iou"] > bar)

    def detectors(self, bar: float = 0.04) -> int:
        """How many different concepts have a unit of their own."""
        found = self.best(bar)
        return found.loc[found["detector"], "concept"].nunique()
