"""Who trains and who is tested, where no publisher says so: lists of one's own, or a seeded draw of identities."""

import hashlib
import os
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import pandas as pd

from reidlib import paths
from reidlib.console.spelling import argument
from reidlib.data import tree
from reidlib.data.dataset import ReIDDataset

Names = str | os.PathLike | Iterable[str | int]
"""A file, or the names themselves."""
_MOST_BYTES = 1 << 26
_SUFFIXES = (".txt", ".csv", ".lst")
_LABEL = re.compile(r"(.*\S)\s+[0-9]{1,6}")  # a path and a class, as RegDB's lists have them


@dataclass(frozen=True)
class Division:
    """How identities are divided into training and test.

    Args:
        train, test: lists of identities or of images, see :func:`own_split`; with one of them alone, all others make
            the other part. With none, identities are drawn.
        test_share: share of the identities with both modalities that is tested, 0 to 1, where they are drawn.
        seed: of the draw.
    """

    train: tuple[Names, ...] = ()
    test: tuple[Names, ...] = ()
    test_share: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        share = self.test_share
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
            raise ValueError(f"{argument('test_share', of='data')} must be a share from 0 to 1, not {share!r}")
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or self.seed < 0:
            raise ValueError(f"{argument('seed', of='data')} must be a whole number from 0, not {self.seed!r}")
        for part in ("train", "test"):
            object.__setattr__(self, part, _several(getattr(self, part)))

    @property
    def label(self) -> str:
        """In a few words, for titles and the ledger."""
        if not (self.train or self.test):
            return f"seed {self.seed}" + (f", {100 * self.test_share:g} % tested" if self.test_share != 0.5 else "")
        lists = [Path(each).name for each in (*self.train, *self.test) if _is_file(each)]
        return ", ".join(lists) if lists and len(", ".join(lists)) < 80 else "own lists"

    def of(self, frame: pd.DataFrame, root: Path) -> tuple[pd.DataFrame, str]:
        """The rows of a frame that have a place in the division, with the column ``split``; and its label."""
        if self.train or self.test:
            return _by_lists(frame, root, self.train, self.test), self.label
        return frame.assign(split=_drawn(frame, root, self.test_share, self.seed)), self.label


def own_split(
    dataset: ReIDDataset, train: Names | None = None, test: Names | None = None, *, label: str | None = None
) -> ReIDDataset:
    """The same data set under a split of one's own; titles, results and the ledger call it so.

    Args:
        dataset: any; of a published one the rules of its protocol stay, the people change.
        train, test: a text file, several, or the names themselves. A line is an identity (a pid, or its name in a data
            set of one's own), or the path of an image, as lists like ``train_visible_1.txt`` have them: relative to the
            root or with other folders before it, a class number behind it. An identity stands for all its images; what
            no list names is left out. With one list alone, everybody else makes the other part.
        label: what the split is called; default: the names of the files.

    Raises:
        ValueError: a line that is nobody, an identity in training and in test, or a part that is empty.
        FileNotFoundError: a list is missing.

    >>> own = data.own_split(data.open("pku-sketch", split=1), ["train_visible_1.txt", "train_sketch_1.txt"],
    ...                      ["test_visible_1.txt", "test_sketch_1.txt"])          # doctest: +SKIP
    """
    division = Division(train or (), test or ())
    if not (division.train or division.test):
        raise ValueError("a split of one's own needs a list: train=, test=, or both")
    label = division.label if label is None else label
    if not (isinstance(label, str) and label.strip() and label.isprintable()):
        raise ValueError(f"label must be one printable line, not {label!r}")
    frame, _ = division.of(dataset.frame, dataset.root)
    return replace(dataset, frame=frame, split=None, own_split=label)


def require_apart(frame: pd.DataFrame, root: Path) -> None:
    """Raise ``ValueError`` for an identity in training and in test; names it, and where both are written."""
    both = frame.groupby("pid")["split"].nunique()
    if (both > 1).any():
        rows = frame[frame["pid"] == both.index[both > 1][0]]
        places = [rows.loc[rows["split"] == split].iloc[0] for split in ("train", "test")]
        who = repr(places[0]["identity"]) if "identity" in rows else int(places[0]["pid"])
        at = "; ".join(str(place["where"] if "where" in rows else place["path"]) for place in places)
        more = f" (and {int((both > 1).sum()) - 1} more)" if (both > 1).sum() > 1 else ""
        raise ValueError(
            f"{root}: identity {who} is in training and in test ({at}){more}; results would be void: an identity "
            "belongs to one of them with all its images"
        )


def plain(text: str) -> str:
    """A name as it is compared: systems write one and the same letter in several ways."""
    return unicodedata.normalize("NFC", text.strip())


def _several(value: Names | Sequence[Names]) -> tuple[Names, ...]:
    """The lists of one part: a file, several files, or names."""
    if isinstance(value, str | os.PathLike):
        return (Path(value),)
    entries = tuple(value)
    if entries and all(_is_file(each) for each in entries):
        return tuple(map(Path, entries))
    return (entries,) if entries else ()


