"""The plan of runs: every registered part is in it, shared runs count once, hours are measured."""

from reidlib import methods
from reidlib.app import regime
from reidlib.experiments import claims, tiers, trials


def test_every_part_is_planned_and_tier_1_holds_the_comparisons() -> None:
    planned = {batch.runs for batch in tiers.batches()}
    assert {part.runs for part in claims.parts().values()} <= planned
    first = {batch.runs.study for batch in tiers.batches() if batch.tier == 1}
    assert {"maum-comparison", "fienet-comparison", "idkl-comparison", "dalnet-comparison", "null-control"} <= first


def test_three_times_the_length_is_judged_in_screen_by_runs_that_the_ladders_have() -> None:
    thrice = [part for part in claims.parts().values() if "three times as long" in part.statement]
    assert {part.name[:2] for part in thrice} == {"M0", "F0", "I0"}
    assert all(part.runs.profile == "screen" and part.runs.study.endswith("-ladder") for part in thrice)
    short, long = (methods.recipe("baseline", dataset="sysu", profile=profile) for profile in ("cpu", "screen"))
    assert 2 < long.epochs / short.epochs < 3, "24 visits and 54"


def test_shared_runs_count_once_and_those_in_the_records_are_not_missing(monkeypatch) -> None:
    found = tiers.table()
    digests = [each for batch in tiers.batches() for each in tiers._digests(batch.runs)]
    assert found["runs"].sum() == len(set(digests)) < len(digests)
    assert (found["missing"] <= found["runs"]).all() and found["tier"].is_monotonic_increasing
    baseline, split = tiers._digests(tiers.batches()[0].runs)[0]
    rows = tiers.ledger.table(error=None)[["recipe", "split"]].iloc[:1].assign(recipe=baseline)
    monkeypatch.setattr(tiers.ledger, "table", lambda **filters: rows.astype({"split": "Int64"}))
    assert split == 0 and tiers.table()["missing"].sum() == found["runs"].sum() - 1


def test_hours_are_epochs_times_the_median_time_of_one(monkeypatch) -> None:
    rows = trials.rows().iloc[:0]
    known = dict(method="baseline", dataset="sysu", profile="cpu", epochs=8)
    rows = rows.astype(object)
    for seconds in (40.0, 80.0, 160.0):
        rows.loc[len(rows)] = dict.fromkeys(rows.columns) | known | {"seconds": seconds}
    monkeypatch.setattr(tiers.trials, "rows", lambda: rows.astype({"seconds": float, "epochs": float}))
    recipe = tiers.Runs("baseline-regime").variants["baseline"]
    assert tiers._expected(recipe, "sysu", tiers._seconds()) == 10 * recipe.epochs
    assert tiers._expected(recipe, "llcm", tiers._seconds()) == 10 * recipe.epochs / 5, "five short ones are a long one"
    other = recipe.replace(method="idkl")
    assert tiers._expected(other, "sysu", tiers._seconds()) != tiers._expected(other, "sysu", tiers._seconds())


def test_the_page_shows_the_plan_of_today() -> None:
    assert regime.plan() in regime.PLAN.read_text(encoding="utf-8"), "run `make results`"
