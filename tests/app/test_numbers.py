"""Result numbers in prose are written from records."""

import json
from pathlib import Path

import pytest

from reidlib.app import frontpage, numbers
from reidlib.experiments import ledger, photographs

ROOT = Path(__file__).resolve().parent.parent.parent


def markdown() -> list[tuple[str, str]]:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "reidlib" / "methods").rglob("README.md")]
    found = [(page.name, page.read_text(encoding="utf-8")) for page in pages if page.name != "CHANGELOG.md"]
    for page in sorted((ROOT / "notebooks").rglob("*.ipynb")):
        cells = json.loads(page.read_text(encoding="utf-8"))["cells"]
        found += [(page.name, "".join(cell["source"])) for cell in cells if cell["cell_type"] == "markdown"]
    return found


def test_no_result_number_is_typed_by_hand() -> None:
    assert not [(name, number) for name, text in markdown() for number in numbers.typed(text)]


def test_no_line_begins_with_a_mark() -> None:
    """In Markdown a comment at the beginning of a line ends the paragraph."""
    assert not [(name, line) for name, text in markdown() for line in text.splitlines() if line.startswith("<!--= ")]


@pytest.mark.parametrize(
    "text",
    [
        "FIENet gains 5.5 mAP", "it gains 5.5 points", "rank-1 of 47.4", "mAP 48.0", "about 47 % of them",
        "+3 points of mAP", "rank-1: 47", "48.0 ± 1.4 mAP", "by 12 per cent",
    ],
)  # fmt: skip
def test_a_typed_number_is_noticed(text: str) -> None:
    assert list(numbers.typed(f"Here {text}, we say."))


@pytest.mark.parametrize(
    "text",
    ["a 95 % interval", "seeds for ±1 mAP", "`mAP 48.0`", "in 5 epochs", "<!--= D0a low -->7.6<!--/--> points of mAP"],
)
def test_what_is_filled_or_no_result_is_left_alone(text: str) -> None:
    assert not list(numbers.typed(text))


def test_numbers_are_filled_from_the_key_of_a_row() -> None:
    value = numbers.values(ledger.PUBLISHED)
    text = "by <!--= D0a difference -->99<!--/--> to <!--= sysu cpu FIENet: mAP -->0<!--/-->"
    filled = numbers.fill(text, value)
    assert filled == f"by <!--= D0a difference -->{value('D0a difference')}<!--/--> to " + (
        f"<!--= sysu cpu FIENet: mAP -->{value('sysu cpu FIENet: mAP')}<!--/-->"
    )
    assert numbers.fill(filled, value) == filled and "99" not in filled
    key = "photographs FIENet, colour → colour: difference"
    row = photographs.table(network="FIENet", task="colour → colour", centred=False).iloc[-1]
    assert value(key) == f"{100 * row['difference']:.1f}"
    assert value("photographs baseline, random weights, grey → colour: mAP")
    for key in ("photographs Nobody, grey → colour: mAP", "photographs FIENet, grey → colour: seed"):
        with pytest.raises(ValueError, match="no row of"):
            value(key)
    for key in ("D0a middle", "sysu cpu Nobody: mAP", "sysu cpu FIENet: hits", "nothing"):
        with pytest.raises(ValueError, match=r"has no|no single row"):
            value(key)


def test_pages_have_the_numbers_of_the_records(tmp_path: Path) -> None:
    for folder in ("notebooks", "docs"):
        (tmp_path / folder).mkdir()
    texts = {page.relative_to(ROOT): page.read_text(encoding="utf-8") for page in (ROOT / "docs").glob("*.md")}
    texts[Path("README.md")] = (ROOT / "README.md").read_text(encoding="utf-8")
    for page, text in texts.items():
        (tmp_path / page).write_text(text, encoding="utf-8")
    frontpage.fill_numbers(tmp_path, ledger.PUBLISHED)
    for page, text in texts.items():
        assert (tmp_path / page).read_text(encoding="utf-8") == text, "make results"
    (tmp_path / "README.md").write_text("<!--= D9x low -->1<!--/-->")
    with pytest.raises(ValueError, match=r"README\.md: no single row"):
        frontpage.fill_numbers(tmp_path, ledger.PUBLISHED)
