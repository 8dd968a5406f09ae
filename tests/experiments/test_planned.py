"""The planned grid: its commands, which runs are missing, and the tables of its figures."""

from dataclasses import replace

import pandas as pd
import pytest

from reidlib import evaluation, methods
from reidlib.app import cli, commands
from reidlib.experiments import ledger, measures, planned, studies
from reidlib.experiments.part import Runs
from reidlib.experiments.planned import Plan
from reidlib.methods import crossed

PLANS = pytest.mark.parametrize("plan", planned.grid(), ids=lambda plan: plan.study)


@PLANS
def test_plans_are_of_studies_and_vary_what_they_say(plan: Plan) -> None:
    variants = plan.variants()
    values = planned.varied(variants)
    assert set(plan.axes) <= set(values) and values.index.tolist() == list(variants)
    measures.require_known(studies.registered()[plan.study].measures)
    if len(plan.axes) == 1:
        (name,) = plan.axes
        assert values[name].nunique() == len(values) == 4
        assert set(values) - {"inter"} == {name}, "IGCL's two terms have one weight"
        first, *others = variants.values()
        words = [{k: v for k, v in each.model.items() if isinstance(v, str)} for each in (first, *others)]
        assert words == [words[0]] * 4, "no form changes with the number"


@PLANS
def test_the_command_makes_the_plan(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {}

    def sweep(study: str, /, *, dataset: str = "sysu", profile: str, seeds: tuple[int, ...], splits=()) -> int:
        asked.update(study=study, dataset=dataset, profile=profile, seeds=seeds, splits=splits)
        return 0

    def train(method: str, /) -> int:
        return 1

    sweep.__annotations__["splits"] = tuple[int, ...]
    monkeypatch.setattr(commands, "COMMANDS", (sweep, train))
    program, *arguments = plan.command.split()
    assert program == "reidlib" and cli.main(arguments) == 0
    assert asked == {name: getattr(plan, name) for name in asked}


def test_a_page_without_rows_names_the_command_of_the_plan() -> None:
    maum, dalnet = (planned.by_method()[name].ladder for name in ("maum", "dalnet"))
    assert studies.no_rows(maum.study, profile=maum.profile) == (
        f"no run of maum-ladder has a recipe of today; make them: {maum.command}"
    )
    where = {"dataset": dalnet.dataset, "profile": dalnet.profile, "splits": dalnet.splits}
    assert studies.no_rows(dalnet.study, **where).endswith(f": {dalnet.command}")


@pytest.mark.parametrize("method", planned.by_method())
def test_a_map_is_four_by_four_with_the_recipe_and_shares_runs_with_the_curves(method: str) -> None:
    plan = planned.by_method()[method].map
    variants = plan.variants()
    values = planned.varied(variants)[list(plan.axes)]
    assert len(values.drop_duplicates()) == len(values) == 16 and values.nunique().tolist() == [4, 4]
    reference = methods.recipe(method, dataset=plan.dataset, profile=plan.profile)
    assert variants["as in the recipe"] == reference
    digests = {recipe.digest for recipe in variants.values()}
    curves = [curve for curve in planned.by_method()[method].curves if set(curve.axes) <= set(plan.axes)]
    assert len(curves) == 2
    for curve in curves:
        assert {recipe.digest for recipe in curve.variants().values()} <= digests


def test_every_method_has_a_ladder_two_to_four_curves_and_a_map() -> None:
    every = planned.by_method()
    assert list(every) == ["maum", "fienet", "idkl", "dalnet"] and all(plans.map for plans in every.values())
    assert all(2 <= len(plans.curves) <= 4 for plans in every.values())
    for plans in every.values():
        for plan, runs in [(plans.ladder, 5), *((curve, 5) for curve in plans.curves), (plans.map, 3)]:
            assert plan.profile == ("cpu" if plan.study == "dalnet-ladder" else "screen")
            assert plan.dataset != "sysu" or plan.seeds == tuple(range(runs))
        assert len(plans.ladder.seeds) * len(plans.ladder.splits or [1]) == 5


def test_varied_knows_defaults_and_weights() -> None:
    default = methods.recipe("maum", profile="screen")
    variants = {
        "usual": default,
        "longer": default.replace(model={"memory_length": 32}),
        "heavier": default.replace(loss_weights={"triplet": 3.0}),  # the model has an option of this name, too
        "without": default.replace(loss_weights={"proxy": None}),
    }
    values = planned.varied(variants)
    assert sorted(values) == ["memory_length", "proxy", "triplet"]
    assert values["memory_length"].tolist() == [8, 32, 8, 8] and values["triplet"].tolist() == [1, 1, 3, 1]
    assert values["proxy"].isna().tolist() == [False, False, False, True]
    assert planned.varied({"usual": default, "again": default}).shape == (2, 0)


@pytest.fixture
def control(finished, imageless, own_ledger) -> Plan:
    """The null control with two seeds; of its four runs one is recorded, and one has failed."""
    protocol = evaluation.protocols.get("sysu", gallery="agw", num_trials=2)
    plan = Plan("null-control", seeds=(0, 3))
    plain, inert = plan.variants().values()
    ledger.record(*finished(plain.replace(seed=3), imageless, protocol), variant="other label")
    ledger.record_failure(inert, imageless, RuntimeError("no"), protocol=protocol)
    return plan


def test_runs_and_missing_compare_the_plan_with_the_ledger(control: Plan) -> None:
    runs = planned.runs([control])
    assert runs[["variant", "seed", "is_recorded"]].to_numpy().tolist() == [
        ["baseline", 0, False],
        ["baseline + inert module", 0, False],
        ["baseline", 3, True],
        ["baseline + inert module", 3, False],
    ]
    assert runs["split"].isna().all() and runs["recipe"].is_unique
    (row,) = planned.missing([control]).to_dict("records")
    command = "reidlib sweep null-control --profile screen --seeds 0 3"
    assert row == {"study": "null-control", "runs": 4, "missing": 3, "command": command}


def test_nothing_is_missing_where_all_is_recorded(control: Plan, finished, imageless) -> None:
    only = Plan("null-control", seeds=(3,))
    assert planned.missing([control, only])["missing"].tolist() == [3, 1]
    recipe, rules = list(only.variants().values())[1], evaluation.protocols.get("sysu", gallery="agw", num_trials=2)
    ledger.record(*finished(recipe.replace(seed=3), imageless, rules))
    assert planned.missing([control, only])["missing"].tolist() == [2]
    recorded = planned.runs([only]).iloc[0]
    assert recorded["variant"] == "baseline" and recorded["is_recorded"]


def test_a_run_of_another_split_is_another_run(control: Plan) -> None:
    runs = planned.runs([Plan("null-control", seeds=(3,), splits=(1, 2))])
    assert runs["split"].tolist() == [1, 1, 2, 2] and not runs["is_recorded"].any(), "its row has no split"
    assert len(Plan("null-control", seeds=(3,)).rows()) == 1
    assert Plan("null-control", seeds=(3,), splits=(1,)).rows().empty, "a map of one split is of no other"


def test_tables_without_rows_have_their_columns(own_ledger) -> None:
    assert planned.ladders().empty and "ladder" in planned.ladders()
    assert planned.curves().empty and {"curve", "weight", "value", "usual"} <= set(planned.curves())
    for method, plan in ((name, plans.map) for name, plans in planned.by_method().items()):
        rows = planned.weight_map(method)
        assert rows.empty and set(plan.axes.values()) <= set(rows)
    with pytest.raises(ValueError, match="no map of 'baseline'; choose one of: maum"):
        planned.weight_map("baseline")


def test_tables_hold_what_was_recorded(finished, imageless, own_ledger) -> None:
    protocol = evaluation.protocols.get("sysu", gallery="agw", num_trials=2)
    margins = studies.get("fienet-margin", profile="screen")
    grid = studies.get("fienet-map", profile="screen")
    for recipe in [*margins.values(), grid["λ 0.1, triplet 3"], grid["λ 0.1, triplet 3"].replace(seed=1)]:
        ledger.record(*finished(recipe, imageless, protocol))
    rows = planned.curves()
    assert rows[["curve", "weight", "value", "usual"]].drop_duplicates().to_numpy().tolist() == [
        ["fienet", "margin ρ", value, 1.2] for value in (1.2, 0.7, 1.0, 1.4)
    ]
    plan = planned.by_method()["fienet"].map
    cells = replace(plan, seeds=(0,)).rows()
    assert cells[["λ, IGCL", "triplet", "seed"]].to_numpy().tolist() == [[1.0, 1.0, 0], [0.1, 3.0, 0]], (
        "of seed 0 alone"
    )
    assert isinstance(cells["split"].dtype, pd.Int64Dtype)
    assert len(plan.seeds) > 1 and planned.weight_map("fienet").empty, "of several seeds those that all cells have"
    for label, recipe in grid.items():
        if label not in set(cells["variant"]):
            ledger.record(*finished(recipe, imageless, protocol))
    assert planned.weight_map("fienet")["seed"].tolist() == [0] * 16


def test_crossed_combines_changes_and_names_them() -> None:
    rows = {"a 1": {}, "a 2": {"loss_weights": {"a": 2.0}}}
    columns = {"b 1": {}, "b 2": {"loss_weights": {"b": 2.0}, "model": {"c": True}}}
    assert crossed(rows, columns) == {
        "as in the recipe": {},
        "a 1, b 2": {"loss_weights": {"b": 2.0}, "model": {"c": True}},
        "a 2, b 1": {"loss_weights": {"a": 2.0}},
        "a 2, b 2": {"loss_weights": {"a": 2.0, "b": 2.0}, "model": {"c": True}},
    }
    with pytest.raises(ValueError, match="'longer' must change loss_weights"):
        crossed(rows, {"longer": {"time": 2}})


def test_steps_of_ladders_follow_the_one_rule(add) -> None:
    runs = Runs("fienet-ladder")
    add(runs, {"baseline": [0.40, 0.41, 0.42], "+ PFAM": [0.45, 0.46, 0.47], "+ MPIM": [0.44, 0.47, 0.47]})
    rows = runs.results(None, paired=False).assign(ladder="fienet")
    found = planned.steps(rows)
    assert found["step"].tolist() == ["baseline → + PFAM", "+ PFAM → + MPIM"] and found["pairs"].tolist() == [3, 3]
    assert found["word"].tolist() == ["gain", "undecided"] and found["difference"].iloc[0] == pytest.approx(5)
    few = planned.steps(rows[rows["seed"] < 2])
    assert few["word"].tolist() == ["undecided"] * 2, "two pairs decide nothing"
    assert planned.steps(rows[rows["seed"] == 0]).empty and planned.steps(rows[:0]).empty
