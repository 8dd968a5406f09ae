"""With which code was a run made? A digest of the source that decides what it computes.

It covers the training loop, the network of the method with every class that it derives from, wherever that lies, the
reader of the data set and its twin, and what these import, one by another: of this package as far as it lies in
``COVERED``, of a method from outside whatever is neither Python's own nor another installed package. Another method or
another data set may come and change without a doubt falling on the rows of this one.

The digest is taken over syntax trees without docstrings and comments, so that words make no run stale. A class without
a source file, such as one in a cell of a notebook, has the digest of the text that Python keeps of that cell.
"""

import ast
import builtins
import functools
import hashlib
import importlib.machinery
import importlib.util
import inspect
import json
import linecache
import site
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import FunctionType
from typing import Any

from reidlib import methods
from reidlib.data import Reader, ReIDDataset, own, registry, table

PACKAGE = Path(__file__).resolve().parent.parent
NAME = "reidlib"
LOOP = ("training/loop", "training/validation")
COVERED = ("compiled", "data", "losses", "methods", "networks", "twins", *LOOP)
# Where everything registered is listed (the run says which of it counts), and what only looks at trained models.
NOT_COVERED = ("methods/recipes.py", "networks/health.py")  # a recipe has a digest of its own; health is only watched
NOT_FOLLOWED = ("data.registry", "twins.build", "methods.registry", "methods.method", "evaluation", "training.runs")


def code_digest(method: str, dataset: str, reader: Reader | None = None) -> str:
    """Sixteen hexadecimal digits for the code of this method on this data set, as it lies on disk now.

    ``reader`` is that of a data set of one's own, which another process may not know by its name.

    Raises:
        ValueError: an unknown method or data set; the message lists the known.
    """
    files = source_files(method, dataset, reader)
    content = {label: _tree_digest(file.read_text(encoding="utf-8")) for label, file in files.items()}
    content |= {f"class {kind.__qualname__}": _tree_digest(_kept_text(kind)) for kind in classes_without_file(method)}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def code_for(method: str, dataset: ReIDDataset) -> str:
    """``code_digest`` of a method on an opened data set, whoever made its reader."""
    known = dataset.reader in registry.READERS.values()
    return code_digest(method, dataset.name, *(() if known else (dataset.reader,)))


def source_files(method: str, dataset: str, reader: Reader | None = None) -> dict[str, Path]:
    """The files that :func:`code_digest` covers, by their place in this package, or by their module.

    Raises:
        ValueError: an unknown method or data set; the message lists the known.
    """
    if dataset not in registry.names() and not own.NAME.fullmatch(dataset):
        raise ValueError(f"unknown data set {dataset!r}; choose one of: {', '.join(registry.names())}")
    reader = registry.READERS.get(dataset) or reader or registry.registered().get(dataset)
    read = reader.read if reader else table.read
    read = getattr(read, "func", read)  # of a partial: its own module is functools
    if registry.is_own(dataset):
        others = ("data/folders", "data/table")
    else:
        others = {
            f"twins/{name}" for name in (dataset.replace("-", "_"), read.__module__.split(".")[-1])
        }  # one is there
    to_do = [(PACKAGE / f"{name}.py", "") for name in (*LOOP, *others)]
    to_do += [(file, kind.__module__) for kind in (*_classes(method), read) if (file := _file_of(kind))]
    found: dict[Path, str] = {}
    home = methods.get(method).model.__module__.split(".")[0]
    for kind in classes_without_file(method):
        to_do += _imports(_kept_text(kind), "", home)
    while to_do:
        file, module = to_do.pop()
        file = file.resolve()
        if file in found or not file.is_file():
            continue
        found[file] = file.relative_to(PACKAGE).as_posix() if file.is_relative_to(PACKAGE) else _label(module, file)
        if file.is_relative_to(PACKAGE):
            module = ".".join([NAME, *file.relative_to(PACKAGE).with_suffix("").parts])
        to_do += _imports(file.read_text(encoding="utf-8"), module, home, file.name == "__init__.py")
    inside = {label for file, label in found.items() if file.is_relative_to(PACKAGE)}
    left_out = {label for label in inside if label in NOT_COVERED or not label.startswith(COVERED)}
    return {label: file for file, label in sorted(found.items()) if label not in left_out}


def classes_without_file(method: str) -> list[type]:
    """The network's class, and those it derives from, of which there is no source file; none for most methods."""
    return [kind for kind in _classes(method) if not _file_of(kind)]


def _classes(method: str) -> list[type]:
    """The classes that say how a method's network computes: all it derives from but Python's and torch's own."""
    return [kind for kind in methods.get(method).model.__mro__ if not _is_foundation(kind)]


def _is_foundation(kind: type) -> bool:
    top = kind.__module__.split(".")[0]
    if top == "torch" or (top in sys.stdlib_module_names and top not in ("builtins", "__main__")):
        return getattr(sys.modules.get(kind.__module__), kind.__qualname__, None) is kind
    return getattr(builtins, kind.__name__, None) is kind


