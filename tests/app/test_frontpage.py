"""Pages say what the published records say, and the front page stays short."""

from pathlib import Path

import pandas as pd
import pytest

from reidlib import methods
from reidlib.app import frontpage
from reidlib.experiments import claims, ledger

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.slow
def test_results_are_in_step_with_the_published_ledger() -> None:
    block = frontpage.results(ledger.PUBLISHED)
    assert block in (ROOT / frontpage.PAGE).read_text(encoding="utf-8"), "make results"


def test_methods_are_in_step_with_the_registry(new_method) -> None:
    assert frontpage.methods_table() in (ROOT / "README.md").read_text(encoding="utf-8"), "make results"

    class Narrow(methods.get("baseline").model):
        @classmethod
        def check_backbone(cls, backbone: str) -> None:
            if backbone != "tiny":
                raise ValueError("tiny alone")

    new_method("another", title="Another", model=Narrow, recipes={"regdb": {}}, shapes={})
    (line,) = (line for line in frontpage.methods_table().splitlines() if line.startswith("| Another |"))
    assert line == "| Another | – | ✓ | – | – | – | – | – | – | ✓ | `tiny` |"


def test_the_front_page_is_read_in_a_few_minutes() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150
    first_screen = "\n".join(text.splitlines()[:30])
    for part in ("badge.svg", "figures/ranked_strip.png", "95 % interval", "git clone", "make run", "make lab"):
        assert part in first_screen
    assert text.count("What was found") == 1 and "@software{reidlib" in text and "## Questions" in text


def test_a_sentence_names_who_leads_and_what_few_runs_are_worth() -> None:
    part = pd.DataFrame(
        {"model": ["baseline", "A", "B"], "method": ["baseline", "a", "b"], "mAP": [0.4, 0.52, 0.5], "runs": [5, 5, 5]}
    )
    assert frontpage._leader(part) == "A has the highest mean mAP, 52.0; baseline has 40.0."
    part["mAP"], part["runs"] = [0.6, 0.52, 0.5], [5, 1, 5]
    assert frontpage._leader(part).startswith("baseline has the highest mean mAP, 60.0; A has 52.0. Of some models")
    assert frontpage._leader(part[:1]) == "baseline has the highest mean mAP, 60.0."


def test_results_of_an_empty_ledger_name_the_claims(own_ledger) -> None:
    ledger.PUBLISHED.write_text(ledger.LEDGER.header + "\n")
    block = frontpage.results(ledger.PUBLISHED)
    assert block.splitlines()[0] == frontpage.BEGIN and block.splitlines()[-1] == frontpage.END
    assert block.count("| no runs yet |") == len(claims.parts()) and block.count("### ") == 0
    assert "No run of a model has a recipe of today; make them: " in block
    assert "as long: " not in block, "no sentence about runs that are not there"
    for command in ("maum-comparison --profile cpu", "fienet-training-length --profile screen"):
        assert f"`reidlib sweep {command} --seeds 0 1 2 3 4`" in block, "what makes them is named"


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
    (tmp_path / "docs").mkdir()
    with pytest.raises(SystemExit, match="no ledger"):
        frontpage.main(tmp_path)
