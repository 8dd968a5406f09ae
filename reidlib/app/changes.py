"""``NAME=VALUE`` as typed; with ``--set``, changes of a recipe, checked before anything is rendered or trained."""

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import torch

from reidlib import methods
from reidlib.data import Augmentation, ReIDDataset, Subsample
from reidlib.methods import Recipe, registry
from reidlib.training import devices

OWN_OPTIONS = {"method": "METHOD", "dataset": "--dataset", "profile": "--profile", "seed": "--seed or --seeds"}
OF_MODEL = {"backbone", "weights", "model", "loss_weights", "height", "width"}
GROUPS = ("loss_weights", "model", "augmentation", "subsample")


def named(pairs: Sequence[Sequence[str]]) -> dict[str, Any]:
    """``name=value`` as a dictionary; numbers, true, false and lists as JSON has them, all else is text."""
    options: dict[str, Any] = {}
    for pair in (pair for several in pairs for pair in several):
        name, equals, value = pair.partition("=")
        if not (equals and all(part.isidentifier() for part in name.split("."))):
            raise ValueError(f"{pair!r} is no option; write name=value")
        if name in options:
            raise ValueError(f"{name} is given twice")
        try:
            options[name] = json.loads(value)
        except RecursionError:
            raise ValueError(f"{name}: lists are nested too deep in {value[:20]!r}") from None
        except ValueError:
            options[name] = value
    return options


def apply(recipe: Recipe, pairs: Sequence[Sequence[str]]) -> Recipe:
    """The recipe with these changes, as typed.

    Raises:
        ValueError: an unknown name (the message lists the known, and the nearest), a value of another type or out of
            range, or loss weights that do not fit the loss terms that the model then has.
    """
    if not (given := named(pairs)):
        return recipe
    changes: dict[str, Any] = {}
    for name, value in given.items():
        group, _, part = name.partition(".")
        _require_known(recipe, group, part)
        _require_kind(name, value, _before(recipe, group, part))
        if part:
            value = tuple(value) if isinstance(value, list) and group == "augmentation" else value
            changes.setdefault(group, {})[part] = value
        else:
            changes[group] = value
    changed = recipe.replace(**changes)
    if changes.keys() & OF_MODEL:
        _require_terms(changed, list(changes.get("loss_weights", {})))
    return changed


def apply_to_study(
    study: str, recipes: Mapping[str, Recipe], pairs: Sequence[Sequence[str]], dataset: str | ReIDDataset | None = None
) -> dict[str, Recipe]:
    """Every variant of a study with these changes; ``dataset`` is that which the recipes were made for.

    Raises:
        ValueError: as `apply`, naming the variant; or the study varies one of these values itself.
    """
    for variant, recipe in recipes.items():
        of_data = recipe.dataset if dataset is None else dataset
        default = methods.recipe(recipe.method, dataset=of_data, profile=recipe.profile)
        before, after = _flat(default), _flat(recipe)
        for name in named(pairs):
            if before.get(name) != after.get(name):
                raise ValueError(
                    f"--set {name}: the study {study!r} decides this itself ({variant!r}: {after.get(name)}, the "
                    f"recipe: {before.get(name)}); leave it out"
                )
    changed = {}
    for variant, recipe in recipes.items():
        try:
            changed[variant] = apply(recipe, pairs)
        except ValueError as error:
            raise ValueError(f"variant {variant!r} ({recipe.method}): {error}") from error
    return changed


def _flat(recipe: Recipe) -> dict[str, Any]:
    """Values by the names that ``--set`` has for them."""
    flat = {}
    for name, value in recipe.to_dict().items():
        parts = value.items() if isinstance(value, Mapping) else ()
        flat |= {f"{name}.{part}": each for part, each in parts} if name in GROUPS else {name: value}
    return flat


