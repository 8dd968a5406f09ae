"""Recipes for the licensed data sets: one training step and one evaluation at their true size, on a twin.

The batch, the network and the images are the recipe's; only ImageNet weights, which a test does not download, and the
length of training are not, nor the batch where it fits on a GPU alone. Where it is large, the twin is cut to a few test
identities. `make test` takes one of each kind; `make test-all` takes all.
"""

from collections.abc import Callable, Container, Iterable
from pathlib import Path

import numpy as np
import pytest
import torch

import reidlib
from reidlib import evaluation, methods, training
from reidlib.data import ReIDDataset, sysu
from reidlib.data.registry import READERS
from reidlib.experiments import studies

TEST_IDENTITIES = 3
METHODS = {
    "baseline": ("baseline", {}),
    "MAUM-G": ("maum", {}),
    "MAUM-P": ("maum-p", {}),
    "FIENet": ("fienet", {}),
    "IDKL": ("idkl", {}),
    "IDKL as released": ("idkl", {"preset": "released"}),
    **{f"{name}, baseline": (f"{name}-comparison", "baseline") for name in ("maum", "fienet", "idkl")},
    "idkl, wider baseline": ("idkl-comparison", "baseline, as many parameters"),
    "idkl, B": ("idkl-comparison", "B"),
    "maum, shared proxies": ("maum-comparison", "shared proxies"),
}
SMALLER = {
    "identities": 4,
    "images": 2,
}  # where a batch holds 120 images, which want more memory than many machines have


def rest_in_all(names: Iterable[str], kept: Container[str]) -> list:
    """The names as parameters of a test; those not kept run in `make test-all` alone."""
    return [pytest.param(name, marks=() if name in kept else pytest.mark.all) for name in names]


@pytest.fixture(scope="module")
def few(ci_twin: Path) -> ReIDDataset:
    dataset = reidlib.data.open("sysu", root=ci_twin)
    tested = dataset.frame.loc[dataset.frame["split"] == "test", "pid"].unique()[:TEST_IDENTITIES]
    kept = dataset.frame[(dataset.frame["split"] == "train") | dataset.frame["pid"].isin(tested)]
    origin = {name: getattr(dataset, name) for name in ("is_twin", "twin_version", "profile")}
    return ReIDDataset("sysu", dataset.root, kept.reset_index(drop=True), sysu.READER, **origin)


@pytest.mark.slow
@pytest.mark.timeout(1800)  # minutes each, on a machine that has other things to do
@pytest.mark.integration
@pytest.mark.parametrize("name", rest_in_all(METHODS, {"IDKL", "MAUM-P"}))
def test_a_step_and_an_evaluation(few: ReIDDataset, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    of, changes = METHODS[name]
    if isinstance(changes, str):
        recipe = studies.get(of, dataset="sysu", profile="paper")[changes]
    else:
        recipe = methods.recipe(of, dataset="sysu", profile="paper").replace(model=changes)
    assert (recipe.backbone, recipe.weights) == ("resnet50", "imagenet")
    monkeypatch.setattr(training.loop.PKSampler, "__len__", lambda self: 1)
    once = {"weights": None, "epochs": 1, "warmup": 1, "milestones": (), **(SMALLER if recipe.identities > 8 else {})}
    run = training.fit(recipe.replace(**once), few, progress=False)
    assert list(run.history["step"]) == [1] and np.isfinite(run.history["loss"]).all()
    assert run.model.image_size == (recipe.height, recipe.width)
    result = evaluation.evaluate(run.model, few, evaluation.protocols.get("sysu"))
    assert len(result.trials) == 10
    assert all(trial.gallery_size > 0 and trial.ranking.valid_queries > 0 for trial in result.trials)
    assert np.isfinite(list(result.mean.values())).all()


SKETCHES = {
    "pku-sketch": (288, 144),
    "market-sketch-1k": (288, 144),
    "shoe": (256, 256),
    "chair": (256, 256),
    "cufsf": (250, 200),
}


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.integration
@pytest.mark.parametrize("name", rest_in_all(SKETCHES, {"pku-sketch"}))
@pytest.mark.parametrize("method", rest_in_all(["baseline", "dalnet"], {"dalnet"}))
def test_a_step_and_an_evaluation_on_sketches(
    twin: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, method: str, name: str
) -> None:
    dataset = reidlib.data.open(name, root=twin(name), **({"split": 1} if READERS[name].splits else {}))
    recipe = methods.recipe(method, dataset=name, profile="paper")
    assert (recipe.backbone, recipe.weights) == ("resnet50", "imagenet")
    assert (recipe.height, recipe.width) == SKETCHES[name]
    monkeypatch.setattr(training.loop.PKSampler, "__len__", lambda self: 1)
    once = {"weights": None, "epochs": 1, "warmup": 1, "milestones": (), "identities": 2, "images": 2}
    run = training.fit(recipe.replace(**once), dataset, progress=False)
    assert list(run.history["step"]) == [1] and np.isfinite(run.history["loss"]).all()
    assert run.model.image_size == SKETCHES[name]
    protocol = evaluation.protocols.get(name)
    result = evaluation.evaluate(run.model, dataset, protocol, batch_size=32)
    assert 0 < result.mean_average_precision <= 1
    assert run.model.embed(torch.zeros(1, 3, *SKETCHES[name]), torch.tensor([1])).shape == (1, 2048)
