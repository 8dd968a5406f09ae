"""Failures by circumstance: against what was rendered, and on queries that are missed for a known reason."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from reidlib import evaluation, explain, twins
from reidlib.data import ReIDDataset
from reidlib.explain import failures


@pytest.fixture(scope="module")
def queries(dataset: ReIDDataset) -> np.ndarray:
    return dataset.rows("test", modality=1)


def test_missed_is_the_share_of_the_trials(dataset: ReIDDataset, queries: np.ndarray) -> None:
    protocol = evaluation.protocols.get("sysu", num_trials=3)
    rows = dataset.rows("test")
    embeddings = torch.randn(len(rows), 8, generator=torch.Generator().manual_seed(0))
    missed = explain.missed_queries(evaluation.score(embeddings, dataset, protocol), dataset)
    wrong = [evaluation.retrieve(embeddings, dataset, protocol, trial=trial).first_match != 1 for trial in range(3)]
    assert missed.index.tolist() == queries.tolist()
    np.testing.assert_allclose(missed, np.mean(wrong, axis=0))


def test_conditions_are_those_of_the_rendering(dataset: ReIDDataset, queries: np.ndarray) -> None:
    table = explain.query_conditions(dataset, queries)
    assert table.index.tolist() == queries.tolist() and table.notna().all().all()
    described = {row: twins.TWINS["sysu"].describe(dataset.frame["path"].iloc[row]) for row in queries}
    changes, blur = {}, {}
    for row, (person, scene) in described.items():
        line, cloth = table.loc[row], person.top if person.outerwear == "none" else person.outer
        assert line["camera"] == f"camera {scene.camera.camid}"
        assert (line["hidden"] == "nothing") == (scene.occluder == "none")
        assert (line["hidden"] == "the feet") == (scene.occluder == "low")
        facing = np.cos(scene.pose.yaw)
        assert line["view"] == ("front" if facing > 0.7 else "back" if facing < -0.7 else "side")
        assert (line["outerwear"], line["bag"], line["hat"] == "hat") == (person.outerwear, person.bag, person.hat)
        assert (line["pattern above"] == "plain") == (cloth.texture == "plain")
        luminances = [0.299 * c.colour[0] + 0.587 * c.colour[1] + 0.114 * c.colour[2] for c in (cloth, person.bottom)]
        differences = [abs(c.nir - grey) for c, grey in zip((cloth, person.bottom), luminances, strict=True)]
        changes[row], blur[row] = np.mean(differences), scene.blur
    for values, column, names in ((changes, "brightness changes", ("little", "medium", "much")),
                                  (blur, "blur", ("little", "medium", "strong"))):  # fmt: skip
        ranges = pd.Series(values).groupby(table[column]).agg(["min", "max"]).loc[list(names)].to_numpy().ravel()
        assert (np.diff(ranges) >= 0).all()
    people = {person.pid: (person.outerwear, person.hat, person.bag, person.hair) for person, _ in described.values()}
    alike = {row: list(people.values()).count(people[person.pid]) for row, (person, _) in described.items()}
    by_level = pd.Series(alike).groupby(table["look-alikes"]).agg(["min", "max"])
    order = [level for level in ("few", "some", "many") if level in by_level.index]
    assert (np.diff(by_level.loc[order].to_numpy().ravel()) >= 0).all() and len(order) > 1


def test_a_known_reason_is_found(dataset: ReIDDataset, queries: np.ndarray) -> None:
    conditions = explain.query_conditions(dataset, queries)
    far = conditions["camera"] == "camera 6"
    random = pd.Series(np.random.default_rng(0).integers(0, 2, len(queries)), index=queries, dtype=float)
    missed = {"reason": random.where(~far, 1.0), "none": pd.Series(0.5, index=queries)}
    table = explain.failure_table(missed, dataset).set_index(["model", "condition", "level"])
    line = table.loc[("reason", "camera", "camera 6")]
    rest = missed["reason"][~far].mean()
    assert line["missed"] == 1 and line["difference"] == pytest.approx(1 - rest)
    assert 0 < line["low"] < line["difference"] < line["high"] < 1
    assert line["queries"] == far.sum() and line["people"] == dataset.frame["pid"].iloc[queries[far]].nunique()
    other = table.loc[("reason", "camera", "camera 3")]
    assert other["difference"] == pytest.approx(-line["difference"]) and other["low"] == pytest.approx(-line["high"])
    known = table.loc["none"].dropna()
    assert (known[["difference", "low", "high"]].abs() < 1e-12).all().all() and (known["missed"] == 0.5).all()
    total = table.loc["none"].groupby("condition")["queries"].sum()
    assert (total == len(queries)).all() and set(total.index) == set(conditions)
    again = explain.failure_table(missed, dataset).set_index(["model", "condition", "level"])
    pd.testing.assert_frame_equal(table, again)


def test_the_interval_is_one_over_people(dataset: ReIDDataset, queries: np.ndarray) -> None:
    """The same queries twice over tell no more: people are drawn, not queries."""
    missed = pd.Series(np.random.default_rng(1).random(len(queries)), index=queries)
    once = explain.failure_table({"it": missed}, dataset)
    twice = explain.failure_table({"it": pd.concat([missed, missed])}, dataset)
    np.testing.assert_allclose(once[["low", "high"]], twice[["low", "high"]], atol=1e-12)
    few = once[once["people"] < failures.FEWEST]
    assert len(few) and few["low"].isna().all() and few["missed"].notna().all()


def test_what_has_no_circumstances_is_said(dataset: ReIDDataset, queries: np.ndarray, twin) -> None:
    from reidlib import data

    with pytest.raises(ValueError, match="twins of whole people"):
        explain.query_conditions(replace(dataset, is_twin=False), queries)
    sketches = data.open("pku-sketch", root=twin("pku-sketch"), split=1)
    assert len(explain.query_conditions(sketches, sketches.rows("test", modality=0)))
    with pytest.raises(ValueError, match="drawings"):
        explain.query_conditions(sketches, sketches.rows("test", modality=1))
