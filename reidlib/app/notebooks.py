"""Execute notebooks, publish their outputs, keep their first lines in step: ``python -m reidlib.app.notebooks VERB``.

``run`` executes into ``build/notebooks``, two at once on a CPU, and changes nothing that is committed; ``publish`` also
copies outputs and figures to where they are committed; ``badges`` writes, from the repository address in
``pyproject.toml``, the Colab badge and the environment cell of every notebook and the table in ``README.md``.
"""

import argparse
import asyncio
import base64
import copy
import ctypes
import io
import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from reidlib import paths, profiles
from reidlib.app import frontpage, pages
from reidlib.app.pages import ROOT, NotebookError, find

if TYPE_CHECKING:
    from nbformat import NotebookNode

CELL_TIMEOUT = 3600  # seconds
LARGE_IMAGE = 150_000  # characters of base64
LARGE_DRAWING = 65_000  # bytes of a PNG of 256 colours
MANY_COLOURS = 20_000  # more than a line drawing has, with all its half-tones at edges
COMMITTED_FIGURES = (".png", ".jpg", ".csv", ".json")
SECONDS = "seconds.json"  # what each page of the last execution took
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
WIDGET = "application/vnd.jupyter.widget-view+json"


async def execute(path: Path, notebook: "NotebookNode", environment: dict[str, str]) -> "NotebookNode":
    """Execute the notebook that lies at ``path`` in a fresh kernel with these variables, in its own folder.

    Returns it with clean outputs.

    Raises:
        NotebookError: a cell failed; names the notebook, the cell and the error.
    """
    from nbclient import NotebookClient
    from nbclient.exceptions import CellControlSignal, DeadKernelError

    reached = {"cell_index": 0}
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        timeout=CELL_TIMEOUT,
        on_cell_start=reached.update,
        extra_arguments=["--log-level=ERROR"],
        coalesce_streams=True,
    )
    options = {"preexec_fn": _ending_with(os.getpid())} if sys.platform == "linux" else {}
    try:
        return tidy(await client.async_execute(cwd=str(path.parent), env=environment, **options))
    except (CellControlSignal, DeadKernelError) as error:
        position, reason = reached["cell_index"], COLOUR.sub("", str(error)).strip()
        source = client.nb.cells[position].source
        reason = reason if source in reason else f"{source}\n\n{reason}"  # a kernel that dies leaves no traceback
        raise NotebookError(f"{path.name}, cell {position + 1} failed:\n\n{reason}") from error
    except RuntimeError as error:
        raise NotebookError(f"{path.name}: its kernel did not start, or does not answer: {error}") from error


def _ending_with(parent: int) -> Callable[[], None]:
    """What a kernel does first: it asks Linux to be killed when its parent ends, however that ends.

    Elsewhere kernels look after their parent once a second. On Linux one that has not begun to look would stay for
    ever where orphans do not go to process 1, such as in the session of a desktop.
    """
    control, end_signal, kill = ctypes.CDLL(None).prctl, 1, signal.SIGKILL

    def begin() -> None:
        control(end_signal, kill)
        if os.getppid() != parent:
            os._exit(1)

    return begin


def _loop() -> asyncio.AbstractEventLoop:
    """An event loop in which nbclient sets no signal handlers: they would end one kernel, and nothing else.

    Without them a signal ends this process, and all kernels with it.
    """

    def refuse(*_: object) -> None:
        raise NotImplementedError

    loop = asyncio.new_event_loop()
    loop.add_signal_handler = refuse
    return loop


def tidy(notebook: "NotebookNode") -> "NotebookNode":
    """Remove what differs between two executions of the same notebook: progress bars, versions, timings, tracebacks."""
    notebook.metadata = copy.deepcopy(pages.METADATA)
    for cell in notebook.cells:
        cell.metadata = {key: value for key, value in cell.metadata.items() if key in ("tags", *pages.HIDDEN)}
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if WIDGET not in output.get("data", {})]
            for output in cell.outputs:
                _shrink(output.get("data", {}))
                if output.output_type == "error":
                    output.traceback = [f"{output.ename}: {output.evalue}"]
    return notebook


def _shrink(data: dict) -> None:
    """A line drawing keeps its 256 main colours; a large PNG of photographs becomes a JPEG, a small one stays.

    Few colours make a drawing, unless it is too large for one even so: then it shows photographs of few colours.
    """
    from PIL import Image

    if "image/png" not in data:
        return
    image = Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).convert("RGB")
    stream, kind = io.BytesIO(), "image/png"
    if image.getcolors(MANY_COLOURS):  # None if there are more
        image.quantize(256, dither=Image.Dither.NONE).save(stream, "PNG", optimize=True)
    if len(data["image/png"]) > LARGE_IMAGE and not 0 < stream.tell() <= LARGE_DRAWING:
        stream, kind = io.BytesIO(), "image/jpeg"
        image.save(stream, "JPEG", quality=72, optimize=True)
    if stream.tell():
        del data["image/png"]
        data[kind] = base64.b64encode(stream.getvalue()).decode() + "\n"


def unfit(notebook: "NotebookNode") -> list[str]:
    """Why the outputs must not be committed: errors, warnings, paths of this machine. Empty if they may.

    A cell that a reader has to complete ends in an error until then; its tag ``raises-exception`` says so.
    """
    problems = []
    machine = re.compile("|".join(re.escape(str(folder)) for folder in {ROOT, Path.home(), Path(sys.prefix)}))
    for number, cell in enumerate(notebook.cells, 1):
        for output in cell.get("outputs", []):
            if output.output_type == "error" and "raises-exception" not in cell.metadata.get("tags", []):
                problems.append(f"cell {number} ends in an error: {output.ename}")
            elif output.get("name") == "stderr":
                problems.append(f"cell {number} writes to stderr: {output.text.strip().splitlines()[0]}")
            texts = [output.get("text", ""), output.get("evalue", ""), *output.get("data", {}).values()]
            if found := machine.search("\n".join(text for text in texts if isinstance(text, str))):
                problems.append(f"cell {number} shows a path of this machine: {found.group()}")
    return problems


