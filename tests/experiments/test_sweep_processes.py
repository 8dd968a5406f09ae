"""Sweeps that train, in several processes at once: nothing is lost to a kill, and nothing made twice."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch

from reidlib import data, evaluation
from reidlib.console import spelling
from reidlib.data import ReIDDataset
from reidlib.experiments import ledger, sweep
from reidlib.methods import Recipe
from reidlib.training import runs

pytestmark = pytest.mark.usefixtures("own_ledger")


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
def start(small_twin: ReIDDataset, tmp_path: Path, repository: Path) -> Callable:
    """``start()`` begins the sweep of ``SCRIPT`` in a process of its own; returns it."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": str(repository), "TQDM_DISABLE": "1"}
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
@pytest.mark.parametrize("number", [pytest.param(signal.SIGTERM, marks=pytest.mark.all), signal.SIGKILL])
def test_killed_sweep_leaves_no_process_and_goes_on(start: Callable, own_ledger: Path, number: signal.Signals) -> None:
    with start() as first:
        try:
            while not own_ledger.exists():
                assert first.poll() is None
                time.sleep(0.02)
            first.send_signal(number)
            first.communicate(timeout=30)  # the pipes stay open for as long as a worker lives
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
    small_twin: ReIDDataset, grid: dict[str, Recipe], repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(repository))
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


def gpu_of_this_process(_: int) -> str | None:
    time.sleep(0.5)  # so that every worker has its share
    return os.environ.get("CUDA_VISIBLE_DEVICES")


def spelled(_: object) -> str:
    return spelling.argument("epochs", 2, of="recipe")


@pytest.mark.slow
def test_workers_of_the_command_line_spell_as_it_does() -> None:
    with spelling.for_command_line(), sweep.processes(1, 1) as pool:
        assert pool.submit(spelled, None).result() == "--set epochs=2"
    with sweep.processes(1, 1) as pool:
        assert pool.submit(spelled, None).result() == "epochs=2"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("there", "visible", "shared"), [(2, None, ["0", "1", "0"]), (2, "5,7", ["5", "7", "5"]), (0, None, [None] * 3)]
)
def test_workers_share_out_the_gpus(monkeypatch, there: int, visible: str | None, shared: list) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: there)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    with sweep.processes(3, 1) as pool:
        assert sorted(pool.map(gpu_of_this_process, range(3)), key=str) == sorted(shared, key=str)
