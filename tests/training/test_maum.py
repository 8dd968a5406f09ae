"""MAUM in the training loop: epochs are counted, the memory is saved and goes on, recipes execute."""

from pathlib import Path

import numpy as np
import pytest
import torch

import reidlib
from reidlib import methods, training
from reidlib.data import PKSampler, ReIDDataset
from reidlib.methods import Recipe
from reidlib.training import runs
from reidlib.training.validation import split


@pytest.mark.slow
def test_stopped_and_resumed_equals_uninterrupted(maum: Recipe, dataset: ReIDDataset, same_weights, tmp_path) -> None:
    def fit(folder: str, **options) -> runs.Run:
        return training.fit(maum, dataset, tmp_path / folder, progress=False, **options)

    whole, halfway = fit("whole"), fit("parts", stop_after=2)
    assert (halfway.model.epoch, halfway.model.memory_filled) == (1, 3)  # twelve steps: copies after 0, 5 and 10
    resumed = fit("parts")
    assert resumed.finished and same_weights(resumed.model, whole.model), "weights, memories and counts"
    assert (resumed.model.epoch, resumed.model._memory_steps) == (3, 36)
    losses = [name for name in whole.history if name.startswith("loss")]
    assert resumed.history[losses].equals(whole.history[losses])
    loaded = runs.load(tmp_path / "parts").model
    assert same_weights(loaded, whole.model) and loaded.proxies[1][1].memory.abs().sum(dim=2).min() > 0


@pytest.mark.parametrize(
    "changes",
    [
        {"loss_weights": {"unidirectional": 0.0}},
        {"model": {"memory_length": 0}},
        {"model": {"parts": False}},
        {"model": {"shared_proxies": True}, "loss_weights": {"shared": 1.0, "proxy": 0.0, "unidirectional": 0.0}},
        {"model": {"triplet": "weighted"}, "loss_weights": {"triplet": 1.0}},
    ],
    ids=lambda changes: "-".join([*changes.get("model", {}), *changes.get("loss_weights", {})]),
)
def test_every_ablation_is_a_changed_weight_or_switch(maum: Recipe, dataset: ReIDDataset, tmp_path, changes) -> None:
    run = training.fit(maum.replace(**changes, epochs=2), dataset, tmp_path / "run", progress=False)
    assert run.finished and np.isfinite(run.history["loss"]).all()


@pytest.mark.integration
@pytest.mark.parametrize("name", ["sysu", "regdb", "llcm"])
def test_copies_of_the_ci_recipe_are_a_quarter_of_an_epoch_apart(twin, name: str) -> None:
    dataset = reidlib.data.open(name, root=twin(name), **({"split": 1} if name == "regdb" else {}))
    recipe = methods.recipe("maum", dataset=name, profile="ci")
    part = split(dataset, recipe.validation_share)
    modality = dataset.frame["modality"].to_numpy()[part.rows]
    sampler = PKSampler(part.labels, modality, identities=recipe.identities, images=recipe.images)
    assert recipe.model["memory_interval"] == round(len(sampler) / 4)


@pytest.mark.integration
@pytest.mark.parametrize("parts", [False, True], ids=["MAUM-G", "MAUM-P"])
def test_notebook_profile_runs_on_the_twin(ci_twin: Path, parts: bool) -> None:
    dataset = reidlib.data.open("sysu", root=ci_twin)
    recipe = methods.recipe("maum", dataset="sysu", profile="ci").replace(model={"parts": parts})
    run = training.fit(recipe, dataset, progress=False)
    assert run.finished and run.model.memory_filled == 8 and len(run.validation) == 3


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.parametrize("parts", [False, True], ids=["MAUM-G", "MAUM-P"])
def test_paper_recipe_takes_a_step_at_its_size(ci_twin: Path, monkeypatch: pytest.MonkeyPatch, parts: bool) -> None:
    dataset = reidlib.data.open("sysu", root=ci_twin)
    smaller_batch = {"weights": None, "epochs": 1, "warmup": 1, "milestones": (), "identities": 2, "images": 2}
    recipe = methods.recipe("maum", dataset="sysu", profile="paper").replace(**smaller_batch, model={"parts": parts})
    monkeypatch.setattr(training.loop.PKSampler, "__len__", lambda self: 1)
    run = training.fit(recipe, dataset, progress=False)
    assert list(run.history["step"]) == [1] and run.model.image_size == (384, 144)
    assert np.isfinite(run.history["loss"]).all()
    images = torch.randn(2, 3, 384, 144, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        embeddings = run.model.embed(images, torch.tensor([0, 1]))
    assert embeddings.shape == (2, 6 * 512 if parts else 2048) and embeddings.isfinite().all()
