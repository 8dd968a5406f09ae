"""Is a trained network worth looking into? Where it looks, and how much all its maps have in common, with intervals.

``measure("baseline-regime")`` asks the runs of a study that lie on this machine, on people of the development twin;
``publish`` writes that to ``reidlib/published/attention.csv``, from which `docs/regime.md` has its table. Beside them
stand networks that nothing has trained: of random weights, and of the pretrained trunk that they started with.

Reconstructed (ours): the numbers, see `reidlib.explain.by_identity` and `reidlib.networks.health`.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from reidlib import data, methods
from reidlib.data import ReIDDataset
from reidlib.experiments import ledger, records, studies, tables
from reidlib.experiments.evidence import Evidence, crossed, resampled
from reidlib.explain import by_identity, embedding
from reidlib.explain.common import common_table
from reidlib.explain.focus import MODALITIES
from reidlib.networks import ReIDModel
from reidlib.training import runs

PUBLISHED = Path(__file__).resolve().parent.parent / "published" / "attention.csv"
MAPS = ("Grad-CAM", by_identity.CENTRED, "occlusion", "uniform")
COMMON = "common share"
UNTRAINED = {"untrained, random weights": None, "untrained, pretrained trunk": "twin"}
COLUMNS = {
    "date": "datetime64[ns]",
    **dict.fromkeys(("study", "trial", "dataset", "source", "profile", "name", "modality"), "str"),
    **dict.fromkeys(("value", "low", "high"), "float64"),  # 0-1, with the 95 % interval over runs and people
    **dict.fromkeys(("runs", "people", "images"), "int64"),
    **dict.fromkeys(("recipes", "code"), "str"),
}
FORMAT = tables.Format("table of attention", COLUMNS, PUBLISHED.name)


def rows(path: str | Path | None = None) -> pd.DataFrame:
    """What is published: a row for each network of a study, number and modality; none if there is no table."""
    return FORMAT.collect([PUBLISHED if path is None else Path(path)])


def measure(
    study: str = "baseline-regime", *, dataset: str = "sysu", profile: str = "cpu", seeds: Sequence[int] = range(5)
) -> pd.DataFrame:
    """A row for every variant that has runs here, and number: an image of everybody in each modality is looked at.

    ``value`` of ``"Grad-CAM"``, ``"centred Grad-CAM"``, ``"occlusion"`` and ``"uniform"`` is the share of the map's
    energy on the true person: the uniform map says what a look at nothing would have. ``"common share"``: of the energy
    of the last maps, what is the same in all images (:func:`reidlib.networks.health.common_share`).

    Returns:
        Columns ``COLUMNS``; ``low`` and ``high`` over runs and people, of the common share over runs alone.

    Raises:
        ValueError: no variant of the study was trained here on that development twin.
    """
    development = data.open(dataset, twin=f"{profile}/development")
    images = embedding.sample_rows(development, per_modality=1)
    of, lines = studies.get(study, dataset=dataset, profile=profile), []
    found = {label: _runs(recipe, development, seeds) for label, recipe in of.items()}
    if not any(found.values()):
        command = f"reidlib sweep {study} --dataset {dataset} --profile {profile} --twin {profile}/development"
        raise ValueError(f"no run of {study} on that development twin lies here; make them: {command}")
    source = records.source(dataset, runs.describe(development))
    place = {"study": study, "dataset": dataset, "profile": profile, "source": source}
    for label, several in found.items():
        if several:
            lines += _lines([run.model for run in several], development, images, place | _of(label, several))
    first = next(several for several in found.values() if several)
    for label, weights in UNTRAINED.items():
        lines += _lines([_untrained(run, weights) for run in first], development, images, place | _of(label, first))
    return pd.DataFrame(lines, columns=list(COLUMNS))


def publish(path: str | Path | None = None, **of: object) -> int:
    """Write what :func:`measure` finds, in the place of what was published of that study before; how many rows.

    Raises:
        FileNotFoundError: there is no clone around this package to publish in.
    """
    if path is None:
        ledger.require_clone()
    found, path = measure(**of), PUBLISHED if path is None else Path(path)
    same = {name: found[name].iloc[0] for name in ("study", "dataset", "profile")}
    with tables.locked(path):
        FORMAT.append(path, found.to_dict("records"), instead_of=same)
    return len(found)


def _runs(recipe: methods.Recipe, dataset: ReIDDataset, seeds: Sequence[int]) -> list[runs.Run]:
    several = (studies.trained({"": recipe}, dataset, seed=seed).get("") for seed in seeds)
    return [run for run in several if run]


def _of(label: str, several: list[runs.Run]) -> dict[str, object]:
    codes = " ".join(sorted({run.environment["code"] for run in several}))
    digests, today = " ".join(run.recipe.digest for run in several), datetime.now(UTC).date().isoformat()
    return {"date": today, "trial": label, "runs": len(several), "recipes": digests, "code": codes}


def _untrained(run: runs.Run, weights: str | None) -> ReIDModel:
    """The network of a run before its first step, from other weights; the global generator stays as it is."""
    recipe = run.recipe
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        options = {**recipe.model, "weights": weights}
        model = methods.build(recipe.method, num_ids=len(run.pids), backbone=recipe.backbone, **options)
    model.image_size = (recipe.height, recipe.width)
    return model.eval()


def _lines(models: list[ReIDModel], dataset: ReIDDataset, images: np.ndarray, place: dict) -> list[dict]:
    """The rows of one variant: every number in each modality."""
    focus = [by_identity.focus_by_identity(model, dataset, images) for model in models]
    common = [common_table(model, dataset, images, branches=model.branches[:1]) for model in models]
    lines = []
    for number, modality in enumerate(MODALITIES):
        found: dict[str, Evidence] = {}
        for name in MAPS:
            scores = pd.concat([each[f"energy, {name}, {modality}"] for each in focus], axis=1).to_numpy().T
            found[name] = crossed(scores[None], np.full(scores.shape, 1 / scores.shape[1]))
        shares = [table.loc[table["modality"] == number, "common"].iloc[0] for table in common]
        found[COMMON] = resampled(shares, 0.0, scores.shape[1])
        for name, each in found.items():
            values = {"value": each.difference, "low": each.low, "high": each.high}
            counted = {"people": scores.shape[1], "images": len(images) // len(MODALITIES)}
            lines.append(place | values | counted | {"name": name, "modality": modality})
    return lines
