"""Checkpoints: the state of a training run in files that appear whole or not at all and are read without trust.

A file that was cut off or altered is noticed by its digest and named, and the one before it is read instead. Reading
gives tensors and plain values only, never runs code from a file, and follows no links. The digest of the weights covers
all that the file holds, and the history beside it; in files of the first edition it covers the tensors alone.
"""

import csv
import hashlib
import io
import json
import logging
import os
import time
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from safetensors import safe_open
from safetensors.torch import save as to_safetensors

from reidlib import methods, paths
from reidlib.methods import Recipe
from reidlib.networks import ReIDModel

HISTORY, LOG, WEIGHTS = "history.csv", "log.txt", "weights.safetensors"
CHECKPOINT = "checkpoint-{epoch:04d}-{digest}.pt"
_CHECKPOINTS = "checkpoint-[0-9][0-9][0-9][0-9]-*.pt"
MOST_BYTES = 1 << 34
"""Of a checkpoint or of weights: more than four times what a network of a billion parameters takes."""
_logger = logging.getLogger("reidlib")


class DamagedFileError(ValueError):
    """A file of a run is not what was written: cut off, altered, or no such file at all."""


@dataclass(frozen=True, eq=False)
class State:
    """Where a run stands: tensors, numbers, text, and lists and dictionaries of them.

    There is no state of random generators: training derives them from seed, epoch and process at the start of every
    epoch. Nor of the learning rate, which is a function of the epoch.

    Attributes:
        recipe: as :meth:`reidlib.methods.Recipe.to_dict` gives it, a file of weights by its digest alone.
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
    paths.write(folder / HISTORY, _history_csv(state))
    stream = io.BytesIO()
    torch.save({entry.name: getattr(state, entry.name) for entry in fields(state)}, stream)
    content = stream.getvalue()
    current = folder / CHECKPOINT.format(epoch=state.epoch, digest=short_digest(content))
    paths.write(current, content)
    others = [file for file in sorted(folder.glob(_CHECKPOINTS)) if file != current]
    before = [file for file in others if _epoch(file) < state.epoch]
    for file in set(others) - set(before[-1:]):
        file.unlink()
    if state.epoch == state.recipe["epochs"]:
        save_weights(folder, state)


def save_weights(folder: Path, state: State) -> None:
    """Write ``weights.safetensors`` and the history; metadata hold the recipe, the model's arguments, its identities.

    ``digest`` there is that of the tensors, ``history`` that of ``history.csv``, and ``whole`` covers all metadata.
    """
    history = _history_csv(state)
    paths.write(folder / HISTORY, history)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.model.items()}
    record = {name: getattr(state, name) for name in ("recipe", "arguments", "pids", "epoch")}
    record |= {"digest": _tensor_digest(tensors), "history": short_digest(history)}
    metadata = {"reidlib": json.dumps({**record, "whole": _record_digest(record)})}
    paths.write(folder / WEIGHTS, to_safetensors(tensors, metadata))


def found(folder: Path, *, resumable: bool = False) -> list[Path]:
    """The files that hold a state, the newest first: the weights if the run has finished, then checkpoints.

    Args:
        resumable: only those that training can go on from.
    """
    weights = [] if resumable or not os.path.lexists(folder / WEIGHTS) else [folder / WEIGHTS]
    return weights + sorted(folder.glob(_CHECKPOINTS), reverse=True)


def restore(folder: Path, recipe: dict[str, Any], *, resumable: bool = False) -> State | None:
    """The newest intact state in a folder, of those that :func:`found` names; ``None`` if there is none.

    Raises:
        ValueError: a file belongs to another recipe.
    """
    files = found(folder, resumable=resumable)
    for file in files:
        try:
            state = _read_weights(folder) if file.name == WEIGHTS else _read_checkpoint(file)
        except DamagedFileError as error:
            warn(folder, f"{error}; going back to the file before it")
            continue
        require_same(f"{file} belongs to another recipe", *map(Recipe.placeless, (state.recipe, recipe)))
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
    except (RuntimeError, TypeError, ValueError, LookupError, AttributeError, ArithmeticError, MemoryError) as error:
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
    with suppress(OSError, ValueError):
        log(folder, text)


def log(folder: Path, text: str) -> None:
    """Add a line to ``log.txt``; raises ``ValueError`` if that is a link."""
    paths.require_no_link(folder / LOG)
    line = f"{time.strftime('%Y-%m-%d %H:%M:%S')}  {text}\n".encode(errors="backslashreplace")
    with (
        paths.naming_full_disk(folder / LOG, len(line)),
        open(folder / LOG, "ab", opener=paths.without_links) as file,
    ):
        file.write(line)


def short_digest(content: bytes) -> str:
    """Sixteen hexadecimal digits of the SHA-256."""
    return hashlib.sha256(content).hexdigest()[:16]


def read_history(folder: Path, digest: str | None = None) -> list[dict[str, Any]]:
    """The rows of ``history.csv`` as they were written, bit by bit.

    Args:
        digest: of the file; where it is not known, each row must have the columns that every history has, and each
            epoch as many steps.

    Raises:
        FileNotFoundError: there is no such file.
        DamagedFileError: it is not what was written.
    """
    file = folder / HISTORY
    try:
        paths.require_no_link(file)
        content = paths.read_bounded(file, most=2**28)
        if digest not in (None, short_digest(content)):
            raise ValueError("its digest is not that of what was written")
        lines = csv.DictReader(io.StringIO(content.decode(), newline=""), strict=True)
        rows = [{name: json.loads(text) for name, text in line.items() if text} for line in lines]
        if any(type(value) not in (int, float) for row in rows for value in row.values()):
            raise ValueError("it holds something other than numbers")
        if digest is None:
            last = {row["epoch"]: row["step"] for row in rows if {"seconds", "images_per_second"} <= row.keys()}
            steps, epochs = [row["step"] for row in rows], rows[-1]["epoch"]
            if sorted(set(steps)) != steps or any(step * epochs != steps[-1] * epoch for epoch, step in last.items()):
                raise ValueError("rows are missing")
    except (ValueError, TypeError, LookupError, RecursionError, csv.Error) as error:
        raise DamagedFileError(f"{file.name} is damaged or cut off ({error!r:.300})") from error
    return rows


def _read_checkpoint(file: Path) -> State:
    try:
        paths.require_no_link(file)
        content = paths.read_bounded(file, most=MOST_BYTES)
        if short_digest(content) != file.stem.rsplit("-", 1)[-1]:
            raise ValueError("its digest is not the one in its name")
        paths.require_unpacked(content, MOST_BYTES)
        return _checked(State(**torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)))
    except OSError:
        raise
    except Exception as error:  # whatever the unpickler makes of a file of another kind
        raise DamagedFileError(f"{file.name} is damaged or no checkpoint of this version ({error})") from error


def _read_weights(folder: Path) -> State:
    file = folder / WEIGHTS
    try:
        paths.require_no_link(file)
        if file.stat().st_size > MOST_BYTES:
            raise ValueError(f"it holds more than {MOST_BYTES:,} bytes")
        with safe_open(file, "pt") as opened:
            metadata = opened.metadata()
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 (not a dictionary)
        record = paths.parse_json(metadata["reidlib"], "its record")
        whole = record.pop("whole", None)
        if whole not in (None, _record_digest(record)):
            raise ValueError("its metadata are not those that were written")
        expected = record.pop("history", None)
        if not isinstance(expected, str | None):
            raise ValueError("history is no digest")
        if record.pop("digest") != _tensor_digest(tensors):
            raise ValueError("its tensors are not those that were written")
        state = _checked(State(**record, model=tensors, optimizer={}, scaler={}, history=[]))
    except OSError:
        raise
    except Exception as error:  # whatever follows from a file of another kind
        raise DamagedFileError(f"{file.name} is damaged or not of a run ({error})") from error
    if whole is None:
        text = "%s: %s is of the first edition: its digest does not cover recipe, arguments, pids and epoch"
        _logger.info(text, folder, WEIGHTS)
    try:
        history = read_history(folder, expected)
        if expected is None and history[-1]["epoch"] != state.epoch:
            raise DamagedFileError(f"{HISTORY} ends with epoch {history[-1]['epoch']}, the run with {state.epoch}")
    except (OSError, DamagedFileError) as error:
        _logger.warning("%s is read without its history, so that its times are not known: %s", folder, error)
        history = []
    return replace(state, history=history)


def _checked(state: State) -> State:
    """The state of a file; raises ``ValueError`` or ``TypeError`` if a value is of no such kind."""
    kinds = {"recipe": dict, "arguments": dict, "pids": list, "epoch": int, "history": list}
    kinds |= dict.fromkeys(("model", "optimizer", "scaler"), dict)
    for name, kind in kinds.items():
        value = getattr(state, name)
        if not isinstance(value, kind):
            raise ValueError(f"{name} is of type {type(value).__name__}, not {kind.__name__}")
    sizes = [state.recipe.get(name) for name in ("epochs", "height", "width")]
    if any(type(number) is not int or not 0 <= number < 2**63 for number in (state.epoch, *sizes)):
        raise ValueError("epoch, or epochs, height or width of the recipe, is no number")
    if any(type(pid) is not int or not -(2**63) <= pid < 2**63 for pid in state.pids):
        raise ValueError("pids are not whole numbers")
    if len(state.pids) != state.arguments.get("num_ids", len(state.pids)):
        raise ValueError(f"it has {len(state.pids)} pids, and a model for {state.arguments['num_ids']} identities")
    if not all(isinstance(tensor, torch.Tensor) for tensor in state.model.values()):
        raise ValueError("model holds something other than tensors")
    if not all(isinstance(row, dict) for row in state.history):
        raise ValueError("history holds something other than rows")
    json.dumps([state.recipe, state.arguments, state.history])
    return state


def _history_csv(state: State) -> bytes:
    return pd.DataFrame(state.history).to_csv(index=False).encode()


def _record_digest(record: dict[str, Any]) -> str:
    return short_digest(json.dumps(json.loads(json.dumps(record)), sort_keys=True).encode())


def _epoch(file: Path) -> int:
    return int(file.name.split("-")[1])


def _tensor_digest(tensors: dict[str, torch.Tensor]) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
