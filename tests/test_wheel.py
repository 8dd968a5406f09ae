"""What a wheel brings where there is no clone: the command line, the published tables, every figure of the lessons."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest

pytestmark = [pytest.mark.all, pytest.mark.slow, pytest.mark.integration]
BUILD = "from setuptools import build_meta as b; b.build_sdist('dist'); b.build_wheel('dist')"


@pytest.fixture(scope="module")
def built(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of wheel and sdist, built from a copy so that nothing of an earlier build gets in."""
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE", "MANIFEST.in"):
        shutil.copy(repository / name, source)
    shutil.copytree(repository / "reidlib", source / "reidlib", ignore=shutil.ignore_patterns("__pycache__"))
    (source / "dist").mkdir()
    done = subprocess.run([sys.executable, "-c", BUILD], cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return source / "dist"


@pytest.fixture(scope="module")
def elsewhere(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable:
    """``elsewhere(*command)`` runs in an empty folder, with an environment that has the packages and no reidlib yet."""
    home = tmp_path_factory.mktemp("elsewhere")
    venv.create(home / "venv", with_pip=True, symlinks=True)
    scratch = Path(sysconfig.get_path("purelib", vars={"base": str(home / "venv")}))
    # A folder named in a .pth file is put on the path; .pth files in it (of an editable reidlib) are not read.
    (scratch / "packages.pth").write_text(sysconfig.get_path("purelib") + "\n")
    (home / "work").mkdir()
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    variables |= {"REIDLIB_PROFILE": "ci", "TQDM_DISABLE": "1", "PATH": f"{home / 'venv' / 'bin'}:{os.environ['PATH']}"}
    variables |= {"JUPYTER_PREFER_ENV_PATH": "1"}

    def run(*command: str) -> str:
        done = subprocess.run(command, cwd=home / "work", env=variables, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    run.folder = home / "work"
    return run


EXECUTE = """
import sys, nbformat
from nbclient import NotebookClient
page = nbformat.read(sys.argv[1], as_version=4)
NotebookClient(page, timeout=900, kernel_name="python3").execute()
nbformat.write(page, sys.argv[1])
"""


def pictures(page: Path) -> int:
    outputs = [output for cell in nbformat.read(page, as_version=4).cells for output in cell.get("outputs", [])]
    return sum(any(kind.startswith("image/") for kind in output.get("data", {})) for output in outputs)


def test_the_sdist_holds_the_package_alone(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {"/".join(name.split("/")[1:]) for name in archive.getnames()}
    assert {"reidlib/__init__.py", "reidlib/published/ledger.csv", "LICENSE"} <= names
    assert not [name for name in names if name.startswith(("tests", "notebooks", "build"))]


@pytest.fixture(scope="module")
def installed(built: Path, elsewhere: Callable) -> Callable:
    """``elsewhere`` after the first cell of a notebook has found the wheel beside it, and pip all that it needs."""
    from reidlib.app import pages

    (wheel,) = built.glob("*.whl")
    shutil.copy(wheel, elsewhere.folder)
    script = elsewhere.folder / "cell.py"
    script.write_text(pages.environment_cell() + "\nimport reidlib\nprint(reidlib.__file__)\n")
    assert "/venv/" in elsewhere("python", str(script))
    return elsewhere


def test_commands_work_and_published_rows_are_there(installed: Callable) -> None:
    assert installed("reidlib", "--version").strip()
    assert "baseline" in installed("reidlib", "list", "methods")
    rows = int(installed("python", "-c", "from reidlib.experiments import ledger; print(len(ledger.table()))"))
    assert rows > 400
    installed("reidlib", "train", "baseline", "--dataset", "sysu", "--profile", "ci", "--set", "epochs=1", "warmup=0")


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", ["03_maum", "07_ablations", "08_shared_vs_specific", "09_benchmark_and_claims"])
def test_lessons_show_the_figures_they_show_in_the_clone(
    repository: Path, installed: Callable, tmp_path: Path, name: str
) -> None:
    page = repository / "notebooks" / f"{name}.ipynb"
    from_clone, from_wheel = tmp_path / page.name, Path(shutil.copy(page, installed.folder))
    shutil.copy(page, from_clone)
    installed("python", "-c", EXECUTE, str(from_wheel))
    variables = os.environ | {"PYTHONPATH": str(repository), "REIDLIB_PROFILE": "ci", "TQDM_DISABLE": "1"}
    variables |= {"REIDLIB_HOME": str(tmp_path), "JUPYTER_PREFER_ENV_PATH": "1"}
    subprocess.run([sys.executable, "-c", EXECUTE, str(from_clone)], cwd=tmp_path, env=variables, check=True)
    assert pictures(from_wheel) == pictures(from_clone) > 0
