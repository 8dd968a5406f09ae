"""Tables in CSV: what cannot be read is named with a way out, what could not be read back is never written."""

import csv
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pandas as pd
import pytest
from hypothesis import strategies

from reidlib.evaluation import published
from reidlib.experiments import ledger, measures, tables
from reidlib.experiments.tables import Format

pytestmark = pytest.mark.usefixtures("own_ledger")
FORMATS = {format.file: format for format in (ledger.LEDGER, ledger.IDENTITIES, ledger.MEASUREMENTS)}
READ = {"ledger.csv": ledger.table, "identities.csv": ledger.identities, "measures.csv": measures.table}
BESIDE = b"<<<<<<< HEAD\n=======\n>>>>>>> theirs\n"

SPOILT = {
    "UTF-16": (lambda content: content.decode().encode("utf-16"), "is not in UTF-8"),
    "UTF-16 without a mark": (lambda content: content.decode().encode("utf-16-le"), "holds a NUL"),
    "Latin-1": (lambda content: content + "é".encode("latin-1"), "line 3 is not in UTF-8"),
    "NUL": (lambda content: content.replace(b"baseline", b"base\0line"), "line 2 holds a NUL"),
    "a merge": (lambda content: content + BESIDE, "line 3 .*marks a merge"),
    "a merge in the header": (lambda content: BESIDE + content, "line 1 .*marks a merge"),
    "a merge as of diff3": (lambda content: content + b"||||||| base\n", r"line 3 .*marks a merge.*\|\|\|\|\|\|\|"),
    "a long field": (lambda content: content + 200_000 * b"x" + b"\n", "line 3 is no row"),
    "a long field in its place": (lambda content: content.replace(b"baseline", 200_000 * b"x"), "line 2 is no row"),
    "an open quotation": (lambda content: content[:-1] + b'"' + content.splitlines()[1] + b"\n", "line 2 is no row"),
    "an empty line": (lambda content: content + b"\n", "line 3 is no row"),
    "a large number": (lambda content: content.replace(b",cpu,0,", b",cpu," + 30 * b"9" + b","), "does not fit"),
}


@pytest.fixture(params=FORMATS)
def file(request: pytest.FixtureRequest, own_ledger: Path) -> Path:
    """A table with one row."""
    row = {"date": "2026-01-01", "method": "baseline", "dataset": "sysu", "profile": "cpu", "seed": 0, "measure": "m"}
    row |= {"recipe": "r", "code": "c", "data": "d", "processes": 1, "protocol": "p", "reranking": "none", "pid": 3}
    own_ledger.parent.mkdir(parents=True)
    path = FORMATS[request.param].beside(own_ledger)
    FORMATS[request.param].append(path, [row | {"queries": 1, "name": "n", "value": 0.5}])
    return path


@pytest.mark.parametrize("how", SPOILT)
def test_a_spoilt_table_is_named_and_left_as_it_is(file: Path, how: str) -> None:
    spoil, message = SPOILT[how]
    before = file.read_bytes()
    spoilt = spoil(before)
    if spoilt == before:
        pytest.skip("the table has no such column")
    file.write_bytes(spoilt)
    with pytest.raises(ValueError, match=rf"{file.name}.* {message}|{file.name}, {message}"):
        READ[file.name]()
    with pytest.raises(ValueError, match=file.name):
        FORMATS[file.name].append(file, [])
    assert file.read_bytes() == spoilt


def test_a_table_from_excel_is_read(file: Path) -> None:
    before = READ[file.name]()
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))
    assert READ[file.name]().equals(before) and len(before) == 1


@pytest.mark.parametrize("spoil", [lambda text: text.encode("utf-16"), lambda text: text.encode() + b"\xe9,\n"])
def test_a_spoilt_table_of_literature_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil) -> None:
    path = tmp_path / "literature.csv"
    path.write_bytes(spoil(published.FILE.read_text(encoding="utf-8")))
    monkeypatch.setattr(published, "FILE", path)
    with pytest.raises(ValueError, match=r"literature\.csv is damaged"):
        published.table()


# ---- what is written is read


FORMAT = Format("table", {"a": "str", "variant": "str", "n": "Int64", "x": "float64"}, "table.csv")
TEXT = strategies.text(max_size=12) | strategies.sampled_from(['"', "a,b", '"a"', "'", "=1+1", "a\nb", "\u2028", "\0"])


