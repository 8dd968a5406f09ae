"""Where things lie on disk: one function per question, no global state."""

import json
import os
from pathlib import Path

MANIFEST = "twin.json"
"""The file that tells the folder of a twin from a real tree."""


def home() -> Path:
    """The folder under which twins, caches, runs and figures are written.

    ``$REIDLIB_HOME`` if set; else the clone this package is imported from; else the current folder (a plain install,
    for example on Colab).
    """
    if folder := os.environ.get("REIDLIB_HOME"):
        return Path(folder).expanduser().resolve()
    clone = Path(__file__).resolve().parent.parent
    return clone if (clone / "pyproject.toml").is_file() and (clone / "notebooks").is_dir() else Path.cwd()


def data_root(name: str) -> Path | None:
    """``$REIDLIB_DATA/<name>``, where licensed data sets are kept; ``None`` if the variable is not set."""
    folder = os.environ.get("REIDLIB_DATA")
    return Path(folder).expanduser() / name if folder else None


def twin_folder(name: str, profile: str) -> Path:
    """Where the twin of a data set is built: ``data/twins/<profile>/<name>``."""
    return home() / "data" / "twins" / profile / name


def cache_folder() -> Path:
    """Where decoded images are cached: ``$REIDLIB_CACHE`` if set, else ``data/cache``."""
    folder = os.environ.get("REIDLIB_CACHE")
    return Path(folder).expanduser() if folder else home() / "data" / "cache"


def build_folder() -> Path:
    """Where notebooks leave figures and tables: ``$REIDLIB_BUILD`` if set, else ``build`` (never committed)."""
    folder = os.environ.get("REIDLIB_BUILD")
    return Path(folder).expanduser() if folder else home() / "build"


def read_manifest(root: Path) -> dict | None:
    """Return the manifest of the twin at ``root``, or ``None`` if the folder holds none.

    Raises:
        ValueError: the file is there but is no valid manifest.
    """
    path = Path(root) / MANIFEST
    if not path.is_file():
        return None
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        valid = all(isinstance(manifest[key], str) for key in ("twin_version", "dataset", "profile"))
        valid = valid and isinstance(manifest["images"], int) and len(manifest["image_size"]) == 2
    except (ValueError, KeyError, TypeError):
        valid = False
    if not valid:
        raise ValueError(f"{path} is not a valid twin manifest; delete the folder and build the twin again")
    return manifest
