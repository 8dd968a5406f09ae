"""What a study is."""

from typing import Any, NamedTuple


class Study(NamedTuple):
    """A method, and label of a variant → what :meth:`Recipe.replace` changes. The first variant is the reference.

    A variant may be of another method: ``{"method": "baseline", "epochs": 20}`` changes the recipe of that one. It may
    be trained longer: ``{"time": 1.2}``, see :func:`reidlib.comparison.equal_wall_clock`. And what a change must read
    from the recipe itself is a function of it: ``{"recipe": lambda recipe: recipe.replace(images=2 * recipe.images)}``.
    ``measures`` are keys of :data:`reidlib.measures.MEASURES`; a sweep takes them on every run of the study.
    """

    method: str
    variants: dict[str, dict[str, Any]]
    measures: tuple[str, ...] = ()
