"""Reading QMUL trees in both layouts: whole and odd."""

import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import reidlib.data
from reidlib.data import qmul

SKETCHES = {  # photo name → (split, sketches); names as the publishers like them
    "CHABRA003GRY-UK_v1_PearlGrey": ("train", 3),
    "9910-02-carbon": ("train", 2),
    "plain": ("train", 1),
    "plain_1": ("test", 2),
    "2429245009": ("test", 12),
}
STROKES = np.array([[40, 60, 0], [200, 60, 1], [128, 100, 0], [128, 220, 0], [60, 220, 1]], dtype=float)


def save_photo(path: Path, shade: int) -> None:
    Image.new("RGB", (20, 16), (shade, shade, 255)).save(path)


def keys() -> list[str]:
    return [f"/{split}/{name}_{k + 1}" for name, (split, count) in SKETCHES.items() for k in range(count)]


def dump(root: Path, sketches: dict, name: str = "ChairV2_Coordinate") -> None:
    (root / name).write_bytes(pickle.dumps(sketches, protocol=4))
    reidlib.data.qmul._load_sketches.cache_clear()  # a file written twice within a tick of the clock


@pytest.fixture
def strokes(tmp_path) -> Path:
    """A ChairV2 tree with a coordinate pickle."""
    root = tmp_path / "ChairV2"
    (root / "photo").mkdir(parents=True)
    for number, name in enumerate(SKETCHES):
        save_photo(root / "photo" / f"{name}.png", 40 * number)
    dump(root, {key: STROKES + (number, 0, 0) for number, key in enumerate(keys())})
    return root


def save_sketch(path: Path) -> None:
    """As the publishers save them: black everywhere, the strokes in alpha."""
    pixels = np.zeros((32, 32, 4), np.uint8)
    pixels[10:12, 4:28, 3] = 255
    pixels[12, 4:28, 3] = 128
    Image.fromarray(pixels, "RGBA").save(path)


@pytest.fixture
def images(tmp_path) -> Path:
    """A ShoeV2 tree of images."""
    root = tmp_path / "ShoeV2"
    for folder in ("trainA", "trainB", "testA", "testB"):
        (root / folder).mkdir(parents=True)
    for number, (name, (split, count)) in enumerate(SKETCHES.items()):
        save_photo(root / f"{split}B" / f"{name}.png", 40 * number)
        for k in range(count):
            save_sketch(root / f"{split}A" / f"{name}_{k + 1}.png")
    (root / "photo_train.txt").write_text("not needed\n")
    return root


@pytest.fixture(params=["strokes", "images"])
def dataset(request):
    name = {"strokes": "chair", "images": "shoe"}[request.param]
    return reidlib.data.open(name, root=request.getfixturevalue(request.param))


def problems(dataset, where: str = "", message: str = "") -> list:
    return [p for p in dataset.check().problems if where in p.where and message in p.message]


def test_both_layouts_give_the_same_frame(dataset):
    frame = dataset.frame
    order = sorted(SKETCHES)
    assert order.index("plain") != order.index("plain_1")
    assert len(frame) == 5 + 20
    for name, (split, count) in SKETCHES.items():
        part = frame[frame["name"] == name]
        assert part["modality"].tolist() == [0] + [1] * count
        assert part["camid"].tolist() == part["modality"].tolist()
        assert set(part["pid"]) == {order.index(name)} and set(part["split"]) == {split}
    last = frame[frame["name"] == "2429245009"]["path"].tolist()[-1]
    assert last.endswith("test/2429245009_12") or last.endswith("testA/2429245009_12.png"), "numbers, not texts"
    assert frame["pid"].is_monotonic_increasing
    assert dataset.reader.modalities == ("photo", "sketch")


def test_the_name_ends_at_the_last_underscore(strokes):
    frame = reidlib.data.open("chair", root=strokes).frame.set_index("path")
    assert frame.loc["ChairV2_Coordinate/train/plain_1", "name"] == "plain"
    assert frame.loc["ChairV2_Coordinate/test/plain_1_1", "name"] == "plain_1"
    name = "CHABRA003GRY-UK_v1_PearlGrey"
    assert frame.loc[f"ChairV2_Coordinate/train/{name}_3", "name"] == name


