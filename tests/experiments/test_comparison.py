"""Comparisons: paired, of equal budget, with an interval that means what it says, and a verdict in words."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from reidlib import methods
from reidlib.experiments import ledger, reference, studies, tables
from reidlib.experiments.budget import equal_wall_clock
from reidlib.experiments.comparison import compare, most_common_code, required_seeds, same_seeds

pytestmark = pytest.mark.usefixtures("own_ledger")

PIDS, QUERIES = np.array([3, 8, 21, 40]), np.array([1, 2, 2, 5])
SCORES = np.array([[0.2, 0.5, 0.4, 0.3], [0.1, 0.6, 0.5, 0.2], [0.3, 0.4, 0.6, 0.4]])  # seeds, identities


@pytest.fixture
def add() -> Callable:
    """``add(variant, scores, changes of the recipe, **columns)`` records a run for each row (seed) of ``scores``."""

    def record(
        variant: str,
        scores: Any,
        changes: dict[str, Any] | None = None,
        *,
        method: str = "baseline",
        first_seed: int = 0,
        pids: np.ndarray = PIDS,
        **columns: Any,
    ) -> pd.DataFrame:
        recipe = methods.recipe(method, profile="screen").replace(**(changes or {}))
        for seed, row in enumerate(np.asarray(scores, dtype=float), first_seed):
            mean = float(np.average(row, weights=QUERIES))
            entry = {
                **{name: getattr(recipe, name) for name in ("method", "dataset", "profile")},
                **dict(date="2026-01-01", source="twin 1", protocol="sysu-all", reranking="none", trials=10, seed=seed),
                **{
                    "recipe": recipe.replace(seed=seed).digest,
                    "changes": json.dumps(changes or {}),
                    "variant": variant,
                },
                **{"code": "c" * 16, "data": "d" * 16, "mAP": mean, "rank-1": mean, "parameters": 1000},
                **{
                    "step_seconds": 0.2,
                    "device": "cpu",
                    "threads": 1,
                    "precision": "float32",
                    "processes": 1,
                    **columns,
                },
            }
            key = {name: entry[name] for name in ledger.KEY}
            scored = [
                {**key, "pid": pid, "queries": queries, "rank-1": score, "mAP": score}
                for pid, queries, score in zip(pids, QUERIES, row, strict=True)
            ]
            with tables.locked(ledger.local()):
                ledger.LEDGER.append(ledger.local(), [entry])
                ledger.IDENTITIES.append(ledger.IDENTITIES.beside(ledger.local()), scored)
        return ledger.table(variant=variant)

    return record


OTHER, HALF = {"model": {"neck": False}}, {"subsample": {"modality": 1, "images": 0.5}}


# ---- the interval


def test_a_constant_shift_has_an_exact_interval(add: Callable) -> None:
    result = compare(add("method", SCORES + 0.02, OTHER), add("baseline", SCORES))
    for metric in ("mAP", "rank-1"):
        assert result.differences[metric] == pytest.approx(0.02, abs=1e-12)
        assert result.intervals[metric] == pytest.approx((0.02, 0.02), abs=1e-12)
    assert result.verdict == (
        "method is better than baseline by 2.00 points of mAP "
        "(95 % interval 2.00 to 2.00; 3 pairs of runs, 4 identities)"
    )
    worse = compare(ledger.table(variant="baseline"), ledger.table(variant="method"))
    assert worse.verdict.startswith("baseline is worse than method by 2.00 points of mAP (95 % interval -2.00 to -2.00")


def test_the_metric_that_decides_is_chosen_and_named(add: Callable) -> None:
    method, baseline = add("method", SCORES + 0.02, OTHER), add("baseline", SCORES)
    mixed = method.assign(**{"rank-1": baseline["rank-1"] - 0.01})
    scores = ledger.identities().merge(method[ledger.KEY], on=ledger.KEY, how="left", indicator=True)
    lower = scores["rank-1"] - 0.03 * (scores["_merge"] == "both")
    scores = scores.assign(**{"rank-1": lower}).drop(columns="_merge")
    better, worse = (compare(mixed, baseline, metric=each, identities=scores).verdict for each in ("mAP", "rank-1"))
    assert better.startswith("method is better than baseline by 2.00 points of mAP")
    assert worse.startswith("method is worse than baseline by 1.00 points of rank-1 (95 % interval -1.00 to -1.00")
    with pytest.raises(ValueError, match="unknown metric 'mINP'; choose one of: mAP, rank-1"):
        compare(method, baseline, metric="mINP")


def test_the_interval_knows_seeds_and_identities(add: Callable) -> None:
    seeds = SCORES + np.array([[0.03], [0.0], [-0.03]])
    identities = SCORES + np.array([0.06, -0.06, 0.06, -0.02])
    widths = [
        np.ptp(compare(add(f"a{k}", each, OTHER | {"warmup": k}), add("b", SCORES)).intervals["mAP"])
        for k, each in enumerate((SCORES, seeds, identities))
    ]
    assert widths[0] == pytest.approx(0, abs=1e-12) and min(widths[1:]) > 0.03


def test_queries_weigh_the_identities(add: Callable) -> None:
    """The mean over queries, not over identities: as in the row of the run."""
    shift = np.array([0.1, 0.0, 0.0, -0.02])
    a, b = add("a", SCORES + shift, OTHER), add("b", SCORES)
    low, high = compare(a, b).intervals["mAP"]
    assert compare(a, b).differences["mAP"] == pytest.approx(0.0, abs=1e-12)
    assert low < 0 < high


def test_equal_runs_are_undecided(add: Callable) -> None:
    result = compare(add("baseline + inert module", SCORES, OTHER), add("baseline", SCORES))
    assert result.verdict == (
        "undecided: baseline + inert module − baseline is +0.00 points of mAP (95 % interval 0.00 to 0.00; "
        "3 pairs of runs, 4 identities); about 2 seeds (2 to 2, as judged by 3) for ±1 mAP"
    )


def test_noise_is_undecided_and_says_how_many_seeds_decide(add: Callable) -> None:
    noise = np.array([[0.02], [-0.03], [0.015]])
    result = compare(add("a", SCORES + noise, OTHER), add("b", SCORES))
    assert result.verdict.startswith("undecided: a − b is +0.17 points of mAP (95 % interval -")
    assert result.required_seeds.deviation == pytest.approx(noise.std(ddof=1))
    assert str(required_seeds(noise[:, 0])) in result.verdict


def test_the_same_rows_give_the_same_interval(add: Callable) -> None:
    a, b = add("a", SCORES[::-1], OTHER), add("b", SCORES)
    before = np.random.get_state()[1].tolist()  # noqa: NPY002 (whose state must not matter)
    assert compare(a, b).intervals == compare(a[::-1], b).intervals
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002


def test_splits_pair_with_themselves(add: Callable) -> None:
    for variant, changes, shift in (("a", OTHER, 0.01), ("b", None, 0.0)):
        for split, pids in ((1, PIDS), (2, PIDS + 1)):  # 3, 8, 21, 40 and 4, 9, 22, 41
            add(variant, SCORES + shift * split, changes, split=split, data=f"split {split}", pids=pids)
    a, b = ledger.table(variant="a"), ledger.table(variant="b")
    result = compare(a.sample(frac=1, random_state=0), b)
    assert result.identities == 8 and len(result.pairs) == 6
    assert result.pairs["split"].tolist() == [1, 1, 1, 2, 2, 2] and result.pairs["seed"].tolist() == [0, 1, 2, 0, 1, 2]
    assert result.pairs["mAP difference"].tolist() == pytest.approx([0.01] * 3 + [0.02] * 3)
    assert result.intervals["mAP"] == pytest.approx(reference.corrected([0.01, 0.02], 1.0)), "splits in halves"
    assert result.word == "undecided" and "two runs decide nothing" in result.verdict, "two splits, of three seeds each"
    with pytest.raises(ValueError, match="split 2, seed 1 is in b only"):
        compare(a.drop(a.index[(a["split"] == 2) & (a["seed"] == 1)]), b)


def test_two_runs_decide_nothing_whatever_their_interval(add: Callable) -> None:
    result = compare(add("method", SCORES[:2] + 0.02, OTHER), add("baseline", SCORES[:2]))
    assert result.intervals["mAP"] == pytest.approx((0.02, 0.02), abs=1e-9) and result.word == "undecided"
    assert result.verdict.endswith("2 pairs of runs, 4 identities); two runs decide nothing")


# ---- what is shown


def test_costs_and_tables(add: Callable) -> None:
    a = add("<b>bold</b>", SCORES + 0.02, OTHER, parameters=1500, step_seconds=0.3)
    result = compare(a, add("baseline", SCORES))
    assert result.parameters == (1500, 1000) and result.step_seconds == (0.3, 0.2)
    assert result.step_time_ratio == pytest.approx(1.5)
    table = result.table()
    assert list(table) == ["<b>bold</b>", "baseline", "difference", "low", "high"]
    assert list(table.index) == ["mAP", "rank-1"]
    mean = 100 * np.average(SCORES, axis=1, weights=QUERIES).mean()
    assert table.loc["mAP"].tolist() == pytest.approx([mean + 2, mean, 2, 2, 2])
    text = repr(result)
    assert text.startswith("sysu (synthetic twin 1, screen) · sysu-all · re-ranking: none\n")
    assert "parameters 1,500 and 1,000 (× 1.50); step 0.300 s and 0.200 s (× 1.50)" in text
    assert text.endswith(result.verdict)
    page = result._repr_html_()
    assert "<b>bold" not in page and "&lt;b&gt;bold&lt;/b&gt; is better than baseline" in page


def test_step_times_of_different_machines_are_not_compared(add: Callable) -> None:
    result = compare(add("a", SCORES, OTHER, device="Some GPU"), add("b", SCORES))
    assert np.isnan(result.step_time_ratio) and "(not on the same machine)" in repr(result)


def test_names_tell_them_apart(add: Callable) -> None:
    a, b = add("full", SCORES, OTHER, method="baseline"), add("", SCORES)
    assert compare(a, b).names == ("full", "baseline")
    assert compare(a, b.assign(variant="full")).names == ("full (a)", "full (b)")


# ---- what is refused


@pytest.mark.parametrize(
    ("changes", "columns", "message"),
    [
        ({"epochs": 12}, {}, "epochs is 12 in a, 18 in b"),
        ({"identities": 4}, {}, "identities is 4 in a, 8 in b"),
        ({"height": 128}, {}, "height is 128 in a, 64 in b"),
        ({"augmentation": {"erase": 0.4}}, {}, "augmentation is .*'erase': 0.4.* in a"),
        ({"validation_share": 0.2}, {}, "validation_share is 0.2 in a, 0.1 in b"),
        ({"validate_every": 2}, {}, "validate_every is 2 in a, 3 in b"),
        ({"weights": f"sha256:{'a' * 64}"}, {}, "weights is 'sha256:a+' in a, 'twin#sha256=[0-9a-f]+' in b"),
        (OTHER | HALF, {}, r"subsample is \{'modality': 1, .*\} in a, None in b"),
        (OTHER, {"data": "e" * 16}, "data is 'eeeeeeeeeeeeeeee' in a, 'dddddddddddddddd' in b"),
        (OTHER, {"protocol": "sysu-indoor"}, "protocol is 'sysu-indoor' in a"),
        (OTHER, {"reranking": "k-reciprocal"}, "reranking is 'k-reciprocal' in a"),
        (OTHER, {"code": "e" * 16}, "code is "),
    ],
)
def test_unequal_budgets_are_refused_unless_allowed_by_name(
    add: Callable, changes: dict, columns: dict, message: str
) -> None:
    a, b = add("a", SCORES, changes, **columns), add("b", SCORES)
    with pytest.raises(ValueError, match=f"do not have the same budget: {message}"):
        compare(a, b)
    name = message.split()[0]
    result = compare(a, b, allow=(name,))
    assert list(result.allowed) == [name] and f"allowed to differ: {name} " in repr(result)


def test_options_of_the_model_the_optimiser_and_other_methods_code_are_no_budget(add: Callable, new_method) -> None:
    changes = {"model": {"pool": "average"}, "loss_weights": {"triplet": 0.0}, "learning_rate": 1e-3}
    assert compare(add("a", SCORES, changes), add("b", SCORES)).allowed == {}
    assert compare(add("c", SCORES, changes | HALF), add("d", SCORES, HALF)).allowed == {}, "thinned alike"
    new_method("other")
    assert compare(add("e", SCORES, method="other", code="e" * 16), ledger.table(variant="b")).allowed == {}


def test_names_that_are_allowed_must_be_known(add: Callable) -> None:
    with pytest.raises(ValueError, match=r"'backbone' is no part of the budget; choose from: dataset, .*epochs"):
        compare(add("a", SCORES, OTHER), add("b", SCORES), allow=("backbone",))


def test_tables_that_are_not_the_runs_of_one_recipe_are_refused(add: Callable) -> None:
    b = add("b", SCORES)
    failed = pd.concat([b, b[:1].assign(seed=7, error="OSError: no")], ignore_index=True)
    add("mixed", SCORES[:1], OTHER), add("mixed", SCORES[1:], {"model": {"pool": "average"}}, first_seed=1)
    add("old", SCORES[:1], OTHER | {"warmup": 0}), add("old", SCORES[1:], OTHER | {"warmup": 0}, first_seed=1, code="e")
    add("more", SCORES, OTHER | {"warmup": 1})
    for a, message in [
        (b[:0], "a holds no row"),
        (failed, r"a: seed 7 failed \(OSError: no\)"),
        (ledger.table(variant="mixed"), "a mixes several recipes, called 'mixed'"),
        (pd.concat([b, b.assign(protocol="other")]), "a mixes protocol 'sysu-all' and 'other'; choose one"),
        (pd.concat([b, b[:1]]), "a holds two runs with seed 0"),
        (ledger.table(variant="old"), "a mixes runs of different code"),
        (ledger.table(variant="more")[:2], "seed 2 is in b only"),
        (b.assign(changes='{"epochs": 7}'), "recorded with other defaults than methods.recipe has now"),
    ]:
        with pytest.raises(ValueError, match=message):
            compare(a, b)
    with pytest.raises(ValueError, match="at least two seeds"):
        compare(ledger.table(variant="more")[:1], b[:1])


def test_runs_without_scores_by_identity_are_named(add: Callable) -> None:
    a, b = add("a", SCORES, OTHER), add("b", SCORES)
    known = ledger.identities()
    known = known[known["recipe"] != b["recipe"][1]]
    with pytest.raises(ValueError, match=r"b: of 1 runs .* \(first: method baseline, variant b, seed 1\).* evaluate"):
        compare(a, b, identities=known)
    known = ledger.identities().assign(queries=lambda rows: rows["queries"] + (rows["recipe"] == b["recipe"][0]))
    with pytest.raises(ValueError, match="not scored on the same queries"):
        compare(a, b, identities=known)


def test_recorded_runs_can_be_compared(finished: Callable, imageless, protocol) -> None:
    recipe = methods.recipe("baseline", profile="ci")
    for seed in range(3):
        for variant, changes in (("baseline", {}), ("baseline + inert module", {"model": {"inert": True}})):
            ledger.record(*finished(recipe.replace(seed=seed, **changes), imageless, protocol), variant=variant)
    a, b = (ledger.table(variant=name) for name in ("baseline + inert module", "baseline"))
    result = compare(a, b)
    assert result.identities == 2 and result.differences["mAP"] == 0 and result.verdict.startswith("undecided")
    shifted = ledger.identities().assign(mAP=lambda rows: rows["mAP"] + rows["recipe"].isin(a["recipe"]) * 0.1)
    assert compare(a, b, identities=shifted).intervals["mAP"] == pytest.approx((0.1, 0.1))


# ---- clocks


def test_variants_meet_in_the_splits_and_seeds_that_both_have(add: Callable) -> None:
    add("ours", SCORES + 0.1, first_seed=1, split=1, data="split 1")
    add("ours", SCORES + 0.1, split=2, data="split 2")
    add("theirs", SCORES, OTHER, split=1, data="split 1")
    add("theirs", SCORES[:1], OTHER, first_seed=3, split=1, data="split 1", code="old")  # of fewer runs
    rows = ledger.table()
    a, b = same_seeds(rows, "ours", "theirs")
    assert set(a["variant"]) == {"ours"} and set(b["variant"]) == {"theirs"}
    assert [sorted(zip(part["split"], part["seed"], strict=True)) for part in (a, b)] == 2 * [[(1, 1), (1, 2)]]
    assert len(compare(a, b).pairs) == 2
    with pytest.raises(ValueError, match="no row of 'mine'; there are rows of: ours, theirs"):
        same_seeds(rows, "mine", "theirs")


def test_of_versions_of_as_many_runs_the_one_recorded_last_counts_whatever_the_date_or_the_order(add: Callable) -> None:
    add("ours", SCORES[:2], first_seed=2, code="first", date="2099-01-01")  # a clock that was ahead
    add("ours", SCORES[:2], code="second")
    add("ours", SCORES[:1], first_seed=4, code="third", date="2100-01-01")  # of fewer runs
    found = studies.results({"ours": methods.recipe("baseline", profile="screen")})
    for rows in (ledger.table(), ledger.table().sort_values("seed"), found):
        assert len(rows) == 5 and most_common_code(rows)["code"].tolist() == ["second"] * 2


def test_equal_wall_clock_stretches_the_whole_schedule() -> None:
    recipe = methods.recipe("baseline", profile="screen")
    longer = equal_wall_clock(recipe, 1.4)
    assert (recipe.epochs, longer.epochs, longer.warmup) == (18, 25, pytest.approx(6.25))  # 25.2, to the nearest
    assert longer.replace(epochs=18, warmup=4.5) == recipe, "nothing else changes"
    assert equal_wall_clock(recipe, 0.01).epochs == 1 and equal_wall_clock(recipe, 1.0) == recipe
    paper = equal_wall_clock(methods.recipe("baseline", profile="paper"), 2)
    assert (paper.epochs, paper.warmup, paper.milestones) == (162, 20, (40, 100))
    for ratio in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="ratio must be a positive number"):
            equal_wall_clock(recipe, ratio)
