"""Lists of images as RegDB and LLCM ship them: on each line a path, a blank, a label."""

import re
from pathlib import Path
from typing import NamedTuple

from reidlib.data import tree

IMAGE_SUFFIX = r"\.(?i:jpg|jpeg|png|bmp)"


class Listed(NamedTuple):
    """One line: ``path`` relative to the root, the identity ``pid`` that the path names, and the ``label`` beside it.

    Labels number the identities of one list for a classifier; the same number means another person in another list.
    """

    path: str
    pid: int
    label: int


def read_images(file: Path, pattern: re.Pattern[str], example: str, expected: str) -> list[Listed]:
    """Read a list, in its order; Windows line ends, blank lines, more blanks and a byte-order mark are accepted.

    Args:
        pattern: what a whole path must look like, with the identity as group ``pid``. It is what keeps paths inside
            the root: it must leave no room for ``..``, a leading slash, a drive or a backslash.
        example, expected: a right path and the tree, for messages.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a line is not of this form, a path is listed twice, or there is no line; the message names both.
    """
    if not file.is_file():
        raise FileNotFoundError(f"{file} is missing; expected tree:\n{expected}")
    listed: dict[str, Listed] = {}
    for number, line in enumerate(tree.read_text(file).splitlines(), start=1):
        if not line.strip():
            continue
        where, (path, *rest) = f"{file}, line {number}", line.split()
        if (match := pattern.fullmatch(path)) is None:
            raise ValueError(f"{where}: {path[:80]!r} is no path of an image in this list, like {example!r}")
        if len(rest) != 1 or not re.fullmatch("[0-9]{1,6}", rest[0]):
            raise ValueError(f"{where}: the path must be followed by one label, a whole number, not {rest!r:.80}")
        if path in listed:
            raise ValueError(f"{where}: {path} is listed twice")
        listed[path] = Listed(path, int(match["pid"]), int(rest[0]))
    if not listed:
        raise ValueError(f"{file} is empty; it must hold lines like {example + ' 0'!r}")
    return list(listed.values())


def require_labels(listed: list[Listed], where: str) -> None:
    """Raise ``ValueError`` unless the labels number the identities 0, 1, 2 …, one label an identity."""
    count = len({line.pid for line in listed})
    label_of, pid_of = {}, {}
    for path, pid, label in listed:
        if label >= count:
            message = f"label {label} is out of range: {count} identities, 0 … {count - 1}"
        elif label_of.setdefault(pid, label) != label:
            message = f"identity {pid} is labelled {label} here and {label_of[pid]} elsewhere"
        elif pid_of.setdefault(label, pid) != pid:
            message = f"label {label} stands for identity {pid} here and {pid_of[label]} elsewhere"
        else:
            continue
        raise ValueError(f"{where}: {path}: {message}; take the list again from where it was published")
