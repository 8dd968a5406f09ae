"""The methods there are: those in the folders beside this file, those of installed packages, those registered by hand.

An installed package offers a method by an entry point of the group ``reidlib.methods``, which leads to a
:class:`Method` or to a module with one called ``METHOD``.
"""

import inspect
import logging
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

from reidlib import profiles
from reidlib.data import ReIDDataset
from reidlib.data import names as names_of_data
from reidlib.data.registry import READERS, find
from reidlib.methods import sizes
from reidlib.methods.method import Method
from reidlib.methods.recipes import Recipe
from reidlib.networks import ReIDModel, weights

GROUP = "reidlib.methods"
_registered: dict[str, Method] = {}
_own: set[str] = set()  # names of this package's methods: nobody else can take them
_loading = threading.RLock()
_logger = logging.getLogger("reidlib")


def register(method: Method) -> Method:
    """Make a method known, with its controls; returns it.

    From then on recipes, ``fit``, ``evaluate``, sweeps, ledger, comparisons, the command line and tables know it. A
    method that is registered again, as by a notebook's cell that is run twice, takes the place of the one before.

    Raises:
        ValueError: the name is that of a method of this package, or one of its studies, claims or measures has a name
            that another method uses; nothing is registered then.
        TypeError: not a ``Method``.
    """
    if not isinstance(method, Method):
        raise TypeError(f"register takes a reidlib.methods.Method, not {method!r}")
    _load()
    added = {each.name: each for each in (method, *method.controls)}
    if taken := sorted(added.keys() & _own):
        raise ValueError(f"{taken[0]!r} is a method of reidlib itself; choose another name")
    _require_new_names(added)
    _registered.update(added)
    return method


def names() -> tuple[str, ...]:
    """All methods by name, in the order of their lessons, then of their registration."""
    return tuple(registered())


def registered(*, controls: bool = True) -> dict[str, Method]:
    """Name → method, in the order of :func:`names`; without those that only exist for comparisons, if asked."""
    _load()
    only = {each.name for method in _registered.values() for each in method.controls}
    return {name: method for name, method in _registered.items() if controls or name not in only}


def get(name: str) -> Method:
    """The method called ``name``.

    Raises:
        ValueError: there is none; the message lists the known ones.
    """
    _load()
    if name not in _registered:
        raise ValueError(f"unknown method {name!r}; choose one of: {', '.join(_registered)}")
    return _registered[name]


def reference() -> Method:
    """The method that the others are compared with: the baseline."""
    return next(method for method in registered().values() if method.is_reference)


def parts(what: str) -> Iterator[tuple[Method, Any]]:
    """Every method with its ``studies``, ``claims``, ``measures`` or ``plans``; those that have none are left out."""
    for method in registered().values():
        if value := method.part(what):
            yield method, value


def recipe(
    method: str, *, dataset: str | ReIDDataset = "sysu", profile: str | None = None, shape: str | None = None
) -> Recipe:
    """The recipe of a method on a data set: what the profile sets for all methods and, on top, what the method changes.

    Args:
        method: its name.
        dataset: the name of a published data set that it has a recipe for, or a data set. One of one's own gets the
            recipe of its shape, and batches of no more identities than there are to train on.
        profile: see :mod:`reidlib.profiles`; ``None`` for the default of this machine.
        shape: of the images of a data set of one's own, if that is given by its name.

    Raises:
        ValueError: an unknown method, data set or profile; the message lists the known.
    """
    size, known = profiles.get(profile), get(method)
    opened = None if isinstance(dataset, str) else dataset
    name = dataset if opened is None else opened.name
    if name in READERS or (opened is None and shape is None and name not in names_of_data()):
        changes, shape = known.recipes.get(name), None
    else:
        shape = shape or (find(name) if opened is None else opened.reader).shape
        size.size(shape)  # refuses an unknown one
        changes = _for_shape(known, shape)
    if changes is None:
        there = [*known.recipes, *(f"any of shape {each}" for each in known.shapes)]
        raise ValueError(
            f"there is no recipe for method {method!r} on data set {name!r}; it has one for: {', '.join(there)} "
            "(for one of your own, give the data set itself)"
        )
    settings = {**sizes.defaults(name, size, shape), **changes.get("all", {}), **changes.get(size.name, {})}
    made = Recipe(method=method, dataset=name, profile=size.name, shape=shape, **settings)
    return made if opened is None or shape is None else sizes.fitted(made, opened)


