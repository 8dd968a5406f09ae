"""A thousand damaged trees over all readers end in success or in an error that names what is damaged.

None may end the process, hang, write beside the cache, or start a program. A tenth runs in ``make test``.
"""

import os
import time
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from small_trees import TREES, deep_png, image, manifest, matlab, opened

from reidlib.data import sysu

CASES, BLOCKS = 1000, 10
MOST_SECONDS = 10
POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n%%EOF\n"
HUGE_PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x75\x30\0\0\x75\x30\x08\x02\0\0\0"
OTHERS = (
    *(b"", b"\0", b"\xff\xfe1\0,\0", POSTSCRIPT, HUGE_PNG, b"[" * 100_000, b'{"a":' * 100_000, b"1," * 500_000),
    *(b"9" * 5000, b"-1,0", b"nan inf\n1e308 -1e308\n1 1e400", b"\n" * 10_000, b"BM" + bytes(60)),
    *(image("GIF"), image("TIFF"), image("PNG", mode="1"), image("JPEG", mode="CMYK"), image("PNG", 1, 1)),
    *(image("TIFF", mode="F"), image("TIFF", mode="I"), deep_png(), matlab(id=np.zeros(10**5)), matlab(id="x")),
    *(b"cos\nsystem\n(S'touch canary'\ntR.", b"\x80\x04}\x8e" + b"\xff" * 8),
)


def flipped(content: bytes, generator: np.random.Generator) -> bytes:
    spoilt = bytearray(content)
    for place in generator.integers(0, len(content), generator.integers(1, 9)):
        spoilt[place] = generator.integers(0, 256)
    return bytes(spoilt)


def one_bit(content: bytes, generator: np.random.Generator) -> bytes:
    spoilt = bytearray(content)
    spoilt[generator.integers(0, min(len(content), 400))] ^= 1 << generator.integers(0, 8)
    return bytes(spoilt)


def cut(content: bytes, generator: np.random.Generator) -> bytes:
    return content[: generator.integers(0, len(content))]


def stuffed(content: bytes, generator: np.random.Generator) -> bytes:
    place = generator.integers(0, len(content))
    return content[:place] + generator.bytes(generator.integers(1, 64)) + content[place:]


def repeated(content: bytes, generator: np.random.Generator) -> bytes:
    first, last = np.sort(generator.integers(0, len(content), 2))
    return content[:last] + content[first:last] * int(generator.integers(1, 50)) + content[last:]


def swapped(content: bytes, generator: np.random.Generator) -> bytes:
    """Something else altogether."""
    others = (*OTHERS, b"<<<<<<< HEAD\n" + content, content.replace(b"\n", b"\r\n"), content * 2)
    return others[generator.integers(0, len(others))]


CHANGES = (flipped, one_bit, cut, stuffed, repeated, swapped, swapped)


def instead_of_a_file(path: Path, generator: np.random.Generator) -> None:
    """No file, or none that can be read."""
    path.unlink()
    kind = generator.integers(0, 6)
    if kind == 1:
        path.mkdir()
    elif kind == 2:
        path.symlink_to("/dev/zero")
    elif kind == 3:
        path.symlink_to(path.name)
    elif kind == 4:
        os.mkfifo(path)
    elif kind == 5:
        path.symlink_to("../../../outside")


def damaged(folder: Path, case: int) -> tuple[str, Path]:
    """Write a small tree with one file damaged: its data set and its root."""
    generator = np.random.default_rng([2026, case])
    name = list(TREES)[generator.integers(0, len(TREES))]
    files = TREES[name] | ({"twin.json": manifest(name)} if generator.random() < 0.3 else {})
    kinds = sorted({Path(path).suffix for path in files})
    chosen = kinds[generator.integers(0, len(kinds))]  # a list is hit as often as an image
    path = generator.choice([path for path in files if Path(path).suffix == chosen])
    for place, content in files.items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_bytes(content)
    if generator.random() < 0.08:
        instead_of_a_file(folder / path, generator)
    else:
        (folder / path).write_bytes(CHANGES[generator.integers(0, len(CHANGES))](files[path], generator))
    return name, folder


def state(folder: Path) -> list[tuple]:
    return sorted((str(path), path.lstat().st_size, path.lstat().st_mtime_ns) for path in folder.rglob("*"))


def outcome(name: str, root: Path) -> str:
    """Open, check with decoding, read the images and the permutations."""
    try:
        dataset = opened(name, root)
    except (OSError, ValueError) as error:
        assert str(root) in str(error), error
        return "refused"
    report, result = dataset.check(decode=True), "read"
    assert str(report)
    for read in (
        partial(dataset.images, 16, 8, progress=False),
        *[partial(sysu.read_permutations, root)] * (name == "sysu"),
    ):
        try:
            read()
        except (OSError, ValueError) as error:
            assert str(root) in str(error), error
            assert any(problem.severity in ("error", "warning") for problem in report.problems), error
            result = "an error that check foretold"
    return result


@pytest.fixture
def world(tmp_path, monkeypatch):
    """A folder whose only program is a trap, with the cache elsewhere."""
    (tmp_path / "bin").mkdir()
    for program in ("gs", "gswin32c", "gswin64c", "convert", "touch"):
        (tmp_path / "bin" / program).write_text(f"#!/bin/sh\necho $0 > {tmp_path / 'world' / 'canary'}\n")
        (tmp_path / "bin" / program).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    (tmp_path / "world").mkdir()
    (tmp_path / "outside").write_bytes(image())
    monkeypatch.chdir(tmp_path / "world")
    return tmp_path / "world"


@pytest.mark.parametrize(
    "block", [pytest.param(n, marks=[pytest.mark.all, pytest.mark.slow] if n else []) for n in range(BLOCKS)]
)
def test_damaged_trees_are_read_or_refused_by_name(world, block):
    found = Counter()
    for case in range(block, CASES, BLOCKS):
        name, root = damaged(world / f"{case}", case)
        before, started = state(world), time.monotonic()
        try:
            found[outcome(name, root)] += 1
        except BaseException as error:
            error.add_note(f"case {case}: {name}")
            raise
        assert time.monotonic() - started < MOST_SECONDS, f"case {case}: {name}"
        assert state(world) == before, f"case {case}: {name}"
    assert sum(found.values()) == CASES // BLOCKS and min(found[kind] for kind in ("refused", "read")) >= 10, found


@pytest.mark.parametrize("name", TREES)
def test_the_trees_are_sound_before_they_are_damaged(tmp_path, name):
    for path, content in (TREES[name] | {"twin.json": manifest(name)}).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    dataset = opened(name, tmp_path)
    found = {problem.where for problem in dataset.check(decode=True).problems if problem.severity == "error"}
    assert found <= {"twin.json", "idx/test_vis.txt", "idx/test_nir.txt"}, found
    assert dataset.images(16, 8).array.shape == (len(dataset), 16, 8, 3)
