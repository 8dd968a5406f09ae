"""Every part is judged by one judge, and the judge is broken on purpose: each mutant must change the word."""

from dataclasses import replace

import numpy as np
import pytest

from reidlib.experiments import claims, evidence, judge, register
from reidlib.experiments.judge import CANNOT_TELL, DEVIATED, NO_RUNS, NOT_SUPPORTED, SUPPORTED, UNDECIDED
from reidlib.experiments.part import METRICS, Control, Part, canonical
from tests.experiments.judged import keys, rows_of

PARTS = claims.parts()
every = pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)


def _shape(part: Part) -> tuple:
    shares = any(term.share_of for term in part.terms)
    return part.measure, part.direction, len(part.terms), bool(part.runs.splits), shares


ONE_OF_A_SHAPE = {_shape(part): part for part in PARTS.values()}
of_a_kind = pytest.mark.parametrize(
    "part",
    [
        pytest.param(part, id=name, marks=[] if ONE_OF_A_SHAPE[_shape(part)] is part else pytest.mark.all)
        for name, part in PARTS.items()
    ],
)


def word(part: Part, *arguments: float, **options: object) -> str:
    return judge.judge(part, rows_of(part, *arguments, **options)).word


def entry(part: Part, **changes: str) -> dict[str, register.Entry]:
    recipes = canonical(part.recipes)
    known = register.Entry(
        "2026-12-31", part.name, register.digest(part), part.text, recipes, canonical({"m": "c" * 16})
    )
    return {part.name: replace(known, **changes)}


# ---- mutants


@of_a_kind
def test_every_judge_is_killed_by_its_mutants(part: Part) -> None:
    kept = part.direction == "kept"
    assert word(part, 0.0 if kept else 3.0) == SUPPORTED
    assert word(part, -3.0) == NOT_SUPPORTED, "turned round"
    if not kept:
        assert word(part, 0.2) == NOT_SUPPORTED, "shrunk below what matters"
    assert word(part, -1.0 if kept else 0.5, noise=30) == UNDECIDED, "drowned in noise"
    for broken in (0, 1):
        assert word(part, 0.0 if kept else 3.0, broken=broken) == CANNOT_TELL
    for runs in (part.runs.number - 1, 2, 1):
        found = judge.judge(part, rows_of(part, 0.0 if kept else 3.0, runs=runs))
        assert found.word == DEVIATED and f"{runs} of {part.runs.number} planned runs" in found.why
        assert (found.plain == UNDECIDED) == (runs < 3), "two runs decide nothing"


@of_a_kind
def test_a_changed_rule_recipe_or_date_is_a_deviation(part: Part) -> None:
    effect = 0.0 if part.direction == "kept" else 3.0
    assert judge.judge(part, rows_of(part, effect, register=entry(part))).word == SUPPORTED
    for changed, said in (
        ({"register": entry(replace(part, smallest=2 * part.smallest))}, "not the rule"),
        ({"register": entry(part, recipes=entry(part)[part.name].recipes.replace('["', '["0'))}, "not the recipes"),
        ({"register": entry(part), "date": "2026-12-30"}, "before the rule was registered"),
        ({"register": entry(part, code=canonical({"m": "d" * 16}))}, "runs of m with other code"),
    ):
        found = judge.judge(part, rows_of(part, effect, **changed))
        assert found.word == DEVIATED and said in found.why and found.plain == SUPPORTED


def test_more_runs_than_planned_are_a_deviation() -> None:
    part = PARTS["M2a"]
    assert word(part, 3.0, runs=6) == DEVIATED


@pytest.mark.parametrize("field", ["statement", "terms", "direction", "smallest", "runs", "instrument", "regime"])
def test_every_field_is_part_of_the_rule(field: str) -> None:
    part = PARTS["M2a"]
    bounds = replace(part.instrument.positive, low=6)
    others = {"direction": "less", "smallest": 1.6, "runs": replace(part.runs, seeds=6), "terms": part.terms[::-1]}
    others |= {"instrument": replace(part.instrument, positive=bounds)}
    changed = replace(part, **{field: others.get(field, "another")})
    assert register.digest(changed) != register.digest(part)


# ---- what is said


def test_a_judgement_says_effect_interval_unit_n_why_and_by_which_rule() -> None:
    part = PARTS["M2a"]
    found = judge.judge(part, rows_of(part, 4.0, register=entry(part)))
    text = str(found)
    assert text.startswith("M2a, the pull: unidirectional metrics gain on MS-proxies: supported\n")
    assert "+ unidirectional − MS-proxies: +6 points of mAP (95 % interval +" in text
    assert "5 runs × 12 identities" in text and "the interval excludes 0 and reaches 1.5 points of mAP" in text
    assert f"[rule {register.digest(part)[:12]}, registered 2026-12-31]" in text
    assert "not registered" in str(judge.judge(part, rows_of(part, 4.0)))


def test_a_broken_control_is_named_with_its_number() -> None:
    found = judge.judge(PARTS["D1a"], rows_of(PARTS["D1a"], 3.0, broken=1))
    assert (
        found.why == "a control failed: the person is not all there is: 0.9 of the gradient at most (1.2, not 0 to 0.9)"
    )


