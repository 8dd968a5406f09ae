"""The image cache: right bytes, valid for the files it was built from, and never half built."""

import os
import pickle
import signal
import subprocess
import sys
import time
from collections import namedtuple

import numpy as np
import pytest
import torch
from PIL import Image, ImageFile

import reidlib.data
from reidlib.data import cache as cache_module
from reidlib.data import decode

SIZE = (16, 8)


@pytest.fixture
def dataset(tree):
    return reidlib.data.open("sysu", root=tree)


@pytest.fixture
def decoded(monkeypatch):
    """The files decoded so far."""
    files, read_image = [], decode.read_image
    monkeypatch.setattr(decode, "read_image", lambda path: files.append(path) or read_image(path))
    return files


def cache_files(dataset):
    folder = cache_module.paths.cache_folder() / dataset.name
    return sorted(file.name for file in folder.iterdir() if file.suffix != ".lock") if folder.exists() else []


def test_bytes_are_those_of_pillow_in_row_order(dataset):
    array = dataset.images(*SIZE).array
    assert array.shape == (len(dataset), *SIZE, 3) and array.dtype == np.uint8
    assert isinstance(array, np.memmap) and not array.flags.writeable
    for row, path in enumerate(dataset.frame["path"]):
        with Image.open(dataset.root / path) as image:
            expected = np.asarray(image.convert("RGB").resize((SIZE[1], SIZE[0]), Image.Resampling.LANCZOS))
        assert (array[row] == expected).all(), path


def test_grey_palette_and_transparent_images_become_rgb(tree):
    for number, mode in enumerate(("L", "P", "RGBA", "CMYK"), start=4):
        suffix = "jpg" if mode == "CMYK" else "png"
        Image.new("RGB", (8, 16), (200, 100, 50)).convert(mode).save(tree / f"cam1/0001/{number:04d}.{suffix}")
    array = reidlib.data.open("sysu", root=tree).images(*SIZE).array
    assert np.ptp(array[3], axis=-1).max() == 0
    assert np.abs(array[[4, 5, 6]].astype(int) - [200, 100, 50]).max() < 60


def opened_again(dataset):
    return reidlib.data.open("sysu", root=dataset.root)


def test_files_are_looked_at_once(dataset, monkeypatch):
    asked = []
    stat = os.stat
    monkeypatch.setattr(cache_module.os, "stat", lambda path, **how: asked.append(path) or stat(path, **how))
    for _ in range(3):
        dataset.images(*SIZE)
    assert sum(str(path).endswith(".jpg") for path in asked) == len(dataset)
    assert pickle.loads(pickle.dumps(dataset)).images(*SIZE).path == dataset.images(*SIZE).path
    assert len(pickle.dumps(dataset)) < 10**6, "no images travel with it"


def test_decoded_once(dataset, decoded):
    dataset.images(*SIZE)
    assert len(decoded) == len(dataset)
    reidlib.data.open("sysu", root=dataset.root).images(*SIZE)
    assert len(decoded) == len(dataset)
    dataset.images(8, 8)
    assert len(decoded) == 2 * len(dataset)
    assert len(cache_files(dataset)) == 2, "one cache per size"


@pytest.mark.parametrize("change", ["content", "time"])
def test_changed_image_gives_a_new_cache_in_place_of_the_old(dataset, decoded, change):
    before = dataset.images(*SIZE)
    file = dataset.root / dataset.frame["path"][5]
    if change == "content":
        Image.new("RGB", (9, 9), (1, 2, 3)).save(file)
    os.utime(file, ns=(1, 1))
    assert dataset.images(*SIZE) is before, "asked once"
    after = opened_again(dataset).images(*SIZE)
    assert before.path != after.path and len(decoded) == 2 * len(dataset)
    assert cache_files(dataset) == [after.path.name]
    if change == "content":
        assert after.array[5].max() <= 10


def test_added_image_and_other_root_have_their_own_cache(dataset, make_tree):
    first = dataset.images(*SIZE)
    other = reidlib.data.open("sysu", root=make_tree("other")).images(*SIZE)
    (dataset.root / "cam1/0001/0004.jpg").write_bytes((dataset.root / "cam1/0001/0001.jpg").read_bytes())
    grown = reidlib.data.open("sysu", root=dataset.root).images(*SIZE)
    assert len({first.path, other.path, grown.path}) == 3
    assert first.path.exists() and other.path.exists()


def test_cache_version_is_part_of_the_key(dataset, monkeypatch):
    before = dataset.images(*SIZE).path
    monkeypatch.setattr(cache_module, "CACHE_VERSION", cache_module.CACHE_VERSION + 1)
    assert opened_again(dataset).images(*SIZE).path != before


@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY", None])
def test_damaged_cache_file_is_built_again(dataset, decoded, damage):
    path = dataset.images(*SIZE).path
    content = path.read_bytes()
    path.unlink()  # not written over: it may still be mapped
    path.write_bytes(content[:-1] if damage is None else damage)
    assert opened_again(dataset).images(*SIZE).path.read_bytes() == content
    assert len(decoded) == 2 * len(dataset)


@pytest.mark.parametrize("tolerant", [False, True])
def test_truncated_image_is_named_and_leaves_nothing(dataset, monkeypatch, tolerant):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", tolerant)
    file = dataset.root / "cam2/0004/0002.jpg"
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(OSError, match=r"cannot decode .*cam2/0004/0002\.jpg: .*truncated"):
        dataset.images(*SIZE)
    assert cache_files(dataset) == []
    assert tolerant == ImageFile.LOAD_TRUNCATED_IMAGES, "the setting of the process is as it was"


