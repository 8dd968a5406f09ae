"""Lists of paths and labels: as people save them, and as they should not be."""

import re

import pytest

from reidlib.data.lists import Listed, read_images, require_labels

PATTERN, EXAMPLE = re.compile(r"a/(?P<pid>[0-9]+)/[^./\\:\s][^/\\:\s]*\.png"), "a/1/x.png"
TWO = [Listed("a/7/x.png", 7, 0), Listed("a/12/y.png", 12, 1)]


@pytest.fixture
def write(tmp_path):
    def write(content: bytes | str):
        (tmp_path / "list.txt").write_bytes(content if isinstance(content, bytes) else content.encode())
        return tmp_path / "list.txt"

    return write


@pytest.mark.parametrize(
    "text",
    [
        "a/7/x.png 0\na/12/y.png 1",
        "a/7/x.png 0\r\na/12/y.png 1\r\n",
        "\n\na/7/x.png 0\n\n  \na/12/y.png 1\n\n\n",
        "a/7/x.png   0 \n\ta/12/y.png\t1\n",
        "\ufeffa/7/x.png 0\na/12/y.png 1\n",
    ],
    ids=["no newline", "CRLF", "blank lines", "more blanks", "byte-order mark"],
)
def test_lists_as_people_save_them(write, text):
    assert read_images(write(text), PATTERN, EXAMPLE, "the tree") == TWO


@pytest.mark.parametrize(
    "path",
    ["../a/7/x.png", "a/../x.png", "a/7/../x.png", "a/7/..", "/a/7/x.png", "C:/a/7/x.png", "a\\7\\x.png", "a/7/._x.png",
     "b/7/x.png", "a/seven/x.png", "a/7/x.txt", "a//7/x.png", "./a/7/x.png", "a/٧/x.png"],
)  # fmt: skip
def test_other_paths_are_refused_with_file_and_line(write, path):
    with pytest.raises(ValueError, match=r"list\.txt, line 2: '.*' is no path of an image .*like 'a/1/x\.png'"):
        read_images(write(f"a/1/x.png 0\n{path} 0\n"), PATTERN, EXAMPLE, "the tree")


@pytest.mark.parametrize("rest", ["", " -1", " 1.5", " one", " 0 0", " 9999999", " ٣"])
def test_other_labels_are_refused(write, rest):
    with pytest.raises(ValueError, match=r"line 1: the path must be followed by one label"):
        read_images(write(f"a/7/x.png{rest}\n"), PATTERN, EXAMPLE, "the tree")


def test_repeated_paths_are_refused(write):
    with pytest.raises(ValueError, match=r"line 3: a/7/x\.png is listed twice"):
        read_images(write("a/7/x.png 0\na/12/y.png 1\na/7/x.png 0\n"), PATTERN, EXAMPLE, "the tree")


@pytest.mark.parametrize(("content", "message"), [("\n \n", "is empty"), (b"\xff\xfea\x00", "not plain text")])
def test_what_is_no_list_is_refused(write, content, message):
    with pytest.raises(ValueError, match=rf"list\.txt {message}|list\.txt is {message}"):
        read_images(write(content), PATTERN, EXAMPLE, "the tree")


def test_missing_list(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"list\.txt is missing"):
        read_images(tmp_path / "list.txt", PATTERN, EXAMPLE, "the tree")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": 2}, "label 2 is out of range: 2 identities, 0 … 1"),
        ({"label": 0}, "label 0 stands for identity 12 here and 7 elsewhere"),
        ({"pid": 7}, "label 1 is out of range: 1 identities"),
    ],
)
def test_labels_must_number_the_identities(change, message):
    with pytest.raises(ValueError, match=f"lists: a/12/y.png: {message}"):
        require_labels([TWO[0], TWO[1]._replace(**change)], "lists")


def test_one_identity_has_one_label():
    lines = [*TWO, TWO[1]._replace(path="a/12/z.png", label=0)]
    with pytest.raises(ValueError, match=r"z\.png: identity 12 is labelled 0 here and 1 elsewhere"):
        require_labels(lines, "lists")
    require_labels(TWO, "lists")
