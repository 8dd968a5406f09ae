"""Small files that somebody else wrote: read whole, or refused with their name."""

import json
import os

import pytest

from reidlib import paths


def test_json_is_read_whatever_wrote_it(tmp_path):
    file = tmp_path / "record.json"
    file.write_bytes(b"\xef\xbb\xbf" + json.dumps({"a": [1, {"b": None}]}).encode())
    assert paths.read_json(file) == {"a": [1, {"b": None}]}
    assert paths.parse_json("[" * 50 + "]" * 50, "here")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not valid JSON"),
        (b"{'a': 1}", "is not valid JSON"),
        (b"\xff\xfe{\x00", "is not in UTF-8"),
        (b"9" * 5000, "is not valid JSON"),
        (b"[" * 100_000 + b"]" * 100_000, "nested too deep"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nested too deep"),
        (b"[" * 51 + b"]" * 51, "nested more than 50 deep"),
        (b'{"a": [1, NaN]}', "is not valid JSON: NaN is no number"),
        (b"-Infinity", "is not valid JSON: -Infinity is no number"),
        (b" " * 101 + b"1", "holds more than 100 bytes"),
    ],
)
def test_json_that_cannot_be_used_is_named(tmp_path, content, message):
    file = tmp_path / "record.json"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=rf"^\S*record\.json.*{message}"):
        paths.read_json(file, most=100 if "100 bytes" in message else paths.MOST_BYTES)


def test_pipes_and_devices_are_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "endless").symlink_to("/dev/zero")
    for name in ("pipe", "endless"):
        with pytest.raises(ValueError, match=rf"{name} is not a regular file"):
            paths.read_bounded(tmp_path / name)


def test_no_more_room_is_made_than_a_file_takes(tmp_path):
    (tmp_path / "file").write_bytes(b"12345")
    assert paths.read_bounded(tmp_path / "file", most=2**62) == b"12345"
    (tmp_path / "empty").touch()
    assert paths.read_bounded(tmp_path / "empty") == b""
    os.truncate(tmp_path / "file", 2**40)  # a file of holes, which takes no room on the disk
    with pytest.raises(ValueError, match="holds more than"):
        paths.read_bounded(tmp_path / "file", most=2**34)


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent"):
        paths.read_bounded(tmp_path / "absent")
    with pytest.raises(OSError, match=tmp_path.name):
        paths.read_bounded(tmp_path)


@pytest.mark.parametrize("image_size", ["ab", [1], [1, 2.5], [1, True], {"height": 1, "width": 2}, None])
def test_a_manifest_has_two_whole_numbers_as_its_size(tmp_path, image_size):
    manifest = {"twin_version": "1", "dataset": "sysu", "profile": "ci", "images": 3, "image_size": [16, 8]}
    (tmp_path / paths.MANIFEST).write_text(json.dumps(manifest))
    assert paths.read_manifest(tmp_path) == manifest
    (tmp_path / paths.MANIFEST).write_text(json.dumps(manifest | {"image_size": image_size}))
    with pytest.raises(ValueError, match=r"twin\.json is not a valid twin manifest"):
        paths.read_manifest(tmp_path)


def test_a_manifest_that_is_nested_without_end_is_named(tmp_path):
    (tmp_path / paths.MANIFEST).write_text('{"a":' * 100_000)
    with pytest.raises(ValueError, match=r"twin\.json is not a valid twin manifest"):
        paths.read_manifest(tmp_path)
