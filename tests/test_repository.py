"""What the repository promises as a whole: its environment, its front page, no trace of one machine."""

import contextlib
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

import reidlib
from reidlib import profiles

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
REQUIREMENTS = [*PROJECT["dependencies"], *(text for extra in EXTRAS.values() for text in extra)]

OPTIONAL = [
    "IPython",
    "ipykernel",
    "ipywidgets",
    "jupyterlab",
    "nbclient",
    "nbconvert",
    "nbformat",
    "pytorch_grad_cam",
    "umap",
    "hypothesis",
    "jupytext",
    "nbval",
    "pytest",
    "pytorch_metric_learning",
    "yaml",
    "submitit",
    "timm",
    "onnx",
    "onnxscript",
    "tyro",
]


SOURCES = sorted((ROOT / "reidlib").rglob("*.py"))


def run_python(code: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)


def test_tests_run_on_this_clone() -> None:
    assert Path(reidlib.__file__).parent == ROOT / "reidlib"


def test_importing_the_package_is_light() -> None:
    code = "import sys, reidlib; print([name for name in ('torch', 'pandas', 'numpy', 'umap') if name in sys.modules])"
    completed = run_python(code)
    assert completed.stdout.strip() == "[]", completed.stderr


def test_every_module_imports_without_the_optional_packages() -> None:
    """But what declares commands for tyro; ``app.cli``, which imports it when it is called, says what to install."""
    modules = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in SOURCES}
    commands = ("commands", "completion", "models", "options", "pictures", "records")
    modules -= {f"reidlib.app.{name}" for name in commands}
    code = f"""
import importlib, sys
for name in {OPTIONAL}:
    sys.modules[name] = None
for name in {modules}:
    importlib.import_module(name)
"""
    completed = run_python(code)
    assert completed.returncode == 0, completed.stderr


def pins() -> dict[str, Version]:
    lines = [
        line
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    ]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines), "constraints.txt holds exact versions only"
    return {canonicalize_name(name): Version(version) for name, version in (line.split("==") for line in lines)}


@pytest.mark.parametrize("text", REQUIREMENTS)
def test_every_requirement_is_pinned_within_its_bounds(text: str) -> None:
    requirement = Requirement(text)
    version = pins().get(canonicalize_name(requirement.name))
    assert version, f"{requirement.name} has no line in constraints.txt"
    assert requirement.specifier.contains(version)


def test_constraints_are_a_lock_all_that_is_installed_has_a_line() -> None:
    """What requirements require, and what these do: nothing is left to the day of the installation."""
    known, waiting, seen = pins(), [Requirement(text) for text in REQUIREMENTS], set()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        extras = {"", *requirement.extras}
        if (name, *sorted(extras)) in seen:
            continue
        seen.add((name, *sorted(extras)))
        assert name in known, f"{name} has no line in constraints.txt"
        with contextlib.suppress(metadata.PackageNotFoundError):
            distribution = metadata.distribution(name)
            assert Version(Version(distribution.version).public) == known[name]
            wanted = [Requirement(text) for text in distribution.requires or ()]
            waiting += [
                each
                for each in wanted
                if not each.marker or any(each.marker.evaluate({"extra": extra}) for extra in extras)
            ]
    assert len(seen) > 100


def test_every_pin_is_good_for_every_release_of_the_oldest_python() -> None:
    oldest = PROJECT["requires-python"].removeprefix(">=") + ".0"
    bounds = {}
    for name in pins():
        with contextlib.suppress(metadata.PackageNotFoundError):  # packages of another platform
            bounds[name] = metadata.distribution(name).metadata.get("Requires-Python", "")
    assert bounds
    assert not {name: bound for name, bound in bounds.items() if not SpecifierSet(bound).contains(oldest)}


def test_torch_and_torchvision_are_a_released_pair() -> None:
    versions = pins()
    assert (versions["torch"], versions["torchvision"]) == (Version("2.15.0"), Version("0.29.2"))


def test_conda_environment_is_in_step() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    assert environment["name"] == PROJECT["name"]
    *conda, pip = environment["dependencies"]
    python = next(line for line in conda if line.startswith("python="))
    assert Requirement(f"python{PROJECT['requires-python']}").specifier.contains(python.removeprefix("python="))
    assert {"pip", "make"} <= set(conda)
    constraint, editable = pip["pip"]
    assert constraint == "--constraint constraints.txt"
    extras = re.fullmatch(r"--editable \.\[([\w,-]+)\]", editable).group(1)
    assert set(extras.split(",")) <= set(EXTRAS)
    assert f'EXTRAS = "{extras}"' in (ROOT / "scripts" / "environment.py").read_text(encoding="utf-8")


