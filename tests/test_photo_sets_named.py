"""Scenes and units on COCO photographs (lessons 10, 11): stored in a valid form, and given again by the photographs."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import photo_sets
from cam_helpers import CamModel, networks
from cam_helpers.probes import LinearProbe, cached_features
from cam_helpers.statistics import MEASURES
from drawn_world.folders import cache_folder
from photo_sets import named_units, scenes, words

ABOUT = {"photos", "set", "size", "torch", "date"}
COCO = Path(os.environ.get("CAM_TEST_DATA") or "nowhere") / "coco"


class Scaled(torch.nn.Module):
    """uint8 -> float."""

    def forward(self, images):
        return images.float()


@pytest.fixture(scope="module")
def photos():
    if not COCO.is_dir():
        pytest.skip("CAM_TEST_DATA names no folder that holds coco")
    return photo_sets.open("coco", COCO, "val", check=False)


def near(again, stored, by):
    """Each number again, for as far as another machine's rounding may move a photograph."""
    for name, values in stored.items():
        assert again[name] == pytest.approx(values, abs=by), name


def test_stored_scenes_hold_each_number_in_its_interval():
    stored = photo_sets.measured("scenes")
    assert set(stored.pop("about")) >= ABOUT
    assert list(stored["pictures"]) == scenes.SCENES and min(stored["pictures"].values()) > 5
    rows = stored["rows"]
    assert len({len(column) for column in rows.values()}) == 1 and set(rows["scene"]) == set(scenes.SCENES)
    assert min(rows["pictures"]) >= 5
    for by in MEASURES:
        for low, value, high in zip(rows[f"{by}_low"], rows[by], rows[f"{by}_high"], strict=True):
            assert low <= value <= high
    for kind in ("agreement", "shuffled", "minus_frequency"):
        for table in stored[kind].values():
            assert list(table) == [*scenes.SCENES, "mean"]
            assert all(-2 <= row[1] <= row[2] <= 2 for row in table.values() if None not in row)
            assert None not in table["mean"]


def test_stored_units_are_shares_and_their_words_have_boxes():
    stored = photo_sets.measured("units")
    assert ABOUT | {"held_out"} <= set(stored["about"])
    for word, row in stored["words"].items():
        assert words.WORDS[word] == row["kind"] and len(set(row["units"])) == 3 and max(row["units"]) < stored["units"]
        assert all(0 <= row[key] <= 1 for key in ("base", "random", "one", "three", "all"))
        assert row["three"] * named_units.TOP == pytest.approx(row.get("shown", 0), abs=0.01)
        assert "peak" not in row or 0 <= row["peak"] <= 1
    assert all(share >= 0.5 for _, _, share in stored["named"]) and len(stored["named"]) > stored["named_at_random"]


def test_log_odds_of_counts():
    held = torch.tensor([[2, 0]] * 9 + [[0, 1]] + [[1, 0]] + [[0, 1]] * 9)
    labels = torch.zeros(20, len(scenes.SCENES), dtype=torch.long)
    labels[:10, 0] = 1  # nine of ten hold a cup; one of ten elsewhere
    found = scenes.log_odds(SimpleNamespace(classes=["cup", "bus"], labels=held), labels)
    half = torch.tensor([9.5, 1.5]).log()  # 9 + ½ of 10 + 1, against 1 + ½ of 10 + 1
    assert found.loc["street", "cup"] == pytest.approx(2 * float(half[0] - half[1]))
    assert found.loc["street", "bus"] == pytest.approx(-found.loc["street", "cup"])


def test_a_probe_of_the_heaviest_units():
    probe = LinearProbe()
    probe.weight, probe.bias = torch.tensor([[0.0, 3, -9, 2], [1.0, 0, 0, 0]]), torch.ones(2)
    only = named_units.heaviest(probe, 0, 2)
    assert only.weight.tolist() == [[0, 3, 0, 2]] and only.bias.tolist() == [0]


def test_the_top_photographs_of_units(tmp_path, monkeypatch):
    """By the highest activation anywhere, among the photographs asked for; kept for the next time."""
    monkeypatch.setattr(words, "SIDE", 4)
    monkeypatch.setattr(named_units, "TOP", 2)
    images = torch.zeros(4, 3, 4, 4, dtype=torch.uint8)
    images[0] = 9  # not asked for
    images[1, :2, 1, 2], images[2, 0, 0, 0], images[3, 1] = 200, 250, 100
    paths = [tmp_path / f"{k}.png" for k in range(4)]
    for path in paths:
        path.write_bytes(path.name.encode())
    photos = SimpleNamespace(images=images, paths=paths, sizes=[(4, 4)] * 4)
    conv = torch.nn.Conv2d(3, 2, 1, bias=False)
    conv.weight.data = torch.eye(2, 3)[:, :, None, None] / 255
    pool = torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(2, 2)
    model = CamModel(torch.nn.Sequential(Scaled(), conv, *pool))
    for _ in range(2):
        assert named_units.top_photographs(photos, model, [1, 2, 3], tmp_path).tolist() == [[1, 0], [0, 2]]
    assert len(list((tmp_path / "highest").glob("*.npz"))) == 1


def test_units_that_are_named():
    photos = SimpleNamespace(classes=["person", "cup"], labels=torch.tensor([[1, 1]] + [[1, 0]] * 19))
    lists = torch.tensor([[0, 0, 1], [1, 2, 3]])  # the first unit's photographs: two of three hold a cup
    assert named_units.named(photos, lists, list(range(20))) == [(0, "cup", pytest.approx(2 / 3))]


@pytest.mark.slow
def test_the_photographs_give_these_scenes(photos):
    counted = scenes.count(photos, networks.pretrained()[0], cache_folder())
    again, stored = scenes.summary(photos, *counted), photo_sets.measured("scenes")
    assert again["pictures"] == stored["pictures"]
    near(
        {by: again["agreement"][by]["mean"][0] for by in MEASURES},
        {by: stored["agreement"][by]["mean"][0] for by in MEASURES},
        0.05,
    )
    assert again["rows"]["object"] == stored["rows"]["object"]
    near({"frequency": again["rows"]["frequency"]}, {"frequency": stored["rows"]["frequency"]}, 1e-3)
    near({"by weight": again["rows"]["by_weight"]}, {"by weight": stored["rows"]["by_weight"]}, 0.05)


@pytest.mark.slow
def test_the_photographs_give_these_units(photos):
    network = networks.pretrained()[0]
    features = cached_features(network, photos, words.SIDE, cache_folder())
    again, stored = (
        named_units.summary(photos, CamModel(networks.fast(network)), features, cache_folder()),
        photo_sets.measured("units"),
    )
    for key in ("base", "one", "three", "all", "random"):
        mean = [sum(row[key] for row in found["words"].values()) / len(found["words"]) for found in (again, stored)]
        assert mean[0] == pytest.approx(mean[1], abs=0.02), key
    assert len(again["named"]) == pytest.approx(len(stored["named"]), abs=2)
