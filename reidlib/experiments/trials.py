"""Trials on development twins: what the regime was chosen from.

``table()`` → a line for every trial, with its scores, its distance from the first trial of its study and the time that
it took; ``counts()`` → how many each method had. `docs/regime.md` states the rule by which one was chosen, and
:mod:`reidlib.experiments.choice` says where the choice departs from it.

A row of ``reidlib/published/trials.csv`` is one run, scored on the people of a development twin, whom no claim is
judged on. It is the record of what was tried: a trial is known by the name of its study, its label and the digest of
its recipe as they were then, whatever the recipes of today are. No row of it is one of the ledger, whose models are
scored on the test.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from reidlib import methods, profiles
from reidlib.data import registry
from reidlib.experiments import ledger, studies, tables
from reidlib.experiments.agreement import correlations
from reidlib.experiments.records import DEVELOPMENT
from reidlib.experiments.uncertainty import Spread, pooled
from reidlib.training import checkpoints, runs

PUBLISHED = Path(__file__).resolve().parent.parent / "published" / "trials.csv"
SUFFIX = "-trials"
COLUMNS = {
    "date": "datetime64[ns]",
    **dict.fromkeys(("study", "trial", "method", "dataset", "source", "profile"), "str"),
    "split": "Int64",
    "seed": "int64",
    **dict.fromkeys(("mAP", "rank-1"), "float64"),  # on the development twin, 0-1, as all scores here
    "validation mAP": "float64",  # after the last epoch
    **dict.fromkeys(("spread", "common"), "float64"),  # of training features, see reidlib.networks.health
    "collapsed": "bool",  # the metric loss, see reidlib.training.health
    "epochs": "int64",
    "seconds": "float64",  # of training, beside whatever else the machine did
    **dict.fromkeys(("precision", "recipe", "code"), "str"),
}
KEY = ["study", "dataset", "profile", "split", "seed", "recipe"]
FORMAT = tables.Format("table of trials", COLUMNS, PUBLISHED.name)


def rows(path: str | Path | None = None) -> pd.DataFrame:
    """Every run, once, in the order in which they were recorded; none if there is no table."""
    return tables.last(FORMAT.collect([PUBLISHED if path is None else Path(path)]), KEY).reset_index(drop=True)


def table(path: str | Path | None = None, **filters: Any) -> pd.DataFrame:
    """A line for every trial, by ``study``, ``dataset``, ``profile`` and ``trial``, in the order of the records.

    Args:
        path: of another table than the one that the package holds.
        filters: column of :func:`rows` = value, or several.

    Returns:
        ``runs``, ``mAP`` (mean, per cent), ``deviation`` (of one run, per cent; NaN for a single one), ``difference``
        (of the seeds and splits that both have, from the first trial of the study, points of mAP), ``interval`` (half
        of its 95 % interval over seeds, on these people, by the spread that all trials of a data set and profile have
        in common: :func:`reidlib.experiments.uncertainty.pooled`; NaN where no two trials have the same two seeds),
        ``validation`` (mean mAP, per cent), ``spread``, ``collapsed`` (of how many runs), ``seconds`` (the least),
        ``recipes`` (digests, as recorded), and ``chosen``: whether that is the method's recipe of today.

    Raises:
        ValueError: the file is no such table, or there is no such column.
    """
    lines, place, known = [], ["study", "dataset", "profile"], rows(path)
    spreads = {names: _spread(part) for names, part in known.groupby(place[1:])}
    for names, part in FORMAT.select(known, filters).groupby(place, sort=False, dropna=False):
        first, spread = _by_run(part[part["trial"] == part["trial"].iloc[0]]), spreads[names[1:]]
        for trial, own in part.groupby("trial", sort=False):
            scores = _by_run(own)
            shared = len((scores - first).dropna()) if trial != part["trial"].iloc[0] else 0
            half = math.sqrt(2) * spread.half_width(shared) if spread and shared else math.nan
            lines.append(
                {
                    **dict(zip(place, names, strict=True)),
                    **{"trial": trial, "runs": len(own), "mAP": 100 * scores.mean()},
                    "deviation": 100 * scores.std(),
                    **{"difference": 100 * (scores - first).mean(), "interval": 100 * half},
                    "validation": 100 * own["validation mAP"].mean(),
                    **{"spread": own["spread"].mean(), "collapsed": int(own["collapsed"].sum())},
                    **{"seconds": own["seconds"].min(), "recipes": " ".join(own["recipe"])},
                    "chosen": not _today(own).isdisjoint(own["recipe"]),
                }
            )
    columns = ["runs", "mAP", "deviation", "difference", "interval", "validation", "spread", "collapsed", "seconds"]
    found = pd.DataFrame(lines, columns=[*place, "trial", *columns, "recipes", "chosen"])
    return found.set_index([*place, "trial"])


def shown(path: str | Path | None = None) -> pd.DataFrame:
    """The runs of trials, with a column ``chosen``: whether theirs is the recipe of today."""
    found = rows(path)
    found = found[found["study"].str.endswith(SUFFIX)].reset_index(drop=True)
    places = found.groupby(["method", "dataset", "profile"], sort=False)
    today = {digest for _, part in places for digest in _today(part)}
    return found.assign(chosen=found["recipe"].isin(today))


def counts(path: str | Path | None = None) -> pd.Series:
    """How many trials each study of trials had."""
    found = rows(path)
    found = found[found["study"].str.endswith(SUFFIX)]
    return found.groupby("study", sort=False)["trial"].nunique()


def agreement(path: str | Path | None = None, **filters: Any) -> pd.DataFrame:
    """How well the order of runs on validation identities agrees with that on the development twin.

    A row for every ``dataset`` and ``profile``, with what :func:`reidlib.experiments.agreement.correlations` says of
    the runs that ``filters`` leave. Data sets stay apart: one on which everybody scores higher in both places makes a
    correlation that says nothing about the runs on either.
    """
    places, found = ["dataset", "profile"], FORMAT.select(rows(path), filters)
    named = found.rename(columns={"validation mAP": "validation", "mAP": "development"})
    of = [correlations(part).assign(**dict(zip(places, names, strict=True))) for names, part in named.groupby(places)]
    empty = pd.DataFrame(columns=[*places, "first", "second", "runs", "correlation", "low", "high"])
    return pd.concat(of, ignore_index=True)[list(empty)] if of else empty


def publish(path: str | Path | None = None, to: str | Path | None = None) -> int:
    """Add the development rows of a ledger, with what their runs say of themselves; returns how many are new.

    Args:
        path: of the ledger; default: that of this machine.
        to: the table of trials; default: the one that the package of a clone holds.

    Raises:
        FileNotFoundError: there is no clone around this package to publish in.
        ValueError: a row belongs to no study of today: publish trials before their studies change.
    """
    if to is None:
        ledger.require_clone()
    to, lines, labels = PUBLISHED if to is None else Path(to), [], {}
    found = ledger.table(ledger.local() if path is None else path, error=None, processes=1, source=_source())
    known = {_key(row) for row in rows(to).to_dict("records")}
    histories = _histories()
    for row in found.drop_duplicates(["recipe", "data", "code"], keep="last").to_dict("records"):
        place, recipe = (row["dataset"], row["profile"], int(row["seed"])), row["recipe"]
        if place not in labels:
            labels[place] = _labels(*place)
        alike, called = (labels[place].get(key, []) for key in (recipe, (row["method"], row["variant"])))
        named = [each for each in alike if each[1] == row["variant"]] or called or alike
        if not named:
            where = f"{row['variant']!r} (recipe {recipe}) on {row['dataset']}"
            raise ValueError(f"{where} is a trial of no study of today: publish trials before their studies change")
        if (run := (recipe, None if pd.isna(row["split"]) else int(row["split"]))) not in histories:
            raise ValueError(f"the run folder of {row['variant']!r} (recipe {recipe}) has gone, with its history")
        lines.append(row | histories[run] | dict(zip(("study", "trial"), named[0], strict=True)))
    order = {(study, trial): place for place, (study, trial) in enumerate(_in_order())}
    lines = sorted(
        (line for line in lines if _key(line) not in known),
        key=lambda line: (order[line["study"], line["trial"]], line["seed"]),
    )
    if lines:
        with tables.locked(to):
            FORMAT.append(to, lines)
    return len(lines)


def _in_order() -> list[tuple[str, str]]:
    """(Study, label) of all that is registered, the first of each study being what others are compared with."""
    return [(study, label) for study, known in studies.registered().items() for label in known.variants]


def _key(row: dict[str, Any]) -> tuple:
    """What of a run is published once: column by column, nothing for a missing value."""
    return tuple(None if pd.isna(row[name]) else row[name] for name in KEY)


def _source() -> list[str]:
    return sorted({f"{DEVELOPMENT}twin {registry.twin_version(name)}" for name in registry.READERS})


def _labels(dataset: str, profile: str, seed: int) -> dict[Any, list[tuple[str, str]]]:
    """Digest of a recipe → the studies that have it, and what they call it; trials come first.

    The same for (method, label) of trials: what a label says is all that a trial is about, though a default of the
    recipe that does not matter to it may have become another since.
    """
    found: dict[Any, list[tuple[str, str]]] = {}
    for study, label, recipe in variants(dataset, profile):
        names = [recipe.replace(seed=seed).digest, (recipe.method, label)]
        for name in names if study.endswith(SUFFIX) else names[:1]:
            found.setdefault(name, []).append((study, label))
    return {name: sorted(named, key=lambda each: not each[0].endswith(SUFFIX)) for name, named in found.items()}


def variants(dataset: str, profile: str) -> Iterator[tuple[str, str, methods.Recipe]]:
    """(Study, label, recipe) of every variant of a study of today that can be trained on the data set."""
    for study, known in studies.registered().items():
        of = [methods.get(change.get("method", known.method)) for change in known.variants.values()]
        if all(dataset in method.recipes for method in of):
            for label, recipe in studies.get(study, dataset=dataset, profile=profile).items():
                yield study, label, recipe


def _histories() -> dict[tuple[str, Any], dict[str, Any]]:
    """(Recipe, split) of every run on a development twin that lies here → what its history says of its end."""
    found = {}
    for file in sorted(runs.home().rglob(runs.RECIPE)):
        if not (file.parent / checkpoints.HISTORY).is_file():
            continue  # it has just begun, and has no row yet
        data = runs.read_environment(file.parent)["dataset"]
        if not profiles.is_development(data["profile"]):
            continue
        history = pd.DataFrame(checkpoints.read_history(file.parent))
        last = history.iloc[-1]
        found[runs.read_recipe(file.parent).digest, data["split"]] = {
            "validation mAP": history["validation.mAP"].dropna().iloc[-1] if "validation.mAP" in history else math.nan,
            **{name: last.get(f"health.{name}", math.nan) for name in ("spread", "common")},
            "collapsed": bool(last.get("health.collapsed", 0) == 1),
        }
    return found


def _spread(found: pd.DataFrame) -> Spread | None:
    """Of a run, from what its trial and its seed have it expected, by the trials that have all runs of their study.

    None where no two trials have the same two.
    """
    runs = found.assign(split=found["split"].fillna(0)).drop_duplicates(
        ["study", "trial", "seed", "split"], keep="last"
    )
    of = runs.groupby("study")
    tables = [part.pivot(index="trial", columns=["seed", "split"], values="mAP").dropna() for _, part in of]
    return pooled(tables) if any(min(table.shape) > 1 for table in tables) else None


def _by_run(rows: pd.DataFrame) -> pd.Series:
    return rows.set_index(["seed", "split"])["mAP"]


def _today(rows: pd.DataFrame) -> set[str]:
    """The digests of today's recipe of the rows' method, with their seeds."""
    method, dataset, profile = (rows[name].iloc[0] for name in ("method", "dataset", "profile"))
    recipe = methods.recipe(method, dataset=dataset, profile=profile)
    return {recipe.replace(seed=int(seed)).digest for seed in rows["seed"].unique()}
