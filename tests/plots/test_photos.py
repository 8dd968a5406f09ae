"""Images of figures: the same whether read from a twin's tree or rendered one by one."""

import numpy as np
import pytest

from reidlib import data
from reidlib.plots import photos
from reidlib.plots.photos import Photos

pytestmark = pytest.mark.integration


@pytest.fixture
def record(dataset):
    return Photos.of(dataset).describe() | {"twin": "ci"}


def test_rendered_images_and_truths_are_those_of_the_tree(dataset, record, tmp_path):
    rows = [int(dataset.rows("test", modality)[3]) for modality in (0, 1)]
    paths = dataset.frame["path"].iloc[rows].tolist()
    source = photos.rendered(record, paths, tmp_path)
    for path in paths:
        assert (tmp_path / path).read_bytes() == (dataset.root / path).read_bytes()
        np.testing.assert_array_equal(photos.photo(source, path), photos.photo(dataset, path))
        np.testing.assert_array_equal(photos.truth(source, path).person_mask, photos.truth(dataset, path).person_mask)
    assert len(list(tmp_path.rglob("*.jpg"))) == 2
    assert source.describe() == record


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cufsf", "chair"])
def test_images_that_a_reader_makes_are_rendered_alike(name, twin, tmp_path):
    """Faces are aligned by points in another file; sketches of chairs are packed into one, and drawn when asked for."""
    dataset = data.open(name, root=twin(name))
    paths = dataset.frame["path"].iloc[:4].tolist()
    assert dataset.frame["modality"].iloc[:4].nunique() == 2
    source = photos.rendered(Photos.of(dataset).describe(), paths, tmp_path)
    for path in paths:
        np.testing.assert_array_equal(photos.photo(source, path), photos.photo(dataset, path))


@pytest.mark.parametrize(
    ("change", "path", "message"),
    [
        ({"version": "0"}, "cam1/0006/0001.jpg", "shows version 0"),
        ({"twin": "paper"}, "cam1/0006/0001.jpg", "no twin of 'sysu' in profile 'paper'"),
        ({"dataset": "nobody"}, "cam1/0006/0001.jpg", "no twin of 'nobody'"),
        ({}, "cam1/0006/9999.jpg", "no image of the twin"),
        ({}, "../0006.jpg", "no image of the twin"),
    ],
)
def test_what_cannot_be_rendered_is_named(record, tmp_path, change, path, message):
    with pytest.raises(ValueError, match=message):
        photos.rendered(record | change, [path], tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_licensed_tree_is_opened_where_it_lies(dataset, record, tmp_path, monkeypatch):
    monkeypatch.setenv("REIDLIB_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="sysu"):
        photos.on_disk(record | {"twin": None})
    (tmp_path / "sysu").symlink_to(dataset.root)
    source = photos.on_disk(record | {"twin": None})
    path = dataset.frame["path"].iloc[0]
    np.testing.assert_array_equal(photos.photo(source, path), photos.photo(dataset, path))


def test_no_image_outside_the_tree_is_read(dataset):
    for path in ("../secret.jpg", "/etc/secret.jpg"):
        with pytest.raises(ValueError, match="outside"):
            photos.photo(dataset, path)
