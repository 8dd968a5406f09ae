"""Sweeps on a cluster, through submitit."""

import os
import pickle
import sys
from contextvars import copy_context

import pytest

from reidlib import evaluation, methods
from reidlib.console import spelling
from reidlib.experiments import studies, sweep

PROTOCOL = evaluation.protocols.get("sysu", gallery="agw", num_trials=2)

pytestmark = pytest.mark.usefixtures("own_ledger")


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
    assert [entry[:2] for entry in trained] == [(True, 0), (False, 0), (True, 1), (False, 1)] and trained[-1][-1] == 1
    assert sweep.rows(jobs)["seed"].tolist() == [0, 0, 1, 1]
    assert sweep.submit(jobs, cluster="debug", folder=tmp_path / "logs") == []


def test_a_job_that_runs_out_of_time_is_queued_again_as_it_is(grid, imageless, trained, tmp_path) -> None:
    (handed_in,) = sweep.submit(sweep.plan(grid, imageless, PROTOCOL, [0])[:1], cluster="debug", folder=tmp_path)
    element = handed_in.submission().function
    assert element.checkpoint().function is element


def test_a_job_spells_messages_as_who_handed_it_in(grid, imageless, trained, tmp_path) -> None:
    jobs = sweep.plan(grid, imageless, PROTOCOL, [0])[:1]
    with spelling.for_command_line():
        (handed_in,) = sweep.submit(jobs, cluster="debug", folder=tmp_path)
    element, elsewhere = pickle.loads(pickle.dumps(handed_in.submission().function)), copy_context()
    elsewhere.run(element)
    assert elsewhere.run(spelling.argument, "epochs", 2, of="recipe") == "--set epochs=2"
    assert spelling.argument("epochs", 2, of="recipe") == "epochs=2" and len(trained) == 1


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


def test_a_class_that_other_processes_cannot_import_is_refused(
    imageless, trained, tmp_path, monkeypatch, new_method
) -> None:
    class Local(methods.get("baseline").model):
        pass

    new_method("local", model=Local)
    jobs = sweep.plan({"full": methods.recipe("local", profile="ci")}, imageless, PROTOCOL, [0])
    refused = r"method 'local' cannot be sent to another process \(.*{why}.*\): define its class .* top level of a \.py"
    with pytest.raises(ValueError, match=refused.format(why="[Ll]ocal")):
        sweep.perform(jobs, workers=2)
    with pytest.raises(ValueError, match=refused.format(why="[Ll]ocal")):
        sweep.submit(jobs, cluster="debug", folder=tmp_path)
    Local.__module__, Local.__qualname__ = "__main__", "Local"
    monkeypatch.setattr(sys.modules["__main__"], "Local", Local, raising=False)
    with pytest.raises(ValueError, match=refused.format(why="the script")):  # which the workers of this machine run
        sweep.submit(jobs, cluster="debug", folder=tmp_path)
    assert not trained


def test_a_class_that_only_this_process_knows_is_swept_in_it(imageless, trained, new_method) -> None:
    class Local(methods.get("baseline").model):
        pass

    new_method("local", model=Local)
    rows = sweep.run({"full": methods.recipe("local", profile="ci")}, imageless, PROTOCOL, seeds=[0])
    assert rows["method"].tolist() == ["local"] and len(trained) == 1
