"""Prepare the virtual environment that every ``make`` target runs in; standard library only.

``python scripts/environment.py FOLDER`` creates the environment, or brings it up to date with ``pyproject.toml`` and
``constraints.txt``, and does nothing when it already is. FOLDER may be a conda environment; it is installed into and
never emptied. ``--cpu`` takes torch without CUDA, from PyTorch's own index; the environment remembers it. Concurrent
calls wait for each other; an installation that was interrupted is begun again. ``python scripts/environment.py --key``
prints the name under which an environment for this Python and these two files may be cached.
"""

import argparse
import fcntl
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tomllib
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXTRAS = "notebooks,cluster,site,dev"
CPU_INDEX = "https://download.pytorch.org/whl/cpu"  # its 2.15.0+cpu is what pip takes for torch==2.15.0
# {"ours": we created the folder, "lock": hash of what is completely installed, "cpu": with torch for CPUs}
STATE = ".reidlib-environment.json"
GUARD = ".reidlib-environment.lock"


def lock_hash() -> str:
    """Hash of everything that decides what is installed; other parts of ``pyproject.toml`` may change freely."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = [project["build-system"], project["project"], (ROOT / "constraints.txt").read_text(encoding="utf-8")]
    return hashlib.sha256(json.dumps([EXTRAS, *wanted], sort_keys=True).encode()).hexdigest()[:16]


def key() -> str:
    """Name of a cached environment: Python's version and the lock's hash."""
    return f"{sys.version_info.major}.{sys.version_info.minor}-{lock_hash()}"


def prepare(venv: Path, cpu: bool = False) -> None:
    """Make ``venv`` hold exactly what the lock asks for. A folder that we did not create is never emptied.

    ``cpu`` decides when torch is installed; an environment that is ready stays as it is.
    """
    _refuse_other_folders(venv)
    if _is_ready(venv):  # without the guard: a finished environment may belong to another user
        return
    venv.mkdir(parents=True, exist_ok=True)
    with _guard(venv):
        if _is_ready(venv):
            return
        state, works = _read_state(venv), _works(venv)
        ours, cpu = state.get("ours", not _is_environment(venv)), cpu or state.get("cpu", False)
        if _is_conda(venv) and not works:
            sys.exit(f"{venv} has no Python 3.11 with pip: conda install --prefix {venv} 'python>=3.11' pip")
        if ours and (not works or not state.get("lock")):
            _empty(venv)
            works = False
        _write_state(venv, ours=ours, lock=None, cpu=cpu)
        if not works:
            _create(venv)
        _install(venv, cpu)
        _write_state(venv, ours=ours, lock=lock_hash(), cpu=cpu)


def _refuse_other_folders(venv: Path) -> None:
    if venv.exists() and not venv.is_dir():
        sys.exit(f"VENV={venv} is a file; name a folder for the virtual environment")
    known = _is_environment(venv) or (venv / STATE).exists() or (venv / GUARD).exists()
    if venv.is_dir() and any(venv.iterdir()) and not known:
        sys.exit(f"VENV={venv} is a folder with other files in it; name a new folder or a virtual environment")


def _is_environment(venv: Path) -> bool:
    return (venv / "pyvenv.cfg").exists() or _is_conda(venv)


def _is_conda(venv: Path) -> bool:
    return (venv / "conda-meta").is_dir()


@contextmanager
def _guard(venv: Path):
    """Hold the folder alone; the operating system lets go of it when this process and its pip end, however they end."""
    with open(venv / GUARD, "w") as file:
        os.set_inheritable(file.fileno(), True)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"waiting for another process that prepares {venv}", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _is_ready(venv: Path) -> bool:
    return _read_state(venv).get("lock") == lock_hash() and _works(venv)


def _read_state(venv: Path) -> dict:
    try:
        return json.loads((venv / STATE).read_text())
    except FileNotFoundError:
        return {}


def _write_state(venv: Path, **state: bool | str | None) -> None:
    temporary = venv / f"{STATE}.new"
    temporary.write_text(json.dumps(state) + "\n")
    temporary.replace(venv / STATE)


def _works(venv: Path) -> bool:
    """Whether the environment's Python starts (its base may have been removed since)."""
    try:
        check = "import sys, pip; sys.exit(sys.version_info < (3, 11))"
        return subprocess.run([venv / "bin" / "python", "-c", check], capture_output=True).returncode == 0
    except OSError:
        return False


def _empty(venv: Path) -> None:
    for entry in venv.iterdir():
        if entry.name in (STATE, GUARD):
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _create(venv: Path) -> None:
    if importlib.util.find_spec("ensurepip") is None:
        sys.exit(
            f"{sys.executable} cannot create virtual environments: its ensurepip module is missing.\n"
            "On Debian and Ubuntu: apt install python3-venv; elsewhere name another Python: make PYTHON=/path/to/python"
        )
    _run([sys.executable, "-m", "venv", venv])


def _install(venv: Path, cpu: bool) -> None:
    size = "less than 1 GB" if cpu else "about 3 GB; with CPU=1, less than 1 GB"
    print(f"preparing {venv} (the first time this takes minutes and downloads {size})", flush=True)
    command = [venv / "bin" / "python", "-m", "pip", "install", "--progress-bar", "off"]
    index = ["--extra-index-url", CPU_INDEX] if cpu else []
    _run([*command, *index, "--constraint", "constraints.txt", "--editable", f".[{EXTRAS}]"])


def _run(command: list) -> None:
    # PYTHONPATH would let pip mistake the clone for an installed package; PIP_USER is an error inside an environment.
    settings = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    completed = subprocess.run(command, cwd=ROOT, env={**settings, "PIP_USER": "0"}, close_fds=False)
    if completed.returncode:
        sys.exit(f"preparing the environment failed: {' '.join(map(str, command))}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, help="the virtual environment")
    parser.add_argument("--cpu", action="store_true", help="torch without CUDA, from PyTorch's index of CPU packages")
    parser.add_argument("--key", action="store_true", help="print the key of a cached environment and stop")
    arguments = parser.parse_args()
    if arguments.key:
        print(key())
    elif arguments.folder:
        prepare(Path(os.path.abspath(arguments.folder)), arguments.cpu)
    else:
        parser.error("name the folder of the virtual environment")


if __name__ == "__main__":
    main()
