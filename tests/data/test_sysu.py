"""Reading SYSU-MM01 trees: lists, names, links."""

import shutil

import numpy as np
import pytest
from scipy.io import savemat

import reidlib.data
from reidlib.data import sysu


def find(report, where, text=""):
    return [p for p in report.problems if where in p.where and text in p.message]


def test_frame_of_a_small_tree(tree):
    frame = reidlib.data.open("sysu", root=tree).frame
    assert len(frame) == 6 * 6 * 3
    assert frame.loc[0].to_dict() == dict(path="cam1/0001/0001.jpg", pid=1, camid=1, split="train", modality=0)
    order = list(zip(frame["pid"], frame["camid"], frame["path"], strict=True))
    assert order == sorted(order)
    assert set(frame.loc[frame["modality"] == 1, "camid"]) == {3, 6}
    assert set(frame.loc[frame["split"] == "train", "pid"]) == {1, 2, 4, 334}, "validation counts as training"
    assert set(frame.loc[frame["split"] == "test", "pid"]) == {6, 10}


@pytest.mark.parametrize(
    "text",
    ["6,10", "6,10\r\n", "6,10\n\n\n", " 6 , 10 ,\n", "6\n10\n", "\ufeff6,10\n"],
    ids=["no newline", "CRLF", "blank lines", "spaces", "one per line", "byte-order mark"],
)
def test_lists_as_people_save_them(tree, text):
    (tree / "exp" / "test_id.txt").write_bytes(text.encode())
    assert sysu.read_lists(tree)["test"] == [6, 10]


@pytest.mark.parametrize("text", ["", "\n\n", ",", "\ufeff"])
def test_empty_list_is_refused(tree, text):
    (tree / "exp" / "train_id.txt").write_bytes(text.encode())
    with pytest.raises(ValueError, match=r"train_id\.txt is empty"):
        reidlib.data.open("sysu", root=tree)


