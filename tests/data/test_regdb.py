"""Reading RegDB trees: whole, odd, damaged."""

import shutil
from pathlib import Path

import numpy as np
import pytest

import reidlib.data
from reidlib.data import regdb

SIDES = {"visible": ("Visible", "v"), "thermal": ("Thermal", "t")}


def lines(modality: str, pids, images: int) -> list[str]:
    folder, letter = SIDES[modality]
    return [
        f"{folder}/{pid}/male_back_{letter}_{frame:05d}_{pid}.bmp {label}\n"
        for label, pid in enumerate(pids)
        for frame in range(images)
    ]


def write_regdb(root: Path, pids: list[int], images: int) -> Path:
    """Files of one byte; split t trains on half of the identities, beginning at the t-th."""
    for modality, (folder, _) in SIDES.items():
        for pid in pids:
            (root / folder / str(pid)).mkdir(parents=True)
        for line in lines(modality, pids, images):
            (root / line.split()[0]).write_bytes(b"x")
    (root / "idx").mkdir()
    for split in range(1, 11):
        turned = pids[split:] + pids[:split]
        half = len(pids) // 2
        for part, chosen in (("train", turned[:half]), ("test", turned[half:])):
            for modality in SIDES:
                (root / f"idx/{part}_{modality}_{split}.txt").write_text("".join(lines(modality, chosen, images)))
    return root


@pytest.fixture
def tree(tmp_path):
    return write_regdb(tmp_path / "RegDB", [2, 3, 10, 100, 285, 412], 2)


@pytest.fixture
def twin(tree):
    """The small tree with a manifest: a twin is not compared with the published counts."""
    (tree / "twin.json").write_text(
        '{"twin_version": "1", "dataset": "regdb", "profile": "ci", "images": 24, "image_size": [24, 12]}'
    )
    return tree


def check(root, **options):
    return reidlib.data.open("regdb", root=root, split=1).check(**options)


def find(report, where, text=""):
    return [p for p in report.problems if where in p.where and text in p.message]


