"""Lesson 08 in the drawn world: the paper's Tables 5 and 4, kinds of features and crops from the map's box.

    python tests/benchmarks/table_drawn.py data/photo_sets/measured

Writes drawn.json there; `photo_sets.measured("drawn")` reads it. No photographs. Three minutes on one core.

"features": kind → task → [right, low, high, how many] of a linear SVM; "on the tool", "on the writing": the hottest
place of the true class's map; "chance": a blind point. "zoom": trunk → way to crop → right of six look-alike kinds,
and "… gain": what the crop adds to the whole picture.
"""

import datetime
import json
import sys
from pathlib import Path

import torch
from torch.nn import functional as F
from torchvision.ops import roi_align
from torchvision.transforms.v2.functional import resize

import drawn_world
from cam_helpers import CamModel, boxes_from_maps, networks, scores
from cam_helpers.probes import LinearProbe
from photo_sets import words

LEARN, LOOK, SIDE, NEAR = 400, 300, 128, 4  # pictures; pixels; a hit may lie so many pixels beside


def see(cams, images, size: int):
    """Features with their places, of pictures resized to `size` -> (N,K,h,w)."""
    return torch.cat([cams(resize(part, [size, size])).features.float() for part in images.split(40)])


def trunks() -> dict:
    """name -> a CamModel and the size of its input."""
    small = {"GAP": "objects-gap", "GAP, 87 kinds": "generic-gap"}
    found = {k: (CamModel(networks.fast(networks.load_checkpoint(name)[0])), SIDE) for k, name in small.items()}
    return found | {"GAP, pretrained": (CamModel(networks.fast(networks.pretrained()[0])), 224)}


@torch.no_grad()
def kinds_of_features(learn, look):
    """For two sets of pictures: name, vectors (N,K) of each, and the second's features with places, or None."""
    dense = networks.load_checkpoint("objects-dense")[0].eval()
    at = [torch.cat([dense.trunk(part) for part in images.split(40)]) for images in (learn, look)]
    yield "hidden layer", *(dense[1:-1](part) for part in at), None
    yield "averaged afterwards", *(part.mean((2, 3)) for part in at), at[1]
    for name, (cams, size) in trunks().items():
        at = see(cams, look, size)
        yield name, see(cams, learn, size).mean((2, 3)), at.mean((2, 3)), at


def tools(data):
    """The pixels of the tool in use -> bool (N,H,W); none where people applaud."""
    none = torch.zeros(SIDE, SIDE, dtype=torch.bool)
    return torch.stack([m[k] if k >= 0 else none for m, k in zip(data.masks, data.tool.tolist(), strict=True)])


def features() -> dict:
    rows = {}
    for task, place in (("actions", "on the tool"), ("scenes", None), ("text", "on the writing")):
        learn, look = (drawn_world.load(task, *part, size=SIDE) for part in (("train", LEARN), ("test", LOOK)))
        true = {"actions": lambda data: tools(data), "text": lambda data: data.masks.union()}
        masks = true[task](look) if place else None
        for name, a, b, at in kinds_of_features(learn.images, look.images):
            probe = LinearProbe(costs=[0.01]).fit(a, learn.labels)
            found = {task: probe.predict(b) == look.labels}
            if place and at is not None:
                there = masks.any((1, 2)) & ((look.labels == 1) | (task == "actions"))  # the texts with words
                heat = F.interpolate(probe.maps(at[there], look.labels[there]), (SIDE, SIDE), mode="bilinear")[:, 0]
                found[place] = scores.pointing_game(heat, masks[there], beside=NEAR).hits
                around = F.max_pool2d(masks[there, None].float(), 2 * NEAR + 1, 1, NEAR)
                rows.setdefault("chance", {}).update(words.rates({place: around.double().mean((1, 2, 3))}))
            rows.setdefault(name, {}).update(words.rates({key: right.double() for key, right in found.items()}))
            print(task, name, rows[name], flush=True)
    return rows


def lookalikes(split: str, n: int):
    """Pictures, labels and true boxes of three look-alike pairs."""
    data = drawn_world.load("objects", split, n=n, size=SIDE)
    kinds = torch.tensor([data.classes.index(name) for pair in data.lookalikes for name in pair])
    chosen = torch.isin(data.labels, kinds).nonzero()[:, 0]
    return data.images[chosen], data.labels[chosen], [data.boxes[i] for i in chosen.tolist()]


def crop(images, boxes):
    """Each picture cut to a square around its box, a tenth wider, and enlarged."""
    whole = torch.tensor([[0.0, 0, SIDE, SIDE]])
    box = torch.cat([own[:1] if len(own) else whole for own in boxes])
    half = (0.55 * (box[:, 2:] - box[:, :2]).amax(1, keepdim=True)).clamp(4, SIDE / 2)
    middle = ((box[:, :2] + box[:, 2:]) / 2).clamp(half, SIDE - half)
    squares = torch.cat([middle - half, middle + half], 1)[:, None]
    return roi_align(images.float(), list(squares), SIDE, aligned=True).round().byte()


def zoom() -> dict:
    learn, look = lookalikes("train", 2 * LEARN), lookalikes("test", 2 * LOOK)
    rows = {"pictures": {"learn": len(learn[1]), "look": len(look[1])}}
    for trunk in ("GAP, 87 kinds", "GAP, pretrained"):
        cams, size = trunks()[trunk]
        first, second, right = learn[0], look[0], {}
        for way in ("whole picture", "map's box", "true box"):
            if way == "true box":
                first, second = crop(learn[0], learn[2]), crop(look[0], look[2])
            at = [see(cams, images, size) for images in (first, second)]
            probe = LinearProbe(costs=[0.01]).fit(at[0].mean((2, 3)), learn[1])
            right[way] = (probe.predict(at[1].mean((2, 3))) == look[1]).double()
            if way == "whole picture":  # the box of the map of the predicted class, at 20 % of its maximum
                said = [probe.predict(part.mean((2, 3))) for part in at]
                where = [torch.searchsorted(probe.classes, classes) for classes in said]
                found = [boxes_from_maps(probe.maps(*pair, (SIDE, SIDE))[:, 0]) for pair in zip(at, where, strict=True)]
                first, second = crop(learn[0], found[0]), crop(look[0], found[1])
        rows[trunk] = words.rates(right)
        for way in ("map's box", "true box"):
            gain = scores.paired_difference(right[way], right["whole picture"])
            rows[trunk][f"{way}, gain"] = [round(part, 4) for part in gain]
        print(trunk, rows[trunk], flush=True)
    return rows


if __name__ == "__main__":
    about = {"torch": torch.__version__, "date": str(datetime.date.today()), "learn": LEARN, "look": LOOK}
    found = {"about": about, "features": features(), "zoom": zoom()}
    (Path(sys.argv[1]) / "drawn.json").write_text(json.dumps(found, indent=1) + "\n")
