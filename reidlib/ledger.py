"""The ledger: one CSV row for every evaluated run, so that tables and figures are drawn from it and never typed.

Runs add rows to ``runs/ledger.csv`` (:func:`record`); :func:`publish` promotes them to ``figures/ledger.csv``, which is
committed; :func:`table` reads both. Metrics are fractions (0-1), means over the trials of the protocol. Rows name no
machine, user or folder. Beside each ledger lies ``identities.csv``, with the scores of every query identity of each run
(:func:`identities`): what a comparison resamples.
"""

import json
import os
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from reidlib import checkpoints, recipes, runs, tables
from reidlib.data import ReIDDataset
from reidlib.evaluation import EvaluationResult
from reidlib.evaluation.protocols import Protocol
from reidlib.recipes import Recipe

PUBLISHED = Path(__file__).resolve().parent.parent / "figures" / "ledger.csv"
METRICS = ("rank-1", "rank-5", "rank-10", "rank-20", "mAP", "mINP")
DEVIATIONS = ("rank-1", "mAP", "mINP")
COLUMNS = {  # name → type in a table; an empty field is a missing value, except for ``variant``
    "date": "datetime64[s]",  # of the evaluation, UTC
    **dict.fromkeys(("method", "dataset"), "str"),
    "source": "str",  # "twin <version>" or "real"
    "profile": "str",  # of the recipe
    **dict.fromkeys(("seed", "split"), "Int64"),
    **dict.fromkeys(("protocol", "reranking"), "str"),
    "variant": "str",  # a label
    "changes": "str",  # JSON: the recipe is ``recipes.get(method, …).replace(seed=seed, **changes)``
    **dict.fromkeys((*METRICS, *(f"{name} std" for name in DEVIATIONS)), "float64"),  # std: of a sample, over trials
    **dict.fromkeys(("trials", "parameters", "epochs"), "Int64"),
    "seconds": "float64",  # of training with validation
    "step_seconds": "float64",  # of one training step, median over the run
    "device": "str",
    "threads": "Int64",
    "torch": "str",
    **dict.fromkeys(("code", "recipe", "data"), "str"),  # digests; of the data: of what :func:`runs.describe` says
    **dict.fromkeys(("twin_version", "error"), "str"),
}
KEY = ["recipe", "code", "data", "protocol", "reranking"]  # rows that agree in these are of the same run
IDENTITY_COLUMNS = {
    **dict.fromkeys(KEY, "str"),
    "pid": "int64",
    "queries": "int64",  # of the identity that have a match, summed over the trials
    **dict.fromkeys(("rank-1", "mAP"), "float64"),  # means over these queries
}
LEDGER = tables.Format("ledger", COLUMNS, labels=("variant",))
IDENTITIES = tables.Format("table of identities", IDENTITY_COLUMNS)


def local() -> Path:
    """The ledger of this machine: ``ledger.csv`` in :func:`reidlib.runs.home`."""
    return runs.home() / "ledger.csv"


def identity_file(ledger: Path) -> Path:
    """The table of identities of a ledger: ``identities.csv`` beside ``ledger.csv``, else with the ledger's name."""
    return ledger.with_name("identities.csv" if ledger.name == "ledger.csv" else f"{ledger.stem}-identities.csv")


def record(
    run: runs.Run, result: EvaluationResult, *, variant: str = "", path: str | Path | None = None
) -> dict[str, Any]:
    """Add the row of a finished run to the ledger (default: :func:`local`), and its identities; returns the row.

    Raises:
        ValueError: the run has not finished, the result is of other data, the label is not one printable line, or the
            file is no ledger of this version (it is left untouched).
    """
    recipe, environment = run.recipe, run.environment
    if not run.finished:
        raise ValueError(f"{run!r} has not finished; training.fit(recipe, dataset) goes on with it")
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
        **_describe(recipe, trained_on, result.protocol, environment["code"], variant),
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
    row = _describe(recipe, runs.describe(dataset), protocol, runs.code_digest(recipe.method, dataset.name), variant)
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
    if unknown := [name for name in filters if name not in COLUMNS]:
        raise ValueError(f"the ledger has no column {unknown[0]!r}; choose from: {', '.join(COLUMNS)}")
    rows = _unique(LEDGER.frame(line for file in _files(path) for line in LEDGER.read(file)))
    for name, wanted in filters.items():
        values = list(wanted) if pd.api.types.is_list_like(wanted) else [wanted]
        known = pd.Series([value for value in values if value is not None], dtype=COLUMNS[name])
        rows = rows[rows[name].isin(known) | (rows[name].isna() & (None in values))]
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
    files = [identity_file(file) for file in _files(path)]
    scores = IDENTITIES.frame(line for file in files for line in IDENTITIES.read(file))
    scores = scores.drop_duplicates([*KEY, "pid"], keep="last")
    return (scores if rows is None else scores.merge(rows[KEY].drop_duplicates(), on=KEY)).reset_index(drop=True)


