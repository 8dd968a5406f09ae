"""Studies: named grids of recipes, each variant a change of weights, switches or options of one method.

``get("baseline-ingredients", profile="screen")`` → ``{variant: recipe}``, which :func:`reidlib.sweep.run` takes.
"""

from typing import Any, NamedTuple

from reidlib import recipes
from reidlib.recipes import Recipe


class Study(NamedTuple):
    """A method, and label of a variant → what :meth:`Recipe.replace` changes. The first variant is the reference."""

    method: str
    variants: dict[str, dict[str, Any]]


STUDIES = {
    # What each ingredient of the baseline is worth: one is taken away, or exchanged for another, at a time.
    "baseline-ingredients": Study(
        "baseline",
        {
            "full": {},
            "without triplet loss": {"loss_weights": {"triplet": 0.0}},
            "without BNNeck": {"model": {"neck": False}},
            "average pooling instead of GeM": {"model": {"pool": "average"}},
            "one stem for both modalities": {"model": {"shared_from": 0}},
            "last stride 2": {"model": {"last_stride": 2}},
            "without random erasing": {"augmentation": {"erase": 0.0}},
            "without channel exchange": {"augmentation": {"exchange": 0.0}},
            "weighted triplet instead of batch hard": {"model": {"triplet": "weighted"}},
            "without label smoothing": {"model": {"label_smoothing": 0.0}},
        },
    ),
}


def get(name: str, *, dataset: str = "sysu", profile: str | None = None) -> dict[str, Recipe]:
    """The recipes of a study by variant; the first is the reference.

    Variants that change nothing are left out: the ``paper`` recipe of the baseline has no random erasing to remove.

    Args:
        name: a key of ``STUDIES``.
        dataset, profile: as in :func:`reidlib.recipes.get`.

    Raises:
        ValueError: an unknown study, or no recipe for the data set or profile; the message lists the known.
    """
    if name not in STUDIES:
        raise ValueError(f"unknown study {name!r}; choose one of: {', '.join(STUDIES)}")
    method, variants = STUDIES[name]
    reference = recipes.get(method, dataset=dataset, profile=profile)
    changed = {variant: reference.replace(**changes) for variant, changes in variants.items()}
    return {variant: recipe for variant, recipe in changed.items() if recipe != reference or not variants[variant]}
