"""Agreement of validation, development and test: the right numbers, and a test that is read when it is asked for."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from reidlib import evaluation, methods, plots
from reidlib.experiments import agreement

SCORES = pd.DataFrame(
    {
        "method": ["baseline", "baseline", "maum", "maum", "maum", "idkl"],
        "validation": [0.4, 0.5, 0.45, 0.6, 0.6, math.nan],
        "development": [0.2, 0.3, 0.28, 0.4, 0.35, 0.1],
        "test": math.nan,
    }
)


def test_correlations_are_spearmans() -> None:
    found = agreement.correlations(SCORES)
    assert found[["first", "second", "runs"]].values.tolist() == [["validation", "development", 5]]
    known = SCORES.dropna(subset="validation")
    expected = stats.spearmanr(known["validation"], known["development"]).statistic
    row = found.iloc[0]
    assert row["correlation"] == pytest.approx(expected)
    half = 1.959964 * math.sqrt((1 + expected**2 / 2) / 2)  # five runs
    ends = [math.tanh(math.atanh(expected) + sign * half) for sign in (-1, 1)]
    assert (row["low"], row["high"]) == pytest.approx(ends)
    few = agreement.correlations(SCORES.head(3)).iloc[0]
    assert few["correlation"] == 1 and math.isnan(few["low"])
    assert math.isnan(agreement.correlations(SCORES.assign(validation=0.5)).iloc[0]["correlation"])
    reverse = agreement.correlations(SCORES.assign(test=-SCORES["development"]))
    assert reverse["correlation"].tolist()[2] == pytest.approx(-1) and -1 < reverse["high"].iloc[2] < 0


def test_the_interval_holds_the_truth() -> None:
    """In about 95 of 100 samples of 20 runs."""
    random, rho, inside = np.random.default_rng(0), 0.7, 0
    truth = 6 / math.pi * math.asin(rho / 2)  # Spearman's of a normal distribution with Pearson's rho
    for _ in range(400):
        first = random.standard_normal(20)
        second = rho * first + math.sqrt(1 - rho**2) * random.standard_normal(20)
        row = agreement.correlations(pd.DataFrame({"validation": first, "development": second})).iloc[0]
        inside += row["low"] <= truth <= row["high"]
    assert 0.92 <= inside / 400 <= 0.98


def test_the_test_is_read_where_it_is_asked_for(imageless, finished, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = methods.recipe("baseline", dataset="sysu", profile="ci")
    protocol, opened = evaluation.protocols.get("sysu", gallery="agw"), []
    run, _ = finished(recipe, imageless, protocol)
    run = replace(run, history=run.history.assign(**{"validation.mAP": [0.1, 0.2, 0.3]}))

    def open_twin(name: str, twin: str, split: int | None):
        opened.append(twin)
        return replace(imageless, profile=twin)

    scores = {"ci": 0.5, "ci/development": 0.4}
    score = lambda model, dataset, rules: SimpleNamespace(mean={"mAP": scores[dataset.profile]})  # noqa: E731
    monkeypatch.setattr(agreement.data, "open", open_twin)
    monkeypatch.setattr(agreement.evaluation, "evaluate", score)
    table = agreement.table([run, run])
    assert opened == ["ci/development"] and table["validation"].tolist() == [0.3, 0.3]
    assert table["development"].tolist() == [0.4, 0.4] and table["test"].isna().all()
    assert agreement.table([run], test=True)["test"].tolist() == [0.5] and opened[-1] == "ci"
    development, _ = finished(recipe, replace(imageless, profile="ci/development"), protocol)
    assert agreement.table([development])["profile"].tolist() == ["ci"]
    real, _ = finished(recipe, replace(imageless, is_twin=False, twin_version=None, profile=None), protocol)
    with pytest.raises(ValueError, match="real data, which has no development twin"):
        agreement.table([real])


def test_the_figure_has_a_panel_for_every_two_places() -> None:
    figure = plots.agreement(SCORES, "caption")
    (axis,) = figure.axes
    assert axis.get_title().startswith("rank correlation 0.9") and " to " in axis.get_title()
    assert sum(len(points.get_offsets()) for points in axis.collections) == 6
    assert len(plots.agreement(SCORES.assign(test=SCORES["development"]), "caption").axes) == 3
