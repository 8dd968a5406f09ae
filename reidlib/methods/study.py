"""What a study is, and how two lists of changes make a map."""

import itertools
from collections.abc import Mapping
from typing import Any, NamedTuple


class Study(NamedTuple):
    """A method, and label of a variant → what :meth:`Recipe.replace` changes. The first variant is the reference.

    A variant may be of another method: ``{"method": "baseline", "epochs": 20}`` changes the recipe of that one. It may
    be trained longer: ``{"time": 1.2}``, see :func:`reidlib.experiments.budget.equal_wall_clock`; or for a length
    that all profiles have: ``{"length": 3}``, see :data:`reidlib.methods.sizes.LENGTH`. And what a change must read
    from the recipe itself is a function of it: ``{"recipe": lambda recipe: recipe.replace(images=2 * recipe.images)}``.
    ``measures`` are keys of :data:`reidlib.experiments.measures.MEASURES`; a sweep takes them on every run of the
    study. ``budget`` names the method whose size, length, optimizer and augmentation all variants have: on twins they
    are the same for all, in the profile ``paper`` each method has its own, and so has what it is compared with.
    """

    method: str
    variants: dict[str, dict[str, Any]]
    measures: tuple[str, ...] = ()
    budget: str | None = None


LENGTHS = (1, 3, 5)


def at_lengths(
    variants: Mapping[str, Mapping[str, Any]], lengths: tuple[int, ...] = LENGTHS
) -> dict[str, dict[str, Any]]:
    """Every variant at every length: ``{"MAUM-G": …}`` → ``{"MAUM-G, × 1": …, "MAUM-G, × 3": …, "MAUM-G, × 5": …}``."""
    return {f"{label}, × {n}": {**change, "length": n} for n in lengths for label, change in variants.items()}


def crossed(*lists: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Every combination of one change of each list, ``{label: changes}``: what the first list changes, varies slowest.

    ``crossed({"λ 0.1": {"loss_weights": {"intra": 0.1}}, …}, {"triplet 0": {"loss_weights": {"triplet": 0.0}}, …})``
    → ``{"λ 0.1, triplet 0": {"loss_weights": {"intra": 0.1, "triplet": 0.0}}, …}``. An empty change is the recipe's own
    value; the combination of empty changes is called ``as in the recipe`` and comes first, as the reference.

    Raises:
        ValueError: a list without changes of a dictionary, or two combinations with the same label.
    """
    found: dict[str, dict[str, Any]] = {"as in the recipe": {}}
    for combination in itertools.product(*(each.items() for each in lists)):
        changes: dict[str, dict[str, Any]] = {}
        for label, change in combination:
            if not all(isinstance(options, Mapping) for options in change.values()):
                raise ValueError(f"{label!r} must change loss_weights, model or augmentation by name, to be combined")
            for part, options in change.items():
                changes[part] = {**changes.get(part, {}), **options}
        if changes:
            label = ", ".join(label for label, _ in combination)
            if label in found:
                raise ValueError(f"two combinations are called {label!r}")
            found[label] = changes
    return found
