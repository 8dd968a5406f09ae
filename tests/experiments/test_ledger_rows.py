"""Rows of the ledger say what was run and what came out of it."""

import json
import platform
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import torch

from reidlib import evaluation
from reidlib.data import ReIDDataset
from reidlib.experiments import ledger, studies
from reidlib.methods import Recipe
from reidlib.training import provenance

pytestmark = pytest.mark.usefixtures("own_ledger")


def test_row_says_what_was_run_and_what_came_out(
    finished: Callable, imageless: ReIDDataset, recipe: Recipe, protocol
) -> None:
    run, result = finished(recipe.replace(seed=2), imageless, protocol)
    row = ledger.record(run, result, variant="full")
    assert list(row) == list(ledger.COLUMNS)
    assert row["date"] == datetime.now(UTC).date().isoformat()
    expected = {
        **{"method": "baseline", "dataset": "sysu", "source": "twin 1", "twin_version": "1", "profile": "screen"},
        **{"seed": 2, "split": None, "protocol": protocol.name, "reranking": "none", "variant": "full"},
        **{"changes": "{}", "trials": 3, "parameters": 8, "epochs": recipe.epochs, "seconds": 3, "error": None},
        **{"device": "cpu", "threads": torch.get_num_threads(), "torch": torch.__version__},
        **{"code": provenance.code_digest("baseline", "sysu"), "recipe": run.recipe.digest},
    }
    assert {name: row[name] for name in expected} == expected
    assert row["step_seconds"] == 2 * recipe.identities * recipe.images / 80, "the median, not the slow first row"
    assert {name: row[name] for name in ledger.METRICS} == pytest.approx(result.mean, abs=1e-5)
    assert [row["mAP std"], row["mINP std"]] == pytest.approx([result.std["mAP"], result.std["mINP"]], abs=1e-5)
    assert row["mAP std"] > 0


def test_people_seen_in_training_have_no_row(finished: Callable, imageless: ReIDDataset, recipe, protocol) -> None:
    run, result = finished(recipe, imageless, protocol)
    with pytest.raises(ValueError, match="2 of 9 test identities were trained on: such a score is no test"):
        ledger.record(run, replace(result, seen=2, identities=9))
    assert ledger.table().empty


def test_a_run_that_went_on_elsewhere_has_no_times(finished: Callable, imageless, recipe, protocol) -> None:
    run, result = finished(recipe, imageless, protocol)
    here = {name: run.environment[name] for name in ("device", "torch", "threads", "precision", "processes")}
    again = replace(run, environment={**run.environment, "resumed": [{**here, "epoch": 1}]})
    assert ledger.record(again, result)["step_seconds"] > 0
    moved = {**here, "epoch": 2, "torch": "9.9", "device": "NVIDIA T4", "precision": "float16"}
    again = replace(again, environment={**again.environment, "resumed": [{**here, "epoch": 1}, moved]})
    row = ledger.record(again, result)
    assert (row["device"], row["precision"]) == ("cpu + NVIDIA T4", "float32 + float16")
    assert row["torch"] == f"{torch.__version__} + 9.9"
    assert (row["seconds"], row["step_seconds"], row["threads"]) == (None, None, None)
    assert ledger.table()["step_seconds"].isna().all()


def test_runs_of_several_processes_have_rows_of_their_own(finished: Callable, imageless, recipe, protocol) -> None:
    run, result = finished(recipe, imageless, protocol)
    rows = [ledger.record(replace(run, environment={**run.environment, "processes": n}), result) for n in (1, 2)]
    assert [row["processes"] for row in rows] == [1, 2] and rows[0]["step_seconds"] == rows[1]["step_seconds"]
    assert ledger.table()["processes"].tolist() == [1, 2] and len(ledger.table(latest=True)) == 2
    people = ledger.identities().groupby("processes").size()
    assert people[1] == people[2] > 0
    assert studies.results({"baseline": run.recipe})["processes"].tolist() == [1], "unless they are asked for"
    assert studies.results({"baseline": run.recipe}, processes=2)["processes"].tolist() == [2]


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
        **{"loss_weights": {"triplet": 0.5}, "augmentation": {"erase": 0.4}},
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
    finished: Callable, imageless: ReIDDataset, recipe: Recipe, protocol
) -> None:
    run, result = finished(recipe, imageless, protocol)
    with pytest.raises(ValueError, match="has not finished"):
        ledger.record(replace(run, epoch=1), result)
    with pytest.raises(ValueError, match="trained on other data than the result is of"):
        ledger.record(run, replace(result, profile="cpu"))
    with pytest.raises(ValueError, match="one printable line"):
        ledger.record(run, result, variant="two\nlines")
    assert not ledger.local().exists()
