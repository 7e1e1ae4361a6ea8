"""Numbers as the lessons print them: the format, the interval that `scores` gives, the side a prediction is on."""

import pytest
import torch

from cam_helpers import scores, tables

HITS = torch.arange(200) % 5 < 3  # 60 %
OTHERS = torch.arange(200) % 2 == 0  # 50 %
LOW, HIGH = scores.interval(HITS)


def test_a_rate_comes_with_its_interval():
    assert tables.percent(HITS) == f"60.0 % ({100 * LOW:.1f} % to {100 * HIGH:.1f} %)"
    assert tables.percent(HITS, 0) == f"60 % ({100 * LOW:.0f} % to {100 * HIGH:.0f} %)"
    assert tables.in_percent(HITS) == f"60.0 ({100 * LOW:.0f}–{100 * HIGH:.0f})"
    assert tables.in_percent(HITS, 0) == f"60 ({100 * LOW:.0f}–{100 * HIGH:.0f})"
    assert tables.percent(HITS.tolist()) == tables.percent(HITS.double()) == tables.percent(HITS)
    assert 0.5 < LOW < 0.6 < HIGH < 0.7


def test_a_score_is_printed_as_it_is_and_not_as_the_mean_of_its_outcomes():
    outcomes = torch.tensor([[1.0, 2.0], [1.0, 4.0], [2.0, 4.0]])
    ratio = scores.Score(0.4, outcomes, lambda means: means[:, 0] / means[:, 1])
    assert tables.percent(ratio).startswith("40.0 % (") and tables.in_percent(ratio, 0).startswith("40 (")


def test_an_average_has_as_many_digits_as_are_asked_for():
    values = torch.tensor([1.0, 2.0, 6.0]).repeat(20)
    low, high = scores.interval(values)
    assert tables.average(values) == f"3.0 ({low:.1f} to {high:.1f})"
    assert tables.average(values, 2) == f"3.00 ({low:.2f} to {high:.2f})"
    assert tables.average(-values, 0) == f"-3 ({-high:.0f} to {-low:.0f})"


def test_a_difference_has_a_sign_and_zero_a_plus():
    value, low, high = (100 * v for v in scores.paired_difference(HITS, OTHERS))
    assert tables.points(HITS, OTHERS) == f"+10.0 points ({low:+.1f} to {high:+.1f})" and value == pytest.approx(10)
    assert tables.points(OTHERS, HITS, 0).startswith("-10 points (")
    assert tables.points(HITS, HITS) == "+0.0 points (+0.0 to +0.0)"
    none = torch.zeros(4)
    assert tables.points(-none, none) == "+0.0 points (+0.0 to +0.0)"
    with pytest.raises(ValueError, match="same pictures"):
        tables.points(HITS, HITS[:3])


@pytest.mark.parametrize(
    ("interval", "at_least", "above", "at_most"),
    [
        ((0.6, 0.8), "held", "held", "failed"),
        ((0.5, 0.8), "held", "open", "open"),
        ((0.4, 0.8), "open", "open", "open"),
        ((0.4, 0.5), "open", "open", "held"),
        ((0.2, 0.4), "failed", "failed", "held"),
        ((0.5, 0.5), "held", "open", "held"),
    ],
)
def test_a_prediction_is_held_failed_or_open(interval, at_least, above, at_most):
    assert tables.verdict(*interval, 0.5) == tables.verdict(*interval, at_least=0.5) == at_least
    assert tables.verdict(*interval, above=0.5) == above
    assert tables.verdict(*interval, at_most=0.5) == at_most


def test_any_number_takes_its_interval_along():
    assert tables.with_interval(0.5, 0.25, 1) == "0.5 (0.2 to 1.0)"
    assert tables.with_interval(0.5, -0.25, 1, "+.2f") == "+0.50 (-0.25 to +1.00)"
