"""Execute notebooks, publish their outputs, keep their first lines in step: ``python -m reidlib.app.notebooks VERB``.

``run`` executes into ``build/notebooks``, two at once on a CPU, and changes nothing that is committed; ``publish`` also
copies outputs and figures to where they are committed; ``badges`` writes, from the repository address in
``pyproject.toml``, the Colab badge and the environment cell of every notebook and the table in ``README.md``.
"""

import argparse
import base64
import io
import itertools
import multiprocessing
import os
import re
import shutil
import sys
import time
import tomllib
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING

from reidlib import paths, profiles
from reidlib.app import frontpage

if TYPE_CHECKING:
    from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parent.parent.parent
CELL_TIMEOUT = 3600  # seconds
LARGE_IMAGE = 150_000  # characters of base64
LARGE_DRAWING = 45_000  # bytes of a PNG of 256 colours
MANY_COLOURS = 20_000  # more than a line drawing has, with all its half-tones at edges
COMMITTED_FIGURES = (".png", ".jpg", ".csv", ".json")
TABLE_BEGIN, TABLE_END = "<!-- notebooks: written by `make badges` -->", "<!-- end of notebooks -->"
BADGE = re.compile(r"^\[!\[Open In Colab\].*$\n*", re.MULTILINE)
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
WIDGET = "application/vnd.jupyter.widget-view+json"

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
    """A notebook failed, or its outputs are not fit to be published; the message says where and why."""


def repository(root: Path = ROOT) -> str:
    """The repository's address, from ``[project.urls]`` of ``pyproject.toml``."""
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]["Repository"]


def environment_cell(root: Path = ROOT) -> str:
    """The first code cell of every notebook."""
    return ENVIRONMENT_CELL.format(repository=repository(root))


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


def execute(path: Path) -> "NotebookNode":
    """Execute one notebook in a fresh kernel, in its own folder, and return it with clean outputs.

    Raises:
        NotebookError: a cell failed; names the notebook, the cell and the error.
    """
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellControlSignal, DeadKernelError

    notebook = nbformat.read(path, as_version=4)
    position = 0

    def remember(cell: "NotebookNode", cell_index: int) -> None:
        nonlocal position
        position = cell_index

    client = NotebookClient(
        notebook,
        kernel_name="python3",
        timeout=CELL_TIMEOUT,
        resources={"metadata": {"path": str(path.parent)}},
        on_cell_start=remember,
        extra_arguments=["--log-level=ERROR"],
        record_timing=False,
        store_widget_state=False,
        coalesce_streams=True,
    )
    try:
        client.execute()
    except (CellControlSignal, DeadKernelError) as error:
        source, reason = notebook.cells[position].source, COLOUR.sub("", str(error)).strip()
        reason = reason if source in reason else f"{source}\n\n{reason}"  # a kernel that dies leaves no traceback
        raise NotebookError(f"{path.name}, cell {position + 1} failed:\n\n{reason}") from error
    return tidy(notebook)


def tidy(notebook: "NotebookNode") -> "NotebookNode":
    """Remove what differs between two executions of the same notebook: progress bars, versions, timings."""
    notebook.metadata = type(notebook.metadata)(
        kernelspec={"display_name": "Python 3", "language": "python", "name": "python3"},
        language_info={"name": "python"},
    )
    for cell in notebook.cells:
        cell.metadata = type(cell.metadata)({key: cell.metadata[key] for key in ("tags",) if key in cell.metadata})
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if WIDGET not in output.get("data", {})]
            for output in cell.outputs:
                _shrink(output.get("data", {}))
    return notebook


def _shrink(data: dict) -> None:
    """A line drawing keeps its 256 main colours; a large PNG of photographs becomes a JPEG, a small one stays.

    Few colours make a drawing, unless it is too large for one even so: then it shows photographs of few colours.
    """
    from PIL import Image

    if "image/png" not in data:
        return
    with Image.open(io.BytesIO(base64.b64decode(data["image/png"]))) as opened:
        image = opened.convert("RGB")
    stream, kind = io.BytesIO(), None
    if image.getcolors(MANY_COLOURS):  # None if there are more
        kind = "image/png"
        image.quantize(256, dither=Image.Dither.NONE).save(stream, "PNG", optimize=True)
    if len(data["image/png"]) > LARGE_IMAGE and not 0 < stream.tell() <= LARGE_DRAWING:
        stream, kind = io.BytesIO(), "image/jpeg"
        image.save(stream, "JPEG", quality=72, optimize=True)
    if kind:
        del data["image/png"]
        data[kind] = base64.b64encode(stream.getvalue()).decode() + "\n"


