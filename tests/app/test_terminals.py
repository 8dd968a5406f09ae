"""Terminals that cannot print every character: a command does its work and says what it can."""

import io
import sys

import pytest

from reidlib.app import cli, commands

pytestmark = pytest.mark.usefixtures("isolated_home", "own_ledger")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_characters_that_a_terminal_lacks_are_replaced(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    def list_(*_: object) -> int:
        print("rank-1 · λ → \ud800 done")
        return 0

    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict")
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(
        commands, "COMMANDS", (list_, *(each for each in commands.COMMANDS if each.__name__ != "list_"))
    )
    assert cli.main(["list"]) == 0
    stream.flush()
    text = stream.buffer.getvalue().decode(encoding)
    assert text.startswith("rank-1 ") and text.endswith("? done\n") and ("λ" in text) == (encoding == "utf-8")


def test_an_output_that_cannot_be_set_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    class Notebook(io.StringIO):
        pass

    monkeypatch.setattr(sys, "stdout", output := Notebook())
    assert cli.main(["--version"]) == 0 and output.getvalue().startswith("reidlib ")
    monkeypatch.setattr(sys, "stdout", None)
    assert cli.main(["--version"]) == 0
