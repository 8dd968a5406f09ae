"""Sweeps: every run once, failures recorded, and nothing lost to a kill."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from reidlib import data, evaluation, ledger, recipes, runs, studies, sweep, training
from reidlib.data import ReIDDataset
from reidlib.recipes import Recipe

PROTOCOL = evaluation.protocols.get("sysu", gallery="agw", num_trials=2)

pytestmark = pytest.mark.usefixtures("own_ledger")


@pytest.fixture
def grid() -> dict[str, Recipe]:
    full = recipes.get("baseline", dataset="sysu", profile="ci").replace(epochs=1, warmup=0)
    return {"full": full, "no neck": full.replace(model={"neck": False})}


@pytest.fixture
def trained(finished: Callable, monkeypatch: pytest.MonkeyPatch) -> list:
    """In place of training: chance results, and a list of what was asked for; a learning rate of 666 fails."""
    asked, results = [], {}

    def fit(recipe: Recipe, dataset: ReIDDataset, folder: Path, progress: bool) -> runs.Run:
        asked.append((recipe.model.get("neck", True), recipe.seed, folder, torch.get_num_threads()))
        if recipe.learning_rate == 666:
            raise FloatingPointError("loss is nan")
        run, result = finished(recipe, dataset, PROTOCOL)
        results[run.model] = result
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "environment.json").write_text(json.dumps(run.environment))
        return run

    monkeypatch.setattr(training, "fit", fit)
    monkeypatch.setattr(evaluation, "evaluate", lambda model, dataset, protocol: results[model])
    return asked


def order(trained: list) -> list[tuple[bool, int]]:
    return [entry[:2] for entry in trained]


def test_every_variant_runs_with_every_seed_and_only_once(grid, imageless, trained) -> None:
    rows = sweep.run(grid, imageless, PROTOCOL, seeds=(0, 1))
    assert order(trained) == [(True, 0), (False, 0), (True, 1), (False, 1)]
    assert rows[["variant", "seed"]].to_numpy().tolist() == [["full", 0], ["no neck", 0], ["full", 1], ["no neck", 1]]
    assert rows["recipe"].tolist() == [r.replace(seed=seed).digest for seed in (0, 1) for r in grid.values()]
    assert rows["mAP"].between(0, 1).all() and rows["error"].isna().all()
    assert rows.equals(ledger.table()), "what is returned is what was recorded"
    again = sweep.run(grid.items(), imageless, PROTOCOL, seeds=(0, 1, 2))
    assert order(trained[4:]) == [(True, 2), (False, 2)] and again[:4].equals(rows)


def test_published_rows_count(grid, imageless, trained, own_ledger: Path) -> None:
    rows = sweep.run(grid, imageless, PROTOCOL, seeds=[0])
    own_ledger.rename(ledger.PUBLISHED)
    assert sweep.run(grid, imageless, PROTOCOL, seeds=[0]).equals(rows) and len(trained) == 2


def test_other_data_protocol_or_code_is_another_run(grid, imageless, trained, monkeypatch) -> None:
    sweep.run(grid, imageless, PROTOCOL, seeds=[0])
    for other in (replace(imageless, twin_version="2"), replace(imageless, profile="cpu")):
        sweep.run(grid, other, PROTOCOL, seeds=[0])
    assert len(trained) == 6
    single = evaluation.protocols.get("sysu", gallery="agw", num_trials=1)
    assert not any(job.is_done() for job in sweep.plan(grid, imageless, single, [0]))
    monkeypatch.setattr(runs, "code_digest", lambda: "0" * 16)
    rows = sweep.run(grid, imageless, PROTOCOL, seeds=[0])
    assert len(trained) == 8 and set(rows["code"]) == {"0" * 16} and len(rows) == 2
    folders = {folder for *_, folder, _ in trained}
    assert len(folders) == 8, "a run of older code is neither loaded nor overwritten"


def test_failure_is_a_row_and_the_sweep_goes_on(grid, imageless, trained, caplog) -> None:
    grid = {"diverges": grid["full"].replace(learning_rate=666), **grid}
    rows = sweep.run(grid, imageless, PROTOCOL, seeds=[0])
    assert rows["error"].isna().tolist() == [False, True, True] and rows["mAP"].isna().tolist() == [True, False, False]
    assert rows["error"][0] == "FloatingPointError: loss is nan" and rows["variant"][0] == "diverges"
    assert "diverges, seed 0, failed" in caplog.text and "Traceback" in caplog.text
    sweep.run(grid, imageless, PROTOCOL, seeds=[0])
    assert len(trained) == 4, "what failed is tried again, what succeeded is not"


def test_one_recipe_under_two_labels_is_trained_once(grid, imageless, trained) -> None:
    rows = sweep.run({**grid, "also full": grid["full"]}, imageless, PROTOCOL, seeds=[0])
    assert len(trained) == 2 and rows["variant"].tolist() == ["full", "no neck", "also full"]
    assert rows["mAP"][0] == rows["mAP"][2]


def test_threads_are_as_asked_and_given_back(grid, imageless, trained) -> None:
    before = torch.get_num_threads()
    sweep.run(grid, imageless, PROTOCOL, seeds=[0], threads=before + 1)
    assert {threads for *_, threads in trained} == {before + 1} and torch.get_num_threads() == before


def test_code_that_changes_meanwhile_ends_the_sweep(grid, imageless, trained, monkeypatch) -> None:
    jobs = sweep.plan(grid, imageless, PROTOCOL, [0])
    monkeypatch.setattr(runs, "code_digest", lambda: "0" * 16)
    with pytest.raises(RuntimeError, match="the code of reidlib has changed since the sweep began"):
        sweep.perform(jobs)
    assert not trained and ledger.table().empty


def test_what_does_not_fit_is_said_before_anything_is_trained(grid, imageless, trained) -> None:
    lost = replace(imageless, frame=imageless.frame[imageless.frame["split"] == "train"].reset_index(drop=True))
    for arguments, message in [
        ((grid, replace(imageless, name="regdb"), PROTOCOL), "'full' is a recipe for data set 'sysu', not for 'regdb'"),
        ((grid, lost, PROTOCOL), "no query"),
        (([*grid.items(), ("full", grid["full"])], imageless, PROTOCOL), "two recipes are called 'full'"),
        (({}, imageless, PROTOCOL), "at least one recipe"),
    ]:
        with pytest.raises(ValueError, match=message):
            sweep.run(*arguments)
    with pytest.raises(ValueError, match="workers must be at least 1, not 0"):
        sweep.run(grid, imageless, PROTOCOL, workers=0)
    assert not trained


def test_command_line_runs_a_study_on_a_twin(imageless, trained, monkeypatch, capsys) -> None:
    monkeypatch.setattr(data, "open", lambda name, twin: replace(imageless, profile=twin))
    monkeypatch.setattr(evaluation.protocols, "get", lambda name: PROTOCOL)
    sweep.main(["baseline-ingredients", "--dataset", "sysu", "--profile", "ci", "--seeds", "3", "4"])
    grid = studies.get("baseline-ingredients", dataset="sysu", profile="ci")
    rows = ledger.table()
    assert rows["variant"].tolist() == 2 * list(grid) and rows["seed"].tolist() == [3] * len(grid) + [4] * len(grid)
    printed = capsys.readouterr().out
    assert "synthetic twin 1, ci" in printed and PROTOCOL.name in printed and "seeds 3 4" in printed
    assert all(variant in printed for variant in grid)


def test_command_line_fails_if_a_run_did(imageless, trained, monkeypatch) -> None:
    monkeypatch.setattr(data, "open", lambda name, twin: imageless)
    monkeypatch.setattr(evaluation.protocols, "get", lambda name: PROTOCOL)
    diverging = studies.Study("baseline", {"full": {}, "diverges": {"learning_rate": 666}})
    monkeypatch.setitem(studies.STUDIES, "hopeless", diverging)
    with pytest.raises(SystemExit, match=r"2 of 4 runs failed; the column error of .*ledger\.csv says why"):
        sweep.main(["hopeless", "--profile", "ci", "--seeds", "0", "1"])


# ---- with a twin


@pytest.fixture
def twin(ci_twin: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> ReIDDataset:
    monkeypatch.setenv("REIDLIB_CACHE", str(tmp_path_factory.getbasetemp() / "sweep-cache"))
    return data.open("sysu", root=ci_twin)


@pytest.mark.integration
def test_sweep_trains_evaluates_skips_and_survives_failures(twin: ReIDDataset, grid: dict[str, Recipe]) -> None:
    protocol = evaluation.protocols.get("sysu", num_trials=2)
    grid = {"full": grid["full"], "fails": grid["full"].replace(loss_weights={"triplet": None})}
    rows = sweep.run(grid, twin, protocol, seeds=[0], threads=1)
    assert rows["error"].isna().tolist() == [True, False] and "loss_weights do not fit" in rows["error"][1]
    run = runs.load(runs.default_folder(grid["full"], twin))
    result = evaluation.evaluate(run.model, twin, protocol)
    assert rows["mAP"][0] == pytest.approx(result.mean["mAP"], abs=1e-5)
    assert rows["parameters"][0] == sum(parameter.numel() for parameter in run.model.parameters())
    weights = run.folder / "weights.safetensors"
    before = weights.stat().st_mtime_ns
    again = sweep.run(grid, twin, protocol, seeds=[0], threads=1)
    assert again[:1].equals(rows[:1]) and weights.stat().st_mtime_ns == before
    assert len(ledger.local().read_text().splitlines()) == 1 + 3, "one success, two failures"


SCRIPT = """
import sys
from reidlib import data, evaluation, recipes, sweep

