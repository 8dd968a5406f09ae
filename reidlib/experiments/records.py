"""What every row says of the training behind it: the ledger and the measures share it."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from reidlib import methods
from reidlib.methods import Recipe
from reidlib.training import checkpoints

TRAINING = {  # name → type in a table, as in the next two
    "date": "datetime64[s]",  # of the record, UTC
    **dict.fromkeys(("method", "dataset"), "str"),
    "source": "str",  # "twin <version>" or "real"
    "profile": "str",  # of the recipe
    **dict.fromkeys(("seed", "split"), "Int64"),
    "processes": "Int64",  # that trained together
}
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
        "source": f"twin {data['twin_version']}" if data["is_twin"] else "real",
        "split": data["split"],
        "variant": variant,
        "changes": json.dumps(_changes(recipe)),
        "twin_version": data["twin_version"],
        **run_key(recipe, data, code, processes),
    }


def run_key(recipe: Recipe, data: Mapping[str, Any], code: str, processes: int = 1) -> dict[str, str | int]:
    """The values of ``RUN``; arguments as for :func:`key`."""
    digest = checkpoints.short_digest(json.dumps(dict(data), sort_keys=True).encode())
    return {"recipe": recipe.digest, "code": code, "data": digest, "processes": processes}


def _changes(recipe: Recipe) -> dict[str, Any]:
    """What :meth:`Recipe.replace` would have to be told to make this recipe of the default one."""
    default = methods.recipe(recipe.method, dataset=recipe.dataset, profile=recipe.profile).to_dict()
    changes = {name: value for name, value in recipe.to_dict().items() if name != "seed" and value != default.get(name)}
    for name in changes.keys() & {"model", "loss_weights", "augmentation"}:
        before, after = default[name], changes[name]
        every = before | after
        changes[name] = {each: after.get(each) for each in every if before.get(each) != after.get(each)}
    return changes