def _file_of(kind: type | FunctionType) -> Path | None:
    """The file of a class or function; none if Python knows of no such file, or if it defines nothing of that name."""
    if kind.__module__.split(".")[0] == NAME:
        return PACKAGE / f"{kind.__module__.removeprefix(NAME).lstrip('.').replace('.', '/')}.py"
    try:
        file = Path(inspect.getsourcefile(kind) or "")
        names = {getattr(node, "name", None) for node in ast.walk(ast.parse(file.read_bytes()))}
    except (TypeError, OSError, SyntaxError, ValueError):
        return None
    return file if kind.__name__ in names else None


def _kept_text(kind: type) -> str:
    """The text that a class without a file was defined by, as far as Python keeps it: that of its functions' cell."""
    functions = [getattr(value, "__func__", value) for value in vars(kind).values()]
    files = {function.__code__.co_filename for function in functions if inspect.isfunction(function)}
    return "\n".join("".join(linecache.getlines(file)) for file in sorted(files))


def _label(module: str, file: Path) -> str:
    """What tells a file outside this package from others on every machine."""
    return file.name if module in ("", "__main__", "__mp_main__") else f"{module} {file.name}"


def _imports(text: str, module: str, home: str, is_package: bool = False) -> Iterator[tuple[Path, str]]:
    """The files, and the names of their modules, that a text imports, wherever in it, as far as they are followed."""
    for node in ast.walk(_tree(text)):
        if isinstance(node, ast.Import):
            wanted = [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            package = module.split(".")
            package = package[: len(package) - node.level + is_package] if node.level else []
            base = ".".join([*package, *([node.module] if node.module else [])])
            wanted = [(base, alias.name) for alias in node.names]
        else:
            continue
        for base, name in wanted:
            if base.split(".")[0] == NAME:
                yield from ((found, "") for found in _provider(base.removeprefix(NAME).lstrip("."), name))
            elif base and module.split(".")[0] != NAME:  # this package imports nobody's own code
                yield from _outside(base, name, home)


def _provider(module: str, name: str) -> Iterator[Path]:
    """The files of this package behind ``from reidlib.<module> import <name>``, unless they are not to be followed.

    The ``__init__`` of a package is looked through, never covered: an imported package stands for all it offers.
    """
    inner = f"{module}.{name}".strip(".")
    if any(f"{inner}.".startswith(f"{stop}.") for stop in NOT_FOLLOWED):
        return
    for candidate in (inner, module):
        file = PACKAGE / f"{candidate.replace('.', '/')}.py"
        if candidate and file.is_file():
            yield file
            return
    whole = inner and (PACKAGE / inner.replace(".", "/")).is_dir()
    package, wanted = (inner, None) if whole else (module, name)
    for node in ast.walk(ast.parse((PACKAGE / package.replace(".", "/") / "__init__.py").read_bytes())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == NAME:
            for entry in node.names:
                if wanted in (None, entry.asname or entry.name):
                    yield from _provider(node.module.removeprefix(NAME).lstrip("."), entry.name)


def _outside(base: str, name: str, home: str) -> Iterator[tuple[Path, str]]:
    """The file of a module outside this package, if it is somebody's own: not installed, or of the method's package."""
    top = base.split(".")[0]
    if top != home and _is_installed(top):
        return
    for candidate in (f"{base}.{name}", base) if name else (base,):
        with suppress(Exception):  # packages above it are imported, and may refuse
            found = sys.modules.get(candidate) or importlib.util.find_spec(candidate)
            origin = getattr(found, "__file__", None) or getattr(found, "origin", None)
            if origin and origin.endswith(".py"):
                yield Path(origin), candidate
                return


@functools.cache
def _is_installed(top: str) -> bool:
    """Whether a top-level module is Python's own or lies with the installed packages; nothing is imported."""
    spec = None if top in sys.stdlib_module_names else importlib.machinery.PathFinder.find_spec(top)
    places = [spec.origin] if spec and spec.origin else list(spec.submodule_search_locations or []) if spec else []
    installed = {*sysconfig.get_paths().values(), *site.getsitepackages(), site.getusersitepackages()}
    return all(
        any(Path(place).is_relative_to(folder) for folder in installed)
        or not {"site-packages", "dist-packages"}.isdisjoint(Path(place).parts)  # of another environment on the path
        for place in places
    )


@functools.cache
def _tree_digest(text: str) -> str:
    return hashlib.sha256(json.dumps(_plain(_tree(text))).encode()).hexdigest()


def _tree(text: str) -> ast.Module:
    """The syntax tree of a text; one that only holds the text where it is not plain Python."""
    try:
        return ast.parse(text)
    except SyntaxError:
        return ast.parse(f"text = {text!r}")


def _plain(node: Any) -> Any:
    """A syntax tree as lists and text, without statements that are only words; alike in all versions of Python."""
    if isinstance(node, list):
        return [_plain(each) for each in node if not _is_words(each)]
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = {name: value for name, value in ast.iter_fields(node) if name not in ("ctx", "kind", "type_comment")}
    return [type(node).__name__, {name: _plain(value) for name, value in fields.items() if value not in (None, [])}]


def _is_words(node: Any) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
