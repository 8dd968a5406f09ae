"""Run folders: what a training run leaves on disk, and how it is read again.

``runs/<data set>/<method>/<profile>-seed<k>-<digest of recipe and data>/`` holds

* ``recipe.json``, and ``environment.json``: on what data and device, with what code it was trained;
* ``history.csv`` and ``log.txt``: losses, learning rate, validation scores and speed, for pandas and for people;
* ``checkpoint-<epoch>-<digest of the file>.pt``: all that training needs to go on after that epoch; the last two;
* ``weights.safetensors``: the trained model. It appears when the run has finished.

:mod:`reidlib.training.checkpoints` says how the last two are written and read.
"""

import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import torchvision
from filelock import FileLock, Timeout

import reidlib
from reidlib import paths
from reidlib.data import ReIDDataset
from reidlib.methods import Recipe
from reidlib.networks import ReIDModel
from reidlib.training import checkpoints
from reidlib.training.checkpoints import HISTORY, LOG, WEIGHTS, State, short_digest, warn, write
from reidlib.training.provenance import code_digest

RECIPE, ENVIRONMENT, LOCK = "recipe.json", "environment.json", ".lock"
_LABELS = ("dataset", "method", "profile", "seed")


@dataclass(frozen=True, eq=False, repr=False)
class Run:
    """A trained model with its record.

    Attributes:
        folder: see the module's text.
        model: in evaluation mode, with the weights after the last epoch trained.
        history: a row for every tenth of an epoch: ``epoch`` (from 1), ``step``, ``learning_rate``, ``loss`` and
            ``loss.<term>`` (unweighted) as means since the row before, ``images_per_second``, ``seconds`` of training
            so far, ``memory_gb`` (peak, on a GPU), and in the last row of an epoch ``validation.<metric>`` (0-1).
        recipe: what was asked for.
        environment: what ``environment.json`` says.
        pids: identity of each class of the classifier.
        epoch: number of epochs trained.
    """

    folder: Path
    model: ReIDModel
    history: pd.DataFrame
    recipe: Recipe
    environment: dict[str, Any]
    pids: np.ndarray
    epoch: int

    @property
    def finished(self) -> bool:
        return self.epoch == self.recipe.epochs

    @property
    def validation(self) -> pd.DataFrame:
        """Scores (0-1) on the identities held out, by epoch; empty if there are none."""
        columns = [name for name in self.history if name.startswith("validation.")]
        scores = self.history.set_index("epoch")[columns].dropna() if columns else pd.DataFrame()
        return scores.rename(columns=lambda name: name.removeprefix("validation."))

    @property
    def seconds(self) -> float:
        """Training time with validation, without interruptions."""
        return float(self.history["seconds"].iloc[-1]) if len(self.history) else 0.0

    def __repr__(self) -> str:
        recipe, scores = self.recipe, self.validation
        state = "finished" if self.finished else f"{self.epoch} of {recipe.epochs} epochs"
        score = f", validation mAP {100 * scores['mAP'].iloc[-1]:.1f} %" if len(scores) else ""
        return f"Run({Path(*self.folder.parts[-3:]).as_posix()}: {state}, {self.seconds:.0f} s{score})"


def home() -> Path:
    """The folder of all runs: ``$REIDLIB_RUNS`` if set, else ``runs`` under :func:`reidlib.paths.home`."""
    folder = os.environ.get("REIDLIB_RUNS")
    return Path(folder).expanduser() if folder else paths.home() / "runs"


def default_folder(recipe: Recipe, dataset: ReIDDataset) -> Path:
    """Where the run of this recipe on this data set lies; real data and each version of a twin have their own."""
    digest = short_digest(json.dumps([recipe.recorded(), describe(dataset)], sort_keys=True).encode())[:8]
    return home() / recipe.dataset / recipe.method / f"{recipe.profile}-seed{recipe.seed}-{digest}"


def load(folder: str | Path, *, device: torch.device | str = "cpu") -> Run:
    """Read a run, finished or not.

    Raises:
        FileNotFoundError: the folder holds no run, or none with an epoch behind it.
        ValueError: what it holds is damaged or does not fit together; the message names the file.
    """
    folder = Path(folder)
    if not (folder / RECIPE).is_file():
        raise FileNotFoundError(f"{folder} holds no run: there is no {RECIPE}")
    recipe = _read_recipe(folder)
    state = checkpoints.restore(folder, recipe.to_dict())
    if state is None:
        raise FileNotFoundError(f"{folder} holds no intact weights yet; training.fit(recipe, dataset) makes them")
    return from_state(folder, recipe, read_environment(folder), state, device)


