"""Units of a network, named by the objects of COCO photographs (lesson 11; paper, section 5).

found = named_units.summary(photos, CamModel(networks.fast(network)), features, folder)   # measured("units")
Half of the photographs to learn the words' weights from; lists are of the other half.
"""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import torch
from torch import Tensor
from torchvision.transforms.v2.functional import resize

from cam_helpers import CamModel, scores
from cam_helpers.probes import LinearProbe, cached_features

from . import words
from .base import Lazy

TOP, COMMON = 20, 0.1  # photographs in a list; kinds in more photographs than this tell nothing of a unit


class Highest(CamModel):
    """A network whose features are each unit's highest activation anywhere, (N,K)."""

    def __call__(self, images):
        cams = super().__call__(images)
        return replace(cams, features=cams.features.float().amax((2, 3)))


def top_photographs(photos, model: CamModel, which: list[int], folder) -> Tensor:
    """For each unit the TOP photographs with its highest activation, as places in `which`: (K,TOP).

    Args:
        photos: a data set of photographs
        model: with K units
        which: the numbers of the photographs that are looked at
        folder: the activations are kept in folder/highest, as `cached_features` keeps means
    """
    some = SimpleNamespace(images=Lazy(lambda j: photos.images[which[j]], len(which)))
    some.paths, some.sizes = ([of_all[i] for i in which] for of_all in (photos.paths, photos.sizes))
    highest = cached_features(Highest(model.model), some, words.SIDE, Path(folder) / "highest")
    return highest.argsort(dim=0, descending=True, stable=True)[:TOP].T


def heaviest(probe: LinearProbe, row: int, m: int = 3) -> LinearProbe:
    """A probe of one word that listens to its m heaviest units only; without a bias."""
    only, units = LinearProbe(), probe.weight[row].argsort(descending=True)[:m]
    only.weight, only.bias = torch.zeros_like(probe.weight[row : row + 1]), torch.zeros(1)
    only.weight[0, units] = probe.weight[row, units]
    return only


def of_words(photos, model: CamModel, features: Tensor, top: Tensor, held: list[int]) -> dict:
    """word → what part of its lists holds the thing, and how often the map of its three heaviest units peaks on it.

    base: of all held-out photographs; one, three, all: of the 20 that answer highest, by the heaviest unit, by three,
    by the whole SVM; random: by three other units; shown: how many in the list of three hold the thing; peak: in what
    part of these the hottest place is in a box; area: the same for a place anywhere.

    Args:
        photos: of COCO, with captions and boxes
        model: gives the features that the maps are drawn on
        features: (N,K), the pooled features of the photographs
        top: (K,TOP), see `top_photographs`
        held: the numbers of the photographs that were not learnt from
    """
    labels, learn = words.labels(photos.captions), words.halves(photos.paths)
    rows = [c for c, kind in enumerate(words.WORDS.values()) if kind and labels[learn, c].sum() >= 10]
    probe = LinearProbe(costs=[0.001]).fit(features[learn], labels[learn][:, rows])
    there, pooled, found = photos.labels[held] > 0, features[held], {}
    for row, c in enumerate(rows):
        word, kind = list(words.WORDS.items())[c]
        holds, only = there[:, photos.classes.index(kind)].float(), heaviest(probe, row)
        units, three = only.weight[0].topk(3).indices, (pooled @ only.weight[0]).topk(TOP).indices
        others = torch.randperm(pooled.shape[1], generator=torch.Generator().manual_seed(c))[:30].reshape(10, 3)
        by_others = torch.stack([(pooled[:, some] @ only.weight[0, units]).topk(TOP).indices for some in others])
        every = probe.decision(pooled)[:, row].topk(TOP).indices
        lists = {"one": top[units[0]], "three": three, "random": by_others, "all": every}
        found[word] = {"kind": kind, "units": units.tolist(), "base": float(holds.mean())}
        found[word] |= {name: float(holds[some].mean()) for name, some in lists.items()}
        shown = [held[j] for j in three.tolist() if holds[j]]
        if shown:
            heat = resize(words.maps(only, model, photos.images, shown), [words.SIDE, words.SIDE], antialias=False)
            hits = scores.pointing_game(heat[:, 0], [words.boxes_of(photos, i, kind) for i in shown])
            area = words.regions(photos, shown, kind).float().mean()
            found[word] |= {"shown": len(shown), "peak": float(hits), "area": float(area)}
    return found


def panels(photos, model: CamModel, features: Tensor, some, k: int = 5) -> list[tuple]:
    """For `pictures.panels`: of each word the top photographs of its three heaviest units, their map, true boxes.

    Args:
        photos, model, features: as `of_words`
        some: words, of WORDS
        k: photographs of each
    """
    probe, held, shown = words.probe(), (~words.halves(photos.paths)).nonzero()[:, 0], []
    for word in some:
        only, kind = heaviest(probe, probe.words.index(word)), photos.object_names.index(words.WORDS[word])
        best = held[(features[held] @ only.weight[0]).topk(k).indices].tolist()
        for i, heat in zip(best, words.maps(only, model, photos.images, best)[:, 0], strict=True):
            true = photos.boxes[i][photos.objects[i] == kind]
            shown.append((photos.images[i], heat, f"three units of {word}", None, true))
    return shown


def named(photos, lists: Tensor, held: list[int]) -> list[tuple[int, str, float]]:
    """(unit, kind, share) where half of a unit's list holds one kind that is not common anyway."""
    there = (photos.labels[held] > 0).float()
    share, kind = (there[lists].mean(1) * (there.mean(0) < COMMON)).max(1)
    return [(u, photos.classes[kind[u]], float(share[u])) for u in (share >= 0.5).nonzero()[:, 0].tolist()]


def summary(photos, model: CamModel, features: Tensor, folder) -> dict:
    """What lesson 11 shows.

    Args:
        photos, model: as `of_words`
        features: (N,1280), `cached_features(network, photos, words.SIDE, folder)`
        folder: as `top_photographs`
    """
    held = (~words.halves(photos.paths)).nonzero()[:, 0].tolist()
    top = top_photographs(photos, model, held, folder)
    draw = torch.Generator().manual_seed(0)
    at_random = torch.stack([torch.randperm(len(held), generator=draw)[:TOP] for _ in top])
    lists = {"named": named(photos, top, held), "named_at_random": len(named(photos, at_random, held))}
    return {"words": of_words(photos, model, features, top, held), "units": len(top)} | lists
