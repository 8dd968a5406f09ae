"""What a run folder says of a run: its recipe, and where it was begun, went on, or was extended from."""

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision

import reidlib
from reidlib import paths
from reidlib.console.spelling import argument
from reidlib.data import ReIDDataset, own, registry
from reidlib.methods import Recipe
from reidlib.networks.fitting import Fitted
from reidlib.networks.imagenet import TIMM
from reidlib.training import checkpoints, provenance
from reidlib.training.checkpoints import LOG, State, log, short_digest, warn
from reidlib.training.schedule import require_extendable

RECIPE, ENVIRONMENT, LOCK = "recipe.json", "environment.json", ".lock"


def prepare(
    folder: Path,
    recipe: Recipe,
    dataset: ReIDDataset,
    environment: dict[str, Any],
    extends: Path | None = None,
    fitted: Fitted | None = None,
) -> None:
    """Begin a run in a folder, or make sure that the one that lies there is of this recipe, data and processes.

    Args:
        environment: as :func:`environment` gives it.
        extends: folder of the run that a new one goes on from: its record becomes the beginning of the new one's.
        fitted: what of the weights that a new run starts from fitted; goes into its record and its log.

    Raises:
        ValueError: the folder holds another run, or something that is no run.
    """
    code = provenance.code_for(recipe.method, dataset)
    wanted = {**environment, "code": code, "dataset": describe(dataset)}
    paths.require_no_link(folder / LOG)  # before hours of training
    is_begun = os.path.lexists(folder / RECIPE)
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
        wanted, fitted = begun, None
    if fitted:
        wanted["weights"] = fitted.record()
    if recipe.backbone.startswith(TIMM):
        wanted["timm"] = version("timm")
    ours = {LOCK, LOG, ENVIRONMENT}  # of a run that was killed before it had begun
    if strange := sorted(file.name for file in folder.iterdir() if file.name not in ours and file.suffix != ".partial"):
        raise ValueError(f"{folder} holds {strange[0]!r} and no {RECIPE}: not a run; choose an empty or a new folder")
    paths.write(folder / ENVIRONMENT, (json.dumps(wanted, indent=2) + "\n").encode())
    paths.write(folder / RECIPE, recipe.to_json().encode())
    if fitted:
        log(folder, f"starts from weights: {fitted}")


def note_resumption(folder: Path, epoch: int, here: dict[str, Any]) -> None:
    """Add to ``environment.json`` that a run goes on after an epoch, and where; tell what is not as it was."""
    record = read_environment(folder)
    before = (record.get("resumed") or [record])[-1]
    changed = [f"{name} was {before.get(name)}, is {here[name]}" for name in here if before.get(name) != here[name]]
    record["resumed"] = [*record.get("resumed", []), {"epoch": epoch, **here}]
    paths.write(folder / ENVIRONMENT, (json.dumps(record, indent=2) + "\n").encode())
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
    return replace(state, recipe=recipe.placeless(recipe.to_dict()))


def describe(dataset: ReIDDataset) -> dict[str, Any]:
    """What tells one data set from another, wherever it lies on disk: name, version, and a digest of its frame."""
    columns = dataset.frame[["path", "pid", "camid", "modality", "split"]]
    record = {name: getattr(dataset, name) for name in ("name", "split", "is_twin", "twin_version", "profile")}
    if dataset.own_split is not None:
        record["own_split"] = dataset.own_split
    if known := own.people(dataset.frame):  # by which people are known again, should the folder get others as well
        record["people"] = {str(pid): digest for pid, digest in known.items()}
    if registry.is_own(dataset.name):
        record["modalities"] = list(dataset.reader.modalities)
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
    """What ``environment.json`` says; raises ``ValueError`` if it is damaged or lacks what every run notes."""
    file = folder / ENVIRONMENT
    advice = "copy it again from where the run was made, or delete the folder and train the run anew"
    try:
        paths.require_no_link(file)
        record = paths.read_json(file)
        _require_kinds(record, _ENVIRONMENT, "")
        _require_kinds(record["dataset"], _DATASET, "dataset.")
        for each in record.get("resumed", []):
            _require_kinds(each, {"epoch": int, **_TIMED}, "resumed.")
    except FileNotFoundError as error:
        raise FileNotFoundError(f"there is no {file}; {advice}") from error
    except ValueError as error:
        raise ValueError(f"{file} is damaged: {str(error).removeprefix(f'{file} ')}; {advice}") from error
    return record


_TIMED = {"device": str, "torch": str, "threads": int, "processes": int, "precision": str}
_ENVIRONMENT = {**_TIMED, "code": str, "dataset": dict, "resumed": list}
_MAY_LACK = ("processes", "precision", "resumed")  # as files of older versions do
_DATASET = {"name": str, "split": int | None, "is_twin": bool, "twin_version": str | None, "profile": str | None}
_DATASET |= {"images": int, "digest": str}


def _require_kinds(record: Any, kinds: Mapping[str, Any], where: str) -> None:
    """Raise ``ValueError`` if a value is of another type, or is text of more than one printable line."""
    if not isinstance(record, dict):
        raise ValueError(f"{where[:-1] or 'it'} is no object")
    for name, kind in kinds.items():
        if name not in record and name not in _MAY_LACK:
            raise ValueError(f"{where}{name} is missing")
        value = record.get(name)
        if name in record and (not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool)):
            raise ValueError(f"{where}{name} is {value!r:.50}")
    for name, value in record.items():
        if isinstance(value, str) and not (value.isprintable() and len(value) < 1000):
            raise ValueError(f"{where}{name} must be one printable line, not {value[:50]!r}")


def _require_recipe(folder: Path, recipe: Recipe) -> None:
    """Raise ``ValueError`` if the run in a folder is of another recipe, and say whether it can be extended to this."""
    there = read_recipe(folder)
    try:
        both = (recipe.placeless(each.to_dict()) for each in (there, recipe))
        checkpoints.require_same(f"{folder} holds another recipe", *both)
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
    """The recipe of a run; raises ``ValueError`` if its file is damaged."""
    try:
        paths.require_no_link(folder / RECIPE)
        record = paths.read_json(folder / RECIPE)
        if not isinstance(record, dict):
            raise ValueError(f"a recipe is a JSON object, not {type(record).__name__}")
        return Recipe.from_dict(record)
    except (ValueError, TypeError, AttributeError, LookupError, ArithmeticError) as error:
        text = str(error).removeprefix(f"{folder / RECIPE} ")
        raise ValueError(f"{folder / RECIPE} is damaged or of another version: {text}") from error
