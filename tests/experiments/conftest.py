"""Records that nobody trained for: runs with the scores of chance, and rows to judge claims by."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
import torch

from reidlib import evaluation, methods, training
from reidlib.data import ReIDDataset
from reidlib.evaluation import protocols
from reidlib.evaluation.protocols import Protocol
from reidlib.experiments import claims, ledger, tables
from reidlib.experiments.records import describe
from reidlib.methods import Recipe
from reidlib.training import runs

DATA = {"name": "twin", "is_twin": True, "twin_version": "1", "profile": "cpu"}
PIDS = (3, 8, 21)


# ---- runs


@pytest.fixture
def recipe() -> Recipe:
    return methods.recipe("baseline", dataset="sysu", profile="screen")


@pytest.fixture
def protocol() -> Protocol:
    return protocols.get("sysu", gallery="agw", num_trials=3)


@pytest.fixture
def record(finished: Callable, imageless: ReIDDataset, recipe: Recipe, protocol: Protocol) -> Callable:
    """``record(variant="", path=None, **changes of the recipe)`` adds a row to the ledger and returns it."""

    def add(variant: str = "", path: Path | None = None, **changes) -> dict:
        return ledger.record(*finished(recipe.replace(**changes), imageless, protocol), variant=variant, path=path)

    return add


@pytest.fixture
def fail(imageless: ReIDDataset, recipe: Recipe, protocol: Protocol) -> Callable:
    """``fail(error, variant="", **changes of the recipe)`` adds the row of a failure and returns it."""

    def add(error: Exception, variant: str = "", **changes) -> dict:
        changed = recipe.replace(**changes)
        return ledger.record_failure(changed, imageless, error, protocol=protocol, variant=variant)

    return add


@pytest.fixture
def dated() -> Callable:
    """``dated(lines, dates)``: rows as they are written, with other dates."""
    return lambda lines, dates: [f"{date}{line[10:]}" for date, line in zip(dates, lines, strict=True)]


# ---- sweeps


@pytest.fixture
def grid() -> dict[str, Recipe]:
    full = methods.recipe("baseline", dataset="sysu", profile="ci").replace(epochs=1, warmup=0)
    return {"full": full, "no neck": full.replace(model={"neck": False})}


@pytest.fixture
def trained(finished: Callable, protocol: Protocol, monkeypatch: pytest.MonkeyPatch) -> list:
    """In place of training: chance results, and a list of what was asked for; a learning rate of 666 fails."""
    asked, made_with = [], {}

    def fit(recipe: Recipe, dataset: ReIDDataset, folder: Path, progress: bool) -> runs.Run:
        asked.append((recipe.model.get("neck", True), recipe.seed, folder, torch.get_num_threads()))
        if recipe.learning_rate == 666:
            raise FloatingPointError("loss is nan")
        run, _ = finished(recipe, dataset, protocol)
        made_with[run.model] = recipe
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "environment.json").write_text(json.dumps(run.environment))
        return run

    monkeypatch.setattr(training, "fit", fit)
    monkeypatch.setattr(evaluation, "evaluate", lambda model, *scored_on: finished(made_with[model], *scored_on)[1])
    return asked


@pytest.fixture
def measured(new_measure) -> list:
    """Two measures, epochs and seed, of which seed 7 makes one fail; a list of what was measured, by seed."""
    asked = []

    def of(name: str) -> Callable:
        def measure(run: runs.Run, dataset: ReIDDataset) -> dict[str, float]:
            asked.append((name, run.recipe.seed))
            if (name, run.recipe.seed) == ("seed", 7):
                raise ZeroDivisionError("no such seed")
            return {name: float(run.epoch if name == "epochs" else run.recipe.seed)}

        return measure

    for name in ("epochs", "seed"):
        new_measure(name, of(name))
    return asked


# ---- claims


@pytest.fixture
def add(own_ledger) -> Callable[..., None]:
    """``add(runs, {variant: scores of seed 0, 1, …})`` records a run for each score: its mAP and rank-1, of all people.

    Variants that are not named get ``other`` in every seed, None: no run.
    """

    def record(
        runs: claims.Runs,
        scores: Mapping[str, Sequence[float]],
        *,
        other: float | None = None,
        split: int | None = None,
        **columns: object,
    ) -> None:
        protocol, entries, people = protocols.get(runs.dataset), [], []
        assert scores.keys() <= runs.variants.keys()
        longest = max(map(len, scores.values()))
        for variant, recipe in runs.variants.items():
            for seed, score in enumerate(scores.get(variant, [] if other is None else [other] * longest)):
                entry = describe(recipe.replace(seed=seed), DATA | {"split": split}, "c" * 16, variant)
                entry |= {"protocol": protocol.name, "reranking": protocol.reranking, "trials": 10}
                entry |= dict.fromkeys(("rank-1", "mAP", "mINP"), score)
                entry |= {
                    "parameters": 1000,
                    "epochs": recipe.epochs,
                    "step_seconds": 0.2,
                    "device": "cpu",
                    "processes": 1,
                }
                entries.append(entry | {"threads": 1} | columns)
                key = {name: entries[-1][name] for name in ledger.KEY}
                people += [{**key, "pid": pid, "queries": 2, "rank-1": score, "mAP": score} for pid in PIDS]
        with tables.locked(own_ledger):
            ledger.LEDGER.append(own_ledger, entries)
            ledger.IDENTITIES.append(ledger.IDENTITIES.beside(own_ledger), people)

    return record


@pytest.fixture
def measure(own_ledger) -> Callable[..., None]:
    """``measure(runs, "relay", {variant: {name: values of seed 0, 1, …}})`` records them."""

    def record(
        runs: claims.Runs,
        name: str,
        values: Mapping[str, Mapping[str, Sequence[float]]],
        *,
        split: int | None = None,
        **columns: object,
    ) -> None:
        rows = []
        for variant, named in values.items():
            for what, several in named.items():
                for seed, value in enumerate(several):
                    recipe = runs.variants[variant].replace(seed=seed)
                    row = describe(recipe, DATA | {"split": split}, "c" * 16, variant) | columns
                    people = None if split else " ".join(f"{pid}:{value + pid / 1e4}" for pid in PIDS)
                    rows.append(row | {"measure": name, "name": what, "value": value, "identities": people})
        file = ledger.MEASUREMENTS.beside(own_ledger)
        with tables.locked(file):
            ledger.MEASUREMENTS.append(file, rows)

    return record
