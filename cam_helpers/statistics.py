"""Which objects a kind of scene often holds, and which of them its map looks at (lesson 09; paper, section 4.1).

found = scene_statistics(network, world.load("scenes", "test", size=128))
found.top("kitchen", 6, by="lift")                     # the six most informative objects, with intervals
rank_correlation(found, world.informativeness("scenes").log_odds)

One pass; memory depends on the numbers of scenes and objects, not on the number of pictures. From a terminal, on one or
several processes:  accelerate launch -m cam_helpers.statistics scenes-gap FOLDER_WITH_ADE20K --csv found.csv
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from accelerate.utils import gather_object
from scipy import stats
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, Subset
from torchvision.transforms import Resize
from tqdm.auto import tqdm

from . import datasets, world
from .maps import CamModel, resize
from .networks import load_checkpoint
from .training.loop import processes

__all__ = ["MEASURES", "Annotated", "SceneStatistics", "rank_correlation", "scene_statistics"]

MEASURES = ("frequency", "overlap", "lift", "by_weight")
_RANKS = {"spearman": stats.spearmanr, "kendall": stats.kendalltau}


class SceneStatistics:
    """Counts of objects and of what the scenes' maps do on them, picture after picture; parts can be merged.

    frequency   share of the scene's pictures that hold the object
    overlap     share of the top-activation region that is the object's, mean over the pictures that have a region
    lift        overlap, divided by what a region laid anywhere would have: the object's share of those pictures' area
    by_weight   Σ_k w_k^c (mean of f_k on the object − mean of f_k elsewhere): the weights of the scene's class, each
                with what its unit does on the object. It is the mean of the signed map on the object minus its mean
                elsewhere, in units of the class score; mean over the pictures that hold the object and something else

    All are tables, a row per scene and a column per object; NaN where nothing was seen. threshold: the region is where
    the map is above this share of its maximum (rule="max"; without positive values there is none), or this share of
    the pixels, the hottest (rule="area"). The spread comes from `replicates` Poisson bootstraps: each picture counts
    0, 1, 2 … times in each of them, dice thrown from `seed` and the picture's key, so that it needs no second pass.
    Zhou et al., section 4.1 and Figure 9; lecture 46 from 17:17.
    """

    def __init__(self, scene_names, object_names, threshold=0.2, rule="max", replicates=200, seed=0):
        if not 0 < threshold < 1 or rule not in ("max", "area"):
            raise ValueError(f"threshold is between 0 and 1, rule 'max' or 'area', got {threshold} and {rule!r}")
        self.scene_names, self.object_names = list(scene_names), list(object_names)
        self.threshold, self.rule, self.replicates, self.seed = threshold, rule, replicates, seed
        size = 1 + replicates, len(self.scene_names), len(self.object_names)  # the first is the pictures as they are
        self.sums = torch.zeros(*size, 5, dtype=torch.double)  # of _on_objects
        self.pictures = torch.zeros(*size[:2], 2, dtype=torch.double)  # all; those with a region
        self.count = 0

    def update(self, maps: Tensor, kinds: Tensor, labels: Tensor, keys: Tensor | None = None) -> SceneStatistics:
        """maps (N,h,w): of each picture's own scene, signed; kinds (N,H,W): index of the object at each pixel, -1 none;
        labels (N,): the scenes. keys (N,): a number of its own for every picture (None: 0, 1 … in the order they
        come); give them when parts will be merged. Maps are resized to the pixels. Raises ValueError for other forms.
        """
        n = len(maps)
        keys = torch.arange(self.count, self.count + n) if keys is None else keys
        if maps.ndim != 3 or kinds.ndim != 3 or not n == len(kinds) == len(labels) == len(keys):
            shapes = ", ".join(str(tuple(x.shape)) for x in (maps, kinds, labels, keys))
            raise ValueError(f"maps (N,h,w), kinds (N,H,W), labels (N,), keys (N,), got {shapes}")
        for what, index, names in (("kinds", kinds, self.object_names), ("labels", labels, self.scene_names)):
            if n and not -(what == "kinds") <= index.min() <= index.max() < len(names):
                raise ValueError(f"{what} go up to {len(names) - 1}, got {int(index.min())} to {int(index.max())}")
        if not n:
            return self
        values, region = self._on_objects(maps, kinds.to(maps.device))
        dice = [np.random.default_rng((self.seed, key)).poisson(1, self.replicates) for key in keys.tolist()]
        weight = F.pad(torch.from_numpy(np.array(dice)).double(), (1, 0), value=1.0)
        both, labels = torch.stack((torch.ones_like(region), region), 1), labels.cpu()
        for scene in labels.unique():
            here = labels == scene
            self.sums[:, scene] += torch.einsum("nr,nof->rof", weight[here], values[here])
            self.pictures[:, scene] += weight[here].T @ both[here]
        self.count += n
        return self

    def _on_objects(self, maps: Tensor, kinds: Tensor) -> tuple[Tensor, Tensor]:
        """-> (N,O,5): is it there, share of the region, share of the area, by weight, does that count; (N,): region?"""
        heat = resize(maps[:, None].float(), kinds.shape[1:]).flatten(1)
        pixels, where = heat.shape[1], kinds.flatten(1).long() + 1
        if self.rule == "max":
            peak = heat.amax(1, keepdim=True)
            top = (heat > self.threshold * peak) & (peak > 0)
        else:
            top = heat >= heat.topk(max(1, round(self.threshold * pixels)), 1).values[:, -1:]

        def per_object(values: Tensor) -> Tensor:
            sums = torch.zeros(len(heat), len(self.object_names) + 1, dtype=torch.double, device=heat.device)
            return sums.scatter_add_(1, where, values.double())[:, 1:].cpu()

        area, inside, both = per_object(torch.ones_like(heat)), per_object(heat), per_object(top)
        whole, region = heat.double().sum(1, keepdim=True).cpu(), top.sum(1, keepdim=True).double().cpu()
        counts = (area > 0) & (area < pixels)
        apart = inside / area.clamp_min(1) - (whole - inside) / (pixels - area).clamp_min(1)
        shares = both / region.clamp_min(1), area / pixels * (region > 0)
        values = torch.stack([(area > 0).double(), *shares, apart * counts, counts.double()], 2)
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
        if by not in MEASURES:
            raise ValueError(f"by is one of {', '.join(MEASURES)}, got {by!r}")
        there, region, area, apart, counts = self.sums.numpy().transpose(3, 0, 1, 2)
        every, with_region = self.pictures.numpy()[..., None].transpose(2, 0, 1, 3)
        above, below = dict(
            zip(MEASURES, ((there, every), (region, with_region), (region, area), (apart, counts)), strict=True)
        )[by]
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
        drawn = self.values(by)[1:]
        low, high = _ends(drawn.reshape(len(drawn), -1), level)
        return self._table(low.reshape(drawn.shape[1:])), self._table(high.reshape(drawn.shape[1:]))

    def table(self, level: float = 0.95) -> pd.DataFrame:
        """One row per scene and object that were seen together: pictures, and each measure with its interval."""
        columns = {"pictures": self._table(self.sums[0, ..., 0].numpy())}
        for by in MEASURES:
            columns |= {by: getattr(self, by)} | dict(zip((f"{by}_low", f"{by}_high"), self.interval(by, level)))  # noqa: B905
        rows = pd.DataFrame({name: values.stack() for name, values in columns.items()})
        return rows[rows["pictures"] > 0].rename_axis(["scene", "object"]).reset_index()

    def top(self, scene: str, n: int = 6, by: str = "lift", least: int = 5) -> pd.DataFrame:
        """The n objects of a scene that stand highest, of those in at least `least` pictures of it. Columns: `table`."""
        if scene not in self.scene_names:
            raise ValueError(f"there is no scene {scene!r}; there are {', '.join(self.scene_names)}")
        self.values(by)
        rows = self.table()
        rows = rows[(rows["scene"] == scene) & (rows["pictures"] >= least)]
        return rows.sort_values(by, ascending=False, kind="stable").head(n).set_index("object").drop(columns="scene")

    def to_csv(self, path: str | os.PathLike) -> Path:
        """Write `table()`, whole or not at all."""
        path = Path(path)
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        self.table().to_csv(temporary, index=False)
        os.replace(temporary, path)
        return path


def rank_correlation(
    statistics: SceneStatistics, truth: pd.DataFrame, by="lift", against=None, method="spearman", least=5, level=0.95
) -> pd.DataFrame:
    """How well a measure ranks a scene's objects as the truth does: a row per scene, and "mean" over the scenes.

    truth: scenes × objects, as `world.informativeness("scenes").log_odds`. Objects: those in at least `least` pictures
    of the scene. method: "spearman" or "kendall". against: another measure, whose correlation is taken away, the same
    pictures in both. Columns: objects (how many), value, low, high (bootstrap interval). NaN where all are alike.
    """
    if method not in _RANKS:
        raise ValueError(f"method is 'spearman' or 'kendall', got {method!r}")
    truth = truth.reindex(statistics.scene_names)[statistics.object_names].to_numpy()
    signs = [(1, statistics.values(by))] + ([(-1, statistics.values(against))] if against else [])
    use = (statistics.sums[0, ..., 0].numpy() >= least) & np.isfinite(truth)
    drawn = np.zeros((1 + statistics.replicates, len(truth)))
    for sign, values in signs:
        for s, known in enumerate(truth):
            drawn[:, s] += [sign * _correlation(_RANKS[method], v[use[s]], known[use[s]]) for v in values[:, s]]
    drawn = np.column_stack((drawn, pd.DataFrame(drawn).mean(axis=1)))
    rows = dict(zip(("low", "high"), _ends(drawn[1:], level), strict=True))
    counts = [*use.sum(1), use.sum()]
    return pd.DataFrame({"objects": counts, "value": drawn[0], **rows}, [*statistics.scene_names, "mean"])


def _correlation(rank: Callable, measured: np.ndarray, known: np.ndarray) -> float:
    there = np.isfinite(measured)
    measured, known = measured[there], known[there]
    unlike = len(known) > 2 and np.ptp(measured) > 0 and np.ptp(known) > 0
    return rank(measured, known).statistic if unlike else np.nan


def _ends(drawn: np.ndarray, level: float) -> np.ndarray:
    """(R,M) -> (2,M): percentiles, without what is NaN."""
    return pd.DataFrame(drawn).quantile([(1 - level) / 2, (1 + level) / 2]).to_numpy()


class Annotated(Dataset):
    """Pictures and what is at each of their pixels, in one form: the world's data, or `datasets.open("ade20k_scenes")`.

    Item: (picture as the network takes it, long (L,H,W) indices into .names or -1, scene, index into the data). L is 1,
    the objects; with parts=True there is a second layer, the parts, named "part: …" (the world's pictures only).
    scenes: those wanted, in the order of their numbers (None: the data's classes); others are left out. prepare: a
    picture uint8 (3,H,W) -> what the network takes, whole: stretched, not cropped. Real pictures need one.
    """

    def __init__(self, data, scenes: Sequence[str] | None = None, prepare: Callable | None = None, parts: bool = False):
        self.data, self.prepare, self.real = data, prepare, hasattr(data, "object_classes")
        if not self.real and not hasattr(data, "instances"):
            raise TypeError(f"{type(data).__name__} has no masks of objects by name: the world's and ADE20K's have")
        if self.real and (prepare is None or parts):
            raise ValueError("real pictures have no parts, and need prepare=, such as torchvision's Resize((224, 224))")
        self.scenes = list(data.classes if scenes is None else scenes)
        self.names = list(data.object_classes[1:] if self.real else data.object_names)
        self.layers, self.objects = 1 + parts, len(self.names)
        self.names += [f"part: {name}" for name in data.part_names[1:]] if parts else []
        labels = [data.classes[k] for k in data.labels.tolist()] if data.labels.ndim == 1 else [""] * len(data)
        number = {name: k for k, name in enumerate(self.scenes)} | ({"": -1} if data.labels.ndim == 2 else {})
        self.items = [(i, number[name]) for i, name in enumerate(labels) if name in number]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, item: int) -> tuple[Tensor, Tensor, int, int]:
        index, label = self.items[item]
        image = self.data.images[index] if self.prepare is None else self.prepare(self.data.images[index])
        if self.real:
            kinds = self.data.masks[index].long()[None] - 1
        else:
            kinds = torch.tensor([-1, *self.data.objects[index]])[self.data.instances[index].long()][None]
        if self.layers == 2:
            parts = self.data.parts[index].long()[None]
            kinds = torch.cat((kinds, torch.where(parts > 0, parts - 1 + self.objects, -1)))
        if kinds.shape[1:] != image.shape[1:]:
            kinds = F.interpolate(kinds[None].double(), image.shape[1:], mode="nearest-exact")[0].long()
        return image, kinds, label, index


def scene_statistics(
    model, data, scenes: Sequence[str] | None = None, prepare=None, batch: int = 64, workers: int = 0, **settings
) -> SceneStatistics:
    """One pass over annotated pictures; under `accelerate launch` every process takes its share, and all get the whole.

    model: a network, a CamModel, or any function of pictures that gives `Cams` (a `LinearProbe` on a trunk: lambda x:
    probe.cams(wrapped(x).features)). data, scenes, prepare: see `Annotated`; class k of the model is scene k. settings:
    of `SceneStatistics`. Raises ValueError when the model has another number of classes than there are scenes.
    """
    state, pictures = processes(), Annotated(data, scenes, prepare)
    found = SceneStatistics(pictures.scenes, pictures.names, **settings)
    if isinstance(model, nn.Module):
        model = CamModel(model)
    like = next(model.model.parameters(), torch.empty(0)) if isinstance(model, CamModel) else torch.empty(0)
    with state.split_between_processes(list(range(len(pictures)))) as mine:
        loader = DataLoader(Subset(pictures, mine), batch, num_workers=workers)
        for images, kinds, labels, keys in tqdm(loader, leave=False, disable=not state.is_main_process):
            cams = model(images.to(like.device))
            if cams.logits.shape[1] != len(pictures.scenes):
                raise ValueError(
                    f"the model has {cams.logits.shape[1]} classes and there are {len(pictures.scenes)} scenes: say "
                    "with scenes=[…] which scene each class is"
                )
            found.update(cams.maps(labels)[:, 0], kinds[:, 0], labels, keys)
    if state.num_processes > 1:
        first, *others = gather_object([found])
        for other in others:
            first.merge(other)
        found = first
    return found


def main(arguments: list[str] | None = None) -> SceneStatistics:
    parser = argparse.ArgumentParser(prog="python -m cam_helpers.statistics", description=scene_statistics.__doc__)
    parser.add_argument("checkpoint", help="a name in data/checkpoints, or a file")
    parser.add_argument("data", help="a task of the world, or a folder with ADE20K (ADEChallengeData2016)")
    parser.add_argument("--split", help="test; ADE20K: training")
    parser.add_argument("--n", type=int, help="that many pictures")
    parser.add_argument("--csv", type=Path, help="write the table here")
    given = parser.parse_args(arguments)
    network, card = load_checkpoint(given.checkpoint)
    state, side, prepare = processes(), card["size"], None
    with state.main_process_first():  # the first draws, the others find the pictures in the cache
        if given.data in world.TASKS:
            data = world.load(given.data, given.split or "test", n=given.n, size=side)
        else:
            data = datasets.open("ade20k_scenes", given.data, given.split, n=given.n)
            prepare = Resize((side, side), antialias=True)
    found = scene_statistics(network.to(state.device), data, card["classes"], prepare)
    if state.is_main_process:
        for scene in found.scene_names:
            print(f"{scene}: frequent {', '.join(found.top(scene, by='frequency').index)}")
            print(f"{' ' * len(scene)}  informative {', '.join(found.top(scene, by='lift').index)}")
        if given.csv:
            found.to_csv(given.csv)
    return found


if __name__ == "__main__":
    main()
