"""By what the trees of the published data sets are known, and what a wrong root may be meant to be.

A hint never changes what is read: it ends up in the message of an error.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from reidlib.console import spelling

MARKS: dict[str, tuple[tuple[str, ...], ...]] = {
    "sysu": (("cam1", "cam2", "cam3", "exp"),),
    "regdb": (("Visible", "Thermal"),),
    "llcm": (("vis", "nir", "test_vis"),),
    "pku-sketch": (("photo", "sketch", "styleAnnotation"),),
    "market-sketch-1k": (("photo/query", "sketch/A"),),
    "cufsf": (("original_sketch", "sketch_points"),),
    "shoe": (("ShoeV2_Coordinate",), ("trainA", "trainB")),
    "chair": (("ChairV2_Coordinate",), ("trainA", "trainB")),
}
"""Name → alternatives; all parts of one of them are there. Two sets share one: their names tell them apart."""
WORDS = {"shoe": "shoe", "chair": "chair"}
"""What the folder of one of these is called, of those that look alike."""
_ARCHIVES = (".zip", ".rar", ".7z", ".tar", ".gz", ".bz2", ".tgz", ".xz")
_MOST_ENTRIES, _MOST_LEVELS = 200, 3


def known_as(folder: Path, below: Path | None = None) -> list[str]:
    """The data sets whose tree a folder may be; of those that look alike, the one that the path names, if it does."""
    found = [name for name, ways in MARKS.items() if any(all((folder / part).exists() for part in way) for way in ways)]
    said = (folder.relative_to(below) if below else Path(folder.absolute().name)).as_posix().lower()
    named = [name for name in found if name in WORDS and re.search(WORDS[name], said)]
    alike = [name for name in found if name in WORDS]
    return [name for name in found if name not in WORDS] + (named if len(named) == 1 else alike)


def hint(name: str, root: Path) -> str:
    """What may be meant where the tree of ``name`` is not at ``root``; ends with a blank, or is empty."""
    here = known_as(root)
    if here and name not in here:
        others = " or ".join(map(repr, here))
        return f"this looks like the tree of {others}; "
    found = {folder: names for folder in _below(root) if (names := known_as(folder, root))}
    mine = [folder for folder, names in found.items() if name in names]
    mine.sort(key=lambda folder: len(found[folder]))  # one that is nothing else first
    if mine:
        return f"did you mean {spelling.argument('root', str(mine[0]))}? "
    if found:
        folder, names = next(iter(found.items()))
        return f"{folder} looks like the tree of {' or '.join(map(repr, names))}, none like that of {name!r}; "
    return _of_content(root, name)


def _of_content(root: Path, name: str) -> str:
    entries = _listed(root)
    if not entries:
        return "the folder is empty (is the drive mounted, and the archive unpacked?); "
    wanted = {part.split("/")[0] for way in MARKS.get(name, ()) for part in way}
    spelled = {part.lower(): part for part in wanted}
    wrong = {each.name: spelled[each.name.lower()] for each in entries if each.name.lower() in spelled}
    if wrong := {found: part for found, part in wrong.items() if found != part}:
        found, part = min(wrong.items())
        return f"{found} must be called {part}; "
    folders = (root, *_below(root))
    packed = next((entry for folder in folders for entry in _listed(folder) if _is_packed(entry)), None)
    return f"{packed} is there: unpack it first; " if packed else ""


def _is_packed(entry: Path) -> bool:
    return entry.name.lower().endswith(_ARCHIVES) and entry.is_file()


def _below(root: Path) -> Iterator[Path]:
    """The folders below a root, level by level, as far as it is worth looking."""
    level = [root]
    for _ in range(_MOST_LEVELS):
        level = [entry for folder in level[:20] for entry in _listed(folder) if entry.is_dir()][:_MOST_ENTRIES]
        yield from level


def _listed(folder: Path) -> list[Path]:
    try:
        return [entry for entry in sorted(folder.iterdir())[:_MOST_ENTRIES] if not entry.name.startswith(".")]
    except OSError:
        return []
