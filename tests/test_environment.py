"""``scripts/environment.py``: what it does with folders it finds, with pip's part replaced by a note."""

import importlib.util
import json
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / "scripts" / "environment.py"


def load_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("environment_script", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, with an environment that consists of marks: ``calls`` lists what was done."""
    module = load_script()
    module.calls = []

    def create(venv: Path) -> None:
        module.calls.append("create")
        (venv / "pyvenv.cfg").touch()
        (venv / "works").touch()

    monkeypatch.setattr(module, "_create", create)
    monkeypatch.setattr(module, "_works", lambda venv: (venv / "works").exists())
    monkeypatch.setattr(module, "_install", lambda venv, cpu: module.calls.append("install, cpu" if cpu else "install"))
    return module


def test_a_new_environment_is_created_once(script: ModuleType, tmp_path: Path) -> None:
    venv = tmp_path / "with a space" / "venv"
    script.prepare(venv)
    script.prepare(venv)
    assert script.calls == ["create", "install"]


def test_a_changed_lock_installs_again_into_the_same_environment(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script.prepare(tmp_path / "venv")
    monkeypatch.setattr(script, "lock_hash", lambda: "another")
    script.prepare(tmp_path / "venv")
    assert script.calls == ["create", "install", "install"]


def test_an_interrupted_installation_is_begun_again_from_nothing(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    venv = tmp_path / "venv"
    with monkeypatch.context() as patch:

        def interrupted(venv: Path, cpu: bool) -> None:
            (venv / "lib").mkdir()
            (venv / "lib" / "half a package").touch()
            raise KeyboardInterrupt

        patch.setattr(script, "_install", interrupted)
        with pytest.raises(KeyboardInterrupt):
            script.prepare(venv)
    script.prepare(venv)
    assert script.calls == ["create", "create", "install"]
    assert not (venv / "lib").exists()


def test_an_environment_whose_python_is_gone_is_made_anew(script: ModuleType, tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    script.prepare(venv)
    (venv / "works").unlink()
    script.prepare(venv)
    assert script.calls == ["create", "install", "create", "install"]


def test_somebody_elses_environment_is_used_and_never_emptied(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    venv = tmp_path / "venv"
    venv.mkdir()
    for name in ("pyvenv.cfg", "works", "their package"):
        (venv / name).touch()
    with monkeypatch.context() as patch:
        patch.setattr(script, "_install", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            script.prepare(venv)
    script.prepare(venv)
    assert script.calls == ["install"]
    assert (venv / "their package").exists()


def test_a_folder_with_other_files_is_refused_and_left_as_it_is(script: ModuleType, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "one.jpg").touch()
    with pytest.raises(SystemExit, match="other files in it"):
        script.prepare(folder)
    assert [path.name for path in folder.iterdir()] == ["one.jpg"]
    with pytest.raises(SystemExit, match="is a file"):
        script.prepare(folder / "one.jpg")


def test_concurrent_calls_install_once(script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def install(venv: Path, cpu: bool) -> None:
        time.sleep(0.2)
        script.calls.append("install")

    monkeypatch.setattr(script, "_install", install)
    with ThreadPoolExecutor(3) as pool:  # the guard holds between open files, so threads stand for processes
        list(pool.map(script.prepare, [tmp_path / "venv"] * 3))
    assert script.calls == ["create", "install"]


def test_a_python_that_cannot_create_environments_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = load_script()
    monkeypatch.setattr(script.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match="python3-venv"):
        script.prepare(tmp_path / "venv")


def test_the_key_follows_what_is_installed_and_nothing_else(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, constraints = tmp_path / "pyproject.toml", tmp_path / "constraints.txt"
    text = '[build-system]\nrequires = []\n[project]\ndependencies = ["numpy"]\n'
    monkeypatch.setattr(script, "ROOT", tmp_path)
    project.write_text(text)
    constraints.write_text("numpy==2.4.6\n")
    first = script.key()
    project.write_text(text + "[tool.ruff]\nline-length = 120\n")
    assert script.key() == first
    constraints.write_text("numpy==2.4.7\n")
    second = script.key()
    project.write_text(text.replace('"numpy"', '"numpy", "scipy"'))
    assert len({first, second, script.key()}) == 3


def test_the_state_is_readable(script: ModuleType, tmp_path: Path) -> None:
    script.prepare(tmp_path / "venv")
    state = json.loads((tmp_path / "venv" / script.STATE).read_text())
    assert state == {"ours": True, "lock": script.lock_hash(), "cpu": False}


def test_a_conda_environment_is_installed_into_and_never_emptied(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conda = tmp_path / "envs" / "mine"
    (conda / "conda-meta").mkdir(parents=True)
    with pytest.raises(SystemExit, match=r"no Python 3\.11 with pip: conda install --prefix .* 'python>=3\.11' pip"):
        script.prepare(conda)
    (conda / "works").touch()
    with monkeypatch.context() as patch:
        patch.setattr(script, "_install", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            script.prepare(conda)
    script.prepare(conda)
    assert script.calls == ["install"] and (conda / "conda-meta").is_dir()


def test_an_environment_without_cuda_stays_one_when_the_lock_changes(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script.prepare(tmp_path / "venv", cpu=True)
    script.prepare(tmp_path / "venv")
    monkeypatch.setattr(script, "lock_hash", lambda: "another")
    script.prepare(tmp_path / "venv")
    assert script.calls == ["create", "install, cpu", "install, cpu"]


@pytest.mark.parametrize("cpu", [True, False])
def test_torch_without_cuda_comes_from_its_own_index_beside_the_usual_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cpu: bool
) -> None:
    script, commands = load_script(), []
    monkeypatch.setattr(script, "_run", commands.append)
    script._install(tmp_path, cpu)
    (command,) = commands
    assert (("--extra-index-url", script.CPU_INDEX) in pairwise(command)) is cpu
    assert "--index-url" not in command, "other packages are not there"
    assert command[-4:] == ["--constraint", "constraints.txt", "--editable", f".[{script.EXTRAS}]"]
