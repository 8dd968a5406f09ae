"""The plan of runs: what is run in which order, how many runs that is, and how long they take.

``table()`` → a line for each study of the plan. Tier 1 is what registered claims, ladders and the comparisons need;
tier 2 and 3 follow while there is time. Runs that several studies share are counted once, in the first of them.
"""

import math
from typing import NamedTuple

import pandas as pd

from reidlib import methods
from reidlib.data import registry
from reidlib.experiments import ledger, trials
from reidlib.experiments.claims import parts
from reidlib.experiments.part import Runs
from reidlib.experiments.planned import by_method, control
from reidlib.methods import Recipe, sizes

LATER = ("market-sketch-1k", "shoe", "chair", "cufsf")
"""Data sets whose comparisons are made in tier 2, though claims rest on them."""


class Batch(NamedTuple):
    """A study of the plan, and its tier."""

    tier: int
    runs: Runs


def batches() -> tuple[Batch, ...]:
    """Every study of the plan, in the order in which they are run."""
    found = [Batch(2 if of.dataset in LATER and of.profile == "cpu" else 1, of) for of in _of_claims()]
    null = control()
    found.append(Batch(1, Runs(null.study, null.dataset, null.profile, len(null.seeds))))
    for plans in by_method().values():
        of = [(1, plans.ladder)] if plans.ladder else []
        of += [(2, curve) for curve in plans.curves] + ([(3, plans.map)] if plans.map else [])
        found += [Batch(tier, Runs(p.study, p.dataset, p.profile, len(p.seeds), len(p.splits))) for tier, p in of]
    ours = methods.registered(controls=False).values()
    found += [
        Batch(2, Runs(method.comparison, dataset, "cpu", seeds, splits))
        for dataset, seeds, splits in (("regdb", 1, 3), ("llcm", 3, 0))
        for method in ours
        if method.comparison and dataset in method.recipes
    ]
    found += [
        Batch(3, Runs(method.lengths, profile=profile, seeds=3))
        for profile in ("screen", "cpu")
        for method in ours
        if method.lengths
    ]
    unique = {batch.runs: batch for batch in reversed(found)}
    return tuple(sorted((batch for batch in found if unique[batch.runs] is batch), key=lambda batch: batch.tier))


def table() -> pd.DataFrame:
    """A line for each study of the plan, in its order.

    Returns:
        ``tier``, ``study``, ``dataset``, ``profile``, ``seeds``, ``splits``, ``runs`` (that no line above has),
        ``missing`` (of them in the records), ``hours_planned`` (on one core; NaN where no run of the kind was
        measured), ``hours`` (of those that are missing), and ``command``.
    """
    rows = ledger.table(error=None, processes=1)
    there = set(zip(rows["recipe"], rows["split"].fillna(0).astype(int), strict=True))
    seconds, seen, lines = _seconds(), set(), []
    for tier, of in batches():
        new = [run for run in _digests(of) if run not in seen]
        seen.update(new)
        missing = [run for run in new if run not in there]
        recipes = {digest: recipe for recipe in of.variants.values() for digest in _seeds(recipe, of)}
        hours, planned = (
            sum(_expected(recipes[digest], of.dataset, seconds) for digest, _ in several) / 3600
            for several in (missing, new)
        )
        place = tier, of.study, of.dataset, of.profile, of.seeds, of.splits
        lines.append((*place, len(new), len(missing), planned, hours, of.command))
    columns = ["tier", "study", "dataset", "profile", "seeds", "splits", "runs", "missing"]
    return pd.DataFrame(lines, columns=[*columns, "hours_planned", "hours", "command"])


def _of_claims() -> tuple[Runs, ...]:
    return tuple(dict.fromkeys(part.runs for part in parts().values()))


def _seeds(recipe: Recipe, of: Runs) -> list[str]:
    return [recipe.replace(seed=seed).digest for seed in range(of.seeds)]


def _digests(of: Runs) -> list[tuple[str, int]]:
    """(Recipe, split) of every run; 0 where there is a single split."""
    splits = range(1, of.splits + 1) if of.splits else [0]
    found = [(digest, split) for recipe in of.variants.values() for digest in _seeds(recipe, of) for split in splits]
    return list(dict.fromkeys(found))


def _seconds() -> pd.Series:
    """The median time of an epoch of SYSU-MM01, by method and profile: of the trials, each beside other work.

    The other data sets have shorter epochs, and as many more of them that they are trained for as many steps
    (`reidlib.methods.sizes.LONGER`): what was measured on one of them holds for all.
    """
    found = trials.rows()
    found = found.assign(epoch=found["seconds"] / found["epochs"] * found["dataset"].map(_shorter))
    return found.groupby(["method", "profile"])["epoch"].median()


def _expected(recipe: Recipe, dataset: str, seconds: pd.Series) -> float:
    """Seconds of a run, NaN where none of its kind was measured."""
    if dataset not in registry.READERS:
        return math.nan
    return recipe.epochs / _shorter(dataset) * float(seconds.get((recipe.method, recipe.profile), math.nan))


def _shorter(dataset: str) -> float:
    """How many epochs of a data set are one of SYSU-MM01."""
    return sizes.LONGER.get(dataset, 1)