def _is_file(value: object) -> bool:
    return isinstance(value, os.PathLike) or (isinstance(value, str) and value.lower().endswith(_SUFFIXES))


def _entries(source: Names) -> list[tuple[str, str]]:
    """(where it is written, what) of a list."""
    if not _is_file(source):
        return [(f"entry {number}", str(each)) for number, each in enumerate(source, start=1)]
    file = Path(source).expanduser()
    if not file.is_file():
        raise FileNotFoundError(f"{file} is missing; it must hold an identity or the path of an image in each line")
    lines = tree.as_text(file, paths.read_bounded(file, _MOST_BYTES)).splitlines()
    found = [(f"{file}, line {number}", line.strip()) for number, line in enumerate(lines, start=1) if line.strip()]
    if not found:
        raise ValueError(f"{file} is empty; it must hold an identity or the path of an image in each line")
    return found


class _Finder:
    """Which rows of a frame a line of a list means."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self.rows = {path: [row] for row, path in enumerate(frame["path"])}
        self.pids: dict[str, list[int]] = {}
        for row, pid in enumerate(frame["pid"]):
            self.pids.setdefault(str(pid), []).append(row)
        self.names: dict[str, list[int]] = {}
        for row, name in enumerate(frame.get("identity", ())):
            self.names.setdefault(name, []).append(row)

    def __call__(self, text: str) -> list[int] | None:
        for each in (text, match[1] if (match := _LABEL.fullmatch(text)) else text):
            if rows := self._identity(each) or self._path(each):
                return rows
        parts = [part.strip() for part in re.split(r"[,;]", text) if part.strip()]
        found = [self._identity(part) for part in parts] if len(parts) > 1 else [None]
        return [row for rows in found for row in rows] if all(found) else None

    def _identity(self, text: str) -> list[int] | None:
        if rows := self.names.get(plain(text)):
            return rows
        number = text.lstrip("0") or "0"
        is_number = text.isdecimal() and (not self.names or all(name.isdecimal() for name in self.names))
        return self.pids.get(number) if is_number else None

    def _path(self, text: str) -> list[int] | None:
        parts = PurePosixPath(text.replace("\\", "/")).parts
        return next((rows for i in range(len(parts)) if (rows := self.rows.get("/".join(parts[i:])))), None)


def _by_lists(frame: pd.DataFrame, root: Path, train: Sequence[Names], test: Sequence[Names]) -> pd.DataFrame:
    find, frame = _Finder(frame), frame.reset_index(drop=True)
    split, where = pd.Series([None] * len(frame), dtype=object), pd.Series([""] * len(frame), dtype=object)
    for part, lists in (("train", train), ("test", test)):
        for place, text in (entry for source in lists for entry in _entries(source)):
            if (rows := find(text)) is None:
                raise ValueError(
                    f"{place} ({part}): {text[:80]!r} is no identity and no image of {root}; identities are like "
                    f"{frame['identity' if 'identity' in frame else 'pid'].iloc[0]!r}, images like "
                    f"{frame['path'].iloc[0]!r}"
                )
            for row in rows:
                if split[row] not in (None, part):
                    raise ValueError(
                        f"{place} ({part}): {text[:80]!r} is in {split[row]} as well ({where[row]}); take it out of one"
                    )
                split[row], where[row] = part, place
    if not (train and test):
        given, other = ("train", "test") if train else ("test", "train")
        named = set(frame.loc[split == given, "pid"])
        split[~frame["pid"].isin(named)] = other
    kept = split.notna()
    found = frame.assign(split=split, where=where)[kept].reset_index(drop=True)
    for part in ("train", "test"):
        if (found["split"] != part).all():
            raise ValueError(f"{root}: these lists leave nobody for {part}; name some identities there")
    require_apart(found, root)
    return found.drop(columns="where").astype({"split": "str"})


def _drawn(frame: pd.DataFrame, root: Path, test_share: float, seed: int) -> list[str]:
    """``"train"`` or ``"test"`` for each row: identities in the order of the SHA-256 of seed and name.

    Identities of one modality are tested, where nothing asks for their partner; in training they would have none.
    """
    name = frame["identity"].where(~frame["identity"].str.isdecimal(), frame["pid"].astype("str"))
    modalities = frame.groupby(name)["modality"].nunique()
    paired = [who for who in modalities.index if modalities[who] == 2]
    order = sorted(paired, key=lambda who: hashlib.sha256(f"{seed}:{who}".encode()).hexdigest())
    tested = round(test_share * len(order))
    if 0 < test_share < 1:
        if len(order) < 2:
            lists = f"{argument('train', of='data')}, {argument('test', of='data')}"
            raise ValueError(
                f"{root} holds {len(order)} identities with both modalities ({len(modalities)} in all); a split into "
                "training and test takes two or more. To evaluate on all of them: "
                f"{argument('test_share', 1, of='data')}; to divide them otherwise, write lists ({lists})"
            )
        tested = min(max(tested, 1), len(order) - 1)
    training = set(order[tested:])
    return ["train" if who in training else "test" for who in name]
