"""Chance that is the same everywhere: one stream of raw 64-bit numbers per picture.

NumPy promises that the raw output of PCG64 never changes, and makes no such promise for `Generator`'s methods.
So everything random in the world is made here from raw output, with integer or exact binary arithmetic only.
"""

import zlib

import numpy as np


class Dice:
    """The random stream of one picture, keyed by whole numbers and words (seed, task, split, index).

    Two different keys share no numbers; the same key gives the same numbers on every machine and in every process.
    """

    def __init__(self, *key):
        words = [zlib.crc32(k.encode()) if isinstance(k, str) else int(k) for k in key]
        self._raw = np.random.PCG64(np.random.SeedSequence(words)).random_raw

    def unit(self) -> float:
        """A number in [0, 1)."""
        return (self._raw() >> 11) * 2.0**-53

    def between(self, low: float, high: float) -> float:
        """A number in [low, high)."""
        return low + (high - low) * self.unit()

    def around(self, span, spread: float) -> float:
        """A number near the middle of (low, high); spread 0: the middle itself, 1: any number of the span."""
        middle = (span[0] + span[1]) / 2
        return middle + self.between(span[0] - middle, span[1] - middle) * spread

    def integer(self, low: int, high: int) -> int:
        """A whole number from low to high, both included."""
        return low + self._raw() % (high - low + 1)

    def chance(self, p: float) -> bool:
        """True with probability p; always costs one number, so what follows does not depend on p."""
        return self.unit() < p

    def pick(self, items):
        """One of the items, all equally likely."""
        return items[self._raw() % len(items)]

    def sample(self, items, count: int) -> list:
        """`count` different items in random order (fewer if there are not enough)."""
        pool = list(items)
        return [pool.pop(self._raw() % len(pool)) for _ in range(min(count, len(pool)))]

    def bytes(self, *shape: int) -> np.ndarray:
        """uint8 array of this shape, every value 0–255 equally likely."""
        count = int(np.prod(shape))
        raw = self._raw(-(-count // 8)).astype("<u8")
        return raw.view(np.uint8)[:count].reshape(shape)