def run(notebooks: list[Path], root: Path = ROOT, workers: int = 1) -> dict[Path, "NotebookNode"]:
    """Execute notebooks into ``build/notebooks``; a line when one begins or ends, then figures and tables they left.

    Args:
        workers: notebooks that are executed at once. One that wants a model which another one trains waits for it.

    Returns:
        The executed notebooks by their paths below ``root``.

    Raises:
        NotebookError: notebooks cannot be read: all are named, none is executed. Or one failed: those that were being
            executed then are finished, no others begun.
    """
    sources = pages.read(notebooks)
    build = paths.build_folder().resolve()  # a relative folder would mean another one inside the kernel
    environment = os.environ | {
        "REIDLIB_BUILD": str(build),
        "PYTHONPATH": str(ROOT),  # the kernel imports this clone, whatever the environment has installed
        "TQDM_DISABLE": "1",
        "MPLBACKEND": "",  # figures appear in the page, whatever the shell prefers
    }
    if workers > 1:
        environment.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // workers)))
    before, waiting, executed, errors, seconds = _state(build), list(sources), {}, [], {}

    async def work() -> None:
        while waiting:
            path, start = waiting.pop(0), time.perf_counter()
            page = path.relative_to(root)
            print(f"  {page!s:<44} begins", flush=True)
            try:
                notebook = await execute(path, sources[path], environment)
                pages.write({build / page: pages.as_bytes(notebook)})
                executed[page] = notebook
            except (NotebookError, OSError) as error:
                errors.append(error)
                waiting.clear()
            seconds[page] = time.perf_counter() - start
            print(f"  {page!s:<44}{seconds[page]:7.1f} s{'' if page in executed else '  FAILED'}", flush=True)

    async def work_together() -> None:
        await asyncio.gather(*(work() for _ in range(workers)))

    print(f"profile {profiles.get().name}, into {build}", flush=True)
    with asyncio.Runner(loop_factory=_loop) as runner:
        runner.run(work_together())
    if errors:
        raise errors[0]
    for file in _written(build, before):
        print(f"  {file.relative_to(build)}")
    pages.write({build / SECONDS: json.dumps({page.as_posix(): took for page, took in seconds.items()}).encode()})
    return executed


def publish(names: list[str] | None = None, root: Path = ROOT) -> None:
    """Run lessons and their solutions, then copy outputs into ``notebooks/``, figures and their data into ``figures/``.

    The published ledger takes in the local rows, and the pages' results are written from it.
    Nothing is copied unless every page ran and is fit to be published.

    Raises:
        NotebookError: a notebook failed or is unfit, or the profile is ``ci``, whose numbers mean nothing.
        ValueError: ``docs/results.md`` lacks the lines between which results are written.
    """
    from reidlib.experiments import ledger

    if profiles.get().name == "ci":
        raise NotebookError("the profile 'ci' is for tests, its numbers mean nothing; set REIDLIB_PROFILE to another")
    build = paths.build_folder()
    before = _state(build / "figures")
    lessons = find(names, root)
    solutions = [path.parent / "solutions" / path.name for path in lessons]
    executed = run([*lessons, *filter(Path.exists, solutions)], root)
    if problems := [f"{page}: {problem}" for page, notebook in executed.items() for problem in unfit(notebook)]:
        raise NotebookError("not published:\n  " + "\n  ".join(problems))
    figures = _written(build / "figures", before)
    contents = {root / page: pages.as_bytes(notebook) for page, notebook in executed.items()}
    contents |= {root / file.relative_to(build): file.read_bytes() for file in figures}
    if executed:
        took = paths.read_json(build / SECONDS)
        by_name = {path.stem: executed[page] for path in lessons if (page := path.relative_to(root)) in executed}
        seconds = {name: took[f"notebooks/{name}.ipynb"] for name in by_name}
        contents[root / "notebooks" / pages.LESSONS] = pages.timed(seconds, by_name, profiles.get().name, root)
    ledger.publish(published := root / "reidlib" / "published" / ledger.PUBLISHED.name)
    if published.exists():
        contents[root / frontpage.PAGE] = frontpage.inserted(root / frontpage.PAGE, frontpage.results(published))
    pages.write(contents)
    if published.exists():
        frontpage.fill_numbers(root, published)
    print(f"published {len(executed)} to notebooks/; see: git diff --stat")


def _state(folder: Path) -> dict[Path, tuple[int, ...]]:
    """Figures and tables below a folder, and what the file system knows of each; no clock is asked."""
    files = (file for file in sorted(folder.rglob("*")) if file.suffix in COMMITTED_FIGURES and file.is_file())
    states = ((file, file.stat()) for file in files)
    return {file: (state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns) for file, state in states}


def _written(folder: Path, before: dict[Path, tuple[int, ...]]) -> list[Path]:
    """Figures and tables that were written since :func:`_state` was asked."""
    return [file for file, state in _state(folder).items() if before.get(file) != state]


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
        if options.verb == "run":
            import torch

            usual = 1 if torch.cuda.is_available() else min(2, os.cpu_count() or 1)
            run(find(options.names), workers=options.workers or usual)
        elif options.verb == "publish":
            publish(options.names)
        else:
            pages.label_all()
    except (NotebookError, OSError, ValueError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
