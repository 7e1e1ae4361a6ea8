"""The pictures that excite a unit most, and where in them."""

from __future__ import annotations

import torch
from torch import Tensor

from ..boxes import check_maps, region_above
from ..maps import resize


class TopPictures:
    """For every unit the k pictures with the highest activation anywhere; memory does not grow with the pictures.

    values    (K,k) highest activations, falling; of equal ones the earlier picture comes first
    pictures  long (K,k), their numbers: 0, 1 … in the order in which they come
    places    long (K,k,2), row and column of the maximum among the features' places; of equal ones the first

    With fewer than k pictures seen there are that many columns.
    """

    def __init__(self, k: int = 8):
        if k < 1:
            raise ValueError(f"k is the number of pictures for each unit, 1 or more, got {k}")
        self.k, self.count = k, 0
        self.values = self.pictures = self.places = None

    def update(self, features: Tensor) -> TopPictures:
        """features (N,K,h,w) of the next pictures -> self. Raises ValueError for another form or number of units."""
        if features.ndim != 4 or (self.values is not None and features.shape[1] != len(self.values)):
            expected = "N,K,h,w" if self.values is None else f"N,{len(self.values)},h,w"
            raise ValueError(f"expected features ({expected}), got {tuple(features.shape)}")
        n, units, _, width = features.shape
        values, flat = (part.T.cpu() for part in features.flatten(2).max(2))  # (K,N)
        pictures = torch.arange(self.count, self.count + n).expand(units, n)
        places = torch.stack((flat // width, flat % width), 2)
        if self.values is not None:
            values = torch.cat((self.values, values), 1)
            pictures = torch.cat((self.pictures, pictures), 1)
            places = torch.cat((self.places, places), 1)
        best = values.argsort(dim=1, descending=True, stable=True)[:, : self.k]
        self.values, self.pictures = values.gather(1, best), pictures.gather(1, best)
        self.places = places.gather(1, best[..., None].expand(-1, -1, 2))
        self.count += n
        return self


def unit_regions(maps: Tensor, size: tuple[int, int], threshold: float = 0.2) -> Tensor:
    """Where a unit is active: bool (N,H,W), above `threshold` times the maximum of its map, resized bilinearly.

    maps (N,h,w): activations of a unit, `features[:, unit]`; without positive values there is no region. Zhou et al.,
    section 5.
    """
    check_maps(maps)
    return region_above(resize(maps[:, None], size)[:, 0].detach().cpu().double(), threshold).to(maps.device)
