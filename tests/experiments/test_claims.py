"""Claims: all are there, also where runs are few, missing or of something else; tables of their verdicts."""

from collections.abc import Callable

import pytest

from reidlib.experiments import claims, ledger
from reidlib.experiments.claims import NO_RUNS, NOT_SUPPORTED, SUPPORTED

# ---- all of them


def test_the_twelve_claims_are_in_order_and_say_how_they_are_judged() -> None:
    assert list(claims.registered()) == ["M1", "M2", "M3", "F1", "F2", "I1", "I2", "I3", "D1", "D2", "D3", "D4"]
    for name, claim in claims.registered().items():
        assert claim.paper[0] == name[0] and all((claim.statement, claim.measure, claim.rule, claim.runs))
        assert claim.judge.__doc__.startswith(f"{name}: ")
        for runs in claim.runs:
            assert len(runs.variants) > 1


def test_without_runs_the_commands_that_make_them_are_named(own_ledger) -> None:
    found = claims.verdicts()
    assert {verdict.word for verdict in found} == {NO_RUNS}
    assert all(runs.command in str(verdict) for verdict in found for runs in verdict.claim.runs)
    table = claims.table(found)
    assert table.index.tolist() == list(claims.registered()) and set(table["verdict"]) == {NO_RUNS}
    assert table.loc["M1", "evidence"] == "reidlib sweep maum-ladder --profile cpu --seeds 0 1 2 3 4"
    assert table.loc["D4", "evidence"].count("reidlib sweep dalnet-comparison --dataset") == 3
    assert table.loc["D1", "evidence"].endswith(
        "--dataset pku-sketch --profile cpu --seeds 0 --splits " + " ".join(map(str, range(1, 11)))
    )
    lines = claims.findings(found)
    assert lines["claim"].tolist() == list(claims.registered()) and lines["difference"].isna().all()


def test_an_unknown_claim_is_refused_and_what_cannot_be_compared_is_named(add: Callable) -> None:
    with pytest.raises(ValueError, match=r"unknown claim 'M4'; choose from: M1, M2"):
        claims.verdict("M4")
    add(claims.get("M2").runs[0], {"+ memory": [0.5, 0.5]}, other=0.4)
    ledger.IDENTITIES.beside(ledger.local()).unlink()
    with pytest.raises(ValueError, match=r"claim M2: .* scores by identity are not known"):
        claims.verdict("M2")


def test_a_ledger_of_its_own_is_judged_by_itself(add: Callable, measure: Callable, tmp_path) -> None:
    add(claims.get("M2").runs[0], {"+ memory": [0.5, 0.51], "+ unidirectional": [0.4, 0.41]}, other=0.3)
    assert claims.verdict("M2").word == SUPPORTED
    empty = tmp_path / "empty" / "ledger.csv"
    empty.parent.mkdir()
    empty.write_text(ledger.LEDGER.header + "\n")
    assert {verdict.word for verdict in claims.verdicts(empty)} == {NO_RUNS}
    assert claims.verdict("M2", ledger.local()).word == SUPPORTED


# ---- as tables


def test_findings_keep_numbers_words_and_order(add: Callable) -> None:
    add(claims.get("M2").runs[0], {"+ unidirectional": [0.45, 0.46, 0.455], "+ memory": [0.44, 0.45, 0.445]}, other=0.4)
    found = claims.verdicts()
    lines = claims.findings(found)
    of_claim = lines[lines["claim"] == "M2"]
    assert of_claim["word"].tolist() == [SUPPORTED, NOT_SUPPORTED, SUPPORTED]
    assert of_claim["decides"].tolist() == [True, True, False] and set(of_claim["verdict"]) == {NOT_SUPPORTED}
    assert of_claim["runs"].tolist() == [3, 3, 3] and (of_claim["low"] <= of_claim["difference"] + 1e-9).all()
    evidence = claims.table(found).loc["M2", "evidence"]
    assert "+ memory − + unidirectional: -1 points of mAP" in evidence and "beside" not in evidence
