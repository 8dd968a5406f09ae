"""Recipes: everything that decides a training run, as one frozen value that is saved beside its results.

``get("baseline", dataset="sysu", profile="cpu")`` → :class:`Recipe`; ``recipe.replace(...)`` → a changed copy.

A recipe is what its profile sets for all methods (:mod:`reidlib.recipes.sizes`) and, on top, what its method changes:
each method has a file, whose ``RECIPES`` says so by data set.
"""

from typing import Any

from reidlib import profiles
from reidlib.recipes import baseline, dalnet, fienet, idkl, maum, sizes, wide
from reidlib.recipes.recipe import Recipe

__all__ = ["METHODS", "Recipe", "get"]

_METHODS = {
    "baseline": baseline.RECIPES,
    "fienet": fienet.RECIPES,
    "idkl": idkl.RECIPES,
    "dalnet": dalnet.RECIPES,
    "maum": maum.RECIPES,
    "wide-baseline": wide.RECIPES,
}
# (method, data set) → what it changes in every profile ("all") or in one.
METHODS: dict[tuple[str, str], dict[str, dict[str, Any]]] = {
    (method, dataset): changes for method, datasets in _METHODS.items() for dataset, changes in datasets.items()
}


def get(method: str, *, dataset: str = "sysu", profile: str | None = None) -> Recipe:
    """The recipe of a method on a data set.

    Args:
        method, dataset: a pair in ``METHODS``.
        profile: see :mod:`reidlib.profiles`; ``None`` for the default of this machine.

    Raises:
        ValueError: an unknown method, data set or profile; the message lists the known.
    """
    size = profiles.get(profile)
    if (method, dataset) not in METHODS:
        known = ", ".join(" on ".join(pair) for pair in METHODS)
        raise ValueError(f"there is no recipe for method {method!r} on data set {dataset!r}; choose one of: {known}")
    changes = METHODS[method, dataset]
    settings = sizes.defaults(dataset, size) | changes.get("all", {}) | changes.get(size.name, {})
    return Recipe(method=method, dataset=dataset, profile=size.name, **settings)
