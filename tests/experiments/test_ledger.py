"""The ledger: rows that say what was measured, files that are never spoilt."""

import json
import platform
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import torch

from reidlib import evaluation, methods
from reidlib.app import frontpage, notebooks
from reidlib.data import ReIDDataset
from reidlib.experiments import ledger, tables
from reidlib.methods import Recipe
from reidlib.methods.recipes import RECORDED_AS
from reidlib.training import runs

PROTOCOL = evaluation.protocols.get("sysu", gallery="agw", num_trials=3)

pytestmark = pytest.mark.usefixtures("own_ledger")


@pytest.fixture
def recipe() -> Recipe:
    return methods.recipe("baseline", dataset="sysu", profile="screen")


@pytest.fixture
def record(finished: Callable, imageless: ReIDDataset, recipe: Recipe) -> Callable:
    """``record(variant="", path=None, **changes of the recipe)`` adds a row and returns it."""

    def add(variant: str = "", path: Path | None = None, **changes) -> dict:
        return ledger.record(*finished(recipe.replace(**changes), imageless, PROTOCOL), variant=variant, path=path)

    return add


@pytest.fixture
def fail(imageless: ReIDDataset, recipe: Recipe) -> Callable:
    """``fail(error, variant="", **changes of the recipe)`` adds the row of a failure and returns it."""

    def add(error: Exception, variant: str = "", **changes) -> dict:
        changed = recipe.replace(**changes)
        return ledger.record_failure(changed, imageless, error, protocol=PROTOCOL, variant=variant)

    return add


# ---- rows


def test_row_says_what_was_run_and_what_came_out(finished: Callable, imageless: ReIDDataset, recipe: Recipe) -> None:
    run, result = finished(recipe.replace(seed=2), imageless, PROTOCOL)
    row = ledger.record(run, result, variant="full")
    assert list(row) == list(ledger.COLUMNS)
    assert row["date"] == datetime.now(UTC).date().isoformat()
    expected = {
        **{"method": "baseline", "dataset": "sysu", "source": "twin 1", "twin_version": "1", "profile": "screen"},
        **{"seed": 2, "split": None, "protocol": PROTOCOL.name, "reranking": "none", "variant": "full"},
        **{"changes": "{}", "trials": 3, "parameters": 8, "epochs": recipe.epochs, "seconds": 3, "error": None},
        **{"device": "cpu", "threads": torch.get_num_threads(), "torch": torch.__version__},
        **{"code": runs.code_digest("baseline", "sysu"), "recipe": run.recipe.digest},
    }
    assert {name: row[name] for name in expected} == expected
    assert row["step_seconds"] == 2 * recipe.identities * recipe.images / 80, "the median, not the slow first row"
    assert {name: row[name] for name in ledger.METRICS} == pytest.approx(result.mean, abs=1e-5)
    assert [row["mAP std"], row["mINP std"]] == pytest.approx([result.std["mAP"], result.std["mINP"]], abs=1e-5)
    assert row["mAP std"] > 0


def test_real_data_and_single_trials_leave_fields_empty(
    finished: Callable, imageless: ReIDDataset, recipe: Recipe
) -> None:
    real = replace(imageless, is_twin=False, twin_version=None, profile=None)
    single = evaluation.protocols.get("sysu", gallery="agw", num_trials=1)
    row = ledger.record(*finished(recipe, real, single))
    assert (row["source"], row["twin_version"], row["mAP std"]) == ("real", None, None)
    rows = ledger.table(source="real", twin_version=None, split=None)
    assert len(rows) == 1 and rows["mAP std"].isna().all() and rows["error"].isna().all()


def test_changes_make_the_recipe_again(record: Callable, recipe: Recipe) -> None:
    changes = {
        **{"seed": 1, "epochs": 9, "learning_rate": 1e-4, "model": {"neck": False, "margin": 0.2}},
        **{"loss_weights": {"triplet": 0.5}, "augmentation": {"erase": 0.0}},
    }
    row = record(**changes)
    written = json.loads(row["changes"])
    assert written == {name: value for name, value in changes.items() if name != "seed"}
    assert recipe.replace(seed=row["seed"], **written).digest == row["recipe"]
    assert json.loads(record(loss_weights={"triplet": None})["changes"]) == {"loss_weights": {"triplet": None}}


def test_thinning_is_among_the_changes(record: Callable, recipe: Recipe) -> None:
    row = record(subsample={"modality": 1, "images": 0.25})
    assert json.loads(row["changes"]) == {"subsample": {"modality": 1, "images": 0.25, "identities": 1.0, "seed": 0}}
    assert ledger.recipe(row) == recipe.replace(subsample={"modality": 1, "images": 0.25})
    assert json.loads(record(subsample={"modality": 0})["changes"]) == {}, "one that keeps all is none"


