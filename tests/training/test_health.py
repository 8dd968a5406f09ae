"""Health is watched: every run says whether its metric loss has collapsed, and so does what is drawn from it."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from reidlib import data, methods, plots, training
from reidlib.networks import Outputs, ReIDModel
from reidlib.plots import style
from reidlib.training import health, runs


class Point(ReIDModel):
    """Features that are ``size`` apart, whatever the images show."""

    branches, margins = ("shared",), {"triplet": 0.3, "absent": 1.0}

    def __init__(self, size: float):
        super().__init__()
        self.size, self.normalised = size, torch.nn.BatchNorm1d(4)

    def forward(self, images, modality):
        features = 1 + self.size * torch.eye(4)[torch.arange(len(images)) % 4]
        return Outputs({"shared": features}, {"shared": self.normalised(features)}, {})

    def losses(self, outputs, pids, modality):
        raise NotImplementedError

    def branch_map(self, images, modality, branch):
        return self(images, modality).features["shared"][:, :, None, None]

    def embed_map(self, maps, branch):
        raise NotImplementedError


def rows(*triplets: float) -> list[dict[str, float]]:
    return [{"epoch": 1 + number // 2, "step": number, "loss.triplet": each} for number, each in enumerate(triplets)]


@pytest.mark.parametrize(("size", "losses", "has_collapsed"), [(1e-4, (0.31, 0.30), 1.0), (2.0, (0.2, 0.1), 0.0)])
def test_an_epoch_is_watched(size: float, losses: tuple, has_collapsed: float) -> None:
    model = Point(size).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    batch = torch.zeros(8, 3, 4, 2, dtype=torch.uint8), torch.arange(8) % 4, torch.arange(8) // 4
    weights = {"triplet": 1.0, "absent": 0.0}
    found = health.watched(model, *batch, rows(9.0, 9.0, *losses), weights)
    assert found["margin.triplet"] == 0.3 and found["health.triplet"] == pytest.approx(np.mean(losses) - 0.3)
    assert found["health.collapsed"] == has_collapsed and "margin.absent" not in found
    assert (found["health.spread"] < 0.001, found["health.common"] > 0.999) == (bool(has_collapsed),) * 2
    assert model.training and all(torch.equal(before[name], each) for name, each in model.state_dict().items())
    unweighted = health.watched(model, *batch, rows(*losses), {"triplet": 0.0})
    assert not {name for name in unweighted if "triplet" in name or "collapsed" in name}, "what trains nothing"


@pytest.fixture
def collapsed() -> pd.DataFrame:
    """A history of two epochs, the second of which ends in a point."""
    common = {"learning_rate": 0.1, "loss": 1.0, "loss.identity": 2.0, "margin.triplet": 0.3}
    last = {"health.spread": [np.nan, 0.5, np.nan, 0.031], "health.triplet": [np.nan, -0.1, np.nan, 0.005]}
    more = {"health.collapsed": [np.nan, 0, np.nan, 1], "loss.triplet": 0.305, "epoch": [1, 1, 2, 2]}
    return pd.DataFrame({"step": [1, 2, 3, 4], **common, **last, **more})


def test_curves_draw_the_margin_and_say_what_collapsed(collapsed: pd.DataFrame) -> None:
    phrase = "metric loss collapsed: triplet 0.305, 0.300 if all features were the same"
    assert health.sentence(collapsed).startswith(phrase) and "0.03 of their length" in health.sentence(collapsed)
    figure = plots.training_curves(collapsed, "caption")
    assert phrase in " ".join(figure.get_supxlabel().split()).replace("same; ", "same ")
    dashed = [line for line in figure.axes[0].lines if line.get_linestyle() == "--"]
    assert len(dashed) == 1 and set(dashed[0].get_ydata()) == {0.3}
    before = collapsed.head(2)
    assert health.sentence(before) == "" and "collapsed" not in plots.training_curves(before, "x").get_supxlabel()


def test_histories_of_before_stay_readable(collapsed: pd.DataFrame) -> None:
    old = collapsed[[name for name in collapsed if not name.startswith(("health.", "margin."))]]
    assert health.sentence(old) == "" and health.table(old).empty
    figure = plots.training_curves(old, "caption")
    assert not [line for line in figure.axes[0].lines if line.get_linestyle() == "--"]


def test_a_run_keeps_what_was_watched(fit) -> None:
    run = fit(epochs=2)
    found = runs.load(run.folder).health
    assert found.index.tolist() == [1, 2] and set(found) == {"spread", "common", "rank", "triplet", "collapsed"}
    assert (found["spread"] > 0).all() and found["common"].between(0, 1).all() and (found["rank"] >= 1).all()
    phrase = health.sentence(run.history)
    assert run.model.collapsed == phrase and ("collapsed" in repr(run)) == bool(phrase)
    words = (run.folder / "log.txt").read_text()
    assert words.count("spread ") == 2 and ("COLLAPSED" in words) == bool(found["collapsed"].any())
    run.model.collapsed = "metric loss collapsed: triplet 0.3"
    assert style.noted("caption", {"baseline": run, "other": torch.nn.Identity()}) == (
        "caption · baseline: metric loss collapsed: triplet 0.3"
    )


@pytest.mark.all
def test_the_baseline_is_healthy_with_a_metric_loss_that_lives(ci_twin: Path, tmp_path: Path) -> None:
    """Its recipe, in ci trained longer; and from random weights the batch-hard hinge is told to have collapsed."""
    dataset = data.open("sysu", root=ci_twin)
    recipe = methods.recipe("baseline", dataset="sysu", profile="ci").replace(epochs=12, warmup=2, amp="off")
    assert recipe.weights.startswith("twin#") and recipe.model["triplet"] == "weighted"
    run = training.fit(recipe, dataset, tmp_path / "healthy", device="cpu", progress=False)
    last = run.health.iloc[-1]
    assert last["spread"] >= 0.2 and last["common"] < 0.95 and last["triplet"] < 0 and not run.model.collapsed
    was = {"weights": None, "model": {"triplet": "batch-hard"}, "augmentation": {"erase": 0.5}}
    hinge = recipe.replace(learning_rate=4e-3, **was)
    run = training.fit(hinge, dataset, tmp_path / "hinge", device="cpu", progress=False)
    assert run.model.collapsed.startswith("metric loss collapsed: triplet 0.")
    assert run.health["spread"].iloc[-1] < last["spread"] and run.health["common"].iloc[-1] > last["common"]
