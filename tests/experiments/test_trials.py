"""Trials: rows of development twins, published for good, told by label and recipe as they were."""

import math
from collections.abc import Callable

import pandas as pd
import pytest

from reidlib import methods
from reidlib.app import regime
from reidlib.experiments import ledger, studies, tables, trials
from reidlib.experiments.records import describe

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
    named = {name for name in studies.registered() if name.endswith(trials.SUFFIX)}
    assert counts.nunique() == 1 and set(counts.index) <= named
    rows = trials.rows()
    assert rows["source"].str.startswith("development twin ").all(), "nothing was chosen on a test"
    chosen = trials.table(study=list(counts.index)).query("chosen").reset_index()
    assert set(chosen["study"]) == set(counts.index), "what was chosen is the recipe of today"
    if lacking := sorted(named - set(counts.index)):
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
    assert "| plain, metric loss collapsed | 1 | 30.0 | +0.0 | 0.50 | 50 | `a` |" in text
    assert "| **other** (chosen) | 1 | 33.0 | +3.0 |" in text
    assert pd.isna(trials.table(file)["deviation"]).all()


def test_the_interval_of_a_difference_is_by_the_spread_of_all_trials(tmp_path) -> None:
    """Residuals of three trials with two seeds are ±0.005, ∓0.005 and 0: 2 degrees of freedom, t = 4.303."""
    file = tmp_path / "trials.csv"
    scores = {"plain": (0.30, 0.32), "other": (0.32, 0.32), "third": (0.40, 0.41)}
    write(file, *((name, seed, pair[seed], name + str(seed)) for name, pair in scores.items() for seed in (0, 1)))
    write(file, ("once", 0, 0.33, "e"))
    found = trials.table(file).droplevel(["study", "dataset", "profile"])
    deviation = math.sqrt(4 * 0.005**2 / 2)
    assert found.loc["other", "interval"] == pytest.approx(100 * 4.3027 * deviation * math.sqrt(2 / 2), rel=1e-4)
    assert found.loc["once", "interval"] == pytest.approx(math.sqrt(2) * found.loc["other", "interval"])
    assert pd.isna(found.loc["plain", "interval"])


def test_orders_are_compared_within_a_data_set(tmp_path) -> None:
    """On one validation turns the order round, on the other as well; together they would seem to agree."""
    file = tmp_path / "trials.csv"
    for dataset, level in (("sysu", 0.3), ("pku-sketch", 0.1)):
        for k in range(5):
            changes = {"dataset": dataset, "validation mAP": level + 0.5 - k / 100}
            write(file, (f"trial {k}", 0, level + k / 100, f"{dataset}{k}"), **changes)
    found = trials.agreement(file).set_index("dataset")
    assert found["correlation"].round(6).to_dict() == {"sysu": -1, "pku-sketch": -1}
    assert trials.agreement(file, dataset="sysu")["runs"].tolist() == [5]


@pytest.fixture
def local(own_ledger, monkeypatch) -> Callable:
    """``local(label, recipe)`` adds a row of a run on the development twin to the ledger of this machine."""
    monkeypatch.setattr(trials, "_histories", lambda: {(each, None): {"collapsed": False} for each in recipes})
    recipes = []

    def add(label: str, recipe: methods.Recipe) -> None:
        recipes.append(recipe.digest)
        data = {"name": "sysu", "is_twin": True, "twin_version": "1", "profile": "screen/development", "split": None}
        row = describe(recipe, data, "c" * 16, label) | {"protocol": "p", "reranking": "", "mAP": 0.3, "rank-1": 0.3}
        with tables.locked(ledger.local()):
            ledger.LEDGER.append(ledger.local(), [row | {"epochs": 18, "seconds": 50.0, "error": None}])

    return add


def test_published_rows_keep_study_label_and_recipe_whatever_the_recipes_become(local, tmp_path) -> None:
    """A row belongs to the trial of its label, though a default that does not matter to it has changed since."""
    file = tmp_path / "trials.csv"
    trial = studies.get("baseline-trials", profile="screen")["weighted, no erasing"]
    older = trial.replace(warmup=trial.warmup + 1)
    local("weighted, no erasing", older)
    local("batch-hard", studies.get("baseline-trials", profile="screen")["batch-hard"])
    assert trials.publish(to=file) == 2 and trials.publish(to=file) == 0, "once"
    found = trials.rows(file).set_index("trial")
    assert list(found.index) == ["batch-hard", "weighted, no erasing"], "in the order of the study"
    assert set(found["study"]) == {"baseline-trials"} and found.loc["weighted, no erasing", "recipe"] == older.digest


def test_a_run_that_has_just_begun_is_no_hindrance(own_ledger) -> None:
    folder = trials.runs.home() / "sysu" / "baseline" / "screen-seed0"
    folder.mkdir(parents=True)
    (folder / trials.runs.RECIPE).write_text(RECIPE.to_json())
    assert trials._histories() == {}


def test_what_is_no_trial_of_today_is_named_and_nothing_is_written(local, tmp_path) -> None:
    local("of old", RECIPE.replace(learning_rate=0.123))
    with pytest.raises(ValueError, match=r"'of old' \(recipe \w+\) on sysu is a trial of no study of today"):
        trials.publish(to=tmp_path / "trials.csv")
    assert not (tmp_path / "trials.csv").exists()
