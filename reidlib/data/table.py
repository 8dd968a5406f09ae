"""A table of one's own as a data set: a line an image, with the columns ``path``, ``pid``, ``modality`` and more."""

import csv
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from pathlib import Path, PureWindowsPath

import numpy as np
import pandas as pd

from reidlib import paths
from reidlib.console.spelling import argument
from reidlib.data import own, tree
from reidlib.data.dataset import SPLITS, Reader, ReIDDataset
from reidlib.data.divisions import Division
from reidlib.data.own import Picture
from reidlib.data.report import Problem

COLUMNS, OPTIONAL = ("path", "pid", "modality"), ("camid", "split")
_MOST_BYTES = 1 << 29
_MOST_COLUMNS = 1000
_EXPECTED = f"columns: {', '.join(COLUMNS)}, and if there is such a thing {', '.join(OPTIONAL)}"
_NO_TABLE = (".xlsx", ".xls", ".ods", ".numbers")

Line = tuple[str, dict[str, str]]
"""Where a line is written, and its values."""


@dataclass(frozen=True)
class Table:
    """How a table is read: the file, or the lines of a ``DataFrame``; its modalities and its division."""

    source: Path | tuple[Line, ...]
    modalities: tuple[str, str]
    division: Division


def reader(table: Table, title: str, shape: str) -> Reader:
    """The reader of a table, for :class:`ReIDDataset`."""
    return own.reader(title, table.modalities, shape, partial(read, table), check)


def read(table: Table, root: Path, split: None = None) -> pd.DataFrame:
    """The frame of a table, in its order."""
    return _read(table, root)[0]


def _read(table: Table, root: Path) -> tuple[pd.DataFrame, str]:
    frame, label = own.frame_of(pictures(table, root), root, table.division, in_order=True)
    return frame, "column split" if label == "as given" else label


def open_table(root: Path, table: Table, name: str, title: str, shape: str) -> ReIDDataset:
    """The data set that a table is read as; see :func:`reidlib.data.from_table`."""
    frame, label = _read(table, root)
    return ReIDDataset(name, root, frame, reader(table, title, shape), own_split=label)


def check(dataset: ReIDDataset) -> list[Problem]:
    """Nothing beyond what every data set is checked for: a table says itself what belongs to it."""
    return []


def pictures(table: Table, root: Path) -> list[Picture]:
    """The pictures of a table, each checked.

    Raises:
        ValueError: what is wrong, with file and line.
        FileNotFoundError: the table, or an image that it lists, is missing.
    """
    lines = list(_of_file(table.source) if isinstance(table.source, Path) else table.source)
    if not lines:
        raise ValueError(f"{_name(table)} holds no line; it must have one an image, and columns {', '.join(COLUMNS)}")
    _require_columns(_name(table), list(lines[0][1]))
    found, seen = [], {}
    for where, values in lines:
        path = _inside(values["path"], where, root)
        if path in seen:
            raise ValueError(f"{where}: {path} is listed twice (first {seen[path]}); keep one of the lines")
        seen[path] = where
        identity, split = values["pid"].strip(), (values.get("split") or "").strip().lower() or None
        if not identity:
            raise ValueError(f"{where}: pid is empty; give every image an identity, a number or a name")
        if split not in (None, *SPLITS):
            raise ValueError(f"{where}: split {values['split']!r} must be one of {SPLITS}, or the column be left out")
        camera = (values.get("camid") or "").strip() or None
        modality = _modality(values["modality"], where, table.modalities)
        found.append(Picture(path, identity, modality, camera, split, where))
    _require_there(found, root)
    return found


def lines_of(frame: pd.DataFrame) -> tuple[Line, ...]:
    """The lines of a ``DataFrame``, as text."""
    names = [str(name).strip().lower() for name in frame.columns]
    rows = zip(*(map(_as_text, frame[name].tolist()) for name in frame.columns), strict=True) if len(names) else ()
    places = (f"row {number} of the table" for number in range(len(frame)))
    return tuple((where, dict(zip(names, row, strict=True))) for where, row in zip(places, rows, strict=True))


def _as_text(value: object) -> str:
    if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer():  # pandas makes whole numbers of a column with gaps into these
        return str(int(value))
    return os.fspath(value) if isinstance(value, os.PathLike) else str(value)


def _name(table: Table) -> str:
    return str(table.source) if isinstance(table.source, Path) else "the table"


