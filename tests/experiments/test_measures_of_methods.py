"""Measures of single methods: relays of MAUM, hinges of IDKL, auxiliary images of DALNet."""

import math
from collections.abc import Callable
from dataclasses import replace

import pandas as pd
import pytest
import torch

from reidlib import data, evaluation, methods, training
from reidlib.data import ReIDDataset
from reidlib.experiments import measures
from reidlib.methods import Recipe, maum
from reidlib.training import runs

PROTOCOL = evaluation.protocols.get("sysu", gallery="agw", num_trials=2)

pytestmark = pytest.mark.usefixtures("own_ledger")


@pytest.fixture
def run(finished: Callable, imageless: ReIDDataset, recipe: Recipe) -> runs.Run:
    return finished(recipe, imageless, PROTOCOL)[0]


@pytest.mark.parametrize(
    ("weights", "shared"),
    [({"identity": 1.0}, False), ({"proxy": 1.0, "shared": 1.0}, False), ({"proxy": 0.0, "shared": 1.0}, True)],
)
def test_relay_asks_for_the_proxies_that_are_learned(run, imageless, monkeypatch, weights, shared) -> None:
    asked = {}

    table = pd.DataFrame({"pid": [4, 6, 9], "seen": [True, True, False], "centres": [0.5, 0.25, 0.0]})
    table = table.assign(visible_proxy=[0.75, 0.5, 0.0], infrared_proxy=[0.5, 0.75, 0.0])

    def relay_table(*arguments, **options) -> pd.DataFrame:
        asked["arguments"], asked["options"] = arguments, options
        return table

    monkeypatch.setattr(maum.explain, "relay_table", relay_table)
    monkeypatch.setattr(maum.explain, "relay_values", lambda table: {"gap": float(len(table))})
    run = replace(run, recipe=Recipe.from_dict(run.recipe.to_dict() | {"loss_weights": weights}))
    found = measures.take(run, imageless, ["relay"])["relay"]
    assert found["gap"] == 3.0 and found["relay gap"].to_dict() == {4: 0.125, 6: 0.375}, "of people trained on"
    assert asked["arguments"] == (run.model, imageless, run.pids) and asked["options"] == {"shared": shared}


def test_hinges_are_those_of_a_purifier(run, imageless) -> None:
    model = methods.build("idkl", num_ids=2, backbone="tiny")
    model.hinges += torch.tensor([[3, 4], [0, 2]])
    assert measures.take(replace(run, model=model), imageless, ["hinges"]) == {
        "hinges": {"entropy": 0.75, "centroid": 0.0}
    }
    for other in (run.model, methods.build("idkl", num_ids=2, backbone="tiny", purifier=False)):
        values = measures.take(replace(run, model=other), imageless, ["hinges"])["hinges"]
        assert list(values) == ["entropy", "centroid"] and all(map(math.isnan, values.values()))


# ---- with a twin


@pytest.fixture
def train(twin: Callable, tmp_path_factory, monkeypatch) -> Callable:
    """``train(method, dataset, split=None)`` → a run of one epoch on a twin, and the twin."""
    monkeypatch.setenv("REIDLIB_CACHE", str(tmp_path_factory.getbasetemp() / "measures-cache"))

    def fit(method: str, name: str, split: int | None = None, epochs: int = 1) -> tuple[runs.Run, ReIDDataset]:
        dataset = data.open(name, root=twin(name), split=split)
        recipe = methods.recipe(method, dataset=name, profile="ci").replace(epochs=epochs, warmup=0)
        return training.fit(recipe, dataset, progress=False), dataset

    return fit


@pytest.mark.integration
@pytest.mark.parametrize("method", ["baseline", "maum"])
def test_relay_of_a_trained_run(train: Callable, method: str) -> None:
    run, dataset = train(method, "sysu", epochs=8)  # after one, people look alike, and threads decide the order
    measures.record(run, dataset, ["relay"], variant=method)
    values = measures.table(measure="relay").set_index("name")["value"]
    expected = maum.explain.relay_values(maum.explain.relay_table(run.model, dataset, run.pids))
    pd.testing.assert_series_equal(values, pd.Series(expected), check_names=False, check_index_type=False, rtol=1e-4)
    assert values["people"] == len(run.pids) < len(dataset.train_labels()[1]), "those held out do not take part"
    assert values.drop(["people", "unseen people", "relay gap"]).between(-1, 1).all()
    assert values["visible–infrared centres"] > values["visible–infrared centres, different people"]


@pytest.mark.integration
@pytest.mark.parametrize("method", ["baseline", "dalnet"])
def test_auxiliary_of_a_trained_run(train: Callable, method: str) -> None:
    run, dataset = train(method, "pku-sketch", split=1)
    values = measures.take(run, dataset, ["auxiliary"])["auxiliary"]
    assert values == measures.take(run, dataset, ["auxiliary"])["auxiliary"], "nothing is drawn at random"
    images = ["photo", "fixed XDoG", *(["cleaned XDoG", "auxiliary"] if method == "dalnet" else []), "chance"]
    assert [name for name in values if name.startswith("gradient")] == [f"gradient inside, {name}" for name in images]
    assert all(0 <= values[f"gradient inside, {name}"] <= 1 for name in images)
    assert ("between" in values) == (method == "dalnet")
    assert values["photos"] == min(100, len(dataset.rows("test", modality=0)))
    assert 0 <= values["sketch–photo"] <= 2 and 0 <= values["sketch–photo, different identities"] <= 2
