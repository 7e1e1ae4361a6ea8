"""A score and its spread: every score is a function of a mean over pictures, so every score can be resampled."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

_AT_ONCE = 50  # resamples that are weighed in one matrix product


def itself(means: np.ndarray) -> np.ndarray:
    """(B,) -> (B,): the score is the mean."""
    return means


def error(means: np.ndarray) -> np.ndarray:
    """(B,) -> (B,): the score is the part that was missed."""
    return 1 - means


class Score(float):
    """A number that remembers its pictures. It behaves as the float it is, in arithmetic, formatting and comparisons.

    value     the number, once more. Accuracies and errors are parts of 1, not per cent.
    hits      bool (N,): which pictures were right (for MaxBoxAccV2 (N,D), one column per IoU), at the threshold that
              gives `value`; None where a score has no right and wrong pictures, or where they were not kept.
    outcomes  (N,...): what each picture contributed; the score is `of_mean` of their mean. None if they were not kept.
    What else a score has (threshold, curve …) is said where it is made.
    """

    def __new__(cls, value: float, *_, **__):
        return super().__new__(cls, value)

    def __init__(self, value: float, outcomes=None, of_mean: Callable = itself, hits=None, **more):
        self.outcomes, self.of_mean = outcomes, of_mean
        self.hits = hits
        self.__dict__.update(more)

    @property
    def value(self) -> float:
        return float(self)

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
        """Add the pictures of another accumulator, from another process perhaps. Raises ValueError when it measures
        something else."""
        if type(self) is not type(other) or (self.keep, self.settings) != (other.keep, other.settings):
            raise ValueError(f"cannot merge {other!r} into {self!r}: they measure different things")
        self.count += other.count
        self.total = self.total + other.total
        self._kept = self._kept + other._kept
        return self

    def __repr__(self) -> str:
        settings = ", ".join(f"{k}={v!r}" for k, v in self.settings.items())
        return f"{type(self).__name__}({settings}): {self.count} pictures"

    def _add(self, outcomes: np.ndarray):
        """outcomes (n,...), bool or whole numbers: those of n pictures."""
        if len(outcomes):
            self.count += len(outcomes)
            self.total = self.total + outcomes.sum(0, dtype=np.int64)
            if self.keep:
                self._kept.append(outcomes)
        return self

    def _score(self, **more) -> Score:
        value = self.of_mean(self._mean()[None])[0]
        outcomes = torch.from_numpy(np.concatenate(self._kept)) if self.keep else None
        return Score(value, outcomes, self.of_mean, **more)

    def _mean(self) -> np.ndarray:
        if not self.count:
            raise ValueError("no pictures to score")
        return np.asarray(self.total / self.count)


class Tally(Accumulator):
    """Counts right and wrong pictures. update(hits), with hits bool (n,), or the Score of a batch that has `.hits`;
    compute() -> Score: the part that was right, or with errors=True the part that was wrong."""

    def __init__(self, errors: bool = False, keep: bool = False):
        super().__init__(keep, errors=errors)
        self.of_mean = error if errors else itself

    def update(self, hits) -> Tally:
        return self._add(np.asarray(torch.as_tensor(hits.hits if isinstance(hits, Score) else hits).cpu(), dtype=bool))

    def compute(self) -> Score:
        score = self._score()
        score.hits = score.outcomes
        return score


def interval(score, level: float = 0.95, seed: int = 0) -> tuple[float, float]:
    """Percentile bootstrap interval (low, high): what the score would be on other pictures of the same kind.

    score: a Score that kept its outcomes, or hits (N,). Pictures are drawn with replacement 2000 times; a score that
    chooses its threshold (MaxBoxAcc) chooses anew in every draw. Scores of 0 or 1 get an interval without width: with
    few pictures that is too good to be true. Raises ValueError without pictures or for a level outside 0 to 1.
    """
    return _between(_resampled(*_parts(score), seed), level)


def paired_difference(a, b, level: float = 0.95, seed: int = 0) -> tuple[float, float, float]:
    """How much higher a is than b on the same pictures: (a - b, low, high), a percentile bootstrap interval.

    a, b: Scores or hits (N,) of the *same* pictures in the same order. Each draw takes the same pictures for both, so
    what is hard for both cancels. Raises ValueError when their numbers of pictures differ.
    """
    (first, of_first), (second, of_second) = _parts(a), _parts(b)
    if len(first) != len(second):
        raise ValueError(f"a paired comparison needs the same pictures: {len(first)} and {len(second)}")
    here = [of(np.mean(x, 0)[None])[0] for x, of in ((first, of_first), (second, of_second))]
    drawn = _resampled(first, of_first, seed) - _resampled(second, of_second, seed)
    return (float(here[0] - here[1]), *_between(drawn, level))


def _parts(score) -> tuple[np.ndarray, Callable]:
    outcomes, of_mean = (score.outcomes, score.of_mean) if isinstance(score, Score) else (score, itself)
    if outcomes is None:
        raise ValueError("this score did not keep what each picture contributed: accumulate with keep=True")
    outcomes = torch.as_tensor(outcomes).detach().cpu().numpy().astype(float)
    if not outcomes.ndim or not len(outcomes):
        raise ValueError("no pictures to draw from")
    if of_mean is itself and outcomes.ndim > 1:
        raise ValueError(f"hits must be (N,), got {outcomes.shape}")
    return outcomes, of_mean


def _resampled(outcomes: np.ndarray, of_mean: Callable, seed: int, draws: int = 2000) -> np.ndarray:
    rng, n = np.random.default_rng(seed), len(outcomes)
    values = []
    for _ in range(draws // _AT_ONCE):
        weights = np.stack([np.bincount(rng.integers(n, size=n), minlength=n) for _ in range(_AT_ONCE)]) / n
        values.append(of_mean((weights @ outcomes.reshape(n, -1)).reshape(_AT_ONCE, *outcomes.shape[1:])))
    return np.concatenate(values)


def _between(values: np.ndarray, level: float) -> tuple[float, float]:
    if not 0 < level < 1:
        raise ValueError(f"level is a part of 1, such as 0.95, got {level}")
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
