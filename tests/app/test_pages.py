"""The notebooks as they are committed, and what the first cell of each does."""

import re
import statistics
from pathlib import Path

import nbformat
import pytest

from reidlib.app import notebooks, pages

ROOT = pages.ROOT
LESSONS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SOLUTIONS = sorted((ROOT / "notebooks" / "solutions").glob("*.ipynb"))

lessons = pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
everything = pytest.mark.parametrize("path", [*LESSONS, *SOLUTIONS], ids=lambda path: f"{path.parent.name}/{path.stem}")


def cells(path: Path, kind: str = "code") -> list:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == kind]


def test_there_are_notebooks_and_each_has_its_solutions() -> None:
    assert LESSONS
    assert [path.name for path in LESSONS] == [path.name for path in SOLUTIONS]


@lessons
def test_notebook_keeps_its_budget(path: Path) -> None:
    lines = [len(cell.source.splitlines()) for cell in cells(path)]
    assert len(lines) <= 45
    assert statistics.median(lines) <= 8
    assert max(lines) <= 40
    assert path.stat().st_size <= 1_000_000


@lessons
def test_lesson_begins_with_environment_then_profile_and_ends_with_exercises(path: Path) -> None:
    first, second, *_ = cells(path)
    text = "\n".join(cell.source for cell in cells(path, "markdown"))
    assert first.source == pages.environment_cell() and first.metadata == pages.HIDDEN
    assert "profiles.get(" in second.source, "the second code cell sets paths and profile"
    assert re.findall(r"^## +(.+?) *$", text, re.MULTILINE)[-3:] == ["Summary", "Exercises", "References"]


@lessons
def test_lesson_has_checked_outputs(path: Path) -> None:
    checked = [cell for cell in cells(path) if re.search(r"^# NBVAL_CHECK_OUTPUT$", cell.source, re.MULTILINE)]
    assert len(checked) >= 2
    assert all(cell.outputs for cell in checked), "a checked cell must show something"


@everything
def test_colab_gives_the_page_a_gpu(path: Path) -> None:
    assert nbformat.read(path, as_version=4).metadata == pages.METADATA


@everything
def test_a_slider_changes_a_figure_through_its_display_handle(path: Path) -> None:
    """Not through an Output widget (``interact``): of 72 such cells, nbclient lost the reply of two, and waited."""
    assert not [cell.id for cell in cells(path) if re.search(r"\b(interact\w*|Output)\(", cell.source)]


@everything
def test_committed_outputs_are_complete_and_clean(path: Path) -> None:
    counts = [cell.execution_count for cell in cells(path)]
    assert counts == list(range(1, len(counts) + 1)), "not executed top to bottom in one go: make publish"
    assert notebooks.unfit(nbformat.read(path, as_version=4)) == []


# What reads like a measurement: 53.4, +5.45, 1.5e-3; 12 %, 12 per cent, 3 points.
MEASURED = re.compile(
    r"(?<![\w.])[+−-]?(?:\d[\d,]*\.\d+(?:e[+-]?\d+)?(?![\w.]*\w)|\d[\d,]*\s*(?:%|per cent|points?\b))"
)
# Settings that are named in words: no result of a run.
SETTINGS = (
    "95 % interval",
    "95 % confidence",
    "a gain of 0.1 mAP may",
    "below 0.8 the part",
    "λ (0.3, 1 and 3)",
    "shares of 0.7, 0.4 and 0.2",
    "margins from 0 to 0.5",
)


def measured_numbers(text: str) -> list[str]:
    """What looks like a result in the prose of a cell: outside code, equations, addresses, settings, references."""
    text, _, _ = text.partition("## References")
    for span in (r"```.*?```", r"`[^`]*`", r"\$\$.*?\$\$", r"\$[^$]*\$", r"\]\([^)]*\)"):
        text = re.sub(span, " ", text, flags=re.DOTALL)
    for setting in SETTINGS:
        text = re.sub(re.escape(setting).replace(r"\ ", r"\s+"), " ", text)
    return [found.group() for found in MEASURED.finditer(text)]


@everything
def test_prose_holds_no_measured_number(path: Path) -> None:
    """Numbers are computed in a cell or read from the ledger or the published table, so that they stay in step."""
    prose = [cell.source for cell in cells(path, "markdown")]
    assert not [(number, text[:60]) for text in prose for number in measured_numbers(text)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("FIENet reaches 53.4 here", ["53.4"]),
        ("a gain of +5.45, or −0.8.", ["+5.45", "−0.8"]),
        ("in 12 % of all cases, 30 per cent, 3 points", ["12 %", "30 per cent", "3 points"]),
        ("| MAUM | 71.68 | 1,234.5 |", ["71.68", "1,234.5"]),
        ("`weight=0.1`, $\\rho = 0.7$ and\n$$x = 0.5,\\quad y = 12\\%$$", []),
        ("small runs tried λ (0.3, 1\nand 3), on 128×64 images, 3 seeds, notebook 02, section 7.", []),
        ("[page](https://doi.org/10.1109/TPAMI.2021.3054775)", []),
        ("Two points, a few per cent, MAUM 2.0.1, 1,800 / 200", []),
        ("text\n## References\n* pages 12.5 to 20", []),
    ],
)
def test_measured_numbers_are_told_from_settings(text: str, found: list[str]) -> None:
    assert measured_numbers(text) == found


def test_badges_cells_and_table_are_in_step(tmp_path: Path) -> None:
    copies = {path: tmp_path / path.relative_to(ROOT) for path in (*LESSONS, *SOLUTIONS, ROOT / "README.md")}
    others = [ROOT / "pyproject.toml", ROOT / "notebooks" / pages.LESSONS]
    for path, copy in [*copies.items(), *((path, tmp_path / path.relative_to(ROOT)) for path in others)]:
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    pages.label_all(tmp_path)
    for path, copy in copies.items():
        assert copy.read_text() == path.read_text(), f"{path.name}: make badges"


def test_every_lesson_says_what_it_needs() -> None:
    known = pages.lessons()
    assert [*known] == [path.stem for path in LESSONS]
    assert all(lesson["needs"] for lesson in known.values())


def test_the_longest_time_of_the_same_code_stays(tmp_path: Path) -> None:
    (tmp_path / "notebooks").mkdir()
    file = tmp_path / "notebooks" / pages.LESSONS
    file.write_text('{"01_first": {"needs": "nothing"}}')

    def took(seconds: float, code: str, profile: str = "cpu") -> dict:
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
        file.write_bytes(pages.timed({"01_first": seconds}, {"01_first": notebook}, profile, tmp_path))
        lesson = pages.lessons(tmp_path)["01_first"]
        assert lesson["needs"] == "nothing"
        return lesson["seconds"]

    assert took(300.04, "x = 1") == {"cpu": 300.0}
    assert took(5, "x = 1") == {"cpu": 300.0}, "its runs were there"
    assert took(60, "x = 1", "gpu") == {"cpu": 300.0, "gpu": 60.0}
    assert took(20, "x = 2") == {"cpu": 20.0}, "another lesson"
    file.write_text('{"01_first": "nothing"}')
    with pytest.raises(ValueError, match="01_first must say what it needs"):
        pages.lessons(tmp_path)