def test_strokes_are_drawn_black_on_white_with_smooth_edges(strokes):
    dataset = reidlib.data.open("chair", root=strokes)
    row = int(np.flatnonzero(dataset.frame["path"] == f"ChairV2_Coordinate{keys()[0]}")[0])
    image = dataset.image(row)
    assert image.mode == "RGB" and image.size == (256, 256)
    grey = np.asarray(image)[..., 0].astype(float)
    assert grey[60, 100] == grey[160, 128] == 0 and grey[220, 90] == 0
    assert grey[80, 164] == 255, "the pen was lifted between the two strokes"
    assert grey[5, 5] == 255
    assert ((grey > 0) & (grey < 255)).any(), "smooth"
    width = (255 - grey[:, 100]).sum() / 255 - (255 - grey[215:226, 100]).sum() / 255
    assert width == pytest.approx(3.0, abs=0.1)


def test_a_dot_and_points_beyond_the_page_are_drawn(strokes):
    dot = np.array([[30.0, 30.0, 1.0], [-20.0, 100.0, 0.0], [280.0, 100.0, 1.0]])
    grey = np.asarray(qmul.draw(dot))[..., 0]
    assert grey[30, 30] == 0 and grey[100, 0] == 0 and grey[100, 255] == 0


def test_alpha_becomes_strokes_on_white(images):
    dataset = reidlib.data.open("shoe", root=images)
    pixels = np.asarray(dataset.image(int(dataset.rows("test", modality=1)[0])))
    assert pixels.shape == (32, 32, 3)
    assert (pixels[10, 10], pixels[0, 0], pixels[12, 10]) == (
        pytest.approx([0, 0, 0]), pytest.approx([255] * 3), pytest.approx([127] * 3, abs=1)
    )  # fmt: skip


def test_the_cache_follows_the_pickle(strokes):
    dataset = reidlib.data.open("chair", root=strokes)
    before = dataset.images(32, 32).array.copy()
    assert before.shape == (25, 32, 32, 3)
    dump(strokes, dict.fromkeys(keys(), STROKES[::-1] * (1, 0.5, 1)))
    after = reidlib.data.open("chair", root=strokes).images(32, 32).array
    changed = (before != after).any((1, 2, 3))
    np.testing.assert_array_equal(changed, dataset.frame["modality"] == 1)


def test_a_sketch_that_has_gone_is_named_when_decoded(strokes):
    dataset = reidlib.data.open("chair", root=strokes)
    dump(strokes, dict.fromkeys(keys()[1:], STROKES))
    with pytest.raises(OSError, match=r"ChairV2_Coordinate/train/CHABRA003GRY-UK_v1_PearlGrey_1"):
        dataset.images(32, 32)


def test_small_trees_differ_from_the_published_numbers(dataset):
    report = dataset.check(decode=True)
    if dataset.name == "chair":
        assert [(p.severity, p.where) for p in report.problems] == [("error", "train"), ("error", "test")]
        assert "3 photos and 6 sketches, published: 300 and 952" in report.problems[0].message
        assert "2 photos and 14 sketches, published: 100 and 323" in report.problems[1].message
    else:
        assert report.ok and [p.severity for p in report.problems] == ["note", "note"]
        assert "2 photos and 14 sketches, published: 200 and 679" in report.problems[1].message


def test_a_chair_tree_in_the_published_numbers_is_accepted(tmp_path):
    (tmp_path / "photo").mkdir()
    sketches = {}
    for split, photos, count in (("train", 300, 952), ("test", 100, 323)):
        for number in range(photos):
            (tmp_path / "photo" / f"{split}_{number}.png").write_bytes(b"x")
        sketches |= {f"/{split}/{split}_{k % photos}_{k // photos + 1}": STROKES for k in range(count)}
    dump(tmp_path, sketches)
    report = reidlib.data.open("chair", root=tmp_path).check()
    assert report.problems == []


# --- odd trees -------------------------------------------------------------------------------------------------------


def lose(path: str) -> Callable[[Path], object]:
    return lambda root: (root / path).rename(root.parent / "elsewhere")


def empty(root: Path) -> None:
    for folder in ("trainA", "testA", "trainB", "testB"):
        shutil.rmtree(root / folder)
        (root / folder).mkdir()


def link_out(root: Path) -> None:
    (root.parent / "secret.png").write_bytes(b"x")
    (root / "photo" / "secret.png").symlink_to(root.parent / "secret.png")


