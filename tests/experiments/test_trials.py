"""Trials: rows of development twins, published for good, told by label and recipe as they were."""

import math

import pandas as pd
import pytest

from reidlib import methods
from reidlib.app import regime
from reidlib.experiments import trials

RECIPE = methods.recipe("baseline", dataset="sysu", profile="screen")
ROW = {
    **{"date": "2026-12-01", "study": "baseline-trials", "method": "baseline", "dataset": "sysu", "profile": "screen"},
    **{"source": "development twin 1", "split": None, "rank-1": 0.3, "validation mAP": 0.6, "spread": 0.5},
    **{"common": 0.9, "collapsed": False, "epochs": 18, "seconds": 50.0, "precision": "float32", "code": "c" * 16},
}


def write(path, *runs: tuple[str, int, float, str], **changes) -> None:
    rows = [ROW | {"trial": trial, "seed": seed, "mAP": score, "recipe": digest} for trial, seed, score, digest in runs]
    trials.FORMAT.append(path, [row | changes for row in rows])


def test_a_trial_is_a_line_with_its_distance_from_the_first_over_shared_seeds(tmp_path) -> None:
    file, today = tmp_path / "trials.csv", [RECIPE.replace(seed=seed).digest for seed in (0, 1)]
    write(file, ("plain", 0, 0.30, "a"), ("plain", 1, 0.34, "b"), ("other", 0, 0.33, today[0]), ("third", 1, 0.30, "d"))
    found = trials.table(file).droplevel(["study", "dataset", "profile"])
    assert found["runs"].to_dict() == {"plain": 2, "other": 1, "third": 1}
    assert found["difference"].round(6).to_dict() == {"plain": 0, "other": 3, "third": -4}
    assert found.loc["plain", "deviation"] == pytest.approx(100 * 0.04 / math.sqrt(2))
    assert found["chosen"].to_dict() == {"plain": False, "other": True, "third": False}
    assert trials.counts(file).to_dict() == {"baseline-trials": 3}


def test_a_run_recorded_twice_counts_once_and_the_last_time(tmp_path) -> None:
    file = tmp_path / "trials.csv"
    write(file, ("plain", 0, 0.30, "a"), ("plain", 0, 0.40, "a"))
    assert trials.rows(file)["mAP"].tolist() == [0.4]


def test_other_studies_are_no_trials(tmp_path) -> None:
    write(tmp_path / "trials.csv", ("baseline, × 3", 0, 0.3, "a"), study="maum-training-length")
    assert trials.counts(tmp_path / "trials.csv").empty and len(trials.table(tmp_path / "trials.csv")) == 1


def test_without_a_ledger_there_is_nothing_to_publish(own_ledger, tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no ledger"):
        trials.publish(to=tmp_path / "trials.csv")


def test_published_trials_are_as_many_for_every_method() -> None:
    counts = trials.counts()
    if counts.empty:
        pytest.skip("no trial is published yet")
    assert counts.nunique() == 1 and set(counts.index) <= set(regime.TITLES)
    rows = trials.rows()
    assert rows["source"].str.startswith("development twin ").all(), "nothing was chosen on a test"
    chosen = trials.table().query("chosen").reset_index()
    assert set(chosen["study"]) == set(counts.index), "what was chosen is the recipe of today"
    if lacking := sorted(set(regime.TITLES) - set(counts.index)):
        pytest.skip(f"not published yet: {', '.join(lacking)}")


def test_the_chosen_baseline_is_healthy() -> None:
    """Features of different people are apart, and the metric loss does better than a point: in every run."""
    rows = trials.shown().query("chosen and study == 'baseline-trials'")
    if rows.empty:
        pytest.skip("no trial is published yet")
    assert (rows["spread"] >= 0.2).all() and not rows["collapsed"].any()
    before = trials.rows().query("study == 'baseline-trials' and trial == 'batch-hard'")
    assert (before["spread"] < 0.2).all() and before["collapsed"].all(), "as it was"


def test_the_page_shows_the_published_trials() -> None:
    assert regime.PAGE.read_text(encoding="utf-8") == regime.page(), "run `make results`"


def test_the_table_says_what_collapsed_and_what_was_chosen(tmp_path) -> None:
    file = tmp_path / "trials.csv"
    write(file, ("plain", 0, 0.30, "a"), collapsed=True)
    write(file, ("other", 0, 0.33, RECIPE.digest))
    text = regime.block(file)
    assert "| plain, metric loss collapsed | 1 | 30.0 | +0.0 |" in text
    assert "| **other** (chosen) | 1 | 33.0 | +3.0 |" in text
    assert pd.isna(trials.table(file)["deviation"]).all()
