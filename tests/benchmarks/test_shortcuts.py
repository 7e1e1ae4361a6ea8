"""Neither colours nor coarse pixels tell a linear classifier the class of a picture."""

from types import SimpleNamespace

import pytest
from shortcuts import coarse_pixels, histograms, linear

import drawn_world


def planted(data):
    """The same pictures, each with a white square whose place tells the class."""
    images = data.images.clone()
    for label in data.labels.unique().tolist():
        row, column = 4 * (label // 16), 4 * (label % 16)
        images[data.labels == label, :, row : row + 4, column : column + 4] = 255
    return SimpleNamespace(images=images, labels=data.labels)


@pytest.mark.slow
@pytest.mark.parametrize("task, limit", [("objects", 0.10), ("text", 0.56), ("actions", 0.25)])
def test_linear_classifiers_stay_near_chance_and_find_a_planted_short_cut(task, limit):
    """With a third of the pictures; the data sheet has the numbers for all of them."""
    train, test = drawn_world.load(task, "train", n=1500), drawn_world.load(task, "test", n=600)
    for features in (histograms, coarse_pixels):
        assert linear(features, train, test) <= limit
    assert linear(coarse_pixels, planted(train), planted(test)) > limit + 0.3
