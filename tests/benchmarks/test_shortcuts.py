"""Neither colours nor coarse pixels tell the class of an `objects` picture to a linear classifier."""

import pytest
from shortcuts import coarse_pixels, histograms, linear

from cam_helpers import world


@pytest.mark.slow
@pytest.mark.parametrize("features", [histograms, coarse_pixels])
def test_a_linear_classifier_stays_within_twice_chance(features):
    train, test = world.load("objects", "train"), world.load("objects", "test")
    assert linear(features, train, test) <= 2 / len(train.classes)
