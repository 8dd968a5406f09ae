"""What was measured on a development twin is no test: its rows are apart, and no row mixes the two."""

from dataclasses import replace
from pathlib import Path

import pytest

from reidlib import evaluation, methods
from reidlib.experiments import ledger, records, sweep

SOURCE = "development twin 1"


def test_rows_of_development_twins_are_no_test(imageless, finished, own_ledger: Path) -> None:
    recipe, protocol = (
        methods.recipe("baseline", dataset="sysu", profile="ci"),
        evaluation.protocols.get("sysu", gallery="agw"),
    )
    development = replace(imageless, profile="ci/development")
    of_twin, of_development = (finished(recipe, each, protocol) for each in (imageless, development))
    for run, result in (of_twin, of_development):
        ledger.record(run, result)
    assert ledger.table()["source"].tolist() == ["twin 1"] and len(ledger.table(method="baseline", error=None)) == 1
    assert ledger.table(source=SOURCE)["source"].tolist() == [SOURCE]
    for (run, _), (_, result) in ((of_twin, of_development), (of_development, of_twin)):
        with pytest.raises(ValueError, match="was trained on other data than the result is of"):
            ledger.record(run, result)
    assert "development twin 1, ci/development" in str(evaluation.report([of_development[1]]).iloc[0, 0])
    assert records.in_words(SOURCE) == SOURCE and records.in_words("twin 1") == "synthetic twin 1"
    jobs = sweep.plan({"baseline": recipe}, [development], protocol, seeds=(0,))
    assert jobs[0].is_recorded and sweep.rows(jobs)["source"].tolist() == [SOURCE]
