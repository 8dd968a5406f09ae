"""Does the choice of the regime follow its rule? ``departures()`` → where not, in words, from the published trials.

The rule is that of `docs/regime.md`; what of it can be told from rows is told here: the number of trials, which of
them must have a second seed, and by how much another one is ahead of what was chosen. Which of equals is nearest to its
paper is no matter of rows.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from reidlib.experiments import trials

TRIALS = 12
TOLD_APART = 0.6
"""Points of mAP by which one trial must be ahead of another."""
REPEATED = 1.5
"""Points of mAP from the best, within which a trial is made with a second seed."""
_RATE = re.compile(r"rate \S+")


def departures(path: str | Path | None = None) -> list[str]:
    """Where the trials, or what was chosen of them, depart from the rule: a sentence for each; none without trials.

    Args:
        path: of a table of trials; default: the published one.
    """
    runs, found = trials.rows(path), []
    for (study, *_), rows in trials.table(path).groupby(level=["study", "dataset", "profile"], sort=False):
        if study.endswith(trials.SUFFIX):
            of = runs[runs["study"] == study].assign(run=lambda each: each["seed"] + each["split"].fillna(0) / 1000)
            scores = 100 * of.pivot_table(index="trial", columns="run", values="mAP", sort=False)
            chosen = [trial for (*_, trial), is_chosen in rows["chosen"].items() if is_chosen]
            found += [f"{study}: {words}." for words in _of_study(scores, chosen[-1:])]
    return found


def _of_study(scores: pd.DataFrame, chosen: list[str]) -> Iterator[str]:
    """Of the trials of a study, in rows, by seed (and split), in columns: mAP in per cent, missing where not run."""
    if len(scores) != TRIALS:
        yield f"{len(scores)} trials, not {TRIALS}"
    first, alone = scores.index[0], scores[scores.columns.min()]
    near = [name for name in scores.index if name == first or alone.max() - alone[name] <= REPEATED]
    if owed := [f"“{name}”" for name in near if scores.loc[name].count() < 2]:
        yield f"no second seed of {', '.join(owed)}, which the rule asks for"
    if not chosen:
        yield "no trial has the recipe of today"
        return
    (name,) = chosen
    if name != first and not (gain := (scores.loc[name] - scores.loc[first]).mean()) > TOLD_APART:
        yield f"“{name}” was chosen, and is ahead of the first by {_signed(gain)} points, not by more than {TOLD_APART}"
    others = {each: (scores.loc[each] - scores.loc[name]).mean() for each in scores.index if _rate(each) == _rate(name)}
    most = max(others, key=lambda each: others[each])
    if others[most] > TOLD_APART:
        points = _signed(others[most])
        yield f"“{most}”, of the same rate, is ahead of “{name}”, which was chosen, by {points} points"


def _rate(name: str) -> str:
    """What a label says of the rate; empty for that of the first."""
    found = _RATE.search(name)
    return found.group() if found else ""


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")
