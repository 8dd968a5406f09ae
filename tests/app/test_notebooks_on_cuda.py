"""Every notebook and its solutions, cell by cell, on a GPU that is pretended: profile ``ci``."""

import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from pretend_cuda import pretending
from traitlets.config import Config

ROOT = Path(__file__).resolve().parents[2]
PAGES = [page for folder in ("notebooks", "notebooks/solutions") for page in sorted((ROOT / folder).glob("*.ipynb"))]
ALWAYS = ("00_quickstart", "02_baseline_and_metrics", "05_idkl")
"""Lessons that ``make test`` runs; ``make test-all`` runs the others, and the solutions."""


def parameter(page: Path):
    is_always = page.stem in ALWAYS and page.parent.name == "notebooks"
    marks = [pytest.mark.integration, pytest.mark.slow, *([] if is_always else [pytest.mark.all])]
    return pytest.param(page, id=page.relative_to(ROOT / "notebooks").as_posix(), marks=marks)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lessons share twins, decoded images and runs, as they do in a clone."""
    return tmp_path_factory.mktemp("cuda")


@pytest.fixture
def shell(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[InteractiveShell]:
    """An IPython of its own, with the folders and the profile of a test."""
    import matplotlib.pyplot as plt

    for name in ("REIDLIB_CACHE", "REIDLIB_BUILD", "REIDLIB_DATA", "REIDLIB_RUNS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {
        "REIDLIB_HOME": home,
        "REIDLIB_PROFILE": "ci",
        "TQDM_DISABLE": "1",
        "MPLBACKEND": "agg",
    }.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    yield InteractiveShell(config=Config({"HistoryManager": {"enabled": False}}))
    plt.close("all")


def failures(page: Path, shell: InteractiveShell) -> list[str]:
    """Cells that raise, with what they raise."""
    failed = []
    for number, cell in enumerate(nbformat.read(page, as_version=4).cells):
        if cell.cell_type == "code" and "raises-exception" not in cell.metadata.get("tags", []):
            with warnings.catch_warnings(), capture_output():
                warnings.filterwarnings("ignore", message=".*non-interactive.*")  # figures are drawn, not shown
                error = shell.run_cell(cell.source).error_in_exec
            if error is not None:
                failed.append(f"cell {number}: {type(error).__name__}: {error}")
    return failed


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("page", [parameter(page) for page in PAGES])
def test_no_cell_fails(page: Path, shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(page.parent)
    with pretending():
        assert not failures(page, shell)


def test_a_cell_that_would_fail_on_a_gpu_is_found(tmp_path: Path, shell: InteractiveShell) -> None:
    sources = ["import torch", "x = torch.zeros(3, device='cuda')", "x.numpy()", "x.cpu().numpy()"]
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), page := tmp_path / "page.ipynb")
    with pretending():
        (failed,) = failures(page, shell)
    assert failed.startswith("cell 2: TypeError: can't convert cuda:0 device type tensor to numpy")
