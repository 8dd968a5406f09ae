"""The ledger: one CSV row for every evaluated run, so that tables and figures are drawn from it and never typed.

Runs add rows to ``runs/ledger.csv`` (:func:`record`); :func:`publish` promotes them to the committed
``reidlib/published/ledger.csv``; :func:`table` reads both. Metrics are fractions (0-1), means over trials. Rows name no
machine, user or folder. Beside each ledger lies ``identities.csv``, with the scores of every query identity of each run
(:func:`identities`), and ``measures.csv``, with what else was measured (:mod:`reidlib.experiments.measures`).
"""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from reidlib import methods, paths
from reidlib.data import ReIDDataset
from reidlib.evaluation import EvaluationResult
from reidlib.evaluation.protocols import Protocol
from reidlib.experiments import tables
from reidlib.experiments.records import BEFORE, DIGESTS, RECIPE, RUN, TRAINING, describe, run_key, without_development
from reidlib.methods import Recipe
from reidlib.training import provenance, runs

CLONE = Path(__file__).resolve().parents[2]
PUBLISHED = CLONE / "reidlib" / "published" / "ledger.csv"
METRICS = ("rank-1", "rank-5", "rank-10", "rank-20", "mAP", "mINP")
DEVIATIONS = ("rank-1", "mAP", "mINP")
COLUMNS = {  # name → type in a table; an empty field is a missing value, except for ``variant``
    **TRAINING,
    **dict.fromkeys(("protocol", "reranking"), "str"),
    **RECIPE,
    **dict.fromkeys((*METRICS, *(f"{name} std" for name in DEVIATIONS)), "float64"),  # std: of a sample, over trials
    **dict.fromkeys(("trials", "parameters", "epochs"), "Int64"),
    "seconds": "float64",  # of training with validation
    "step_seconds": "float64",  # of one training step, median over the run
    "device": "str",
    "threads": "Int64",
    "torch": "str",
    "precision": "str",  # of the network's arithmetic in training; the last three as "A + B" if a run went on elsewhere
    **DIGESTS,
    "error": "str",
}
KEY = [*RUN, "protocol", "reranking"]  # rows that agree in these are of the same run, under the same rules
LEDGER = tables.Format("ledger", COLUMNS, "ledger.csv", BEFORE)
_OF_IDENTITIES = {
    **{name: COLUMNS[name] for name in KEY},
    "pid": "int64",
    "queries": "int64",  # of the identity that have a match, summed over the trials
    **dict.fromkeys(("rank-1", "mAP"), "float64"),  # means over these queries
}
IDENTITIES = tables.Format("table of identities", _OF_IDENTITIES, "identities.csv", BEFORE)
_OF_MEASURES = {
    **TRAINING,
    **RECIPE,
    **dict.fromkeys(("measure", "name"), "str"),  # of ``measures.registered()``; of one of the numbers that it gives
    "value": "float64",
    **DIGESTS,
    "identities": "str",  # the number by identity, "pid:value pid:value"; missing where it has none
}
MEASUREMENTS = tables.Format("table of measures", _OF_MEASURES, "measures.csv", BEFORE | {"identities": ""})


def local() -> Path:
    """The ledger of this machine: ``ledger.csv`` in :func:`reidlib.training.runs.home`."""
    return runs.home() / LEDGER.file


def record(
    run: runs.Run, result: EvaluationResult, *, variant: str = "", path: str | Path | None = None
) -> dict[str, Any]:
    """Add the row of a finished run to the ledger (default: :func:`local`), and its identities; returns the row.

    Raises:
        ValueError: the run has not finished, the result is of other data or of people trained on, the label is not one
            printable line, or the file is no ledger of this version (it is left untouched).
    """
    recipe, environment = run.recipe, run.environment
    require_finished(run)
    if result.seen:
        raise ValueError(f"{result.note}: such a score is no test and is not recorded")
    data = environment["dataset"]
    scored_on = {name: getattr(result, name) for name in ("split", "is_twin", "twin_version", "profile")}
    scored_on["name"] = result.dataset
    if not scored_on.items() <= data.items():
        raise ValueError(f"{run!r} was trained on other data than the result is of: {data}, {scored_on}")
    mean, std = result.mean, result.std
    made = {"code": environment["code"], "processes": environment.get("processes", 1)}
    row = {
        **describe(recipe, data, variant=variant, **made),
        **key(recipe, data, result.protocol, **made),
        **{name: mean.get(name) for name in METRICS},
        **{f"{name} std": std[name] for name in DEVIATIONS},
        "trials": len(result.trials),
        "parameters": sum(parameter.numel() for parameter in run.model.parameters()),
        "epochs": run.epoch,
        **{name: _joined(each.get(name) for each in run.environments) for name in ("device", "torch", "precision")},
    }
    if run.is_timed:  # or else the times are of several machines
        row |= {"seconds": run.seconds, "step_seconds": run.step_seconds, "threads": environment["threads"]}
    return _append(row, path, by_identity(result).to_dict("records"))


