"""A wrong root: the tree that is meant is named, never another one; what is not unpacked or not mounted is said."""

import errno
import os
from pathlib import Path

import pytest

from reidlib import data
from reidlib.data import marks, places, registry

SPLITS = {"regdb": 1, "pku-sketch": 1}


def make(root: Path, name: str, way: int = -1) -> Path:
    for part in marks.MARKS[name][way]:
        (root / part).mkdir(parents=True)
    return root


def said(name: str, root: Path) -> str:
    with pytest.raises(FileNotFoundError) as caught:
        data.open(name, root=root, split=SPLITS.get(name))
    return str(caught.value)


@pytest.mark.parametrize("wanted, folder", [("shoe", "ShoeV2"), ("chair", "ChairV2")])
def test_shoes_and_chairs_side_by_side(tmp_path: Path, wanted: str, folder: str) -> None:
    make(tmp_path / "ChairV2", "chair"), make(tmp_path / "ShoeV2", "shoe")
    assert f"did you mean root='{tmp_path / folder}'?" in said(wanted, tmp_path)
    (tmp_path / folder).rename(tmp_path / "zzz")
    assert f"did you mean root='{tmp_path / 'zzz'}'?" in said(wanted, tmp_path), (
        "the one that has another name is not it"
    )


@pytest.mark.parametrize("name", registry.READERS)
def test_the_right_one_of_all_is_named_however_deep(tmp_path: Path, name: str) -> None:
    for each in registry.READERS:
        make(tmp_path / "download" / f"{each} set" / "again", each, 0)
    assert f"did you mean root='{tmp_path / 'download' / f'{name} set' / 'again'}'?" in said(name, tmp_path)


@pytest.mark.parametrize("name", registry.READERS)
def test_the_tree_of_another_set_is_recognised(tmp_path: Path, name: str) -> None:
    other = "regdb" if name != "regdb" else "sysu"
    make(tmp_path / "here", other)
    assert f"looks like the tree of {other!r}" in said(name, tmp_path / "here")
    text = said(name, tmp_path)
    assert f"{tmp_path / 'here'} looks like the tree of {other!r}, none like that of {name!r}" in text
    assert "did you mean" not in text


@pytest.mark.parametrize("name", registry.READERS)
def test_an_archive_an_empty_folder_and_other_capitals(tmp_path: Path, name: str) -> None:
    assert "the folder is empty (is the drive mounted" in said(name, tmp_path)
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "DataSet.ZIP").write_bytes(b"PK")
    assert f"{tmp_path / 'inner' / 'DataSet.ZIP'} is there: unpack it first" in said(name, tmp_path)
    for part in marks.MARKS[name][0]:
        (tmp_path / "turned" / part.swapcase()).mkdir(parents=True)
    first = min(part.split("/")[0].swapcase() for part in marks.MARKS[name][0])
    assert f"{first} must be called {first.swapcase()}" in said(name, tmp_path / "turned")


# ---- links and drives


@pytest.fixture(autouse=True)
def no_twin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_twin_root", lambda *_: pytest.fail("a twin in its place"))


@pytest.mark.parametrize("opened", [data.open, data.open_available])
@pytest.mark.parametrize("name", registry.READERS)
def test_a_dangling_link_under_the_variable_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, opened
) -> None:
    (tmp_path / name).symlink_to(tmp_path / "not mounted" / "set")
    monkeypatch.setenv("REIDLIB_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=rf"{name} is a link to .*not mounted/set, which is not there"):
        opened(name, split=SPLITS.get(name))


@pytest.mark.parametrize("opened", [data.open, data.open_available])
def test_a_dangling_link_above_the_data_set_is_one_too(tmp_path: Path, monkeypatch, opened) -> None:
    (tmp_path / "disk").symlink_to(tmp_path / "not mounted")
    for place in (tmp_path / "disk", tmp_path / "disk" / "sets"):
        monkeypatch.setenv("REIDLIB_DATA", str(place))
        with pytest.raises(FileNotFoundError, match=r"disk is a link to .*not mounted, which is not there"):
            opened("sysu")
    monkeypatch.delenv("REIDLIB_DATA")
    for root in (tmp_path / "disk", tmp_path / "disk" / "SYSU-MM01"):
        for read in (lambda root: data.open("sysu", root=root), data.from_folders):
            with pytest.raises(FileNotFoundError, match=r"disk is a link to .*not mounted, which is not there"):
                read(root)


def test_a_chain_and_a_circle_of_links_lead_nowhere(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "c")
    for link in (None, tmp_path / "c"):
        if link:
            link.symlink_to(tmp_path / "a")
        with pytest.raises(FileNotFoundError, match=r"a is a link to .*/b, which is not there"):
            data.open("sysu", root=tmp_path / "a")


@pytest.mark.parametrize("number", [errno.EACCES, errno.ENOTCONN, errno.EIO, errno.ESTALE])
@pytest.mark.parametrize("function", ["lstat", "listdir"])
def test_what_cannot_be_looked_at_is_no_reason_for_a_twin(tmp_path, monkeypatch, number: int, function: str) -> None:
    (tmp_path / "regdb").mkdir()
    monkeypatch.setenv("REIDLIB_DATA", str(tmp_path))

    def refuse(path="."):
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(places.os, function, refuse)
    with pytest.raises(OSError, match=r"cannot be looked at \(.*\); mount the drive again, or ask for permission"):
        data.open_available("sysu")


def test_an_unreadable_root_is_named(tmp_path, monkeypatch) -> None:
    def refuse(path="."):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(places.os, "scandir", refuse)
    with pytest.raises(PermissionError, match=r"cannot be looked at \(Permission denied\)"):
        data.open("sysu", root=tmp_path)


def test_an_empty_folder_of_data_sets_is_warned_of(tmp_path, monkeypatch, caplog) -> None:
    monkeypatch.setenv("REIDLIB_DATA", str(tmp_path))
    monkeypatch.setattr(registry, "open", lambda *_, **options: options)
    assert data.open_available("sysu", "ci") == {"twin": "ci", "split": None}
    assert "an empty folder: is the drive mounted?" in caplog.text
