"""Training in a process that is killed, and in two that train one model."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import reidlib
from reidlib import evaluation
from reidlib.training import runs

CHILD = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(reidlib.__file__).parent.parent)}
KILLED = """
import sys, time
import torch
torch.set_num_threads(1)
sys.path.insert(0, {tests!r})
from conftest import open_stripes
from pathlib import Path
from reidlib import training
from reidlib.methods.baseline.model import Baseline
from reidlib.methods import Recipe

losses, steps = Baseline.losses, 0

def hang(*arguments):
    global steps
    steps += 1
    if steps == 30:  # in the middle of the third epoch
        print("here", flush=True)
        time.sleep(600)
    return losses(*arguments)

Baseline.losses = hang
recipe = Recipe.from_json(Path({recipe!r}).read_text())
training.fit(recipe, open_stripes(Path({tree!r})), {folder!r}, progress=False)
"""


def places(tree: Path, folder: Path) -> dict[str, str]:
    """What the scripts of other processes need to know."""
    known = {"tests": Path(__file__).parent, "recipe": folder / "recipe.json", "tree": tree, "folder": folder / "run"}
    return {name: str(path) for name, path in known.items()}


@pytest.mark.slow
def test_killed_in_an_epoch_and_fitted_again_ends_the_same(fit, same_weights, recipe, tree, tmp_path: Path) -> None:
    (tmp_path / "recipe.json").write_text(recipe.to_json())
    code = KILLED.format(**places(tree, tmp_path))
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env={**os.environ, **CHILD}
    )
    assert process.stdout.readline() == "here\n"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert runs.load(tmp_path / "run").epoch == 2
    assert same_weights(fit().model, fit("whole").model)


TEAM = """
import os, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
sys.path.insert(0, {tests!r})
from conftest import open_stripes
import torch.distributed as dist
from reidlib import evaluation, training
from reidlib.data import ImageCache
from reidlib.methods import Recipe

seen, tensor = [], ImageCache.tensor
ImageCache.tensor = lambda self, rows, device=None: seen.append(rows) or tensor(self, rows, device)
recipe, dataset = Recipe.from_json(Path({recipe!r}).read_text()), open_stripes(Path({tree!r}))
training.fit(recipe, dataset, {folder!r}, stop_after=1, progress=False)
batches = [rows for rows in seen if len(rows) == 16][:3]
run = training.fit(recipe, dataset, {folder!r}, progress=False)
again = training.fit(recipe, dataset, {folder!r}, progress=False)
rows = dataset.rows("test")
embeddings = evaluation.embed(run.model, dataset, rows)
record = {{"state": run.model.state_dict(), "again": again.model.state_dict(), "embeddings": embeddings}}
record |= {{"pids": [sorted(set(dataset.frame["pid"][rows])) for rows in batches], "steps": len(run.history)}}
torch.save(record, f"{folder}.rank" + os.environ["RANK"])
"""


REST = {"marks": pytest.mark.all}
WHOLE, FEW = None, {"modality": 1, "identities": 0.1}
TEAMS = [("recipe", WHOLE), ("maum", WHOLE), ("dalnet", FEW)]  # a memory; people whom one modality lacks
TEAMS += [pytest.param(name, WHOLE, **REST) for name in ("fienet", "idkl", "dalnet")]
TEAMS += [pytest.param(name, FEW, **REST) for name in ("recipe", "maum", "fienet", "idkl")]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "subsample"), TEAMS)
def test_two_processes_train_one_model(name: str, subsample, request, dataset, tree, tmp_path: Path) -> None:
    recipe = request.getfixturevalue(name).replace(epochs=2, identities=8, subsample=subsample)
    (tmp_path / "recipe.json").write_text(recipe.to_json())
    (tmp_path / "script.py").write_text(TEAM.format(**places(tree, tmp_path)))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    completed = subprocess.run(
        [*command, str(tmp_path / "script.py")],
        capture_output=True,
        text=True,
        env={**os.environ, **CHILD},
        timeout=300,
    )
    assert completed.returncode == 0, completed.stderr
    first, second = (torch.load(tmp_path / f"run.rank{rank}") for rank in (0, 1))
    for name, tensor in first["state"].items():
        assert torch.equal(tensor, second["state"][name]) and torch.equal(tensor, first["again"][name]), name
    assert torch.equal(first["embeddings"], second["embeddings"])
    for one, other in zip(first["pids"], second["pids"], strict=True):
        assert len(one) == len(other) == 4 and not set(one) & set(other), "they share the eight of a batch"
    loaded = runs.load(tmp_path / "run")
    assert loaded.finished and loaded.environment["processes"] == 2
    assert torch.equal(evaluation.embed(loaded.model, dataset, dataset.rows("test")), first["embeddings"])
