"""A score and its spread: every score is a function of a mean over pictures, so every score can be resampled."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch


def itself(means: np.ndarray) -> np.ndarray:
    return means


def error(means: np.ndarray) -> np.ndarray:
    return 1 - means


class Score(float):
    """A number that remembers its pictures; in arithmetic, formatting and comparisons it is an ordinary float.

    value     the number as a plain float. Accuracies and errors are parts of 1, not per cent.
    hits      bool (N,): which pictures were right, at the threshold that gives `value`; (N,D) where there are several
              IoUs; None where nothing is right or wrong, or where the outcomes were not kept.
    outcomes  (N,...): what each picture contributed; the score is `of_mean` of their mean. None if they were not kept.

    Some scores have more (threshold, curve …): see the function that returns them.
    """

    hits = None

    def __new__(cls, value: float, outcomes=None, of_mean: Callable = itself, **more):
        score = super().__new__(cls, value)
        vars(score).update(value=float(value), outcomes=outcomes, of_mean=of_mean, **more)
        return score

    def interval(self, level: float = 0.95, seed: int = 0) -> tuple[float, float]:
        """See `scores.interval`."""
        return interval(self, level, seed)


def proportion(hits, errors: bool = False) -> Score:
    """The part of the pictures that are right; with errors=True the part that are wrong.

    hits: bool (N,), is each picture right? Raises ValueError without pictures.
    """
    hits = torch.as_tensor(hits).detach().cpu().bool()
    if not len(hits):
        raise ValueError("no pictures to score")
    of_mean = error if errors else itself
    return Score(of_mean(hits.numpy().mean()), hits, of_mean, hits=hits)


def interval(score, level: float = 0.95, seed: int = 0) -> tuple[float, float]:
    """Percentile bootstrap interval (low, high): what the score might be on other pictures of the same kind.

    score: a Score that kept its outcomes, or hits (N,). Pictures are drawn with replacement, 2000 times; a score that
    chooses its threshold (MaxBoxAcc) chooses it again in every draw. Scores of 0 or 1 get an interval of width zero:
    with few pictures that is too good to be true. Raises ValueError without pictures or for a level outside 0 to 1.
    """
    return _percentiles(_resampled(*_outcomes(score), seed), level)


def paired_difference(a, b, level: float = 0.95, seed: int = 0) -> tuple[float, float, float]:
    """How much higher a is than b on the same pictures: (a - b, low, high), a percentile bootstrap interval.

    Each draw takes the same pictures for both, so what is difficult for both cancels. Raises ValueError when their
    numbers of pictures differ.

    Args:
        a, b: Scores or hits (N,) of the *same* pictures in the same order
        level: how often such an interval holds the true difference
        seed: of the draws
    """
    (first, first_of_mean), (second, second_of_mean) = _outcomes(a), _outcomes(b)
    if len(first) != len(second):
        raise ValueError(f"a paired comparison needs the same pictures, got {len(first)} and {len(second)}")
    difference = first_of_mean(first.mean(0)[None])[0] - second_of_mean(second.mean(0)[None])[0]
    drawn = _resampled(first, first_of_mean, seed) - _resampled(second, second_of_mean, seed)
    return (float(difference), *_percentiles(drawn, level))


def _outcomes(score) -> tuple[np.ndarray, Callable]:
    """-> outcomes (N,...) as numbers, and the function of their mean."""
    outcomes, of_mean = (score.outcomes, score.of_mean) if isinstance(score, Score) else (score, itself)
    if outcomes is None:
        raise ValueError("this score did not keep what each picture contributed: make the BoxSweep with keep=True")
    outcomes = torch.as_tensor(outcomes).detach().cpu().numpy().astype(float)
    if not outcomes.size or (of_mean is itself and outcomes.ndim != 1):
        raise ValueError(f"hits must be (N,), one for each picture, got {outcomes.shape}")
    return outcomes, of_mean


def _resampled(outcomes: np.ndarray, of_mean: Callable, seed: int, draws: int = 2000, at_once: int = 50) -> np.ndarray:
    """-> (draws,): the score of each bootstrap sample."""
    rng, n = np.random.default_rng(seed), len(outcomes)
    values = []
    for _ in range(draws // at_once):
        # How often each picture is drawn, as a weight, for `at_once` samples in one product
        drawn = rng.integers(n, size=(at_once, n)) + n * np.arange(at_once)[:, None]
        weights = np.bincount(drawn.ravel(), minlength=at_once * n).reshape(at_once, n) / n
        values.append(of_mean((weights @ outcomes.reshape(n, -1)).reshape(at_once, *outcomes.shape[1:])))
    return np.concatenate(values)


def _percentiles(values: np.ndarray, level: float) -> tuple[float, float]:
    if not 0 < level < 1:
        raise ValueError(f"level is a part of 1, such as 0.95, got {level}")
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