def _for_shape(method: Method, shape: str) -> Mapping[str, Mapping[str, Any]] | None:
    """What a method changes on any data set of a shape."""
    alike = (changes for name, changes in method.recipes.items() if name in READERS and READERS[name].shape == shape)
    return method.shapes.get(shape) or next(alike, None)


def build(name: str, *, num_ids: int, backbone: str = "small", **options: object) -> ReIDModel:
    """Build the network of a method.

    Args:
        name: of the method.
        num_ids: number of training identities, at least 1.
        backbone: ``tiny`` (for tests), ``small`` (CPU), or another of :func:`reidlib.networks.trunks.names`.
        options: of the model's class, by name, such as ``weights="imagenet"``; ``weights=None`` is one that all take.

    Raises:
        ValueError: an unknown name, option or value; the message lists the known ones.
        FileNotFoundError: ImageNet weights are asked for and cannot be had, or a file of weights is not there.

    >>> build("baseline", num_ids=395, shared_from=0).branches
    ('shared',)
    """
    model = get(name).model
    if isinstance(num_ids, bool) or not hasattr(num_ids, "__index__") or num_ids < 1:
        raise ValueError(f"num_ids must be an integer of at least 1, not {num_ids!r}")
    known = model_options(name).keys()
    if options.get("weights", 0) is None and "weights" not in known:
        del options["weights"]
    if unknown := sorted(options.keys() - known):
        raise ValueError(f"{name} has no option {unknown[0]!r}; choose from: {', '.join(sorted(known))}")
    built = model(int(num_ids), backbone, **options)
    if isinstance(options.get("weights"), str | Path):
        options["weights"] = weights.identity(options["weights"], backbone)  # where a file lay does not matter
    built.arguments = {"name": name, "num_ids": int(num_ids), "backbone": backbone, **options}
    return built


def model_options(name: str) -> dict[str, object]:
    """The options of a method's model and their defaults; ``**options`` of a class are those of the class above it."""
    found: dict[str, object] = {}
    for kind in get(name).model.__mro__:
        if "__init__" not in vars(kind):
            continue
        parameters = inspect.signature(kind.__init__).parameters.values()
        for each in parameters:
            if each.kind in (each.KEYWORD_ONLY, each.POSITIONAL_OR_KEYWORD):
                found.setdefault(each.name, each.default)
        if all(each.kind != each.VAR_KEYWORD for each in parameters):
            break
    return {option: default for option, default in found.items() if option not in ("self", "num_ids", "backbone")}


def as_sent(name: str) -> Method | None:
    """What another process needs to train a method: nothing if it is this package's, else all but what reads rows."""
    if name in _own:
        return None
    return replace(get(name), studies={}, claims=(), plans=None, plots=None, comparison=None, controls=())


def _load() -> None:
    """Find the methods of this package, then those of installed ones, once."""
    with _loading:
        if _own:
            return
        folders = [each.name for each in iter_modules([str(Path(__file__).parent)]) if each.ispkg]
        found = [import_module(f"{GROUP}.{name}").METHOD for name in folders]
        for method in sorted(found, key=lambda method: method.lesson):
            _registered.update({each.name: each for each in (method, *method.controls)})
        _own.update(_registered)
        for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
            try:
                loaded = entry.load()
                register(getattr(loaded, "METHOD", loaded))
            except Exception as error:  # whatever another package does wrong, this one goes on
                _logger.warning("the entry point %s = %s offers no method: %s", entry.name, entry.value, error)


def _require_new_names(added: Mapping[str, Method]) -> None:
    """Refuse studies, claims and measures that would hide those of another method."""
    others = [method for name, method in _registered.items() if name not in added]
    for what in ("studies", "measures", "claims"):
        taken = {name: other.name for other in others for name in _part_names(other, what)}
        for method in added.values():
            for name in _part_names(method, what):
                if name in taken:
                    raise ValueError(f"{method.name}: {name!r} of its {what} is one of {taken[name]!r}; rename it")
                taken[name] = method.name


def _part_names(method: Method, what: str) -> list[str]:
    return [getattr(each, "name", each) for each in method.part(what)]
