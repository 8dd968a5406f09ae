"""Files of the ledger are never spoilt, and published rows are in order."""

import csv
import json
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from reidlib import methods
from reidlib.app import frontpage, notebooks
from reidlib.data import ReIDDataset
from reidlib.experiments import ledger
from reidlib.methods.recipes import RECORDED_AS

pytestmark = pytest.mark.usefixtures("own_ledger")


@pytest.mark.parametrize("header", ["a,b\n1,2\n", "date,method\n", "\ufeff", "not a table\n\n"])
def test_file_with_other_columns_is_refused_and_left_alone(record: Callable, own_ledger: Path, header: str) -> None:
    own_ledger.parent.mkdir()
    own_ledger.write_text(header)
    for use in (record, ledger.table, ledger.publish):
        with pytest.raises(ValueError, match=r"ledger\.csv is no ledger of this version"):
            use()
    assert own_ledger.read_text() == header and not ledger.PUBLISHED.exists()


def test_published_rows_that_are_gone_are_told_in_one_line(record: Callable) -> None:
    record()
    with pytest.warns(UserWarning, match=r"^ledger\.csv of the package is not there: .* alone$"):
        assert len(ledger.table()) == 1
    ledger.PUBLISHED.write_text(ledger.LEDGER.header + "\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ledger.table()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda text: text[:-40], r"ledger\.csv, line 3 is no row of the ledger"),
        (lambda text: text + "<<<<<<< HEAD\n", r"ledger\.csv, line 4 is no row of the ledger"),
        (lambda text: text.replace(",screen,0,", ",screen,zero,"), r"ledger\.csv holds a value that does not fit"),
        (lambda text: text.replace("\n20", "\nyesterday20"), r"ledger\.csv holds a value that does not fit"),
    ],
)
def test_spoilt_rows_are_named_and_nothing_is_written(
    record: Callable, own_ledger: Path, spoil: Callable, message: str
) -> None:
    record(seed=0), record(seed=1)
    spoilt = spoil(own_ledger.read_text())
    own_ledger.write_text(spoilt)
    for use in (record, ledger.table):
        with pytest.raises(ValueError, match=message):
            use()
    assert own_ledger.read_text() == spoilt


def test_a_file_of_an_older_version_is_read_and_kept(record: Callable, own_ledger: Path) -> None:
    rows = [record(seed=0), record(seed=1)]
    for format in (ledger.LEDGER, ledger.IDENTITIES):
        path, new = format.beside(own_ledger), set(format.before)
        table = format.collect([path])
        lines = path.read_text().splitlines()
        fields = list(csv.reader(lines))
        keep = [place for place, name in enumerate(fields[0]) if name not in new]
        with path.open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([row[place] for place in keep] for row in fields)
        assert "processes" not in path.read_text() and format.collect([path]).equals(table)
    record(seed=2)
    found = ledger.table()
    assert found["seed"].tolist() == [0, 1, 2] and (found["processes"] == 1).all()
    assert (found["precision"] == "float32").all() and own_ledger.read_text().splitlines()[0] == ledger.LEDGER.header
    assert len(ledger.identities()) == 3 * len(ledger.identities(found[:1])) and rows[0]["processes"] == 1


def test_a_file_that_ends_without_a_line_break_keeps_its_last_row(record: Callable, own_ledger: Path) -> None:
    record(seed=0)
    own_ledger.write_text(own_ledger.read_text().rstrip("\n"))
    record(seed=1)
    assert ledger.table()["seed"].tolist() == [0, 1]


def test_a_write_that_fails_leaves_the_ledger_as_it_was(
    record: Callable, own_ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(seed=0)
    before = own_ledger.read_bytes()

    def full(*_) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="no space"):
        record(seed=1)
    assert own_ledger.read_bytes() == before


def test_publish_adds_the_local_rows_once(record: Callable, own_ledger: Path) -> None:
    record("full", seed=0), record("full", seed=1)
    ledger.publish()
    published = ledger.PUBLISHED.read_text()
    assert published == own_ledger.read_text()
    own_ledger.unlink()
    ledger.publish()
    assert ledger.PUBLISHED.read_text() == published and len(ledger.table()) == 2
    record("full", seed=1), record("full", seed=2)
    assert ledger.table()["seed"].tolist() == [0, 1, 2]
    ledger.publish(), ledger.publish()
    assert ledger.table(ledger.PUBLISHED)["seed"].tolist() == [0, 1, 2]


def test_publish_adds_at_the_end_and_joins_what_git_merged(record: Callable, dated: Callable) -> None:
    for seed in range(3):
        record("full", seed=seed)
    header, *lines = ledger.local().read_text().splitlines()
    lines = dated(lines, ("2026-03-01", "2026-01-01", "2026-02-01"))
    ledger.PUBLISHED.write_text("\n".join([header, lines[0], header, lines[1], lines[0]]) + "\n")
    ledger.local().write_text("\n".join([header, lines[2]]) + "\n")
    ledger.publish()
    assert ledger.PUBLISHED.read_text().splitlines() == [header, lines[1], lines[0], lines[2]]


