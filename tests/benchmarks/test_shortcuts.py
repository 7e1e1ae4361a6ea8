"""Neither colours nor coarse pixels tell a linear classifier the class of a picture."""

import pytest
from shortcuts import coarse_pixels, histograms, linear

from cam_helpers import world


@pytest.mark.slow
@pytest.mark.parametrize("task, limit", [("objects", 0.10), ("text", 0.56), ("actions", 0.25)])
@pytest.mark.parametrize("features", [histograms, coarse_pixels])
def test_a_linear_classifier_stays_near_chance(task, limit, features):
    train, test = world.load(task, "train"), world.load(task, "test")
    assert linear(features, train, test) <= limit
