"""The counts: what objects a scene holds, and what the scene's map does on them, with a bootstrap beside them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F

from ..boxes import region_above
from ..files import replacing
from ..maps import resize

MEASURES = ("frequency", "rate", "overlap", "lift", "by_weight")


class SceneStatistics:
    """Counts of objects and of what the scenes' maps do on them, picture after picture; parts can be merged.

    frequency   share of the scene's pictures that hold the object
    rate        share of the scene's pictures whose top-activation region covers half of the object, or more
    overlap     share of the top-activation region that is the object's, mean over the pictures that have a region
    lift        overlap, divided by the object's share of those pictures' area, which a random region would have
    by_weight   Σ_k w_k^c (mean of f_k on the object − mean of f_k elsewhere): the weights of the scene's class, each
                with what its unit does on the object. It is the mean of the signed map on the object minus its mean
                elsewhere, in units of the class score; mean over the pictures that hold the object and something else

    All are tables, a row per scene and a column per object; NaN where nothing was seen. The spread comes from Poisson
    bootstraps: in each of them a picture counts 0, 1, 2 … times, drawn at random from `seed` and the picture's key, so
    that no second pass is needed. Zhou et al., section 4.2 and Figure 9; lecture 46 from 17:17.

    Args:
        scene_names, object_names: of the rows and the columns
        threshold: between 0 and 1; with rule="max" the region is where the map is above this part of its maximum
            (without positive values there is none), with rule="area" it is this share of the pixels, the hottest
        rule: "max" or "area"
        replicates: the number of bootstraps
        seed: of the bootstraps
    """

    def __init__(self, scene_names, object_names, threshold=0.2, rule="max", replicates=200, seed=0):
        if not 0 < threshold < 1 or rule not in ("max", "area"):
            raise ValueError(f"threshold is between 0 and 1, rule 'max' or 'area', got {threshold} and {rule!r}")
        self.scene_names, self.object_names = list(scene_names), list(object_names)
        self.threshold, self.rule, self.replicates, self.seed = threshold, rule, replicates, seed
        size = 1 + replicates, len(self.scene_names), len(self.object_names)  # the first is the pictures as they are
        self.sums = torch.zeros(*size, 6, dtype=torch.double)  # of _on_objects
        self.pictures = torch.zeros(*size[:2], 2, dtype=torch.double)  # all; those with a region
        self.count = 0

    def update(self, maps: Tensor, kinds: Tensor, labels: Tensor, keys: Tensor | None = None) -> SceneStatistics:
        """Count the next pictures -> self.

        Args:
            maps: (N,h,w), of each picture's own scene, signed; resized to the pixels
            kinds: (N,H,W), index of the object at each pixel, -1 where there is none; or bool (N,O,H,W), where objects
                may lie over one another
            labels: (N,), the scenes
            keys: (N,), a number of its own for every picture (None: 0, 1 … in the order in which they come); give them
                when parts will be merged

        Raises ValueError for other shapes, or indices without a name.
        """
        n = len(maps)
        keys = torch.arange(self.count, self.count + n) if keys is None else keys
        objects, scenes = len(self.object_names), len(self.scene_names)
        layers = kinds.dtype == torch.bool and kinds.ndim == 4 and kinds.shape[1] == objects
        if maps.ndim != 3 or not (layers or kinds.ndim == 3) or not n == len(kinds) == len(labels) == len(keys):
            shapes = ", ".join(str(tuple(x.shape)) for x in (maps, kinds, labels, keys))
            form = f"kinds (N,H,W) or bool (N,{objects},H,W), labels (N,), keys (N,)"
            raise ValueError(f"expected maps (N,h,w), {form}, got {shapes}")
        if not n:
            return self
        if not layers and (kinds.min() < -1 or kinds.max() >= objects):
            raise ValueError(f"expected kinds from -1 to {objects - 1}, got {kinds.min()} to {kinds.max()}")
        if labels.min() < 0 or labels.max() >= scenes:
            raise ValueError(f"expected labels from 0 to {scenes - 1}, got {labels.min()} to {labels.max()}")
        if maps.device.type == "mps":  # it has no double precision
            maps = maps.cpu()
        values, region = self._on_objects(maps, kinds.to(maps.device))
        # How often each picture counts, as it is (once) and in each bootstrap: (N,1+R)
        drawn = [np.random.default_rng((self.seed, key)).poisson(1, self.replicates) for key in keys.tolist()]
        weight = F.pad(torch.from_numpy(np.array(drawn)).double(), (1, 0), value=1.0)
        pictures, labels = torch.stack((torch.ones_like(region), region), 1), labels.cpu()
        for scene in labels.unique():
            here = labels == scene
            self.sums[:, scene] += torch.einsum("nr,nof->rof", weight[here], values[here])
            self.pictures[:, scene] += weight[here].T @ pictures[here]
        self.count += n
        return self

    def _on_objects(self, maps: Tensor, kinds: Tensor) -> tuple[Tensor, Tensor]:
        """-> (N,O,6): there, half in the region, share of it and of the area, by weight, counts that; (N,): region?"""
        heat = resize(maps[:, None].float(), kinds.shape[-2:])[:, 0]
        if self.rule == "max":
            top = region_above(heat, self.threshold)
        else:
            least = heat.flatten(1).topk(max(1, round(self.threshold * heat[0].numel())), 1).values[:, -1]
            top = heat >= least[:, None, None]
        pixels = heat[0].numel()

        def per_object(values: Tensor) -> Tensor:
            """(N,H,W) -> (N,O): sums over the object's pixels."""
            if kinds.dtype == torch.bool:
                return torch.einsum("nohw,nhw->no", kinds.double(), values.double()).cpu()
            where = kinds.flatten(1).long() + 1
            sums = torch.zeros(len(heat), len(self.object_names) + 1, dtype=torch.double, device=heat.device)
            return sums.scatter_add_(1, where, values.flatten(1).double())[:, 1:].cpu()

        area, inside, both = per_object(torch.ones_like(heat)), per_object(heat), per_object(top)
        whole = heat.flatten(1).double().sum(1, keepdim=True).cpu()
        region = top.flatten(1).sum(1, keepdim=True).double().cpu()
        counts = (area > 0) & (area < pixels)
        apart = inside / area.clamp_min(1) - (whole - inside) / (pixels - area).clamp_min(1)
        shares = both / region.clamp_min(1), area / pixels * (region > 0)
        most = (area > 0) & (2 * both >= area)
        values = torch.stack([(area > 0).double(), most.double(), *shares, apart * counts, counts.double()], 2)
        return values, (region > 0).double()[:, 0]

    def merge(self, other: SceneStatistics) -> SceneStatistics:
        """Add the pictures of another one, from another process perhaps. Raises ValueError if it counts otherwise."""
        for name in ("scene_names", "object_names", "threshold", "rule", "replicates", "seed"):
            if getattr(self, name) != getattr(other, name):
                raise ValueError(f"cannot merge: {name} differs, {getattr(self, name)!r} and {getattr(other, name)!r}")
        self.sums, self.pictures = self.sums + other.sums, self.pictures + other.pictures
        self.count += other.count
        return self

    def values(self, by: str) -> np.ndarray:
        """(1 + replicates, scenes, objects): a measure of the pictures as they are, then of each bootstrap."""
        there, most, region, area, apart, counts = self.sums.numpy().transpose(3, 0, 1, 2)
        every, with_region = self.pictures.numpy()[..., None].transpose(2, 0, 1, 3)
        if by not in MEASURES:
            raise ValueError(f"by is one of {', '.join(MEASURES)}, got {by!r}")
        ratios = (there, every), (most, every), (region, with_region), (region, area), (apart, counts)
        above, below = ratios[MEASURES.index(by)]
        with np.errstate(divide="ignore", invalid="ignore"):
            return above / np.broadcast_to(below, above.shape)

    def __getattr__(self, name: str) -> pd.DataFrame:
        if name not in MEASURES:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return self._table(self.values(name)[0])

    def _table(self, values: np.ndarray) -> pd.DataFrame:
        return pd.DataFrame(values, self.scene_names, self.object_names)

    def interval(self, by: str, level: float = 0.95) -> tuple[pd.DataFrame, pd.DataFrame]:
        """-> tables of the lower and the upper end: what the measure might be on other pictures of the same kind."""
        low, high = percentiles(self.values(by)[1:], level)
        return self._table(low), self._table(high)

    def table(self) -> pd.DataFrame:
        """One row per scene and object that were seen together: pictures, and each measure with its 95 % interval."""
        pairs = pd.MultiIndex.from_product((self.scene_names, self.object_names), names=["scene", "object"])
        rows = pd.DataFrame({"pictures": self.sums[0, ..., 0].flatten().long().numpy()}, pairs)
        for by in MEASURES:
            low, high = self.interval(by)
            for name, values in ((by, getattr(self, by)), (f"{by}_low", low), (f"{by}_high", high)):
                rows[name] = values.to_numpy().ravel()
        return rows[rows["pictures"] > 0].reset_index()

    def top(self, scene: str, n: int = 6, by: str = "lift") -> pd.DataFrame:
        """The n objects of a scene that stand highest, of those in five pictures or more. Columns: `table`."""
        if scene not in self.scene_names:
            raise ValueError(f"there is no scene {scene!r}; there are {', '.join(self.scene_names)}")
        self.values(by)  # raises for another measure
        rows = self.table()
        rows = rows[(rows["scene"] == scene) & (rows["pictures"] >= 5)]
        return rows.sort_values(by, ascending=False, kind="stable").head(n).set_index("object").drop(columns="scene")

    def to_csv(self, path: str | os.PathLike) -> Path:
        """Write `table()`, complete or not at all. Raises OSError."""
        with replacing(path) as file:
            self.table().to_csv(file, index=False)
        return Path(path)


def percentiles(drawn: np.ndarray, level: float = 0.95) -> np.ndarray:
    """(R,...) -> (2,...): the ends of the interval that holds the part `level` of what is not NaN."""
    flat = pd.DataFrame(drawn.reshape(len(drawn), -1))
    return flat.quantile([(1 - level) / 2, (1 + level) / 2]).to_numpy().reshape(2, *drawn.shape[1:])