def record_failure(
    recipe: Recipe, dataset: ReIDDataset, error: Exception, *, protocol: Protocol, variant: str = ""
) -> dict[str, Any]:
    """Add the row of a run that failed: its error, and no scores; returns it. Raises ``ValueError`` as ``record``."""
    data, code = runs.describe(dataset), provenance.code_for(recipe.method, dataset)
    row = describe(recipe, data, code, variant) | key(recipe, data, protocol, code)
    row |= {"threads": torch.get_num_threads(), "torch": torch.__version__}
    return _append({**row, "error": _in_one_line(error, (dataset.root, runs.home()))})


def table(path: str | Path | None = None, *, latest: bool = False, **filters: Any) -> pd.DataFrame:
    """The rows of the published and the local ledger together, or of one file, in the order they were recorded in.

    Rows of development twins are no test: they are left out unless ``source`` or ``data`` asks for them. Of several
    rows of the same run one is kept: the last one without an error, with a label if there is one.

    Args:
        latest: of the rows that the filters keep, keep one also where only the code differs, so that results of older
            code are not counted as well: the last one without an error, whatever its label.
        filters: column → the value, or the values, to keep; ``None`` stands for a missing value:
            ``table(method="baseline", seed=[0, 1, 2], error=None)``.

    Raises:
        ValueError: an unknown column (the message lists the known), or a file that is no ledger of this version.
        FileNotFoundError: there is no file at ``path``.
    """
    rows = LEDGER.select(without_development(_unique(LEDGER.collect(files(path))), filters), filters)
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
    scores = IDENTITIES.collect(IDENTITIES.beside(file) for file in files(path))
    scores = scores.drop_duplicates([*KEY, "pid"], keep="last")
    return (scores if rows is None else scores.merge(rows[KEY].drop_duplicates(), on=KEY)).reset_index(drop=True)


def by_run(rows: pd.DataFrame, scores: pd.DataFrame, what: str = "the rows") -> pd.DataFrame:
    """The scores of the identities of some runs, with ``run``, the position of each in ``rows``, as first column.

    Raises:
        ValueError: there are none of one of them; the message begins with ``what``.
    """
    found = rows[KEY].reset_index(drop=True).reset_index(names="run").merge(scores, on=KEY)
    if missing := sorted(set(range(len(rows))) - set(found["run"])):
        labels = ", ".join(f"{name} {rows.iloc[missing[0]][name]}" for name in ("method", "variant", "seed"))
        why = f"{len(missing)} runs the scores by identity are not known (first: {labels})"
        raise ValueError(f"{what}: of {why}. Evaluate their folders again (reidlib evaluate FOLDER) or train them anew")
    return found


def by_identity(result: EvaluationResult) -> pd.DataFrame:
    """``pid``, ``queries`` (with a match) and means over these, ``rank-1`` and ``mAP``, of all trials together."""
    parts = []
    for trial in result.trials:
        ranking = trial.ranking
        scores = {"rank-1": ranking.first_match_rank == 1, "mAP": ranking.average_precision}
        parts.append(pd.DataFrame({"pid": trial.query_pids, "queries": 1, **scores})[ranking.valid])
    return pd.concat(parts).groupby("pid", as_index=False).agg({"queries": "sum", "rank-1": "mean", "mAP": "mean"})


def recipe(row: Mapping[str, Any]) -> Recipe:
    """The recipe of a row.

    Raises:
        ValueError: the row is damaged, or was recorded when the method had another default recipe.
    """
    labels = ", ".join(f"{name} {row[name]}" for name in ("method", "dataset", "profile", "seed"))
    try:
        changes = Recipe.renamed(paths.parse_json(row["changes"], "changes"))
        known = {"dataset": row["dataset"], "profile": row["profile"], "shape": changes.pop("shape", None)}
        changed = methods.recipe(row["method"], **known).replace(seed=int(row["seed"]), **changes)
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{labels} is damaged or of another version: {error}") from error
    if changed.digest != row["recipe"]:
        raise ValueError(f"{labels} was recorded with other defaults than methods.recipe has now; train it again")
    return Recipe.from_dict(changed.to_dict())  # JSON knows lists only