def replace_in(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def test_frame_of_a_small_tree(tree):
    dataset = reidlib.data.open("regdb", root=tree, split=1)
    assert len(dataset) == 6 * 2 * 2
    first = dict(path="Visible/2/male_back_v_00000_2.bmp", pid=2, camid=1, split="test", modality=0)
    assert dataset.frame.loc[0].to_dict() == first
    order = list(zip(dataset.frame["pid"], dataset.frame["camid"], dataset.frame["path"], strict=True))
    assert order == sorted(order), "numerically: 2, 3, 10"
    assert (dataset.frame["camid"] == dataset.frame["modality"] + 1).all()
    assert set(dataset.frame.loc[dataset.frame["split"] == "train", "pid"]) == {3, 10, 100}
    assert dataset.title == "RegDB, split 1" and dataset.reader.modalities == ("visible", "thermal")


def test_identity_is_the_folder_and_never_the_label(tree):
    frame = reidlib.data.open("regdb", root=tree, split=4).frame
    assert (frame["pid"] == frame["path"].str.split("/").str[1].astype(int)).all()


def test_every_split_lists_the_same_files_in_the_same_order(tree):
    frames = [reidlib.data.open("regdb", root=tree, split=split).frame for split in regdb.SPLITS]
    assert all(frame["path"].equals(frames[0]["path"]) for frame in frames)
    assert len({tuple(frame["split"]) for frame in frames}) == 6, "and divides them differently"


def test_split_must_be_chosen(tree):
    with pytest.raises(ValueError, match=r"'regdb' has several splits: choose one with split=, of \[1, 2, .*10\]"):
        reidlib.data.open("regdb", root=tree)


@pytest.mark.parametrize("split", [np.int64(3), 3.0])
def test_a_split_of_another_type_becomes_a_plain_number(tree, split):
    dataset = reidlib.data.open("regdb", root=tree, split=split)
    assert type(dataset.split) is int and dataset.split == 3


@pytest.mark.parametrize("split", [0, 11, "1"])
def test_unknown_split(tree, split):
    with pytest.raises(ValueError, match=r"split=.* is not possible for 'regdb'; use one of \[1, 2"):
        reidlib.data.open("regdb", root=tree, split=split)


@pytest.mark.parametrize("name", ["train_visible_1", "test_thermal_1"])
def test_missing_list_shows_the_expected_tree(tree, name):
    (tree / f"idx/{name}.txt").unlink()
    with pytest.raises(FileNotFoundError, match=rf"(?s){name}\.txt is missing; expected tree:\nRegDB/"):
        reidlib.data.open("regdb", root=tree, split=1)
    reidlib.data.open("regdb", root=tree, split=2)


@pytest.mark.parametrize("folder", ["Visible", "Thermal", "idx"])
def test_missing_folder_shows_the_expected_tree(tree, folder):
    shutil.rmtree(tree / folder)
    with pytest.raises(FileNotFoundError, match=rf"(?s)lacks {folder}; expected tree:\nRegDB/"):
        reidlib.data.open("regdb", root=tree, split=1)


def test_root_one_level_too_high_gets_a_hint(tree):
    with pytest.raises(FileNotFoundError, match=r"did you mean root='.*/RegDB'"):
        reidlib.data.open("regdb", root=tree.parent, split=1)


@pytest.mark.parametrize(
    "path", ["../x.bmp", "/etc/x.bmp", "C:/x.bmp", "Visible\\3\\x.bmp", "Visible/3/../../../x.bmp"]
)
def test_paths_that_escape_the_root_are_refused(tree, path):
    replace_in(tree / "idx/train_visible_1.txt", "Visible/3/male_back_v_00001_3.bmp", path)
    with pytest.raises(ValueError, match=r"train_visible_1\.txt, line 2: .* no path of an image"):
        reidlib.data.open("regdb", root=tree, split=1)


def test_list_with_images_of_the_other_modality_is_refused(tree):
    shutil.copy(tree / "idx/test_thermal_1.txt", tree / "idx/test_visible_1.txt")
    with pytest.raises(ValueError, match=r"test_visible_1\.txt, line 1: 'Thermal/.*like 'Visible/285"):
        reidlib.data.open("regdb", root=tree, split=1)


@pytest.mark.parametrize(
    ("label", "message"), [("3", "label 3 is out of range: 3 identities.*take the list"), ("-1", "one label")]
)
def test_label_out_of_range_is_refused(tree, label, message):
    replace_in(tree / "idx/test_thermal_1.txt", "_2.bmp 2", f"_2.bmp {label}")
    with pytest.raises(ValueError, match=message):
        reidlib.data.open("regdb", root=tree, split=1)


def test_identity_in_train_and_test_is_refused(tree):
    for modality in SIDES:
        shutil.copy(tree / f"idx/test_{modality}_1.txt", tree / f"idx/train_{modality}_1.txt")
    with pytest.raises(ValueError, match=r"train and test of split 1 share \[2, 285, 412\].*take the idx folder"):
        reidlib.data.open("regdb", root=tree, split=1)


def test_windows_lists_junk_files_and_capitals(tree):
    for file in (tree / "idx").iterdir():
        text = file.read_text().replace("00001_10.bmp", "00001_10.BMP").replace("\n", "\r\n") + "\r\n\r\n"
        file.write_bytes(text.encode())
    for name in ("Visible/10/male_back_v_00001_10", "Thermal/10/male_back_t_00001_10"):
        (tree / f"{name}.bmp").rename(tree / f"{name}.BMP")
    for name in ("Thumbs.db", ".DS_Store", "._male_back_v_00000_2.bmp"):
        (tree / "Visible/2" / name).write_bytes(b"x")
        (tree / "Visible" / name).write_bytes(b"x")
    dataset = reidlib.data.open("regdb", root=tree, split=1)
    assert len(dataset) == 24 and dataset.frame["path"].str.endswith(".BMP").sum() == 2
    assert not find(dataset.check(), "Visible/")


def test_links_out_of_the_root_are_refused(tree, tmp_path):
    (tmp_path / "secret").write_bytes(b"x")
    (tree / "Thermal/2/female_back_t_00009_2.bmp").symlink_to(tmp_path / "secret")
    with pytest.raises(ValueError, match=r"female_back_t_00009_2\.bmp is a link that leaves"):
        reidlib.data.open("regdb", root=tree, split=1)


def test_image_folders_may_be_links(tree, tmp_path):
    shutil.move(tree / "Thermal", tmp_path / "elsewhere")
    (tree / "Thermal").symlink_to(tmp_path / "elsewhere")
    assert len(reidlib.data.open("regdb", root=tree, split=1)) == 24


# --- check() ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def complete_tree(tmp_path_factory):
    return write_regdb(tmp_path_factory.mktemp("complete") / "RegDB", list(range(1, 413)), 10)


def test_complete_tree_is_accepted(complete_tree):
    dataset = reidlib.data.open("regdb", root=complete_tree, split=10)
    assert dataset.check().problems == []
    assert len(dataset) == 8240 and len(dataset.rows("test", modality=1)) == 2060
    assert len(dataset.train_labels()[1]) == 206


def test_shorter_list_of_any_split_is_an_error(complete_tree, tmp_path):
    copy = tmp_path / "RegDB"
    shutil.copytree(complete_tree / "idx", copy / "idx")
    for folder in ("Visible", "Thermal"):
        (copy / folder).symlink_to(complete_tree / folder)
    file = copy / "idx/train_visible_7.txt"
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:-1]))
    report = check(copy)
    assert find(report, "train_visible_7", "2,059 lines of 206 identities, published: 2,060 of 206")
    assert find(report, "train_*_7", "part at line 2060")
    assert not report.ok


