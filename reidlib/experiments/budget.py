"""The budget of a training: what must be equal for two methods to be compared, and how one is made longer."""

import math
from typing import Any

from reidlib.methods import Recipe

DATA = ("dataset", "data", "protocol", "reranking", "trials")  # columns of the ledger
TRAINING = (  # fields of the recipe
    *("weights", "height", "width", "identities", "images", "epochs", "epoch", "augmentation", "validation_share"),
    *("subsample", "validate_every"),
)
BUDGET = (*DATA, *TRAINING, "code")  # the code, of equal methods
"""What a comparison wants to be equal, or to be allowed to differ."""
GIVEN = (
    *("weights", "height", "width", "identities", "images", "epochs", "epoch", "augmentation", "validation_share"),
    *("validate_every", "optimizer", "learning_rate", "backbone_rate", "weight_decay", "schedule", "warmup"),
    *("milestones", "amp"),
)
"""What a counterpart has of the method it is compared with: how it is trained, and nothing of what it is."""


def unequal(a: Recipe, b: Recipe) -> dict[str, tuple[Any, Any]]:
    """In what two recipes have different budgets: field → values of ``a`` and ``b``; empty if they may be compared.

    ``unequal(methods.recipe("idkl", profile="paper"), methods.recipe("baseline", profile="paper"))`` names size, batch,
    length and augmentation; the counterpart with the budget of IDKL is the baseline of the study ``idkl-comparison``.
    Data, protocol and code are known of runs only.
    """
    values = [{name: recipe.to_dict().get(name, getattr(recipe, name)) for name in TRAINING} for recipe in (a, b)]
    return {name: (values[0][name], values[1][name]) for name in TRAINING if values[0][name] != values[1][name]}


def with_budget_of(recipe: Recipe, other: Recipe) -> Recipe:
    """A recipe with the size, length, optimizer and augmentation of another one; network and losses stay its own."""
    return recipe.replace(**{name: getattr(other, name) for name in GIVEN})


def equal_wall_clock(recipe: Recipe, ratio: float) -> Recipe:
    """A recipe that trains ``ratio`` times as long: the second baseline, for the step time ratio of a costlier method.

    Epochs are rounded to the nearest whole number, at least one; warm-up and milestones keep their places in the
    schedule. Compare with ``allow=("epochs",)``.

    Raises:
        ValueError: the ratio is not a positive number.
    """
    if not (math.isfinite(ratio) and ratio > 0):
        raise ValueError(f"ratio must be a positive number, such as comparison.step_time_ratio, not {ratio}")
    epochs = max(1, round(ratio * recipe.epochs))
    scale = epochs / recipe.epochs
    milestones = sorted({round(scale * milestone) for milestone in recipe.milestones})
    return recipe.replace(epochs=epochs, warmup=scale * recipe.warmup, milestones=tuple(milestones))