@pytest.mark.parametrize("word", ["six", "6.5", "-6", "0", "10000", "6;10", "٦"])
def test_list_with_something_else_is_refused(tree, word):
    (tree / "exp" / "val_id.txt").write_text(f"1,{word}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=rf"val_id\.txt: '{word}' is not an identity number"):
        reidlib.data.open("sysu", root=tree)


def test_binary_list_is_refused(tree):
    (tree / "exp" / "val_id.txt").write_bytes(b"\xff\xfe6\x00")
    with pytest.raises(ValueError, match=r"val_id\.txt is not plain text"):
        reidlib.data.open("sysu", root=tree)


def test_matlab_list_stands_in_for_the_text(tree):
    (tree / "exp" / "test_id.txt").unlink()
    savemat(tree / "exp" / "test_id.mat", {"id": np.array([[6, 10]], dtype=np.uint16)})
    assert sysu.read_lists(tree)["test"] == [6, 10]


@pytest.mark.parametrize("content", [{"ids": [1]}, {"id": "text"}, {"id": [1.5]}, {"id": []}])
def test_odd_matlab_list_is_refused(tree, content):
    (tree / "exp" / "test_id.txt").unlink()
    savemat(tree / "exp" / "test_id.mat", content)
    with pytest.raises(ValueError, match=r"test_id\.mat"):
        reidlib.data.open("sysu", root=tree)


def test_damaged_matlab_list_is_refused(tree):
    (tree / "exp" / "test_id.txt").unlink()
    (tree / "exp" / "test_id.mat").write_bytes(b"not MATLAB")
    with pytest.raises(ValueError, match=r"test_id\.mat is not a readable MATLAB file"):
        reidlib.data.open("sysu", root=tree)


def test_missing_list_shows_the_expected_tree(tree):
    (tree / "exp" / "val_id.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"(?s)val_id\.txt is missing.*SYSU-MM01/\n  cam1/0006"):
        reidlib.data.open("sysu", root=tree)


@pytest.mark.parametrize("name", ["train", "val"])
def test_identity_in_test_and_elsewhere_is_refused(tree, name):
    (tree / "exp" / f"{name}_id.txt").write_text("1,2,10\n")
    with pytest.raises(ValueError, match=rf"{name}_id and test_id both list \[10\]"):
        reidlib.data.open("sysu", root=tree)


def test_missing_cameras_are_named_with_the_expected_tree(tree):
    shutil.rmtree(tree / "cam2")
    shutil.rmtree(tree / "cam5")
    with pytest.raises(FileNotFoundError, match=r"(?s)lacks cam2, cam5; expected tree:\nSYSU-MM01/"):
        reidlib.data.open("sysu", root=tree)


def test_root_one_level_too_high_gets_a_hint(make_tree, tmp_path):
    (tmp_path / "download").mkdir()
    make_tree("download/SYSU-MM01")
    with pytest.raises(FileNotFoundError, match=r"did you mean root='.*download/SYSU-MM01'"):
        reidlib.data.open("sysu", root=tmp_path / "download")


def test_no_listed_identity_has_images(make_tree):
    root = make_tree(counts={(camid, 77): 1 for camid in range(1, 7)})
    with pytest.raises(ValueError, match="no image of a listed identity"):
        reidlib.data.open("sysu", root=root)


def test_root_path_may_contain_what_looks_like_a_camera(make_tree, tmp_path):
    (tmp_path / "cam3" / "0007").mkdir(parents=True)
    dataset = reidlib.data.open("sysu", root=make_tree("cam3/0007/my cam4 tree"))
    assert len(dataset) == 108
    assert set(dataset.frame["camid"]) == set(range(1, 7))


def test_what_operating_systems_leave_behind_is_ignored(tree):
    for name in ("Thumbs.db", ".DS_Store", "._0001.jpg", "desktop.ini"):
        (tree / "cam1" / "0001" / name).write_bytes(b"x")
        (tree / "cam1" / name).write_bytes(b"x")
    dataset = reidlib.data.open("sysu", root=tree)
    assert len(dataset) == 108
    assert not find(dataset.check(), "cam1/")


@pytest.mark.parametrize("suffix", ["JPG", "jpeg", "PNG", "bmp"])
def test_other_image_suffixes_are_accepted(tree, suffix):
    (tree / "cam1/0001/0002.jpg").rename(tree / f"cam1/0001/0002.{suffix}")
    assert reidlib.data.open("sysu", root=tree).frame["path"][1] == f"cam1/0001/0002.{suffix}"


def test_other_names_are_left_out_and_reported(tree):
    (tree / "cam1/0001/0002.jpg").rename(tree / "cam1/0001/img2.jpg")
    (tree / "cam2/0001").rename(tree / "cam2/1")
    (tree / "cam3/notes.txt").write_text("seen")
    (tree / "cam4/0001/0009.jpg").mkdir()
    dataset = reidlib.data.open("sysu", root=tree)
    assert len(dataset) == 108 - 1 - 3
    report = dataset.check()
    for path in ("cam1/0001/img2.jpg", "cam2/1", "cam3/notes.txt", "cam4/0001/0009.jpg"):
        assert find(report, path, "left out")[0].severity == "warning"


def test_root_and_camera_folders_may_be_links(tree, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    shutil.move(tree / "cam6", tmp_path / "elsewhere" / "images6")
    (tree / "cam6").symlink_to(tmp_path / "elsewhere" / "images6")
    (tmp_path / "link").symlink_to(tree)
    dataset = reidlib.data.open("sysu", root=tmp_path / "link")
    assert len(dataset) == 108
    assert dataset.images(8, 4).array.shape == (108, 8, 4, 3)


@pytest.mark.parametrize("place", ["cam1/0001/0004.jpg", "cam1/0099"])
def test_links_out_of_a_camera_folder_are_refused(tree, tmp_path, place):
    secret = tmp_path / "secret"
    secret.mkdir()
    (tree / place).symlink_to(secret)
    with pytest.raises(ValueError, match=rf"{place} is a link that leaves"):
        reidlib.data.open("sysu", root=tree)


def test_links_within_a_camera_folder_are_followed(tree):
    (tree / "cam1/0001/0004.jpg").symlink_to("0003.jpg")
    assert "cam1/0001/0004.jpg" in set(reidlib.data.open("sysu", root=tree).frame["path"])