def test_missing_image_is_named(dataset):
    (dataset.root / "cam2/0004/0002.jpg").unlink()
    with pytest.raises(FileNotFoundError, match=r"cam2/0004/0002\.jpg"):
        dataset.images(*SIZE)


def test_full_disk_is_an_error_before_any_work(dataset, decoded, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(cache_module.shutil, "disk_usage", lambda folder: usage(10, 10, 1000))
    with pytest.raises(OSError, match=r"caching 108 images of 'sysu' at 16×8 needs .* REIDLIB_CACHE"):
        dataset.images(*SIZE)
    assert decoded == [] and cache_files(dataset) == []


@pytest.mark.parametrize("size", [(0, 8), (16, -1)])
def test_size_must_be_positive(dataset, size):
    with pytest.raises(ValueError, match="must be positive"):
        dataset.images(*size)


BUILDER = """
import os, sys, time
import reidlib.data
from reidlib.data import decode
root, log, pause = sys.argv[1], sys.argv[2], float(sys.argv[3])
read_image = decode.read_image
def slow(path):
    with open(log, "a") as file:
        file.write(path.name + "\\n")
    time.sleep(pause)
    return read_image(path)
decode.read_image = slow
os.cpu_count = lambda: 1  # one thread
reidlib.data.open("sysu", root=root).images(16, 8)
"""


def start_builder(dataset, log, pause):
    return subprocess.Popen([sys.executable, "-c", BUILDER, str(dataset.root), str(log), str(pause)])


def lines(log):
    return len(log.read_text().splitlines()) if log.exists() else 0


def wait_for(condition):
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, "the builder made no progress"
        time.sleep(0.01)


def test_killed_build_leaves_no_cache_and_the_next_one_is_whole(dataset, tmp_path, decoded):
    builder = start_builder(dataset, tmp_path / "log", pause=0.05)
    wait_for(lambda: lines(tmp_path / "log") > 20)
    builder.send_signal(signal.SIGKILL)
    assert builder.wait() == -signal.SIGKILL
    assert 20 < lines(tmp_path / "log") < len(dataset), "killed half-way"
    assert [name for name in cache_files(dataset) if name.endswith(".npy")] == []
    array = dataset.images(*SIZE).array
    assert len(decoded) == len(dataset)
    assert all(array[row].any() for row in range(len(dataset)))
    assert [name.rpartition(".")[2] for name in cache_files(dataset)] == ["npy"], "and what the dead left is gone"


def test_two_processes_at_once_build_one_cache(dataset, tmp_path):
    builders = [start_builder(dataset, tmp_path / "log", pause=0.01) for _ in range(2)]
    assert [builder.wait(timeout=120) for builder in builders] == [0, 0]
    assert lines(tmp_path / "log") == len(dataset), "every image was decoded once, not twice"
    assert len(cache_files(dataset)) == 1


def test_tensor_has_the_rows_asked_for(dataset):
    cache = dataset.images(*SIZE)
    rows = np.array([7, 3, 3, 0])
    images = cache.tensor(rows)
    assert images.shape == (4, 3, *SIZE) and images.dtype == torch.uint8 and images.is_contiguous()
    assert (images.permute(0, 2, 3, 1).numpy() == cache.array[rows]).all()
    images.zero_()  # a copy: the cache is not touched
    assert cache.array[0].any()
    assert cache.tensor([]).shape == (0, 3, *SIZE)
    assert cache.tensor(torch.tensor([1, 2])).shape[0] == 2


@pytest.mark.parametrize(
    ("rows", "error"), [([-1], IndexError), ([108], IndexError), ([1.0], TypeError), ([[1]], TypeError)]
)
def test_rows_that_make_no_sense_are_refused(dataset, rows, error):
    with pytest.raises(error, match="rows must"):
        dataset.images(*SIZE).tensor(rows)
    with pytest.raises(TypeError, match="rows must"):
        dataset.images(*SIZE).tensor(np.ones(108, dtype=bool))


@pytest.mark.parametrize("free", [0, 10**9])
def test_bytes_move_to_the_device_when_they_fit(dataset, monkeypatch, free):
    monkeypatch.setattr(cache_module, "_free_bytes", lambda device: free)
    cache = dataset.images(*SIZE)
    moved = cache.on("cpu")
    assert (moved.resident is not None) == (free > 0)
    rows = np.array([9, 100, 9])
    assert torch.equal(moved.tensor(rows), cache.tensor(rows))
    with pytest.raises(IndexError):
        moved.tensor([108])


def test_who_asks_says_where_images_lie(dataset, monkeypatch):
    monkeypatch.setattr(cache_module, "_free_bytes", lambda device: 2 * 40 * dataset.images(*SIZE).array[0].nbytes)
    cache, rows = dataset.images(*SIZE), np.arange(40, 80)
    assert cache.on("cpu").resident is None, "all of them are more than half of what is free"
    some = cache.on("cpu", rows)
    assert len(some.resident) == 40 and torch.equal(some.tensor(rows[::-3]), cache.tensor(rows[::-3]))
    for outside in ([39], [80], [107]):
        with pytest.raises(IndexError, match="not on the device"):
            some.tensor(outside)
    assert cache.on("cpu", keep="device").resident is not None and cache.on("cpu", rows, keep="host").resident is None
    with pytest.raises(ValueError, match="device, host; not 'gpu'"):
        cache.on("cpu", keep="gpu")
