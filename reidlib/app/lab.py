"""JupyterLab on copies of the notebooks: ``python -m reidlib.app.lab [arguments of JupyterLab]``, which is `make lab`.

The copies lie in ``lab/``, which git ignores, at the same depth as ``notebooks/``: links and figures are found from
there. Whatever a reader runs and saves leaves the committed pages as they are. The file browser begins in the clone.
"""

import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from reidlib import paths
from reidlib.app.pages import ROOT

FOLDER = "lab"
TAKEN = ".taken.json"  # the digest of each page when it was copied, by its path below `lab/`


def copy_pages(root: Path = ROOT) -> list[str]:
    """Bring the notebooks and solutions of a clone to ``lab/``; a copy that a reader has changed stays as it is.

    Returns:
        What the reader is told: a line for each changed copy whose lesson has changed since, too.

    Raises:
        OSError, ValueError: ``lab/`` cannot be written, or its record cannot be read; the message names the file.
    """
    folder, told = root / FOLDER, []
    record = folder / TAKEN
    taken = paths.read_json(record) if record.is_file() else {}
    for page in sorted((root / "notebooks").rglob("*.ipynb")):
        name = page.relative_to(root / "notebooks")
        if ".ipynb_checkpoints" in name.parts:
            continue
        copy, content = folder / name, page.read_bytes()
        own = copy.exists() and _digest(copy.read_bytes()) != taken.get(name.as_posix())
        if own and _digest(content) == taken.get(name.as_posix()):
            continue
        if own:
            told.append(f"{FOLDER}/{name} is yours, and its lesson has changed since: rename it to get the new one")
            continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        paths.write(copy, content)
        taken[name.as_posix()] = _digest(content)
    paths.write(record, json.dumps(taken, indent=1).encode() + b"\n")
    return told


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int | str | None:
    """Copy the pages, then hand over to JupyterLab with its own arguments; returns the exit status, or why not."""
    from jupyterlab.labapp import LabApp

    try:
        for line in copy_pages(root):
            print(line, flush=True)
    except (OSError, ValueError) as error:
        return str(error)
    places = [f"--ServerApp.root_dir={root}", f"--LabApp.default_url=/lab/tree/{FOLDER}"]
    return LabApp.launch_instance([*places, *(sys.argv[1:] if arguments is None else arguments)])


if __name__ == "__main__":
    sys.exit(main())
