"""Reading Market-Sketch-1K trees of one-byte files: whole, odd, damaged."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import reidlib.data
from reidlib.data import market_sketch
from reidlib.twins import market_sketch as twin

FOLDERS = twin.plan("ci").folders


def write_tree(root: Path, paths: list[str]) -> Path:
    for folder in {*FOLDERS, "photo/train", "photo/query"}:
        (root / folder).mkdir(parents=True)
    for path in paths:
        (root / path).write_bytes(b"x")
    return root


IMAGES = [path for path in twin.plan("ci").images if int(Path(path).name[:4]) < 300]  # ten identities a part


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return write_tree(tmp_path / "MaSk1K", IMAGES)


@pytest.fixture(scope="module")
def complete_tree(tmp_path_factory) -> Path:
    """One photo and up to six sketches of 996 identities, in the published numbers."""
    paths = []
    missing = {"train": 498 * 6 - 2391, "query": 498 * 6 - 2372}  # 4,763 in all
    for part, first in (("train", 2), ("query", 3)):
        pids = range(first, first + 3 * 498, 3)
        paths += [f"photo/{part}/{pid:04d}_c1s1_000451_03.jpg" for pid in pids]
        drawn = [(artist, pid) for artist in "ABCDE" for pid in pids]
        absent = {"train": 1, "query": 5}[part]  # sketches that F did not draw
        paths += [f"sketch/F/{part}/{pid:04d}.jpg" for pid in pids[absent:]]
        paths += [f"sketch/{artist}/{part}/{pid:04d}.jpg" for artist, pid in drawn[missing[part] - absent :]]
    return write_tree(tmp_path_factory.mktemp("complete") / "MaSk1K", paths)


def open_tree(root):
    return reidlib.data.open("market-sketch-1k", root=root)


def find(report, where, text=""):
    return [p for p in report.problems if where in p.where and text in p.message]


def test_complete_tree_is_accepted_and_its_sketches_are_counted(complete_tree):
    dataset = open_tree(complete_tree)
    report = dataset.check()
    assert [(p.severity, p.where) for p in report.problems] == [("note", "sketch")]
    assert "F 497 + 493" in report.problems[0].message
    table = market_sketch.sketches_per_artist(dataset)
    assert table.to_numpy().sum() == 4763 and table.loc["F"].tolist() == [497, 493]
    assert dataset.frame["pid"].nunique() == 996


def test_one_missing_sketch_is_an_error(complete_tree):
    path = min((complete_tree / "sketch/F/query").iterdir())
    path.rename(complete_tree / "away")
    report = open_tree(complete_tree).check()
    (complete_tree / "away").rename(path)
    assert find(report, "sketch", "4,762 sketches of 996 identities, published: 4,763 of 996")[0].severity == "error"
    assert find(report, "sketch/F/query", "492 sketches, published: 493")[0].severity == "error"


def test_frame_of_a_small_tree(tree):
    dataset = open_tree(tree)
    frame = dataset.frame
    assert len(frame) == len(IMAGES)
    photos, sketches = frame[frame["modality"] == 0], frame[frame["modality"] == 1]
    assert set(photos["artist"]) == {""} and set(photos["camid"]) == set(range(1, 7))
    assert set(sketches["artist"]) == set("ABCDEF") and set(sketches["camid"]) == {0}
    assert (frame["pid"] == frame["path"].str.extract(r"/(\d{4})[^/]*$")[0].astype(int)).all()
    assert ((frame["split"] == "test") == frame["path"].str.contains("/query/")).all()
    keys = list(zip(frame["pid"], frame["modality"], frame["artist"], frame["camid"], frame["path"], strict=True))
    assert keys == sorted(keys)
    assert dataset.reader.modalities == ("photo", "sketch") and dataset.split is None


def test_a_clean_twin_is_not_compared_with_the_published_counts(tree):
    assert not open_tree(tree).check().ok
    manifest = {"twin_version": "1", "dataset": "market-sketch-1k", "profile": "ci", "image_size": [64, 32]}
    (tree / "twin.json").write_text(json.dumps(manifest | {"images": len(IMAGES)}))
    assert open_tree(tree).check().problems == []


def test_training_photos_without_sketch_are_not_used_and_said_so(tree):
    pid = min(open_tree(tree).frame["pid"])
    for sketch in tree.glob(f"sketch/*/train/{pid:04d}.jpg"):
        sketch.unlink()
    dataset = open_tree(tree)
    assert pid not in set(dataset.frame["pid"])
    assert find(dataset.check(), "photo/train", f"photos of 1 identities without a sketch are not used: {pid}")


def test_gallery_photos_without_sketch_stay(tree):
    (tree / "photo/query/1501_c6s3_000001_01.jpg").write_bytes(b"x")
    dataset = open_tree(tree)
    assert dataset.frame["path"].iloc[-1] == "photo/query/1501_c6s3_000001_01.jpg"
    assert find(dataset.check(), "identity 1501", "(test) has no infrared/sketch image")


def test_an_identity_in_training_and_test_is_refused(tree):
    shutil.copy(next((tree / "photo/train").iterdir()), tree / "photo/query")
    with pytest.raises(ValueError, match=r"photo/.*: pid [0-9]+ is both in train and in test"):
        open_tree(tree)


def test_missing_folders_are_named_with_the_expected_tree(tree, tmp_path):
    shutil.rmtree(tree / "sketch" / "C")
    with pytest.raises(FileNotFoundError, match=r"(?s)lacks sketch/C/train, sketch/C/query; expected tree:\nMarket"):
        open_tree(tree)
    with pytest.raises(FileNotFoundError, match=r"did you mean root=.*MaSk1K"):
        open_tree(tmp_path)


def test_names(tree):
    good = ("photo/train/0002_c6s4_999999_00.JPG", "photo/query/0003_c2_x.png", "sketch/A/train/0002_1.jpeg")
    strays = (
        "photo/train/-1_c1s1_000001_01.jpg",
        "photo/train/0002_c7s1_000001_01.jpg",
        "photo/query/0003.jpg",
        "sketch/B/query/00031.jpg",
        "sketch/B/query/notes.txt",
    )
    junk = ("photo/train/Thumbs.db", "sketch/F/query/.DS_Store", "sketch/F/query/._0003.jpg")
    before = len(open_tree(tree))
    for path in (*good, *strays, *junk):
        (tree / path).write_bytes(b"x")
    dataset = open_tree(tree)
    assert len(dataset) == before + len(good) and set(good) <= set(dataset.frame["path"])
    assert {p.where for p in find(dataset.check(), "", "left out")} == set(strays)


def test_several_sketches_by_one_artist_are_reported(tree):
    pid = sorted((tree / "sketch/F/query").iterdir())[0].stem
    (tree / f"sketch/F/query/{pid}_2.png").write_bytes(b"x")
    assert find(open_tree(tree).check(), "sketch/F/query", f"2 sketches of identity {int(pid)}")


def test_links_out_of_a_folder_are_refused(tree):
    (tree / "photo/query/0003_c1s1_000001_01.jpg").symlink_to("/etc/hostname")
    with pytest.raises(ValueError, match="is a link that leaves"):
        open_tree(tree)


def test_empty_folders(tmp_path):
    with pytest.raises(ValueError, match="no photo or sketch was found"):
        open_tree(write_tree(tmp_path / "empty", ["photo/train/notes.txt", "photo/query/notes.txt"]))


def test_training_on_some_artists(tree):
    dataset = open_tree(tree)
    for path in tree.glob("sketch/[CD]/train/0002.jpg"):
        path.unlink()
    dataset = open_tree(tree)
    part = market_sketch.train_on(dataset, "DC")
    frame = part.frame
    train = frame[frame["split"] == "train"]
    assert set(train["artist"]) == {"", "C", "D"}
    assert 2 in set(dataset.frame["pid"]) and 2 not in set(train["pid"]), "photos without such a sketch go as well"
    assert set(train.loc[train["modality"] == 0, "pid"]) == set(train.loc[train["modality"] == 1, "pid"])
    whole, kept = (f.loc[f["split"] == "test", "path"].tolist() for f in (dataset.frame, frame))
    assert whole == kept, "the test part stays whole"
    assert part.title == "Market-Sketch-1K (trained on artists CD)" and dataset.title == "Market-Sketch-1K"
    assert part.rows("train").max() < len(part)
    everybody = market_sketch.train_on(dataset, "ABCDEF")
    np.testing.assert_array_equal(everybody.frame["path"], dataset.frame["path"])


@pytest.mark.parametrize("artists", ["", "G", "a", "AA", "A,B", None])
def test_unknown_artists_are_refused(tree, artists):
    with pytest.raises(ValueError, match="letters ABCDEF, each once, got"):
        market_sketch.train_on(open_tree(tree), artists)


def test_another_data_set_has_no_artists(imageless):
    with pytest.raises(ValueError, match="only 'market-sketch-1k' has artists A to F, not 'sysu'"):
        market_sketch.train_on(imageless, "A")
