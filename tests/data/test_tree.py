"""Links inside a tree: those that stay are followed, the others are refused by name."""

import os

import pytest

from reidlib.data.tree import refuse_outside


def link(folder, target):
    (folder / "link.jpg").symlink_to(target)
    return next(entry for entry in os.scandir(folder) if entry.name == "link.jpg")


@pytest.mark.parametrize("target", ["inside.jpg", "absent.jpg"])
def test_links_inside_are_followed(tmp_path, target):
    (tmp_path / "inside.jpg").touch()
    refuse_outside(link(tmp_path, target), tmp_path)


def test_links_that_leave_are_refused(tmp_path):
    (tmp_path / "tree").mkdir()
    with pytest.raises(ValueError, match=r"link\.jpg is a link that leaves .*tree"):
        refuse_outside(link(tmp_path / "tree", "../outside.jpg"), tmp_path / "tree")


def test_a_circle_is_named_where_it_stops_python(tmp_path, monkeypatch):
    def resolve(path):
        raise RuntimeError("Symlink loop")

    entry = link(tmp_path, "link.jpg")
    monkeypatch.setattr("pathlib.Path.resolve", resolve)  # Python 3.13 resolves a circle to itself
    with pytest.raises(ValueError, match=r"link\.jpg is a link that leads in a circle"):
        refuse_outside(entry, tmp_path)
