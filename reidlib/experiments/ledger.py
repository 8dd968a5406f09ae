"""The ledger: one CSV row for every evaluated run, so that tables and figures are drawn from it and never typed.

Runs add rows to ``runs/ledger.csv`` (:func:`record`); :func:`publish` promotes them to
``reidlib/published/ledger.csv``, which is committed; :func:`table` reads both. Metrics are fractions (0-1), means over
the trials of the protocol. Rows name no machine, user or folder. Beside each ledger lies ``identities.csv``, with the
scores of every query identity of each run (:func:`identities`): what a comparison resamples; and ``measures.csv``, with
what else was measured on runs (:mod:`reidlib.experiments.measures`).
"""

import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from reidlib import methods
from reidlib.data import ReIDDataset
from reidlib.evaluation import EvaluationResult
from reidlib.evaluation.protocols import Protocol
from reidlib.experiments import tables
from reidlib.experiments.records import DESCRIPTION, RUN, describe, merged, run_key
from reidlib.methods import Recipe
from reidlib.training import runs

PUBLISHED = Path(__file__).resolve().parent.parent / "published" / "ledger.csv"
METRICS = ("rank-1", "rank-5", "rank-10", "rank-20", "mAP", "mINP")
DEVIATIONS = ("rank-1", "mAP", "mINP")
COLUMNS = {  # name → type in a table; an empty field is a missing value, except for ``variant``
    **{name: DESCRIPTION[name] for name in ("date", "method", "dataset", "source", "profile", "seed", "split")},
    **dict.fromkeys(("protocol", "reranking"), "str"),
    **{name: DESCRIPTION[name] for name in ("variant", "changes")},
    **dict.fromkeys((*METRICS, *(f"{name} std" for name in DEVIATIONS)), "float64"),  # std: of a sample, over trials
    **dict.fromkeys(("trials", "parameters", "epochs"), "Int64"),
    "seconds": "float64",  # of training with validation
    "step_seconds": "float64",  # of one training step, median over the run
    "device": "str",
    "threads": "Int64",
    "torch": "str",
    **{name: DESCRIPTION[name] for name in ("code", "recipe", "data", "twin_version")},
    "error": "str",
}
KEY = [*RUN, "protocol", "reranking"]  # rows that agree in these are of the same run, under the same rules
IDENTITY_COLUMNS = {
    **dict.fromkeys(KEY, "str"),
    "pid": "int64",
    "queries": "int64",  # of the identity that have a match, summed over the trials
    **dict.fromkeys(("rank-1", "mAP"), "float64"),  # means over these queries
}
MEASURE_COLUMNS = {
    **{name: kind for name, kind in DESCRIPTION.items() if name not in (*RUN, "twin_version")},
    **dict.fromkeys(("measure", "name"), "str"),  # of ``measures.MEASURES``; of one of the numbers that it gives
    "value": "float64",
    **{name: DESCRIPTION[name] for name in ("code", "recipe", "data", "twin_version")},
}
LEDGER = tables.Format("ledger", COLUMNS, labels=("variant",))
IDENTITIES = tables.Format("table of identities", IDENTITY_COLUMNS)
MEASUREMENTS = tables.Format("table of measures", MEASURE_COLUMNS, labels=("variant",))


def local() -> Path:
    """The ledger of this machine: ``ledger.csv`` in :func:`reidlib.training.runs.home`."""
    return runs.home() / "ledger.csv"


def identity_file(ledger: Path) -> Path:
    """The table of identities of a ledger: ``identities.csv`` beside ``ledger.csv``, else with the ledger's name."""
    return _beside(ledger, "identities.csv")


def measure_file(ledger: Path) -> Path:
    """The table of measures of a ledger: ``measures.csv`` beside ``ledger.csv``, else with the ledger's name."""
    return _beside(ledger, "measures.csv")


