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
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from reidlib import data, evaluation, methods, training
from reidlib.data import ReIDDataset
from reidlib.experiments import ledger, measures, studies, sweep
from reidlib.methods import Recipe
from reidlib.training import runs

PROTOCOL = evaluation.protocols.get("sysu", gallery="agw", num_trials=2)

pytestmark = pytest.mark.usefixtures("own_ledger")


@pytest.fixture
def grid() -> dict[str, Recipe]:
    full = methods.recipe("baseline", dataset="sysu", profile="ci").replace(epochs=1, warmup=0)
    return {"full": full, "no neck": full.replace(model={"neck": False})}


@pytest.fixture
def trained(finished: Callable, monkeypatch: pytest.MonkeyPatch) -> list:
    """In place of training: chance results, and a list of what was asked for; a learning rate of 666 fails."""
    asked, made_with = [], {}

    def fit(recipe: Recipe, dataset: ReIDDataset, folder: Path, progress: bool) -> runs.Run:
        asked.append((recipe.model.get("neck", True), recipe.seed, folder, torch.get_num_threads()))
        if recipe.learning_rate == 666:
            raise FloatingPointError("loss is nan")
        run, _ = finished(recipe, dataset, PROTOCOL)
        made_with[run.model] = recipe
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "environment.json").write_text(json.dumps(run.environment))
        return run

    monkeypatch.setattr(training, "fit", fit)
    monkeypatch.setattr(evaluation, "evaluate", lambda model, *scored_on: finished(made_with[model], *scored_on)[1])
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
    monkeypatch.setattr(runs, "code_digest", lambda *_: "0" * 16)
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
    monkeypatch.setattr(runs, "code_digest", lambda *_: "0" * 16)
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


def test_several_data_sets_splits_and_protocols_in_one_sweep(grid, imageless, trained) -> None:
    splits = [replace(imageless, split=split) for split in (1, 2)]
    indoor = evaluation.protocols.get("sysu", search="indoor", gallery="agw", num_trials=2)
    rows = sweep.run(grid, splits, [PROTOCOL, indoor], seeds=(0, 1))
    assert len(rows) == 16 and rows["error"].isna().all() and not rows.duplicated(ledger.KEY).any()
    assert rows["split"].tolist() == 2 * (4 * [1] + 4 * [2])
    assert rows["protocol"].tolist() == 8 * [PROTOCOL.name, indoor.name]
    assert rows["variant"].tolist() == 4 * ["full", "full", "no neck", "no neck"]
    assert len({folder for *_, folder, _ in trained}) == 8, "one training for both protocols"


def test_recipes_meet_the_data_set_they_are_for(grid, imageless, monkeypatch) -> None:
    other = {name: SimpleNamespace(dataset="other", method="baseline") for name in ("full", "only there")}
    for recipe in other.values():
        recipe.replace = lambda seed, recipe=recipe: recipe
    there = replace(imageless, name="other")
    protocol = SimpleNamespace(dataset="other", trials=lambda dataset: [])
    monkeypatch.setattr(runs, "code_digest", lambda *pair: "-".join(pair))
    pairs = [*grid.items(), *((f"{name} on other", recipe) for name, recipe in other.items())]
    jobs = sweep.plan(pairs, [imageless, there], [PROTOCOL, protocol], [0])
    found = [(job.variant, job.dataset.name, job.protocol, job.code) for job in jobs]
    assert found == [
        ("full", "sysu", PROTOCOL, "baseline-sysu"),
        ("no neck", "sysu", PROTOCOL, "baseline-sysu"),
        ("full on other", "other", protocol, "baseline-other"),
        ("only there on other", "other", protocol, "baseline-other"),
    ]


# ---- measures


@pytest.fixture
def measured(new_measure) -> list:
    """Two measures, epochs and seed, of which seed 7 makes one fail; a list of what was measured, by seed."""
    asked = []

    def of(name: str) -> Callable:
        def measure(run: runs.Run, dataset: ReIDDataset) -> dict[str, float]:
            asked.append((name, run.recipe.seed))
            if (name, run.recipe.seed) == ("seed", 7):
                raise ZeroDivisionError("no such seed")
            return {name: float(run.epoch if name == "epochs" else run.recipe.seed)}

        return measure

    for name in ("epochs", "seed"):
        new_measure(name, of(name))
    return asked


