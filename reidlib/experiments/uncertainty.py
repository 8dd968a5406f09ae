"""How many seeds does a mean difference take, and what do many comparisons do to a single one?

:func:`required_seeds` looks at the seeds by themselves; the spread of all cells of a grid is :func:`pooled`, the best
of many that are equal :func:`expected_best`, and what becomes of the best with another seed :func:`best_of`. How sure a
difference is says :mod:`reidlib.experiments.evidence`; half a width here is one for the bars of figures.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import integrate, stats

from reidlib.experiments.evidence import CONFIDENCE

_TAIL = (1 - CONFIDENCE) / 2


def half_width(values: Sequence[float]) -> float:
    """Half the width of the 95 % interval of the mean (Student's t); NaN for a single value."""
    number = len(values)
    if number < 2:
        return math.nan
    return float(stats.t.ppf(0.975, number - 1) * np.std(values, ddof=1) / np.sqrt(number))


@dataclass(frozen=True)
class RequiredSeeds:
    """How many seeds are needed for the half-width of a Student-t interval that was asked for.

    ``number`` takes the standard deviation of the differences to be the measured one, ``deviation``; ``low`` and
    ``high`` take it to be at the ends of its own interval (chi-square), which is wide when there are few ``pairs``.
    """

    number: int
    low: int
    high: int
    deviation: float
    pairs: int

    def __str__(self) -> str:
        return f"about {self.number} seeds ({self.low} to {self.high}, as judged by {self.pairs})"


def required_seeds(differences: Iterable[float], half_width: float = 0.01) -> RequiredSeeds:
    """The number of paired seeds for which a mean difference is known to ± ``half_width``, on these identities.

    The smallest n with t(n − 1) · s / √n ≤ ``half_width``, where s is the standard deviation of the differences and t
    the 97.5 % quantile of Student's distribution. Both assume that differences are normally distributed over seeds.

    Args:
        differences: of one metric, one for each pair of runs, at least two, as fractions.
        half_width: as a fraction: 0.01 is ±1 mAP.

    Raises:
        ValueError: fewer than two differences, one that is not finite, or a ``half_width`` that is not above 0.
    """
    values = np.asarray(list(differences), dtype=float)
    if values.ndim != 1 or values.size < 2 or not np.isfinite(values).all():
        raise ValueError(f"two finite differences or more are needed, one for each pair of runs, not {values.tolist()}")
    if not half_width > 0:
        raise ValueError(f"half_width must be above 0, not {half_width}")
    deviation, freedom = float(values.std(ddof=1)), values.size - 1
    ends = [deviation * math.sqrt(freedom / stats.chi2.ppf(share, freedom)) for share in (1 - _TAIL, _TAIL)]
    low, number, high = (_seeds_for(each, half_width) for each in (ends[0], deviation, ends[1]))
    return RequiredSeeds(number, low, high, deviation, values.size)


def _seeds_for(deviation: float, half_width: float) -> int:
    number = max(2, math.ceil((stats.norm.isf(_TAIL) * deviation / half_width) ** 2))  # Student's quantile is larger
    while stats.t.isf(_TAIL, number - 1) * deviation / math.sqrt(number) > half_width:
        number += 1
    return number


@dataclass(frozen=True)
class Spread:
    """Standard deviation of a run from what its kind and its seed have it expected, and its degrees of freedom."""

    deviation: float
    freedom: int

    def half_width(self, number: int) -> float:
        """Half of the 95 % interval (Student's t) of a mean of so many runs; times √2, of a difference of two."""
        return float(stats.t.isf(_TAIL, self.freedom) * self.deviation / math.sqrt(number))


def pooled(tables: Iterable[pd.DataFrame]) -> Spread:
    """The spread of runs that is left when what a kind of run and what a seed bring to all have been taken out.

    With two seeds nothing can be said about the spread of one kind; that of a dozen can be judged together, if it is
    about the same for all. Seeds are blocks: runs with the same seed begin with the same weights and see the same
    batches, so that a good seed is good to most, which does not matter where kinds are compared. The root of the mean
    square of the residuals of score = kind + seed, which have (kinds − 1) · (seeds − 1) degrees of freedom
    (randomised blocks: Fisher, The Design of Experiments, 1935).

    Args:
        tables: of scores, each with a row for each kind and a column for each seed, none missing; those with one kind
            or one seed add nothing.

    Raises:
        ValueError: a score is missing, or no table has two rows and two columns.
    """
    squares, freedom = 0.0, 0
    for table in tables:
        values = table.to_numpy(float)
        if not np.isfinite(values).all():
            raise ValueError(f"all kinds of run must have the same seeds:\n{table}")
        if min(values.shape) > 1:
            residuals = values - values.mean(0) - values.mean(1, keepdims=True) + values.mean()
            squares += float((residuals**2).sum())
            freedom += (values.shape[0] - 1) * (values.shape[1] - 1)
    if not freedom:
        raise ValueError("no two kinds of run were made with the same two seeds: nothing tells the spread over seeds")
    return Spread(math.sqrt(squares / freedom), freedom)


def expected_best(number: int) -> float:
    """By how many standard deviations the best of ``number`` equal runs exceeds their mean, on average (normal noise).

    The expectation of the largest of so many independent standard normal variables, by numerical integration.
    """
    if number < 1:
        raise ValueError(f"the best of {number} runs is none")
    value, _ = integrate.quad(lambda x: number * x * stats.norm.pdf(x) * stats.norm.cdf(x) ** (number - 1), -12, 12)
    return float(value)


def best_of(scores: pd.DataFrame) -> pd.DataFrame:
    """Choose the best kind of run by one seed; what does it score with that seed, and what with the others?

    Args:
        scores: a row for each kind, a column for each seed, none missing; at least two of both.

    Returns:
        A row for each column that chooses (``seed``): the kind it prefers (``chosen``, the first of equals), its score
        there (``then``), and the mean of its scores in the other columns (``again``). Both are less the mean of all
        kinds in the same column, so that a seed that is good to all is no gain.

    Raises:
        ValueError: a score is missing, or there is nothing to choose from or to try again with.
    """
    if min(scores.shape) < 2 or scores.isna().any(axis=None):
        raise ValueError(f"two kinds of run or more are needed, all with the same two seeds or more, not {scores}")
    gains = scores - scores.mean()
    chosen = scores.idxmax()
    rows = [
        (seed, kind, gains.loc[kind, seed], gains.loc[kind].drop(seed).mean())
        for seed, kind in zip(scores.columns, chosen, strict=True)
    ]
    return pd.DataFrame(rows, columns=["seed", "chosen", "then", "again"])
