"""Notebooks that cannot be read, and how notebooks are written: all of them named, each of them whole."""

import errno
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from reidlib import paths
from reidlib.app import notebooks, pages

GOOD = nbformat.writes(new_notebook(cells=[new_markdown_cell("# A title"), new_code_cell("x = 1")])).encode()
FIELDS = json.loads(GOOD)
CONFLICT = b"<<<<<<< HEAD\n" + GOOD + b"\n=======\n" + GOOD + b"\n>>>>>>> other\n"
DAMAGED = {
    "conflict": (CONFLICT, "line 1 marks a merge in git that was not ended"),
    "conflict within": (GOOD.replace(b"{", b"{\n<<<<<<< HEAD", 1), "line 2 marks a merge in git"),
    "truncated": (GOOD[: len(GOOD) // 2], "is not valid JSON"),
    "empty": (b"", "is not valid JSON"),
    "utf-16": (GOOD.decode().encode("utf-16"), "is not in UTF-8"),
    "binary": (bytes(range(256)), "is not in UTF-8"),
    "text": (b"print('hello')", "is not valid JSON"),
    "deep": (b'{"nbformat": 4, "cells": ' + b"[" * 10**5 + b"]" * 10**5 + b"}", "nested too deep"),
    "list": (b"[]", "is JSON, but no notebook"),
    "number": (b"4", "is JSON, but no notebook"),
    "object": (b"{}", "is JSON, but no notebook .*nbformat"),
    "version 3": (json.dumps(FIELDS | {"nbformat": 3}).encode(), "format 3, not 4: open and save it in Jupyter"),
    "version 5": (json.dumps(FIELDS | {"nbformat": 5}).encode(), "format 5, not 4"),
    "no minor": (b'{"nbformat": 4, "cells": [], "metadata": {}}', "is JSON, but no notebook"),
    "minor text": (json.dumps(FIELDS | {"nbformat_minor": "x"}).encode(), "is JSON, but no notebook"),
    "cells": (json.dumps(FIELDS | {"cells": {}}).encode(), "is JSON, but no notebook"),
    "cell": (json.dumps(FIELDS | {"cells": [1]}).encode(), "is JSON, but no notebook"),
    "source": (GOOD.replace(b'"x = 1"', b"1"), "is JSON, but no notebook"),
    "half a character": (GOOD.replace(b'"x = 1"', b'"\\ud800"'), "is JSON, but no notebook .*surrogates"),
}


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone in miniature with two good notebooks; what is executed goes to its ``build``."""
    (tmp_path / "pyproject.toml").write_text('[project.urls]\nRepository = "https://github.com/someone/somewhere"\n')
    (tmp_path / "README.md").write_text(f"before\n\n{pages.TABLE_BEGIN}\n{pages.TABLE_END}\n\nafter\n")
    (tmp_path / "notebooks" / "solutions").mkdir(parents=True)
    for name in ("01_first", "02_second", "solutions/01_first"):
        (tmp_path / "notebooks" / f"{name}.ipynb").write_bytes(GOOD)
    folders = {"REIDLIB_BUILD": str(tmp_path / "build"), "REIDLIB_RUNS": str(tmp_path / "runs")}
    for name, value in (folders | {"REIDLIB_PROFILE": "cpu"}).items():
        monkeypatch.setenv(name, value)
    return tmp_path


def tree(folder: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file() and file.name != ".pages.lock"}


@pytest.mark.parametrize("kind", DAMAGED)
def test_damaged_notebooks_are_all_named_and_none_is_executed_or_written(
    clone: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    content, reason = DAMAGED[kind]
    for name in ("00_before", "02_second", "solutions/01_first"):
        (clone / "notebooks" / f"{name}.ipynb").write_bytes(content)
    before = tree(clone)
    monkeypatch.setattr(notebooks, "execute", lambda *_: pytest.fail("executed"))
    for verb, number in ((notebooks.publish, "3 of 4"), (pages.label_all, "3 of 4"), (run_all, "2 of 3")):
        with pytest.raises(notebooks.NotebookError, match=reason) as error:
            verb(root=clone)
        message = str(error.value)
        assert message.startswith(f"{number} notebooks") and "git checkout" in message and len(message) < 1500
        assert [name in message for name in ("00_before", "01_first.ipynb", "02_second")] == [
            True,
            number == "3 of 4",  # of the solutions
            True,
        ]
    assert tree(clone) == before


SCRAPS = (
    b"null",
    b"[]",
    b"{}",
    b"-1",
    b"1e400",
    b"NaN",
    b'"x"',
    b"\xff",
    b"\0",
    b",",
    b"]",
    b"}",
    b"[" * 99,
    b"9" * 9999,
)
SCRAPS += (b'"y"', b'"# z"', b"1", b"5", b"7", b"true", b'"code"')


def altered(generator: np.random.Generator) -> bytes:
    """A notebook with values exchanged, bytes changed, or parts cut, doubled or filled in."""
    content = bytearray(GOOD)
    for _ in range(generator.integers(1, 3)):
        first, last = np.sort(generator.integers(0, len(content) + 1, 2)).tolist()
        scrap = SCRAPS[generator.integers(0, len(SCRAPS))]
        kind = generator.integers(0, 12)
        if kind > 3:
            values = list(re.finditer(rb'(?<=: )("[^"]*"|[0-9]+|null|\{\}|\[\])', content))
            if values:
                first, last = values[generator.integers(0, len(values))].span()
            content[first:last] = scrap
        elif kind == 1:
            content[first : first + 3] = generator.bytes(3)
        elif kind == 2:
            del content[first : min(last, first + 40)]
        elif kind == 3:
            content[last:last] = content[first:last]
        else:
            content[first:first] = scrap
    return bytes(content)


def test_altered_notebooks_are_read_or_named(tmp_path: Path) -> None:
    """And what was read can be written, labelled and read again."""
    found = {"read": 0, "named": 0}
    for case in range(300):
        path = tmp_path / f"case {case}.ipynb"
        path.write_bytes(altered(np.random.default_rng([2026, case])))
        try:
            (notebook,) = pages.read([path]).values()
        except notebooks.NotebookError as error:
            assert str(path) in str(error) and len(str(error)) < 1000, case
            found["named"] += 1
            continue
        path.write_bytes(pages.as_bytes(notebook))
        assert pages.read([path])[path] == notebook, case
        found["read"] += 1
    assert min(found.values()) >= 10, found


def run_all(root: Path) -> None:
    notebooks.run(notebooks.find(root=root), root)


@pytest.mark.parametrize("kind", ["folder", "link to nothing", "pipe"])
def test_what_is_no_file_is_named(clone: Path, kind: str) -> None:
    path = clone / "notebooks" / "00_before.ipynb"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("nothing")
    with pytest.raises(notebooks.NotebookError, match=r"1 of 3 notebooks cannot be used(.|\n)*00_before"):
        run_all(clone)


def test_a_byte_order_mark_is_accepted_and_not_written_again(clone: Path) -> None:
    path = clone / "notebooks" / "01_first.ipynb"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD)
    pages.label_all(clone)
    assert nbformat.read(path, as_version=4).cells[-1].source == "x = 1"


@pytest.mark.parametrize("verb", ["run", "publish", "badges"])
def test_the_command_line_ends_with_one_message_and_status_1(clone: Path, repository: Path, verb: str) -> None:
    (clone / "notebooks" / "02_second.ipynb").write_bytes(CONFLICT)
    for folder in ("reidlib", "tests"):  # modules find the clone by their own place
        (clone / folder).mkdir(exist_ok=True)
    shutil.copytree(repository / "reidlib", clone / "reidlib", dirs_exist_ok=True)
    ended = subprocess.run(
        [sys.executable, "-m", "reidlib.app.notebooks", verb],
        env=os.environ | {"PYTHONPATH": str(clone)},
        cwd=clone,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1 and "Traceback" not in ended.stderr
    assert "02_second.ipynb, line 1 marks a merge" in ended.stderr


@pytest.mark.parametrize("point", ["fsync", "replace"])
def test_badges_are_written_for_all_or_for_none(clone: Path, monkeypatch: pytest.MonkeyPatch, point: str) -> None:
    before = tree(clone)
    real, calls = getattr(os, point), []

    def full(*names: object) -> None:
        calls.append(names)
        if len(calls) == (3 if point == "fsync" else 1):
            raise OSError(errno.ENOSPC, "No space left on device")
        real(*names)

    with monkeypatch.context() as patch:
        patch.setattr(os, point, full)
        with pytest.raises(OSError, match=r"no space left for .*\.(ipynb|md): it takes"):
            pages.label_all(clone)
    assert tree(clone) == before
    (clone / "README.md").write_text("no lines")
    before = tree(clone)
    with pytest.raises(ValueError, match="lacks the lines"):
        pages.label_all(clone)
    assert tree(clone) == before


def test_leftovers_of_a_killed_write_go_with_the_next_one(clone: Path) -> None:
    left = clone / "notebooks" / "01_first.ipynb.0123abcd.partial"
    left.write_bytes(b"half")
    pages.label_all(clone)
    assert not left.exists()


def test_what_an_execution_wrote_is_told_without_a_clock(tmp_path: Path) -> None:
    stays, again, late = (tmp_path / f"{name}.png" for name in ("stays", "again", "late"))
    for file in (stays, again):
        file.write_bytes(b"content")
        os.utime(file, (2**32, 2**32))  # a clock that is wrong: it lies in the future
    before = notebooks._state(tmp_path)
    paths.write(again, b"content")
    late.write_bytes(b"new")
    for file in (again, late):
        os.utime(file, (1, 1))
    assert notebooks._written(tmp_path, before) == [again, late]