def recipe(row: Mapping[str, Any]) -> Recipe:
    """The recipe of a row.

    Raises:
        ValueError: the row was recorded when the method had another default recipe.
    """
    labels = ", ".join(f"{name} {row[name]}" for name in ("method", "dataset", "profile", "seed"))
    default = recipes.get(row["method"], dataset=row["dataset"], profile=row["profile"])
    changed = default.replace(seed=int(row["seed"]), **json.loads(row["changes"]))
    if changed.digest != row["recipe"]:
        raise ValueError(f"{labels} was recorded with other defaults than recipes.get has now; train it again")
    return Recipe.from_dict(changed.to_dict())  # JSON knows lists only


def publish(path: str | Path | None = None) -> None:
    """Merge the local rows into the published ledger, in the order of their dates, and their identities beside it.

    Rows of profile ``ci`` stay behind.

    Raises:
        FileNotFoundError: the folder of the published ledger is missing: this is not a clone.
        ValueError: one of the files is no ledger of this version.
    """
    path = PUBLISHED if path is None else Path(path)
    if not local().exists():
        return
    with tables.locked(local()):
        lines = [*LEDGER.read(path), *LEDGER.read(local())]
        rows = _unique(LEDGER.frame(lines))
        rows = rows[rows["profile"] != "ci"].sort_values("date", kind="stable")
        if not len(rows):
            return
        scores = [*IDENTITIES.read(identity_file(path)), *IDENTITIES.read(identity_file(local()))]
        kept = IDENTITIES.frame(scores).drop_duplicates([*KEY, "pid"], keep="last")
        runs_kept = rows[KEY].drop_duplicates().assign(run=range(len(rows)))
        kept = kept.reset_index().merge(runs_kept, on=KEY).sort_values(["run", "pid"])
        if len(kept):
            IDENTITIES.write(identity_file(path), [scores[position] for position in kept["index"]])
        LEDGER.write(path, [lines[position] for position in rows.index])


def key(recipe: Recipe, data: Mapping[str, Any], protocol: Protocol, code: str) -> dict[str, str]:
    """The values of ``KEY`` for a run; ``data`` as :func:`reidlib.runs.describe` gives it."""
    digest = checkpoints.short_digest(json.dumps(dict(data), sort_keys=True).encode())
    rules = {"protocol": protocol.name, "reranking": protocol.reranking}
    return {"recipe": recipe.digest, "code": code, "data": digest, **rules}


def _describe(recipe: Recipe, data: dict[str, Any], protocol: Protocol, code: str, variant: str) -> dict[str, Any]:
    if not variant.isprintable():
        raise ValueError(f"variant must be one printable line, not {variant!r}")
    return {
        **{name: getattr(recipe, name) for name in ("method", "dataset", "profile", "seed")},
        "date": datetime.now(UTC).date().isoformat(),
        "source": f"twin {data['twin_version']}" if data["is_twin"] else "real",
        "split": data["split"],
        "variant": variant,
        "changes": json.dumps(_changes(recipe)),
        "twin_version": data["twin_version"],
        **key(recipe, data, protocol, code),
    }


def _changes(recipe: Recipe) -> dict[str, Any]:
    """What :meth:`Recipe.replace` would have to be told to make this recipe of the default one."""
    default = recipes.get(recipe.method, dataset=recipe.dataset, profile=recipe.profile).to_dict()
    changes = {name: value for name, value in recipe.to_dict().items() if name != "seed" and value != default.get(name)}
    for name in changes.keys() & {"model", "loss_weights", "augmentation"}:
        before, after = default[name], changes[name]
        options = [option for option in {**before, **after} if before.get(option) != after.get(option)]
        changes[name] = {option: after.get(option) for option in options}
    return changes


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


def _files(path: str | Path | None) -> list[Path]:
    if path is None:
        return [PUBLISHED, local()]
    if not Path(path).exists():
        raise FileNotFoundError(f"there is no ledger {path}")
    return [Path(path)]


def _unique(rows: pd.DataFrame) -> pd.DataFrame:
    """One row of every run: the last without an error, with a label if there is one."""
    return _last(rows, KEY, rows["error"].isna(), rows["variant"] != "")


def _latest(rows: pd.DataFrame) -> pd.DataFrame:
    """One row also of runs that differ in the code alone: the last without an error."""
    return _last(rows, [name for name in KEY if name != "code"], rows["error"].isna())


def _last(rows: pd.DataFrame, columns: list[str], *preferred: pd.Series) -> pd.DataFrame:
    """Of rows that agree in some columns, the preferred one, then that of the last day; in their order, with index."""
    worth = pd.concat([*preferred, rows["date"]], axis=1, keys=range(len(preferred) + 1))
    order = worth.sort_values(list(worth), kind="stable").index
    return rows.loc[order].drop_duplicates(columns, keep="last").sort_index()
