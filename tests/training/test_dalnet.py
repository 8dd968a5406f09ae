"""DALNet in the training loop: it resumes, its switches train, its recipes execute on twins of all shapes."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import reidlib
from reidlib import evaluation, methods, profiles, training
from reidlib.data import Augmentation, ReIDDataset
from reidlib.data.registry import READERS
from reidlib.methods import Recipe
from reidlib.methods.dalnet.auxiliary import KINDS
from reidlib.methods.dalnet.explain import drawings, foreground_maps, overlaps
from reidlib.methods.dalnet.recipes import RECIPES
from reidlib.training import runs


def open_twin(twin: Callable[..., Path], name: str) -> ReIDDataset:
    return reidlib.data.open(name, root=twin(name), **({"split": 1} if READERS[name].splits else {}))


@pytest.mark.slow
def test_stopped_and_resumed_equals_uninterrupted(dalnet: Recipe, dataset: ReIDDataset, same_weights, tmp_path) -> None:
    def fit(folder: str, **options) -> runs.Run:
        return training.fit(dalnet.replace(epochs=2), dataset, tmp_path / folder, progress=False, **options)

    whole, halfway = fit("whole"), fit("parts", stop_after=1)
    assert halfway.epoch == 1
    resumed = fit("parts")
    assert resumed.finished and same_weights(resumed.model, whole.model), "weights and both sets of running statistics"
    losses = [name for name in whole.history if name.startswith("loss")]
    assert len(losses) == 8 and resumed.history[losses].equals(whole.history[losses])
    loaded = runs.load(tmp_path / "parts").model
    assert same_weights(loaded, whole.model) and loaded.generator.refiner.mean.abs().sum() > 0


WITHOUT_GENERATOR = {"style": None, "structure": None, "mask": None}


@pytest.mark.slow  # all of them together
@pytest.mark.parametrize(
    "changes",
    [
        *({"loss_weights": {name: 0.0}} for name in ("triplet", "intra", "cross", "style", "structure", "mask")),
        *({"model": {"auxiliary": kind}, "loss_weights": WITHOUT_GENERATOR} for kind in KINDS[1:]),
        {"model": {"clean": False}, "loss_weights": {"mask": None}},
        {"model": {"refine": False}, "loss_weights": {"style": None, "structure": None}},
        {"model": {"attention": False}},
        {"model": {"shared_from": 0}},
        {"model": {"intra_metric": "batch-hard"}},
        {"model": {"margin": 0.4, "gamma": 128.0}},
        {"model": {"triplet": "weighted"}, "loss_weights": {"intra": 0.0}},
        {"model": {"triplet": None}, "loss_weights": {"triplet": None}},
    ],
    ids=lambda changes: "-".join(map(str, [*changes.get("model", {}).values(), *changes.get("loss_weights", {})])),
)
def test_every_ablation_is_a_changed_weight_or_switch(dalnet: Recipe, dataset: ReIDDataset, tmp_path, changes) -> None:
    run = training.fit(dalnet.replace(**changes, epochs=1), dataset, tmp_path / "run", progress=False)
    assert run.finished and np.isfinite(run.history["loss"]).all()


def test_recipes_have_the_budget_of_the_baseline_on_twins() -> None:
    assert set(methods.get("dalnet").recipes) == set(RECIPES)
    for dataset in RECIPES:
        assert methods.recipe("baseline", dataset=dataset, profile="screen").augmentation.erase == 0
        for profile in profiles.PROFILES.keys() - {"paper"}:
            own, other = (methods.recipe(method, dataset=dataset, profile=profile) for method in ("dalnet", "baseline"))
            same = {name: getattr(other, name) for name in ("method", "model", "loss_weights")}
            assert Recipe.from_dict({**own.to_dict(), **same, "model": dict(same["model"])}) == other


def test_paper_recipe_has_the_input_of_the_baseline() -> None:
    for dataset in RECIPES:
        own, other = (methods.recipe(method, dataset=dataset, profile="paper") for method in ("dalnet", "baseline"))
        shared = ("backbone", "weights", "height", "width", "identities", "images", "validation_share", "augmentation")
        assert {name: getattr(own, name) for name in shared} == {name: getattr(other, name) for name in shared}
        assert own.augmentation == Augmentation(flip=0.5, pad=10) and own.optimizer == "adamw"


@pytest.mark.integration
@pytest.mark.parametrize("name", ["pku-sketch", "shoe"])
def test_notebook_profile_runs_on_the_twin(twin, name: str) -> None:
    dataset = open_twin(twin, name)
    run = training.fit(methods.recipe("dalnet", dataset=name, profile="ci"), dataset, progress=False)
    assert run.finished and np.isfinite(run.history["loss"]).all() and len(run.validation)
    learned = dict(run.model.generator.named_parameters())
    assert (learned["xdog.change"] != 0).all() and learned["refiner.decoder.2.weight"].abs().min() > 0
    result = evaluation.evaluate(run.model, dataset, evaluation.protocols.get(name))
    assert 0 < result.mean_average_precision <= 1
    photos = dataset.images(*run.model.image_size).tensor(np.flatnonzero(dataset.frame["modality"] == 0)[:4])
    panel = run.model.panel(reidlib.data.normalise(photos))
    assert panel["auxiliary"].shape == (4, 1, *run.model.image_size) and panel["auxiliary"].isfinite().all()


@pytest.mark.slow
@pytest.mark.integration
def test_after_training_drawings_show_the_person_and_nothing_else(twin, tmp_path) -> None:
    """The true masks of the twin judge; no model has seen them. The numbers in brackets are those of a DALNet whose
    refiner shuffled pixels and whose mask was to equal its guess."""
    dataset = open_twin(twin, "pku-sketch")
    model = training.fit(methods.recipe("dalnet", dataset="pku-sketch", profile="ci"), dataset, tmp_path).model
    photos, sketches = (dataset.rows("test", modality=modality) for modality in (0, 1))
    steps = drawings(model, dataset, photos, sketches[np.arange(len(photos)) % len(sketches)])
    maps = foreground_maps(dataset, photos, *model.image_size, model)
    true, found = maps["truth"] > 0.5, steps["mask"]
    overlap = overlaps(maps).groupby("map")["overlap"].mean()
    assert overlap["learned"] > max(0.62, overlap["ellipse"])  # (0.49)
    assert found[true].mean() > 0.7 and found[~true].mean() < 0.2  # (0.59, 0.46)
    ink, edges = 1 - steps["auxiliary"], 1 - steps["edges"]
    assert ink[~true].mean() < 0.12 * ink[true].mean()  # (0.18)
    assert ink[true].mean() > 0.05, "there is a drawing"
    for axis in (1, 2):  # neighbours differ no more than in the edges: no stripes
        assert np.square(np.diff(ink, axis=axis)).mean() < np.square(np.diff(edges, axis=axis)).mean()


@pytest.mark.integration
def test_one_sketch_of_each_identity_trains_stably(twin) -> None:
    """PKU-Sketch has one sketch a person, so that no two sketches of a batch are a positive pair of their own."""
    dataset = open_twin(twin, "pku-sketch")
    sketches = dataset.frame[dataset.frame["modality"] == 1]
    assert (sketches.groupby("pid").size() == 1).all()
    recipe = methods.recipe("dalnet", dataset="pku-sketch", profile="ci")
    run = training.fit(
        recipe.replace(images=1, identities=8, epochs=6, warmup=1, validate_every=6), dataset, progress=False
    )
    terms = run.history.filter(like="loss")
    assert np.isfinite(terms).all(axis=None) and terms["loss.intra"].iloc[-1] < terms["loss.intra"].iloc[0]
