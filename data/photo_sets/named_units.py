"""Units of a network, named by the objects of COCO photographs (lesson 11; paper, section 5).

found = named_units.summary(photos, CamModel(networks.fast(network)), features)   # `photo_sets.measured("units")`
Half of the photographs to learn the words' weights from; lists are of the other half.
"""

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms.v2.functional import resize
from tqdm.auto import tqdm

from cam_helpers import CamModel, scores
from cam_helpers.probes import LinearProbe
from cam_helpers.units import TopPictures

from . import words

TOP, COMMON = 20, 0.1  # photographs in a list; kinds in more photographs than this tell nothing of a unit


def top_photographs(photos, model: CamModel, which: list[int], k: int = TOP, batch: int = 16) -> TopPictures:
    """For each unit the k photographs with its highest activation; their numbers are places in `which`."""
    top = TopPictures(k)
    for start in tqdm(range(0, len(which), batch), "units", unit="batch", leave=False):
        part = torch.stack([resize(photos.images[i], [words.SIDE, words.SIDE]) for i in which[start : start + batch]])
        top.update(model(part).features.float())
    return top


def heaviest(probe: LinearProbe, row: int, m: int = 3) -> LinearProbe:
    """A probe of one word that listens to its m heaviest units only; without a bias."""
    only, units = LinearProbe(), probe.weight[row].argsort(descending=True)[:m]
    only.weight, only.bias = torch.zeros_like(probe.weight[row : row + 1]), torch.zeros(1)
    only.weight[0, units] = probe.weight[row, units]
    return only


def of_words(photos, model: CamModel, features: Tensor, top: TopPictures, held: list[int]) -> dict:
    """word → what part of its lists holds the thing, and how often the map of its three heaviest units peaks on it.

    base: of all held-out photographs; one, three, all: of the 20 that answer highest, by the heaviest unit, by three,
    by the whole SVM; random: by three other units; shown: how many in the list of three hold the thing; peak: in what
    part of these the hottest place is in a box; area: the same for a place anywhere.
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
        lists = {"one": top.pictures[units[0]], "three": three, "random": by_others, "all": every}
        found[word] = {"kind": kind, "units": units.tolist(), "base": float(holds.mean())}
        found[word] |= {name: float(holds[some].mean()) for name, some in lists.items()}
        shown = [held[j] for j in three.tolist() if holds[j]]
        if shown:
            heat = F.interpolate(
                words.maps(only, model, photos.images, shown), (words.SIDE, words.SIDE), mode="bilinear"
            )
            boxes = [words.boxes_of(photos, i, kind) for i in shown]
            hits, area = (
                scores.pointing_game(heat[:, 0], boxes),
                torch.stack([words.painted(box).float().mean() for box in boxes]),
            )
            found[word] |= {"shown": len(shown), "peak": float(hits), "area": float(area.mean())}
    return found


def named(photos, lists: Tensor, held: list[int]) -> list[tuple[int, str, float]]:
    """(unit, kind, share) where half of a unit's list holds one kind that is not common anyway."""
    there = (photos.labels[held] > 0).float()
    share, kind = (there[lists].mean(1) * (there.mean(0) < COMMON)).max(1)
    return [(u, photos.classes[kind[u]], float(share[u])) for u in (share >= 0.5).nonzero()[:, 0].tolist()]


def summary(photos, model: CamModel, features: Tensor) -> dict:
    """What lesson 11 shows. features (N,1280): `cached_features(network, photos, words.SIDE, folder)`."""
    held = (~words.halves(photos.paths)).nonzero()[:, 0].tolist()
    top = top_photographs(photos, model, held)
    draw = torch.Generator().manual_seed(0)
    at_random = torch.stack([torch.randperm(len(held), generator=draw)[:TOP] for _ in top.pictures])
    lists = {"named": named(photos, top.pictures, held), "named_at_random": len(named(photos, at_random, held))}
    return {"words": of_words(photos, model, features, top, held), "units": len(top.pictures)} | lists
