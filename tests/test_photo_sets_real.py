"""On real photos, where CAM_TEST_DATA names a folder with them."""

import csv
import json
import os
import time
from itertools import chain
from pathlib import Path

import pytest
import torch

import photo_sets

FOLDER = os.environ.get("CAM_TEST_DATA")
ROOT = Path(FOLDER or "unset")


def need(name):
    if not FOLDER:
        pytest.skip("CAM_TEST_DATA is not set")
    if not (ROOT / name).is_dir():
        pytest.skip(f"CAM_TEST_DATA holds no {name}")
    return ROOT / name


def test_raccoons():
    ds = photo_sets.open("imagefolder", need("raccoon"))
    assert len(ds) == 200 and sum(map(len, ds.boxes)) == 217 and ds.classes == ["raccoon"] and not ds.problems
    for i in range(0, 200, 20):
        height, width = ds[i][0].shape[1:]
        assert (ds.boxes[i][:, :2] >= 0).all() and (ds.boxes[i][:, 2:] <= torch.tensor([width, height])).all()
    parts = [photo_sets.open("imagefolder", need("raccoon"), s) for s in ("train", "val", "test")]
    assert [len(p) for p in parts] == [120, 40, 40]


def test_imagenet_pictures():
    root = need("imagenet_val260")
    ds = photo_sets.open("ilsvrc_csv", root)
    assert len(ds) == 260 and sum(map(len, ds.boxes)) == 398 and not ds.problems
    assert set(ds.sizes) == {(227, 227)}
    with open(root / "boxes.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    theirs = torch.tensor([[float(r[f"{c}_227"]) for c in ("x0", "y0", "x1", "y1")] for r in rows])
    assert {Path(p).name for p in ds.paths} == {r["image"] for r in rows}
    ours = torch.cat(ds.boxes)  # a row a box, in the order of the file
    assert (ours[:, :2] - theirs[:, :2]).abs().max() < 0.01
    one = torch.tensor([[227 / int(r["orig_w"]), 227 / int(r["orig_h"])] for r in rows])  # the last pixel belongs to it
    assert (ours[:, 2:] - theirs[:, 2:] - one).abs().max() < 0.01


@pytest.mark.slow
def test_coco():
    """The official layout; masks for a part of the objects; every size, box and caption is used."""
    started = time.process_time()
    ds = photo_sets.open("coco", need("coco"), "val", check=False)
    assert time.process_time() - started < 6  # it takes 1.3 s on a quiet machine
    assert len(ds) == 1880 and len(ds.classes) == 80 and not ds.problems
    notes = json.loads((ROOT / "coco" / "annotations" / "instances_val2017.json").read_bytes())
    objects = notes["annotations"]
    assert sum(map(len, ds.boxes)) == len(objects) == 17500
    assert sum(int(has.sum()) for has in ds.has_mask) == sum(bool(item["segmentation"]) for item in objects)
    assert min(map(len, ds.captions)) >= 5 and all(ds.sources) and len(set(ds.licences)) > 4
    sizes = {image["file_name"]: (image["height"], image["width"]) for image in notes["images"]}
    assert [sizes[Path(path).name] for path in ds.paths] == ds.sizes
    shown = [(i, k) for i, has in enumerate(ds.has_mask) for k in has.nonzero().flatten().tolist()][::8]
    gaps = []
    for i, k in shown:  # the mask fills its box; these outlines have fewer corners than the published ones
        rows, columns = ds.masks[i][k].any(1).nonzero(), ds.masks[i][k].any(0).nonzero()
        extent = torch.stack([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
        gaps.append((extent - ds.boxes[i][k]).abs().max())
    assert len(gaps) > 150 and torch.stack(gaps).median() < 1.5 and torch.stack(gaps).quantile(0.95) < 4


def test_a_part_of_coco():
    free = photo_sets.open("coco", need("coco"), licence="free", check=False)
    assert 0 < len(free) < 1880 and not any("NonCommercial" in name or "NoDeriv" in name for name in free.licences)
    laptops = photo_sets.open("coco", need("coco"), words="laptop", check=False)
    assert 10 < len(laptops) < 200 and all("laptop" in " ".join(captions).lower() for captions in laptops.captions)
    labelled = laptops.labels[:, laptops.classes.index("laptop")].mean()
    assert labelled > 0.9  # who writes of laptops has seen one
    assert photo_sets.open("coco", need("coco"), n=20).paths == photo_sets.open("coco", need("coco"), n=20).paths


def test_text_on_street_photographs():
    ds = photo_sets.open("icdar2015", need("text"), "test", check=False)
    assert len(ds) == 250 and set(ds.sizes) == {(720, 1280)} and not ds.problems
    assert sum(map(len, ds.boxes)) == sum(map(len, ds.words)) == 1010
    lines = [line for path in (ROOT / "text" / "gt").iterdir() for line in path.read_text("utf-8-sig").splitlines()]
    assert sorted(line.split(",", 8)[8] for line in lines if not line.endswith(",###")) == sorted(chain(*ds.words))
    i = next(i for i, words in enumerate(ds.words) if words)
    for box, mask in zip(ds.boxes[i], ds.masks[i], strict=True):
        rows, columns = mask.any(1).nonzero(), mask.any(0).nonzero()
        extent = torch.stack([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
        assert (extent - box).abs().max() <= 1.5
