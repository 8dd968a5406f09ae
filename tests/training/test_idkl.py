"""IDKL in the training loop: it resumes, every component is a switch or a weight, recipes execute."""

import numpy as np
import pytest
import torch

import reidlib
from reidlib import evaluation, methods, profiles, training
from reidlib.data import Augmentation, ReIDDataset
from reidlib.experiments import studies
from reidlib.methods import Recipe
from reidlib.methods.idkl import recipes as own
from reidlib.methods.idkl.losses import released_weights
from reidlib.methods.idkl.model import CONFUSERS
from reidlib.methods.idkl.studies import OF_STREAMS
from reidlib.training import runs

DATASETS = ("sysu", "regdb", "llcm")


@pytest.mark.slow
def test_stopped_and_resumed_equals_uninterrupted(idkl: Recipe, dataset: ReIDDataset, same_weights, tmp_path) -> None:
    def fit(folder: str, **options) -> runs.Run:
        return training.fit(idkl, dataset, tmp_path / folder, progress=False, **options)

    whole, halfway = fit("whole"), fit("parts", stop_after=2)
    counted = halfway.model.hinges[:, 1].tolist()
    assert counted == [24 * 16, 24 * 4], "images and identities of two epochs of twelve steps"
    resumed = fit("parts")
    assert resumed.finished and same_weights(resumed.model, whole.model)
    assert resumed.model.hinges[:, 1].tolist() == [2 * number for number in counted]
    losses = [name for name in whole.history if name.startswith("loss")]
    assert resumed.history[losses].equals(whole.history[losses]) and len(losses) == 11
    assert same_weights(runs.load(tmp_path / "parts").model, whole.model)


def test_released_preset_trains_on_the_batches_of_the_sampler(idkl: Recipe, dataset: ReIDDataset, tmp_path) -> None:
    run = training.fit(own.released(idkl).replace(epochs=2), dataset, tmp_path / "run", progress=False)
    assert run.model.preset == "released" and np.isfinite(run.history["loss"]).all()
    assert run.model.confusion == "pseudo-label"


LADDER = {
    name: {part: value for part, value in changes.items() if part != "method"}
    for name, changes in studies.registered()["idkl-ladder"].variants.items()
    if changes and name != "+ MDR"
}
SWITCHES = [
    *({"model": {"confuser": confuser}} for confuser in CONFUSERS),
    {"model": {"detach_teacher": True}},
    {"model": {"graph_alignment": 0.0}},
    {"model": {"purifier_margin": 0.1}},
    {"model": {"preset": "released"}},
]


@pytest.mark.parametrize("changes", [*LADDER.values(), *SWITCHES], ids=[*LADDER, *map(str, SWITCHES)])
def test_every_ablation_is_a_changed_weight_or_switch(idkl: Recipe, dataset: ReIDDataset, tmp_path, changes) -> None:
    run = training.fit(idkl.replace(**changes, epochs=1), dataset, tmp_path / "run", progress=False)
    assert run.finished and np.isfinite(run.history["loss"]).all()


def test_an_idle_stream_changes_nothing_in_the_other(idkl: Recipe, dataset: ReIDDataset, tmp_path) -> None:
    idle = idkl.replace(loss_weights=dict.fromkeys(OF_STREAMS, 0.0), epochs=1)
    alone = idle.replace(**LADDER["B"])
    with_it, without = (
        training.fit(recipe, dataset, tmp_path / name, progress=False)
        for name, recipe in (("idle", idle), ("alone", alone))
    )
    for name in ("loss.identity", "loss.triplet"):
        np.testing.assert_allclose(with_it.history[name], without.history[name], rtol=1e-4)
    kept = with_it.model.state_dict()
    torch.testing.assert_close(
        {name: kept[name] for name in without.model.state_dict()},
        dict(without.model.state_dict()),
        rtol=1e-3,
        atol=1e-4,
    )


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("profile", ["ci", "screen", "cpu", "gpu"])
def test_budget_is_that_of_the_baseline(dataset: str, profile: str) -> None:
    idkl, baseline = (methods.recipe(method, dataset=dataset, profile=profile) for method in ("idkl", "baseline"))
    shared = {name: value for name, value in idkl.to_dict().items() if name not in ("method", "model", "loss_weights")}
    assert shared == {name: baseline.to_dict()[name] for name in shared}


