"""What every row says of the training behind it: the ledger and the measures share it."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from reidlib import methods, profiles
from reidlib.data import registry
from reidlib.methods import Recipe
from reidlib.training import checkpoints

TRAINING = {  # name → type in a table, as in the next two
    "date": "datetime64[s]",  # of the record, UTC
    **dict.fromkeys(("method", "dataset"), "str"),
    "source": "str",  # "twin 1", "development twin 1", "real", "own"; and ", own split" where it is not the publishers'
    "profile": "str",  # of the recipe
    **dict.fromkeys(("seed", "split"), "Int64"),
    "processes": "Int64",  # that trained together
}
DEVELOPMENT = "development "
"""The source of rows begins with it whose test people are there to choose by."""
BEFORE = {"processes": "1", "precision": "float32"}  # what held before there were these columns
RECIPE = {
    "variant": "str",  # a label
    "changes": "str",  # JSON: the recipe is ``methods.recipe(method, …).replace(seed=seed, **changes)``
}
DIGESTS = {
    **dict.fromkeys(("code", "recipe", "data"), "str"),  # digests; of the data: of what :func:`runs.describe` says
    "twin_version": "str",
}
RUN = ["recipe", "code", "data", "processes"]  # rows that agree in these are of the same training


def describe(recipe: Recipe, data: Mapping[str, Any], code: str, variant: str, processes: int = 1) -> dict[str, Any]:
    """What a row says of the training it is about; raises ``ValueError`` for a label that is not one printable line."""
    if not variant.isprintable():
        raise ValueError(f"variant must be one printable line, not {variant!r}")
    return {
        **{name: getattr(recipe, name) for name in ("method", "dataset", "profile", "seed")},
        "date": datetime.now(UTC).date().isoformat(),
        "source": source(recipe.dataset, data),
        "split": data["split"],
        "variant": variant,
        "changes": json.dumps(_changes(recipe)),
        "twin_version": data["twin_version"],
        **run_key(recipe, data, code, processes),
    }


def source(dataset: str, data: Mapping[str, Any]) -> str:
    """Where images come from, and who divided them, in a row; ``data`` as :func:`runs.describe` gives it."""
    if registry.is_own(dataset):
        return "own"  # its split is always one's own
    kind = DEVELOPMENT * profiles.is_development(data["profile"])
    images = f"{kind}twin {data['twin_version']}" if data["is_twin"] else "real"
    return images if data.get("own_split") is None else f"{images}, own split"


def in_words(source: str) -> str:
    """A row's ``source`` for headings: ``"synthetic twin 1"``, ``"real data"``, ``"own data"``."""
    kind, _, rest = source.partition(",")
    if not kind.startswith(DEVELOPMENT):
        kind = f"synthetic {kind}" if kind.startswith("twin") else f"{kind} data"
    return f"{kind},{rest}" if rest else kind


def without_development(rows: pd.DataFrame, filters: Iterable[str]) -> pd.DataFrame:
    """The rows whose test is one, unless the filters say whose rows are wanted."""
    return rows if {"source", "data"} & set(filters) else rows[~rows["source"].str.startswith(DEVELOPMENT, na=False)]


def run_key(recipe: Recipe, data: Mapping[str, Any], code: str, processes: int = 1) -> dict[str, str | int]:
    """The values of ``RUN``; arguments as for :func:`key`."""
    digest = checkpoints.short_digest(json.dumps(dict(data), sort_keys=True).encode())
    return {"recipe": recipe.digest, "code": code, "data": digest, "processes": processes}


def _changes(recipe: Recipe) -> dict[str, Any]:
    """What :meth:`Recipe.replace` would have to be told to make this recipe of the default one."""
    known = {"dataset": recipe.dataset, "profile": recipe.profile, "shape": recipe.shape}
    usual = methods.recipe(recipe.method, **known)
    default = {"epoch": usual.epoch} | usual.to_dict()
    ours = {"epoch": recipe.epoch} | recipe.placeless(recipe.to_dict())
    changes = {name: value for name, value in ours.items() if name != "seed" and value != default.get(name)}
    if recipe.shape is not None:  # without which there is no default
        changes["shape"] = recipe.shape
    for name in changes.keys() & {"model", "loss_weights", "augmentation"}:
        before, after = default[name], changes[name]
        every = before | after
        changes[name] = {each: after.get(each) for each in every if before.get(each) != after.get(each)}
    return changes
