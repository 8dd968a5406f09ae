"""The ledger: one CSV row for every evaluated run, so that tables and figures are drawn from it and never typed.

Runs add rows to ``runs/ledger.csv`` (:func:`record`); :func:`publish` promotes them to ``figures/ledger.csv``, which is
committed; :func:`table` reads both. Metrics are fractions (0-1), means over the trials of the protocol. Rows name no
machine, user or folder. A file is always replaced as a whole, so that a kill never leaves half a row.
"""

import csv
import io
import json
import math
import os
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from filelock import FileLock

from reidlib import checkpoints, recipes, runs
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
_HEADER = ",".join(COLUMNS)


def local() -> Path:
    """The ledger of this machine: ``ledger.csv`` in :func:`reidlib.runs.home`."""
    return runs.home() / "ledger.csv"


def record(
    run: runs.Run, result: EvaluationResult, *, variant: str = "", path: str | Path | None = None
) -> dict[str, Any]:
    """Add the row of a finished run to the ledger (default: :func:`local`); returns it.

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
    return _append(row, path)


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
    row = _describe(recipe, runs.describe(dataset), protocol, runs.code_digest(), variant)
    row |= {"threads": torch.get_num_threads(), "torch": torch.__version__}
    return _append({**row, "error": _in_one_line(error, (dataset.root, runs.home()))}, path)


def table(path: str | Path | None = None, *, latest: bool = False, **filters: Any) -> pd.DataFrame:
    """The rows of the published and the local ledger together, or of one file, in the order they were recorded in.

    Of several rows of the same run one is kept: the last one without an error, with a label if there is one.

    Args:
        latest: keep one row also where only the code differs, so that results of older code are not counted as well.
        filters: column → the value, or the values, to keep; ``None`` stands for a missing value:
            ``table(method="baseline", seed=[0, 1, 2], error=None)``.

    Raises:
        ValueError: an unknown column (the message lists the known), or a file that is no ledger of this version.
        FileNotFoundError: there is no file at ``path``.
    """
    if unknown := [name for name in filters if name not in COLUMNS]:
        raise ValueError(f"the ledger has no column {unknown[0]!r}; choose from: {', '.join(COLUMNS)}")
    files = [file for file in (PUBLISHED, local()) if file.exists()] if path is None else [Path(path)]
    rows = _unique(_to_frame(line for file in files for line in _read(file)), latest)
    for name, wanted in filters.items():
        values = list(wanted) if pd.api.types.is_list_like(wanted) else [wanted]
        known = pd.Series([value for value in values if value is not None], dtype=COLUMNS[name])
        rows = rows[rows[name].isin(known) | (rows[name].isna() & (None in values))]
    return rows.reset_index(drop=True)


def publish(path: str | Path | None = None) -> None:
    """Merge the local rows into the published ledger, in the order of their dates; rows of profile ``ci`` stay behind.

    Raises:
        FileNotFoundError: the folder of the published ledger is missing: this is not a clone.
        ValueError: one of the files is no ledger of this version.
    """
    path = PUBLISHED if path is None else Path(path)
    if not local().exists():
        return
    with _locked(local()):
        lines = [*(_read(path) if path.exists() else []), *_read(local())]
        rows = _unique(_to_frame(lines))
        rows = rows[rows["profile"] != "ci"].sort_values("date", kind="stable")
        if len(rows):
            _write(path, [lines[position] for position in rows.index])


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
    changes = {name: value for name, value in recipe.to_dict().items() if name != "seed" and value != default[name]}
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


def _append(row: dict[str, Any], path: str | Path | None) -> dict[str, Any]:
    path = local() if path is None else Path(path)
    row = {name: _rounded(row.get(name)) for name in COLUMNS}
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(row.values())
    with _locked(path):
        _write(path, [*(_read(path) if path.exists() else []), line.getvalue()])
    return row


def _rounded(value: Any) -> Any:
    """Numbers to six digits. NaN, for the deviation of a single trial, is a missing value."""
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value


def _locked(path: Path) -> FileLock:
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path.with_name(f".{path.name}.lock"))


def _read(path: Path) -> list[str]:
    """The rows of a ledger as they are written, once they have been found in order."""
    header, *lines = path.read_text(encoding="utf-8").splitlines() or [_HEADER]
    if header != _HEADER:
        raise ValueError(
            f"{path} is no ledger of this version, and is left as it is; move it away. Its columns are "
            f"{header[:300]!r}, not {_HEADER!r}"
        )
    for number, line in enumerate(lines, 2):
        if len(next(csv.reader([line]), [])) != len(COLUMNS):
            raise ValueError(f"{path}, line {number} is no row of the ledger; mend or remove it: {line[:200]!r}")
    lines = [line for line in lines if line != _HEADER]  # a merge in git may leave a second one
    try:
        _to_frame(lines)
    except ValueError as error:
        raise ValueError(f"{path} holds a value that does not fit its column: {error}") from error
    return lines


def _write(path: Path, lines: list[str]) -> None:
    checkpoints.write(path, "".join(f"{line}\n" for line in [_HEADER, *lines]).encode())


def _to_frame(lines: Iterable[str]) -> pd.DataFrame:
    text = io.StringIO("\n".join([_HEADER, *lines]))
    missing = {name: [""] for name in COLUMNS if name != "variant"}
    rows = pd.read_csv(text, dtype={**COLUMNS, "date": "str"}, keep_default_na=False, na_values=missing)
    return rows.astype({"date": COLUMNS["date"]})


def _unique(rows: pd.DataFrame, latest: bool = False) -> pd.DataFrame:
    """One row of every run, as :func:`table` says, in their order and with their index."""
    worth = 2 * rows["error"].isna() + (rows["variant"] != "")
    columns = [name for name in KEY if not (latest and name == "code")]
    kept = rows.loc[worth.sort_values(kind="stable").index].drop_duplicates(columns, keep="last")
    return rows.loc[kept.index.sort_values()]
