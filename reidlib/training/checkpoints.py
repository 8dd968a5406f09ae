"""Checkpoints: the state of a training run in files that appear whole or not at all and are read without trust.

A file that was cut off or altered is noticed by its digest and named, and the one before it is read instead. Reading
gives tensors and plain values only and never runs code from a file.
"""

import csv
import hashlib
import io
import json
import logging
import os
import time
from contextlib import suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_safetensors

from reidlib import methods
from reidlib.methods import Recipe
from reidlib.networks import ReIDModel

HISTORY, LOG, WEIGHTS = "history.csv", "log.txt", "weights.safetensors"
CHECKPOINT = "checkpoint-{epoch:04d}-{digest}.pt"
_CHECKPOINTS = "checkpoint-[0-9][0-9][0-9][0-9]-*.pt"
_logger = logging.getLogger("reidlib")


class DamagedFileError(ValueError):
    """A file of a run is not what was written: cut off, altered, or no such file at all."""


@dataclass(frozen=True, eq=False)
class State:
    """Where a run stands: tensors, numbers, text, and lists and dictionaries of them.

    There is no state of random generators: training derives them from seed, epoch and process at the start of every
    epoch. Nor of the learning rate, which is a function of the epoch.

    Attributes:
        recipe: as :meth:`reidlib.methods.Recipe.to_dict` gives it.
        arguments: of :func:`reidlib.methods.build`.
        pids: identity of each class of the classifier.
        epoch: number of epochs trained.
        model, optimizer, scaler: their ``state_dict``; the last two are empty when they will not be needed.
        history: a dictionary for each row.
    """

    recipe: dict[str, Any]
    arguments: dict[str, Any]
    pids: list[int]
    epoch: int
    model: dict[str, torch.Tensor] = field(repr=False)
    optimizer: dict[str, Any] = field(repr=False)
    scaler: dict[str, Any] = field(repr=False)
    history: list[dict[str, Any]] = field(repr=False)


def save(folder: Path, state: State) -> None:
    """Write the history, a checkpoint, and after the last epoch the weights; keep the checkpoint before this one."""
    write(folder / HISTORY, pd.DataFrame(state.history).to_csv(index=False).encode())
    stream = io.BytesIO()
    torch.save({entry.name: getattr(state, entry.name) for entry in fields(state)}, stream)
    content = stream.getvalue()
    current = folder / CHECKPOINT.format(epoch=state.epoch, digest=short_digest(content))
    write(current, content)
    others = [file for file in sorted(folder.glob(_CHECKPOINTS)) if file != current]
    before = [file for file in others if _epoch(file) < state.epoch]
    for file in set(others) - set(before[-1:]):
        file.unlink()
    if state.epoch == state.recipe["epochs"]:
        save_weights(folder, state)