def unfit(notebook: "NotebookNode") -> list[str]:
    """Why the outputs must not be committed: errors, warnings, paths of this machine. Empty if they may."""
    problems = []
    machine = re.compile("|".join(re.escape(str(folder)) for folder in {ROOT, Path.home(), Path(sys.prefix)}))
    for number, cell in enumerate(notebook.cells, 1):
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                problems.append(f"cell {number} ends in an error: {output.ename}")
            elif output.get("name") == "stderr":
                problems.append(f"cell {number} writes to stderr: {output.text.strip().splitlines()[0]}")
            texts = [output.get("text", ""), *(output.get("data") or {}).values()]
            if found := machine.search("\n".join(text for text in texts if isinstance(text, str))):
                problems.append(f"cell {number} shows a path of this machine: {found.group()}")
    return problems


def usual_workers() -> int:
    """How many notebooks ``make run`` executes at once: two on a CPU, else one."""
    import torch

    return 1 if torch.cuda.is_available() else min(2, os.cpu_count() or 1)


def run(pages: list[Path], root: Path = ROOT, workers: int = 1) -> dict[Path, "NotebookNode"]:
    """Execute pages into ``build/notebooks``; one line per page when it is done, then the figures and tables they left.

    Args:
        workers: pages that are executed at once. A page that wants a model which another one trains waits for it.

    Raises:
        NotebookError: at the first page that fails; those that are being executed then are finished, no others begun.
    """
    import nbformat

    build = paths.build_folder().resolve()
    os.environ["REIDLIB_BUILD"] = str(build)  # a relative folder would mean another one inside the kernel
    os.environ["PYTHONPATH"] = str(ROOT)  # the kernel imports this clone, whatever the environment has installed
    os.environ["TQDM_DISABLE"] = "1"
    os.environ.pop("MPLBACKEND", None)  # figures appear in the page, whatever the shell prefers
    if workers > 1:
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // workers)))
    begin = time.time()
    executed: dict[Path, NotebookNode] = {}
    print(f"profile {profiles.get().name}, into {build}", flush=True)
    for path, seconds, outcome in _execute_all(pages, workers):
        page, is_failed = path.relative_to(root), isinstance(outcome, NotebookError)
        print(f"  {page!s:<44}{seconds:7.1f} s{'  FAILED' if is_failed else ''}", flush=True)
        if is_failed:
            raise outcome
        (build / page).parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(outcome, build / page)
        executed[path] = outcome
    for file in _written(build, begin):
        print(f"  {file.relative_to(build)}")
    return executed


def _timed(path: Path) -> tuple[Path, float, "NotebookNode | NotebookError"]:
    start = time.perf_counter()
    try:
        outcome = execute(path)
    except NotebookError as error:
        outcome = error
    return path, time.perf_counter() - start, outcome


def _execute_all(pages: list[Path], workers: int) -> Iterator[tuple[Path, float, "NotebookNode | NotebookError"]]:
    """Pages as they are done. Each worker is a process, so that an interrupt reaches the kernel it waits for.

    A page is handed out when a worker is free, so none begins once the caller has stopped asking.
    """
    if workers == 1:
        yield from map(_timed, pages)
        return
    waiting = iter(pages)
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        running = {pool.submit(_timed, path) for path in itertools.islice(waiting, workers)}
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for job in done:
                yield job.result()
            running |= {pool.submit(_timed, path) for path in itertools.islice(waiting, len(done))}


def publish(names: list[str] | None = None, root: Path = ROOT) -> None:
    """Run lessons and their solutions, then copy outputs into ``notebooks/``, figures and their data into ``figures/``.

    The published ledger takes in the local rows, and README's results are written from it.
    Nothing is copied unless every page ran and is fit to be published.

    Raises:
        NotebookError: a notebook failed or is unfit, or the profile is ``ci``, whose numbers mean nothing.
    """
    import nbformat

    from reidlib.experiments import ledger

    if profiles.get().name == "ci":
        raise NotebookError("the profile 'ci' is for tests, its numbers mean nothing; set REIDLIB_PROFILE to another")
    begin = time.time()
    lessons = find(names, root)
    solutions = [path.parent / "solutions" / path.name for path in lessons]
    executed = run([*lessons, *(path for path in solutions if path.exists())], root)
    problems = [
        f"{path.relative_to(root)}: {problem}" for path, notebook in executed.items() for problem in unfit(notebook)
    ]
    if problems:
        raise NotebookError("not published:\n  " + "\n  ".join(problems))
    for path, notebook in executed.items():
        nbformat.write(notebook, path)
    figures = paths.build_folder() / "figures"
    for file in _written(figures, begin):
        target = root / "figures" / file.relative_to(figures)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    ledger.publish(published := root / "reidlib" / "published" / ledger.PUBLISHED.name)
    if published.exists():
        _insert(root / "README.md", frontpage.results(published))
    print(f"published {len(executed)} to notebooks/; see: git diff --stat")


