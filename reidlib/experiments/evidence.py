"""One rule of evidence: how sure is a mean difference between paired runs, over other runs and other people?

Every interval behind a word in this library, of scores and of measures, is made here:

* :func:`crossed`, where all runs are asked about the same identities: the *pigeonhole bootstrap* (Owen, Annals of
  Applied Statistics 2007) draws runs and identities, each on its own, with repetition. Its draws have the right shape
  and the wrong width: they count what is left over between a run and an identity three times, and what runs bring by
  (R − 1) / R. So they are stretched about the difference until their deviation is the unbiased standard error of two
  crossed random factors (Searle, Casella & McCulloch, Variance Components, 1992), and their tails are those of
  Student's distribution with Satterthwaite's degrees of freedom (Biometrics Bulletin 1946).
* :func:`resampled`, where every run has a random split of its own: the corrected interval of Nadeau & Bengio (Machine
  Learning 2003). Splits share people, so their scores are alike: the variance of the mean is s² (1 / n + test / train).

**Why one, and why stretched.** Student's interval over runs alone is silent on other people; it holds the truth in 77
to 95 of 100 cases, as runs or people differ more. The plain bootstrap holds it in 83 to 99.7. The stretched one stays
between 93 and 98 with five runs, for all shares of variance that our comparisons show (a test, and a figure of notebook
07). Reconstructed (ours): the stretching. Two runs decide nothing, whatever their interval: :data:`FEWEST`.

Slow, readable versions to compare with are in :mod:`reidlib.experiments.reference`.
"""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
FEWEST = 3  # runs: fewer decide nothing
SAMPLES = 10_000
OVERLAP = {"pku-sketch": 50 / 150, "regdb": 206 / 206}
"""Test ÷ training identities of data sets with random splits, by their protocols; 1, a split in halves, of others."""


@dataclass(frozen=True)
class Evidence:
    """A difference and how sure it is.

    Attributes:
        difference, low, high: with the ends of its 95 % interval; NaN where they are open.
        runs: how many (pairs of) runs.
        identities: how many people they were asked about.
        error: standard error of the difference. ``freedom``: its degrees of freedom.
        kind: ``"runs × identities"`` or ``"overlapping splits"``.
    """

    difference: float
    low: float
    high: float
    runs: int
    identities: int
    error: float
    freedom: float
    kind: str

    def beyond(self, value: float) -> float:
        """Two-sided p-value of the true difference being ``value`` (Student's t); 1 where that is open.

        With no error at all: 0, or 1 if the difference is that value.
        """
        if not math.isfinite(self.error):
            return 1.0
        if self.error < _ROUNDING:
            return float(abs(self.difference - value) < _ROUNDING)
        return float(2 * stats.t.sf(abs(self.difference - value) / self.error, self.freedom))


@dataclass(frozen=True)
class Components:
    """What a difference varies with: variances by run, by identity, and by what is left between both.

    An estimate may be negative: that is how a variance of about nothing shows.
    """

    run: float
    identity: float
    rest: float
    identities: int

    def variance(self, runs: int) -> float:
        """Of a mean over so many runs on as many identities; at least half of what the rest alone brings."""
        total = self.run / runs + self.identity / self.identities + self.rest / (runs * self.identities)
        return max(total, self.rest / (2 * runs * self.identities))

    def freedom(self, runs: int) -> float:
        """Satterthwaite's degrees of freedom of :meth:`variance`, at least those of the runs alone."""
        people, rest = self.identities, self.rest
        if runs == 1:
            return people - 1.0
        of_runs, of_people = people * self.run + rest, runs * self.identity + rest  # mean squares
        spread = of_runs**2 / (runs - 1) + of_people**2 / (people - 1) + rest**2 / ((runs - 1) * (people - 1))
        return max(runs - 1.0, (of_runs + of_people - rest) ** 2 / spread) if spread else runs - 1.0


def crossed(
    scores: np.ndarray,
    weights: np.ndarray,
    factors: Sequence[float] = (1.0,),
    shares_of: Sequence[int | None] = (None,),
    *,
    samples: int = SAMPLES,
) -> Evidence:
    """The evidence of a contrast of scores, where every run has a score of every identity.

    Of a single run the interval is one over identities alone.

    Args:
        scores: (K, R, I): of K models or numbers, in R runs, of I identities; of no account where the weight is 0.
        weights: (R, I), the share of identity i in the score of run r: rows sum to 1.
        factors: (K,) of the contrast: the sum of factor × mean score.
        shares_of: (K,) for each score the index of the one it is a share of, or ``None``: then the sum is one of
            factor × mean score ÷ that mean score.
        samples: draws; they have a generator of their own with a fixed seed: equal numbers give an equal interval.
    """
    scores = np.where(weights > 0, scores, 0.0)
    means = np.einsum("kri,ri->k", scores, weights) / len(weights)
    difference = float(_contrast(means[None], factors, shares_of)[0])
    shape = weights.shape
    if shape[1] < 2:
        return Evidence(difference, math.nan, math.nan, *shape, math.nan, math.nan, "runs × identities")
    parts = components(scores, weights, factors, shares_of)
    error, freedom = math.sqrt(parts.variance(shape[0])), parts.freedom(shape[0])
    draws = _contrast(pigeonhole(scores, weights, samples), factors, shares_of)
    width = draws.std()
    stretch = error / width * stats.t.isf(_TAIL, freedom) / stats.norm.isf(_TAIL) if width else 0.0
    low, high = difference + stretch * (np.quantile(draws, [_TAIL, 1 - _TAIL]) - difference)
    return Evidence(difference, float(low), float(high), *shape, error, freedom, "runs × identities")


