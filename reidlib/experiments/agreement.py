"""Do validation identities, the development twin and the test agree about which run is better?

What is chosen on one and reported on another is only as good as their agreement. `table` scores runs on each, and
`correlations` says how well their orders agree. The test is read where it is asked for, by nobody who still chooses.
"""

import math
from collections.abc import Iterable
from itertools import combinations

import numpy as np
import pandas as pd

from reidlib import data, evaluation, profiles
from reidlib.data import ReIDDataset
from reidlib.evaluation.protocols import Protocol
from reidlib.training import runs

PLACES = ("validation", "development", "test")
FEWEST = 4  # runs, for an interval
_Z = 1.959964  # of a normal distribution, 95 %


def table(
    trained: Iterable[runs.Run], *, protocol: Protocol | None = None, test: bool = False, metric: str = "mAP"
) -> pd.DataFrame:
    """Score runs on a twin or on its development twin; nothing is recorded.

    Args:
        trained: runs, each on a twin or a development twin that has the same training images.
        protocol: of the data set; default: :func:`reidlib.evaluation.protocols.get` of its name.
        test: read the test of the twin as well.
        metric: ``"mAP"`` or ``"rank-1"``.

    Returns:
        A row a run: ``method``, ``recipe`` (a digest, the same for all seeds), ``dataset``, ``profile``, ``seed``,
        ``validation`` (after the last epoch), ``development`` and ``test``, 0-1 or missing.

    Raises:
        ValueError: a run was trained on no twin, or its data set has no development twin.
    """
    opened: dict[tuple, ReIDDataset] = {}
    rows = []
    for run in trained:
        of = run.environment["dataset"]
        if not of["is_twin"]:
            raise ValueError(f"{run!r} was trained on real data, which has no development twin: choose by validation")
        rules = evaluation.protocols.get(of["name"]) if protocol is None else protocol
        base = profiles.of_twin(of["profile"]).name
        row = {"method": run.recipe.method, "dataset": of["name"], "profile": base, "seed": run.recipe.seed}
        last = run.validation[metric] if len(run.validation) else []
        row["validation"] = float(last.iloc[-1]) if len(last) else math.nan
        for place, twin in (("development", base + profiles.DEVELOPMENT), ("test", base)):
            row[place] = math.nan
            if place == "development" or test:
                key = of["name"], twin, of["split"]
                if key not in opened:
                    opened[key] = data.open(of["name"], twin=twin, split=of["split"])
                row[place] = float(evaluation.evaluate(run.model, opened[key], rules).mean[metric])
        rows.append({**row, "recipe": run.recipe.replace(seed=0).digest})
    return pd.DataFrame(rows, columns=["method", "recipe", "dataset", "profile", "seed", *PLACES])


def correlations(scores: pd.DataFrame) -> pd.DataFrame:
    """How well two places agree about the order of runs: Spearman's rank correlation, −1 to 1.

    Args:
        scores: as of :func:`table`; any table with at least two of its last three columns.

    Returns:
        A row for every two places with a score: ``first``, ``second``, ``runs`` that have both, ``correlation``,
        ``low`` and ``high``: its 95 % interval (Bonett & Wright, Psychometrika 2000), missing for fewer than four runs
        and where all scores of a place are equal.
    """
    rows = []
    for first, second in combinations([place for place in PLACES if place in scores], 2):
        both = scores[[first, second]].dropna()
        if len(both):
            rows.append((first, second, len(both), *rank_correlation(both[first], both[second])))
    return pd.DataFrame(rows, columns=["first", "second", "runs", "correlation", "low", "high"])


def rank_correlation(first: pd.Series, second: pd.Series) -> tuple[float, float, float]:
    """Spearman's rank correlation of paired scores, none missing, and its 95 % interval, as of :func:`correlations`."""
    correlation = _spearman(first.to_numpy(), second.to_numpy())
    return correlation, *_interval(correlation, len(first))


def _spearman(first: np.ndarray, second: np.ndarray) -> float:
    a, b = (pd.Series(values).rank().to_numpy() for values in (first, second))
    a, b = a - a.mean(), b - b.mean()
    scale = math.sqrt((a * a).sum() * (b * b).sum())
    return float((a * b).sum() / scale) if scale else math.nan


def _interval(correlation: float, count: int) -> tuple[float, float]:
    if count < FEWEST or math.isnan(correlation):
        return math.nan, math.nan
    centre = math.atanh(max(-0.999999, min(0.999999, correlation)))
    half = _Z * math.sqrt((1 + correlation**2 / 2) / (count - 3))
    return math.tanh(centre - half), math.tanh(centre + half)
