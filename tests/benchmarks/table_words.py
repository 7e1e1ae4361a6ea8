"""Words of captions on COCO photographs: what the lessons store for readers without the photographs.

    CAM_TEST_DATA=folder python tests/benchmarks/table_words.py data/photo_sets/measured

For each word of `photo_sets.words`, half of the photographs to learn from and half to measure on: photographs that say
it, average precision of the decision value, peak of the map inside a box of the thing, the boxes' share of the picture.
Then, for `both_halves`, every photograph by the classifiers of the half that it is not in: the peak beside blind points
and shuffled labels, where else it lies, the same with more pixels, with finer cells and with another network; kinds of
features; and a class that ImageNet does not have. Writes words.json and words.safetensors there. Ten minutes; the
features are kept in $CAM_CACHE.
"""

import datetime
import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file
from sklearn.metrics import average_precision_score
from torch import Tensor, nn
from torch.nn import functional as F

import photo_sets
from cam_helpers import CamModel, networks, scores
from cam_helpers.probes import LinearProbe, cached_features
from photo_sets import words

CACHE = os.environ.get("CAM_CACHE", "data/cache")


class Normalised(nn.Module):
    """A network of torchvision that takes uint8, as the one of the installation does."""

    def __init__(self, network: nn.Module, weights):
        super().__init__()
        self.network, recipe = network, weights.transforms()
        self.mean, self.std = (nn.Buffer(torch.tensor(v)[:, None, None]) for v in (recipe.mean, recipe.std))

    def forward(self, images):
        return self.network((images / 255 - self.mean) / self.std)


def measure(photos, network) -> tuple[dict, LinearProbe]:
    """One half learns, the other is measured: the classifiers that are stored."""
    features = cached_features(network, photos, words.SIDE, CACHE)
    labels, learn = words.labels(photos.captions), words.halves(photos.paths)
    probe = LinearProbe(costs=[0.001]).fit(features[learn], labels[learn])
    decision, rows = probe.decision(features), {}
    for c, (word, kind) in enumerate(words.WORDS.items()):
        rows[word] = {"learnt_from": int(labels[learn, c].sum()), "said": int(labels[~learn, c].sum())}
        rows[word]["average_precision"] = float(average_precision_score(labels[~learn, c], decision[~learn, c]))
        if kind is None:
            continue
        shown, true = shown_and_true(photos, (labels[:, c] == 1) & ~learn, kind)
        hits = scores.pointing_game(enlarged(words.maps(probe, network, photos.images, shown, [c])[:, 0]), true)
        area = float(true.float().mean())
        rows[word] |= {"with_box": len(shown), "area": area, "peak": [float(hits), *scores.interval(hits)]}
        print(f"{word:15}", rows[word], flush=True)
    return rows, probe


def shown_and_true(photos, chosen, kind: str):
    """Of the chosen photographs (bool (N,)), the numbers of those with a box of the thing, and its pixels."""
    shown = [i for i in chosen.nonzero()[:, 0].tolist() if (photos.objects[i] == photos.classes.index(kind)).any()]
    return shown, words.regions(photos, shown, kind)


def enlarged(heat):
    return F.interpolate(heat[:, None], (words.SIDE, words.SIDE), mode="bilinear")[:, 0]


def ways(network) -> dict:
    """name -> a network and the size of its input: more pixels, finer cells, another network."""
    found = {"512 px": (network, 512), "stride 16": (networks.dilate(network, 16), words.SIDE)}
    try:
        other = Normalised(*networks.pretrained("mobilenet_v2"))
        found["mobilenet_v2, stride 16"] = networks.dilate(other, 16), words.SIDE
    except networks.WeightsUnavailable as reason:
        print(reason)
    return found


@torch.no_grad()
def kinds_of_features(photos, network) -> dict:
    """Table 5 on photographs: features -> mean average precision over all words, and each word's."""
    small = ("objects-dense", "objects-gap", "generic-gap")
    dense, gap, generic = (networks.load_checkpoint(name)[0] for name in small)
    both = [(dense[1:-1](at), at.mean((2, 3))) for at in map(dense.trunk, photographs(photos, 128))]
    hidden, averaged = map(torch.cat, zip(*both, strict=True))
    tables = {"hidden layer": hidden, "averaged afterwards": averaged}
    tables["GAP"] = cached_features(gap, photos, 128, CACHE)
    tables["GAP, 87 kinds"] = cached_features(generic, photos, 128, CACHE)
    tables["GAP, pretrained"] = cached_features(network, photos, words.SIDE, CACHE)
    labels, learn = words.labels(photos.captions), words.halves(photos.paths)
    enough = (labels[learn].sum(0) >= 10) & (labels[~learn].sum(0) >= 10)
    labels = labels[:, enough]
    rows = {"words": int(enough.sum()), "by_chance": float(labels[~learn].float().mean())}
    for name, features in tables.items():
        decision = LinearProbe(costs=[0.001]).fit(features[learn], labels[learn]).decision(features)
        each = [average_precision_score(labels[~learn, c], decision[~learn, c]) for c in range(labels.shape[1])]
        rows[name] = words.rates({"mean": torch.tensor(each)})["mean"]
        print(f"{name:20}", rows[name], flush=True)
    return rows


