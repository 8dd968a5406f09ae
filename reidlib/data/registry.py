"""The data sets reidlib can read, and how they are opened.

:func:`open` reads what is published, as it is published; `reidlib.data.opening` what is one's own. :func:`register`
makes a further reader known by name; an installed package offers one by an entry point of the group ``reidlib.data``,
whose name is that of the data set and which leads to a :class:`Reader`.
"""

import logging
from collections.abc import Sequence
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from reidlib import paths, profiles
from reidlib.console import spelling
from reidlib.data import cufsf, llcm, market_sketch, own, pku_sketch, places, qmul, regdb, sysu
from reidlib.data.dataset import Reader, ReIDDataset

if TYPE_CHECKING:
    from reidlib.twins import Truth  # noqa: F401 (for others, who do not import twins)

READERS: dict[str, Reader] = {
    "sysu": sysu.READER,
    "regdb": regdb.READER,
    "llcm": llcm.READER,
    "pku-sketch": pku_sketch.READER,
    "market-sketch-1k": market_sketch.READER,
    "cufsf": cufsf.READER,
    "shoe": qmul.SHOE,
    "chair": qmul.CHAIR,
}


GROUP = "reidlib.data"
_registered: dict[str, Reader] = {}
_offered = sorted(entry_points(group=GROUP), key=lambda entry: entry.name)  # of installed packages, not yet looked at
_logger = logging.getLogger("reidlib")


def names() -> tuple[str, ...]:
    """The names ``open`` accepts: the published data sets, then those registered."""
    return (*READERS, *registered())


def register(name: str, reader: Reader) -> Reader:
    """Make a reader known by a name, so that ``open``, recipes and the command line know it; returns it.

    One that is registered again, as by a notebook's cell that is run twice, takes the place of the one before.

    Raises:
        ValueError: the name is that of a published data set, or not lower-case letters, digits, ``-`` and ``_``.
        TypeError: not a :class:`Reader`.
    """
    if not isinstance(reader, Reader):
        raise TypeError(f"register takes a reidlib.data.Reader, not {reader!r}")
    own.named(name, reader.title, name, READERS)
    own.require_modalities(reader.modalities), own.require_shape(reader.shape)
    _registered[name] = reader
    return reader


def registered() -> dict[str, Reader]:
    """Name → reader, of those from outside this package."""
    while _offered:
        entry = _offered.pop(0)
        try:
            register(entry.name, entry.load())
        except Exception as error:  # whatever another package does wrong, this one goes on
            _logger.warning("the entry point %s = %s offers no reader: %s", entry.name, entry.value, error)
    return dict(_registered)


def find(name: str) -> Reader:
    """The reader of a data set that ``open`` knows; ``ValueError`` that lists the known for another name."""
    if name not in READERS and name not in registered():
        raise ValueError(f"unknown data set {name!r}; choose one of: {', '.join(names())}")
    return READERS[name] if name in READERS else _registered[name]


def title(name: str) -> str:
    """What tables and captions call a data set; one that is not known here, such as one's own, by its name."""
    return find(name).title if name in names() else name


def splits(name: str) -> Sequence[int]:
    """The numbers of the published splits; none for a data set of one's own."""
    return find(name).splits if name in names() else ()


def own_in_words(name: str, own_split: str | None) -> str:
    """What titles add where the data, or their split, are one's own; empty otherwise."""
    said = ["own data"] if is_own(name) else []
    said += [f"own split: {own_split}"] if own_split is not None else []
    return f" ({', '.join(said)})" if said else ""


def is_own(name: str) -> bool:
    """Whether a data set is none of those that this package knows as published."""
    return name not in READERS


