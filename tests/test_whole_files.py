"""Files that are written whole: killed at any moment, the old content is there or the new, and never a half."""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from reidlib import paths

OLD, NEW = b"old content", b"new and longer content"
KILLED_AT = """
import os, signal, sys
from pathlib import Path
from reidlib import paths

die, real = lambda *_: os.kill(os.getpid(), signal.SIGKILL), os.replace
def replaced(*names):
    real(*names), die()

point = sys.argv[2]
if point == "before the write":
    Path.open = die
elif point == "after the write":
    os.fsync = die
elif point == "before the rename":
    os.replace = die
elif point == "after the rename":
    os.replace = replaced
paths.write(Path(sys.argv[1]), sys.argv[3].encode())
"""


@pytest.mark.parametrize("before", [None, OLD])
@pytest.mark.parametrize(
    ("point", "after"),
    [("before the write", None), ("after the write", None), ("before the rename", None), ("after the rename", NEW)],
)
def test_a_kill_leaves_the_old_content_or_the_new(tmp_path: Path, repository: Path, point, before, after) -> None:
    file = tmp_path / "file.csv"
    if before:
        file.write_bytes(before)
    command = [sys.executable, "-c", KILLED_AT, str(file), point, NEW.decode()]
    killed = subprocess.run(command, check=False, env={**os.environ, "PYTHONPATH": str(repository)})
    assert killed.returncode == -signal.SIGKILL, "the point was reached"
    assert (file.read_bytes() if file.exists() else None) == (after or before)
    left = {each for each in tmp_path.iterdir() if each != file}
    assert len(left) == (point in ("after the write", "before the rename")), "what is half done has another name"
    paths.remove_partials(tmp_path, "other.csv", "file.cs")
    assert left <= set(tmp_path.iterdir())
    paths.remove_partials(tmp_path, "*.csv")
    assert set(tmp_path.iterdir()) <= {file} and file.exists() == bool(before or after)


def test_who_reads_the_old_file_goes_on_reading_it(tmp_path: Path) -> None:
    file = tmp_path / "file.csv"
    file.write_bytes(OLD)
    with file.open("rb") as reader:
        paths.write(file, NEW)
        assert reader.read() == OLD and file.read_bytes() == NEW
    assert list(tmp_path.iterdir()) == [file]


def test_content_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done, file, sync, rename = [], tmp_path / "file.csv", os.fsync, os.replace

    def synced(descriptor: int) -> None:
        sync(descriptor)
        done.append(next(tmp_path.iterdir()).read_bytes())

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", lambda *names: [done.append("renamed"), rename(*names)])
    paths.write(file, NEW)
    assert done == [NEW, "renamed"]


def test_content_in_pieces_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "file.npy"
    paths.write(file, iter([b"one ", b"two"]), 7)
    assert file.read_bytes() == b"one two"

    def broken() -> Iterator[bytes]:
        yield b"half"
        assert [each.read_bytes() for each in tmp_path.glob("file.npy")] == [b"one two"]
        raise OSError("cannot decode a picture")

    with pytest.raises(OSError, match=r"^cannot decode a picture"):
        paths.write(file, broken(), 99)
    assert [each.name for each in tmp_path.iterdir()] == ["file.npy"] and file.read_bytes() == b"one two"


@pytest.mark.parametrize("point", ["fsync", "replace"])
def test_a_full_disk_is_named_and_stays_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str) -> None:
    file = tmp_path / "file.csv"
    file.write_bytes(OLD)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, point, full)
    with pytest.raises(OSError, match=r"no space left for .*file\.csv: it takes 3 MB.*REIDLIB_RUNS") as error:
        paths.write(file, bytes(3 * 10**6))
    assert error.value.errno == errno.ENOSPC
    assert list(tmp_path.iterdir()) == [file] and file.read_bytes() == OLD


def test_other_errors_stay_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        paths.write(tmp_path / "no folder" / "file.csv", NEW)
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        paths.write(tmp_path / "folder", NEW)
    assert [each.name for each in tmp_path.iterdir()] == ["folder"]


def test_a_link_is_replaced_and_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "away").write_bytes(OLD)
    (tmp_path / "file.csv").symlink_to(tmp_path / "away")
    paths.write(tmp_path / "file.csv", NEW)
    assert (tmp_path / "away").read_bytes() == OLD and (tmp_path / "file.csv").read_bytes() == NEW


def test_links_and_pipes_are_no_files(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(OLD)
    (tmp_path / "link").symlink_to(tmp_path / "file")
    (tmp_path / "lost").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "lost", "pipe"):
        with pytest.raises(ValueError, match=f"{name} is a link or no plain file"):
            paths.require_no_link(tmp_path / name)
    paths.require_no_link(tmp_path / "file"), paths.require_no_link(tmp_path / "absent")
    with pytest.raises(OSError), open(tmp_path / "link", "ab", opener=paths.without_links):
        pass