def save_weights(folder: Path, state: State) -> None:
    """Write ``weights.safetensors``; its metadata hold the recipe, the arguments of the model and its identities."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.model.items()}
    record = {name: getattr(state, name) for name in ("recipe", "arguments", "pids", "epoch")}
    metadata = {"reidlib": json.dumps({**record, "digest": _tensor_digest(tensors)})}
    write(folder / WEIGHTS, to_safetensors(tensors, metadata))


def found(folder: Path, *, resumable: bool = False) -> list[Path]:
    """The files that hold a state, the newest first: the weights if the run has finished, then checkpoints.

    Args:
        resumable: only those that training can go on from.
    """
    weights = [] if resumable or not (folder / WEIGHTS).exists() else [folder / WEIGHTS]
    return weights + sorted(folder.glob(_CHECKPOINTS), reverse=True)


def restore(folder: Path, recipe: dict[str, Any], *, resumable: bool = False) -> State | None:
    """The newest intact state in a folder, of those that :func:`found` names; ``None`` if there is none.

    Raises:
        ValueError: a file belongs to another recipe.
    """
    files = found(folder, resumable=resumable)
    for file in files:
        try:
            state = _read_weights(file) if file.name == WEIGHTS else _read_checkpoint(file)
        except DamagedFileError as error:
            warn(folder, f"{error}; going back to the file before it")
            continue
        require_same(f"{file} belongs to another recipe", Recipe.renamed(state.recipe), recipe)
        return state
    if files:
        warn(folder, "no intact checkpoint is left")
    return None


def build_model(state: State) -> ReIDModel:
    """The model of a state, with its weights, on the CPU.

    Raises:
        ValueError: the weights do not fit the model.
    """
    try:
        with torch.random.fork_rng([]):  # initial weights are drawn in vain, and not at the caller's expense
            model = methods.build(**{**state.arguments, "weights": None})
        model.load_state_dict(state.model)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"the weights do not fit the model {state.arguments}: {error}") from error
    model.image_size = (state.recipe["height"], state.recipe["width"])
    return model.to(memory_format=torch.channels_last)


def require_same(what: str, there: dict[str, Any], here: dict[str, Any]) -> None:
    """Raise ``ValueError`` that begins with ``what`` and names the entries that differ, if any."""
    if differing := [key for key in {**here, **there} if there.get(key) != here.get(key)]:
        shown = "; ".join(f"{key} is {there.get(key)!r} there, {here.get(key)!r} here" for key in differing[:3])
        raise ValueError(f"{what} ({shown}); choose another folder, or move this one away")


def warn(folder: Path, text: str) -> None:
    """Tell something unusual about a run: on the screen, and in its log where that can be written."""
    _logger.warning("%s: %s", folder, text)
    with suppress(OSError):
        log(folder, text)


def log(folder: Path, text: str) -> None:
    """Add a line to ``log.txt``."""
    with (folder / LOG).open("a", encoding="utf-8") as file:
        file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')}  {text}\n")


def write(file: Path, content: bytes) -> None:
    """Write a file as a whole: readers, and whoever comes after a crash, see the old content or the new."""
    partial = file.with_name(f"{file.name}.partial")
    try:
        with partial.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(partial, file)
    finally:
        partial.unlink(missing_ok=True)


def short_digest(content: bytes) -> str:
    """Sixteen hexadecimal digits of the SHA-256."""
    return hashlib.sha256(content).hexdigest()[:16]


def _read_checkpoint(file: Path) -> State:
    content = file.read_bytes()
    if short_digest(content) != file.stem.rsplit("-", 1)[-1]:
        raise DamagedFileError(f"{file.name} is damaged (its digest is not the one in its name)")
    try:
        return State(**torch.load(io.BytesIO(content), map_location="cpu", weights_only=True))
    except Exception as error:  # whatever the unpickler makes of a file of another kind
        raise DamagedFileError(f"{file.name} is no checkpoint of this version ({error})") from error


def _read_weights(file: Path) -> State:
    try:
        with safe_open(file, "pt") as opened:
            metadata = opened.metadata()
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 (not a dictionary)
        record = json.loads(metadata["reidlib"])
        digest = record.pop("digest")
        state = State(**record, model=tensors, optimizer={}, scaler={}, history=_read_history(file.with_name(HISTORY)))
    except (SafetensorError, TypeError, KeyError, ValueError) as error:
        raise DamagedFileError(f"{file.name} is damaged or not of a run ({error})") from error
    if digest != _tensor_digest(tensors):
        raise DamagedFileError(f"{file.name} is damaged (its tensors are not those that were written)")
    return state


def _read_history(file: Path) -> list[dict[str, Any]]:
    """The rows that were written, bit by bit; none if the file has gone."""
    if not file.exists():
        return []
    with file.open(encoding="utf-8", newline="") as stream:
        return [{name: json.loads(text) for name, text in row.items() if text} for row in csv.DictReader(stream)]


def _epoch(file: Path) -> int:
    return int(file.name.split("-")[1])


def _tensor_digest(tensors: dict[str, torch.Tensor]) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