def resampled(differences: Sequence[float], overlap: float, identities: int) -> Evidence:
    """The evidence of differences from n random splits of the same people.

    Args:
        differences: one for each split.
        overlap: test ÷ training identities of a split; 0 where runs share nothing, which gives Student's interval.
        identities: how many people were tested on in all splits together.
    """
    values = np.asarray(differences, float)
    number, mean = len(values), float(values.mean())
    if number < 2:
        return Evidence(mean, math.nan, math.nan, number, identities, math.nan, math.nan, "overlapping splits")
    error = float(values.std(ddof=1) * math.sqrt(1 / number + overlap))
    half = float(stats.t.isf(_TAIL, number - 1)) * error
    return Evidence(mean, mean - half, mean + half, number, identities, error, number - 1, "overlapping splits")


def components(
    scores: np.ndarray,
    weights: np.ndarray,
    factors: Sequence[float] = (1.0,),
    shares_of: Sequence[int | None] = (None,),
) -> Components:
    """Unbiased variances of two crossed random factors (analysis of variance); arguments as of :func:`crossed`.

    Shares enter by their linear part, weights as part of what an identity contributes. Of a single run all is of the
    identities, of which there must be two.
    """
    scores = np.where(weights > 0, scores, 0.0)
    means = np.einsum("kri,ri->k", scores, weights) / len(weights)
    runs, people = weights.shape
    centred = scores - means[:, None, None]
    cells = people * weights * np.einsum("k,kri->ri", _slopes(means, factors, shares_of), centred)
    if runs == 1:
        return Components(0.0, float(cells.var(ddof=1)), 0.0, people)
    by_run, by_person, rest = cells.mean(1), cells.mean(0), cells - cells.mean(1, keepdims=True) - cells.mean(0)
    rest = float(np.square(rest + cells.mean()).sum()) / ((runs - 1) * (people - 1))
    of_runs, of_people = people * by_run.var(ddof=1), runs * by_person.var(ddof=1)
    return Components((of_runs - rest) / people, (of_people - rest) / runs, rest, people)


def pigeonhole(scores: np.ndarray, weights: np.ndarray, samples: int = SAMPLES) -> np.ndarray:
    """Mean scores (samples, K) of runs and identities drawn with repetition, each on its own."""
    return bootstrap(scores, weights, *_counts(*weights.shape, samples))


@functools.lru_cache(maxsize=8)
def _counts(runs: int, people: int, samples: int) -> tuple[np.ndarray, np.ndarray]:
    """How often each run (samples, R) and each identity (samples, I) was drawn; by a generator of its own."""
    generator = np.random.default_rng(0)
    return tuple(generator.multinomial(size, np.full(size, 1 / size), samples) for size in (runs, people))


def bootstrap(scores: np.ndarray, weights: np.ndarray, runs: np.ndarray, people: np.ndarray) -> np.ndarray:
    """Mean scores (B, K) where each run and each identity counts as often as ``runs`` (B, R) and ``people`` (B, I) say.

    Other arguments as of :func:`crossed`.
    """
    scores = np.where(weights > 0, scores, 0.0)
    shares = np.einsum("br,br->b", runs, people @ weights.T)
    totals = [np.einsum("br,br->b", runs, people @ (weights * each).T) for each in scores]
    return np.stack(totals, axis=1) / shares[:, None]


def holm(values: Sequence[float]) -> np.ndarray:
    """p-values adjusted for a family of tests (Holm, Scandinavian Journal of Statistics 1979), in their order."""
    values = np.asarray(values, float)
    order = np.argsort(values, kind="stable")
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1)))
    return adjusted


def power(effect: float, error: float, freedom: float) -> float:
    """How probably an interval excludes 0 on the right side, if the true difference is ``effect`` (noncentral t)."""
    if error < _ROUNDING:
        return float(effect != 0)
    return float(stats.nct.sf(stats.t.isf(_TAIL, freedom), freedom, abs(effect) / error))


_TAIL = (1 - CONFIDENCE) / 2
_ROUNDING = 1e-12


def _contrast(means: np.ndarray, factors: Sequence[float], shares_of: Sequence[int | None]) -> np.ndarray:
    """(B, K) → (B,)."""
    terms = [
        factor * means[:, k] / (1 if whole is None else means[:, whole])
        for k, (factor, whole) in enumerate(zip(factors, shares_of, strict=True))
    ]
    return np.sum(terms, axis=0)


def _slopes(means: np.ndarray, factors: Sequence[float], shares_of: Sequence[int | None]) -> np.ndarray:
    """By how much the contrast changes with each mean (K,)."""
    found = np.zeros(len(means))
    for k, (factor, whole) in enumerate(zip(factors, shares_of, strict=True)):
        if whole is None:
            found[k] += factor
        else:
            found[k] += factor / means[whole]
            found[whole] -= factor * means[k] / means[whole] ** 2
    return found
