"""Where networks look: measured on the runs that lie here, beside untrained ones; the table that is published."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reidlib import data, training
from reidlib.app import regime
from reidlib.experiments import attention, studies
from reidlib.explain import by_identity, common

pytestmark = pytest.mark.integration


@pytest.fixture
def development(ci_twin: Path, monkeypatch: pytest.MonkeyPatch) -> data.ReIDDataset:
    """The ci twin in the place of its development twin."""
    dataset = replace(data.open("sysu", root=ci_twin), profile="ci/development")
    monkeypatch.setattr(attention.data, "open", lambda name, twin: dataset)
    return dataset


def test_trained_and_untrained_networks_are_asked_the_same(development, own_ledger, tmp_path: Path) -> None:
    recipe = studies.get("baseline-regime", dataset="sysu", profile="ci")["baseline"]
    several = [training.fit(recipe.replace(seed=seed), development, progress=False) for seed in (0, 1)]
    found = attention.measure(profile="ci", seeds=(0, 1, 2))
    assert found["trial"].unique().tolist() == ["baseline", *attention.UNTRAINED]
    assert (found["runs"] == 2).all() and (found["source"] == "development twin 1").all()
    assert found.groupby(["trial", "modality"])["name"].agg(tuple).map(set).eq({*attention.MAPS, "common share"}).all()
    values = found.set_index(["trial", "name", "modality"])
    assert values["value"].between(0, 1).all() and (values["low"] <= values["value"]).all()

    images = attention.embedding.sample_rows(development, per_modality=1)
    assert (found["images"] == len(images) / 2).all() and (found["people"] == len(images) / 2).all()
    ours = [by_identity.focus_by_identity(run.model, development, images) for run in several]
    mean = np.mean([each["energy, occlusion, infrared"].mean() for each in ours])
    assert values.loc[("baseline", "occlusion", "infrared"), "value"] == pytest.approx(mean)
    shares = [common.common_table(run.model, development, images)["common"].iloc[0] for run in several]
    assert values.loc[("baseline", "common share", "visible"), "value"] == pytest.approx(np.mean(shares))
    uniform = values.xs("uniform", level="name")["value"].unstack("trial")
    assert np.allclose(uniform.sub(uniform["baseline"], axis=0), 0), "it knows no network"
    random, start = (values.loc[(trial, "common share", "visible"), "value"] for trial in attention.UNTRAINED)
    assert random != start, "they have other weights"

    file = tmp_path / "attention.csv"
    assert attention.publish(file, profile="ci", seeds=(0, 1)) == len(found)
    assert attention.publish(file, profile="ci", seeds=(0,)) == len(found) == len(attention.rows(file)), "in its place"
    text = regime.attention(file)
    assert "| | baseline | untrained, random weights | untrained, pretrained trunk |" in text
    assert (
        f"(runs: baseline: 1, untrained, random weights: 1, untrained, pretrained trunk: 1; {len(images) // 2}" in text
    )


def test_without_runs_the_command_that_makes_them_is_named(development, own_ledger) -> None:
    with pytest.raises(ValueError, match=r"reidlib sweep baseline-regime --dataset sysu --profile ci --twin ci/devel"):
        attention.measure(profile="ci")
    assert "Nothing is published yet." in regime.attention(Path("none.csv"))
