"""The glossary: each word is found in the notebook or page that it names, in alphabetical order."""

import json
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parent.parent / "docs" / "glossary.md"
ENTRIES = re.findall(
    r"^\* \*\*(.+?)\*\*: (.+) \(\[[\w ]+\]\(\.\./(.+?)\)\)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE
)


def test_every_entry_has_its_form_and_its_place() -> None:
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("*")]
    assert len(ENTRIES) == len(lines) >= 30
    words = [word.lower() for word, _, _ in ENTRIES]
    assert words == sorted(words)


@pytest.mark.parametrize(("word", "text", "notebook"), ENTRIES, ids=[word for word, _, _ in ENTRIES])
def test_the_notebook_has_the_word(word: str, text: str, notebook: str) -> None:
    told = (PAGE.parent.parent / notebook).read_text(encoding="utf-8")
    if notebook.endswith(".ipynb"):
        told = "\n".join("".join(cell["source"]) for cell in json.loads(told)["cells"])
    told = re.sub(r"\W+", " ", told).lower()
    stems = [re.sub(r"\W+", " ", each).lower().strip() for each in re.split(r",| and | \(", word.rstrip(")"))]
    assert any(stem.removesuffix(" features") in told for stem in stems), f"{notebook} has no {stems}"
    assert text.count(". ") <= 2