def open(
    name: str, root: str | Path | None = None, twin: str | bool | None = None, split: int | None = None
) -> ReIDDataset:
    """Open a data set that lies on disk as its publishers ship it.

    Only folder listings and split files are read; no image is decoded.

    Args:
        name: one of ``names()``.
        root: folder of the data set; default ``$REIDLIB_DATA/<name>``. A missing folder is an error, never a twin.
        twin: name of a profile (``"cpu"``): open the synthetic twin of that size and build it first if it is absent;
            ``True``: the default profile of this machine; ``"cpu/development"``: the development twin, which trains on
            the images of the twin, and tests on people of whom no twin shows any. What is chosen is chosen there.
        split: number of the split, required for data sets that publish several; ``None`` for the others.

    Raises:
        ValueError: unknown name, profile or split; ``root`` and ``twin`` together; a tree whose content is wrong.
        FileNotFoundError: the root, a camera folder or a split file is missing.
    """
    folder = locate(name, root, twin, split)
    reader, manifest = find(name), _manifest(name, folder)
    if split is not None:
        split = reader.splits[reader.splits.index(split)]  # NumPy's 3 becomes 3, which file names and records can hold
    return ReIDDataset(
        name=name,
        root=folder,
        frame=reader.read(folder, split),
        reader=reader,
        split=split,
        is_twin=manifest is not None,
        twin_version=manifest and manifest["twin_version"],
        profile=manifest and manifest["profile"],
    )


def locate(name: str, root: str | Path | None = None, twin: str | bool | None = None, split: int | None = None) -> Path:
    """The folder that ``open`` reads for these arguments, built if it is a twin; its content is not looked at.

    Raises:
        ValueError: unknown name, profile or split; ``root`` and ``twin`` together.
        FileNotFoundError: there is no such folder.
    """
    require_split(name, split)
    if root is not None and twin:
        either = f"{spelling.argument('root')} (a tree on disk) or {spelling.argument('twin')} (a synthetic one)"
        raise ValueError(f"give either {either}, not both")
    return _twin_root(name, twin) if twin else _real_root(name, root)


def require_split(name: str, split: int | None) -> None:
    """Raise ``ValueError`` for an unknown data set, or a split that it does not have or needs."""
    splits = list(find(name).splits)
    if split is None and splits:
        raise ValueError(f"{name!r} has several splits: choose one with {spelling.argument('split')}, of {splits}")
    if split is not None and split not in splits:
        single = f"{spelling.either('None', 'none')}: this data set has a single split"
        use = f"one of {splits}" if splits else single
        raise ValueError(f"{spelling.argument('split', split)} is not possible for {name!r}; use {use}")


def open_available(name: str, profile: str | None = None, split: int | None = None) -> ReIDDataset:
    """For notebooks and commands: the licensed data set if there is ``$REIDLIB_DATA/<name>``, else its twin.

    This is the one place where a twin may stand in for real data, and only where no data was asked for by its root:
    ``dataset.is_twin`` and ``dataset.title`` say what was opened, and so does every figure.

    Args:
        profile: of the twin; default: that of this machine.
        name, split: as in :func:`open`, with its errors.

    Raises:
        FileNotFoundError: ``$REIDLIB_DATA`` is set and is no folder, or ``$REIDLIB_DATA/<name>`` is a link to nothing.
    """
    folder = paths.data_root(name)
    is_licensed = folder is not None and places.holds(folder)
    return open(name, split=split) if is_licensed else open(name, twin=profile or True, split=split)


def _real_root(name: str, root: str | Path | None) -> Path:
    folder = paths.data_root(name) if root is None else Path(root).expanduser()
    remedy = (
        f"Give {spelling.argument('root')} with the folder of the data set, or set REIDLIB_DATA to a folder that holds "
        f"{name!r}/. Without the licensed data, {spelling.argument('twin', 'cpu')} opens the synthetic twin. "
        f"data/README.md says how to obtain {name!r}."
    )
    if folder is None:
        raise FileNotFoundError(f"no root was given for {name!r} and REIDLIB_DATA is not set. {remedy}")
    return places.require_folder(folder, remedy, f"the folder of {name!r}")


def renderer() -> ModuleType:
    """`reidlib.twins`, imported when it is first needed: it is heavy, real trees do without it, and it knows nothing of
    the rest of the library. This is the only place that imports it."""
    from reidlib import twins

    return twins


def twin_version(name: str) -> str:
    """The version of the twin of a data set that this code renders."""
    return renderer().TWINS[name].VERSION


def _twin_root(name: str, twin: str | bool) -> Path:
    return renderer().ensure(name, profiles.get().name if twin is True else twin)


def _manifest(name: str, root: Path) -> dict | None:
    """The manifest of a twin; ``None`` for a real tree."""
    manifest = paths.read_manifest(root)
    if manifest is not None and manifest["dataset"] != name:
        raise ValueError(f"{root / paths.MANIFEST}: this is the twin of {manifest['dataset']!r}, not of {name!r}")
    return manifest
