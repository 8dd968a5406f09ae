"""Measures: taken on the run they are asked for, recorded beside the ledger, read and published like it."""

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reidlib import evaluation, explain, methods
from reidlib.data import ReIDDataset
from reidlib.experiments import ledger, measures
from reidlib.methods import Recipe
from reidlib.training import provenance, runs

PROTOCOL = evaluation.protocols.get("sysu", gallery="agw", num_trials=2)

pytestmark = pytest.mark.usefixtures("own_ledger")


@pytest.fixture
def sizes(new_measure) -> None:
    """A measure called sizes: epochs and seed of the run, images of the data set, and a number that does not exist."""

    def sizes(run: runs.Run, dataset: ReIDDataset) -> dict[str, float]:
        return {"epochs, seed": run.epoch + run.recipe.seed / 8, "images": len(dataset), "nothing": math.nan}

    new_measure("sizes", sizes)
    new_measure("length", lambda run, dataset: {"images": float(len(dataset))})


@pytest.fixture
def record(finished: Callable, imageless: ReIDDataset, recipe: Recipe, sizes: None) -> Callable:
    """``record(variant="", names=("sizes",), path=None, **changes of the recipe)`` adds rows and returns them."""

    def add(variant: str = "", names: tuple = ("sizes",), path: Path | None = None, **changes) -> list[dict]:
        run, _ = finished(recipe.replace(**changes), imageless, PROTOCOL)
        return measures.record(run, imageless, names, variant=variant, path=path)

    return add


# ---- taking


@pytest.fixture
def run(finished: Callable, imageless: ReIDDataset, recipe: Recipe) -> runs.Run:
    return finished(recipe, imageless, PROTOCOL)[0]


def test_measures_are_taken_in_the_order_asked_for(run, imageless, sizes) -> None:
    taken = measures.take(run, imageless, ["length", "sizes"])
    assert list(taken) == ["length", "sizes"] and list(taken["sizes"]) == ["epochs, seed", "images", "nothing"]
    assert taken["length"] == {"images": len(imageless)}
    assert measures.take(run, imageless, []) == {} and not measures.local().exists()


def test_what_cannot_be_measured_is_said(run, imageless: ReIDDataset, record) -> None:
    for arguments, message in [
        ((run, imageless, ["sizes", "beauty"]), "unknown measure 'beauty'; choose from: cameras, "),
        ((replace(run, epoch=1), imageless, ["sizes"]), "has not finished"),
        ((run, replace(imageless, twin_version="2"), ["sizes"]), "was trained on other data than SYSU-MM01"),
    ]:
        for use in (measures.take, measures.record):
            with pytest.raises(ValueError, match=message):
                use(*arguments)
    with pytest.raises(ValueError, match="one printable line"):
        record("two\nlines")
    assert not measures.local().exists()


@pytest.mark.parametrize(
    ("name", "table", "values"),
    [("cameras", "camera", "knowledge"), ("focus", "focus", "focus"), ("probes", "knowledge", "knowledge")],
)
def test_shared_measures_are_the_values_of_a_table(run, imageless, monkeypatch, name, table, values) -> None:
    monkeypatch.setattr(explain, f"{table}_table", lambda model, dataset: (model, dataset))
    monkeypatch.setattr(explain, f"{values}_values", lambda table: {"same": float(table == (run.model, imageless))})
    assert measures.take(run, imageless, [name]) == {name: {"same": 1.0}}


def test_cameras_are_named_as_probes_are(run, imageless, monkeypatch) -> None:
    lines = [("shared", "camera, visible images", 0.5, 0.25)]
    table = pd.DataFrame(lines, columns=["branch", "factor", "score", "chance"])
    monkeypatch.setattr(explain, "camera_table", lambda *_: table)
    assert measures.take(run, imageless, ["cameras"]) == {
        "cameras": {"shared: camera, visible images": 0.5, "chance: camera, visible images": 0.25}
    }


# ---- rows


