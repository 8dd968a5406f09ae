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
import logging
import math
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
from reidlib.console.spelling import either
from reidlib.data import ReIDDataset
from reidlib.methods import Recipe
from reidlib.networks import ReIDModel
from reidlib.training import checkpoints, devices, health
from reidlib.training.checkpoints import HISTORY, WEIGHTS, State, short_digest, warn
from reidlib.training.record import ENVIRONMENT, LOCK, RECIPE, describe, read_environment, read_recipe

_logger = logging.getLogger("reidlib")
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
            of an epoch ``validation.<metric>`` (0-1) and what :mod:`reidlib.training.health` watches.
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
    def health(self) -> pd.DataFrame:
        """Spread, common share, rank and distances from margins, by epoch; see :mod:`reidlib.training.health`."""
        return health.table(self.history)

    @property
    def seconds(self) -> float:
        """Training time with validation, without interruptions; NaN if the history has gone."""
        known = 0.0 if self.epoch == 0 else math.nan
        return float(self.history["seconds"].iloc[-1]) if len(self.history) else known

    @property
    def step_seconds(self) -> float:
        """Time of one training step, median over the run; NaN if the history has gone."""
        batch = 2 * self.recipe.identities * self.recipe.images
        return batch / float(self.history["images_per_second"].median()) if len(self.history) else math.nan

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
        score += ", metric loss collapsed" if health.sentence(self.history) else ""
        seconds = "time not known" if math.isnan(self.seconds) else f"{self.seconds:.0f} s"
        return f"Run({Path(*self.folder.parts[-3:]).as_posix()}: {state}, {seconds}{score})"


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
        way = either("training.fit(recipe, dataset)", "reidlib train")
        raise FileNotFoundError(f"{folder} holds no intact weights yet; {way} makes them")
    return from_state(folder, recipe, read_environment(folder), state, device)


def from_state(
    folder: Path, recipe: Recipe, environment: dict[str, Any], state: State, device: torch.device | str | None
) -> Run:
    """The run that stands at ``state``, its model on ``device``."""
    device = devices.default() if device is None else device
    model = checkpoints.build_model(state).to(device).eval()
    model.trained_on = evaluation.TrainedOn.of(environment["dataset"], state.pids)
    history = pd.DataFrame(state.history)
    model.collapsed = health.sentence(history)
    return Run(folder, model, history, recipe, environment, np.array(state.pids), state.epoch)


def table(folder: str | Path | None = None) -> pd.DataFrame:
    """Every run under a folder (default: :func:`home`), a row each: what it is, how far it got, its last scores.

    If files of a run are damaged, its row says so in a column ``damaged``, which there is only then.
    """
    files = sorted(file for file in Path(folder or home()).rglob(RECIPE) if not file.is_dir())
    return pd.DataFrame([_row(file.parent) for file in files])


def _row(folder: Path) -> dict[str, Any]:
    """Of the table: what can be read of a run."""
    row, last, damaged, recipe = dict.fromkeys((*_LABELS, "twin")), {}, [], None
    try:
        recipe = read_recipe(folder)
        row |= {name: getattr(recipe, name) for name in _LABELS}
        row["twin"] = read_environment(folder)["dataset"]["twin_version"]
    except (OSError, ValueError, ImportError) as error:
        damaged.append(str(error))
    try:
        last = checkpoints.read_history(folder)[-1]
    except FileNotFoundError:
        pass  # of a run without an epoch behind it
    except (OSError, ValueError) as error:
        damaged.append(str(error))
    shown = ("epoch", "loss", "images_per_second", "seconds", "memory_gb")
    row["finished"] = (folder / WEIGHTS).is_file()
    if row["finished"] and recipe and last and last["epoch"] != recipe.epochs:
        damaged.append(f"{HISTORY} ends with epoch {last['epoch']}, the run with {recipe.epochs}")
    row |= {name: value for name, value in last.items() if name in shown or name.startswith("validation.")}
    if damaged:
        row["damaged"] = "; ".join(damaged)
        _logger.warning("%s is damaged: %s", folder, row["damaged"])
    return row | {"folder": str(folder)}


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a run for this process alone; wait while another one holds it. What a kill left half written is removed."""
    with paths.naming_unwritable(folder, "REIDLIB_RUNS"):
        folder.mkdir(parents=True, exist_ok=True)
        paths.require_no_link(folder / LOCK)
        lock = FileLock(folder / LOCK, mode=0o666)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            warn(folder, "another process trains this run; waiting for it")
            lock.acquire()
        try:
            paths.remove_partials(folder, RECIPE, ENVIRONMENT, HISTORY, WEIGHTS, "checkpoint-*.pt")
            yield
        finally:
            lock.release()