@hypothesis.given(
    strategies.lists(
        strategies.fixed_dictionaries(
            {
                "a": TEXT | strategies.none(),
                "variant": TEXT,
                "n": strategies.integers() | strategies.none(),
                "x": strategies.floats() | strategies.none(),
            }
        ),
        max_size=3,
    )
)
@hypothesis.settings(max_examples=60)
def test_what_is_written_is_read_back_and_nothing_else_is_written(tmp_path_factory, rows: list) -> None:
    path = tmp_path_factory.mktemp("table") / "table.csv"
    FORMAT.append(path, [{"a": "first", "variant": "", "n": 1, "x": 0.5}])
    before = path.read_bytes()
    try:
        written = FORMAT.append(path, rows)
    except ValueError as error:
        assert path.read_bytes() == before and "table" in str(error)
        fit = all(str(row[name] or "").isprintable() for row in rows for name in ("a", "variant"))
        assert not fit or any(row["n"] is not None and abs(row["n"]) >= 2**63 for row in rows)
        return
    found = FORMAT.collect([path])[1:]
    for row, read in zip(written, found.to_dict("records"), strict=True):
        assert (None if pd.isna(read["a"]) else read["a"], read["variant"]) == (row["a"] or None, row["variant"])
        assert (None if pd.isna(read["n"]) else read["n"]) == row["n"]
        assert (None if pd.isna(read["x"]) else read["x"]) == row["x"]


def test_a_row_of_several_lines_is_refused_before_anything_is_written(
    record: Callable, finished: Callable, imageless, recipe, protocol, own_ledger: Path
) -> None:
    record(seed=0)
    before = {file: file.read_bytes() for file in own_ledger.parent.iterdir() if file.is_file()}
    for name, text in (("device", "a\nb"), ("torch", "2\u2028"), ("device", 10**6 * "x")):
        run, result = finished(recipe.replace(seed=1), imageless, protocol)
        run.environment[name] = text
        with pytest.raises(ValueError, match=f"ledger keeps in column '{name}' text of one printable line"):
            ledger.record(run, result)
    assert {file: file.read_bytes() for file in own_ledger.parent.iterdir() if file.is_file()} == before
    record(seed=1)
    assert ledger.table()["seed"].tolist() == [0, 1]


def test_a_run_without_a_history_is_recorded_without_times(finished, imageless, recipe, protocol) -> None:
    run, result = finished(recipe, imageless, protocol)
    known = ledger.record(run, result)
    vars(run)["history"] = run.history[:0]
    row = ledger.record(run, result)
    assert known["seconds"] and known["step_seconds"]
    assert (row["seconds"], row["step_seconds"]) == (None, None) and row["mAP"] == known["mAP"]
    vars(run)["history"] = run.history.drop(columns=list(run.history))
    assert ledger.record(run, result)["step_seconds"] is None


# ---- the last of several


def test_a_clock_that_was_ahead_does_not_win_for_ever(record: Callable, own_ledger: Path, dated: Callable) -> None:
    """The row of the wrong date is published; a later one of other code takes its place, and stays there."""
    record(seed=0)
    header, line = own_ledger.read_text().splitlines()
    (ahead,) = dated([line.replace(line.split(",")[-4], "0" * 16)], ("2099-01-01",))
    own_ledger.write_text(f"{header}\n{ahead}\n")
    ledger.publish()
    record(seed=0)
    for _ in range(3):
        assert len(ledger.table()) == 2 and ledger.table(latest=True)["date"].dt.year.tolist() != [2099]
        ledger.publish()
    own_ledger.unlink()
    assert ledger.table(latest=True)["date"].dt.year.tolist() != [2099]
    assert ledger.PUBLISHED.read_text().splitlines()[1] == ahead, "published rows stay where they are"


def test_a_published_row_that_lies_here_as_well_is_not_the_last(record: Callable, own_ledger: Path) -> None:
    """Somebody published newer rows of other code after mine: mine, still in my own ledger, are not newer for that."""
    record(seed=0)
    ledger.publish()
    header, mine = own_ledger.read_text().splitlines()
    theirs = mine.replace(next(csv.reader([mine]))[list(ledger.COLUMNS).index("code")], "f" * 16)
    ledger.PUBLISHED.write_text("\n".join([header, mine, theirs]) + "\n")
    assert ledger.table(latest=True)["code"].tolist() == ["f" * 16] and len(ledger.table()) == 2
    ledger.publish()
    assert ledger.PUBLISHED.read_text().splitlines() == [header, mine, theirs]


def test_what_a_kill_left_beside_a_table_goes_with_the_next_row(record: Callable, own_ledger: Path) -> None:
    record(seed=0)
    for name in ("ledger.csv.partial", "ledger.csv.0a1b2c3d.partial", "other.csv.partial"):
        (own_ledger.parent / name).write_text("half")
    record(seed=1)
    assert [file.name for file in own_ledger.parent.glob("*partial")] == ["other.csv.partial"]


def test_last_takes_the_preferred_then_the_later() -> None:
    frame = pd.DataFrame({"key": ["a", "a", "b", "b"], "good": [True, False, True, True], "n": range(4)})
    assert tables.last(frame, ["key"])["n"].tolist() == [1, 3]
    assert tables.last(frame, ["key"], frame["good"])["n"].tolist() == [0, 3]
