"""Reading CUFSF trees, and bringing faces to one place by three points."""

import hashlib
import io
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import reidlib.data
from reidlib.data import cufsf

POINTS = "12 20\n30 21\n21.5 38\n"
PIDS = (1, 2, 44, 5)


def photo_name(pid: int) -> str:
    return f"{pid:05d}fa001d_931230" if pid == 44 else f"{pid:05d}fb010_930831"


def gradient(seed: int, height: int = 56, width: int = 44) -> Image.Image:
    """Every pixel of it is told from the others: the alignment shows."""
    y, x = np.mgrid[0:height, 0:width]
    return Image.fromarray(np.stack([x * 4, y * 4, np.full_like(x, seed)], axis=2).astype(np.uint8))


def png(seed: int) -> bytes:
    stream = io.BytesIO()
    gradient(seed).save(stream, "PNG")
    return stream.getvalue()


def write_tree(root: Path, pids=PIDS, ending: str = "\n", image: bytes | None = None) -> Path:
    """``image``: what every image file holds; default an image of its own."""
    for folder in ("photo", "original_sketch", "photo_points", "sketch_points"):
        (root / folder).mkdir(parents=True)
    (root / cufsf.NAMES).write_bytes("".join(f"{photo_name(pid)}{ending}" for pid in pids).encode())
    for pid in pids:
        for seed, path in ((pid, f"photo/{photo_name(pid)}.png"), (100 + pid, f"original_sketch/{pid:05d}.png")):
            (root / path).write_bytes(png(seed) if image is None else image)
        (root / "photo_points" / f"{photo_name(pid)}.3pts").write_text(POINTS)
        (root / "sketch_points" / f"{pid:05d}.3pts").write_text(POINTS)
    return root


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return write_tree(tmp_path / "CUFSF")


def problems(root: Path, where: str, **options) -> list:
    return [p for p in reidlib.data.open("cufsf", root).check(**options).problems if where in p.where]


# --- the frame -------------------------------------------------------------------------------------------------------


def test_frame_of_a_small_tree(tree):
    dataset = reidlib.data.open("cufsf", tree)
    frame = dataset.frame
    assert frame["path"].tolist()[:4] == [
        "photo/00001fb010_930831.png",
        "original_sketch/00001.png",
        "photo/00002fb010_930831.png",
        "original_sketch/00002.png",
    ]
    assert frame["pid"].tolist() == [1, 1, 2, 2, 5, 5, 44, 44]
    assert frame["modality"].tolist() == frame["camid"].tolist() == [0, 1] * 4
    assert frame["name"].tolist()[-2:] == ["00044fa001d_931230"] * 2
    assert dataset.reader.modalities == ("photo", "sketch")
    assert dataset.title == "CUFSF"


def test_500_identities_train_and_694_are_tested_whatever_their_order():
    splits = cufsf.split_of(range(1, 1195))
    assert Counter(splits.values()) == {"train": 500, "test": 694}
    assert splits == cufsf.split_of(reversed(range(1, 1195)))
    train = ",".join(f"{pid:05d}" for pid, split in sorted(splits.items()) if split == "train")
    assert hashlib.sha256(train.encode()).hexdigest()[:16] == "0054e3c3c9e02f07"
    assert Counter(cufsf.split_of(range(1, 49)).values()) == {"train": 20, "test": 28}


@pytest.mark.parametrize("ending", ["\r\n", "  \n\n", ".tif\n", "\t\r\n\r\n"], ids=repr)
def test_names_as_people_save_them(tmp_path, ending):
    root = write_tree(tmp_path / "tree", ending=ending)
    (root / cufsf.NAMES).write_bytes(b"\xef\xbb\xbf" + (root / cufsf.NAMES).read_bytes())
    assert cufsf.read_names(root / cufsf.NAMES) == {pid: photo_name(pid) for pid in PIDS}
    assert len(reidlib.data.open("cufsf", root)) == 8


@pytest.mark.parametrize(
    "line",
    ["../../secret", "/etc/00001fb010_930831", "00001/../00002", "1fb010_930831", "00001fb 010", "٠٠٠٠١fb", "a00001fb"]
    + ["00002fa010_930831"],
)
def test_what_is_no_photo_name_or_a_second_one_is_refused(tree, line):
    with (tree / cufsf.NAMES).open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")
    message = "is no photo name; expected 00001fb010_930831"
    if line.startswith("00002"):
        message = "'00002fb010_930831' and '00002fa010_930831' are one identity"
    with pytest.raises(ValueError, match=rf"{cufsf.NAMES}, line 5: .*{message}"):
        reidlib.data.open("cufsf", tree)


