"""Claims: all are there, also where runs are few, missing or of something else; tables of their verdicts; history."""

from collections.abc import Callable

import pandas as pd
import pytest

from reidlib.experiments import claims, ledger, reference
from reidlib.experiments.claims import DEVIATED, NO_RUNS, NOT_SUPPORTED, SUPPORTED
from reidlib.experiments.judge import Rows, by_run

NAMES = ["M1", "M2", "M3", "F1", "F2", "I1", "I2", "I3", "D1", "D2", "D3", "D4"]


# ---- all of them


def test_the_twelve_claims_and_four_comparisons_say_how_they_are_judged() -> None:
    known = claims.known()
    assert list(claims.registered()) == NAMES and len(known) == 16
    assert [name for name in known if known[name].is_comparison] == ["M0", "F0", "I0", "D0"]
    for name, claim in known.items():
        assert claim.paper[0] == name[0] and claim.statement and claim.parts
        assert [part.name for part in claim.parts] == [f"{name}{letter}" for letter in "abcdefgh"[: len(claim.parts)]]
        assert all(part.statement in claim.rule and part.rule in claim.rule for part in claim.parts)
    equal = {part.equal for name in ("M0", "F0", "I0", "D0") for part in known[name].parts}
    assert equal == {"budget", "time", "parameters"}


def test_without_runs_the_commands_that_make_them_are_named(own_ledger) -> None:
    found = claims.verdicts()
    assert {verdict.word for verdict in found} == {NO_RUNS} and {verdict.runs for verdict in found} == {0}
    assert all(runs.command in str(verdict) for verdict in found for runs in verdict.claim.runs)
    table = claims.table(found)
    assert table.index.tolist() == list(claims.parts()) and set(table["verdict"]) == {NO_RUNS}
    assert table.loc["M1a", "why"] == "to be made by: reidlib sweep maum-ladder --profile screen --seeds 0 1 2 3 4"
    assert table.loc["D1a", "why"].endswith(
        "--dataset pku-sketch --profile cpu --seeds 0 --splits " + " ".join(map(str, range(1, 11)))
    )
    lines = claims.findings(found)
    assert lines["part"].tolist() == list(claims.parts()) and lines["difference"].isna().all()


def test_an_unknown_claim_is_refused_and_what_cannot_be_compared_is_named(add: Callable) -> None:
    with pytest.raises(ValueError, match=r"unknown claim 'M4'; choose from: M0, M1, M2"):
        claims.verdict("M4")
    add(claims.get("M2").runs[0], {"+ memory": [0.5, 0.5]}, other=0.4)
    ledger.IDENTITIES.beside(ledger.local()).unlink()
    with pytest.raises(ValueError, match=r"M2a: .* scores by identity are not known"):
        claims.verdict("M2")


STEPS = {"+ memory": [0.5, 0.51, 0.5, 0.51, 0.5], "+ unidirectional": [0.45, 0.46, 0.45, 0.46, 0.45]}


def test_a_ledger_of_its_own_is_judged_by_itself(add: Callable, tmp_path) -> None:
    add(claims.get("M2").runs[0], STEPS, other=0.3)
    assert claims.verdict("M2").word == SUPPORTED
    empty = tmp_path / "empty" / "ledger.csv"
    empty.parent.mkdir()
    empty.write_text(ledger.LEDGER.header + "\n")
    assert {verdict.word for verdict in claims.verdicts(empty)} == {NO_RUNS}
    assert claims.verdict("M2", ledger.local()).word == SUPPORTED


def test_rows_of_other_protocols_profiles_or_photographs_do_not_count(add: Callable) -> None:
    runs = claims.get("M2").runs[0]
    add(runs, STEPS, other=0.3, protocol="sysu-indoor-1shot-official")
    add(runs, STEPS, other=0.3, reranking="k-reciprocal")
    add(runs, STEPS, other=0.3, source="real")
    assert claims.verdict("M2").word == NO_RUNS


