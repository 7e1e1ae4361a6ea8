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
    """A number that remembers its pictures; in arithmetic, formatting and comparisons it is the float it looks like.

    value     the number, once more. Accuracies and errors are parts of 1, not per cent.
    hits      bool (N,): which pictures were right, at the threshold that gives `value`; (N,D) where there are several
              IoUs, None where nothing is right or wrong or the outcomes were not kept.
    outcomes  (N,...): what each picture contributed; the score is `of_mean` of their mean. None if they were not kept.
    What else a score has (threshold, curve …) is said where it is made.
    """

    hits = None

    def __new__(cls, value: float, outcomes=None, of_mean: Callable = itself, **more):
        score = super().__new__(cls, value)
        vars(score).update(value=float(value), outcomes=outcomes, of_mean=of_mean, **more)
        return score

    def interval(self, level: float = 0.95, seed: int = 0) -> tuple[float, float]:
        """See `scores.interval`."""
        return interval(self, level, seed)


class Accumulator:
    """What all accumulators share. Memory does not grow with the pictures, unless keep=True asks for their outcomes.

    Counts are whole numbers, so parts merged in any order equal the whole exactly.
    """

    of_mean: Callable = staticmethod(itself)

    def __init__(self, keep: bool = False, **settings):
        self.keep, self.settings = keep, settings
        self.count, self.total, self._kept = 0, 0, []

    def merge(self, other: Accumulator):
        """Add the pictures of another one, from another process perhaps. Raises ValueError if it measures otherwise."""
        mine, theirs = ((type(x).__name__, x.keep, x.settings) for x in (self, other))
        if mine != theirs:
            raise ValueError(f"cannot merge {theirs} into {mine}: they do not measure the same")
        self.count, self.total = self.count + other.count, self.total + other.total
        self._kept = self._kept + other._kept
        return self

    def _add(self, outcomes: np.ndarray):
        """outcomes (n,...), bool or whole numbers: those of n pictures."""
        if len(outcomes):
            self.count, self.total = self.count + len(outcomes), self.total + outcomes.sum(0, dtype=np.int64)
            if self.keep:
                self._kept.append(outcomes)
        return self

    def _mean(self) -> np.ndarray:
        if not self.count:
            raise ValueError("no pictures to score")
        return np.asarray(self.total / self.count)

    def _score(self, **more) -> Score:
        value = self.of_mean(self._mean()[None])[0]
        outcomes = torch.from_numpy(np.concatenate(self._kept)) if self.keep else None
        return Score(value, outcomes, self.of_mean, **more)


class Tally(Accumulator):
    """Right and wrong pictures. update(hits): bool (n,), or the Score of a batch that has .hits; compute() -> Score:
    the part that was right, with errors=True the part that was wrong."""

    def __init__(self, errors: bool = False, keep: bool = False):
        super().__init__(keep, errors=errors)
        self.of_mean = error if errors else itself

    def update(self, hits) -> Tally:
        hits = torch.as_tensor(hits.hits if isinstance(hits, Score) else hits)
        return self._add(hits.cpu().numpy().astype(bool))

    def compute(self) -> Score:
        score = self._score()
        score.hits = score.outcomes
        return score


def interval(score, level: float = 0.95, seed: int = 0) -> tuple[float, float]:
    """Percentile bootstrap interval (low, high): what the score might be on other pictures of the same kind.

    score: a Score that kept its outcomes, or hits (N,). Pictures are drawn with replacement, 2000 times; a score that
    chooses its threshold (MaxBoxAcc) chooses anew in every draw. Scores of 0 or 1 get an interval without width: with
    few pictures that is too good to be true. Raises ValueError without pictures or for a level outside 0 to 1.
    """
    return _between(_resampled(*_parts(score), seed), level)


def paired_difference(a, b, level: float = 0.95, seed: int = 0) -> tuple[float, float, float]:
    """How much higher a is than b on the same pictures: (a - b, low, high), a percentile bootstrap interval.

    a, b: Scores or hits (N,) of the *same* pictures in the same order. Each draw takes the same pictures for both, so
    what is hard for both cancels. Raises ValueError when their numbers of pictures differ.
    """
    parts = _parts(a), _parts(b)
    sizes = [len(outcomes) for outcomes, _ in parts]
    if sizes[0] != sizes[1]:
        raise ValueError(f"a paired comparison needs the same pictures: {sizes[0]} and {sizes[1]}")
    first, second = (of_mean(outcomes.mean(0)[None])[0] for outcomes, of_mean in parts)
    drawn = _resampled(*parts[0], seed) - _resampled(*parts[1], seed)
    return (float(first - second), *_between(drawn, level))


def _parts(score) -> tuple[np.ndarray, Callable]:
    outcomes, of_mean = (score.outcomes, score.of_mean) if isinstance(score, Score) else (score, itself)
    if outcomes is None:
        raise ValueError("this score did not keep what each picture contributed: accumulate with keep=True")
    outcomes = torch.as_tensor(outcomes).detach().cpu().numpy().astype(float)
    if not outcomes.size or (of_mean is itself and outcomes.ndim != 1):
        raise ValueError(f"hits must be (N,), one a picture, got {outcomes.shape}")
    return outcomes, of_mean


def _resampled(outcomes: np.ndarray, of_mean: Callable, seed: int, draws: int = 2000, at_once: int = 50) -> np.ndarray:
    rng, n = np.random.default_rng(seed), len(outcomes)
    values = []
    for _ in range(draws // at_once):
        drawn = rng.integers(n, size=(at_once, n)) + n * np.arange(at_once)[:, None]
        weights = np.bincount(drawn.ravel(), minlength=at_once * n).reshape(at_once, n) / n
        values.append(of_mean((weights @ outcomes.reshape(n, -1)).reshape(at_once, *outcomes.shape[1:])))
    return np.concatenate(values)


def _between(values: np.ndarray, level: float) -> tuple[float, float]:
    if not 0 < level < 1:
        raise ValueError(f"level is a part of 1, such as 0.95, got {level}")
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