def new_class(model: nn.Module, own, others, folder) -> dict[str, Tensor]:
    """A class against photographs that do not show it: fitted to one half of each set, measured on the other.

    Args:
        model: takes uint8
        own: data set of the class, with boxes, opened with size=words.SIDE; photographs that nearly equal one of the
            half to learn from are not measured
        others: data set of photographs
        folder: of `cached_features`

    Returns:
        one number a photograph of the class: "ranked_right", the part of the other photographs whose decision value is
        lower; "shuffled", the same with shuffled labels; of the map, the "aligned" map and a "centre" blob: "boxes …",
        is the box at 20 % right, and "peak …", is the hottest pixel in a true box
    """
    x, y = (cached_features(model, data, words.SIDE, folder) for data in (own, others))
    first, second = words.halves(own.paths), words.halves(others.paths)
    taught = torch.cat([x[first], y[second]])
    shown = (torch.arange(len(taught)) < first.sum()).long()
    mixed = shown[torch.randperm(len(shown), generator=torch.Generator().manual_seed(0))]
    fitted = LinearProbe(costs=[0.001]).fit(taught, torch.stack([shown, mixed], 1))
    twice = (F.normalize(x) @ F.normalize(x[first]).T).amax(1) > 0.95
    tested = (~first & ~twice).nonzero()[:, 0].tolist()
    lower = fitted.decision(x[tested])[:, None] > fitted.decision(y[~second])
    found = dict(zip(("ranked_right", "shuffled"), lower.double().mean(1).unbind(1), strict=True))
    cams = CamModel(networks.fast(model))
    heat = {"map": [], "aligned": [], "centre": scores.centred_gaussian(len(tested), (words.SIDE, words.SIDE))}
    for i in tested:
        seen = cams(own.images[i][None].to(next(model.parameters()).device))
        own_cams = fitted.cams(seen.features.float())
        seen = replace(own_cams, picture=seen.picture, centres=seen.centres)
        for name in ("map", "aligned"):
            heat[name].append(seen.maps(0, (words.SIDE, words.SIDE), aligned=name == "aligned")[0, 0].cpu())
    boxes = [own.boxes[i] for i in tested]
    for name, maps_of in heat.items():
        maps_of = torch.stack(list(maps_of))
        found[f"boxes {name}"] = scores.gt_known_accuracy(maps_of, boxes, 0.2).hits.double()
        found[f"peak {name}"] = scores.pointing_game(maps_of, boxes).hits.double()
    return found


def photographs(photos, size: int, batch: int = 50):
    for start in range(0, len(photos), batch):
        span = range(start, min(start + batch, len(photos)))
        yield torch.stack([words.resize(photos.images[i], [size, size]) for i in span])


def main(target: Path, data: Path, names=tuple(words.WORDS)[:16]) -> None:
    network, photos = networks.pretrained()[0], photo_sets.open("coco", data / "coco", "val", check=False)
    about = {"photos": len(photos), "set": "COCO 2017 validation", "size": words.SIDE, "torch": torch.__version__}
    rows, probe = measure(photos, network)
    found = {"about": about | {"date": str(datetime.date.today())}, "words": rows}
    save_file({"weight": probe.weight.half(), "bias": probe.bias}, target / "words.safetensors")

    first = words.both_halves(network, photos, names, CACHE)
    for word, numbers in first.items():
        rows[word]["both_halves"] = words.rates(numbers)
    found["features"] = kinds_of_features(photos, network)
    if (data / "raccoon").is_dir():
        animals = photo_sets.open("imagefolder", data / "raccoon", size=words.SIDE, check=False)
        found["raccoons"] = words.rates(new_class(network, animals, photos, CACHE))
    for way, (model, size) in ways(network).items():
        (target / "words.json").write_text(json.dumps(found, indent=1) + "\n")
        for word, numbers in words.both_halves(model, photos, names, CACHE, size).items():
            gain = scores.paired_difference(numbers["peak"], first[word]["peak"])
            rows[word]["both_halves"] |= words.rates({way: numbers["peak"]})
            rows[word]["both_halves"][f"{way}, gain"] = [round(number, 4) for number in gain]
        print(way, "measured", flush=True)
    (target / "words.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(os.environ["CAM_TEST_DATA"]))