@pytest.mark.parametrize(
    ("layout", "change", "name", "message"),
    [
        ("strokes", lose("photo"), "chair", r"lacks photo; expected tree:\nQMUL-ChairV2/"),
        ("strokes", lose("ChairV2_Coordinate"), "chair", r"lacks ChairV2_Coordinate; expected tree:\nQMUL-ChairV2/"),
        ("images", lose("trainA"), "shoe", "lacks trainA; expected tree"),
        ("images", lose("testB"), "shoe", "lacks testB; expected tree"),
        ("strokes", lambda root: None, "shoe", "ChairV2_Coordinate is there: this is the tree of 'chair'"),
        ("strokes", lose("photo/plain.png"), "chair", "the sketch ChairV2_Coordinate/train/plain_1 has no photo"),
        (
            *("images", lose("testB/2429245009.png"), "shoe"),
            r"the sketch testA/2429245009_1\.png has no photo \(and 11 more\)",
        ),
        (
            *("strokes", lambda root: dump(root, dict.fromkeys([*keys(), "/test/plain_2"], STROKES)), "chair"),
            "sketches of 'plain' are in train and in test",
        ),
        (
            *("images", lambda root: save_photo(root / "testB" / "plain.png", 9), "shoe"),
            r"two photos are called 'plain', trainB/plain\.png and testB/plain\.png",
        ),
        (
            *("strokes", lambda root: Image.new("RGB", (4, 4)).save(root / "photo" / "plain.JPG"), "chair"),
            r"two photos are called 'plain', photo/plain\.JPG and photo/plain\.png",
        ),
        (
            *("images", lambda root: (root / "trainA/plain_1.png").rename(root / "testA/plain_9.png"), "shoe"),
            r"testA/plain_9\.png: its photo is in trainB, not in testB",
        ),
        ("strokes", link_out, "chair", "is a link that leaves"),
        ("images", empty, "shoe", "no sketch of any photo was found"),
    ],
)
def test_odd_trees_are_refused(request, layout, change, name, message):
    root = request.getfixturevalue(layout)
    change(root)
    error = FileNotFoundError if "lacks" in message or "is there" in message else ValueError
    with pytest.raises(error, match=message):
        reidlib.data.open(name, root=root)


def test_both_layouts_at_once_are_explained(strokes, images):
    shutil.copytree(images, strokes, dirs_exist_ok=True)
    with pytest.raises(ValueError, match=r"(?s)holds two layouts, photo, ChairV2_Coordinate and trainB.*move one of"):
        reidlib.data.open("chair", root=strokes)


def test_a_root_one_level_too_high_gets_a_hint(strokes):
    with pytest.raises(FileNotFoundError, match=r"did you mean root='.*ChairV2'"):
        reidlib.data.open("chair", root=strokes.parent)


def test_a_photo_without_sketch_is_reported(strokes, images):
    save_photo(strokes / "photo" / "unseen.png", 9)
    dataset = reidlib.data.open("chair", root=strokes)
    assert "unseen" not in set(dataset.frame["name"])
    assert problems(dataset, "photo/unseen.png", "has no sketch")[0].severity == "warning"

    save_photo(images / "testB" / "unseen.png", 9)
    dataset = reidlib.data.open("shoe", root=images)
    [row] = np.flatnonzero(dataset.frame["name"] == "unseen")
    assert row in dataset.rows("test", modality=0), "its folder says that it belongs to the gallery"
    assert problems(dataset, f"identity {dataset.frame['pid'][row]}")[0].severity == "warning"


def test_pids_do_not_depend_on_which_photos_have_sketches(strokes):
    pids = dict(reidlib.data.open("chair", root=strokes).frame[["name", "pid"]].to_numpy().tolist())
    dump(strokes, {key: STROKES for key in keys() if "9910" not in key})
    fewer = dict(reidlib.data.open("chair", root=strokes).frame[["name", "pid"]].to_numpy().tolist())
    assert fewer.items() < pids.items()


def test_strays_are_left_out_and_reported_and_junk_is_ignored(images):
    for path in ("trainA/notes.txt", "trainA/nounderscore.png", "testB/thumb.gif"):
        (images / path).write_bytes(b"x")
    (images / "trainA" / "Thumbs.db").write_bytes(b"x")
    dataset = reidlib.data.open("shoe", root=images)
    assert len(dataset) == 25
    found = {p.where for p in problems(dataset, message="left out")}
    assert found == {"trainA/notes.txt", "trainA/nounderscore.png", "testB/thumb.gif"}