def test_rows_say_what_was_measured_on_which_run(finished, imageless, recipe: Recipe, record: Callable) -> None:
    rows = record("full", ("sizes", "length"), seed=3, model={"neck": False})
    assert [(row["measure"], row["name"], row["value"]) for row in rows] == [
        ("sizes", "epochs, seed", recipe.epochs + 3 / 8),
        ("sizes", "images", len(imageless)),
        ("sizes", "nothing", None),
        ("length", "images", len(imageless)),
    ]
    changed = recipe.replace(seed=3, model={"neck": False})
    run = ledger.record(*finished(changed, imageless, PROTOCOL), variant="full")
    for row in rows:
        assert list(row) == list(measures.COLUMNS)
        shared = [name for name in measures.COLUMNS if name in ledger.COLUMNS]
        assert {name: row[name] for name in shared} == {name: run[name] for name in shared}
        assert row["date"] == datetime.now(UTC).date().isoformat() and row["variant"] == "full"
        assert ledger.recipe(row) == changed
    assert list(measures.COLUMNS) == [
        *("date", "method", "dataset", "source", "profile", "seed", "split", "processes", "variant", "changes"),
        *("measure", "name", "value", "code", "recipe", "data", "twin_version", "identities"),
    ]


def test_table_reads_back_what_was_recorded(record: Callable, own_ledger: Path, tmp_path: Path) -> None:
    assert measures.table().empty and list(measures.table()) == list(measures.COLUMNS)
    rows = [*record(seed=0), *record(seed=1)]
    table = measures.table()
    assert own_ledger.with_name("measures.csv") == measures.local() and not own_ledger.exists()
    assert table["value"].isna().tolist() == 2 * [False, False, True] and table["value"].dtype == np.float64
    for position, row in enumerate(rows):
        values = {name: value for name, value in row.items() if value is not None and name != "date"}
        assert table.loc[position, list(values)].to_dict() == values
    assert measures.table(measures.local()).equals(table)
    assert measures.table(seed=1, name=["images", "nothing"])["name"].tolist() == ["images", "nothing"]
    with pytest.raises(ValueError, match=r"the table of measures has no column 'mAP'; choose from: date, .*measure"):
        measures.table(mAP=1)
    with pytest.raises(FileNotFoundError, match=r"there is no table of measures .*absent"):
        measures.table(tmp_path / "absent.csv")
    record(seed=2, path=tmp_path / "mine.csv")
    assert len(measures.table()) == 6 and measures.table(tmp_path / "mine.csv")["seed"].tolist() == [2, 2, 2]


def test_one_row_for_each_number(record: Callable, new_measure) -> None:
    record("full"), record(names=("length",))
    new_measure("sizes", lambda *_: {"images": 7.0})
    record()
    table = measures.table(measure="sizes")
    assert table["variant"].tolist() == 3 * ["full"] and 7 not in table["value"].tolist(), "a label counts for more"
    record("again")
    table = measures.table(measure="sizes")
    assert dict(zip(table["name"], table["variant"], strict=True)) == {
        "epochs, seed": "full",
        "nothing": "full",
        "images": "again",
    }
    assert len(measures.local().read_text().splitlines()) == 1 + 3 + 1 + 1 + 1, "what is written stays"


def test_latest_are_the_numbers_of_one_version_of_the_code(
    record: Callable, monkeypatch: pytest.MonkeyPatch, new_measure
) -> None:
    record("full", seed=0), record("full", ("length",), seed=0), record(seed=1)
    monkeypatch.setattr(provenance, "code_digest", lambda *_: "0" * 16)
    new_measure("sizes", lambda *_: {"images": 7.0})
    record(seed=0)
    assert len(measures.table()) == 8
    latest = measures.table(latest=True)
    found = latest[["seed", "measure", "name", "value"]].to_numpy().tolist()
    assert found[0][:3] == [0, "length", "images"], "not measured again with the new code"
    assert found[-1] == [0, "sizes", "images", 7.0] and len(found) == 1 + 3 + 1, "no number of older code beside it"


def test_missing_are_those_without_a_row(record: Callable, own_ledger: Path) -> None:
    (row, *_) = record()
    key = {name: row[name] for name in ("recipe", "code", "data")}
    assert measures.missing(key, ["length", "sizes"]) == ["length"] and measures.missing(key, []) == []
    for name in key:
        assert measures.missing({**key, name: "0" * 16}, ["sizes"]) == ["sizes"]
    own_ledger.with_name("measures.csv").rename(ledger.PUBLISHED.with_name("measures.csv"))
    assert measures.missing(key, ["sizes"]) == [], "published rows count"


# ---- files