def test_an_installed_package_is_not_written_to(record: Callable, repository, tmp_path, monkeypatch) -> None:
    record()
    assert repository == ledger.CLONE
    monkeypatch.setattr(ledger, "CLONE", tmp_path)
    with pytest.raises(
        FileNotFoundError, match=r"is no clone of reidlib \(it has no pyproject\.toml\).*a ledger of your own: path"
    ):
        ledger.publish()
    assert not ledger.PUBLISHED.exists() and len(ledger.table()) == 1
    ledger.publish(ledger.PUBLISHED)
    assert len(ledger.table(ledger.PUBLISHED)) == 1, "to a file that is named"


def test_publish_leaves_tests_behind(record: Callable, finished: Callable, imageless: ReIDDataset, protocol) -> None:
    ledger.record(*finished(methods.recipe("baseline", profile="ci"), imageless, protocol))
    ledger.publish()
    assert not ledger.PUBLISHED.exists()
    record()
    ledger.publish()
    assert ledger.table(ledger.PUBLISHED)["profile"].tolist() == ["screen"]


def test_make_publish_promotes_the_ledger(record: Callable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    record()
    monkeypatch.setattr(notebooks, "find", lambda *_: [])
    monkeypatch.setattr(notebooks, "run", lambda *_: {})
    monkeypatch.setenv("REIDLIB_PROFILE", "cpu")
    monkeypatch.setenv("REIDLIB_BUILD", str(tmp_path / "build"))
    published, page = tmp_path / "reidlib" / "published", tmp_path / frontpage.PAGE
    published.mkdir(parents=True)
    page.parent.mkdir()
    (tmp_path / "README.md").write_text("no number of a run")
    page.write_text(f"before\n{frontpage.BEGIN}\n{frontpage.END}\nafter\n")
    notebooks.publish(root=tmp_path)
    assert len(ledger.table(published / "ledger.csv")) == 1
    assert frontpage.results(published / "ledger.csv") in page.read_text()


COMMITTED = ledger.PUBLISHED


def test_committed_ledger_is_in_order() -> None:
    if COMMITTED.exists():
        rows = ledger.table(COMMITTED)
        assert len(rows) == len(COMMITTED.read_text().splitlines()) - 1, "a row twice: make publish"
        assert rows["date"].is_monotonic_increasing and (rows["profile"] != "ci").all()
        scores = ledger.identities(rows, COMMITTED)
        lines = ledger.IDENTITIES.read(ledger.IDENTITIES.beside(COMMITTED))
        assert len(scores) == len(lines), "an identity twice, or of a run that is not there: make publish"


WRITER = """
import sys
import warnings
from pathlib import Path
import pandas as pd
from reidlib import evaluation, methods
from reidlib.experiments import ledger
from reidlib.data import ReIDDataset, sysu

frame = pd.DataFrame([("a.jpg", 1, 1, 0, "train")], columns=["path", "pid", "camid", "modality", "split"])
dataset = ReIDDataset("sysu", Path("nowhere"), frame, sysu.READER)
for number in range(25):
    recipe = methods.recipe("baseline", profile="screen").replace(seed=1000 * int(sys.argv[1]) + number)
    ledger.record_failure(recipe, dataset, RuntimeError(30 * "x"), protocol=evaluation.protocols.get("sysu"))
"""


@pytest.mark.slow
def test_processes_that_write_at_once_lose_nothing(own_ledger: Path) -> None:
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(number)]) for number in range(2)]
    assert [writer.wait() for writer in writers] == [0, 0]
    assert set(ledger.table()["seed"]) == {1000 * writer + number for writer in range(2) for number in range(25)}
    assert len(own_ledger.read_text().splitlines()) == 51


REGIME_SINCE = "2026-12-01"  # the day on which the defaults of all recipes became others: docs/regime.md


def test_every_published_row_of_today_s_regime_has_the_recipe_that_its_digest_names() -> None:
    """Rows from before are history: what they changed was changed from other defaults, and the message says so."""
    for row in ledger.table(COMMITTED).to_dict("records"):
        if f"{row['date']:%Y-%m-%d}" >= REGIME_SINCE:
            assert ledger.recipe(row).digest == row["recipe"]
            continue
        try:
            assert ledger.recipe(row).digest == row["recipe"]
        except ValueError as error:
            assert "recorded with other defaults" in str(error) or "of another version" in str(error)


def test_rows_are_read_under_the_names_that_fields_had() -> None:
    renamed = {name for changes in ledger.table(COMMITTED)["changes"] for name in json.loads(changes)}
    assert renamed & set(RECORDED_AS.values()) == {"thinning"}, "rows of the first edition"
    row = ledger.table(COMMITTED)[lambda rows: rows["changes"].str.contains("thinning")].iloc[0].to_dict()
    with pytest.raises(ValueError, match="recorded with other defaults"):
        ledger.recipe(row)
