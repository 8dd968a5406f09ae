"""Measures other than retrieval scores, taken on trained runs and recorded as the ledger's rows are: never typed.

A *measure* is a function of a run and its data set that returns named numbers, such as cosines or probe scores. Each
number is a row of ``runs/measures.csv`` (:func:`record`), which is published with the ledger beside it as
``figures/measures.csv`` (:func:`reidlib.ledger.publish`); :func:`table` reads both.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from reidlib import ledger, runs, tables
from reidlib.data import ReIDDataset
from reidlib.records import RUN, describe

COLUMNS = ledger.MEASURE_COLUMNS
KEY = [*RUN, "measure"]  # rows that agree in these were measured together


def relay(run: runs.Run, dataset: ReIDDataset) -> dict[str, float]:
    """How near both modalities come to the proxies, and to each other: see `reidlib.explain.relay_values`.

    A MAUM that has both kinds of proxies, and does not learn those of each modality, is asked for the shared ones.
    """
    from reidlib import explain

    weights = run.recipe.loss_weights
    shared = weights.get("shared", 0) > 0 and weights.get("proxy", 0) == 0
    return explain.relay_values(explain.relay_table(run.model, dataset, run.pids, shared=shared))


def focus(run: runs.Run, dataset: ReIDDataset) -> dict[str, float]:
    """How much of its maps lies on the person, in each modality, beside controls: `reidlib.explain.focus_values`."""
    from reidlib import explain

    return explain.focus_values(explain.focus_table(run.model, dataset))


def probes(run: runs.Run, dataset: ReIDDataset) -> dict[str, float]:
    """What linear probes read from every branch on test images: see `reidlib.explain.knowledge_values`."""
    from reidlib import explain

    return explain.knowledge_values(explain.knowledge_table(run.model, dataset))


def cameras(run: runs.Run, dataset: ReIDDataset) -> dict[str, float]:
    """How well every branch tells the camera, within a modality: `reidlib.explain.camera_table`, named as in probes."""
    from reidlib import explain

    return explain.knowledge_values(explain.camera_table(run.model, dataset))


def hinges(run: runs.Run, dataset: ReIDDataset) -> dict[str, float]:
    """Shares (0-1) of the hinges of IDKL's purifier that were above zero in training; NaN for a model without it."""
    if getattr(run.model, "hinges", None) is None:
        return {"entropy": math.nan, "centroid": math.nan}
    return run.model.active_hinges


def auxiliary(run: runs.Run, dataset: ReIDDataset) -> dict[str, float]:
    """What auxiliary images show, and whether they lie between photos and sketches: `reidlib.explain.auxiliary_values`.

    On test identities: distances on all their images, gradients (of a twin) on up to 100 of their photos, evenly drawn.
    A model that draws nothing has the values that need no drawing: for comparison.
    """
    from reidlib import explain

    gradients, photos = None, dataset.rows("test", modality=0)
    if dataset.is_twin:
        some = photos[np.linspace(0, len(photos) - 1, min(100, len(photos))).round().astype(int)]
        gradients = explain.gradient_table(run.model, dataset, some)
    return explain.auxiliary_values(explain.distance_table(run.model, dataset), gradients)


MEASURES: dict[str, Callable[[runs.Run, ReIDDataset], dict[str, float]]] = {
    "auxiliary": auxiliary,
    "cameras": cameras,
    "focus": focus,
    "hinges": hinges,
    "probes": probes,
    "relay": relay,
}


def take(run: runs.Run, dataset: ReIDDataset, names: Iterable[str]) -> dict[str, dict[str, float]]:
    """Measure → name → value, in the order asked for; nothing is recorded.

    Args:
        run: finished; the model stays as it is.
        dataset: what the run was trained on.
        names: keys of ``MEASURES``.

    Raises:
        ValueError: an unknown measure (the message lists the known), an unfinished run, another data set than the
            run's, or one of the measures does not apply to the model.
    """
    names = list(names)
    require_known(names)
    ledger.require_finished(run)
    if runs.describe(dataset) != (trained_on := run.environment["dataset"]):
        raise ValueError(f"{run!r} was trained on other data than {dataset.title}: {trained_on}")
    return {name: MEASURES[name](run, dataset) for name in names}


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
    row = describe(run.recipe, run.environment["dataset"], run.environment["code"], variant)
    rows = [
        {
            column: tables.rounded({**row, "measure": measure, "name": name, "value": float(value)}.get(column))
            for column in COLUMNS
        }
        for measure, values in take(run, dataset, names).items()
        for name, value in values.items()
    ]
    with tables.locked(path):
        ledger.MEASUREMENTS.append(path, rows)
    return rows


def table(path: str | Path | None = None, *, latest: bool = False, **filters: Any) -> pd.DataFrame:
    """The published and the local rows together, or those of one file, in the order they were recorded in.

    Of several rows of the same number of the same run one is kept: the last one, with a label if there is one.

    Args:
        path: of a table of measures.
        latest: of the rows that the filters keep, keep those of one version of the code: of the last measured.
        filters: column → the value, or the values, to keep, as in :func:`reidlib.ledger.table`.

    Raises:
        ValueError: an unknown column (the message lists the known), or a file that is no table of measures.
        FileNotFoundError: there is no file at ``path``.
    """
    if path is not None and not Path(path).exists():
        raise FileNotFoundError(f"there is no table of measures {path}")
    files = [ledger.measure_file(ledger.PUBLISHED), local()] if path is None else [Path(path)]
    rows = ledger.unique_measures(ledger.MEASUREMENTS.collect(files))
    rows = ledger.MEASUREMENTS.select(rows, filters)
    if latest:
        newest = tables.last(rows, [name for name in KEY if name != "code"])[KEY]
        rows = rows.merge(newest, on=KEY)
    return rows.reset_index(drop=True)


def missing(run_key: Mapping[str, str], names: Iterable[str]) -> list[str]:
    """Those of some measures that are not recorded for a run; its key as :func:`reidlib.records.run_key` gives it."""
    names = list(names)
    found = set(table(**run_key)["measure"]) if names else set()
    return [name for name in names if name not in found]


def require_known(names: Iterable[str]) -> None:
    """Raise ``ValueError`` for the name of no measure."""
    if unknown := [name for name in names if name not in MEASURES]:
        raise ValueError(f"unknown measure {unknown[0]!r}; choose from: {', '.join(MEASURES)}")


def local() -> Path:
    """The table of this machine: ``measures.csv`` in :func:`reidlib.runs.home`."""
    return ledger.measure_file(ledger.local())
