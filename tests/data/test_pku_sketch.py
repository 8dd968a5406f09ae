"""Reading PKU-Sketch trees: of one-byte files in the published numbers, whole, odd, damaged."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import reidlib.data
from reidlib.data import pku_sketch
from reidlib.twins import pku_sketch as twin

LAST = {
    "a": [0, 1, 2, 8, 9, 11, 13, 15, 23, 36, 44],
    "b": [2, 3, 5, 7, 15],
    "c": [7, 18, 20, 22, 29, 32, 35, 38, 39, 40, 43, 45, 51, 52, 53, 55, 58, 64, 68, 78],
    "d": [7, 9, 20, 21, 22, 24, 28, 30],
    "e": [0, 1, 6, 11, 18, 19],
}
"""Test positions of split 10."""

PLANS = {profile: twin.plan(profile) for profile in ("ci", "cpu")}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return write_tree(tmp_path / "PKUSketchRE-ID_V1")


def write_tree(root: Path, profile: str = "cpu") -> Path:
    plan = PLANS[profile]
    for folder in ("photo", "sketch", "styleAnnotation"):
        (root / folder).mkdir(parents=True)
    for path, content in {**dict.fromkeys(plan.images, b"x"), **plan.files}.items():
        (root / path).write_bytes(content)
    return root


def open_tree(root, split=1):
    return reidlib.data.open("pku-sketch", root=root, split=split)


def find(report, where, text=""):
    return [p for p in report.problems if where in p.where and text in p.message]


def test_complete_tree_is_accepted_and_has_the_published_numbers(tree):
    dataset = open_tree(tree)
    assert dataset.check().problems == []
    frame = dataset.frame
    assert (len(dataset.rows(modality=0)), len(dataset.rows(modality=1))) == (400, 200)
    assert sorted(set(frame["pid"])) == list(range(1, 201))
    photos = frame[frame["modality"] == 0]
    assert (photos.groupby("pid")["camid"].nunique() == 2).all()
    assert set(photos["camid"]) == {3, 4, 5, 6, 7} and set(frame.loc[frame["modality"] == 1, "camid"]) == {0}
    assert set(photos["artist"]) == {""}
    assert frame.loc[frame["modality"] == 1, "artist"].value_counts().to_dict() == pku_sketch.PUBLISHED_IDENTITIES
    assert dataset.title == "PKU-Sketch, split 1" and dataset.reader.modalities == ("photo", "sketch")


def test_order_is_numeric_and_the_same_for_every_split(tree):
    paths = open_tree(tree).frame["path"].tolist()
    assert [path for path in paths if path.startswith("sketch")] == [f"sketch/{pid}.jpg" for pid in range(1, 201)]
    assert [Path(path).name.split("_")[0].split(".")[0] for path in paths[:6]] == ["1", "1", "1", "2", "2", "2"]
    assert all(open_tree(tree, split).frame["path"].tolist() == paths for split in pku_sketch.SPLITS)


# --- splits ----------------------------------------------------------------------------------------------------------


def test_published_lists_are_what_the_rule_draws():
    published = pku_sketch.published_positions()
    assert list(published) == list(pku_sketch.SPLITS)
    for split, positions in published.items():
        assert positions == pku_sketch.draw_positions(pku_sketch.PUBLISHED_IDENTITIES, split)
        for artist, tested in pku_sketch.PUBLISHED_TEST_IDENTITIES.items():
            assert len(set(positions[artist])) == tested
            assert 0 <= min(positions[artist]) <= max(positions[artist]) < pku_sketch.PUBLISHED_IDENTITIES[artist]


def test_published_lists_are_frozen():
    """If this fails, the published splits changed: results before and after are not comparable."""
    first = pku_sketch.published_positions()[1]
    assert first["b"] == [1, 7, 8, 13, 17] and first["e"] == [0, 13, 14, 16, 18, 20]
    assert pku_sketch.published_positions()[10] == LAST


@pytest.mark.parametrize("split", pku_sketch.SPLITS)
def test_a_split_is_stratified_by_artist_and_resolves_positions(tree, split):
    ids = pku_sketch.split_ids(tree, split)
    assert (len(ids["train"]), len(ids["test"])) == (150, 50)
    assert sorted(ids["train"] + ids["test"]) == list(range(1, 201))
    drawn = pku_sketch.read_annotation(tree)
    for artist, positions in pku_sketch.published_positions()[split].items():
        assert sorted(set(drawn[artist]) & set(ids["test"])) == [drawn[artist][position] for position in positions]
    frame = open_tree(tree, split).frame
    assert sorted(set(frame.loc[frame["split"] == "test", "pid"])) == ids["test"]


def test_splits_differ(tree):
    tested = [set(pku_sketch.split_ids(tree, split)["test"]) for split in pku_sketch.SPLITS]
    shared = [len(a & b) for i, a in enumerate(tested) for b in tested[:i]]
    assert 6 < np.mean(shared) < 19, "50 of 200 drawn twice share 12.5 on average"
    assert max(shared) < 30


def test_smaller_trees_are_split_in_proportion(tmp_path):
    root = write_tree(tmp_path / "small", "ci")
    ids = pku_sketch.split_ids(root, 3)
    drawn = pku_sketch.read_annotation(root)
    tested = {artist: len(set(pids) & set(ids["test"])) for artist, pids in drawn.items()}
    assert tested == {"a": 6, "b": 2, "c": 10, "d": 4, "e": 3}
    assert pku_sketch.split_ids(root, 3) == ids != pku_sketch.split_ids(root, 4)


def test_a_split_must_be_chosen_and_exist(tree):
    with pytest.raises(ValueError, match=r"choose one with split=, of \[1, 2"):
        open_tree(tree, None)
    for split in (0, 11):
        with pytest.raises(ValueError, match=f"split={split} is not possible"):
            open_tree(tree, split)
        with pytest.raises(ValueError, match=f"splits 1 to 10, not {split}"):
            pku_sketch.split_ids(tree, split)


# --- annotation ------------------------------------------------------------------------------------------------------


def test_lists_as_people_save_them(tree):
    before = pku_sketch.read_annotation(tree)
    file = tree / "styleAnnotation" / "b_20.txt"
    lines = file.read_text().split()
    file.write_bytes(("\ufeff" + "\r\n".join(reversed(lines)) + "\r\n\r\n").encode())
    assert pku_sketch.read_annotation(tree) == before


def test_a_missing_list_is_named_with_the_expected_tree(tree):
    (tree / "styleAnnotation" / "d_33.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"(?s)styleAnnotation lacks the list of artist d; .*sketch/1\.jpg"):
        open_tree(tree)


def test_lists_must_not_overlap(tree):
    first = pku_sketch.read_annotation(tree)["b"][0]
    with (tree / "styleAnnotation" / "c_79.txt").open("a") as file:
        file.write(f"{first}\n")
    with pytest.raises(ValueError, match=rf"several artists list \[{first}\]"):
        open_tree(tree)


def test_two_lists_of_one_artist_are_refused(tree):
    shutil.copy(tree / "styleAnnotation" / "a_46.txt", tree / "styleAnnotation" / "a_47.txt")
    with pytest.raises(ValueError, match="artist a has several lists"):
        open_tree(tree)


@pytest.mark.parametrize("word", ["one", "0", "10000", "1.5"])
def test_a_list_of_something_else_is_refused(tree, word):
    (tree / "styleAnnotation" / "e_22.txt").write_text(f"{word}\n")
    with pytest.raises(ValueError, match=rf"e_22\.txt: '{word}' is not an identity number"):
        open_tree(tree)


def test_odd_lists_are_reported(tree):
    file = tree / "styleAnnotation" / "e_22.txt"
    lines = file.read_text().split()
    file.write_text("\n".join([*lines[1:], lines[1]]))
    (tree / "styleAnnotation" / "readme.txt").write_text("styles")
    dataset = open_tree(tree)
    report = dataset.check()
    assert find(report, "e_22.txt", f"lists more than once: [{lines[1]}]")
    assert find(report, "e_22.txt", "names 21 identities, the file's name says 22")
    assert find(report, "readme.txt", "left out")
    assert find(report, f"identity {lines[0]}", "in no artist's list")[0].severity == "error"
    assert int(lines[0]) not in set(dataset.frame["pid"])
    assert find(report, "styleAnnotation", "artist e drew 21 identities, published: 22")
    assert find(report, "styleAnnotation", "do not divide")


# --- images ----------------------------------------------------------------------------------------------------------


def photos_of(root: Path, pid: int) -> list[Path]:
    return sorted((root / "photo").glob(f"{pid}_*.jpg"))


def test_photos_without_sketch_and_sketch_without_photos_are_named(tree):
    (tree / "sketch" / "7.jpg").unlink()
    for photo in photos_of(tree, 12):
        photo.unlink()
    report = open_tree(tree).check()
    assert find(report, "identity 7", "has no infrared/sketch image")
    assert find(report, "identity 12", "has no visible/photo image")
    assert find(report, "photo", "398 images, published: 400")[0].severity == "error"
    assert find(report, "sketch", "199 images, published: 200")[0].severity == "error"


def test_missing_and_surplus_images_are_reported(tree):
    photos_of(tree, 5)[0].unlink()
    one, other = photos_of(tree, 6)
    other.rename(one.with_name(one.name.replace(".jpg", "9.jpg")))
    shutil.copy(tree / "sketch" / "8.jpg", tree / "sketch" / "8.png")
    for path in (*photos_of(tree, 9), tree / "sketch" / "9.jpg"):
        path.unlink()
    report = open_tree(tree).check()
    assert find(report, "identity 5", "1 photo, two expected")[0].severity == "error"
    assert find(report, "identity 6", "both photos are named as of camera")
    assert find(report, "identity 8", "2 sketches, one expected")[0].severity == "error"
    assert find(report, "identity 9", "annotated, but without any image")[0].severity == "error"


def test_other_names_are_left_out_and_reported_and_junk_is_ignored(tree):
    for name in ("photo/5_3.jpg", "photo/a_05_1.jpg", "sketch/1_05_356.jpg", "sketch/0.jpg", "sketch/notes.txt"):
        (tree / name).write_bytes(b"x")
    for name in ("photo/Thumbs.db", "sketch/._1.jpg", "styleAnnotation/.DS_Store"):
        (tree / name).write_bytes(b"x")
    dataset = open_tree(tree)
    assert len(dataset) == 600
    strays = {p.where for p in dataset.check().problems}
    assert strays == {"photo/5_3.jpg", "photo/a_05_1.jpg", "sketch/1_05_356.jpg", "sketch/0.jpg", "sketch/notes.txt"}


def test_suffixes_and_digits_in_the_root_do_not_matter(tmp_path):
    root = write_tree(tmp_path / "7_03_11" / "photo" / "12.jpg")
    photo, sketch = photos_of(root, 1)[0], root / "sketch" / "1.jpg"
    photo.rename(photo.with_suffix(".JPG"))
    sketch.rename(sketch.with_suffix(".Png"))
    dataset = open_tree(root)
    assert dataset.check().problems == []
    assert dataset.frame["path"][2] == "sketch/1.Png" and set(dataset.frame["pid"]) == set(range(1, 201))


def test_missing_folders_and_links(tree, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"lacks photo, sketch, styleAnnotation; did you mean root=.*V1"):
        open_tree(tmp_path)
    (tree / "sketch" / "300.jpg").symlink_to("/etc/hostname")
    with pytest.raises(ValueError, match=r"300\.jpg is a link that leaves"):
        open_tree(tree)


def test_a_tree_without_annotated_images(tree):
    for folder in ("photo", "sketch"):
        shutil.rmtree(tree / folder)
        (tree / folder).mkdir()
    with pytest.raises(ValueError, match="no image of an annotated identity"):
        open_tree(tree)


def test_damaged_images_are_named_when_decoding(tree):
    report = open_tree(tree).check(decode=True)
    assert len(find(report, "", "cannot be used")) == 600


def test_a_clean_twin_is_not_compared_with_the_published_counts(tmp_path):
    root = write_tree(tmp_path / "small", "ci")
    assert not open_tree(root).check().ok
    manifest = {"twin_version": "1", "dataset": "pku-sketch", "profile": "ci", "images": 300, "image_size": [64, 32]}
    (root / "twin.json").write_text(json.dumps(manifest))
    assert open_tree(root).check().problems == []