def test_citation_is_in_step() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == reidlib.__version__
    assert citation["license"] == PROJECT["license"]
    assert citation["repository-code"] == PROJECT["urls"]["Repository"]
    preferred = citation["preferred-citation"]
    assert (preferred["version"], preferred["url"]) == (citation["version"], citation["repository-code"])
    assert preferred["year"] == citation["date-released"].year


@pytest.mark.parametrize(
    "page",
    ["README.md", "CONTRIBUTING.md", "data/README.md", "figures/README.md"]
    + [f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")],
)
def test_links_lead_somewhere(page: str) -> None:
    links = re.findall(r"\]\(([^)#]+)", (ROOT / page).read_text(encoding="utf-8"))
    local = {link for link in links if "://" not in link}
    assert not [link for link in local if not (ROOT / page).parent.joinpath(link).exists()]


def test_public_workflow_calls_what_there_is() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    commands = "\n".join(step["run"] for step in steps if "run" in step)
    targets = {name for line in re.findall(r"^make (.*)$", commands, re.MULTILINE) for name in line.split()}
    assert {"lint", "test-fast", "test", "run", "test-wheel"} == targets
    known = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert targets <= set(known)
    named = re.findall(r"[\w/]+\.(?:py|md)\b", commands + str([step.get("with") for step in steps]))
    assert named and not [name for name in named if not (ROOT / name).exists()]
    matrices = [job["strategy"]["matrix"] for job in workflow["jobs"].values() if "strategy" in job]
    versions = [*matrices[0]["python"], *(each["python"] for each in matrices[1]["include"])]
    assert min(versions, key=Version) == PROJECT["requires-python"].removeprefix(">=")
    assert all("timeout-minutes" in job for job in workflow["jobs"].values())
    badge = f"{PROJECT['urls']['Repository']}/actions/workflows/ci.yml/badge.svg"
    assert badge in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_profiles_are_named_as_they_are() -> None:
    readme = (ROOT / "docs" / "running.md").read_text(encoding="utf-8")
    for profile in profiles.PROFILES.values():
        assert f"| `{profile.name}` | {profile.height}×{profile.width} | {profile.purpose} |" in readme


def texts() -> list[Path]:
    folders = ("reidlib", "tests", "notebooks", "benchmarks", "figures", "scripts", "docs", ".ci", ".github")
    files = [
        *(file for file in ROOT.glob("*.*") if file.name != ".git"),
        ROOT / "Makefile",
        ROOT / "data" / "README.md",
    ]
    files += [file for folder in folders for file in (ROOT / folder).rglob("*")]
    suffixes = ("", ".cff", ".cfg", ".csv", ".ipynb", ".json", ".md", ".py", ".toml", ".txt", ".yml")
    files = [file for file in files if file.is_file() and file.suffix in suffixes and "__pycache__" not in file.parts]
    return [file for file in files if file.name != ".git"]  # which git writes into a worktree


def test_no_file_names_a_place_on_one_machine() -> None:
    folders = "|".join(("work", "root", "tmp", r"home/\w+", r"Users/\w+", "opt"))
    machine = re.compile(rf"(?<![\w.~:/-])/({folders})/")
    lines = [
        f"{file.relative_to(ROOT)}:{number}: {line.strip()[:80]}"
        for file in texts()
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if machine.search(line)
    ]
    assert not lines


def test_no_test_is_skipped_or_expected_to_fail() -> None:
    marks = re.compile(r"pytest\.(mark\.(" + "|".join(("skip", "xfail")) + r")|importor" + "skip)")
    assert not [path.name for path in (ROOT / "tests").rglob("*.py") if marks.search(path.read_text(encoding="utf-8"))]


def test_every_benchmark_imports_what_there_is() -> None:
    names = sorted(path.stem for path in (ROOT / "benchmarks").glob("*.py"))
    code = f"import sys; sys.path.insert(0, 'benchmarks'); [__import__(name) for name in {names}]"
    completed = run_python(code)
    assert completed.returncode == 0, completed.stderr