def test_small_real_tree_differs_from_the_published_counts(tree):
    report = check(tree)
    assert find(report, "Visible", "12 images, published: 4,120")[0].severity == "error"
    assert len(find(report, "idx/", "6 lines of 3 identities, published: 2,060 of 206")) == 40


def test_clean_twin_has_no_problem(twin):
    assert check(twin).problems == []


def test_other_splits_are_checked_too(twin):
    (twin / "idx/test_visible_5.txt").unlink()
    replace_in(twin / "idx/train_thermal_6.txt", ".bmp 0", ".bmp 7")
    report = check(twin)
    assert find(report, "split 5", "test_visible_5.txt is missing")[0].severity == "error"
    assert find(report, "split 6", "label 7 is out of range")[0].severity == "error"


def test_lists_in_another_order_of_identities_are_an_error(twin):
    file = twin / "idx/test_thermal_3.txt"
    file.write_text("".join(reversed(file.read_text().splitlines(keepends=True))))
    assert find(check(twin), "test_*_3", "part at line 1")[0].severity == "error"


def test_odd_files_are_reported(twin):
    (twin / "Visible/2/notes.txt").write_text("seen")
    (twin / "Visible/two").mkdir()
    (twin / "Thermal/3/male_back_v_00000_3.bmp").write_bytes(b"x")
    (twin / "Thermal/3/male_back_t_00000_10.bmp").write_bytes(b"x")
    report = check(twin)
    assert find(report, "Visible/2/notes.txt", "left out") and find(report, "Visible/two", "left out")
    assert find(report, "Thermal/3/male_back_v_00000_3.bmp", "named as 'v', identity 3")
    assert find(report, "Thermal/3/male_back_t_00000_10.bmp", "named as 't', identity 10")
    assert find(report, "Thermal/3/male_back_t_00000_10.bmp", "2 images are in no list")


def test_vanished_file_is_an_error(twin):
    (twin / "Thermal/412/male_back_t_00001_412.bmp").unlink()
    assert find(check(twin), "male_back_t_00001_412.bmp", "gone")[0].severity == "error"
