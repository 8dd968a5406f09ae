"""Measures other than retrieval scores, taken on trained runs and recorded as the ledger's rows are: never typed.

A *measure* is a function of a run and its data set that returns named numbers, such as cosines or probe scores. Each
number is a row of ``runs/measures.csv`` (:func:`record`), which is published with the ledger beside it as
``reidlib/published/measures.csv`` (:func:`reidlib.experiments.ledger.publish`); :func:`table` reads both.

A number that every identity has is a series by pid; its mean is the value of the row, and the row keeps the series
(:func:`by_identity`), so that intervals reach beyond these people. Rows from before there was that column are history.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from reidlib.data import ReIDDataset
from reidlib.experiments import ledger, tables
from reidlib.experiments.records import RUN, describe, without_development
from reidlib.methods import registry
from reidlib.training import runs

COLUMNS = ledger.MEASUREMENTS.columns
Measured = dict[str, float | pd.Series]
Measure = Callable[[runs.Run, ReIDDataset], Measured]
KEY = [*RUN, "measure"]  # rows that agree in these were measured together


def _explained(table: str, values: str = "") -> Measure:
    """``values(table(model, dataset))``, of functions of `reidlib.explain`, which is imported once it is needed."""

    def measure(run: runs.Run, dataset: ReIDDataset) -> Measured:
        from reidlib import explain

        found = getattr(explain, table)(run.model, dataset)
        return getattr(explain, values)(found) if values else found

    return measure


SHARED: dict[str, Measure] = {
    "cameras": _explained("camera_table", "knowledge_values"),
    "focus": _explained("focus_table", "focus_values"),
    "probes": _explained("knowledge_table", "knowledge_values"),
    "attention": _explained("focus_by_identity"),
    "knowledge": _explained("knowledge_by_identity"),
    "modality": _explained("modality_by_identity"),
}
"""Measures of any model that has branches, on test images: how much of the model's maps lies on the person, in each
modality, beside controls, person by person (``attention``) and in all (``focus``); how well every branch tells the
camera within a modality; what probes read from every branch, person by person (``knowledge``) and in all (``probes``),
and how far apart the modalities lie in it (``modality``)."""


def registered() -> dict[str, Measure]:
    """Name → measure: those of any model, and those of each method."""
    return SHARED | {name: measure for _, measures in registry.parts("measures") for name, measure in measures.items()}


def take(run: runs.Run, dataset: ReIDDataset, names: Iterable[str]) -> dict[str, Measured]:
    """Measure → name → value, or a series of values by pid, in the order asked for; nothing is recorded.

    Args:
        run: finished; the model stays as it is.
        dataset: what the run was trained on.
        names: of measures, see :func:`registered`.

    Raises:
        ValueError: an unknown measure (the message lists the known), an unfinished run, another data set than the
            run's, or one of the measures does not apply to the model.
    """
    names = list(names)
    require_known(names)
    ledger.require_finished(run)
    if runs.describe(dataset) != (trained_on := run.environment["dataset"]):
        raise ValueError(f"{run!r} was trained on other data than {dataset.title}: {trained_on}")
    known = registered()
    return {name: known[name](run, dataset) for name in names}


def record(
    run: runs.Run, dataset: ReIDDataset, names: Iterable[str], *, variant: str = "", path: str | Path | None = None
) -> list[dict[str, Any]]:
    """Take measures and add their rows to a table (default: that beside the local ledger); returns the rows.

    Raises:
        ValueError: as :func:`take`; the label is not one printable line; the file is no table of measures of this
            version (it is left untouched).
    """
    path = local() if path is None else Path(path)
    ledger.MEASUREMENTS.read(path)  # complains before anything is computed
    made = {"code": run.environment["code"], "processes": run.environment.get("processes", 1)}
    row = describe(run.recipe, run.environment["dataset"], variant=variant, **made)
    rows = [
        {**row, "measure": measure, "name": name, **_written(value)}
        for measure, values in take(run, dataset, names).items()
        for name, value in values.items()
    ]
    with tables.locked(path):
        return ledger.MEASUREMENTS.append(path, rows)


def table(path: str | Path | None = None, *, latest: bool = False, **filters: Any) -> pd.DataFrame:
    """The published and the local rows together, or those of one file, in the order they were recorded in.

    Of several rows of the same number of the same run one is kept: the last one, with a label if there is one.

    Args:
        path: of a table of measures.
        latest: of the rows that the filters keep, keep those of one version of the code: of the last measured.
        filters: column → the value, or the values, to keep, as in :func:`reidlib.experiments.ledger.table`.

    Raises:
        ValueError: an unknown column (the message lists the known), or a file that is no table of measures.
        FileNotFoundError: there is no file at ``path``.
    """
    rows = ledger.MEASUREMENTS.collect(ledger.files(path, ledger.MEASUREMENTS))
    rows = ledger.MEASUREMENTS.select(without_development(ledger.unique_measures(rows), filters), filters)
    if latest:
        newest = tables.last(rows, [name for name in KEY if name != "code"])[KEY]
        rows = rows.merge(newest, on=KEY)
    return rows.reset_index(drop=True)


def by_identity(text: object) -> pd.Series | None:
    """The values by pid of a row's column ``identities``; ``None`` where that is missing.

    Raises:
        ValueError: the text is not one that :func:`record` writes.
    """
    if not isinstance(text, str):
        return None
    try:
        pairs = dict(each.split(":") for each in text.split(" "))
        return pd.Series({int(pid): float(value) for pid, value in pairs.items()})
    except ValueError:
        raise ValueError(f"the table of measures holds values by identity that are none: {text[:60]!r}") from None


def missing(run_key: Mapping[str, str], names: Iterable[str]) -> list[str]:
    """Those of some measures that are not recorded for a run; its key as of `reidlib.experiments.records.run_key`."""
    names = list(names)
    found = set(table(**run_key)["measure"]) if names else set()
    return [name for name in names if name not in found]


def require_known(names: Iterable[str]) -> None:
    """Raise ``ValueError`` for the name of no measure."""
    known = registered()
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"unknown measure {unknown[0]!r}; choose from: {', '.join(known)}")


def _written(value: float | pd.Series) -> dict[str, float | str | None]:
    """A number, or the mean of one by identity, and that by identity; people without a number are left out."""
    if not isinstance(value, pd.Series):
        return {"value": float(value)}
    known = value.dropna()
    text = " ".join(f"{pid}:{number:.6g}" for pid, number in known.items())
    return {"value": float(known.mean()), "identities": text or None}


def local() -> Path:
    """The table of this machine: ``measures.csv`` in :func:`reidlib.training.runs.home`."""
    return ledger.MEASUREMENTS.beside(ledger.local())
