"""Is the one rule of evidence worth its 95 %? By simulation, for the shares of variance seen, and on the null control.

:func:`shares_seen` says what the differences of the registered comparisons vary with; :func:`coverage` how often three
kinds of interval hold the truth of simulated tables with such shares; :func:`alarms` which words the rule gives all
subsets of runs of the null control, whose difference is nothing but noise.
"""

import itertools
import math
from collections.abc import Iterable

import numpy as np
import pandas as pd
from scipy import stats

from reidlib.experiments import evidence, power
from reidlib.experiments.claims import parts
from reidlib.experiments.evidence import FEWEST
from reidlib.experiments.judge import Rows, by_identity, by_run
from reidlib.experiments.part import METRICS

KINDS = ("Student over runs", "plain bootstrap", "one rule")
SHARES = ("run", "identity", "rest")


def shares_seen(rows: Rows | None = None, fewest: int = 5) -> pd.DataFrame:
    """Of every part that is judged by ranks on one split, with so many runs: what the variance of its mean is made of.

    Returns:
        ``part``, ``runs``, ``identities`` and ``SHARES``, which sum to 1; an estimate below 0 counts as 0.
    """
    rows, lines = Rows() if rows is None else rows, []
    for part in parts().values():
        if part.measure in METRICS and not part.runs.splits and len(by_run(part, part.terms, rows)) >= fewest:
            given = by_identity(part, rows)
            found, (runs, people) = evidence.components(*given), given[1].shape
            sizes = found.run / runs, found.identity / people, found.rest / (runs * people)
            sizes = np.maximum(sizes, 0)
            if sizes.sum() > 0:
                lines.append((part.name, runs, people, *(sizes / sizes.sum())))
    return pd.DataFrame(lines, columns=["part", "runs", "identities", *SHARES])


def coverage(
    shares: Iterable[tuple[float, float, float]],
    *,
    runs: int = 5,
    identities: int = 96,
    tables: int = 1000,
    samples: int = 300,
    seed: int = 0,
) -> pd.DataFrame:
    """How often intervals hold the truth of tables (runs × identities) whose numbers vary by run, identity and both.

    Args:
        shares: of the variance of the mean, as ``SHARES``.
        tables: simulated for each; the standard error of a share of 0.95 is 0.7 points with 1000.
        samples: draws of each bootstrap.

    Returns:
        A row for each: ``SHARES``, and for each of ``KINDS`` the share of tables whose interval holds the truth.
    """
    generator, weights, lines = np.random.default_rng(seed), np.full((runs, identities), 1 / identities), []
    shapes = ((runs, 1), (1, identities), (runs, identities))
    for share in shares:
        scales = [math.sqrt(part * math.prod(shape)) for part, shape in zip(share, shapes, strict=True)]
        held = np.zeros(len(KINDS))
        for _ in range(tables):
            table = sum(scale * generator.normal(size=shape) for scale, shape in zip(scales, shapes, strict=True))
            found = evidence.crossed(table[None], weights, samples=samples)
            drawn = np.quantile(evidence.pigeonhole(table[None], weights, samples), (0.025, 0.975))
            means = table.mean(axis=1)
            half = stats.t.ppf(0.975, runs - 1) * means.std(ddof=1) / math.sqrt(runs)
            ends = (means.mean() - half, means.mean() + half), drawn, (found.low, found.high)
            held += [low <= 0 <= high for low, high in ends]
        lines.append((*share, *(held / tables)))
    return pd.DataFrame(lines, columns=[*SHARES, *KINDS])


def alarms(rows: Rows | None = None, dataset: str = "sysu") -> pd.DataFrame:
    """The null control's subsets: which of them the rule would call a difference.

    Returns:
        A row for each profile, metric and subset of its runs: ``profile``, ``metric``, ``runs`` and ``decided``:
        whether the interval excludes 0 and the runs are enough to decide.
    """
    rows, lines = Rows() if rows is None else rows, []
    pairs = power.null_pairs(rows, dataset)
    for (profile, *_), group in pairs.groupby(["profile", "protocol", "reranking", "code", "rest"], sort=False):
        for metric in METRICS if len(group) >= FEWEST else ():
            differences, weights = power.null_differences(rows, group, metric)
            for number in range(2, len(group) + 1):
                for chosen in map(list, itertools.combinations(range(len(group)), number)):
                    found = evidence.crossed(differences[None, chosen], weights[chosen])
                    decided = number >= FEWEST and not found.low <= 0 <= found.high
                    lines.append((profile, metric, number, decided))
    return pd.DataFrame(lines, columns=["profile", "metric", "runs", "decided"])
