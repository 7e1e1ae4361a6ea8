"""The pictures that excite a unit most, and where in them."""

from __future__ import annotations

import torch
from torch import Tensor

from ..boxes import check_maps, region_above
from ..maps import resize


class TopPictures:
    """For every unit the k pictures with the highest activation anywhere; memory does not grow with the pictures.

    values    (K,k) highest activations, falling; of equal ones the picture with the smaller number comes first
    pictures  long (K,k), their numbers
    places    long (K,k,2), row and column of the maximum among the features' places; of equal ones the first

    With fewer than k pictures seen there are that many columns.
    """

    def __init__(self, k: int = 8):
        if k < 1:
            raise ValueError(f"k is the number of pictures for each unit, 1 or more, got {k}")
        self.k, self.count = k, 0
        self.values = self.pictures = self.places = None

    def update(self, features: Tensor, keys: Tensor | None = None) -> TopPictures:
        """features (N,K,h,w); keys (N,): the pictures' numbers (None: 0, 1 … in the order they come)."""
        if features.ndim != 4 or (keys is not None and len(keys) != len(features)):
            raise ValueError(f"features are (N,K,h,w), keys (N,), got {tuple(features.shape)}")
        n, units, _, width = features.shape
        keys = torch.arange(self.count, self.count + n) if keys is None else keys.cpu()
        values, flat = (part.T.cpu() for part in features.flatten(2).max(2))
        self.count += n
        return self._add(values, keys.expand(units, n), torch.stack((flat // width, flat % width), 2))

    def merge(self, other: TopPictures) -> TopPictures:
        """Add the pictures of another one, whose keys are others. Raises ValueError for another k."""
        if self.k != other.k:
            raise ValueError(f"cannot merge the top {other.k} into the top {self.k}")
        self.count += other.count
        return self if other.values is None else self._add(other.values, other.pictures, other.places)

    def _add(self, values: Tensor, pictures: Tensor, places: Tensor) -> TopPictures:
        if self.values is not None:
            if len(values) != len(self.values):
                raise ValueError(f"there were {len(self.values)} units, and now {len(values)}")
            pairs = zip((self.values, self.pictures, self.places), (values, pictures, places), strict=True)
            values, pictures, places = (torch.cat(pair, 1) for pair in pairs)
        order = pictures.argsort(dim=1, stable=True)
        order = order.gather(1, values.gather(1, order).argsort(dim=1, descending=True, stable=True))[:, : self.k]
        self.values, self.pictures = values.gather(1, order), pictures.gather(1, order)
        self.places = places.gather(1, order[..., None].expand(-1, -1, 2))
        return self


def unit_regions(maps: Tensor, size: tuple[int, int], threshold: float = 0.2) -> Tensor:
    """Where a unit is active: bool (N,H,W), above `threshold` times the maximum of its map, resized bilinearly.

    maps (N,h,w): a unit's activations, `features[:, unit]`. Nowhere positive: no region. Zhou et al., section 5.
    """
    check_maps(maps)
    return region_above(resize(maps[:, None], size)[:, 0].detach().cpu().double(), threshold).to(maps.device)
