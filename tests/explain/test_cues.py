"""Cues are factors on one scale; the camera is asked for within a modality."""

import numpy as np
import pandas as pd
import pytest

from reidlib import explain
from reidlib.data import ReIDDataset
from reidlib.explain import cues, knowledge
from reidlib.networks import ReIDModel


def scores(*lines: tuple) -> pd.DataFrame:
    return pd.DataFrame(lines, columns=["method", "seed", "branch", "factor", "score", "chance"])


def test_a_strength_is_the_share_of_the_way_from_chance_to_perfect() -> None:
    table = explain.cue_table(
        scores(
            ("a", 0, "shared", "modality", 0.75, 0.5),
            ("a", 0, "shared", "hat", 1.0, 0.5),
            ("a", 0, "shared", "bag", 0.25, 0.25),
            ("a", 0, "shared", "top hue, visible images", -1e5, 0.0),
            ("a", 0, "shared", "bottom hue, visible images", 0.6, 0.0),
            ("a", 1, "shared", "modality", 0.5, 0.5),
            ("a", 0, "specific", "modality", 0.4, 0.5),
            ("a", 0, "shared", "no such factor", 1.0, 0.5),
            ("a", 0, "shared", "hair", np.nan, np.nan),
        )
    )
    assert list(table) == ["method", "seed", "branch", "cue", "strength", "factors"]
    found = table.set_index(["branch", "seed", "cue"])
    expected = {
        ("shared", 0, "modality"): (0.5, 1),
        ("shared", 0, "accessories"): (0.5, 2),
        ("shared", 0, "hue"): (0.3, 2),
        ("shared", 1, "modality"): (0.0, 1),
        ("specific", 0, "modality"): (0.0, 1),
    }
    assert set(found.index) == set(expected)
    for key, (strength, factors) in expected.items():
        assert found.loc[key, "strength"] == pytest.approx(strength) and found.loc[key, "factors"] == factors
    order = [cue for cue in explain.CUES if cue in set(table["cue"])]
    assert table["cue"].drop_duplicates().tolist() == order


def test_identity_within_a_modality_is_not_that_of_all_images() -> None:
    table = explain.cue_table(
        scores(
            ("a", 0, "shared", "identity across cameras", 1.0, 0.0),
            ("a", 0, "shared", "identity across cameras, visible images", 0.4, 0.0),
            ("a", 0, "shared", "identity across cameras, infrared images", 0.2, 0.0),
            ("a", 0, "shared", "identity across modalities", 0.1, 0.0),
        )
    ).set_index("cue")["strength"]
    assert table.to_dict() == pytest.approx({cues.WITHIN: 0.3, knowledge.ACROSS: 0.1})


@pytest.mark.integration
def test_cameras_are_asked_for_within_a_modality(dataset: ReIDDataset, trained: ReIDModel) -> None:
    table = explain.camera_table(trained, dataset)
    assert table["factor"].unique().tolist() == ["camera, visible images", "camera, infrared images"]
    assert set(table["branch"]) == {"shared", "specific"}
    rows = explain.sample_rows(dataset, per_modality=4)
    frame = dataset.frame.iloc[rows]
    for number, factor in enumerate(table["factor"].unique()):
        seen = frame[frame["modality"] == number]
        part = table[table["factor"] == factor]
        assert (part["images"] == len(seen)).all() and (part["classes"] == seen["camid"].nunique()).all()
    visible = (frame["modality"] == 0).to_numpy()
    features = explain.branch_embeddings(trained, dataset, rows[visible], ["shared"])["shared"]
    expected = explain.probe(features, frame["camid"][visible], frame["pid"].to_numpy()[visible]).score
    assert table.set_index(["factor", "branch"]).loc[("camera, visible images", "shared"), "score"] == expected


@pytest.mark.integration
def test_every_factor_that_is_asked_for_has_a_cue(dataset: ReIDDataset, trained: ReIDModel) -> None:
    tables = explain.knowledge_table(trained, dataset), explain.camera_table(trained, dataset)
    asked = pd.concat(tables).fillna({"score": 0.5, "chance": 0.0})  # the smallest twin has too few people for some
    values = explain.knowledge_values(asked)
    rows = pd.DataFrame({"method": "it", "seed": 0, "name": list(values), "value": list(values.values())})
    found = explain.cue_table(explain.knowledge_scores(rows))
    assert set(found["cue"]) == set(explain.CUES)
    counts = asked.groupby("branch")["factor"].nunique() - 1  # all but the identity asked of all images
    assert found.groupby("branch")["factors"].sum().to_dict() == counts.to_dict()