def _written(folder: Path, begin: float) -> list[Path]:
    """Figures and tables below a folder that are as new as this execution."""
    files = (file for file in sorted(folder.rglob("*")) if file.suffix in COMMITTED_FIGURES)
    return [file for file in files if file.stat().st_mtime >= begin - 1]


def badge(path: Path, root: Path = ROOT) -> str:
    """The Markdown line that opens a notebook on Colab."""
    slug = repository(root).removeprefix("https://github.com/")
    page = path.relative_to(root).as_posix()
    colab = "https://colab.research.google.com"
    return f"[![Open In Colab]({colab}/assets/colab-badge.svg)]({colab}/github/{slug}/blob/main/{page})"


def with_header(notebook: "NotebookNode", path: Path, root: Path = ROOT) -> "NotebookNode":
    """The notebook with its badge under the title and the environment cell as its first code cell.

    Raises:
        NotebookError: the first cell does not begin with a title.
    """
    from nbformat.v4 import new_code_cell

    first = notebook.cells[0] if notebook.cells else None
    if first is None or first.cell_type != "markdown" or not first.source.startswith("# "):
        raise NotebookError(f"{path.name}: the first cell must be Markdown and begin with '# ' and the title")
    title, _, text = first.source.partition("\n")
    first.source = f"{title}\n\n{badge(path, root)}\n\n{BADGE.sub('', text).strip()}".strip()
    position = next((i for i, cell in enumerate(notebook.cells) if cell.cell_type == "code"), len(notebook.cells))
    if position < len(notebook.cells) and "google.colab" in notebook.cells[position].source:
        notebook.cells[position].source = environment_cell(root)
    else:
        notebook.cells.insert(position, new_code_cell(environment_cell(root)))
    return notebook


def table(root: Path = ROOT) -> str:
    """README's table of notebooks, between its two markers."""
    import nbformat

    rows = ["| notebook | what it is about | |", "|---|---|---|"]
    for path in find(root=root):
        title = nbformat.read(path, as_version=4).cells[0].source.splitlines()[0].removeprefix("# ")
        rows.append(f"| [{path.stem}](notebooks/{path.name}) | {title} | {badge(path, root)} |")
    return "\n".join([TABLE_BEGIN, *rows, TABLE_END])


def badges(root: Path = ROOT) -> None:
    """Write the header of every notebook and solution, and the table in ``README.md``.

    Raises:
        NotebookError: a notebook has no title, or the README lacks the markers of the table.
    """
    import nbformat

    for path in [*find(root=root), *sorted((root / "notebooks" / "solutions").glob("*.ipynb"))]:
        before = path.read_text(encoding="utf-8")
        after = nbformat.writes(with_header(nbformat.reads(before, as_version=4), path, root)).rstrip("\n") + "\n"
        if after != before:
            path.write_text(after, encoding="utf-8")
    _insert(root / "README.md", table(root))


def _insert(page: Path, block: str) -> None:
    try:
        frontpage.insert(page, block)
    except ValueError as error:
        raise NotebookError(str(error)) from error


def main(arguments: list[str] | None = None) -> None:
    """The command line; ends with exit status 1 and the reason on stderr if something failed."""
    parser = argparse.ArgumentParser(prog="python -m reidlib.app.notebooks", description=__doc__.splitlines()[0])
    parser.add_argument("verb", choices=("run", "publish", "badges"))
    parser.add_argument("names", nargs="*", help="the notebooks to run or publish (default: all)")
    parser.add_argument("--workers", type=int, help="`run`: notebooks at once (default: 2 on a CPU, 1 on a GPU)")
    options = parser.parse_intermixed_args(arguments)  # names may stand behind options
    if options.verb == "badges" and options.names:
        parser.error("badges are written for all notebooks at once")
    if options.workers is not None and (options.verb != "run" or options.workers < 1):
        parser.error("--workers is at least 1, and for the verb run alone")
    try:
        match options.verb:
            case "run":
                run(find(options.names), workers=options.workers or usual_workers())
            case "publish":
                publish(options.names)
            case "badges":
                badges()
    except NotebookError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