def from_state(
    folder: Path, recipe: Recipe, environment: dict[str, Any], state: State, device: torch.device | str
) -> Run:
    """The run that stands at ``state``, its model on ``device``."""
    model = checkpoints.build_model(state).to(device).eval()
    return Run(folder, model, pd.DataFrame(state.history), recipe, environment, np.array(state.pids), state.epoch)


def table(folder: str | Path | None = None) -> pd.DataFrame:
    """Every run under a folder (default: :func:`home`), a row each: what it is, how far it got, its last scores."""
    rows = []
    for file in sorted(Path(folder or home()).rglob(RECIPE)):
        recipe, environment = _read_recipe(file.parent), read_environment(file.parent)
        history = file.with_name(HISTORY)
        last = pd.read_csv(history).iloc[-1].to_dict() if history.exists() else {}
        shown = ("epoch", "loss", "images_per_second", "seconds", "memory_gb")
        rows.append(
            {name: getattr(recipe, name) for name in _LABELS}
            | {"twin": environment["dataset"].get("twin_version"), "finished": file.with_name(WEIGHTS).exists()}
            | {name: value for name, value in last.items() if name in shown or name.startswith("validation.")}
            | {"folder": str(file.parent)}
        )
    return pd.DataFrame(rows)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a run for this process alone; wait while another one holds it."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        warn(folder, "another process trains this run; waiting for it")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def prepare(folder: Path, recipe: Recipe, dataset: ReIDDataset, environment: dict[str, Any]) -> None:
    """Begin a run in a folder, or make sure that the one that lies there is of this recipe and data.

    Raises:
        ValueError: the folder holds another run, or something that is no run.
    """
    wanted = {**environment, "code": code_digest(recipe.method, dataset.name), "dataset": describe(dataset)}
    if (folder / RECIPE).exists():
        begun = read_environment(folder)
        checkpoints.require_same(f"{folder} holds another recipe", _read_recipe(folder).to_dict(), recipe.to_dict())
        checkpoints.require_same(f"{folder} was trained on other data", begun["dataset"], wanted["dataset"])
        if begun["code"] != wanted["code"]:
            warn(folder, "this run was begun with another version of the code; delete its folder to train it anew")
        return
    ours = {LOCK, LOG, ENVIRONMENT}  # of a run that was killed before it had begun
    if strange := sorted(file.name for file in folder.iterdir() if file.name not in ours and file.suffix != ".partial"):
        raise ValueError(f"{folder} holds {strange[0]!r} and no {RECIPE}: not a run; choose an empty or a new folder")
    write(folder / ENVIRONMENT, (json.dumps(wanted, indent=2) + "\n").encode())
    write(folder / RECIPE, recipe.to_json().encode())


def describe(dataset: ReIDDataset) -> dict[str, Any]:
    """What tells one data set from another, wherever it lies on disk: name, version, and a digest of its frame."""
    columns = dataset.frame[["path", "pid", "camid", "modality", "split"]]
    record = {name: getattr(dataset, name) for name in ("name", "split", "is_twin", "twin_version", "profile")}
    return {**record, "images": len(columns), "digest": short_digest(columns.to_csv(index=False).encode())}


def environment(device: torch.device, processes: int, precision: str) -> dict[str, Any]:
    """Versions and device; nothing that names the machine or its user."""
    return {
        "reidlib": reidlib.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "numpy": np.__version__,
        "system": f"{platform.system()} {platform.machine()}",
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "threads": torch.get_num_threads(),
        "processes": processes,
        "precision": precision,
    }


def read_environment(folder: Path) -> dict[str, Any]:
    """What ``environment.json`` says; raises ``ValueError`` if it is damaged."""
    try:
        record = json.loads((folder / ENVIRONMENT).read_text(encoding="utf-8"))
        if not isinstance(record["dataset"], dict) or not isinstance(record["code"], str):
            raise ValueError("the data set or the code is not described")
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{folder / ENVIRONMENT} is damaged: {error}") from error
    return record


def _read_recipe(folder: Path) -> Recipe:
    try:
        return Recipe.from_json((folder / RECIPE).read_text(encoding="utf-8"))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{folder / RECIPE} is damaged or of another version: {error}") from error