def test_measures_are_taken_once_the_row_is_there(grid, imageless, trained, measured) -> None:
    rows = sweep.run(grid, imageless, PROTOCOL, seeds=[0, 1], measures=("seed", "epochs"))
    assert measured == [(name, seed) for seed in (0, 0, 1, 1) for name in ("seed", "epochs")]
    found = studies.measures(grid)
    assert found[["variant", "seed", "name", "value"]].to_numpy().tolist() == [
        [variant, seed, *number] for variant in grid for seed in (0, 1) for number in (("seed", seed), ("epochs", 1))
    ]
    assert set(found["code"]) == set(rows["code"]) and set(found["data"]) == set(rows["data"])
    again = sweep.run(grid, imageless, PROTOCOL, seeds=[0, 1], measures=("epochs", "seed"))
    assert len(measured) == 8 and len(trained) == 4 and again.equals(rows), "nothing is repeated"


def test_a_measure_that_is_missing_is_taken_on_the_finished_run(
    grid, imageless, trained, measured, monkeypatch
) -> None:
    sweep.run(grid, imageless, PROTOCOL, seeds=[0], measures=["seed"])
    text = ledger.local().read_text()
    jobs = sweep.plan(grid, imageless, PROTOCOL, [0], ["seed", "epochs"])
    assert [job.is_recorded for job in jobs] == [True, True] and not any(job.is_done() for job in jobs)
    assert [job.missing_measures for job in jobs] == [["epochs"], ["epochs"]]
    monkeypatch.setattr(evaluation, "evaluate", lambda *_: pytest.fail("evaluated again"))
    sweep.perform(jobs)
    assert measured == [("seed", 0), ("seed", 0), ("epochs", 0), ("epochs", 0)] and len(trained) == 4
    assert ledger.local().read_text() == text and all(job.is_done() for job in jobs)
    found = sweep.measured([*jobs, replace(jobs[0], variant="also full", measures=("epochs",))])
    assert found[["variant", "measure"]].to_numpy().tolist() == [
        *(["full", "seed"], ["full", "epochs"], ["no neck", "seed"], ["no neck", "epochs"], ["also full", "epochs"])
    ]
    assert list(found) == list(measures.COLUMNS)
    assert sweep.measured(sweep.plan(grid, imageless, PROTOCOL, [0])).empty


def test_a_measure_that_fails_loses_neither_the_row_nor_the_others(grid, imageless, trained, measured, caplog) -> None:
    rows = sweep.run(grid, imageless, PROTOCOL, seeds=[7], measures=["seed", "epochs"])
    assert rows["error"].isna().all() and rows["mAP"].notna().all()
    assert measures.table()["measure"].tolist() == ["epochs", "epochs"]
    assert "measure seed of full, seed 7, failed" in caplog.text and "no such seed" in caplog.text
    sweep.run(grid, imageless, PROTOCOL, seeds=[7], measures=["seed", "epochs"])
    assert measured[4:] == [("seed", 7), ("seed", 7)], "what failed is tried again, what succeeded is not"
    assert len(ledger.local().read_text().splitlines()) == 1 + 2


def test_a_run_that_cannot_be_loaded_keeps_its_row(grid, imageless, trained, measured, monkeypatch, caplog) -> None:
    sweep.run(grid, imageless, PROTOCOL, seeds=[0])
    text = ledger.local().read_text()

    def fit(*_, **__) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(training, "fit", fit)
    rows = sweep.run(grid, imageless, PROTOCOL, seeds=[0], measures=["seed"])
    assert rows["error"].isna().all() and ledger.local().read_text() == text and "the disk is full" in caplog.text


def test_two_protocols_share_what_is_measured(grid, imageless, trained, measured) -> None:
    indoor = evaluation.protocols.get("sysu", search="indoor", gallery="agw", num_trials=2)
    sweep.run(grid, imageless, [PROTOCOL, indoor], seeds=[0], measures=["seed"])
    assert measured == [("seed", 0), ("seed", 0)] and len(studies.measures(grid)) == 2


def test_an_unknown_measure_is_said_before_anything_is_trained(grid, imageless, trained) -> None:
    with pytest.raises(ValueError, match="unknown measure 'beauty'; choose from: cameras, "):
        sweep.run(grid, imageless, PROTOCOL, measures=["beauty"])
    assert not trained


# ---- clusters


def test_a_cluster_takes_measures_along(grid, imageless, trained, measured, tmp_path) -> None:
    sweep.run(grid, imageless, PROTOCOL, seeds=[0])
    jobs = sweep.plan(grid, imageless, PROTOCOL, [0], ["epochs"])
    assert [job.result() for job in sweep.submit(jobs, cluster="debug", folder=tmp_path)] == [None, None]
    assert len(studies.measures(grid, measure="epochs")) == 2 and sweep.submit(jobs, cluster="debug") == []


