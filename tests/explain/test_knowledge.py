"""What the branches know: asked of the images that can show it, the same images of every model, and read back."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from reidlib import explain, methods
from reidlib.data import ReIDDataset
from reidlib.explain import knowledge
from reidlib.networks import ReIDModel


@pytest.fixture
def twice(dataset: ReIDDataset, trained: ReIDModel) -> list[pd.DataFrame]:
    return [explain.knowledge_table(trained, dataset) for _ in range(2)]


def test_every_branch_is_asked_for_everything(dataset: ReIDDataset, twice: list[pd.DataFrame]) -> None:
    table, again = twice
    pd.testing.assert_frame_equal(table, again)
    assert set(table["branch"]) == {"shared", "specific", "shared + specific"}
    factors = table["factor"].unique()
    assert all((table["branch"] == branch).sum() == len(factors) for branch in table["branch"].unique())
    assert {
        *("modality", "identity across cameras", "identity across modalities", "outerwear", "top texture"),
        *("identity across cameras, visible images", "identity across cameras, infrared images"),
        *("top hue, visible images", "bottom luminance, visible images", "top NIR albedo, infrared images"),
    } < set(factors)
    asked = table.set_index("factor")["images"]
    rows = explain.sample_rows(dataset, per_modality=4)
    modality = dataset.frame["modality"].to_numpy()[rows]
    assert (asked["modality"] == len(rows)).all()
    for number, name in enumerate(("visible", "infrared")):
        within = asked[f"identity across cameras, {name} images"]
        assert (within <= (modality == number).sum()).all() and (within > 0.8 * (modality == number).sum()).all()


def test_answers_are_those_of_the_probes(dataset: ReIDDataset, trained: ReIDModel, twice: list[pd.DataFrame]) -> None:
    rows = explain.sample_rows(dataset, per_modality=4)
    features = explain.branch_embeddings(trained, dataset, rows)
    frame = dataset.frame.iloc[rows]
    scores = twice[0].set_index(["branch", "factor"])["score"]
    across = explain.probe_identity(features["shared"], frame["pid"], frame["modality"]).score
    assert scores["shared", "identity across modalities"] == across
    infrared = (frame["modality"] == 1).to_numpy()
    nir = explain.factors(dataset, rows[infrared])["bottom_nir"]
    specific = features["specific"][torch.tensor(infrared)]
    expected = explain.probe(specific, nir, frame["pid"].to_numpy()[infrared]).score
    assert scores["specific", "bottom NIR albedo, infrared images"] == pytest.approx(expected)
    joint = explain.probe(torch.cat([features["shared"], features["specific"]], dim=1), frame["modality"], frame["pid"])
    assert scores[knowledge.JOINT, "modality"] == pytest.approx(joint.score)


def test_a_known_code_is_read_where_it_is(dataset: ReIDDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """A branch that holds the truth is told from one that holds noise."""
    rows = explain.sample_rows(dataset, per_modality=4)
    truth, random = explain.factors(dataset, rows), np.random.default_rng(0)
    modality = dataset.frame["modality"].to_numpy()[rows]
    noise = random.normal(size=(len(rows), 4))
    held = np.column_stack([truth["bottom_luminance"], modality, truth["pid"] % 5, truth["pid"] // 5])
    held = held + 1e-3 * random.normal(size=held.shape)
    features = {"shared": noise, "specific": held}
    monkeypatch.setattr(knowledge, "branch_features", lambda *_, **__: features)
    scores = explain.knowledge_table(None, dataset).set_index(["factor", "branch"])["score"].unstack()
    for factor in ("modality", "bottom luminance, visible images", "identity across cameras"):
        assert scores.loc[factor, "specific"] > scores.loc[factor, "shared"] + 0.4
        assert scores.loc[factor, knowledge.JOINT] > scores.loc[factor, "shared"] + 0.2


def test_photographs_are_asked_for_what_is_known_of_them(dataset: ReIDDataset, trained: ReIDModel) -> None:
    real = replace(dataset, is_twin=False)
    table = explain.knowledge_table(trained, real)
    assert table.loc[table["branch"] == "shared", "factor"].tolist() == [
        *("modality", "identity across cameras", "identity across cameras, visible images"),
        *("identity across cameras, infrared images", "identity across modalities"),
    ]


def test_measures_are_a_table_again() -> None:
    columns = ["branch", "factor", "score", "chance"]
    table = pd.DataFrame(
        [("shared", "modality", 0.9, 0.5), ("shared", "hat", np.nan, np.nan), ("specific", "modality", 1.0, 0.5),
         ("shared", "top hue, visible images", -0.1, 0.0)], columns=columns,
    )  # fmt: skip
    values = explain.knowledge_values(table)
    assert values["specific: modality"] == 1.0 and values["chance: modality"] == 0.5
    rows = pd.DataFrame([("+ IP", seed, name, value) for seed in (0, 3) for name, value in values.items()],
                        columns=["variant", "seed", "name", "value"])  # fmt: skip
    found = explain.knowledge_scores(rows)
    assert list(found) == ["variant", "seed", *columns] and set(found["seed"]) == {0, 3}
    first = found[found["seed"] == 0][columns].reset_index(drop=True)
    pd.testing.assert_frame_equal(first, table.dropna().reset_index(drop=True))
    assert list(explain.knowledge_scores(rows.iloc[:0])) == ["variant", "seed", *columns]


def test_a_purified_branch_is_asked_too(dataset: ReIDDataset) -> None:
    torch.manual_seed(0)
    model = methods.build("idkl", num_ids=3, backbone="tiny").eval()
    model.image_size = (64, 32)
    table = explain.knowledge_table(model, dataset)
    assert table["branch"].unique().tolist() == ["shared", "specific", "purified", "shared + specific"]
