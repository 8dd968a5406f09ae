"""Budgets: whatever is to be compared has the same one, on twins and where each method has its own."""

import json
from dataclasses import fields, replace

import numpy as np
import pytest

from reidlib import methods
from reidlib.experiments import budget, claims, ledger, studies, tables
from reidlib.experiments.budget import unequal
from reidlib.experiments.comparison import compare
from reidlib.experiments.part import METRICS, Part
from reidlib.experiments.records import describe
from reidlib.methods import Recipe

PROFILES = ("screen", "cpu", "paper")
OWN = {"sysu": ("maum", "fienet", "idkl"), "pku-sketch": ("dalnet",)}
COMPARISONS = [(dataset, name) for dataset, several in OWN.items() for name in several]
PARTS = claims.parts()
SCARCE = ("M3", "D3")  # of scarce images there are fewer steps, on purpose
SHOWN = ("D0g", "D0h")  # photos shown in another way are what is asked about
DATA = {"name": "twin", "is_twin": True, "twin_version": "1", "profile": "cpu", "split": None}


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize(
    "part", [part for part in PARTS.values() if part.measure in METRICS], ids=lambda part: part.name
)
def test_both_sides_of_a_part_may_be_compared(part: Part, profile: str) -> None:
    variants = replace(part.runs, profile=profile).variants
    first, *others = (variants[term.variant] for term in part.terms)
    allowed = {"epochs"} if part.equal == "time" else {"subsample"} if part.name.startswith(SCARCE) else set()
    allowed |= {"augmentation"} if part.name in SHOWN else set()
    for other in others:
        assert unequal(first, other).keys() <= allowed


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize(("dataset", "name"), COMPARISONS)
def test_all_of_a_comparison_may_be_compared(dataset: str, name: str, profile: str) -> None:
    method = methods.get(name)
    for study in filter(None, (method.comparison, method.lengths, f"{name}-ladder")):
        grid = studies.get(study, dataset=dataset, profile=profile)
        ours = methods.recipe(name, dataset=dataset, profile=profile)
        for label, recipe in grid.items():
            longer = "epochs" in unequal(recipe, ours)
            assert unequal(recipe, ours).keys() <= {"epochs"}, label
            assert not longer or "longer" in label or "×" in label, label
            assert (recipe.optimizer, recipe.learning_rate) == (ours.optimizer, ours.learning_rate), label


@pytest.mark.parametrize(("dataset", "name"), COMPARISONS)
def test_in_paper_the_baseline_has_the_budget_of_its_method(dataset: str, name: str) -> None:
    method, plain = methods.get(name), methods.recipe("baseline", dataset=dataset, profile="paper")
    ours = methods.recipe(name, dataset=dataset, profile="paper")
    assert "epochs" in unequal(plain, ours), "the recipe of AGW cannot be compared with it"
    grid = studies.get(method.comparison, dataset=dataset, profile="paper")
    baseline, longer = grid["baseline"], grid["baseline, trained longer"]
    assert (baseline.model, baseline.loss_weights) == (plain.model, plain.loss_weights)
    for field in budget.GIVEN:
        assert getattr(baseline, field) == getattr(ours, field), field
    study = methods.get(name).part("studies")[method.comparison]
    ratio = study.variants["baseline, trained longer"]["time"]
    assert longer.epochs == round(ratio * ours.epochs) > ours.epochs and longer.height == ours.height


def test_a_counterpart_has_all_that_a_comparison_wants_equal() -> None:
    assert set(budget.TRAINING) - {"subsample"} <= set(budget.GIVEN) <= {field.name for field in fields(Recipe)}
    model = {"method", "dataset", "profile", "shape", "seed", "backbone", "model", "loss_weights", "subsample"}
    assert {field.name for field in fields(Recipe)} - set(budget.GIVEN) == model


