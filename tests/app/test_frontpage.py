"""The front page says what the published ledger says."""

from pathlib import Path

import pytest

from reidlib.app import frontpage
from reidlib.experiments import claims, ledger

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.slow
def test_readme_is_in_step_with_the_published_ledger() -> None:
    block = frontpage.results(ledger.PUBLISHED)
    assert block in (ROOT / "README.md").read_text(encoding="utf-8"), "make results"


def test_results_of_an_empty_ledger_name_the_claims(own_ledger) -> None:
    ledger.PUBLISHED.write_text(ledger.LEDGER.header + "\n")
    block = frontpage.results(ledger.PUBLISHED)
    assert block.splitlines()[0] == frontpage.BEGIN and block.splitlines()[-1] == frontpage.END
    assert block.count("| no runs yet |") == len(claims.parts()) and block.count("**") == 2, (
        "the heading of a table without rows"
    )


def test_a_block_takes_the_place_of_the_last_one(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text("before\n<b>\nold\n<e>\nafter\n")
    for _ in range(2):
        frontpage.insert(page, "<b>\nnew\n<e>")
        assert page.read_text() == "before\n<b>\nnew\n<e>\nafter\n"
    page.write_text("before\n<e>\n<b>\n")
    with pytest.raises(ValueError, match=r"README\.md lacks the lines '<b>' and '<e>'"):
        frontpage.insert(page, "<b>\nnew\n<e>")
    assert page.read_text() == "before\n<e>\n<b>\n"


def test_the_command_line_ends_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="no ledger"):
        frontpage.main(tmp_path)
