"""Steps of training: optimizers, rates, schedules, and how many there are in an epoch."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

import reidlib
from reidlib import methods, training
from reidlib.methods import Recipe
from reidlib.methods.baseline.model import Baseline
from reidlib.twins import sysu as published


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_steps_are_those_of_torch(recipe: Recipe, name: str) -> None:
    """Adam adds the decay to the gradient (L2); without it, or decoupled from it, the steps are others."""
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}[name]
    options = {"momentum": 0.9, "nesterov": True} if name == "sgd" else {}
    changed = recipe.replace(optimizer=name, learning_rate=0.1, weight_decay=0.5)
    ours, theirs, without, by_hand = (_ones() for _ in range(4))
    pairs = [
        (ours, training.make_optimizer(changed, ours), 0.0),
        (theirs, kind(theirs.parameters(), lr=0.1, weight_decay=0.5, **options), 0.0),
        (without, training.make_optimizer(changed.replace(weight_decay=0), without), 0.0),
        (by_hand, training.make_optimizer(changed.replace(weight_decay=0), by_hand), 0.5),
    ]
    for gradient in ([1e-3, -1e-3], [-2e-3, 1e-3]):
        for model, optimizer, decay in pairs:
            model.weight.grad = torch.tensor([gradient]) + decay * model.weight.detach()
            optimizer.step()
    assert torch.equal(ours.weight, theirs.weight) and not torch.equal(ours.weight, without.weight)
    assert torch.allclose(ours.weight, by_hand.weight) == (name != "adamw")


def _ones() -> torch.nn.Linear:
    model = torch.nn.Linear(2, 1, bias=False)
    torch.nn.init.ones_(model.weight)
    return model


def test_the_recipe_of_idkl_trains_as_many_steps_as_the_released_code() -> None:
    """On SYSU-MM01 and RegDB, by the images that their training identities have, and on one's own by another rule."""
    counts = {pid: [0, 0] for pid in (*published.TRAIN_IDS, *published.VALIDATION_IDS)}
    with (Path(__file__).parent.parent / "assets" / "sysu_counts.csv").open() as file:
        for row in csv.DictReader(file):
            if int(row["id"]) in counts:
                counts[int(row["id"])][int(row["cam"]) in (3, 6)] += int(row["images"])
    visits = 0
    for visible, infrared in counts.values():
        while visible >= 5 and infrared >= 5:
            visits, visible, infrared = visits + 1, visible - 5, infrared - 5
    assert (len(counts), visits) == (395, 2352)
    assert _steps("sysu", list(counts.values())) == visits // 12 == 196
    assert _steps("regdb", 206 * [(10, 10)]) == 206 * 2 // 6 == 68
    assert _steps("llcm", 40 * [(25, 12)]) == 40 * 2 // 12
    own = methods.recipe("idkl", dataset="mine", shape="person", profile="paper")
    assert (own.epoch, own.optimizer) == ("images", "adam"), "people may have fewer than five images"


def _steps(dataset: str, counts: list) -> int:
    """Steps of an epoch of IDKL on so many (visible, infrared) images of each identity."""
    recipe = methods.recipe("idkl", dataset=dataset, profile="paper")
    assert (recipe.optimizer, recipe.learning_rate, recipe.weight_decay) == ("adam", 3.5e-4, 5e-3)
    pids = np.repeat(np.arange(len(counts)), [sum(pair) for pair in counts])
    modality = np.concatenate([np.repeat([0, 1], pair) for pair in counts])
    batch = {"identities": recipe.identities, "images": recipe.images}
    return len(reidlib.data.PKSampler(pids, modality, epoch=recipe.epoch, **batch))


def test_step_schedule_is_that_of_agw() -> None:
    recipe = methods.recipe("baseline", profile="paper")
    expected = [(epoch + 1) / 10 for epoch in range(10)] + [1] * 10 + [0.1] * 30 + [0.01] * 31
    for moment in (0.01, 0.99):
        assert [training.schedule(recipe, epoch + moment) for epoch in range(81)] == pytest.approx(expected)


def test_cosine_schedule_rises_and_falls(recipe: Recipe) -> None:
    recipe = recipe.replace(epochs=8, warmup=2)
    values = [training.schedule(recipe, epoch) for epoch in (0.5, 1, 2, 5, 8)]
    assert values == pytest.approx([0.25, 0.5, 1, 0.5, 0])
    assert training.schedule(recipe.replace(warmup=0), 4) == pytest.approx(0.5)


def test_optimiser_has_every_parameter_once_and_two_rates(recipe: Recipe, fit) -> None:
    model = methods.build("baseline", num_ids=3, backbone="tiny")
    recipe = recipe.replace(optimizer="sgd", learning_rate=0.1, backbone_rate=0.1, weight_decay=0.02)
    optimizer = training.make_optimizer(recipe, model)
    backbone, head = (group["params"] for group in optimizer.param_groups)
    assert {*map(id, backbone)} == {id(p) for p in model.backbone.parameters()}
    assert {*map(id, backbone + head)} == {*map(id, model.parameters())} and len(backbone + head) == len(
        list(model.parameters())
    )
    assert optimizer.defaults["nesterov"] and optimizer.defaults["momentum"] == 0.9
    assert {group["weight_decay"] for group in optimizer.param_groups} == {0.02}


def test_backbone_rate_slows_the_backbone_alone(fit) -> None:
    still, start = (
        fit(f"{steps}", epochs=1, backbone_rate=0.0, stop_after=steps).model.state_dict() for steps in (1, 0)
    )
    changed = {name for name, _ in Baseline(12, "tiny").named_parameters() if not torch.equal(still[name], start[name])}
    assert changed == {"pool.p", "neck.weight", "classifier.weight"}


def test_history_shows_the_learning_rate_that_was_used(fit, recipe: Recipe) -> None:
    history = fit(epochs=2, warmup=1).history
    recipe = recipe.replace(epochs=2, warmup=1)
    moments = (history["step"] - 0.5) / 12
    expected = [recipe.learning_rate * training.schedule(recipe, moment) for moment in moments]
    assert history["learning_rate"].tolist() == pytest.approx(expected)
