"""A folder of one's own: what is read, what is left out, and what is said about the rest."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_folders import write_folder

from reidlib import data
from reidlib.data import registry


def touch(file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 8)).save(file, "PNG")
    return file


def texts(dataset: data.ReIDDataset) -> str:
    return "\n".join(f"{each.severity} {each.where}: {each.message}" for each in dataset.check().problems)


def test_a_strangers_folder_becomes_a_data_set(tmp_path: Path) -> None:
    dataset = data.from_folders(write_folder(tmp_path / "My People"))
    assert (dataset.name, dataset.title) == ("my-people", "My People, own split (seed 0)")
    assert (len(dataset), dataset.is_twin, dataset.split, dataset.reader.shape) == (60, False, None, "person")
    assert dataset.summary()["identities"].tolist() == [5, 5, 5, 5]
    assert dataset.frame["path"].iloc[0] == "visible/0001/0.png"
    assert dataset.frame["pid"].unique().tolist() == list(range(1, 11))
    assert dataset.frame.groupby("modality")["camid"].unique().explode().tolist() == [1, 2]
    assert dataset.check().ok and not dataset.check().problems
    assert dataset.images(16, 8, progress=False).array.shape == (60, 16, 8, 3)
    assert pickle.loads(pickle.dumps(dataset)).frame.equals(dataset.frame)


def test_names_are_numbered_and_kept_however_they_are_spelled(tmp_path: Path) -> None:
    composed, decomposed = "Zoë", "Zoe\u0308"  # the same name, as two systems write it
    write_folder(tmp_path, ["alice", composed, "李"], modalities=("visible",))
    write_folder(tmp_path, ["alice", decomposed, "李"], modalities=("infrared",))
    dataset = data.from_folders(tmp_path, name="friends")
    assert dict(zip(dataset.frame["identity"], dataset.frame["pid"], strict=True)) == {"Zoë": 0, "alice": 1, "李": 2}
    assert not dataset.check().problems, "everybody has both modalities"


def test_two_spellings_of_a_number_are_refused(tmp_path: Path) -> None:
    write_folder(tmp_path, ["0001", "2"], modalities=("visible",))
    write_folder(tmp_path, ["1", "2"], modalities=("infrared",))
    with pytest.raises(ValueError, match="identities '0001' and '1' are one number; spell it alike"):
        data.from_folders(tmp_path)


def test_cameras_come_from_a_folder_or_from_a_pattern(tmp_path: Path) -> None:
    for pid, camera, modality in [(p, c, m) for p in "abc" for c in ("cam3", "cam7") for m in ("rgb", "ir")]:
        touch(tmp_path / modality / pid / camera / "x.png")
    dataset = data.from_folders(tmp_path, ("rgb", "ir"), name="by-folder")
    assert sorted(set(zip(dataset.frame["camera"], dataset.frame["camid"], strict=True))) == [("cam3", 1), ("cam7", 2)]
    dataset = data.from_folders(tmp_path, ("rgb", "ir"), cameras="^(.)", name="by-pattern")
    assert dataset.frame["camera"].unique().tolist() == ["x"]
    named = tmp_path / "named"
    for pid in "abc":
        touch(named / "visible" / pid / "p_c04_1.PNG"), touch(named / "infrared" / pid / "p_c12_1.png")
    dataset = data.from_folders(named, cameras=r"_c(\d+)_")
    assert sorted(dataset.frame["camid"].unique()) == [4, 12]
    odd = touch(named / "infrared" / "a" / "p.png")
    with pytest.raises(ValueError, match=r"infrared/a/p\.png: the file name holds no camera: cameras='_c"):
        data.from_folders(named, cameras=r"_c(\d+)_")
    odd.rename(touch(named / "infrared" / "a" / "cam1" / "q.png"))
    with pytest.raises(ValueError, match=r"lacks a camera, unlike infrared/a/cam1/q\.png"):
        data.from_folders(named)


@pytest.mark.parametrize(
    ("cameras", "message"), [("c(", "is no regular expression"), ("c.", "must have one group"), (3, "is no regular")]
)
def test_a_pattern_that_is_none_is_refused(tmp_path: Path, cameras: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        data.from_folders(write_folder(tmp_path, 2, images=1), cameras=cameras)


def test_what_systems_leave_behind_is_no_image_and_what_else_is_left_out_is_said(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "x", 4, images=1)
    for junk in ("Thumbs.db", ".DS_Store", "._0.png", "desktop.ini"):
        (root / "visible" / "0001" / junk).write_bytes(b"junk")
        (root / junk).write_bytes(b"junk")
    assert len(data.from_folders(root)) == 8 and not data.from_folders(root).check().problems
    (root / "visible" / "0001" / "notes.txt").write_text("x")
    (root / "visible" / "loose.png").write_bytes(b"x")
    (root / "visible" / "0009").mkdir()
    (root / "sketch").mkdir()
    said = texts(data.from_folders(root))
    assert "warning visible/0001/notes.txt: is no image in the folder of an identity and was left out" in said
    assert "warning visible/loose.png" in said and "warning visible/0009: holds no image" in said
    assert "note sketch: is no folder of visible or infrared and is not used" in said


def test_every_suffix_that_the_decoder_knows_is_taken_in_small_letters_and_capitals(tmp_path: Path) -> None:
    kinds = {"JPG": "JPEG", "jpeg": "JPEG", "PNG": "PNG", "bmp": "BMP", "TIF": "TIFF", "ppm": "PPM", "WebP": "WEBP"}
    for suffix, kind in kinds.items():
        for modality in ("visible", "infrared"):
            file = tmp_path / modality / f"of {suffix}" / f"Ünïcode name.{suffix}"
            file.parent.mkdir(parents=True)
            Image.new("RGB", (4, 8), "red").save(file, kind)
    dataset = data.from_folders(tmp_path, title="Kinds")
    assert len(dataset) == 14 and not dataset.check(decode=True).problems
    assert dataset.images(8, 4, progress=False).array[0, 0, 0].tolist() == pytest.approx([254, 0, 0], abs=2)


def test_deep_images_are_refused_as_those_of_published_sets(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "x", 4, images=1)
    Image.fromarray(np.full((8, 4), 7000, np.uint16)).save(root / "infrared" / "0001" / "0.png")
    dataset = data.from_folders(root)
    assert "infrared/0001/0.png: cannot be used: its pixels are not 8-bit" in str(dataset.check(decode=True))
    with pytest.raises(OSError, match=r"infrared/0001/0\.png"):
        dataset.images(8, 4, progress=False)


@pytest.mark.parametrize(
    ("there", "message"),
    [
        (("rgb", "ir"), r"did you mean modalities=\('rgb', 'ir'\)"),
        (("Visible", "Infrared"), r"did you mean modalities=\('Visible', 'Infrared'\)"),
        (("RGB", "thermal", "other"), r"did you mean modalities=\('RGB', 'thermal'\)"),
        (("visible", "infra-red"), r"lacks the folder infrared; it holds the folders infra-red, visible.*did you mean"),
        (("photo", "sketch"), r"did you mean modalities=\('photo', 'sketch'\)"),
        (("visible",), r"lacks the folder infrared; it holds the folders visible\."),
        ((), r"lacks the folder visible and infrared; it holds no folder"),
    ],
)
def test_folders_of_other_names_are_guessed(tmp_path: Path, there: tuple[str, ...], message: str) -> None:
    write_folder(tmp_path / "x", 2, modalities=there, images=1) if there else (tmp_path / "x").mkdir()
    with pytest.raises(FileNotFoundError, match=f"(?i){message}"):
        data.from_folders(tmp_path / "x")


def test_folders_in_another_order_or_one_deeper_are_recognised(tmp_path: Path) -> None:
    write_folder(tmp_path / "deep" / "archive", 2, images=1)
    with pytest.raises(FileNotFoundError, match=r"Did you mean root='.*archive'"):
        data.from_folders(tmp_path / "deep")
    for pid in "ab":
        touch(tmp_path / "turned" / pid / "visible" / "x.png"), touch(tmp_path / "turned" / pid / "infrared" / "x.png")
    with pytest.raises(FileNotFoundError, match=r"Here the identity comes first \(a/visible\)"):
        data.from_folders(tmp_path / "turned")
    touch(tmp_path / "flat" / "visible" / "x.png"), touch(tmp_path / "flat" / "infrared" / "x.png")
    with pytest.raises(ValueError, match=r"its 1 images lie in no folder of an identity; move visible/x\.png to"):
        data.from_folders(tmp_path / "flat")
    (tmp_path / "empty" / "visible").mkdir(parents=True), (tmp_path / "empty" / "infrared").mkdir()
    with pytest.raises(ValueError, match="there is no image in folders of identities"):
        data.from_folders(tmp_path / "empty")


@pytest.mark.parametrize(
    "modalities", [("visible",), ("a", "b", "c"), ("a", "a"), "visible", ("a/b", "c"), ("..", "c")]
)
def test_modalities_are_two_names_of_folders(tmp_path: Path, modalities: object) -> None:
    with pytest.raises(ValueError, match="modalit"):
        data.from_folders(tmp_path, modalities)


def test_the_split_is_drawn_lies_in_lists_or_in_folders(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "x", 12, images=1)
    tested = {seed: set(data.from_folders(root, seed=seed).frame.query("split == 'test'")["pid"]) for seed in range(3)}
    assert all(len(each) == 6 for each in tested.values()) and tested[0] != tested[1] != tested[2]
    fewer = data.from_folders(root, test_share=0.25)
    assert fewer.frame.query("split == 'test'")["pid"].nunique() == 3 and fewer.own_split == "seed 0, 25 % tested"
    write_folder(root, ["0013"], images=1)
    again = set(data.from_folders(root).frame.query("split == 'test'")["pid"])
    assert len(again ^ tested[0]) <= 2, "a further identity moves one other at most"
    (root / "test.txt").write_text("\ufeff0001\r\n\r\n2\n", encoding="utf-8")
    listed = data.from_folders(root)
    assert set(listed.frame.query("split == 'test'")["pid"]) == {1, 2} and listed.own_split == "test.txt"
    for split, names in (("train", ["a", "b"]), ("test", ["c"])):
        write_folder(tmp_path / "divided" / split, names, images=1)
    divided = data.from_folders(tmp_path / "divided", name="divided")
    assert divided.own_split == "folders" and set(divided.frame.query("split == 'test'")["identity"]) == {"c"}
    write_folder(tmp_path / "divided" / "test", ["a"], images=1)
    with pytest.raises(ValueError, match=r"identity 'a' is in training and in test \(train/.*; test/"):
        data.from_folders(tmp_path / "divided")


def test_who_has_one_modality_is_tested_and_named(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "x", 4, images=1)
    touch(root / "visible" / "0077" / "x.png")
    dataset = data.from_folders(root)
    assert dataset.frame.query("pid == 77")["split"].tolist() == ["test"]
    assert "warning identity 0077: (test) has no infrared image" in texts(dataset)


def test_too_few_identities_to_divide(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "x", ["alice"])
    with pytest.raises(ValueError, match=r"holds 1 identities with both modalities \(1 in all\).*test_share=1"):
        data.from_folders(root)
    assert set(data.from_folders(root, test_share=1).frame["split"]) == {"test"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "regdb"}, "'regdb' is a data set that reidlib knows; give yours another name"),
        ({"name": "My Data"}, "name must be lower-case"),
        ({"shape": "round"}, "unknown shape 'round'; choose one of: person, square, face"),
        ({"test_share": 2}, "test_share= must be a share from 0 to 1"),
        ({"seed": -1}, "seed= must be a whole number"),
        ({"title": "a\nb"}, "title must be one printable line"),
        ({"train": ["0001"], "test": ["0001"]}, r"entry 1 \(test\): '0001' is in train as well"),
        ({"train": ["0001", "nobody"]}, r"entry 2 \(train\): 'nobody' is no identity and no image"),
        ({"train": [f"{n:04d}" for n in range(1, 5)]}, "these lists leave nobody for test"),
    ],
)
def test_bad_arguments_are_refused(tmp_path: Path, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        data.from_folders(write_folder(tmp_path / "x", 4, images=1), **options)


@pytest.mark.parametrize("folder", ["sysu", "42", "Größe", "人", "a  b"])
def test_a_name_is_made_of_any_folders_name(tmp_path: Path, folder: str) -> None:
    dataset = data.from_folders(write_folder(tmp_path / folder, 2, images=1))
    assert registry.own.NAME.fullmatch(dataset.name) and dataset.name not in registry.READERS
    assert dataset.title.startswith(folder)


def test_links_stay_inside(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "x", 2, images=1)
    secret = touch(tmp_path / "secret.png")
    (root / "visible" / "0001" / "link.png").symlink_to(secret)
    with pytest.raises(ValueError, match=r"link\.png is a link that leaves"):
        data.from_folders(root)
    (root / "visible" / "0001" / "link.png").unlink()
    (root / "visible").rename(tmp_path / "elsewhere")
    (root / "visible").symlink_to(tmp_path / "elsewhere")
    assert len(data.from_folders(root)) == 4, "the folder of a modality may be a link"


def test_names_that_cannot_be_written_down_are_refused(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "x", 2, images=1)
    with open(os.path.join(os.fsencode(root), b"visible", b"0001", b"\xff.png"), "wb") as file:
        file.write(b"x")
    with pytest.raises(ValueError, match="is not in UTF-8; rename it"):
        data.from_folders(root)


def test_a_reader_from_outside_is_registered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", {})
    dataset = data.from_folders(write_folder(tmp_path / "mine", 4, images=1))
    assert data.register("mine", dataset.reader) is dataset.reader and data.names()[-1] == "mine"
    opened = data.open("mine", root=tmp_path / "mine")
    assert opened.frame.equals(dataset.frame) and opened.title == "mine"
    monkeypatch.setenv("REIDLIB_DATA", str(tmp_path))
    assert data.open("mine").root == tmp_path / "mine"
    with pytest.raises(ValueError, match="'sysu' is a data set that reidlib knows"):
        data.register("sysu", dataset.reader)
    with pytest.raises(TypeError, match=r"takes a reidlib\.data\.Reader"):
        data.register("mine", dataset)


def test_an_installed_package_offers_a_reader_and_a_broken_one_stops_nobody(tmp_path, monkeypatch, caplog) -> None:
    reader = data.from_folders(write_folder(tmp_path / "x", 4, images=1)).reader
    entries = [("broken", lambda: 1 / 0), ("offered", lambda: reader), ("regdb", lambda: reader)]
    offered = [type("Entry", (), {"name": name, "value": "a.b", "load": staticmethod(load)}) for name, load in entries]
    monkeypatch.setattr(registry, "_registered", {})
    monkeypatch.setattr(registry, "_offered", offered)
    assert data.names()[-1] == "offered" and len(data.open("offered", root=tmp_path / "x")) == 8
    assert "broken = a.b offers no reader" in caplog.text and "regdb = a.b offers no reader" in caplog.text
    assert (
        registry.READERS["regdb"].title == "RegDB" and registry.is_own("offered") and registry.title("offered") == "x"
    )
