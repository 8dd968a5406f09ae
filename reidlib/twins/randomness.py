"""Random draws that are the same on every machine and every numpy release.

Only ``Generator.random`` (uniform doubles, a fixed stream by numpy's policy) is used, followed by plain arithmetic;
numpy's ``normal`` or ``choice`` may change their algorithm between releases.
"""

from collections.abc import Iterable, Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")


def generator(*key: int) -> np.random.Generator:
    """numpy's generator named by integers."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(key)))


def limited(value: float, low: float, high: float) -> float:
    """``value``, or the limit that it exceeds."""
    return min(max(value, low), high)


def shuffled(numbers: Iterable[int], *key: int) -> list[int]:
    """Numbers in a random order named by ``key``; each draws its own place, so that further ones change little."""
    return sorted(numbers, key=lambda number: Draw(*key, number).uniform())


class Draw:
    """A stream of random numbers named by integers, for example ``Draw(SALT, seed, pid)``."""

    def __init__(self, *key: int):
        self._uniform = generator(*key).random

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        return low + (high - low) * float(self._uniform())

    def chance(self, probability: float) -> bool:
        return self.uniform() < probability

    def bell(self, mean: float, deviation: float) -> float:
        """A bell-shaped number within three standard deviations: the scaled sum of three uniform ones."""
        return mean + 2.0 * deviation * (self.uniform() + self.uniform() + self.uniform() - 1.5)

    def integer(self, count: int) -> int:
        """One of ``0 … count - 1``."""
        return min(int(self.uniform() * count), count - 1)

    def choice(self, options: Sequence[T], weights: Sequence[float] | None = None) -> T:
        if weights is None:
            return options[self.integer(len(options))]
        threshold, total = self.uniform(0.0, sum(weights)), 0.0
        for option, weight in zip(options, weights, strict=True):
            total += weight
            if threshold < total:
                return option
        return options[-1]
