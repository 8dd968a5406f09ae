"""The ledger read: one row for each run, filtered, with its recipe."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reidlib import evaluation
from reidlib.experiments import ledger
from reidlib.methods import Recipe
from reidlib.training import provenance

pytestmark = pytest.mark.usefixtures("own_ledger")


def test_table_reads_back_what_was_recorded(record: Callable) -> None:
    rows = [record('with "quotes", commas', seed=0), record(seed=1)]
    table = ledger.table()
    expected = {name: "object" if kind == "str" else kind for name, kind in ledger.COLUMNS.items()}
    assert {name: "object" if str(kind) == "str" else str(kind) for name, kind in table.dtypes.items()} == expected
    for position, row in enumerate(rows):
        values = {name: value for name, value in row.items() if value is not None and name != "date"}
        assert table.loc[position, list(values)].to_dict() == values
        assert table.loc[position, "date"].date().isoformat() == row["date"]
    assert ledger.table(ledger.local()).equals(table)


def test_filters_take_values_lists_and_none(record: Callable, fail: Callable) -> None:
    for seed in range(3):
        record("full", seed=seed)
    record("small", epochs=5)
    fail(RuntimeError("no"), seed=3)
    assert ledger.table(seed=0)["variant"].tolist() == ["full", "small"]
    assert ledger.table(seed=[1, 2], variant="full")["seed"].tolist() == [1, 2]
    assert ledger.table(seed=range(4), error=None)["seed"].tolist() == [0, 1, 2, 0]
    assert ledger.table(split=None, date=datetime.now(UTC).date())["seed"].tolist() == [0, 1, 2, 0, 3]
    assert ledger.table(**{"trials": [3, None], "profile": "screen"}).shape == (5, len(ledger.COLUMNS))
    assert ledger.table(profile="cpu").empty
    with pytest.raises(ValueError, match=r"no column 'map'; choose from: date, method, .*mAP"):
        ledger.table(map=0.5)


def test_empty_ledgers_and_absent_files(tmp_path: Path) -> None:
    table = ledger.table(method="baseline")
    assert table.empty and list(table) == list(ledger.COLUMNS)
    with pytest.raises(FileNotFoundError):
        ledger.table(tmp_path / "absent.csv")


def test_one_row_for_each_run(record: Callable, fail: Callable, finished, imageless, recipe: Recipe, protocol) -> None:
    record("full")
    fail(RuntimeError("once"))
    record()
    (row,) = ledger.table().to_dict("records")
    assert row["variant"] == "full", "a failure or a row without a label does not hide it"
    fail(RuntimeError("no"), seed=1)
    record(seed=1)
    assert ledger.table(seed=1)["error"].isna().tolist() == [True]
    other = evaluation.protocols.get("sysu", gallery="agw", num_trials=2)
    ledger.record(*finished(recipe, imageless, other))
    ledger.record(*finished(recipe, replace(imageless, profile="cpu"), protocol))
    ledger.record(*finished(recipe, replace(imageless, frame=imageless.frame[:-1]), protocol))
    assert len(ledger.table(seed=0)) == 4, "protocol, size of the twin and images tell runs apart"
    assert len(ledger.local().read_text().splitlines()) == 9, "what is written stays"


def test_results_of_older_code_can_be_left_out(record: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    record(seed=0), record(seed=1)
    monkeypatch.setattr(provenance, "code_digest", lambda *_: "0" * 16)
    record(seed=0)
    assert ledger.table()["seed"].tolist() == [0, 1, 0]
    latest = ledger.table(latest=True)
    assert latest["seed"].tolist() == [1, 0] and latest["code"].tolist()[1] == "0" * 16
    older = ledger.table(latest=True, code=latest["code"].tolist()[0])
    assert older["seed"].tolist() == [0, 1], "the latest of those asked for"


def test_a_label_does_not_make_older_code_the_latest(record: Callable, fail: Callable, monkeypatch) -> None:
    record("full")
    monkeypatch.setattr(provenance, "code_digest", lambda *_: "0" * 16)
    record()
    fail(RuntimeError("once"))
    (row,) = ledger.table(latest=True).to_dict("records")
    assert row["code"] == "0" * 16 and row["variant"] == ""


def test_the_last_row_is_the_one_recorded_last(record: Callable, recipe: Recipe) -> None:
    """Whatever its date says: published rows come before those of this machine, and count once if they lie in both."""
    record("published")
    ledger.publish()
    text = ledger.local().read_text()
    older = text.replace(datetime.now(UTC).date().isoformat(), "2001-01-01").replace("published", "here")
    ledger.local().write_text(older)
    assert ledger.table()["variant"].tolist() == ["here"]
    ledger.local().write_text(older + text.splitlines()[1] + "\n")
    assert ledger.table()["variant"].tolist() == ["here"], "what was published is not recorded last here"


def test_recipe_of_a_row(record: Callable, recipe: Recipe) -> None:
    changes = {"seed": 1, "epochs": 9, "model": {"neck": False}, "augmentation": {"erase_scale": (0.1, 0.2)}}
    row = record(**changes)
    for kind in (row, ledger.table().iloc[0]):
        assert ledger.recipe(kind) == recipe.replace(**changes)
    with pytest.raises(
        ValueError, match="baseline, dataset sysu, profile screen, seed 1 was recorded with other defaults"
    ):
        ledger.recipe({**row, "changes": "{}"})
