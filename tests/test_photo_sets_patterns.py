"""Phrases, questions and distances of lesson 09, and what the lesson measured on photographs, as it is stored."""

import os
from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

import pytest
import skimage.data
import torch
from conftest import ROOT

from cam_helpers import CamModel, networks
from photo_sets import measured, patterns, words


@pytest.mark.parametrize(
    ("phrase", "captions", "held", "near"),
    [
        ("dog", ["Two DOGS.", "A cat."], True, False),
        ("dog", ["A hot-dogger", "some cats"], False, True),
        ("dog", ["A man."], False, False),
        ("riding a wave", ["a man rides the big wave"], True, False),
        ("riding a wave", ["waves at the shore"], False, True),
        ("riding a wave", ["a man rides.", "Waves"], False, True),  # in two captions
        ("flying a kite", ["kites high up in the air"], True, False),
        ("using a phone", ["he looks at his cell phone"], True, False),
        ("using a phone", ["a phone lies there"], False, True),
    ],
)
def test_what_holds_a_phrase_and_what_comes_near(phrase, captions, held, near):
    assert [found.tolist() for found in patterns.phrase_labels([captions], phrase)] == [[held], [near]]


def test_a_photograph_is_asked_what_has_one_answer():
    classes = [kind for kinds in patterns.QUESTIONS.values() for kind in kinds.split(", ")] + ["person"]
    assert len(classes) == len(set(classes)) == 80  # all of COCO's
    shown = [["cat", "person"], ["cat", "dog", "pizza"], ["person"], ["zebra", "bus"]]
    labels = torch.tensor([[float(name in names) for name in classes] for names in shown])
    rows = patterns.questions(SimpleNamespace(classes=classes, labels=labels)).tolist()
    asked = {(i, list(patterns.QUESTIONS)[q], classes[a]) for i, q, a in rows}
    assert asked == {
        (0, "what animal?", "cat"),
        (1, "what food?", "pizza"),  # two animals: no one answer
        (3, "what animal?", "zebra"),
        (3, "what vehicle?", "bus"),
    }
    assert len(rows) == len(asked)


def test_distance_from_the_peak_to_the_nearest_true_pixel():
    maps, masks = torch.zeros(3, 6, 8), torch.zeros(3, 6, 8, dtype=torch.bool)
    maps[0, 1, 1] = maps[1, 5, 0] = maps[2, 0, 7] = 1
    masks[:, 1:3, 1:4] = True
    assert patterns.peak_distance(maps, masks).tolist() == pytest.approx([0, 10**0.5, 17**0.5])


def test_stored_numbers_lie_in_their_intervals():
    numbers = measured("patterns")
    assert {"streets", "things", "size", "torch", "date"} <= set(numbers["about"])
    intervals = [cell for row in numbers["writing"].values() for cell in row.values()] + list(
        numbers["answers"].values()
    )
    for row in numbers["phrases"].values():
        assert row["said of"] >= 40 and row["measured on"] >= 10
        intervals += [row[name] for name in ("random", "near", "blob in the middle")]
    assert len(numbers["phrases"]) >= 10 and set(numbers["phrases"]) <= set(patterns.PHRASES)
    assert all(0 <= low <= value <= high <= 1 for value, low, high in intervals)


def test_the_stored_classifier_knows_a_page_from_other_pictures():
    cams, probe = CamModel(networks.pretrained()[0]), words.probe("text")
    page = skimage.data.page()[:160, :160]
    others = [skimage.data.coffee(), skimage.data.chelsea(), skimage.data.brick()]
    photos = [
        torch.from_numpy(p.copy()).expand(3, -1, -1) if p.ndim == 2 else torch.from_numpy(p.copy()).permute(2, 0, 1)
        for p in (page, *others)
    ]
    decision = words.maps(probe, cams, photos, batch=1).mean((1, 2, 3)) + probe.bias
    assert probe.words == ["text"] and probe.weight.shape == (1, 1280) and decision.argmax() == 0 and decision[0] > 0


@pytest.mark.slow
def test_the_photographs_give_these_numbers(monkeypatch):
    root = Path(os.environ.get("CAM_TEST_DATA") or "nowhere")
    if not (root / "coco").is_dir() or not (root / "text").is_dir():
        pytest.skip("CAM_TEST_DATA names no folder that holds coco and text")
    monkeypatch.delenv("CAM_PRESET", raising=False)
    again = run_path(str(ROOT / "tests" / "benchmarks" / "table_patterns.py"))["values_of_half"]()
    stored = measured("patterns")["half"]
    assert again.pop("squares") == stored.pop("squares") and again.keys() == stored.keys()
    few = {"phrases": 0.15}  # of some a dozen photographs; half precision moves one or two peaks
    for part, rows in stored.items():
        for name, row in rows.items():
            assert again[part][name] == pytest.approx(row, abs=few.get(part, 0.04)), (part, name)
    for kind in ("random", "near"):
        means = [sum(row[kind] for row in half["phrases"].values()) / len(half["phrases"]) for half in (again, stored)]
        assert means[0] == pytest.approx(means[1], abs=0.04)