def _require_known(recipe: Recipe, group: str, part: str) -> None:
    fields = [field.name for field in dataclasses.fields(Recipe) if field.name not in OWN_OPTIONS]
    if group in OWN_OPTIONS:
        raise ValueError(f"--set {group}: this is chosen by {OWN_OPTIONS[group]}")
    if group not in fields:
        raise ValueError(f"--set {group}: a recipe has no such field; {_choice(group, fields)}")
    if group not in GROUPS:
        if part:
            raise ValueError(f"--set {group}.{part}: {group} has no parts; write {group}=VALUE")
        return
    known = _parts(recipe, group)
    if not part:
        raise ValueError(f"--set {group}: write {group}.NAME=VALUE; {_choice('', known)}")
    if part not in known and group != "loss_weights":  # what terms there are, the model says once it is built
        owner = recipe.method if group == "model" else f"{group} of a recipe"
        raise ValueError(f"--set {group}.{part}: {owner} has no such option; {_choice(part, known)}")


def _parts(recipe: Recipe, group: str) -> list[str]:
    if group == "model":
        return [name for name in registry.model_options(recipe.method) if name != "weights"]  # a field of its own
    kinds = {"augmentation": Augmentation, "subsample": Subsample}
    return [field.name for field in dataclasses.fields(kinds[group])] if group in kinds else list(recipe.loss_weights)


def _choice(name: str, known: Iterable[str]) -> str:
    known = sorted(known)
    nearest = get_close_matches(name, known, 1)
    return f"choose from: {', '.join(known)}" + (f"; did you mean {nearest[0]}?" if nearest else "")


def _before(recipe: Recipe, group: str, part: str) -> Any:
    """The value that there is; ``None`` where any is allowed."""
    if group == "loss_weights":
        return 1.0
    if group == "model":
        return recipe.model.get(part, registry.model_options(recipe.method)[part])
    if group == "subsample":
        return {"modality": 0, "seed": 0}.get(part, 1.0)
    value = getattr(recipe, group)
    return getattr(value, part) if part else value


def _require_kind(name: str, value: Any, before: Any) -> None:
    """Refuse a value of another type than the one before; what ``None`` may become, the recipe or the model says."""
    number, several = ((int, float), "a number"), ((list,), "a list, such as [1,2]")
    kinds = {bool: ((bool,), "true or false"), int: number, float: number, str: ((str,), "text")}
    kinds |= {tuple: several, list: several}
    may_be_left_out = value is None and name.startswith(("loss_weights.", "model.", "weights"))
    if type(before) in kinds and not may_be_left_out:
        allowed, words = kinds[type(before)]
        if type(value) not in allowed:
            raise ValueError(f"--set {name}: must be {words}, not {value!r}")
    is_range = name.startswith("augmentation.") and isinstance(value, list)
    if is_range and not (len(value) == len(before) and all(type(each) in number[0] for each in value)):
        raise ValueError(f"--set {name}: must be {len(before)} numbers, such as {list(before)}, not {value}")


def _require_terms(recipe: Recipe, asked: Sequence[str]) -> None:
    """Refuse options that the model does not take, and weights that do not fit its loss terms on a batch of noise."""
    device = torch.device("cpu")
    with devices.own_randomness(device):
        torch.manual_seed(0)
        network = {"backbone": recipe.backbone, "weights": recipe.weights, **recipe.model}
        try:
            model = methods.build(recipe.method, num_ids=2, **network)
            pids, modality = torch.tensor([0, 0, 1, 1] * 2), torch.tensor([0] * 4 + [1] * 4)
            terms = model.losses(model(torch.randn(8, 3, recipe.height, recipe.width), modality), pids, modality)
        except (TypeError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            raise ValueError(f"--set: {recipe.method} cannot be built or trained so ({reason})") from error
    for name in asked:
        if name not in terms and name in recipe.loss_weights:
            raise ValueError(f"--set loss_weights.{name}: {recipe.method} has no such term; {_choice(name, terms)}")
    ways = [f"--set loss_weights.{name}=1" for name in terms if name not in recipe.loss_weights]
    ways += [f"--set loss_weights.{name}=null" for name in recipe.loss_weights if name not in terms]
    if ways:
        has = f"with these options {recipe.method} has the loss terms {', '.join(terms)}"
        raise ValueError(f"{has}; add {' '.join(ways)}")
