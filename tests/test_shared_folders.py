"""Folders that cannot be written in: who opens what is there needs no lock, and who must write learns how."""

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from reidlib import paths
from reidlib.data import cache
from reidlib.experiments import tables
from reidlib.training import runs


def open_cache(folder: Path) -> None:
    Image.new("RGB", (4, 8)).save(folder / "one.png")
    cache.open_cache("some", folder, ["one.png"], 8, 4, progress=False)


def lock_run(folder: Path) -> None:
    with runs.locked(folder / "runs" / "one"):
        pass


def lock_table(folder: Path) -> None:
    with tables.locked(folder / "runs" / "ledger.csv"):
        pass


WRITERS = [(open_cache, "REIDLIB_CACHE"), (lock_run, "REIDLIB_RUNS"), (lock_table, "REIDLIB_RUNS")]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REIDLIB_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def forbid(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """``forbid(number)``: from now on nothing new can be made, and the system gives this reason."""

    def begin(number: int) -> None:
        real = os.open

        def opened(path: str, flags: int, *arguments: object, **options: object) -> int:
            if flags & (os.O_CREAT | os.O_RDWR | os.O_WRONLY):
                refuse(path)
            return real(path, flags, *arguments, **options)

        def refuse(path: str, *_: object, **__: object) -> None:
            raise OSError(number, os.strerror(number), str(path))

        monkeypatch.setattr(os, "open", opened)
        monkeypatch.setattr(os, "mkdir", refuse)

    return begin


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES])
@pytest.mark.parametrize(("write", "variable"), WRITERS)
def test_the_folder_and_the_variable_are_named(tmp_path: Path, forbid: Callable, write, variable, number: int) -> None:
    Image.new("RGB", (4, 8)).save(tmp_path / "one.png")
    (tmp_path / "cache" / "some").mkdir(parents=True)
    forbid(number)
    with pytest.raises(OSError, match=rf"cannot write in .*{os.strerror(number)}.*set {variable} to") as error:
        write(tmp_path) if write is not open_cache else cache.open_cache("some", tmp_path, ["one.png"], 8, 4)
    assert error.value.errno == number


def test_a_whole_cache_opens_where_nothing_can_be_written(tmp_path: Path, forbid: Callable) -> None:
    open_cache(tmp_path)
    forbid(errno.EROFS)
    assert len(cache.open_cache("some", tmp_path, ["one.png"], 8, 4)) == 1


@pytest.mark.parametrize(("write", "variable"), WRITERS)
def test_locks_can_be_held_by_every_user_who_may_write_there(tmp_path: Path, write, variable: str) -> None:
    before = os.umask(0o077)
    try:
        write(tmp_path)
    finally:
        os.umask(before)
    (lock,) = [file for file in tmp_path.rglob("*.lock") if file.name != ".pages.lock"]
    assert stat.S_IMODE(lock.stat().st_mode) == 0o666


def test_what_is_refused_elsewhere_keeps_its_own_message(tmp_path: Path) -> None:
    with pytest.raises(PermissionError) as error, paths.locked(tmp_path / "folder" / ".lock", "REIDLIB_HOME"):
        raise PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "an image.jpg"))
    assert "REIDLIB_HOME" not in str(error.value)


def test_a_cache_on_a_disk_that_fills_up_is_named_and_leaves_nothing(tmp_path: Path, monkeypatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"no space left for .*\.npy: it takes .* MB.*REIDLIB_CACHE"):
        open_cache(tmp_path)
    assert not list((tmp_path / "cache").rglob("*.npy")) + list((tmp_path / "cache").rglob("*.partial"))
