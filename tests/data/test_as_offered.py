"""Trees as people really have them: the copies of shoes and chairs that are online, FERET's own names, own lists."""

from pathlib import Path

import pytest
from PIL import Image

from reidlib import data
from reidlib.data import cufsf, feret, qmul

ONLINE = {"chair": qmul.KINDS["chair"].online, "shoe": qmul.KINDS["shoe"].online}


def write_qmul(root: Path, counts: dict[str, tuple[int, int]]) -> Path:
    for split, (photos, sketches) in counts.items():
        for folder in (qmul.PHOTOS[split], qmul.SKETCHES[split]):
            (root / folder).mkdir(parents=True)
        for number in range(photos):
            (root / qmul.PHOTOS[split] / f"{split}{number}.png").write_bytes(b"x")
        for number in range(sketches):
            name = f"{split}{number % photos}_{number // photos + 1}.png"
            (root / qmul.SKETCHES[split] / name).write_bytes(b"x")
    return root


def test_the_online_copies_are_known() -> None:
    for name, kind in qmul.KINDS.items():
        published, online = (sum(counts[1] for counts in each.values()) for each in (kind.images, kind.online))
        assert (published == online) is (name == "chair"), "the chairs are another split of the same sketches"


def test_the_chairs_that_are_offered_online_get_a_note(tmp_path: Path) -> None:
    report = data.open("chair", root=write_qmul(tmp_path / "ChairV2", ONLINE["chair"])).check()
    assert report.ok and [each.severity for each in report.problems] == ["note", "note"]
    assert "300 photos and 964 sketches, published: 300 and 952 (the copy that is offered online" in str(report)
    report = data.open("chair", root=write_qmul(tmp_path / "cut", {"train": (300, 964), "test": (100, 310)})).check()
    assert not report.ok, "an incomplete copy is none"


def test_shoes_opened_as_chairs_are_an_error(tmp_path: Path) -> None:
    few = {split: (photos, photos) for split, (photos, _) in ONLINE["shoe"].items()}
    root = write_qmul(tmp_path / "neutral", few)
    report = data.open("chair", root=root).check()
    assert not report.ok and "is this the tree of 'shoe'?" in str(report) and "open it as 'shoe'" in str(report)
    assert data.open("shoe", root=root).check().ok


# ---- FERET


def write_faces(root: Path, photos: dict[str, bytes]) -> Path:
    for folder in ("photo", *cufsf.POINTS_OF.values(), "original_sketch"):
        (root / folder).mkdir(parents=True)
    names = [f"{pid:05d}fb010_930831" for pid in range(1, 5)]
    (root / cufsf.NAMES).write_text("\n".join(names))
    for pid, name in enumerate(names, start=1):
        Image.new("RGB", (44, 56)).save(root / "original_sketch" / f"{pid:05d}.png")
        for points in (root / "photo_points" / f"{name}.3pts", root / "sketch_points" / f"{pid:05d}.3pts"):
            points.write_text("12 20\n30 21\n21.5 38\n")
    for file, content in photos.items():
        (root / "photo" / file).write_bytes(content)
    return root


@pytest.mark.parametrize(
    "template",
    ["{}_930831_fb.ppm.bz2", "{}_930831_fb.ppm", "{}_930831_fb_a.PPM", "{}fb010_930831.tif.bz2", "{}_930831_fb.jpg"],
)
def test_names_of_feret_are_recognised(tmp_path: Path, template: str) -> None:
    photos = {template.format(f"{pid:05d}"): b"x" for pid in range(1, 5)}
    report = data.open("cufsf", root=write_faces(tmp_path, photos)).check()
    missing = [each for each in report.problems if each.where.startswith("photo/")]
    assert [each.message for each in missing] == [
        f"is missing, and with it the pair; {file} looks like it" for file in sorted(photos)
    ]
    assert {each.fix for each in missing} == {feret.RENAME}
    others = {each.where for each in report.problems if each not in missing and not each.where.startswith("identity")}
    assert others == {cufsf.NAMES}, "neither strays nor photographs that were left out"


def test_another_pose_or_date_is_not_the_photograph(tmp_path: Path) -> None:
    photos = {"00001_930831_fa.ppm": b"x", "00002_940128_fb.ppm": b"x", "00099_930831_fb.ppm": b"x"}
    report = data.open("cufsf", root=write_faces(tmp_path, photos)).check()
    assert "looks like it" not in str(report) and "3 photographs that no sketch was drawn from" in str(report)


# ---- own lists


@pytest.fixture
def sketches(twin) -> data.ReIDDataset:
    return data.open("pku-sketch", root=twin("pku-sketch"), split=1)


def test_lists_of_images_with_folders_before_and_classes_behind(tmp_path: Path, sketches) -> None:
    pids = sorted(sketches.frame["pid"].unique())
    files = {}
    for part, people in (("train", pids[2:]), ("test", pids[:2])):
        for kind, modality in (("visible", 0), ("sketch", 1)):
            rows = sketches.frame[sketches.frame["pid"].isin(people) & (sketches.frame["modality"] == modality)]
            files[part, kind] = tmp_path / f"{part}_{kind}_1.txt"
            lines = [f"/somewhere/PKUSketchRE-ID_V1/{path} {n % 7}" for n, path in enumerate(rows["path"])]
            files[part, kind].write_text("\r\n".join(lines) + "\r\n")
    train, test = ([files[part, kind] for kind in ("visible", "sketch")] for part in ("train", "test"))
    own = data.own_split(sketches, train, test)
    assert own.split is None and len(own) == len(sketches)
    assert own.title.endswith(
        "own split (train_visible_1.txt, train_sketch_1.txt, test_visible_1.txt, test_sketch_1.txt)"
    )
    assert sorted(own.frame.query("split == 'test'")["pid"].unique()) == pids[:2]
    named = data.own_split(sketches, test=pids[:2], label="of 2024")
    assert named.title.endswith("own split (of 2024)") and named.frame.equals(own.frame)


def test_a_part_of_the_images_and_numbers_in_one_line(sketches) -> None:
    pids = sorted(sketches.frame["pid"].unique())
    some = data.own_split(sketches, train=[", ".join(map(str, pids[3:6]))], test=[f"{pids[0]:04d}"])
    assert sorted(some.frame["pid"].unique()) == [pids[0], *pids[3:6]], "what no list names is left out"
    assert some.own_split == "own lists"


def test_lists_that_are_wrong_are_named(tmp_path: Path, sketches) -> None:
    pids = sorted(sketches.frame["pid"].unique())
    file = tmp_path / "list.txt"
    file.write_text(f"{pids[0]}\n\nphoto/none.jpg 3\n")
    with pytest.raises(
        ValueError, match=r"list\.txt, line 3 \(test\): 'photo/none\.jpg 3' is no identity and no image"
    ):
        data.own_split(sketches, test=file)
    file.write_text("")
    with pytest.raises(ValueError, match=r"list\.txt is empty"):
        data.own_split(sketches, test=file)
    with pytest.raises(FileNotFoundError, match=r"gone\.txt is missing"):
        data.own_split(sketches, test=tmp_path / "gone.txt")
    paths = sketches.frame[sketches.frame["pid"] == pids[0]]["path"].tolist()
    with pytest.raises(ValueError, match=f"identity {pids[0]} is in training and in test"):
        data.own_split(sketches, train=[paths[0], str(pids[1])], test=[paths[1]])
    with pytest.raises(ValueError, match="needs a list"):
        data.own_split(sketches)
    with pytest.raises(ValueError, match="label must be one printable line"):
        data.own_split(sketches, test=[pids[0]], label="a\nb")
