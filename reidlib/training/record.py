"""What a run folder says of a run: its recipe, and where it was begun, went on, or was extended from."""

import json
import platform
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision

import reidlib
from reidlib.console.spelling import argument
from reidlib.data import ReIDDataset
from reidlib.methods import Recipe
from reidlib.training import checkpoints, provenance
from reidlib.training.checkpoints import LOG, State, log, short_digest, warn, write
from reidlib.training.schedule import require_extendable

RECIPE, ENVIRONMENT, LOCK = "recipe.json", "environment.json", ".lock"


def prepare(
    folder: Path, recipe: Recipe, dataset: ReIDDataset, environment: dict[str, Any], extends: Path | None = None
) -> None:
    """Begin a run in a folder, or make sure that the one that lies there is of this recipe, data and processes.

    Args:
        environment: as :func:`environment` gives it.
        extends: folder of the run that a new one goes on from: its record becomes the beginning of the new one's.

    Raises:
        ValueError: the folder holds another run, or something that is no run.
    """
    wanted = {**environment, "code": provenance.code_digest(recipe.method, dataset.name), "dataset": describe(dataset)}
    is_begun = (folder / RECIPE).exists()
    if is_begun or extends:
        source = folder if is_begun else extends
        begun = read_environment(source)
        if is_begun:
            _require_recipe(folder, recipe)
        checkpoints.require_same(f"{source} was trained on other data", begun["dataset"], wanted["dataset"])
        together = ({"processes": record.get("processes", 1)} for record in (begun, wanted))
        checkpoints.require_same(f"{source} was trained by another number of processes", *together)
        if begun["code"] != wanted["code"]:
            warn(folder, "this run was begun with another version of the code; delete its folder to train it anew")
        if is_begun:
            return
        wanted = begun
    ours = {LOCK, LOG, ENVIRONMENT}  # of a run that was killed before it had begun
    if strange := sorted(file.name for file in folder.iterdir() if file.name not in ours and file.suffix != ".partial"):
        raise ValueError(f"{folder} holds {strange[0]!r} and no {RECIPE}: not a run; choose an empty or a new folder")
    write(folder / ENVIRONMENT, (json.dumps(wanted, indent=2) + "\n").encode())
    write(folder / RECIPE, recipe.to_json().encode())


def note_resumption(folder: Path, epoch: int, here: dict[str, Any]) -> None:
    """Add to ``environment.json`` that a run goes on after an epoch, and where; tell what is not as it was."""
    record = read_environment(folder)
    before = (record.get("resumed") or [record])[-1]
    changed = [f"{name} was {before.get(name)}, is {here[name]}" for name in here if before.get(name) != here[name]]
    record["resumed"] = [*record.get("resumed", []), {"epoch": epoch, **here}]
    write(folder / ENVIRONMENT, (json.dumps(record, indent=2) + "\n").encode())
    if changed:
        warn(folder, f"goes on after epoch {epoch} in another environment ({'; '.join(changed)})")
    else:
        log(folder, f"goes on after epoch {epoch}")


def load_extendable(folder: Path, recipe: Recipe) -> State:
    """The last checkpoint of a run with fewer epochs, as the state that a longer recipe goes on from.

    Raises:
        FileNotFoundError: the folder holds no run, or no checkpoint with the state of its optimizer any more.
        ValueError: the recipe does not begin as that of the run did; the message says why.
    """
    if not (folder / RECIPE).is_file():
        raise FileNotFoundError(f"{folder} holds no run that could be extended: there is no {RECIPE}")
    older = read_recipe(folder)
    try:
        require_extendable(older, recipe)
    except ValueError as error:
        raise ValueError(f"{folder} cannot be extended to this recipe: {error}") from error
    state = checkpoints.restore(folder, older.to_dict(), resumable=True)
    if state is None:
        raise FileNotFoundError(f"{folder} cannot be extended: no checkpoint is left, and weights alone do not suffice")
    return replace(state, recipe=recipe.to_dict())


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


def _require_recipe(folder: Path, recipe: Recipe) -> None:
    """Raise ``ValueError`` if the run in a folder is of another recipe, and say whether it can be extended to this."""
    there = read_recipe(folder)
    try:
        checkpoints.require_same(f"{folder} holds another recipe", there.to_dict(), recipe.to_dict())
    except ValueError as error:
        if there.replace(epochs=recipe.epochs).digest != recipe.digest:
            raise
        try:
            require_extendable(there, recipe)
            advice = f"to go on from that run in a folder of its own: {argument('extends', str(folder))}"
        except ValueError as reason:
            advice = f"that run cannot be extended: {reason}"
        raise ValueError(f"{error}. {advice[0].upper()}{advice[1:]}") from error


def read_recipe(folder: Path) -> Recipe:
    try:
        return Recipe.from_json((folder / RECIPE).read_text(encoding="utf-8"))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{folder / RECIPE} is damaged or of another version: {error}") from error
