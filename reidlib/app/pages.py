"""Which notebooks there are, and what all of them begin with: the Colab badge and the environment cell.

``notebooks/lessons.json`` holds what a reader needs for each, written by hand, and how long it took, written by
`make publish`: ``{"02_…": {"needs": "notebook 00", "seconds": {"cpu": 310.0}, "code": digest of its code cells}}``.
"""

import copy
import glob
import hashlib
import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import reidlib
from reidlib import paths
from reidlib.app import frontpage

if TYPE_CHECKING:
    from nbformat import NotebookNode

ROOT = frontpage.ROOT
TABLE_BEGIN, TABLE_END = "<!-- notebooks: written by `make badges` -->", "<!-- end of notebooks -->"
TABLE_HEAD = ("| notebook | what it is about | you need | time on a CPU | |", "|---|---|---|---|---|")
LESSONS = "lessons.json"
COLAB = "https://colab.research.google.com"
BADGE = re.compile(r"^\[!\[Open In Colab\].*$\n*", re.MULTILINE)
CONFLICT = re.compile(r"^(<{7}|={7}|>{7}|\|{7})( |$)", re.MULTILINE)  # in JSON no text has lines of its own
MOST_BYTES = 1 << 26  # of a notebook: outputs of the reader's own may be large

FIRST_CELL = Path(__file__).with_name("first_cell.txt")
HIDDEN = {"cellView": "form", "jupyter": {"source_hidden": True}}  # in Colab, in JupyterLab
METADATA = {
    "accelerator": "GPU",  # what Colab gives a page that is opened there
    "colab": {"gpuType": "T4"},
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


class NotebookError(Exception):
    """A notebook is missing, failed, or is not fit to be published; the message says which, where and why."""


def find(names: list[str] | None = None, root: Path = ROOT) -> list[Path]:
    """The notebooks in reading order, or those named (``01_data`` or ``01_data.ipynb``).

    Raises:
        NotebookError: there is none, or a name is unknown; the message lists the known ones.
    """
    known = {path.stem: path for path in sorted((root / "notebooks").glob("*.ipynb"))}
    if not known:
        raise NotebookError(f"no notebooks in {root / 'notebooks'}")
    stems = [name.removesuffix(".ipynb") for name in names or known]
    if unknown := [stem for stem in stems if stem not in known]:
        raise NotebookError(f"unknown notebook {unknown[0]!r}; choose from: {', '.join(known)}")
    return [known[stem] for stem in stems]


def read(notebooks: Iterable[Path]) -> "dict[Path, NotebookNode]":
    """Notebooks by their paths.

    Raises:
        NotebookError: some cannot be read or are no notebooks; the message names all of them, and what to do.
    """
    found, damaged = {}, []
    for path in notebooks:
        try:
            found[path] = _parsed(path)
        except (OSError, ValueError) as error:
            damaged.append(str(error))
    if damaged:
        message = f"{len(damaged)} of {len(found) + len(damaged)} notebooks cannot be used:\n  " + "\n  ".join(damaged)
        raise NotebookError(f"{message}\nA committed notebook comes back with: git checkout HEAD -- its path")
    return found


def _parsed(path: Path) -> "NotebookNode":
    import nbformat

    content = paths.read_bounded(path, MOST_BYTES)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not in UTF-8 ({error}): save it in UTF-8") from None
    try:
        fields = paths.parse_json(text, str(path))
    except ValueError:
        if mark := CONFLICT.search(text):
            line = text.count("\n", 0, mark.start()) + 1
            raise ValueError(
                f"{path}, line {line} marks a merge in git that was not ended: choose a side, with "
                "git checkout --ours or --theirs"
            ) from None
        raise
    try:
        if fields["nbformat"] != 4:
            raise ValueError(f"format {str(fields['nbformat'])[:20]}, not 4: open and save it in Jupyter")
        if type(fields["nbformat_minor"]) is not int:
            raise TypeError("nbformat_minor must be a whole number")
        json.dumps(fields, ensure_ascii=False).encode()  # half of a character could not be written
        nbformat.validate(fields)
        return nbformat.reads(text, as_version=4)
    except (nbformat.ValidationError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        reason = f"{type(error).__name__}: {getattr(error, 'message', error)}".splitlines()[0][:200]
        raise ValueError(f"{path} is JSON, but no notebook ({reason})") from None


def write(contents: Mapping[Path, bytes]) -> None:
    """Write pages and what belongs to them, all or none; what a kill left of them before is removed.

    Raises:
        OSError: there is no room, or a folder cannot be written in; the message says which and what to do.
    """
    with paths.locked(paths.build_folder() / ".pages.lock", "REIDLIB_BUILD"):
        for file in contents:
            file.parent.mkdir(parents=True, exist_ok=True)
            paths.remove_partials(file.parent, glob.escape(file.name))
        paths.write_all(contents)


def as_bytes(notebook: "NotebookNode") -> bytes:
    """A notebook as it is written."""
    import nbformat

    return nbformat.writes(notebook).rstrip("\n").encode() + b"\n"


def repository(root: Path = ROOT) -> str:
    """The repository's address, from ``[project.urls]`` of ``pyproject.toml``.

    Raises:
        NotebookError: there is no such file, or no address in it.
    """
    file = root / "pyproject.toml"
    try:
        return str(tomllib.loads(file.read_text(encoding="utf-8"))["project"]["urls"]["Repository"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise NotebookError(f"{file} gives no address of the repository in [project.urls] ({reason})") from None


def environment_cell(root: Path = ROOT) -> str:
    """The first code cell of every notebook: it asks for the release that the notebook belongs to."""
    address = f"git+{repository(root)}@v{reidlib.__version__}"
    return FIRST_CELL.read_text(encoding="utf-8").rstrip().replace("{address}", address)


def label(path: Path, notebook: "NotebookNode", root: Path = ROOT) -> str:
    """Write a notebook's badge under its title, the environment cell as its first code cell, and what Colab is to know.

    Returns:
        The notebook's row of the table in ``README.md``.

    Raises:
        ValueError: the first cell does not begin with a title.
    """
    import nbformat

    cells = notebook.cells
    if not cells or cells[0].cell_type != "markdown" or not cells[0].source.startswith("# "):
        raise ValueError(f"{path}: the first cell must be Markdown and begin with '# ' and the title")
    title, _, text = cells[0].source.partition("\n")
    slug, page = repository(root).removeprefix("https://github.com/"), path.relative_to(root).as_posix()
    badge = f"[![Open In Colab]({COLAB}/assets/colab-badge.svg)]({COLAB}/github/{slug}/blob/main/{page})"
    cells[0].source = f"{title}\n\n{badge}\n\n{BADGE.sub('', text).strip()}".strip()
    position = next((i for i, cell in enumerate(cells) if cell.cell_type == "code"), len(cells))
    if position == len(cells) or "google.colab" not in cells[position].source:
        cells.insert(position, nbformat.v4.new_code_cell())
    cells[position].source, cells[position].metadata = environment_cell(root), copy.deepcopy(HIDDEN)
    notebook.metadata = copy.deepcopy(METADATA)
    lesson = lessons(root).get(path.stem, {})
    seconds = lesson.get("seconds", {}).get("cpu")
    time = "" if seconds is None else f"{max(1, round(seconds / 60))} min"
    row = f"[{path.stem}](notebooks/{path.name})", title.removeprefix("# "), lesson.get("needs", ""), time, badge
    return f"| {' | '.join(row)} |"


def lessons(root: Path = ROOT) -> dict[str, dict]:
    """What ``notebooks/lessons.json`` says of each lesson, by its name; nothing where there is no such file.

    Raises:
        ValueError: it is not in the form that this module's text shows.
    """
    file = root / "notebooks" / LESSONS
    found = paths.read_json(file) if file.is_file() else {}
    for name, lesson in found.items():
        if not (isinstance(lesson, dict) and isinstance(lesson.get("needs"), str)):
            raise ValueError(f"{file}: {name} must say what it needs")
    return found


def timed(seconds: "Mapping[str, float]", notebooks: "Mapping[str, NotebookNode]", profile: str, root: Path) -> bytes:
    """``notebooks/lessons.json`` with the time that lessons took in a profile.

    A lesson that finds its runs is fast; so the longest time of the same code cells stays.
    """
    found = lessons(root)
    for name in seconds.keys() & notebooks.keys():
        lesson = found.setdefault(name, {"needs": ""})
        code = "\0".join(cell.source for cell in notebooks[name].cells if cell.cell_type == "code")
        digest = hashlib.sha256(code.encode()).hexdigest()[:8]
        earlier = lesson.get("seconds", {}) if lesson.get("code") == digest else {}
        took = {**earlier, profile: max(earlier.get(profile, 0), round(seconds[name], 1))}
        found[name] = lesson | {"seconds": took, "code": digest}
    return json.dumps(dict(sorted(found.items())), indent=1, ensure_ascii=False).encode() + b"\n"


def label_all(root: Path = ROOT) -> None:
    """Write the first lines of every notebook and solution, and the table of notebooks in ``README.md``: all or none.

    Raises:
        NotebookError: notebooks cannot be read or have no title; all are named.
        ValueError: the README lacks the lines between which the table is written.
    """
    named, rows, untitled = find(root=root), [], []
    notebooks = read([*named, *sorted((root / "notebooks" / "solutions").glob("*.ipynb"))])
    for path, notebook in notebooks.items():
        try:
            rows.append(label(path, notebook, root))
        except ValueError as error:
            untitled.append(str(error))
    if untitled:
        raise NotebookError("\n".join(untitled))
    table = "\n".join([TABLE_BEGIN, *TABLE_HEAD, *rows[: len(named)], TABLE_END])
    contents = {path: as_bytes(notebook) for path, notebook in notebooks.items()}
    contents[root / "README.md"] = frontpage.inserted(root / "README.md", table)
    write({path: content for path, content in contents.items() if path.read_bytes() != content})