def test_publish_takes_measures_along(record: Callable, finished, imageless, own_ledger: Path) -> None:
    published = ledger.PUBLISHED.with_name("measures.csv")
    ci = methods.recipe("baseline", profile="ci")
    measures.record(finished(ci, imageless, PROTOCOL)[0], imageless, ["sizes"])
    ledger.publish()
    assert not published.exists(), "tests stay behind"
    record(seed=0), record("full", seed=1), record(seed=0)
    before = measures.local().read_text()
    ledger.publish()
    assert measures.table(published)[["seed", "variant"]].to_numpy().tolist() == 3 * [[1, "full"]] + 3 * [[0, ""]]
    assert len(published.read_text().splitlines()) == 1 + 6 and measures.local().read_text() == before
    text = published.read_text()
    ledger.publish()
    measures.local().unlink()
    ledger.publish()
    assert published.read_text() == text and len(measures.table()) == 6
    other = ledger.PUBLISHED.with_name("mine.csv")
    record(seed=5)
    ledger.publish(other)
    assert measures.table(other.with_name("mine-measures.csv"))["seed"].tolist() == 3 * [5]


def test_published_rows_stay_in_their_order_whatever_their_dates_say(record: Callable, dated: Callable) -> None:
    record(seed=0), record(seed=1)
    header, *lines = measures.local().read_text().splitlines()
    dates = ("2026-03-01", "2026-03-01", "2026-03-01", "2026-01-01", "2026-01-01", "2026-02-01")
    lines = dated(lines, dates)
    published = ledger.PUBLISHED.with_name("measures.csv")
    published.write_text("\n".join([header, *lines[:2], header, *lines[:2]]) + "\n")  # as git merges it
    measures.local().write_text("\n".join([header, *lines[2:]]) + "\n")
    ledger.publish()
    assert published.read_text().splitlines() == [header, *lines]


@pytest.mark.parametrize("content", ["a,b\n1,2\n", "not a table\n"])
def test_another_file_is_refused_and_left_alone(record: Callable, content: str, new_measure) -> None:
    measures.local().parent.mkdir()
    measures.local().write_text(content)
    new_measure("sizes", lambda *_: pytest.fail("measured in vain"))
    for use in (record, measures.table, ledger.publish):
        with pytest.raises(ValueError, match=r"measures\.csv is no table of measures of this version"):
            use()
    assert measures.local().read_text() == content and not ledger.PUBLISHED.with_name("measures.csv").exists()


COMMITTED = ledger.MEASUREMENTS.beside(ledger.PUBLISHED)


def test_committed_measures_are_in_order(repository: Path) -> None:
    assert "reidlib/published/measures.csv merge=union" in (repository / ".gitattributes").read_text(encoding="utf-8")
    if COMMITTED.exists():
        rows = measures.table(COMMITTED)
        assert len(rows) == len(COMMITTED.read_text(encoding="utf-8").splitlines()) - 1, "a row twice: make publish"
        assert rows["date"].is_monotonic_increasing and (rows["profile"] != "ci").all()


def test_a_number_of_people_is_recorded_with_each_of_them(record: Callable, new_measure) -> None:
    new_measure(
        "people", lambda run, dataset: {"gap": pd.Series({7: 0.25, 3: 0.123456789, 9: float("nan")}), "all": 2.0}
    )
    gap, alone = record("full", ["people"])
    assert gap["value"] == pytest.approx((0.25 + 0.123457) / 2, abs=1e-6) and gap["identities"] == "7:0.25 3:0.123457"
    assert alone["identities"] is None
    read = measures.table(measure="people").set_index("name")["identities"]
    assert measures.by_identity(read["gap"]).to_dict() == {7: 0.25, 3: 0.123457}
    assert measures.by_identity(read["all"]) is None
    with pytest.raises(ValueError, match="values by identity that are none: '7=1'"):
        measures.by_identity("7=1")


def test_tables_without_identities_stay_readable(record: Callable, own_ledger: Path) -> None:
    record("full", ["length"])
    file = ledger.MEASUREMENTS.beside(own_ledger)
    old = [line.rsplit(",", 1)[0] for line in file.read_text().splitlines()]
    file.write_text("\n".join([*old, ""]))
    assert not old[0].endswith("identities") and measures.table(measure="length")["identities"].isna().all()
