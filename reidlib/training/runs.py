"""Run folders: what a training run leaves on disk, and how it is read again.

``runs/<data set>/<method>/<profile>-seed<k>-<digest of recipe and data>/`` holds

* ``recipe.json``, and ``environment.json``: on what data and devices, with what code and how many processes it was
  trained, and every time it went on, where;
* ``history.csv`` and ``log.txt``: losses, learning rate, validation scores and speed, for pandas and for people;
* ``checkpoint-<epoch>-<digest of the file>.pt``: all that training needs to go on after that epoch; the last two;
* ``weights.safetensors``: the trained model. It appears when the run has finished.

:mod:`reidlib.training.checkpoints` says how the last two are written and read.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from filelock import FileLock, Timeout

from reidlib import evaluation, paths
from reidlib.data import ReIDDataset
from reidlib.methods import Recipe
from reidlib.networks import ReIDModel
from reidlib.training import checkpoints, devices
from reidlib.training.checkpoints import HISTORY, WEIGHTS, State, short_digest, warn
from reidlib.training.record import LOCK, RECIPE, describe, read_environment, read_recipe

_LABELS = ("dataset", "method", "profile", "seed")
_TIMED = ("device", "torch", "threads", "processes", "precision")


@dataclass(frozen=True, eq=False, repr=False)
class Run:
    """A trained model with its record.

    Attributes:
        folder: see the module's text.
        model: in evaluation mode, with the weights after the last epoch trained.
        history: a row for every tenth of an epoch: ``epoch`` (from 1), ``step``, ``learning_rate``, ``loss`` and
            ``loss.<term>`` (unweighted) as means since the row before, ``images_per_second``, ``seconds`` of training
            so far, ``memory_gb`` (peak, on a GPU), ``loss_scale`` and ``skipped_steps`` (float16), and in the last row
            of an epoch ``validation.<metric>`` (0-1).
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

    @property
    def environments(self) -> list[dict[str, Any]]:
        """That in which the run began, and those in which it went on."""
        return [self.environment, *self.environment.get("resumed", [])]

    @property
    def is_timed(self) -> bool:
        """Whether its times can be compared: it was trained on one device, with one torch, in one way."""
        return all(each.get(name) == self.environment.get(name) for each in self.environments for name in _TIMED)

    def __repr__(self) -> str:
        recipe, scores = self.recipe, self.validation
        state = "finished" if self.finished else f"{self.epoch} of {recipe.epochs} epochs"
        score = f", validation mAP {100 * scores['mAP'].iloc[-1]:.1f} %" if len(scores) else ""
        return f"Run({Path(*self.folder.parts[-3:]).as_posix()}: {state}, {self.seconds:.0f} s{score})"


def home() -> Path:
    """The folder of all runs: ``$REIDLIB_RUNS`` if set, else ``runs`` under :func:`reidlib.paths.home`."""
    folder = os.environ.get("REIDLIB_RUNS")
    return Path(folder).expanduser() if folder else paths.home() / "runs"


def default_folder(recipe: Recipe, dataset: ReIDDataset, processes: int = 1) -> Path:
    """Where the run of this recipe on this data set lies; real data and each version of a twin have their own.

    So has a run of several processes: see :mod:`reidlib.training.loop`.
    """
    digest = short_digest(json.dumps([recipe.recorded(), describe(dataset)], sort_keys=True).encode())[:8]
    together = f"-{processes}processes" if processes > 1 else ""
    return home() / recipe.dataset / recipe.method / f"{recipe.profile}-seed{recipe.seed}-{digest}{together}"


def load(folder: str | Path, *, device: torch.device | str | None = None) -> Run:
    """Read a run, finished or not.

    Args:
        folder: of the run, not of a file in it.
        device: where its model shall be; default: the GPU if there is one, else the CPU.

    Raises:
        FileNotFoundError: the folder holds no run, or none with an epoch behind it.
        ValueError: what it holds is damaged or does not fit together; the message names the file.
    """
    folder = Path(folder)
    if folder.is_file():
        raise FileNotFoundError(f"{folder} is a file; name the folder of the run: {folder.parent}")
    if not (folder / RECIPE).is_file():
        raise FileNotFoundError(f"{folder} holds no run: there is no {RECIPE}")
    recipe = read_recipe(folder)
    state = checkpoints.restore(folder, recipe.to_dict())
    if state is None:
        raise FileNotFoundError(f"{folder} holds no intact weights yet; training.fit(recipe, dataset) makes them")
    return from_state(folder, recipe, read_environment(folder), state, device)


def from_state(
    folder: Path, recipe: Recipe, environment: dict[str, Any], state: State, device: torch.device | str | None
) -> Run:
    """The run that stands at ``state``, its model on ``device``."""
    device = devices.default() if device is None else device
    model = checkpoints.build_model(state).to(device).eval()
    model.trained_on = evaluation.TrainedOn.of(environment["dataset"], state.pids)
    return Run(folder, model, pd.DataFrame(state.history), recipe, environment, np.array(state.pids), state.epoch)


def table(folder: str | Path | None = None) -> pd.DataFrame:
    """Every run under a folder (default: :func:`home`), a row each: what it is, how far it got, its last scores."""
    rows = []
    for file in sorted(Path(folder or home()).rglob(RECIPE)):
        recipe, environment = read_recipe(file.parent), read_environment(file.parent)
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
