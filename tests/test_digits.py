"""Cluttered digits: boxes fit, places tell nothing, and the splits share nothing."""

import hashlib

import numpy as np
import pytest
import torch

from drawn_world import digits


@pytest.fixture(scope="module")
def world():
    return digits.load("train", n=300)


def test_shapes_and_types(world):
    assert world.images.shape == (300, 3, 48, 48) and world.images.dtype == torch.uint8
    assert world.labels.shape == (300,) and world.labels.dtype == torch.int64
    assert world.masks.shape == (300, 48, 48) and world.masks.dtype == torch.bool
    assert [box.shape for box in world.boxes] == [(1, 4)] * 300
    assert world.classes == tuple("0123456789") and len(world) == 300
    image, label = world[7]
    assert torch.equal(image, world.images[7]) and label == world.labels[7] and isinstance(label, int)


def test_the_box_is_the_extent_of_the_mask(world):
    for (box,), mask in zip(world.boxes, world.masks, strict=True):
        x1, y1, x2, y2 = map(int, box)
        assert 0 <= x1 < x2 <= 48 and 0 <= y1 < y2 <= 48
        inside = mask[y1:y2, x1:x2]
        assert inside.sum() == mask.sum() > 20
        assert inside[0].any() and inside[-1].any() and inside[:, 0].any() and inside[:, -1].any()


def test_all_classes_occur_and_the_place_says_nothing_about_them(world):
    assert torch.bincount(world.labels, minlength=10).min() >= 15
    boxes = torch.cat(world.boxes)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    overall = centres.mean(0)
    for label in range(10):  # a class's mean place is within four standard errors of the overall mean
        mine = centres[world.labels == label]
        assert ((mine.mean(0) - overall).abs() < 4 * centres.std(0) / len(mine) ** 0.5).all()
    assert centres.min() < 16 and centres.max() > 32  # all over the picture


def test_the_digit_is_lighter_than_its_ground(world):
    grey = world.images.float().mean(1)
    inside = torch.stack([g[m].mean() for g, m in zip(grey, world.masks, strict=True)])
    outside = torch.stack([g[~m].mean() for g, m in zip(grey, world.masks, strict=True)])
    assert (inside > outside).float().mean() > 0.99


def test_scraps_are_clutter_that_changes_the_picture_outside_the_digit():
    ground, cluttered = (digits.load("val", n=30, scraps=scraps) for scraps in (0, 8))
    spread = [
        np.mean([i[:, ~m].float().std() for i, m in zip(w.images, w.masks, strict=True)]) for w in (ground, cluttered)
    ]
    assert spread[1] > 1.3 * spread[0]


def fingerprints(world):
    return {hashlib.sha256(image.numpy().tobytes()).hexdigest() for image in world.images}


def test_the_same_arguments_give_the_same_pictures_and_others_do_not():
    first, again = digits.load("val", n=20), digits.load("val", n=20)
    assert torch.equal(first.images, again.images) and torch.equal(first.labels, again.labels)
    assert torch.equal(torch.cat(first.boxes), torch.cat(again.boxes))
    np.random.default_rng(0)  # nobody else's random numbers matter
    others = [digits.load("val", n=20, seed=1), digits.load("test", n=20), digits.load("train", n=20)]
    assert not any(fingerprints(first) & fingerprints(other) for other in others)
    assert len(fingerprints(first)) == 20


def test_the_splits_share_no_scanned_digit():
    parts = [set(range(1797)[part]) for part in digits._PARTS.values()]
    assert sum(map(len, parts)) == 1797 == len(set().union(*parts))


@pytest.mark.parametrize("size", [32, 64])
def test_other_sizes(size):
    world = digits.load("test", n=5, size=size)
    assert world.images.shape == (5, 3, size, size) and torch.cat(world.boxes).max() <= size


def test_none_at_all():
    world = digits.load(n=0)
    assert len(world) == 0 and world.images.shape == (0, 3, 48, 48) and world.boxes == []


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"split": "dev"}, "train, val, test, got 'dev'"),
        ({"size": 31}, "at least 32 pixels, got 31"),
    ],
)
def test_what_cannot_be_drawn_is_refused(how, words):
    with pytest.raises(ValueError, match=words):
        digits.load(n=1, **how)
