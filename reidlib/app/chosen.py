"""Which data a command is about: a published set by its name, or one's own by ``--data``."""

import inspect
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import reidlib

if TYPE_CHECKING:
    from reidlib.data import ReIDDataset
    from reidlib.evaluation.protocols import Protocol
    from reidlib.training.runs import Run

KINDS = {"folder": "from_folders", "table": "from_table"}
LISTS = ("train", "test", "label")
DEFAULT = "sysu"
_TEXT = ("name", "title", "label", "shape", "cameras")


class Chosen:
    """The data set that ``--data``, ``--dataset``, ``--root`` and ``--twin`` name; nothing is opened yet.

    ``kind`` is ``"folder"`` or ``"table"`` where the data are one's own, ``place`` where these lie. ``lists`` are those
    of a split of one's own, if ``--data`` names such for a published set.

    Raises:
        ValueError: an unknown name of ``--data`` (the message lists the known), or options that contradict each other.
    """

    def __init__(
        self,
        data: Sequence[Sequence[str]],
        dataset: str | None,
        root: Path | None = None,
        twin: str | None = None,
        default: str = DEFAULT,
    ) -> None:
        self._given = _named(data)
        kinds = [kind for kind in KINDS if kind in self._given]
        self.kind, self.lists = kinds[0] if kinds else None, {} if kinds else self._given
        if len(kinds) > 1:
            raise ValueError("--data: give a folder or a table, not both")
        if self.kind:
            others = {"--dataset": dataset, "--root": root, "--twin": twin}
            if both := [option for option, value in others.items() if value is not None]:
                raise ValueError(f"--data {self.kind}=… is data of your own; leave {both[0]} out")
            _require_known(self._options, self._parameters[1:], f"--data {self.kind}=…")
        else:
            _require_known(self.lists, (*KINDS, *LISTS), "--data")
        self._published, self._place = dataset or default, {"root": root, "twin": twin}

    @property
    def place(self) -> Path | None:
        return Path(self._given[self.kind]).expanduser() if self.kind else None

    @cached_property
    def own(self) -> "ReIDDataset | None":
        """The data set of one's own; errors as of `reidlib.data.from_folders` and `reidlib.data.from_table`."""
        if self.kind is None:
            return None
        return self._function(**{self._parameters[0]: self._given[self.kind]}, **self._options)

    @property
    def name(self) -> str:
        return self._published if self.own is None else self.own.name

    @property
    def for_recipe(self) -> "str | ReIDDataset":
        """What `reidlib.methods.recipe` takes."""
        return self.name if self.own is None else self.own

    def rules(self, options: dict[str, Any]) -> "Protocol":
        """The protocol of these data, with options."""
        protocols = reidlib.evaluation.protocols
        return protocols.get(self.name, **options) if self.own is None else protocols.available(self.own, **options)

    @property
    def _function(self) -> Callable[..., "ReIDDataset"]:
        return getattr(reidlib.data, KINDS[self.kind])

    @property
    def _parameters(self) -> list[str]:
        return list(inspect.signature(self._function).parameters)

    @property
    def _options(self) -> dict[str, Any]:
        return {name: value for name, value in self._given.items() if name not in KINDS}

    def split(self, split: int | None) -> int | None:
        """The number of the split to open: under one's own lists any, since its images are those of all."""
        is_free = self.lists and split is None
        return next(iter(reidlib.data.registry.splits(self.name)), None) if is_free else split

    def images(self, profile: str, split: int | None = None) -> "ReIDDataset":
        """The data set: what is one's own, the data at the root, the twin that was asked for, or what is available.

        Profile ``paper`` has no twin.
        """
        if self.own is not None:
            if split is not None:
                raise ValueError(f"--split {split}: data of your own have no numbered splits; --data seed=… draws them")
            return self.own
        data = reidlib.data
        split = self.split(split)
        if all(value is None for value in self._place.values()) and profile != "paper":
            opened = data.open_available(self.name, profile, split)
        else:
            opened = data.open(self.name, **self._place, split=split)
        return data.own_split(opened, **self.lists) if self.lists else opened


def of_run(
    run: "Run",
    data: Sequence[Sequence[str]],
    dataset: str | None = None,
    root: Path | None = None,
    twin: str | None = None,
    split: int | None = None,
) -> "tuple[Chosen, Callable[[], ReIDDataset]]":
    """The data that a run is asked about: those it was trained on, unless others are named; and what opens them.

    Raises:
        ValueError: it was trained on data of one's own, or under a split of one's own, and nothing says where they lie.
    """
    trained = run.environment["dataset"]
    chosen = Chosen(data, dataset, root, twin, default=trained["name"])
    is_same_set = chosen.kind is None and chosen.name == trained["name"]
    if is_same_set and not data and dataset is None:
        _require_published(trained)
    if is_same_set and root is None and twin is None and trained["is_twin"]:
        chosen = Chosen(data, dataset, root, trained["profile"], default=trained["name"])
    split = split or (trained["split"] if is_same_set else None)
    # of the set that it was trained on, what is real is never replaced by a twin
    return chosen, partial(chosen.images, "paper" if is_same_set and root is None else run.recipe.profile, split)


def _require_published(trained: dict) -> None:
    """Raise ``ValueError`` for data of one's own: a run does not say where they lie."""
    if trained["name"] not in reidlib.data.names():
        raise ValueError(f"the run was trained on data of your own, {trained['name']!r}: --data folder=… says where")
    if trained.get("own_split") is not None:
        raise ValueError(
            f"the run was trained under a split of your own ({trained['own_split']}): give its lists (--data train=… "
            "test=…), or name the data set (--dataset) for a published one"
        )


def _named(data: Sequence[Sequence[str]]) -> dict[str, Any]:
    from reidlib.app.changes import named

    given = named(data)
    for name in given.keys() & {*KINDS, *_TEXT, "root"}:
        given[name] = str(given[name])
    for name in given.keys() & {"modalities", "train", "test"}:
        value = given[name] if isinstance(given[name], list) else str(given[name]).split(",")
        given[name] = [str(each).strip() for each in value]
    return given


def _require_known(given: dict[str, Any], known: Sequence[str], where: str) -> None:
    for name in given:
        if name not in known:
            nearest = get_close_matches(name, known, 1)
            hint = f"; did you mean {nearest[0]}?" if nearest else ""
            raise ValueError(f"{where}: there is no {name!r}; choose from: {', '.join(known)}{hint}")