def test_what_differs_is_named_with_both_values() -> None:
    idkl, baseline = (methods.recipe(name, profile="paper") for name in ("idkl", "baseline"))
    found = unequal(idkl, baseline)
    assert found["height"] == (384, 288) and found["epoch"] == ("pairs", "images")
    assert found["augmentation"][0]["erase"] == 0.5 and found.keys() <= set(budget.TRAINING)
    assert unequal(idkl, idkl.replace(seed=3, learning_rate=1, model={"dual": False})) == {}


@pytest.fixture
def row(own_ledger):
    """``row(variant, recipe, score)`` records runs of two seeds and gives their rows."""

    def record(variant: str, recipe: Recipe, score: float):
        for seed in (0, 1):
            entry = describe(recipe.replace(seed=seed), DATA, "c" * 16, variant)
            entry |= {"protocol": "p", "reranking": "none", "trials": 10, "parameters": 1000, "step_seconds": 0.2}
            entry |= {"mAP": score, "rank-1": score, "epochs": recipe.epochs, "device": "cpu", "threads": 1}
            person = {name: entry[name] for name in ledger.KEY} | {"queries": 2, "rank-1": score, "mAP": score}
            with tables.locked(own_ledger):
                ledger.LEDGER.append(own_ledger, [entry])
                ledger.IDENTITIES.append(ledger.IDENTITIES.beside(own_ledger), [person | {"pid": n} for n in (3, 8)])
        return ledger.table(own_ledger, variant=variant)

    return record


@pytest.mark.parametrize(("dataset", "name"), COMPARISONS)
def test_compare_takes_runs_of_the_paper_profile(dataset: str, name: str, row) -> None:
    grid = studies.get(methods.get(name).comparison, dataset=dataset, profile="paper")
    ours = next(
        label for label, recipe in grid.items() if recipe == methods.recipe(name, dataset=dataset, profile="paper")
    )
    rows = {label: row(label, grid[label], 0.5) for label in ("baseline", "baseline, trained longer")}
    mine, plain = (
        row(ours, grid[ours], 0.6),
        row("AGW", methods.recipe("baseline", dataset=dataset, profile="paper"), 0.4),
    )
    assert compare(mine, rows["baseline"]).differences["mAP"] == pytest.approx(0.1)
    longer = compare(mine, rows["baseline, trained longer"], allow=("epochs",))
    assert longer.allowed.keys() == {"epochs"}
    with pytest.raises(ValueError, match=r"do not have the same budget: .*epochs is"):
        compare(mine, plain)


def test_another_length_of_the_epoch_is_another_budget_and_is_recorded(row) -> None:
    usual = methods.recipe("idkl", profile="paper")
    other = usual.replace(epoch="images")
    assert "epoch" not in other.to_dict() and Recipe.from_json(other.to_json()) == other != usual
    assert json.loads(describe(other, DATA, "c" * 16, "")["changes"]) == {"epoch": "images"}
    assert json.loads(describe(usual, DATA, "c" * 16, "")["changes"]) == {}
    a, b = row("pairs", usual, 0.5), row("images", other, 0.5)
    assert ledger.recipe(b.iloc[0].to_dict()) == other
    with pytest.raises(ValueError, match="epoch is 'pairs' in a, 'images' in b"):
        compare(a, b)


def test_recipes_of_twins_do_not_say_how_long_an_epoch_is() -> None:
    """So that their digests are what they were before there was a choice."""
    for name in methods.names():
        dataset = next(iter(methods.get(name).recipes))
        for profile in ("ci", "screen", "cpu", "gpu"):
            recipe = methods.recipe(name, dataset=dataset, profile=profile)
            assert "epoch" not in recipe.recorded() and recipe.optimizer == "adamw", (name, profile)
            assert recipe.digest == recipe.replace(epoch="images").digest != recipe.replace(epoch="pairs").digest
    assert np.unique([methods.recipe("idkl", profile=name).epoch for name in PROFILES]).tolist() == ["images", "pairs"]
