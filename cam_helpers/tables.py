"""Numbers as the lessons print them: each with its 95 % interval, and what became of a prediction.

>>> tables.percent(hits)
'63.2 % (60.1 % to 66.0 %)'
>>> tables.points(hits_of_one, hits_of_another)
'+4.5 points (+1.2 to +7.9)'
"""

from __future__ import annotations

import torch

from .scores import Score, interval, paired_difference

__all__ = ["average", "in_percent", "percent", "points", "verdict", "with_interval"]


def with_interval(value: float, low: float, high: float, form: str = ".1f") -> str:
    """A number and its interval, all in one format: "0.52 (0.40 to 0.61)".

    Args:
        value: the number
        low, high: its interval
        form: how each is written, as after the colon in an f-string
    """
    return f"{value:{form}} ({low:{form}} to {high:{form}})"


def average(values, digits: int = 1) -> str:
    """The mean of one number a picture, (N,), with its interval: "12.3 (10.1 to 14.0)"."""
    return with_interval(_mean(values), *interval(values), form=f".{digits}f")


def percent(rate, digits: int = 1) -> str:
    """A Score, or hits (N,), in per cent with its interval: "63.2 % (60.1 % to 66.0 %)"."""
    low, high = map(abs, interval(rate))  # no -0.0
    return with_interval(_mean(rate), low, high, form=f".{digits}%").replace("%", " %")


def in_percent(rate, digits: int = 1) -> str:
    """The same for a table whose heading says per cent, the interval in whole numbers: "63.2 (60–66)"."""
    low, high = interval(rate)
    return f"{100 * _mean(rate):.{digits}f} ({100 * low:.0f}–{100 * high:.0f})"


def points(a, b, digits: int = 1) -> str:
    """How much higher the rate a is than b on the same pictures, in points of a per cent: "+4.5 points (+1.2 to +7.9)".

    a, b: Scores, or hits (N,). Raises ValueError when they are not of the same pictures.
    """
    difference, low, high = (f"{100 * value + 0.0:+.{digits}f}" for value in paired_difference(a, b))  # no -0.0
    return f"{difference} points ({low} to {high})"


def verdict(
    low: float, high: float, at_least: float | None = None, above: float | None = None, at_most: float | None = None
) -> str:
    """What became of a prediction, given the interval of what was measured.

    Args:
        low, high: the interval
        at_least, above, at_most: the prediction; one of them

    Returns:
        "held" when the whole interval fulfils the prediction, "failed" when all of it is on the other side, else "open"
    """
    if at_most is not None:
        held, failed = high <= at_most, low > at_most
    elif above is not None:
        held, failed = low > above, high < above
    else:
        held, failed = low >= at_least, high < at_least
    return "held" if held else "failed" if failed else "open"


def _mean(values) -> float:
    return float(values) if isinstance(values, Score) else torch.as_tensor(values).double().mean().item()