def record(
    run: runs.Run, result: EvaluationResult, *, variant: str = "", path: str | Path | None = None
) -> dict[str, Any]:
    """Add the row of a finished run to the ledger (default: :func:`local`), and its identities; returns the row.

    Raises:
        ValueError: the run has not finished, the result is of other data, the label is not one printable line, or the
            file is no ledger of this version (it is left untouched).
    """
    recipe, environment = run.recipe, run.environment
    require_finished(run)
    trained_on, names = environment["dataset"], ("split", "is_twin", "twin_version", "profile")
    of_run, of_result = (
        [trained_on[name] for name in ("name", *names)],
        [getattr(result, n) for n in ("dataset", *names)],
    )
    if of_run != of_result:
        raise ValueError(f"{run!r} was trained on other data than the result is of: {of_run}, {of_result}")
    mean, std = result.mean, result.std
    batch = 2 * recipe.identities * recipe.images * environment["processes"]
    row = {
        **describe(recipe, trained_on, environment["code"], variant),
        **key(recipe, trained_on, result.protocol, environment["code"]),
        **{name: mean.get(name) for name in METRICS},
        **{f"{name} std": std[name] for name in DEVIATIONS},
        "trials": len(result.trials),
        "parameters": sum(parameter.numel() for parameter in run.model.parameters()),
        "epochs": run.epoch,
        "seconds": run.seconds,
        "step_seconds": batch / run.history["images_per_second"].median(),
        **{name: environment[name] for name in ("device", "threads", "torch")},
    }
    return _append(row, path, _by_identity(result))


def record_failure(
    recipe: Recipe,
    dataset: ReIDDataset,
    error: Exception,
    *,
    protocol: Protocol,
    variant: str = "",
    path: str | Path | None = None,
) -> dict[str, Any]:
    """Add the row of a run that failed: its error, and no scores; returns it. Raises ``ValueError`` as ``record``."""
    data, code = runs.describe(dataset), runs.code_digest(recipe.method, dataset.name)
    row = describe(recipe, data, code, variant) | key(recipe, data, protocol, code)
    row |= {"threads": torch.get_num_threads(), "torch": torch.__version__}
    return _append({**row, "error": _in_one_line(error, (dataset.root, runs.home()))}, path)


def table(path: str | Path | None = None, *, latest: bool = False, **filters: Any) -> pd.DataFrame:
    """The rows of the published and the local ledger together, or of one file, in the order they were recorded in.

    Of several rows of the same run one is kept: the last one without an error, with a label if there is one.

    Args:
        latest: of the rows that the filters keep, keep one also where only the code differs, so that results of older
            code are not counted as well: the last one without an error, whatever its label.
        filters: column → the value, or the values, to keep; ``None`` stands for a missing value:
            ``table(method="baseline", seed=[0, 1, 2], error=None)``.

    Raises:
        ValueError: an unknown column (the message lists the known), or a file that is no ledger of this version.
        FileNotFoundError: there is no file at ``path``.
    """
    rows = LEDGER.select(_unique(LEDGER.collect(_files(path))), filters)
    return (_latest(rows) if latest else rows).reset_index(drop=True)


def identities(rows: pd.DataFrame | None = None, path: str | Path | None = None) -> pd.DataFrame:
    """The scores of every query identity, as fractions: columns ``KEY``, ``pid``, ``queries``, ``rank-1``, ``mAP``.

    A mean weighted by ``queries`` gives the score of the run, if every trial has the same queries. Runs that were
    recorded before there was such a table have no rows in it; those that failed have none either.

    Args:
        rows: of which runs, as :func:`table` returns them; default: of all.
        path: of a ledger; default: the published and the local one. The table lies beside it.

    Raises:
        ValueError: a file is no table of identities of this version.
        FileNotFoundError: there is no ledger at ``path``.
    """
    scores = IDENTITIES.collect(identity_file(file) for file in _files(path))
    scores = scores.drop_duplicates([*KEY, "pid"], keep="last")
    return (scores if rows is None else scores.merge(rows[KEY].drop_duplicates(), on=KEY)).reset_index(drop=True)


def recipe(row: Mapping[str, Any]) -> Recipe:
    """The recipe of a row.

    Raises:
        ValueError: the row was recorded when the method had another default recipe.
    """
    labels = ", ".join(f"{name} {row[name]}" for name in ("method", "dataset", "profile", "seed"))
    default = methods.recipe(row["method"], dataset=row["dataset"], profile=row["profile"])
    changed = default.replace(seed=int(row["seed"]), **Recipe.renamed(json.loads(row["changes"])))
    if changed.digest != row["recipe"]:
        raise ValueError(f"{labels} was recorded with other defaults than methods.recipe has now; train it again")
    return Recipe.from_dict(changed.to_dict())  # JSON knows lists only


def publish(path: str | Path | None = None) -> None:
    """Merge the local rows into the published ledger, in the order of their dates, and what lies beside it likewise.

    Rows of profile ``ci`` stay behind.

    Raises:
        FileNotFoundError: the folder of the published ledger is missing: this is not a clone.
        ValueError: one of the files is no ledger of this version.
    """
    path = PUBLISHED if path is None else Path(path)
    if local().exists():
        with tables.locked(local()):
            _publish_rows(path)
    if (measured := measure_file(local())).exists():
        with tables.locked(measured):
            _, lines = merged(MEASUREMENTS, measure_file(path), measured, unique_measures)
            if lines:
                MEASUREMENTS.write(measure_file(path), lines)