def test_paper_recipe_is_that_of_the_released_code() -> None:
    expected = {
        **{"backbone": "resnet50", "weights": "imagenet", "images": 5, "epochs": 160, "validation_share": 0},
        **{"learning_rate": 3.5e-4, "weight_decay": 5e-3, "schedule": "step", "warmup": 0, "milestones": (55, 95)},
        **{"augmentation": Augmentation(flip=0.5, pad=10, pad_value="mean", erase=0.5), "backbone_rate": 1},
        **{"optimizer": "adam", "epoch": "pairs"},
    }
    sizes = {"sysu": (384, 144, 12), "regdb": (256, 128, 6), "llcm": (384, 144, 12)}
    for dataset, size in sizes.items():
        recipe = methods.recipe("idkl", dataset=dataset, profile="paper")
        assert {name: getattr(recipe, name) for name in expected} == expected
        assert (recipe.height, recipe.width, recipe.identities) == size
        weights = dict(recipe.loss_weights)
        chosen = {name: weights.pop(name) for name in ("purifier", "tgsa", "csa", "mdr")}
        assert len(weights) == 6 and set(weights.values()) == {1}
        regdb = dataset == "regdb"
        assert chosen == {"purifier": 0.1, "tgsa": 0 if regdb else 0.6, "csa": 0.3 if regdb else 0.8, "mdr": 1}
        assert recipe.model == {"graph_alignment": 0 if regdb else 1, "triplet": "batch-hard"}
        assert own.released(recipe) == recipe.replace(model={"preset": "released"})


@pytest.mark.parametrize("dataset", DATASETS)
def test_on_twins_weights_are_those_released_and_the_triplet_is_the_baseline_s(dataset: str) -> None:
    full, *others = (
        methods.recipe("idkl", dataset=dataset, profile=name) for name in ("paper", "ci", "screen", "cpu", "gpu")
    )
    for recipe in others:
        assert dict(recipe.loss_weights) == dict(full.loss_weights)
        assert recipe.model == {**full.model, "triplet": "weighted"}, "as the baseline's"


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("profile", profiles.PROFILES)
def test_released_recipe_has_the_weights_of_its_batch(dataset: str, profile: str) -> None:
    recipe = own.released(methods.recipe("idkl", dataset=dataset, profile=profile))
    weights, graphs = released_weights(2 * recipe.identities * recipe.images), dataset != "regdb"
    assert recipe.model["preset"] == "released" and recipe.model["triplet"] == "batch-hard"
    assert recipe.model["graph_alignment"] == graphs * weights.tgsa_intra
    named = {"tgsa": graphs * weights.tgsa_distil, "csa": weights.csa_distil, "purifier": 0.1, "mdr": 1.0}
    assert {name: recipe.loss_weights[name] for name in named} == named
    assert weights.csa_intra == 1.0 and weights.purifier == 0.1


@pytest.mark.integration
@pytest.mark.parametrize("name", DATASETS)
def test_notebook_profile_runs_on_the_twin(twin, name: str) -> None:
    dataset = reidlib.data.open(name, root=twin(name), **({"split": 1} if name == "regdb" else {}))
    run = training.fit(methods.recipe("idkl", dataset=name, profile="ci"), dataset, progress=False)
    assert run.finished and len(run.validation) == 3 and 0 <= run.model.active_hinges["entropy"] <= 1
    result = evaluation.evaluate(run.model, dataset, evaluation.protocols.get(name))
    assert result.is_twin and 0 < result.mean_average_precision <= 1
