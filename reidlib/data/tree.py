"""Reading folders and small files of a data set that somebody else packed."""

import codecs
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from reidlib import paths
from reidlib.data import marks, matlab
from reidlib.data.report import Problem

_JUNK = {"thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "@eadir", "$recycle.bin"}
MAX_ID = 9999  # identity folders have four digits
_MOST_IDS = 10 * MAX_ID  # in a list, repeats included


def entries(folder: Path) -> list[os.DirEntry]:
    """The entries of a folder, sorted by name, without what operating systems leave behind (``Thumbs.db``, ``._*``)."""
    with os.scandir(folder) as listing:
        found = [entry for entry in listing if not entry.name.startswith(".") and entry.name.lower() not in _JUNK]
    return sorted(found, key=lambda entry: entry.name)


def require_folders(root: Path, names: Sequence[str], expected: str, of: str) -> None:
    """Raise ``FileNotFoundError`` unless every folder is there; the message shows the ``expected`` tree.

    It also says so if the tree of the data set ``of`` seems to lie deeper, as archives like to unpack, or if this seems
    to be that of another one.
    """
    if missing := [name for name in names if not (root / name).is_dir()]:
        raise FileNotFoundError(f"{root} lacks {', '.join(missing)}; {marks.hint(of, root)}expected tree:\n{expected}")


def refuse_outside(entry: os.DirEntry, folder: Path) -> None:
    """Raise ``ValueError`` if ``entry`` is a link that leads out of ``folder``, or in a circle."""
    if not entry.is_symlink():
        return
    try:
        target = Path(entry.path).resolve()
    except (OSError, RuntimeError) as error:  # a circle, before Python 3.13
        raise ValueError(f"{entry.path} is a link that leads in a circle; remove it or copy the file there") from error
    if not target.is_relative_to(folder.resolve()):
        raise ValueError(
            f"{entry.path} is a link that leaves {folder}; copy the files there, or link the whole folder instead"
        )


def inside(root: Path, folder: str, within: Path | None = None) -> Iterator[tuple[os.DirEntry, str]]:
    """The `entries` of ``root / folder`` and their paths relative to the root.

    Links must stay inside ``within``, by default the folder itself; see `refuse_outside`.
    """
    for entry in entries(root / folder):
        refuse_outside(entry, within or root / folder)
        yield entry, f"{folder}/{entry.name}"


def identity_images(
    root: Path, folder: str, digits: str, within: Path, strays: list[str]
) -> Iterator[tuple[int, os.DirEntry, str]]:
    """Identity, entry and path of what lies in the identity folders of ``root / folder``, whose names match ``digits``.

    Paths of what is no identity folder are added to ``strays``. Links must stay inside ``within``.
    """
    for identity, path in inside(root, folder, within):
        if re.fullmatch(digits, identity.name) and identity.is_dir():
            yield from ((int(identity.name), *image) for image in inside(root, path, within))
        else:
            strays.append(path)


def read_text(path: Path) -> str:
    """The text of a small file, without a byte-order mark; ``ValueError`` if it is none, or large."""
    try:
        return paths.read_bounded(path).decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not plain text: {error}") from error


def as_text(path: Path, content: bytes) -> str:
    """The text that a program of a user's own wrote: UTF-8, or what Excel calls Unicode (UTF-16 with its mark).

    Raises:
        ValueError: it is neither; the message names the file.
    """
    is_wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = content.decode("utf-16" if is_wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not in UTF-8 ({error}); save it as 'CSV UTF-8' or as text in UTF-8") from error
    if "\0" in text:
        raise ValueError(f"{path} is no text; save it as 'CSV UTF-8' or as text in UTF-8")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_ids(stem: Path, expected: str) -> list[int]:
    """Read the identity numbers in ``<stem>.txt``, or in variable ``id`` of ``<stem>.mat`` if there is no text file.

    The text is one line of comma-separated numbers; Windows line ends, blank lines, spaces and a byte-order mark are
    accepted. Numbers come back as written: in order, with repeats.

    Raises:
        FileNotFoundError: neither file exists; the message shows the ``expected`` tree.
        ValueError: the file holds no number, or something that is not an identity number (1 to 9999), or far more
            numbers than there can be identities.
    """
    text, matlab = stem.with_suffix(".txt"), stem.with_suffix(".mat")
    if text.is_file():
        path, words = text, [word for word in re.split(r"[,\s]+", read_text(text)) if word]
    elif matlab.is_file():
        path, words = matlab, [f"{value:g}" for value in np.ravel(_read_numbers(matlab, "id"))]
    else:
        raise FileNotFoundError(f"{text} is missing (and so is {matlab.name}); expected tree:\n{expected}")
    if len(words) > _MOST_IDS:
        raise ValueError(f"{path} holds {len(words):,} numbers; identities are {MAX_ID:,} at most: take the right list")
    for word in words:
        if not re.fullmatch("[0-9]{1,4}", word) or int(word) == 0:
            raise ValueError(f"{path}: {word[:40]!r} is not an identity number (1 to {MAX_ID})")
    if not words:
        raise ValueError(f"{path} is empty; it must hold identity numbers separated by commas")
    return [int(word) for word in words]


def check_ids(where: str, pids: list[int], present: set[int]) -> list[Problem]:
    """A list of identities, as `read_ids` gives it, against those that have images."""
    problems = []
    if absent := sorted(set(pids) - present):
        problems.append(Problem("warning", where, f"listed, but without any image: {absent}", "complete the tree"))
    if repeated := repeats(pids):
        problems.append(Problem("warning", where, f"listed more than once: {repeated}", "clean the list"))
    return problems


def repeats(numbers: Iterable[int]) -> list[int]:
    """The numbers that occur more than once, ascending."""
    return sorted(number for number, count in Counter(numbers).items() if count > 1)


def _read_numbers(path: Path, variable: str) -> np.ndarray:
    values = matlab.read(path, variable)
    if values.dtype == object:
        raise ValueError(f"{path}: variable {variable!r} must hold numbers, not cells")
    return values
