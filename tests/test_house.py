"""The order of the house: who imports whom, what a method's folder keeps to itself, and how large things are."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import reidlib
from reidlib import methods

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "reidlib"
SOURCES = sorted(PACKAGE.rglob("*.py"))
FOLDERS = [path.parent.name for path in (PACKAGE / "methods").glob("*/__init__.py")]
# A module imports from its own package and from those before it: see docs/design.md. ``methods`` is what the library
# knows of methods; ``method`` stands for the folder of one.
ORDER = (
    *("paths", "profiles", "console", "compiled", "losses", "networks", "twins", "data", "evaluation"),
    *("explain", "methods", "training", "experiments", "plots", "method", "app"),
)
MOST_LINES, MOST_ENTRIES = 300, 16


def room(parts: tuple[str, ...]) -> str:
    """Where a module lies: ``reidlib.methods.maum.model`` in the folder of a method."""
    return "method" if parts[0] == "methods" and len(parts) > 1 and parts[1] in FOLDERS else parts[0]


def place(path: Path) -> tuple[str, ...]:
    return path.relative_to(PACKAGE).with_suffix("").parts


def imports(path: Path) -> set[str]:
    """Dotted names below ``reidlib`` that a file imports, at the top or later, for types alone or not."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: imports are written out in full"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    found = {name.removeprefix("reidlib.") for name in names if name.startswith("reidlib.")}
    return found - {"submodules", "__version__"}  # of ``reidlib/__init__``


def own(path: Path) -> str | None:
    """The method whose folder a file lies in."""
    parts = place(path)
    return parts[1] if room(parts) == "method" else None


files = pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())


@files
def test_no_module_imports_against_the_order(path: Path) -> None:
    if path.parent == PACKAGE and path.name == "__init__.py":
        assert not imports(path)
        return
    here = ORDER.index(room(place(path)))
    assert not {name for name in imports(path) if ORDER.index(room(tuple(name.split(".")))) > here}


@files
def test_twins_are_a_leaf(path: Path) -> None:
    parts = place(path)
    if parts[0] == "twins":
        assert {name.split(".")[0] for name in imports(path)} <= {"twins", "paths", "profiles", "console", "compiled"}
    elif parts != ("data", "registry"):
        assert not {name for name in imports(path) if name.split(".")[0] == "twins"}, "only data.registry imports twins"


@files
def test_losses_stand_on_torch_alone(path: Path) -> None:
    if place(path)[0] == "losses":
        assert {name.split(".")[0] for name in imports(path)} <= {"losses"}
        code = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        tops = {(node.module or "").split(".")[0] for node in code if isinstance(node, ast.ImportFrom)}
        assert not tops - set(sys.stdlib_module_names) - {"torch", "reidlib"}


@files
def test_a_method_lives_in_its_folder(path: Path) -> None:
    """No other file imports it or holds its name; the LLCM protocol has a preset of the name of a paper."""
    folder = own(path)
    foreign = {name.split(".")[1] for name in imports(path) if room(tuple(name.split("."))) == "method"}
    assert foreign <= {folder}
    texts = {
        node.value
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    controls = {each.name for each in methods.get(folder).controls} if folder else set()
    allowed = {folder, *controls} | ({"idkl"} if place(path) == ("evaluation", "protocols", "llcm") else set())
    assert not (texts & set(methods.names())) - allowed


@files
def test_files_are_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


def test_there_are_few_packages() -> None:
    entries = [path for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()]
    assert len(entries) <= MOST_ENTRIES
    assert {path.stem for path in entries} - {"__init__"} == set(dir(reidlib)) == set(ORDER) - {"method"}


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_has_its_page_and_its_parts_by_their_names(name: str) -> None:
    folder = PACKAGE / "methods" / name
    usual = {"__init__", "model", "losses", "reference", "recipes", "studies", "claims", "measures", "explain", "plots"}
    assert {"__init__", "model", "recipes", "studies"} <= {path.stem for path in folder.glob("*.py")}
    page = (folder / "README.md").read_text(encoding="utf-8")
    assert len(page.splitlines()) <= 10
    for path in folder.iterdir():  # what has a name of its own is said on the page
        if path.stem not in usual and path.suffix == ".py":
            assert f"`{path.name}`" in page
    for word in ("**Idea.**", "**Documented.**", "**Reconstructed.**", "**Where to look first.**"):
        assert word in page


def test_a_real_tree_is_read_without_the_renderer(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from reidlib import data
root = Path(sys.argv[1])
for split, names in {"train": "ab", "test": "cd"}.items():
    for name in names:
        for folder, file in ((f"{split}B", f"{name}.png"), (f"{split}A", f"{name}_1.png")):
            (root / folder).mkdir(parents=True, exist_ok=True)
            from PIL import Image
            Image.new("RGBA", (8, 8)).save(root / folder / file)
dataset = data.open("shoe", root=root)
dataset.image(0), dataset.images(8, 8, progress=False), dataset.check()
from reidlib.training.provenance import code_digest
code_digest("baseline", "shoe")
print([name for name in sys.modules if name.startswith("reidlib.twins")])
"""
    command = [sys.executable, "-c", code, str(tmp_path / "shoe")]
    options = {"capture_output": True, "text": True, "cwd": ROOT}
    completed = subprocess.run(command, **options, env={"REIDLIB_CACHE": str(tmp_path / "cache"), "PATH": ""})
    assert completed.stdout.strip() == "[]", completed.stderr
