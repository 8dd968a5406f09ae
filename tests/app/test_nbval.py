"""How nbval is set up in ``notebooks/``: proved on small notebooks in a folder of their own."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

ROOT = Path(__file__).resolve().parent.parent.parent
RULES = (ROOT / "notebooks" / "sanitize.cfg").read_text(encoding="utf-8")
CHECKED = "# NBVAL_CHECK_OUTPUT\n"


def cell(source: str, *outputs: nbformat.NotebookNode) -> nbformat.NotebookNode:
    return new_code_cell(source, execution_count=1, outputs=list(outputs))


def text(content: str) -> nbformat.NotebookNode:
    return new_output("stream", text=content)


def run_nbval(folder: Path, *cells: nbformat.NotebookNode) -> dict[str, int]:
    """Run nbval over one notebook with these committed cells; returns pytest's counts."""
    for name in ("conftest.py", "sanitize.cfg"):
        shutil.copy(ROOT / "notebooks" / name, folder)
    (folder / "pytest.ini").write_text("[pytest]\n")
    nbformat.write(new_notebook(cells=list(cells)), folder / "page.ipynb")
    options = ["--nbval-lax", "--nbval-current-env", "--nbval-sanitize-with", str(folder / "sanitize.cfg")]
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(folder), *options]
    completed = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    counts = {name: int(count) for count, name in re.findall(r"(\d+) (passed|failed|skipped|error)", completed.stdout)}
    assert completed.returncode == (1 if "failed" in counts else 0), completed.stdout + completed.stderr
    return counts


@pytest.mark.integration
def test_one_red_cell_where_a_notebook_breaks(tmp_path: Path) -> None:
    counts = run_nbval(tmp_path, cell("x = 1"), cell("x / 0"), cell("y = 2"), cell("print(y)"))
    assert counts == {"passed": 1, "failed": 1, "skipped": 2}


@pytest.mark.integration
def test_a_different_output_fails_its_cell_only(tmp_path: Path) -> None:
    right, unmarked = cell(f"{CHECKED}print(5)", text("5\n")), cell("print(3)", text("4\n"))
    counts = run_nbval(tmp_path, cell(f"{CHECKED}print(1)", text("2\n")), unmarked, right)
    assert counts == {"passed": 2, "failed": 1}


@pytest.mark.integration
def test_vector_pictures_and_styled_tables_are_not_compared(tmp_path: Path) -> None:
    committed = {"image/svg+xml": "old", "text/html": "old", "text/plain": "a table"}
    source = (
        f"{CHECKED}get_ipython().display_pub.publish({ {**committed, 'image/svg+xml': 'new', 'text/html': 'new'} })"
    )
    assert run_nbval(tmp_path, cell(source, new_output("display_data", committed))) == {"passed": 1}


def sanitised(text: str) -> str:
    for pattern, replacement in re.findall(r"^regex: (.*)$\n^replace: (.*)$", RULES, flags=re.MULTILINE):
        text = re.sub(pattern, replacement, text)
    return text


def test_every_rule_is_followed_at_once_by_its_replacement() -> None:
    lines = RULES.splitlines()
    followers = [lines[number + 1] for number, line in enumerate(lines) if line.startswith("regex: ")]
    assert followers and all(line.startswith("replace: ") for line in followers)
    assert sum(line.startswith(("regex", "replace")) for line in lines) == 2 * len(followers)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("<object at 0x7f3b2c0d1e90>", "<object at ADDRESS>"),
        ("built 2026-11-21 10:05:33.123", "built DATE"),
        ("took 12.5 s, 83 images/s", "took DURATION, DURATION"),
        ("x/ipykernel_4711/123.py:3: UserWarning", "CELL: UserWarning"),
        ("on cuda:0", "on cuda"),
        ("rank-1 0.412, 96 identities, 3803 queries", "rank-1 0.412, 96 identities, 3803 queries"),
        ("3 samples", "3 samples"),
    ],
)
def test_rules_replace_what_differs_between_machines_and_nothing_else(before: str, after: str) -> None:
    assert sanitised(before) == after
