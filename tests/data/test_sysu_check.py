"""What `check` says of SYSU-MM01 trees: whole, odd, damaged."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

import reidlib.data
from reidlib.data import sysu
from reidlib.twins import sysu as published

ASSETS = Path(__file__).parent.parent / "assets"


def find(report, where, text=""):
    return [p for p in report.problems if where in p.where and text in p.message]


@pytest.fixture(scope="module")
def complete_tree(tmp_path_factory, write_tree) -> Path:
    """A tree with the published number of files per folder and the published lists; the files hold one byte."""
    with (ASSETS / "sysu_counts.csv").open() as file:
        counts = {(int(row["cam"]), int(row["id"])): int(row["images"]) for row in csv.DictReader(file)}
    lists = {"train": published.TRAIN_IDS, "val": published.VALIDATION_IDS, "test": published.TEST_IDS}
    return write_tree(tmp_path_factory.mktemp("complete") / "SYSU-MM01", counts, lists, content=lambda serial: b"x")


def test_complete_tree_is_accepted(complete_tree):
    report = reidlib.data.open("sysu", root=complete_tree).check()
    assert report.ok
    assert [(p.severity, p.where) for p in report.problems] == [("note", "exp"), ("note", "exp/rand_perm_cam.mat")]
    assert "22 identities with images are in no list" in report.problems[0].message


def test_complete_tree_has_the_published_numbers(complete_tree):
    dataset = reidlib.data.open("sysu", root=complete_tree)
    assert len(sysu.scan(complete_tree).images) == 45_863
    train, test = dataset.rows("train"), dataset.rows("test")
    assert (len(train), len(test)) == (22_258 + 11_909, 6_775 + 3_803)
    assert len(dataset.rows("train", modality=0)) == 22_258
    assert len(dataset.rows("test", modality=1)) == 3_803
    pids = dataset.train_labels()[1]
    assert len(pids) == 395
    assert dataset.frame.loc[test, "pid"].nunique() == 96


@pytest.fixture
def taken_away(complete_tree):
    """Take one path out of the complete tree for the length of a test."""
    moved = []

    def take(path: str) -> None:
        moved.append((complete_tree / path, complete_tree / f"{path}.away".replace("/", "_")))
        moved[-1][0].rename(moved[-1][1])

    yield take
    for path, away in moved:
        away.rename(path)


def test_one_missing_test_image_is_an_error(complete_tree, taken_away):
    taken_away("cam3/0006/0002.jpg")
    report = reidlib.data.open("sysu", root=complete_tree).check()
    assert not report.ok
    assert find(report, "cam3", "9,811 images (all), published: 9,812")
    assert find(report, "cam3", "1,882 images (test), published: 1,883")
    assert find(report, "cam3/0006", "number 2 of 1 …")[0].severity == "warning"
    assert find(report, "exp/rand_perm_cam.mat", "cam3/0006 holds")[0].severity == "error"


def test_one_missing_identity_is_an_error(complete_tree, taken_away):
    taken_away("exp/val_id.txt")
    kept = [pid for pid in published.VALIDATION_IDS if pid != 400]
    (complete_tree / "exp" / "val_id.txt").write_text(",".join(map(str, kept)))
    report = reidlib.data.open("sysu", root=complete_tree).check()
    assert find(report, "train", "394 identities, published: 395")


def test_small_real_tree_differs_from_the_published_counts(tree):
    report = reidlib.data.open("sysu", root=tree).check()
    assert find(report, "cam1", "18 images (all), published: 6,289")[0].severity == "error"
    assert not report.ok


@pytest.fixture
def twin(tree):
    """The small tree with a manifest: a twin is not compared with the published counts."""
    (tree / "twin.json").write_text(
        '{"twin_version": "1", "dataset": "sysu", "profile": "ci", "images": 108, "image_size": [24, 12]}'
    )
    return tree


def check(root, **options):
    return reidlib.data.open("sysu", root=root).check(**options)


def test_clean_twin_has_no_problem(twin):
    report = check(twin, decode=True)
    assert report.ok and report.problems == []
    assert str(report) == "SYSU-MM01 (synthetic twin 1, ci): nothing missing, nothing odd"


def test_incomplete_twin_is_an_error(twin):
    (twin / "cam1/0001/0003.jpg").unlink()
    assert find(check(twin), "twin.json", "108 images were rendered, 107 are there")


def test_missing_permutations_say_where_they_come_from(twin):
    (twin / "exp/rand_perm_cam.mat").unlink()
    report = check(twin)
    [problem] = report.problems
    assert report.ok and problem.severity == "warning"
    assert "wuancong/SYSU-MM01" in problem.fix
    with pytest.raises(FileNotFoundError, match="wuancong/SYSU-MM01"):
        sysu.read_permutations(twin)


def test_permutations_are_read_as_written(twin):
    draws = sysu.read_permutations(twin)
    assert set(draws) == {(camid, pid) for camid in range(1, 7) for pid in (1, 2, 4, 334, 6, 10)}
    assert draws[2, 6].shape == (10, 3) and draws[2, 6].dtype == np.int64
    assert (np.sort(draws[2, 6], axis=1) == [1, 2, 3]).all()


def object_column(*cells) -> np.ndarray:
    column = np.empty((len(cells), 1), dtype=object)
    column[:, 0] = cells
    return column


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (np.zeros((6, 1)), "one entry per camera"),
        (object_column(*[object_column(np.ones((10, 1)))] * 5), "one entry per camera"),
        (object_column(*[object_column(np.ones((9, 1)))] * 6), "expected 10 rows"),
        (object_column(*[object_column(np.zeros((10, 2)))] * 6), "not a permutation of 1 … 2"),
        (object_column(*[object_column("ten rows")] * 6), "<U8, not numbers"),
    ],
)
def test_odd_permutations_are_an_error(twin, cells, message):
    savemat(twin / "exp/rand_perm_cam.mat", {"rand_perm_cam": cells})
    [problem] = [p for p in check(twin).problems if p.severity == "error"]
    assert message in problem.message and problem.where == "exp/rand_perm_cam.mat"


def test_permutations_of_another_tree_are_an_error_for_test_identities(twin):
    (twin / "cam1/0010/0004.jpg").write_bytes(b"x")
    (twin / "cam1/0002/0004.jpg").write_bytes(b"x")
    found = find(check(twin), "rand_perm_cam")
    assert {p.message.split()[0]: p.severity for p in found} == {"cam1/0002": "warning", "cam1/0010": "error"}


def test_gaps_and_doubles_in_the_numbering_are_reported(twin):
    (twin / "cam4/0002/0001.jpg").unlink()
    shutil.copy(twin / "cam5/0002/0001.jpg", twin / "cam5/0002/0001.png")
    report = check(twin)
    assert find(report, "cam4/0002", "number 1 of 1 … 3 missing")
    assert find(report, "cam5/0002", "several files carry the number 1")


def test_identity_with_one_modality_is_reported(twin):
    for camid in (3, 6):
        shutil.rmtree(twin / f"cam{camid}/0002")
        shutil.rmtree(twin / f"cam{camid}/0010")
    report = check(twin)
    train, test = find(report, "identity 2"), find(report, "identity 10")
    assert "(train) has no infrared/sketch image" in train[0].message
    assert "allow_missing_modality=True" in train[0].fix
    assert "(test)" in test[0].message and "sampler" not in test[0].fix.lower()


def test_odd_lists_are_reported(twin):
    (twin / "exp/val_id.txt").write_text("334,334,1,500\n")
    messages = [p.message for p in find(check(twin), "exp/val_id")]
    assert messages == ["listed, but without any image: [500]", "listed more than once: [334]", "also in train_id: [1]"]


def test_empty_camera_folder_is_an_error(twin):
    shutil.rmtree(twin / "cam5")
    (twin / "cam5").mkdir()
    assert find(check(twin), "cam5", "holds no image")[0].severity == "error"


def test_empty_and_vanished_files_are_errors(twin):
    dataset = reidlib.data.open("sysu", root=twin)
    (twin / "cam1/0001/0001.jpg").write_bytes(b"")
    (twin / "cam2/0001/0003.jpg").unlink()
    report = dataset.check()
    assert find(report, "cam1/0001/0001.jpg", "empty")[0].severity == "error"
    assert find(report, "cam2/0001/0003.jpg", "gone")[0].severity == "error"


def test_camera_folder_lost_since_opening_is_reported(twin):
    dataset = reidlib.data.open("sysu", root=twin)
    shutil.rmtree(twin / "cam3")
    assert find(dataset.check(), str(twin), "lacks cam3")[0].severity == "error"


def test_every_damaged_image_is_named_when_decoding(twin):
    damaged = ["cam1/0001/0002.jpg", "cam6/0010/0003.jpg"]
    for path in damaged:
        content = (twin / path).read_bytes()
        (twin / path).write_bytes(content[:-40])
    (twin / "cam3/0004/0001.jpg").write_bytes(b"no image")
    assert check(twin).ok, "listing alone cannot know"
    report = check(twin, decode=True)
    assert sorted(p.where for p in report.problems) == sorted([*damaged, "cam3/0004/0001.jpg"])
    assert not report.ok and "truncated" in str(report)
