"""With which code was a run made? A digest of the source files that decide what it computes.

They are those that the training loop, the model, the reader of the data set and its twin import, one by another, as far
as they lie in ``models``, ``losses``, ``data`` and ``synthetic`` or are the training loop itself. Another method or
another data set may come and change without a doubt falling on the rows of this one.
"""

import ast
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
LOOP = ("training", "validation")
COVERED = ("models", "losses", "data", "synthetic", *LOOP)
# Where everything registered is listed (the run says which of it counts), and what only looks at trained models.
NOT_FOLLOWED = ("data.registry", "synthetic.twins", "evaluation", "runs")


def code_digest(method: str, dataset: str) -> str:
    """Sixteen hexadecimal digits for the code of this method on this data set, as it lies on disk now."""
    content = {
        file.relative_to(PACKAGE).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in source_files(method, dataset)
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def source_files(method: str, dataset: str) -> list[Path]:
    """The files that :func:`code_digest` covers.

    Raises:
        ValueError: an unknown method or data set.
    """
    from reidlib.data.registry import READERS
    from reidlib.models import MODELS
    from reidlib.synthetic.twins import TWINS

    for what, name, known in (("method", method, MODELS), ("data set", dataset, READERS)):
        if name not in known:
            raise ValueError(f"unknown {what} {name!r}; choose one of: {', '.join(known)}")
    read = READERS[dataset].read
    read = getattr(read, "func", read)  # of a partial: its own module is functools
    roots = [*(f"reidlib.{name}" for name in LOOP), MODELS[method].__module__, read.__module__]
    if dataset in TWINS:
        roots.append(TWINS[dataset].__name__)
    to_do, files = [_file(root.removeprefix("reidlib.")) for root in roots if root.startswith("reidlib.")], set()
    while to_do:
        if (file := to_do.pop()) not in files:
            files.add(file)
            to_do += _imports(file)
    return sorted(file for file in files if file.relative_to(PACKAGE).with_suffix("").parts[0] in COVERED)


def _imports(file: Path) -> Iterator[Path]:
    """The files of this package that a file imports names from, wherever in it."""
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "reidlib":
            for name in node.names:
                if found := _provider(node.module.removeprefix("reidlib").lstrip("."), name.name):
                    yield found


def _provider(module: str, name: str) -> Path | None:
    """The file behind ``from reidlib.<module> import <name>``; ``None`` if it is not to be followed.

    The ``__init__`` of a package is a door, not a room: it is looked through, never covered.
    """
    inner = f"{module}.{name}".lstrip(".")
    if any(f"{inner}.".startswith(f"{stop}.") for stop in NOT_FOLLOWED):
        return None
    for candidate in (inner, module):
        if _file(candidate).is_file():
            return _file(candidate)
    door = PACKAGE / module.replace(".", "/") / "__init__.py"
    for node in ast.walk(ast.parse(door.read_bytes())):
        if isinstance(node, ast.ImportFrom) and any((entry.asname or entry.name) == name for entry in node.names):
            return _provider(node.module.removeprefix("reidlib").lstrip("."), name)
    return None


def _file(module: str) -> Path:
    return (PACKAGE / module.replace(".", "/")).with_suffix(".py")
