"""Links inside a tree: those that stay are followed, the others are refused by name."""

import os

import pytest

from reidlib.data.tree import refuse_outside


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("inside.jpg", None),
        ("../outside.jpg", "leaves"),
        ("loop.jpg", "leads nowhere"),
        ("absent.jpg", "leads nowhere"),
    ],
)
def test_links(tmp_path, target, message):
    folder = tmp_path / "tree"
    folder.mkdir()
    (folder / "inside.jpg").touch(), (tmp_path / "outside.jpg").touch()
    (folder / "link.jpg").symlink_to(target)
    entry = next(entry for entry in os.scandir(folder) if entry.name == "link.jpg")
    if message is None:
        return refuse_outside(entry, folder)
    with pytest.raises(ValueError, match=rf"link\.jpg is a link that {message}"):
        refuse_outside(entry, folder)
