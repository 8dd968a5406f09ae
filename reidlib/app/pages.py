"""Which notebooks there are, and what all of them begin with: the Colab badge and the environment cell."""

import re
import tomllib
from pathlib import Path

from reidlib.app import frontpage

ROOT = frontpage.ROOT
TABLE_BEGIN, TABLE_END = "<!-- notebooks: written by `make badges` -->", "<!-- end of notebooks -->"
COLAB = "https://colab.research.google.com"
BADGE = re.compile(r"^\[!\[Open In Colab\].*$\n*", re.MULTILINE)

ENVIRONMENT_CELL = """\
# Environment: Colab installs what it lacks and keeps its own torch; a prepared machine does nothing here.
import importlib.util
import subprocess
import sys

if "google.colab" in sys.modules:
    wanted = {{
        "reidlib": "git+{repository}",
        "pytorch_grad_cam": "grad-cam",
        "ttach": "ttach",
        "umap": "umap-learn",
        "pynndescent": "pynndescent",
    }}
    missing = [package for module, package in wanted.items() if importlib.util.find_spec(module) is None]
    if missing:
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", *missing], check=True)"""


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


def repository(root: Path = ROOT) -> str:
    """The repository's address, from ``[project.urls]`` of ``pyproject.toml``."""
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]["Repository"]


def environment_cell(root: Path = ROOT) -> str:
    """The first code cell of every notebook."""
    return ENVIRONMENT_CELL.format(repository=repository(root))


def label(path: Path, root: Path = ROOT) -> str:
    """Write a notebook's badge under its title and the environment cell as its first code cell.

    Returns:
        The notebook's row of the table in ``README.md``.

    Raises:
        NotebookError: the first cell does not begin with a title.
    """
    import nbformat

    cells = (notebook := nbformat.read(path, as_version=4)).cells
    if not cells or cells[0].cell_type != "markdown" or not cells[0].source.startswith("# "):
        raise NotebookError(f"{path.name}: the first cell must be Markdown and begin with '# ' and the title")
    title, _, text = cells[0].source.partition("\n")
    slug, page = repository(root).removeprefix("https://github.com/"), path.relative_to(root).as_posix()
    badge = f"[![Open In Colab]({COLAB}/assets/colab-badge.svg)]({COLAB}/github/{slug}/blob/main/{page})"
    cells[0].source = f"{title}\n\n{badge}\n\n{BADGE.sub('', text).strip()}".strip()
    position = next((i for i, cell in enumerate(cells) if cell.cell_type == "code"), len(cells))
    if position == len(cells) or "google.colab" not in cells[position].source:
        cells.insert(position, nbformat.v4.new_code_cell())
    cells[position].source = environment_cell(root)
    nbformat.write(notebook, path)
    return f"| [{path.stem}](notebooks/{path.name}) | {title.removeprefix('# ')} | {badge} |"


def label_all(root: Path = ROOT) -> None:
    """Write the first lines of every notebook and solution, and the table of notebooks in ``README.md``.

    Raises:
        NotebookError: a notebook has no title.
        ValueError: the README lacks the lines between which the table is written.
    """
    rows = [label(path, root) for path in find(root=root)]
    for path in (root / "notebooks" / "solutions").glob("*.ipynb"):
        label(path, root)
    table = "\n".join([TABLE_BEGIN, "| notebook | what it is about | |", "|---|---|---|", *rows, TABLE_END])
    frontpage.insert(root / "README.md", table)
