"""What the first cell of every notebook does where reidlib is not installed, with pip's part noted and not done."""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from reidlib.app import pages


@pytest.fixture
def cell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable:
    """``cell(fails=…)`` runs the cell on a Colab without reidlib, umap and a GPU; returns what pip is to install."""
    (here := tmp_path / "content").mkdir()
    monkeypatch.chdir(here)
    monkeypatch.delenv("REIDLIB_SOURCE", raising=False)
    monkeypatch.setitem(sys.modules, "google.colab", ModuleType("google.colab"))
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.setattr("shutil.which", lambda name: None)
    missing, real = {"reidlib", "umap"}, importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in missing else real(name))

    def run(fails: str = "", installed: bool = False) -> list[str]:
        asked = []

        def pip(command: list[str], **_: object) -> SimpleNamespace:
            assert command[:4] == [sys.executable, "-m", "pip", "install"]
            asked.extend(command[4:])
            return SimpleNamespace(returncode=int(bool(fails)), stderr=fails)

        monkeypatch.setattr(subprocess, "run", pip)
        missing.difference_update({"reidlib"} if installed else ())
        exec(pages.environment_cell().replace("/content", str(here)), {})
        return asked

    return run


def test_an_installed_package_is_used(cell: Callable, capsys: pytest.CaptureFixture) -> None:
    assert cell(installed=True) == ["--quiet", "--no-deps", "umap-learn"]
    assert capsys.readouterr().out.startswith("installed umap-learn\nNo GPU here: Runtime")


@pytest.mark.parametrize("place", [".", "..", "reidlib", "drive/MyDrive", "drive/MyDrive/reidlib"])
def test_a_clone_is_imported_from_where_it_lies(cell: Callable, tmp_path: Path, place: str) -> None:
    clone = tmp_path / "content" / place
    (clone / "reidlib").mkdir(parents=True)
    (clone / "reidlib" / "__init__.py").touch()
    assert cell() == ["--quiet", "--no-deps", "umap-learn"]
    assert Path(sys.path[0]).resolve() == clone.resolve()


@pytest.mark.parametrize("place", [".", "..", "drive/MyDrive", "drive/MyDrive/reidlib"])
def test_a_wheel_is_installed_before_anything_from_afar(
    cell: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setenv("REIDLIB_SOURCE", "elsewhere")
    folder = tmp_path / "content" / place
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "reidlib-0.1.0-py3-none-any.whl").touch()
    options, wheel = cell()[:2], cell()[2]
    assert options == ["--quiet", "--no-deps"] and Path(wheel).resolve().parent == folder.resolve()


def test_a_source_of_the_users_own_comes_before_the_address(cell: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    assert f"git+{pages.repository()}@v" in cell()[2]
    monkeypatch.setenv("REIDLIB_SOURCE", "git+https://example.org/fork")
    assert cell()[2] == "git+https://example.org/fork"


def test_a_folder_of_that_name_is_no_package(cell: Callable, tmp_path: Path) -> None:
    (tmp_path / "content" / "reidlib").mkdir()
    assert pages.repository() in cell()[2]


def test_where_nothing_works_two_lines_say_what_to_do(cell: Callable) -> None:
    failure = "WARNING: slow\n  fatal: unable to access 'https://…': Could not resolve host\nERROR: in short\nhint"
    with pytest.raises(ImportError) as refused:
        cell(fails=failure)
    lines = refused.value._render_traceback_()
    assert len(lines) == 2 and pages.repository() in lines[0] and "Could not resolve host" in lines[0]
    assert "REIDLIB_SOURCE" in lines[1] and "make wheel" in lines[1] and "My Drive" in lines[1]


def test_what_only_figures_need_is_not_required(cell: Callable, capsys: pytest.CaptureFixture) -> None:
    cell(fails="error: no network", installed=True)
    assert capsys.readouterr().out.startswith("error: no network\n")


def test_elsewhere_pip_brings_what_a_package_needs_and_a_prepared_machine_does_nothing(
    cell: Callable, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.delitem(sys.modules, "google.colab")
    assert cell()[0] == "--quiet" and "--no-deps" not in cell() and len(cell()) == 2
    assert cell(installed=True) == [] and not capsys.readouterr().out


def test_kaggle_is_told_by_its_environment(cell: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "google.colab")
    monkeypatch.setitem(os.environ, "KAGGLE_KERNEL_RUN_TYPE", "Interactive")
    assert "--no-deps" in cell() and "umap-learn" in cell()