def test_debug_cluster_performs_what_the_ledger_lacks(grid, imageless, trained, tmp_path, own_ledger) -> None:
    sweep.run(grid, imageless, PROTOCOL, seeds=[0])
    jobs = sweep.plan(grid, imageless, PROTOCOL, [0, 1])
    handed_in = sweep.submit(jobs, cluster="debug", folder=tmp_path / "logs", threads=1)
    assert len(handed_in) == 2 and len(trained) == 2, "only what is asked for is done"
    assert [job.result() for job in handed_in] == [None, None]
    assert order(trained) == [(True, 0), (False, 0), (True, 1), (False, 1)] and trained[-1][-1] == 1
    assert sweep.rows(jobs)["seed"].tolist() == [0, 0, 1, 1]
    assert sweep.submit(jobs, cluster="debug", folder=tmp_path / "logs") == []


def test_a_job_that_runs_out_of_time_is_queued_again_as_it_is(grid, imageless, trained, tmp_path) -> None:
    (handed_in,) = sweep.submit(sweep.plan(grid, imageless, PROTOCOL, [0])[:1], cluster="debug", folder=tmp_path)
    element = handed_in.submission().function
    assert element.checkpoint().function is element


def test_slurm_gets_one_array(grid, imageless, trained, tmp_path, monkeypatch) -> None:
    programs = {"srun": "", "sbatch": f'cp "$1" "{tmp_path}/batch.sh"; echo "Submitted batch job 4711"'}
    for name, lines in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{lines}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    jobs = sweep.plan(grid, imageless, PROTOCOL, [0, 1])
    options = {"timeout_min": 30, "slurm_array_parallelism": 2, "slurm_partition": "short"}
    handed_in = sweep.submit(jobs, folder=tmp_path / "logs", **options)
    assert [job.job_id for job in handed_in] == [f"4711_{number}" for number in range(4)]
    script = (tmp_path / "batch.sh").read_text()
    for line in ("--array=0-3%2", "--time=30", "--partition=short", "--job-name=reidlib"):
        assert f"#SBATCH {line}\n" in script
    assert [job.submission().function.job.variant for job in handed_in] == [job.variant for job in jobs]
    assert not trained


def test_what_a_cluster_cannot_do_is_said(grid, imageless, trained, tmp_path, monkeypatch) -> None:
    jobs = sweep.plan(grid, imageless, PROTOCOL, [0])
    with pytest.raises(ValueError, match="unknown cluster 'lsf'; choose one of: slurm, local, debug"):
        sweep.submit(jobs, cluster="lsf")
    for options, message in [({"slurm_partitoin": "x"}, "slurm_partitoin"), ({"timeout_min": "long"}, "timeout_min")]:
        with pytest.raises(ValueError, match=f"submitit does not take these parameters.*{message}"):
            sweep.submit(jobs, cluster="debug", folder=tmp_path, **options)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(OSError, match="this machine cannot submit to slurm"):
        sweep.submit(jobs, folder=tmp_path)
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'reidlib\[cluster\]'"):
        sweep.submit(jobs, cluster="debug")


# ---- with a twin