# ---- parts and tables


def test_the_part_that_held_is_named_first_and_each_word_with_its_parts(add: Callable) -> None:
    add(claims.get("M2").runs[0], {"+ unidirectional": [0.3] * 5, "+ memory": STEPS["+ memory"]}, other=0.4)
    found = claims.verdict("M2")
    assert found.word == "supported: b; not supported: a" and found.runs == 5
    assert [each.part.name for each in found.judgements] == ["M2b", "M2a"]
    assert str(found).splitlines()[0] == "M2, MAUM: supported: b; not supported: a"
    table = claims.table([found])
    assert table["verdict"].tolist() == [SUPPORTED, NOT_SUPPORTED] and table["effect"].str.contains("5 runs × 3").all()
    lines = claims.findings([found])
    assert lines["difference"].tolist() == pytest.approx([20.4, -10.0]) and lines["runs"].tolist() == [5, 5]
    assert (lines["low"] <= lines["difference"]).all() and lines["direction"].tolist() == ["more", "more"]


def test_measures_by_identity_are_judged_as_scores_are(measure: Callable) -> None:
    runs, gaps = claims.get("M1").runs[0], {"MS-proxies": 0.6, "shared proxies": 0.2, "+ memory": 0.1, "baseline": 0.2}
    values = {variant: {"relay gap": [gap, gap + 0.01, gap, gap + 0.01, gap]} for variant, gap in gaps.items()}
    values["+ memory"]["visible–infrared centres, different people"] = [0.0] * 5
    measure(runs, "relay", values)
    (found,) = claims.verdict("M1").judgements
    assert found.word == SUPPORTED and found.evidence.kind == "runs × identities" and found.evidence.identities == 3
    assert found.evidence.difference == pytest.approx(-0.1)


def test_fewer_runs_than_planned_give_no_verdict(add: Callable) -> None:
    add(claims.get("M2").runs[0], {name: scores[:3] for name, scores in STEPS.items()}, other=0.3)
    found = claims.verdict("M2")
    assert found.word == DEVIATED and all("3 of 5 planned runs" in each.why for each in found.judgements)


def test_todays_rows_of_d2_have_the_corrected_interval() -> None:
    """The published rows of ten overlapping splits, with Nadeau and Bengio's correction."""
    parts, rows, found = claims.parts(), Rows(ledger.PUBLISHED), {}
    for name in ("D2a", "D2b"):
        values = by_run(parts[name], parts[name].terms, rows)
        if len(values) < 10:  # the recipes have changed: then these rows are found by their labels alone
            values = _by_label(name)
        found[name] = reference.corrected(values.groupby(level=0).mean().tolist(), 50 / 150)
    assert found["D2a"] == pytest.approx((-0.0017, 0.0362), abs=5e-5)
    assert found["D2b"] == pytest.approx((-0.0002, 0.0340), abs=5e-5)


def _by_label(name: str) -> pd.Series:
    table = ledger.MEASUREMENTS.frame(ledger.MEASUREMENTS.read(ledger.MEASUREMENTS.beside(ledger.PUBLISHED)))
    table = table[(table["measure"] == "auxiliary") & (table["variant"] == "DALNet") & (table["profile"] == "cpu")]
    table = table[table["dataset"] == "pku-sketch"].drop_duplicates(["split", "name"])
    numbers = table.pivot(index="split", columns="name", values="value")
    return numbers["between"] if name == "D2b" else numbers["sketch–photo"] - numbers["sketch–auxiliary"]


def test_history_keeps_the_old_verdicts_with_their_regime() -> None:
    found = claims.history()
    assert found["claim"].tolist() == NAMES and set(found["regime"]) == {"random weights, short"}
    assert found.set_index("claim")["verdict"].value_counts().to_dict() == {
        "undecided": 5,
        "not supported": 4,
        "supported": 3,
    }
    assert found[["statement", "rule", "evidence"]].notna().all(axis=None)
