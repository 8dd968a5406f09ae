"""Pictures of one's own: files become features, features find each other."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from reidlib import evaluation
from reidlib.data import decode, normalise
from reidlib.evaluation import TrainedOn, embed_images, images_in, pictures, search


class Corners(nn.Module):
    """Four pixels of an image, and its modality."""

    image_size = (16, 8)

    def embed(self, images, modality):
        assert not self.training
        return torch.cat([images[:, :, ::15, ::7].flatten(1), modality[:, None].float()], dim=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    generator = np.random.default_rng(0)
    for name in ("b/2.png", "b/10.PNG", "a.jpg", "c/d/e.bmp", ".hidden.jpg", ".git/f.png", "c/f.tif", "c/g.webp"):
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = generator.integers(0, 256, (20, 10, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photos" / name)
    (tmp_path / "photos" / "notes.txt").write_text("no image")
    return tmp_path / "photos"


def by_hand(path: Path, modality: int) -> torch.Tensor:
    pixels = decode.resized(decode.read_image(path, ("JPEG", "PNG", "BMP", "TIFF", "WEBP")), 16, 8)
    batch = normalise(torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None])
    with torch.no_grad():
        return F.normalize(Corners().eval().embed(batch, torch.tensor([modality])), dim=1)[0]


def test_the_images_of_a_folder_in_the_order_of_their_paths(folder: Path) -> None:
    found = [path.relative_to(folder).as_posix() for path in images_in(folder)]
    assert found == ["a.jpg", "b/10.PNG", "b/2.png", "c/d/e.bmp", "c/f.tif", "c/g.webp"]
    assert images_in(folder / "a.jpg") == [folder / "a.jpg"]


def test_a_folder_without_images_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no file or folder .*absent"):
        images_in(tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="no file at all"):
        images_in(tmp_path / "empty")
    (tmp_path / "empty" / "scores.csv").touch()
    with pytest.raises(FileNotFoundError, match=r"1 other files, such as scores.csv"):
        images_in(tmp_path / "empty")
    os.symlink(tmp_path / "unmounted", tmp_path / "link")
    with pytest.raises(FileNotFoundError, match=r"is a link to .*unmounted, which is not there"):
        images_in(tmp_path / "link")


def test_files_are_embedded_as_images_of_data_sets_are(folder: Path) -> None:
    model, paths = Corners().train(), images_in(folder)
    found = embed_images(
        model, map(str, paths), ["visible", 1, "photo", "sketch", np.int64(0), "Infrared"], batch_size=4
    )
    assert found.dtype == torch.float32 and found.device.type == "cpu" and model.training
    torch.testing.assert_close(
        found, torch.stack([by_hand(p, m) for p, m in zip(paths, [0, 1, 0, 1, 0, 1], strict=True)])
    )
    flipped = embed_images(model, paths, 0, flip=True)
    expected = F.normalize(embed_images(model, paths, 0) + _mirrored(model, paths), dim=1)
    torch.testing.assert_close(flipped, expected)
    assert embed_images(nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten()), paths, 0).shape == (6, 12)


def _mirrored(model: nn.Module, paths: list[Path]) -> torch.Tensor:
    class Mirror(nn.Module):
        image_size = (16, 8)

        def embed(self, images, modality):
            return model.eval().embed(images.flip(3), modality)

    return embed_images(Mirror(), paths, 0)


def test_orientation_of_a_telephone_is_applied(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (16, 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "upright.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.rot90(pixels)).save(tmp_path / "turned.png", exif=exif)
    upright, turned = embed_images(Corners(), [tmp_path / "upright.png", tmp_path / "turned.png"], 0)
    torch.testing.assert_close(upright, turned)


def test_all_bad_pictures_are_counted_and_the_first_named(folder: Path) -> None:
    (folder / "b" / "0.png").write_bytes(b"no image")
    Image.fromarray(np.zeros((4, 4), np.uint16)).save(folder / "c" / "deep.png")
    whole = (folder / "a.jpg").read_bytes()
    (folder / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    paths = [*images_in(folder), folder / "gone.jpg"]
    with pytest.raises(OSError, match="4 of 10 pictures cannot be read") as raised:
        embed_images(Corners(), paths, 0, batch_size=3)
    for name in ("0.png", "deep.png", "cut.jpg", "gone.jpg"):
        assert str(folder) in str(raised.value) and name in str(raised.value)
    features, kept, bad = pictures.embed_files(Corners(), paths, 0, batch_size=3)
    assert sorted([*kept, *bad]) == list(range(10)) and len(features) == 6
    torch.testing.assert_close(features[0], by_hand(paths[kept[0]], 0))
    with pytest.raises(OSError, match="none of 1 pictures can be read"):
        embed_images(Corners(), [folder / "gone.jpg"], 0)


@pytest.mark.parametrize(
    ("modality", "message"),
    [
        (None, r"modality=: say what the pictures are, 'visible' or 'photo' \(0\), or 'infrared' or .* 'sketch' \(1\)"),
        ("night", "modality='night': say what"),
        (2, "modality=2: say what"),
        (True, "modality=True: say what"),
        (["visible"], "one for each of 6 pictures, not 1"),
    ],
)
def test_the_modality_must_be_said(folder: Path, modality, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        embed_images(Corners(), images_in(folder), modality)


def test_a_trained_model_knows_the_names_of_its_data_set(folder: Path) -> None:
    model = Corners()
    model.trained_on = TrainedOn("regdb", 1, True, "1", "ci", frozenset())
    with pytest.raises(
        ValueError, match=r"modality='infrared': say what the pictures are, 'visible' \(0\), or 'thermal' \(1\)"
    ):
        embed_images(model, images_in(folder), "infrared")
    thermal = embed_images(model, images_in(folder), "thermal")
    torch.testing.assert_close(thermal, embed_images(Corners(), images_in(folder), 1))
    model.trained_on = TrainedOn("own", None, False, None, None, frozenset(), modalities=("day", "dusk"))
    with pytest.raises(ValueError, match=r"'day' \(0\), or 'dusk' \(1\)"):
        embed_images(model, images_in(folder), "night")


def test_what_a_network_cannot_do_with_a_picture_names_it(folder: Path) -> None:
    class Broken(Corners):
        def embed(self, images, modality):
            features = super().embed(images, modality)
            features[1] = torch.nan
            return features

    with pytest.raises(ValueError, match=r"NaN or infinite values for 2 pictures; the first is .*10.PNG"):
        embed_images(Broken(), images_in(folder), 0, batch_size=3)
    with pytest.raises(ValueError, match=r"a list of files, not .*evaluation\.images_in"):
        embed_images(Corners(), str(folder), 0)
    with pytest.raises(ValueError, match="at least one picture"):
        embed_images(Corners(), [], 0)


# ---- search


def features(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, 5)).astype(np.float32)


@pytest.mark.parametrize("held", [1 << 22, 64])
def test_search_is_exact_in_blocks_as_well(held: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "PAIRS", held)
    query, gallery = features(9), np.concatenate([features(50, 1), features(50, 1), features(9)])
    distances = evaluation.cosine_distances(query, gallery)
    order = np.argsort(distances, axis=1, kind="stable")[:, :7]
    found = search(query, gallery, k=7)
    np.testing.assert_array_equal(found.indices, order)
    np.testing.assert_array_equal(found.distances, np.take_along_axis(distances, order, 1))
    assert found.indices.dtype == np.int64 and found.distances.dtype == np.float32
    assert (np.diff(found.distances, axis=1) >= 0).all()
    other = search(torch.from_numpy(query) * 7, gallery.tolist(), k=7)
    np.testing.assert_array_equal(other.indices, order)


def test_ties_go_to_the_earlier_item_and_k_may_exceed_the_gallery() -> None:
    gallery = np.array([[0, 1], [1, 0], [-1, 0], [2, 0], [3, 0], [0, -2]])
    found = search([1, 0], gallery, k=100)
    assert found.indices.tolist() == [[1, 3, 4, 0, 5, 2]]
    assert found.distances.tolist() == [[0, 0, 0, 1, 1, 2]]
    assert search(np.array([1.0, 0]), gallery, k=1).indices.tolist() == [[1]]


def test_a_gallery_on_disk_is_passed_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(tmp_path / "gallery.npy", features(500))
    mapped = np.load(tmp_path / "gallery.npy", mmap_mode="r")
    monkeypatch.setattr(pictures, "PAIRS", 100)
    largest = []
    monkeypatch.setattr(pictures, "matrix", lambda values, name: largest.append(len(values)) or torch.tensor(values))
    assert search(features(1, 3), mapped, k=3).indices.shape == (1, 3)
    assert max(largest) == 100


BAD = features(5)
BAD[3, 2] = np.nan


@pytest.mark.parametrize(
    ("query", "gallery", "k", "message"),
    [
        (features(2), features(5), 0, "k must be a whole number from 1, not 0"),
        (features(2), features(5), 2.0, "k must be a whole number"),
        (features(2), features(5), True, "k must be a whole number"),
        (features(2), BAD, 2, "gallery holds 1 embeddings with NaN or infinite values; the first is 3"),
        (BAD, features(2), 2, "query holds 1 .* the first is 3"),
        (features(2)[:, :4], features(5), 2, r"differ in dimension: \(2, 4\), \(5, 5\)"),
        (features(2), features(0), 2, r"gallery must be real embeddings of shape \(N, D\), got .* \(0, 5\)"),
        (features(0), features(2), 2, "query must be real embeddings"),
        (features(2)[None], features(5), 2, r"query must be .*\(1, 2, 5\)"),
        (features(2), features(5)[0], 2, r"gallery must be .*\(5,\)"),
        ([["a"]], features(5), 2, "query must be real embeddings"),
    ],
)
def test_what_cannot_be_searched_is_named(query, gallery, k, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        search(query, gallery, k)