@pytest.fixture
def small_twin(ci_twin: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> ReIDDataset:
    monkeypatch.setenv("REIDLIB_CACHE", str(tmp_path_factory.getbasetemp() / "sweep-cache"))
    return data.open("sysu", root=ci_twin)


@pytest.mark.integration
def test_sweep_trains_evaluates_skips_and_survives_failures(small_twin: ReIDDataset, grid: dict[str, Recipe]) -> None:
    protocol = evaluation.protocols.get("sysu", num_trials=2)
    grid = {"full": grid["full"], "fails": grid["full"].replace(loss_weights={"triplet": None})}
    rows = sweep.run(grid, small_twin, protocol, seeds=[0], threads=1)
    assert rows["error"].isna().tolist() == [True, False] and "loss_weights do not fit" in rows["error"][1]
    run = runs.load(runs.default_folder(grid["full"], small_twin))
    result = evaluation.evaluate(run.model, small_twin, protocol)
    assert rows["mAP"][0] == pytest.approx(result.mean["mAP"], abs=1e-5)
    assert rows["parameters"][0] == sum(parameter.numel() for parameter in run.model.parameters())
    weights = run.folder / "weights.safetensors"
    before = weights.stat().st_mtime_ns
    again = sweep.run(grid, small_twin, protocol, seeds=[0], threads=1)
    assert again[:1].equals(rows[:1]) and weights.stat().st_mtime_ns == before
    assert len(ledger.local().read_text().splitlines()) == 1 + 3, "one success, two failures"


SCRIPT = """
import sys
from reidlib import data, evaluation, methods
from reidlib.experiments import sweep

if __name__ == "__main__":
    full = methods.recipe("baseline", profile="ci").replace(epochs=1, warmup=0)
    grid = {"full": full, "no neck": full.replace(model={"neck": False}),
            "fails": full.replace(loss_weights={"triplet": None})}
    protocol = evaluation.protocols.get("sysu", num_trials=1)
    dataset = data.open("sysu", root=sys.argv[1])
    rows = sweep.run(grid, dataset, protocol, seeds=[0, 1], workers=2, threads=1)
    print(rows["error"].isna().tolist())
"""


@pytest.fixture
def start(small_twin: ReIDDataset, tmp_path: Path) -> Callable:
    """``start()`` begins the sweep of ``SCRIPT`` in a process of its own; returns it."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": str(Path(sweep.__file__).parent.parent.parent), "TQDM_DISABLE": "1"}
    options = {"env": environment, "start_new_session": True, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return lambda: subprocess.Popen([sys.executable, str(script), str(small_twin.root)], text=True, **options)


def require_every_run_once(own_ledger: Path) -> None:
    """Four runs in the ledger, each with its two failures at most, and the identities of each."""
    good = [line for line in own_ledger.read_text().splitlines()[1:] if "ValueError" not in line]
    assert len(good) == 4 == len(ledger.table(error=None)), "no run lost, none repeated"
    scores = ledger.identities(ledger.table())
    assert len(scores) == len(own_ledger.with_name("identities.csv").read_text().splitlines()) - 1
    rows = ledger.table(error=None).set_index(ledger.KEY)["mAP"]
    for key, run in scores.groupby(ledger.KEY):
        assert np.average(run["mAP"], weights=run["queries"]) == pytest.approx(rows[key], abs=1e-5)
    assert scores.groupby(ledger.KEY).ngroups == 4


@pytest.mark.slow
@pytest.mark.integration
def test_killed_sweep_leaves_no_process_and_goes_on(start: Callable, own_ledger: Path) -> None:
    with start() as first:
        try:
            while not own_ledger.exists():
                assert first.poll() is None
                time.sleep(0.02)
            first.kill()
            first.communicate(timeout=60)  # the pipes stay open for as long as a worker lives
        finally:
            with suppress(ProcessLookupError):
                os.killpg(first.pid, signal.SIGKILL)
    before = own_ledger.read_text()
    assert 1 <= len(ledger.table()) < 6

    with start() as second:
        output, errors = second.communicate()
    assert output == "[True, True, False, True, True, False]\n", errors
    assert own_ledger.read_text().startswith(before), "what was recorded stays"
    require_every_run_once(own_ledger)
    assert ledger.table(error=None)["threads"].tolist() == [1] * 4


@pytest.mark.slow
@pytest.mark.integration
def test_two_sweeps_at_once_share_the_work(start: Callable, own_ledger: Path) -> None:
    with start() as first, start() as second:
        for output, errors in (first.communicate(), second.communicate()):
            assert output == "[True, True, False, True, True, False]\n", errors
    require_every_run_once(own_ledger)


@pytest.mark.slow
@pytest.mark.integration
def test_local_cluster_performs_jobs_in_processes_of_their_own(
    small_twin: ReIDDataset, grid: dict[str, Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(sweep.__file__).parent.parent))
    grid["fails"] = grid["full"].replace(loss_weights={"triplet": None})
    jobs = sweep.plan(grid, small_twin, evaluation.protocols.get("sysu", num_trials=1), [0])
    handed_in = sweep.submit(jobs, cluster="local", folder=tmp_path / "logs", threads=1)
    assert [job.result() for job in handed_in] == [None] * 3
    rows = sweep.rows(jobs)
    assert rows["variant"].tolist() == ["full", "no neck", "fails"]
    assert rows["error"].isna().tolist() == [True, True, False] and rows["threads"].tolist() == [1] * 3
    again = sweep.submit(jobs, cluster="local", folder=tmp_path / "logs", threads=1)
    assert len(again) == 1, "what failed is tried again"
    assert again[0].result() is None and sweep.rows(jobs)[:2].equals(rows[:2])
