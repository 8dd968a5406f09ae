"""`make lab`: readers work on copies, and the committed pages stay as they are."""

import os
import subprocess
from pathlib import Path

import pytest

from reidlib.app import lab


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    (tmp_path / "notebooks" / "solutions").mkdir(parents=True)
    for name in ("00_first.ipynb", "01_second.ipynb", "solutions/00_first.ipynb"):
        (tmp_path / "notebooks" / name).write_text(f"{name}, as committed")
    return tmp_path


def test_pages_and_solutions_are_copied_and_nothing_else(clone: Path) -> None:
    (clone / "notebooks" / ".ipynb_checkpoints").mkdir()
    (clone / "notebooks" / ".ipynb_checkpoints" / "00_first.ipynb").touch()
    (clone / "notebooks" / "sanitize.cfg").touch()
    assert lab.copy_pages(clone) == []
    files = {file.relative_to(clone / "lab").as_posix() for file in (clone / "lab").rglob("*") if file.is_file()}
    assert files == {"00_first.ipynb", "01_second.ipynb", "solutions/00_first.ipynb", lab.TAKEN}
    assert (clone / "lab" / "00_first.ipynb").read_text() == "00_first.ipynb, as committed"


def test_what_a_reader_saved_stays_and_what_he_did_not_touch_follows_the_lesson(clone: Path) -> None:
    lab.copy_pages(clone)
    mine, untouched = clone / "lab" / "00_first.ipynb", clone / "lab" / "01_second.ipynb"
    mine.write_text("mine")
    assert lab.copy_pages(clone) == [], "a lesson that did not change has nothing new to offer"
    for name in ("00_first.ipynb", "01_second.ipynb"):
        (clone / "notebooks" / name).write_text("a new edition")
    for _ in range(2):
        (line,) = lab.copy_pages(clone)
        assert line.startswith("lab/00_first.ipynb is yours")
        assert (mine.read_text(), untouched.read_text()) == ("mine", "a new edition")
    mine.rename(mine.with_name("00_mine.ipynb"))
    assert lab.copy_pages(clone) == []
    assert mine.read_text() == "a new edition"


def test_jupyterlab_begins_in_the_clone_and_gets_the_arguments(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from jupyterlab.labapp import LabApp

    given = []
    monkeypatch.setattr(LabApp, "launch_instance", given.extend)
    lab.main(["--no-browser", "--port", "9000"], clone)
    assert given == [f"--ServerApp.root_dir={clone}", "--LabApp.default_url=/lab/tree/lab", *given[2:]]
    assert given[2:] == ["--no-browser", "--port", "9000"]
    assert (clone / "lab" / "00_first.ipynb").exists()


def test_a_broken_record_is_named(clone: Path) -> None:
    (clone / "lab").mkdir()
    (clone / "lab" / lab.TAKEN).write_text("{")
    assert lab.TAKEN in lab.main([], clone)


def test_git_and_lint_do_not_see_the_copies(repository: Path) -> None:
    ignored = (repository / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert f"{lab.FOLDER}/" in ignored


def make(repository: Path, *arguments: str, **variables: str) -> str:
    """What make would do, without doing it."""
    ours = ("CONDA", "MAKE", "MFLAGS", "VENV", "PYTHON", "CPU", "ARGS")  # make itself may have started these tests
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    command = ["make", "--dry-run", "--directory", str(repository), *arguments]
    return subprocess.run(command, env=kept | variables, capture_output=True, text=True, check=True).stdout


def test_make_hands_arguments_on(repository: Path) -> None:
    told = make(repository, "lab", "ARGS=--no-browser --port 9000")
    assert "-m reidlib.app.lab --no-browser --port 9000" in told


@pytest.mark.parametrize(
    ("variables", "folder"),
    [
        ({}, ".venv"),
        ({"CONDA_PREFIX": "/conda/envs/mine", "CONDA_DEFAULT_ENV": "mine"}, "/conda/envs/mine"),
        ({"CONDA_PREFIX": "/conda", "CONDA_DEFAULT_ENV": "base"}, ".venv"),
        ({"CONDA_PREFIX": "/conda/envs/mine", "CONDA_DEFAULT_ENV": "mine", "VENV": "named"}, "named"),
    ],
)
def test_make_uses_the_active_conda_environment_but_base(repository: Path, variables: dict, folder: str) -> None:
    told = make(repository, "run", **variables)
    assert f'scripts/environment.py "{folder}"' in told and f'"{folder}/bin/python" -m reidlib.app.notebooks' in told
    assert "--cpu" not in told


def test_make_asks_for_torch_without_cuda(repository: Path) -> None:
    assert 'scripts/environment.py ".venv" --cpu' in make(repository, "run", "CPU=1")
