"""The price of a thousand thresholds, kept under its limit."""

import pytest
from bench_scores import FASTER, WHOLE, evaluation, paired, speed_up


@pytest.mark.slow
@pytest.mark.parametrize("side", [64, 224])
def test_a_thousand_thresholds_are_swept_three_times_as_fast_as_labelled(side):
    assert speed_up(2, side, 1000, repeats=2)[0] >= FASTER


@pytest.mark.slow
def test_a_whole_evaluation_costs_at_most_two_forward_passes():
    assert any(paired(*evaluation(), repeats=7)[0] <= WHOLE for _ in range(2))  # machines are noisy