def key(recipe: Recipe, data: Mapping[str, Any], protocol: Protocol, code: str) -> dict[str, str]:
    """The values of ``KEY`` for a run; ``data`` as :func:`reidlib.training.runs.describe` gives it."""
    return {**run_key(recipe, data, code), "protocol": protocol.name, "reranking": protocol.reranking}


def require_finished(run: runs.Run) -> None:
    """Raise ``ValueError`` for a run of which nothing is to be recorded yet."""
    if not run.finished:
        raise ValueError(f"{run!r} has not finished; training.fit(recipe, dataset) goes on with it")


def unique_measures(rows: pd.DataFrame) -> pd.DataFrame:
    """One row of every number measured on a run: the last, with a label if there is one."""
    return tables.last(rows, [*RUN, "measure", "name"], rows["variant"] != "")


def _in_one_line(error: Exception, folders: Iterable[Path]) -> str:
    """Kind and text of an error, at most 300 characters: of paths what lies below ``folders``, else the last part."""
    text = f"{type(error).__name__}: {error}"
    for folder in folders:
        text = text.replace(f"{folder.absolute()}{os.sep}", "")
    text = re.sub(r"(?<![\w.])(?:[A-Za-z]:)?(?:[\\/][^\s\\/'\"]+)*[\\/](?=[^\s\\/'\"])", "", text)
    return "".join(character for character in " ".join(text.split()) if character.isprintable())[:300]


def _append(row: dict[str, Any], path: str | Path | None, scores: Iterable[Mapping[str, Any]] = ()) -> dict[str, Any]:
    path = local() if path is None else Path(path)
    row = {name: tables.rounded(row.get(name)) for name in COLUMNS}
    key = {name: row[name] for name in KEY}
    with tables.locked(path):
        LEDGER.read(path)  # complains before anything is written
        if scores := [{**key, **score} for score in scores]:  # before the row, whose presence says that a run is done
            IDENTITIES.append(identity_file(path), scores, instead_of=key)  # there may be some that a kill left
        LEDGER.append(path, [row])
    return row


def _by_identity(result: EvaluationResult) -> list[dict[str, Any]]:
    """Means over the valid queries of each identity in all trials."""
    rankings = [trial.ranking for trial in result.trials]
    first, precision, valid = (
        np.concatenate([getattr(ranking, name) for ranking in rankings])
        for name in ("first_match_rank", "average_precision", "valid")
    )
    pids = np.concatenate([trial.query_pids for trial in result.trials])[valid]
    scores = pd.DataFrame({"pid": pids, "rank-1": first[valid] == 1, "mAP": precision[valid]})
    means = scores.groupby("pid").agg(
        **{"queries": ("mAP", "size"), "rank-1": ("rank-1", "mean"), "mAP": ("mAP", "mean")}
    )
    rows = means.reset_index().to_dict("records")
    return [{name: tables.rounded(value) for name, value in row.items()} for row in rows]


def _publish_rows(path: Path) -> None:
    rows, lines = merged(LEDGER, path, local(), _unique)
    if not lines:
        return
    scores = [*IDENTITIES.read(identity_file(path)), *IDENTITIES.read(identity_file(local()))]
    kept = IDENTITIES.frame(scores).drop_duplicates([*KEY, "pid"], keep="last")
    runs_kept = rows[KEY].drop_duplicates().assign(run=range(len(rows)))
    kept = kept.reset_index().merge(runs_kept, on=KEY).sort_values(["run", "pid"])
    if len(kept):
        IDENTITIES.write(identity_file(path), [scores[position] for position in kept["index"]])
    LEDGER.write(path, lines)


def _beside(ledger: Path, name: str) -> Path:
    return ledger.with_name(name if ledger.name == "ledger.csv" else f"{ledger.stem}-{name}")


def _files(path: str | Path | None) -> list[Path]:
    if path is None:
        return [PUBLISHED, local()]
    if not Path(path).exists():
        raise FileNotFoundError(f"there is no ledger {path}")
    return [Path(path)]


def _unique(rows: pd.DataFrame) -> pd.DataFrame:
    """One row of every run: the last without an error, with a label if there is one."""
    return tables.last(rows, KEY, rows["error"].isna(), rows["variant"] != "")


def _latest(rows: pd.DataFrame) -> pd.DataFrame:
    """One row also of runs that differ in the code alone: the last without an error."""
    return tables.last(rows, [name for name in KEY if name != "code"], rows["error"].isna())