def test_failure_is_a_row_without_scores(fail: Callable, imageless: ReIDDataset, tmp_path: Path) -> None:
    row = fail(FloatingPointError("loss.triplet is nan\nat step 7"), "diverges", seed=1)
    assert row["error"] == "FloatingPointError: loss.triplet is nan at step 7"
    assert (row["variant"], row["seed"], row["source"], row["mAP"], row["trials"]) == (
        "diverges",
        1,
        "twin 1",
        None,
        None,
    )
    assert ledger.table(error=None).empty and ledger.table()["mAP"].isna().all()


@pytest.mark.parametrize(
    ("message", "recorded"),
    [
        ("{root}/cam1/0001/0002.jpg is damaged", "cam1/0001/0002.jpg is damaged"),
        ("no such file: '/secret/deep/0001.jpg'", "no such file: '0001.jpg'"),
        ('File "C:\\Users\\me\\0001.jpg", line 3, and / or', 'File "0001.jpg", line 3, and / or'),
        ("/secret: 3/4 of it is gone", "secret: 3/4 of it is gone"),
    ],
)
def test_rows_name_no_folder_and_no_machine(
    fail: Callable, imageless: ReIDDataset, message: str, recorded: str, tmp_path: Path
) -> None:
    error = OSError(message.format(root=imageless.root.absolute()))
    assert fail(error)["error"] == f"OSError: {recorded}"
    text = ledger.local().read_text()
    assert str(tmp_path) not in text and platform.node() not in text and len(text.splitlines()) == 2


def test_long_and_strange_errors_stay_one_line(fail: Callable) -> None:
    row = fail(RuntimeError('a "quo\x00ted",\u2028' + "x" * 1000))
    assert row["error"].startswith('RuntimeError: a "quoted", x') and len(row["error"]) == 300
    assert ledger.table()["error"].tolist() == [row["error"]]


def test_unfinished_runs_and_results_of_other_data_are_refused(
    finished: Callable, imageless: ReIDDataset, recipe: Recipe
) -> None:
    run, result = finished(recipe, imageless, PROTOCOL)
    with pytest.raises(ValueError, match="has not finished"):
        ledger.record(replace(run, epoch=1), result)
    with pytest.raises(ValueError, match="trained on other data than the result is of"):
        ledger.record(run, replace(result, profile="cpu"))
    with pytest.raises(ValueError, match="one printable line"):
        ledger.record(run, result, variant="two\nlines")
    assert not ledger.local().exists()


# ---- tables


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


def test_one_row_for_each_run(record: Callable, fail: Callable, finished, imageless, recipe: Recipe) -> None:
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
    ledger.record(*finished(recipe, replace(imageless, profile="cpu"), PROTOCOL))
    ledger.record(*finished(recipe, replace(imageless, frame=imageless.frame[:-1]), PROTOCOL))
    assert len(ledger.table(seed=0)) == 4, "protocol, size of the twin and images tell runs apart"
    assert len(ledger.local().read_text().splitlines()) == 9, "what is written stays"