def publish(path: str | Path | None = None) -> None:
    """Add the local rows, without those of profile ``ci``, after the published ones, and likewise what lies beside.

    Args:
        path: of a ledger; default: the published one of a clone, which is committed.

    Raises:
        FileNotFoundError: there is no clone around this package, or no folder for the ledger at ``path``.
        ValueError: one of the files is no ledger of this version.
    """
    path = PUBLISHED if path is None and require_clone() is None else Path(path)
    if local().exists():
        with tables.locked(local()):
            rows, lines = LEDGER.merged((path, local()), lambda rows: _of_all(_unique(rows)))
            people, known = map(IDENTITIES.beside, (path, local()))
            _, scores = IDENTITIES.merged((people, known), lambda scores: _in_order(scores, rows))
            IDENTITIES.write(people, scores)
            LEDGER.write(path, lines)
    published, measured = map(MEASUREMENTS.beside, (path, local()))
    if measured.exists():
        with tables.locked(measured):
            _, lines = MEASUREMENTS.merged((published, measured), lambda rows: _of_all(unique_measures(rows)))
            MEASUREMENTS.write(published, lines)


def key(
    recipe: Recipe, data: Mapping[str, Any], protocol: Protocol, code: str, processes: int = 1
) -> dict[str, str | int]:
    """The values of ``KEY`` for a run; ``data`` as :func:`reidlib.training.runs.describe` gives it."""
    return {**run_key(recipe, data, code, processes), "protocol": protocol.name, "reranking": protocol.reranking}


def require_clone() -> None:
    """Raise ``FileNotFoundError`` if there is no clone around this package."""
    if not (CLONE / "pyproject.toml").is_file():
        way_out = "an installed package is not written to; do it from a clone, or give a ledger of your own: path"
        raise FileNotFoundError(f"{CLONE} is no clone of reidlib (it has no pyproject.toml), and {way_out}")


def require_finished(run: runs.Run) -> None:
    """Raise ``ValueError`` for a run of which nothing is to be recorded yet."""
    if not run.finished:
        raise ValueError(f"{run!r} has not finished; training.fit(recipe, dataset) goes on with it")


def files(path: str | Path | None, table: tables.Format = LEDGER) -> list[Path]:
    """The published and the local table, or the one at ``path``; raises ``FileNotFoundError`` if that is not there."""
    if path is None:
        tables.warn_if_missing(published := table.beside(PUBLISHED))
        return [published, table.beside(local())]
    if not Path(path).exists():
        raise FileNotFoundError(f"there is no {table.name} {path}")
    return [Path(path)]


def unique_measures(rows: pd.DataFrame) -> pd.DataFrame:
    """One row of every number measured on a run: the last, with a label if there is one."""
    return tables.last(rows, [*RUN, "measure", "name"], rows["variant"] != "")


def _joined(values: Iterable[str | None]) -> str | None:
    """The different values in their order, as one text."""
    return " + ".join(dict.fromkeys(value for value in values if value)) or None


def _in_one_line(error: Exception, folders: Iterable[Path]) -> str:
    """Kind and text of an error, at most 300 characters: of paths what lies below ``folders``, else the last part."""
    text = f"{type(error).__name__}: {error}"
    for folder in folders:
        text = text.replace(f"{folder.absolute()}{os.sep}", "")
    text = re.sub(r"(?<![\w.])(?:[A-Za-z]:)?(?:[\\/][^\s\\/'\"]+)*[\\/](?=[^\s\\/'\"])", "", text)
    return "".join(character for character in " ".join(text.split()) if character.isprintable())[:300]


def _append(row: dict[str, Any], path: str | Path | None = None, scores: Sequence[dict] = ()) -> dict[str, Any]:
    path = local() if path is None else Path(path)
    run = {name: row[name] for name in KEY}
    with tables.locked(path):
        LEDGER.written([row]), LEDGER.read(path)  # complain before anything is written
        if scores:  # before the row, whose presence says that a run is done; there may be some that a kill left
            IDENTITIES.append(IDENTITIES.beside(path), [run | score for score in scores], instead_of=run)
        return LEDGER.append(path, [row])[0]


def _of_all(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows that are for everyone."""
    return rows[rows["profile"] != "ci"]


def _in_order(scores: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """The scores of the identities of some runs, each once, by run and identity."""
    scores = scores.drop_duplicates([*KEY, "pid"], keep="last").reset_index()
    order = rows[KEY].assign(run=range(len(rows)))
    return scores.merge(order, on=KEY).sort_values(["run", "pid"]).set_index("index")


def _unique(rows: pd.DataFrame) -> pd.DataFrame:
    """One row of every run: the last without an error, with a label if there is one."""
    return tables.last(rows, KEY, rows["error"].isna(), rows["variant"] != "")


def _latest(rows: pd.DataFrame) -> pd.DataFrame:
    """One row also of runs that differ in the code alone: the last without an error."""
    return tables.last(rows, [name for name in KEY if name != "code"], rows["error"].isna())
