"""On real photos, where CAM_TEST_DATA names a folder with them."""

import csv
import os
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
