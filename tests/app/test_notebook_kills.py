"""Whoever ends a run of notebooks ends its kernels, at any moment."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

pytestmark = [pytest.mark.integration, pytest.mark.slow]
DRIVER = """
import pathlib, sys
from reidlib.app import notebooks
root = pathlib.Path(sys.argv[1])
notebooks.run(notebooks.find(root=root), root, int(sys.argv[2]))
"""
BUSY = "import pathlib\npathlib.Path('../{}').touch()\nwhile True: pass"


@pytest.fixture
def adopting() -> Iterator[None]:
    """Orphans come to this process, as in the session of a desktop, and not to process 1, which a kernel would see."""
    set_adopting, control = 36, ctypes.CDLL(None).prctl
    assert control(set_adopting, 1) == 0
    yield
    control(set_adopting, 0)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.parametrize("moment", ["kernels begin", "cells run"])
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_process_is_left(
    tmp_path: Path, repository: Path, number: signal.Signals, workers: int, moment: str, adopting: None
) -> None:
    (tmp_path / "notebooks").mkdir()
    names = ("first", "second")[:workers]
    for name in names:
        cells = [new_markdown_cell("# A title"), new_code_cell(BUSY.format(name))]
        nbformat.write(new_notebook(cells=cells), tmp_path / "notebooks" / f"{name}.ipynb")
    folders = {"PYTHONPATH": str(repository), "REIDLIB_BUILD": str(tmp_path / "build"), "REIDLIB_PROFILE": "ci"}
    command, kernels = [sys.executable, "-c", DRIVER, str(tmp_path), str(workers)], []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=os.environ | folders) as run:
        while not (all((tmp_path / name).exists() for name in names) if moment == "cells run" else kernels):
            assert run.poll() is None
            kernels = children(run.pid)
            time.sleep(0.02)
        kernels = children(run.pid)
        run.send_signal(number)
        try:
            run.communicate(timeout=10)  # the pipe is open as long as a kernel lives
            assert run.returncode == -number
        finally:
            for kernel in kernels:
                with suppress(ProcessLookupError):
                    os.kill(kernel, signal.SIGKILL)
                with suppress(ChildProcessError):
                    os.waitpid(kernel, 0)