def _of_file(file: Path) -> Iterator[Line]:
    """The lines of a CSV file with commas, semicolons or tabs, in UTF-8 or as Excel writes Unicode text."""
    if not file.is_file():
        raise FileNotFoundError(f"there is no table {file}")
    content = paths.read_bounded(file, _MOST_BYTES)
    if file.suffix.lower() in _NO_TABLE or content.startswith(b"PK\x03\x04"):
        raise ValueError(f"{file} is a workbook; save it as 'CSV UTF-8' and give that file")
    text = tree.as_text(file, content)
    first, _, rest = text.lstrip("\n").partition("\n")
    separator = ""
    if first.lower().startswith("sep=") and len(first.strip()) == 5:  # for Excel
        separator, text = first.strip()[4], rest
        first = rest.partition("\n")[0]
    skipped = tree.as_text(file, content).count("\n") - text.count("\n")
    separator = separator or max(",;\t|", key=first.count)
    rows = csv.reader(text.split("\n"), delimiter=separator, strict=True)
    names: list[str] | None = None
    try:
        for row in rows:
            if not any(value.strip() for value in row):
                continue
            where = f"{file}, line {rows.line_num + skipped}"
            if names is None:
                names = [name.strip().lower() for name in row]
                if len(names) > _MOST_COLUMNS:
                    raise ValueError(f"{where}: {len(names):,} columns are no heading of a table; {_EXPECTED}")
                if twice := [name for name in names if name and names.count(name) > 1]:
                    raise ValueError(f"{where}: two columns are called {twice[0][:80]!r}; rename one")
                _require_columns(str(file), names)
                continue
            if len(row) != len(names):
                fix = f"put text that holds {separator!r} in quotes"
                raise ValueError(f"{where}: {len(row)} values in {len(names)} columns; {fix}")
            yield where, dict(zip(names, row, strict=True))
    except csv.Error as error:
        where = f"{file}, line {rows.line_num + skipped}"
        raise ValueError(f"{where}: {error}; save the table as 'CSV UTF-8' again") from error


def _require_columns(name: str, columns: Sequence[str]) -> None:
    if missing := [column for column in COLUMNS if column not in columns]:
        columns = [column[:80] for column in columns]
        shown = ", ".join(map(repr, columns[:12])) + (" …" if len(columns) > 12 else "")
        close = {column: get_close_matches(column, columns, 1, 0.5) for column in missing}
        hints = "".join(f"; is {found[0]!r} meant to be {column!r}?" for column, found in close.items() if found)
        raise ValueError(
            f"{name} lacks the column(s) {', '.join(missing)}; it has {shown or 'none'}{hints} ({_EXPECTED})"
        )


def _modality(value: str, where: str, modalities: tuple[str, str]) -> int:
    value = own.plain(value)
    names = [own.plain(name).lower() for name in modalities]
    if value.lower() in names:
        return names.index(value.lower())
    if value in ("0", "1"):
        return int(value)
    raise ValueError(
        f"{where}: modality {value!r} must be 0 or 1, or one of {modalities}; other names are given as "
        f"{argument('modalities', of='data')}, that of 0 first"
    )


def _inside(value: str, where: str, root: Path) -> str:
    """A path as the frame holds it: relative to the root, with slashes."""
    text = value.strip()
    if not text:
        raise ValueError(f"{where}: path is empty")
    if "\\" in text and "/" not in text and not (root / text).is_file():
        text = text.replace("\\", "/")
    if PureWindowsPath(text).drive or Path(text).is_absolute():
        for place in (root.absolute(), root.resolve()):
            if Path(text).is_relative_to(place):
                text = Path(text).relative_to(place).as_posix()
                break
        else:
            raise ValueError(
                f"{where}: {value!r} does not lie below {root}; write paths relative to that folder, or give another "
                f"{argument('root', of='data')}"
            )
    parts = [part for part in text.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise ValueError(f"{where}: {value!r} leads out of folders with '..'; write the path below {root} itself")
    return "/".join(parts)


def _require_there(found: Sequence[Picture], root: Path) -> None:
    """Raise for files that are not there, or that links make of files outside the root."""
    missing = [picture for picture in found if not (root / picture.path).is_file()]
    if missing:
        several = f" ({len(missing)} of {len(found)} images are missing)" if len(missing) > 1 else ""
        hint = (
            f"; paths are looked for below {argument('root', str(root), of='data')}"
            if len(missing) == len(found)
            else ""
        )
        raise FileNotFoundError(f"{missing[0].where}: there is no file {root / missing[0].path}{several}{hint}")
    inside = root.resolve()
    for picture in found:
        first = (root / picture.path.partition("/")[0]).resolve()  # such a folder may be linked into the root
        real = (root / picture.path).resolve()
        if not (real.is_relative_to(inside) or (first.is_dir() and real.is_relative_to(first))):
            raise ValueError(f"{picture.where}: {picture.path} is a link that leaves {root}; copy the file there")