def test_results_of_older_code_can_be_left_out(record: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    record(seed=0), record(seed=1)
    monkeypatch.setattr(runs, "code_digest", lambda *_: "0" * 16)
    record(seed=0)
    assert ledger.table()["seed"].tolist() == [0, 1, 0]
    latest = ledger.table(latest=True)
    assert latest["seed"].tolist() == [1, 0] and latest["code"].tolist()[1] == "0" * 16
    older = ledger.table(latest=True, code=latest["code"].tolist()[0])
    assert older["seed"].tolist() == [0, 1], "the latest of those asked for"


def test_a_label_does_not_make_older_code_the_latest(record: Callable, fail: Callable, monkeypatch) -> None:
    record("full")
    monkeypatch.setattr(runs, "code_digest", lambda *_: "0" * 16)
    record()
    fail(RuntimeError("once"))
    (row,) = ledger.table(latest=True).to_dict("records")
    assert row["code"] == "0" * 16 and row["variant"] == ""


def test_the_last_row_is_the_one_of_the_last_day(record: Callable, recipe: Recipe) -> None:
    """Whichever file it lies in: what was published meanwhile may be younger than what was recorded here."""
    record("today")
    ledger.publish()
    text = ledger.local().read_text()
    ledger.local().write_text(text.replace(datetime.now(UTC).date().isoformat(), "2001-01-01").replace("today", "old"))
    assert ledger.table()["variant"].tolist() == ["today"]


def test_recipe_of_a_row(record: Callable, recipe: Recipe) -> None:
    changes = {"seed": 1, "epochs": 9, "model": {"neck": False}, "augmentation": {"erase_scale": (0.1, 0.2)}}
    row = record(**changes)
    for kind in (row, ledger.table().iloc[0]):
        assert ledger.recipe(kind) == recipe.replace(**changes)
    with pytest.raises(
        ValueError, match="baseline, dataset sysu, profile screen, seed 1 was recorded with other defaults"
    ):
        ledger.recipe({**row, "changes": "{}"})


# ---- identities


def test_scores_of_identities_add_up_to_the_row(
    finished: Callable, imageless: ReIDDataset, recipe: Recipe, own_ledger: Path
) -> None:
    run, result = finished(recipe, imageless, PROTOCOL)
    row = ledger.record(run, result)
    scores = ledger.identities()
    assert list(scores) == [*ledger.KEY, "pid", "queries", "rank-1", "mAP"]
    assert scores["pid"].tolist() == [6, 10] and (scores[ledger.KEY] == [row[name] for name in ledger.KEY]).all(
        axis=None
    )
    assert scores["queries"].sum() == sum(trial.ranking.valid_queries for trial in result.trials)
    for metric in ("rank-1", "mAP"):
        assert (scores[metric] * scores["queries"]).sum() / scores["queries"].sum() == pytest.approx(
            row[metric], abs=1e-5
        )
    for pid, score in zip(scores["pid"], scores["mAP"], strict=True):  # one by one
        values = [
            trial.ranking.average_precision[query]
            for trial in result.trials
            for query in range(len(trial.query_pids))
            if trial.query_pids[query] == pid and trial.ranking.valid[query]
        ]
        assert score == pytest.approx(sum(values) / len(values), abs=1e-5)
    assert own_ledger.with_name("identities.csv").exists()


def test_queries_without_a_match_are_no_queries_of_their_identity(
    finished: Callable, imageless: ReIDDataset, recipe: Recipe
) -> None:
    run, result = finished(recipe, imageless, PROTOCOL)
    lost = result.trials[0]
    unmatched = lost.query_pids == 6
    ranking = replace(
        lost.ranking,
        first_match_rank=np.where(unmatched, 0, lost.ranking.first_match_rank),
        average_precision=np.where(unmatched, np.nan, lost.ranking.average_precision),
    )
    ledger.record(run, replace(result, trials=(replace(lost, ranking=ranking),)))
    assert ledger.identities()["pid"].tolist() == [10]


def test_identities_of_chosen_runs_and_of_other_ledgers(record: Callable, fail: Callable, tmp_path: Path) -> None:
    record(seed=0), record(seed=1), record(seed=1), fail(RuntimeError("no"), seed=2)
    assert len(ledger.identities()) == 4, "a run that was recorded twice counts once"
    assert len(ledger.identity_file(ledger.local()).read_text().splitlines()) == 5, "and stands there once"
    chosen = ledger.identities(ledger.table(seed=1))
    assert chosen["recipe"].tolist() == 2 * ledger.table(seed=1)["recipe"].tolist()
    assert ledger.identities(ledger.table(seed=2)).empty
    other = tmp_path / "mine.csv"
    record(seed=5, path=other)
    assert len(ledger.identities(path=other)) == 2 and (tmp_path / "mine-identities.csv").exists()
    assert len(ledger.identities()) == 4
    with pytest.raises(FileNotFoundError, match=r"there is no ledger .*absent"):
        ledger.identities(path=tmp_path / "absent.csv")


def test_ledgers_from_before_there_were_identities_stay_valid(record: Callable, own_ledger: Path) -> None:
    record(seed=0)
    own_ledger.with_name("identities.csv").unlink()
    assert len(ledger.table()) == 1 and ledger.identities().empty
    ledger.publish()
    assert not ledger.PUBLISHED.with_name("identities.csv").exists()
    record(seed=1)
    ledger.publish()
    assert len(ledger.table(ledger.PUBLISHED)) == 2 and len(ledger.identities(path=ledger.PUBLISHED)) == 2


def test_publish_takes_identities_along(record: Callable, finished: Callable, imageless, own_ledger: Path) -> None:
    record(seed=0)
    ledger.publish()
    record(seed=1), record(seed=0)
    ledger.record(*finished(methods.recipe("baseline", profile="ci"), imageless, PROTOCOL))
    ledger.publish()
    published = ledger.PUBLISHED.with_name("identities.csv")
    before = published.read_text()
    scores, rows = ledger.identities(path=ledger.PUBLISHED), ledger.table(ledger.PUBLISHED)
    assert len(before.splitlines()) == 1 + len(scores) == 1 + 2 * 2, "none twice, none of profile ci"
    assert scores["recipe"].drop_duplicates().tolist() == rows["recipe"].tolist(), "in the order of the ledger"
    ledger.publish()
    own_ledger.unlink(), own_ledger.with_name("identities.csv").unlink()
    ledger.publish()
    assert published.read_text() == before


def test_spoilt_identities_are_refused_and_nothing_is_written(record: Callable, own_ledger: Path) -> None:
    record(seed=0)
    identities = own_ledger.with_name("identities.csv")
    spoilt, before = identities.read_text() + "<<<<<<< HEAD\n", own_ledger.read_text()
    identities.write_text(spoilt)
    for use in (record, ledger.identities, ledger.publish):
        with pytest.raises(ValueError, match=r"identities\.csv, line 4 is no row of the table of identities"):
            use()
    assert identities.read_text() == spoilt and own_ledger.read_text() == before and not ledger.PUBLISHED.exists()


def test_a_row_stands_for_a_run_whose_identities_are_written(record: Callable, own_ledger: Path, monkeypatch) -> None:
    """They come first: a kill between the two leaves a run to be made again, not one without its identities."""
    write = tables.Format.write

    def killed(format: tables.Format, path: Path, lines: list[str]) -> None:
        if path == own_ledger:
            raise KeyboardInterrupt
        write(format, path, lines)

    with monkeypatch.context() as patch:
        patch.setattr(tables.Format, "write", killed)
        with pytest.raises(KeyboardInterrupt):
            record(seed=0)
    assert ledger.table().empty and len(ledger.identities()) == 2
    record(seed=0)
    assert len(ledger.table()) == 1 and len(ledger.identities()) == 2


# ---- files


@pytest.mark.parametrize("header", ["a,b\n1,2\n", "date,method\n", "\ufeff", "not a table\n\n"])
def test_file_with_other_columns_is_refused_and_left_alone(record: Callable, own_ledger: Path, header: str) -> None:
    own_ledger.parent.mkdir()
    own_ledger.write_text(header)
    for use in (record, ledger.table, ledger.publish):
        with pytest.raises(ValueError, match=r"ledger\.csv is no ledger of this version"):
            use()
    assert own_ledger.read_text() == header and not ledger.PUBLISHED.exists()


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


def test_publish_sorts_by_date_and_joins_what_git_merged(record: Callable) -> None:
    for seed in range(3):
        record("full", seed=seed)
    header, *lines = ledger.local().read_text().splitlines()
    lines = [f"{date}{line[10:]}" for date, line in zip(("2026-03-01", "2026-01-01", "2026-02-01"), lines, strict=True)]
    ledger.PUBLISHED.write_text("\n".join([header, lines[0], header, lines[1], lines[0]]) + "\n")
    ledger.local().write_text("\n".join([header, lines[2]]) + "\n")
    ledger.publish()
    assert ledger.PUBLISHED.read_text().splitlines() == [header, lines[1], lines[2], lines[0]]


def test_publish_leaves_tests_behind(record: Callable, finished: Callable, imageless: ReIDDataset) -> None:
    ledger.record(*finished(methods.recipe("baseline", profile="ci"), imageless, PROTOCOL))
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
    published, page = tmp_path / "reidlib" / "published", tmp_path / "README.md"
    published.mkdir(parents=True)
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
        lines = ledger.IDENTITIES.read(ledger.identity_file(COMMITTED))
        assert len(scores) == len(lines), "an identity twice, or of a run that is not there: make publish"


WRITER = """
import sys
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


def test_every_published_row_has_the_recipe_that_its_digest_names() -> None:
    """Also those recorded under other names of fields: see ``RECORDED_AS``."""
    lost, renamed = [], set()
    for row in ledger.table(COMMITTED).to_dict("records"):
        renamed |= json.loads(row["changes"]).keys() & set(RECORDED_AS.values())
        try:
            assert ledger.recipe(row).digest == row["recipe"]
        except ValueError:
            lost.append((row["method"], row["profile"], f"{row['date']:%Y-%m-%d}"))
    assert lost == [("dalnet", "screen", "2026-11-22")], "a run before DALNet's recipe was settled"
    assert renamed == {"thinning"}, "rows of the first edition are read under their names"