def test_without_runs_the_command_is_named_and_without_identities_nothing_is_decided() -> None:
    part = PARTS["M1a"]
    rows = rows_of(part, 3.0)
    table = rows.of(None, None)
    rows.of = lambda runs, measure: table[table["variant"] != "+ memory"]
    found = judge.judge(part, rows)
    assert (found.word, found.effect) == (NO_RUNS, "") and "reidlib sweep maum-ladder --profile screen" in found.why
    rows.of = lambda runs, measure: table.assign(identities=None)
    found = judge.judge(part, rows)
    assert found.word == NO_RUNS and "without identities" in found.why


def test_a_control_that_was_not_run_cannot_vouch() -> None:
    part = PARTS["M1a"]
    rows = rows_of(part, 3.0)
    table = rows.of(None, None)
    rows.of = lambda runs, measure: table[table["variant"] != "MS-proxies"]
    found = judge.judge(part, rows)
    assert found.word == CANNOT_TELL and found.why.startswith("a control was not run: proxies that nothing pulls")


def test_runs_with_other_data_or_queries_are_refused() -> None:
    part = PARTS["M2a"]
    rows = rows_of(part, 3.0)
    table, people = rows.of(None, None), rows.identities
    ours = table["variant"] == "MS-proxies"
    rows.of = lambda runs, measure: table.assign(data=table["data"].where(~ours, "other"))
    with pytest.raises(ValueError, match="M2a: runs of the same seed were made with different data"):
        judge.judge(part, rows)
    rows.of = lambda runs, measure: table
    of_ours = people["recipe"].isin(table.loc[ours, "recipe"])
    rows.identities = people.assign(queries=people["queries"] + of_ours * (people["pid"] == 3))
    with pytest.raises(ValueError, match="M2a: runs were not scored on the same queries"):
        judge.judge(part, rows)


# ---- the family


def test_holm_stands_beside_the_plain_word() -> None:
    weak, strong = PARTS["M2a"], PARTS["M2b"]
    found = [judge.judge(strong, rows_of(strong, 3.0)), judge.judge(weak, rows_of(weak, 0.99, noise=1.1))]
    assert [each.word for each in found] == [SUPPORTED, SUPPORTED] and found[0].p < 0.01 < found[1].p
    many = [replace(found[1], part=replace(weak, name=f"X{number}")) for number in range(20)]
    adjusted = judge.in_family([found[0], *many])
    assert [each.adjusted for each in adjusted] == [SUPPORTED, *20 * [UNDECIDED]]
    assert [each.word for each in adjusted] == 21 * [SUPPORTED], "the plain word stays"
    assert "supported (after Holm: undecided)" in str(adjusted[1]) and "Holm" not in str(adjusted[0])


def test_what_deviates_or_cannot_tell_is_no_member_of_the_family() -> None:
    part = PARTS["M2a"]
    found = [judge.judge(part, rows_of(part, 3.0, **how)) for how in ({}, {"runs": 4}, {"broken": 0})]
    assert [each.adjusted for each in judge.in_family(found)] == [SUPPORTED, "", ""]


# ---- the parts


@every
def test_parts_are_complete_and_their_recipes_can_be_made(part: Part) -> None:
    assert part.name[:2] in claims.known() and part.name[2:].isalpha() and part.statement and part.unit
    assert part.runs.number >= 5 and part.smallest > 0 and part.direction in ("more", "less", "kept")
    assert part.recipes.keys() == {variant for variant, _ in keys(part)}
    assert all(isinstance(control, Control) and control.low < control.high for control in part.controls)


@every
def test_both_sides_have_the_same_budget_but_for_what_the_part_allows(part: Part) -> None:
    if part.measure not in METRICS or part.name[0] + part.name[1] in ("M3", "D3"):
        return  # of scarce images there are fewer steps, on purpose
    recipes = [part.runs.variants[term.variant] for term in part.terms]
    shown = part.name in ("D0g", "D0h")  # photos shown in another way are what is asked about
    for field in ("weights", "height", "width", "identities", "images", "epochs", *([] if shown else ["augmentation"])):
        same = len({str(getattr(recipe, field)) for recipe in recipes}) == 1
        assert same == (part.equal != "time") if field == "epochs" else same, (part.name, field)


@every
def test_so_they_have_where_each_method_has_a_budget_of_its_own(part: Part) -> None:
    paper = replace(part, runs=replace(part.runs, profile="paper"))
    test_both_sides_have_the_same_budget_but_for_what_the_part_allows(paper)


def test_splits_are_judged_by_their_means_with_the_correction() -> None:
    part = PARTS["D2a"]
    rows = rows_of(part, 3.0, noise=1)
    values = judge.by_run(part, part.terms, rows)
    found = judge.judge(part, rows).evidence
    assert found == evidence.resampled(values.groupby(level=0).mean(), 1 / 3, len(np.unique(rows.identities["pid"])))
    assert found.runs == 10 and found.kind == "overlapping splits"
