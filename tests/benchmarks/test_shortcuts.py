"""Neither colours nor coarse pixels tell a linear classifier the class of a picture."""

import pytest
from shortcuts import coarse_pixels, histograms, linear

import drawn_world


@pytest.mark.slow
@pytest.mark.parametrize("task, limit", [("objects", 0.10), ("text", 0.56), ("actions", 0.25)])
@pytest.mark.parametrize("features", [histograms, coarse_pixels])
def test_a_linear_classifier_stays_near_chance(task, limit, features):
    train, test = drawn_world.load(task, "train"), drawn_world.load(task, "test")
    assert linear(features, train, test) <= limit