if __name__ == "__main__":
    full = recipes.get("baseline", profile="ci").replace(epochs=1, warmup=0)
    grid = {"full": full, "no neck": full.replace(model={"neck": False}),
            "fails": full.replace(loss_weights={"triplet": None})}
    protocol = evaluation.protocols.get("sysu", num_trials=1)
    dataset = data.open("sysu", root=sys.argv[1])
    rows = sweep.run(grid, dataset, protocol, seeds=[0, 1], workers=2, threads=1)
    print(rows["error"].isna().tolist())
"""


@pytest.mark.slow
@pytest.mark.integration
def test_killed_sweep_leaves_no_process_and_goes_on(twin: ReIDDataset, own_ledger: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": str(Path(sweep.__file__).parent.parent), "TQDM_DISABLE": "1"}
    command = [sys.executable, str(script), str(twin.root)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, env=environment, start_new_session=True, **pipes) as first:
        try:
            while not own_ledger.exists():
                assert first.poll() is None
                time.sleep(0.02)
            first.kill()
            first.communicate(timeout=60)  # the pipe stays open for as long as a worker lives
        finally:
            with suppress(ProcessLookupError):
                os.killpg(first.pid, signal.SIGKILL)
    before = own_ledger.read_text()
    assert 1 <= len(ledger.table()) < 6

    second = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert second.stdout == "[True, True, False, True, True, False]\n", second.stderr
    assert own_ledger.read_text().startswith(before), "what was recorded stays"
    good = [line for line in own_ledger.read_text().splitlines()[1:] if "ValueError" not in line]
    assert len(good) == 4 == len(ledger.table(error=None)), "no run lost, none repeated"
    assert ledger.table(error=None)["threads"].tolist() == [1] * 4
