"""Units of the pretrained network, named by the objects of COCO photographs: what lesson 11 stores for readers.

    CAM_TEST_DATA=folder python tests/benchmarks/table_units.py data/photo_sets/measured/units.json

Half of the photographs to learn the words' weights from; the top 20 lists are of the other half. Two minutes.
"""

import datetime
import json
import os
import sys
from pathlib import Path

import torch
from torch.nn.functional import interpolate
from torchvision.transforms.v2.functional import resize
from tqdm.auto import tqdm

import photo_sets
from cam_helpers import CamModel, networks, scores
from cam_helpers.probes import LinearProbe, cached_features
from cam_helpers.units import TopPictures
from photo_sets import words

TOP, COMMON = 20, 0.1  # photographs in a list; kinds in more photographs than this tell nothing of a unit


def top_photographs(photos, model: CamModel, which: list[int], batch: int = 16) -> TopPictures:
    """For each unit the photographs with its highest activation; their numbers are places in `which`."""
    top = TopPictures(TOP)
    for start in tqdm(range(0, len(which), batch), "units", unit="batch", leave=False):
        part = torch.stack([resize(photos.images[i], [words.SIDE, words.SIDE]) for i in which[start : start + batch]])
        top.update(model(part).features.float())
    return top


def of_words(photos, model: CamModel, features, top: TopPictures, held: list[int]) -> dict:
    """word → share of its lists' photographs that hold the thing, and where the map of its three heaviest units peaks."""
    labels, learn = words.labels(photos.captions), words.halves(photos.paths)
    rows = [c for c, kind in enumerate(words.WORDS.values()) if kind and labels[learn, c].sum() >= 10]
    probe = LinearProbe(costs=[0.001]).fit(features[learn], labels[learn][:, rows])
    there, found = photos.labels[held] > 0, {}
    for row, c in enumerate(rows):
        word, kind = list(words.WORDS.items())[c]
        holds = there[:, photos.classes.index(kind)]
        heavy = probe.weight[row].argsort(descending=True)[:3]
        three = (features[held][:, heavy] @ probe.weight[row, heavy]).topk(TOP).indices
        every = probe.decision(features[held])[:, row].topk(TOP).indices
        found[word] = {
            "kind": kind, "base": float(holds.float().mean()), "units": heavy.tolist(),
            "one": float(holds[top.pictures[heavy[0]]].float().mean()),
            "three": float(holds[three].float().mean()), "all": float(holds[every].float().mean()),
        }  # fmt: skip
        shown = [held[j] for j in three.tolist() if holds[j]]
        if shown:
            only = LinearProbe()
            only.weight, only.bias = torch.zeros_like(probe.weight[row : row + 1]), torch.zeros(1)
            only.weight[0, heavy] = probe.weight[row, heavy]
            heat = interpolate(words.maps(only, model, photos.images, shown), (words.SIDE, words.SIDE), mode="bilinear")
            hits = scores.pointing_game(heat[:, 0], [boxes_of(photos, i, kind) for i in shown])
            found[word] |= {"shown": len(shown), "peak": float(hits)}
    return found


def boxes_of(photos, index: int, kind: str) -> torch.Tensor:
    """(M,4) boxes of a kind, in pixels of the photograph stretched to words.SIDE."""
    height, width = photos.sizes[index]
    mine = photos.objects[index] == photos.classes.index(kind)
    return photos.boxes[index][mine] / torch.tensor([width, height, width, height]) * words.SIDE


def named(photos, lists, held: list[int]) -> list[tuple[int, str, float]]:
    """(unit, kind, share) where half of a unit's list holds one kind that is not common anyway."""
    there = photos.labels[held]
    rare = there.mean(0) < COMMON
    share = there[lists].mean(1) * rare
    best = share.max(1)
    return [
        (u, photos.classes[best.indices[u]], float(best.values[u]))
        for u in (best.values >= 0.5).nonzero()[:, 0].tolist()
    ]


if __name__ == "__main__":
    photos = photo_sets.open("coco", Path(os.environ["CAM_TEST_DATA"]) / "coco", "val", check=False)
    network = networks.pretrained()[0]
    features = cached_features(network, photos, words.SIDE, os.environ.get("CAM_CACHE", "data/cache"))
    model, held = CamModel(networks.fast(network)), (~words.halves(photos.paths)).nonzero()[:, 0].tolist()
    top = top_photographs(photos, model, held)
    found = of_words(photos, model, features, top, held)
    at_random = torch.stack(
        [torch.randperm(len(held), generator=torch.Generator().manual_seed(u))[:TOP] for u in range(len(top.pictures))]
    )
    result = {
        "about": {
            "photos": len(photos), "held_out": len(held), "set": "COCO 2017 validation", "size": words.SIDE,
            "torch": torch.__version__, "date": str(datetime.date.today()),
        },
        "words": found, "named": named(photos, top.pictures, held), "named_at_random": len(named(photos, at_random, held)),
        "units": len(top.pictures),
    }  # fmt: skip
    Path(sys.argv[1]).write_text(json.dumps(result, indent=1) + "\n")