@pytest.mark.parametrize("content", [b"", b"\n\r\n", b"\xff\xfe0\x00"])
def test_empty_and_binary_names_are_refused(tree, content):
    (tree / cufsf.NAMES).write_bytes(content)
    with pytest.raises(ValueError, match=rf"{cufsf.NAMES} is (empty|not plain text)"):
        reidlib.data.open("cufsf", tree)


@pytest.mark.parametrize(
    ("lost", "message"),
    [
        (cufsf.NAMES, rf"(?s){cufsf.NAMES} is missing.*CUFSF/"),
        *(
            (name, rf"lacks {name}; expected tree:\nCUFSF/")
            for name in ("original_sketch", "photo_points", "sketch_points")
        ),
        ("photo", "lacks photo; CUFSF holds no photographs: request FERET from NIST"),
    ],
)
def test_missing_parts_are_named_with_the_expected_tree(tree, lost, message):
    (tree / lost).rename(tree.parent / "elsewhere")
    with pytest.raises(FileNotFoundError, match=message):
        reidlib.data.open("cufsf", tree)


@pytest.mark.parametrize("suffix", ["JPG", "jpeg", "PNG", "bmp", "tif", "TIFF", "ppm"])
def test_other_image_suffixes_are_accepted(tree, suffix):
    (tree / "photo/00001fb010_930831.png").unlink()
    gradient(1).save(tree / f"photo/00001fb010_930831.{suffix}")
    dataset = reidlib.data.open("cufsf", tree)
    assert dataset.frame["path"][0] == f"photo/00001fb010_930831.{suffix}"
    assert dataset.image(0).size == (200, 250)


