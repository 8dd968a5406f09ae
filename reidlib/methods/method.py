"""What a method is to the rest of the library: one object, made in the method's own folder or outside this package."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pkgutil import resolve_name
from typing import Any

from reidlib.methods.study import Study
from reidlib.networks import ReIDModel

Changes = Mapping[str, Any]
NAME = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*")  # it becomes a folder of runs and a word of the command line


@dataclass(frozen=True)
class Method:
    """A method: its network, how it is trained, and what is asked about it.

    Only the first four are needed to train, evaluate, sweep and compare it. Studies, claims, measures and plans are
    given as values, or as the place where they are found, ``"package.module:NAME"``, which is imported when it is first
    asked for: so a method can be trained without what its figures need.

    Args:
        name: in recipes, run folders, the ledger and the command line: lower-case letters, digits, ``-`` and ``_``.
        title: in tables and figures, as its authors write it.
        model: a subclass of :class:`reidlib.networks.ReIDModel`, called as ``model(num_ids, backbone, **options)``.
        recipes: data set → profile → fields of :class:`reidlib.methods.Recipe` that differ from what the profile sets;
            profile ``"all"`` stands for every profile, and ``loss_weights`` must be among its fields.
        shapes: the same for data sets of one's own: shape of the images (``"person"``, ``"square"``, ``"face"``) →
            profile → fields; where a shape is missing, the recipe of the first data set here that has this shape.
        studies: name → :class:`reidlib.methods.Study`.
        claims: a tuple of :class:`reidlib.experiments.claims.Claim`.
        measures: name → function of a run and its data set that returns numbers by name.
        plans: its part of the grid of ablations, :class:`reidlib.experiments.planned.Plans`.
        plots: the module whose import registers its figures.
        comparison: the study that compares it with others in the benchmark; ``None``: the recipe alone.
        lengths: the study that trains it and the reference as long as others, and three times as long.
        colour: in every figure, as ``"#RRGGBB"``; ``None``: one that is left over.
        lesson: the notebook about it; methods are listed in the order of their lessons, then in that of registration.
        controls: methods that exist for comparisons with this one, registered with it.
        is_reference: whether the others are compared with it: one method is the baseline.

    Raises:
        ValueError: a name that cannot be a folder, a model that is no ``ReIDModel``, recipes of another shape.
    """

    name: str
    title: str
    model: type[ReIDModel]
    recipes: Mapping[str, Mapping[str, Changes]]
    shapes: Mapping[str, Mapping[str, Changes]] = field(default_factory=dict)
    studies: Mapping[str, Study] | str = field(default_factory=dict)
    claims: tuple[Any, ...] | str = ()
    measures: Mapping[str, Callable[..., dict[str, float]]] | str = field(default_factory=dict)
    plans: Any | str | None = None
    plots: str | None = None
    comparison: str | None = None
    lengths: str | None = None
    colour: str | None = None
    lesson: str | None = None
    controls: "tuple[Method, ...]" = ()
    is_reference: bool = False

    def __post_init__(self) -> None:
        if not (isinstance(self.name, str) and NAME.fullmatch(self.name)):
            raise ValueError(
                f"a method's name is lower-case letters and digits, with - or _ between, not {self.name!r}"
            )
        if not (isinstance(self.title, str) and self.title.strip() and self.title.isprintable()):
            raise ValueError(f"method {self.name!r}: title must be one printable line, not {self.title!r}")
        if not (isinstance(self.model, type) and issubclass(self.model, ReIDModel)):
            raise ValueError(f"method {self.name!r}: model must be a subclass of ReIDModel, not {self.model!r}")
        for what, kind in (("recipes", "data set"), ("shapes", "shape")):
            if not isinstance(known := getattr(self, what), Mapping):
                raise ValueError(f"method {self.name!r}: {what} must be a dictionary by {kind}, not {known!r}")
            for name, profiles in known.items():
                if not (isinstance(profiles, Mapping) and all(isinstance(each, Mapping) for each in profiles.values())):
                    raise ValueError(f'method {self.name!r}: {what}[{name!r}] must be fields by profile or "all"')

    def part(self, name: str) -> Any:
        """Its ``studies``, ``claims``, ``measures`` or ``plans``, imported if need be."""
        value = getattr(self, name)
        return resolve_name(value) if isinstance(value, str) else value


def in_folder(package: str, **fields: Any) -> Method:
    """The method that a folder holds: what its ``studies``, ``claims``, ``measures`` and ``plots`` modules offer.

    Args:
        package: ``__name__`` of the folder; ``studies.py`` holds ``STUDIES`` and ``PLANS``, ``claims.py`` holds
            ``CLAIMS``, ``measures.py`` holds ``MEASURES``, as far as they are there.
        fields: of :class:`Method`.
    """
    places = {"studies": "studies:STUDIES", "plans": "studies:PLANS", "claims": "claims:CLAIMS"}
    places |= {"measures": "measures:MEASURES", "plots": "plots"}
    there = {name: place for name, place in places.items() if find_spec(f"{package}.{place.split(':')[0]}")}
    return Method(**{name: f"{package}.{place}" for name, place in there.items()} | fields)