@pytest.mark.parametrize("folder", ["photo", "original_sketch", "photo_points", "sketch_points"])
def test_links_out_of_a_folder_are_refused(tree, tmp_path, folder):
    (tmp_path / "secret.png").touch()
    (tree / folder / "00009.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(ValueError, match=rf"{folder}/00009\.png is a link that leaves"):
        reidlib.data.open("cufsf", tree)


def test_folders_may_be_links(tree, tmp_path):
    shutil.move(tree / "photo", tmp_path / "feret")
    (tree / "photo").symlink_to(tmp_path / "feret")
    assert len(reidlib.data.open("cufsf", tree).images(8, 6)) == 8


# --- check() ---------------------------------------------------------------------------------------------------------


def make_twin(root: Path, images: int) -> None:
    manifest = '{"twin_version": "1", "dataset": "cufsf", "profile": "ci", "images": %d, "image_size": [60, 48]}'
    (root / "twin.json").write_text(manifest % images)


def test_a_clean_twin_has_no_problem(tree):
    make_twin(tree, 8)
    report = reidlib.data.open("cufsf", tree).check(decode=True)
    assert report.problems == [], str(report)


def test_a_whole_tree_has_no_problem(tmp_path):
    """1,194 names, and every sketch has points."""
    root = write_tree(tmp_path / "whole", pids=range(1, 1195), image=b"x")
    dataset = reidlib.data.open("cufsf", root)
    report = dataset.check()
    assert report.problems == [], str(report)
    assert dataset.summary()["images"].tolist() == [500, 500, 694, 694]
    (root / "sketch_points" / "00700.3pts").unlink()
    [problem] = [p for p in reidlib.data.open("cufsf", root).check().problems if p.severity == "error"]
    assert problem.where == "sketch_points/00700.3pts" and "cannot be aligned" in problem.message


def test_a_small_real_tree_differs_from_the_published_count(tree):
    [problem] = problems(tree, cufsf.NAMES)
    assert problem.severity == "error" and "4 names, published: 1,194" in problem.message


@pytest.mark.parametrize(
    ("lost", "where", "fix"),
    [
        ("photo/00002fb010_930831.png", "photo/00002fb010_930831", "request FERET from NIST"),
        ("original_sketch/00002.png", "original_sketch/00002", "copy it again"),
        ("photo_points/00002fb010_930831.3pts", "photo_points/00002fb010_930831.3pts", "copy it again"),
        ("sketch_points/00002.3pts", "sketch_points/00002.3pts", "copy it again"),
    ],
)
def test_an_incomplete_pair_is_left_out_and_named(tree, lost, where, fix):
    (tree / lost).unlink()
    dataset = reidlib.data.open("cufsf", tree)
    assert len(dataset) == 7 and (dataset.frame["pid"] == 2).sum() == 1
    [problem] = problems(tree, where)
    assert problem.severity == "error" and problem.where == where and fix in problem.fix
    assert [p.where for p in problems(tree, "identity 2")] == ["identity 2"], "and it has no cross-modality pair"


def test_points_with_capital_suffix_are_not_found_and_that_is_said(tree):
    path = tree / "sketch_points" / "00005.3pts"
    path.rename(path.with_suffix(".3PTS"))
    [problem] = problems(tree, "sketch_points/00005.3pts")
    assert "small letters" in problem.message


def test_doubles_strays_and_junk(tree):
    shutil.copy(tree / "original_sketch/00001.png", tree / "original_sketch/00001.JPG")
    gradient(7).save(tree / "original_sketch/00077.png")
    gradient(7).save(tree / "photo/00077fa010_930831.png")
    (tree / "photo_points/readme.txt").touch()
    for folder in ("photo", "sketch_points"):
        for junk in ("Thumbs.db", ".DS_Store", "._00001.3pts"):
            (tree / folder / junk).touch()
    assert len(reidlib.data.open("cufsf", tree)) == 8
    assert "several files: 00001.JPG, 00001.png" in problems(tree, "original_sketch/00001")[0].message
    assert "is of nobody" in problems(tree, "original_sketch/00077")[0].message
    assert [(p.where, p.severity) for p in problems(tree, "photo") if "drawn from" in p.message] == [("photo", "note")]
    assert [p.where for p in problems(tree, "photo_points")] == ["photo_points/readme.txt"]


# --- points ----------------------------------------------------------------------------------------------------------


BAD_POINTS = {
    "": "three lines of two finite numbers x y, found 0 lines",
    "12 20\n30 21\n": "three lines of two finite numbers x y, found 2 lines",
    "12 20\n30 21\n21 38\n9 9\n": "found 4 lines",
    "12 20 1\n30 21 1\n21 38 1\n": "three lines of two",
    "12 20\n30\n21 38\n": "three lines of two",
    "12 20\n30 nan\n21 38\n": "three lines of two finite",
    "12 20\n30 inf\n21 38\n": "three lines of two finite",
    "12 20\nright 21\n21 38\n": "three lines of two",
    "30 21\n12 20\n21 38\n": "the eyes are swapped",
    "12 20\n12 20\n21 38\n": "the eyes are swapped",
    "12 38\n30 38\n21 20\n": "the mouth (third line) is not below the eyes",
    "12 20\n30 21\n21 57\n": "a point lies outside the image of 44×56 pixels",
    "-3 20\n30 21\n21 38\n": "a point lies outside the image of 44×56 pixels",
}


@pytest.mark.parametrize("text", BAD_POINTS, ids=repr)
def test_bad_points_are_refused_by_name(tree, text):
    (tree / "sketch_points" / "00001.3pts").write_text(text)
    dataset = reidlib.data.open("cufsf", tree)
    with pytest.raises(OSError, match=r"cannot align .*original_sketch/00001\.png by 00001\.3pts") as caught:
        dataset.image(1)
    assert BAD_POINTS[text] in str(caught.value)
    with pytest.raises(OSError, match=r"00001\.3pts"):
        dataset.images(10, 8, progress=False)
    assert any(BAD_POINTS[text] in p.message for p in problems(tree, "00001", decode=True) if p.severity == "error")
    if "outside" not in BAD_POINTS[text]:
        assert {p.where for p in problems(tree, "00001")} == {"sketch_points/00001.3pts"}, "known without decoding"


@pytest.mark.parametrize(
    ("file", "row", "message"),
    [
        ("photo_points/00001fb010_930831.3pts", 0, "three lines of two finite numbers"),
        ("original_sketch/00001.png", 1, r"cannot decode .*original_sketch/00001\.png"),
    ],
)
def test_damaged_files_are_refused_by_name(tree, file, row, message):
    (tree / file).write_bytes(b"\xff\x00\x80")
    with pytest.raises(OSError, match=message):
        reidlib.data.open("cufsf", tree).image(row)


def test_the_cache_notices_changed_points(tree):
    dataset = reidlib.data.open("cufsf", tree)
    before = np.array(dataset.images(50, 40, progress=False).array)
    (tree / "sketch_points" / "00001.3pts").write_text("14 22\n28 24\n20 35\n")
    after = reidlib.data.open("cufsf", tree).images(50, 40, progress=False).array
    changed = [row for row in range(8) if (before[row] != after[row]).any()]
    assert changed == [1]
