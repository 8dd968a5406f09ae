"""Bringing faces to one place by three points."""

from collections.abc import Callable

import numpy as np
import pytest

import reidlib.data
from reidlib.data import cufsf


@pytest.mark.parametrize(
    "text", ["12 20\r\n30 21\r\n21.5 38", "\ufeff12 20\n30 21\n21.5 38\n\n", "12,20\n 30\t21 \n21.5  38 \n"]
)
def test_points_as_people_save_them(tmp_path, text):
    (tmp_path / "a.3pts").write_bytes(text.encode())
    assert cufsf.read_points(tmp_path / "a.3pts").tolist() == [[12, 20], [30, 21], [21.5, 38]]


def transform(angle: float, scale: float, move: tuple[float, float]) -> Callable[[np.ndarray], np.ndarray]:
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return lambda points: points @ turn.T + move


@pytest.mark.parametrize("seed", range(20))
def test_similarity_finds_known_transforms(seed):
    rng = np.random.default_rng(seed)
    known = transform(rng.uniform(-3, 3), rng.uniform(0.1, 9), tuple(rng.uniform(-50, 50, 2)))
    source = rng.uniform(0, 100, (3, 2))
    found = cufsf.similarity(source, known(source))
    others = rng.uniform(0, 100, (5, 2))
    np.testing.assert_allclose(others @ found[:, :2].T + found[:, 2], known(others), atol=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_similarity_is_the_best_in_least_squares(seed):
    """No other turn, scale and shift comes closer; the reference solves for the four numbers directly."""
    rng = np.random.default_rng(seed)
    source, target = rng.uniform(0, 100, (2, 4, 2))
    ones, zeros = np.ones(4), np.zeros(4)
    x, y = source.T
    rows = np.concatenate([np.stack([x, -y, ones, zeros], 1), np.stack([y, x, zeros, ones], 1)])
    (a, b, right, down), *_ = np.linalg.lstsq(rows, target.T.ravel())
    np.testing.assert_allclose(cufsf.similarity(source, target), [[a, -b, right], [b, a, down]], atol=1e-9)


def test_similarity_never_mirrors():
    source = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, 1.0]])
    found = cufsf.similarity(source, source * (-1, 1))
    assert np.linalg.det(found[:, :2]) > 0


def test_coinciding_points_fix_no_scale():
    with pytest.raises(ValueError, match="coincide"):
        cufsf.similarity(np.ones((3, 2)), cufsf.CANONICAL)


@pytest.mark.parametrize(("angle", "scale"), [(0.0, 0.4), (0.3, 1.0), (-0.5, 1.0), (0.2, 3.3)])
def test_the_three_points_come_to_their_places(angle, scale):
    points = transform(angle, scale, (0, 0))(cufsf.CANONICAL)
    points += 300 - points.mean(0)
    y, x = np.mgrid[0:600, 0:600]
    blobs = sum(np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * (2 * scale + 1) ** 2)) for px, py in points)
    crop = cufsf.align(blobs, points)
    assert crop.shape == cufsf.CROP
    dy, dx = np.mgrid[-8:9, -8:9]
    for px, py in cufsf.CANONICAL.astype(int):
        window = crop[py - 8 : py + 9, px - 8 : px + 9]
        assert abs((window * dx).sum() / window.sum()) < 0.02 and abs((window * dy).sum() / window.sum()) < 0.02


def test_a_face_in_place_is_only_cut_out():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (300, 240, 3), dtype=np.uint8)
    crop = cufsf.align(image, cufsf.CANONICAL + (20, 30))
    np.testing.assert_array_equal(crop, image[30:280, 20:220])
    np.testing.assert_array_equal(
        cufsf.align(image[..., 0] > 90, cufsf.CANONICAL + (20, 30), order=0), crop[..., 0] > 90
    )


def test_what_lies_outside_continues_the_edge():
    image = np.full((250, 200), 255, np.uint8)
    image[:, 100:] = 40
    crop = cufsf.align(image, cufsf.CANONICAL + (60, 0))
    assert (crop[:, :40] == 255).all() and (crop[:, 45:] == 40).all()


def test_shrinking_averages_instead_of_picking():
    """A fine checkerboard becomes grey: every fourth pixel would be all black or all white."""
    board = (np.indices((1000, 800)).sum(0) % 2 * 255).astype(np.uint8)
    crop = cufsf.align(board, cufsf.CANONICAL * 4)
    assert abs(crop[1:, 1:].astype(float) - 127.5).max() < 3


@pytest.mark.integration
def test_the_twin_is_whole_and_its_masks_align_as_its_images_do(tmp_path):
    from reidlib import twins
    from reidlib.twins import portraits

    root = twins.ensure("cufsf", "ci", tmp_path / "cufsf", progress=False)
    dataset = reidlib.data.open("cufsf", root)
    report = dataset.check(decode=True)
    assert report.problems == [], str(report)
    assert dataset.summary()["images"].tolist() == [20, 20, 28, 28]
    assert dataset.title == "CUFSF (synthetic twin 1, ci)"
    eyes = np.zeros(cufsf.CROP)
    for row in range(len(dataset)):
        truth = dataset.truth(row)
        parts = cufsf.align(truth.part_mask, truth.rendering.points, order=0)
        eyes += (parts == portraits.PARTS.index("eyes")) | (parts == portraits.PARTS.index("glasses"))
    for x, y in cufsf.CANONICAL[:2].astype(int):
        assert eyes[y, x] > 0.7 * len(dataset), "eyes lie where eyes belong"
    assert eyes[180:].max() < 0.1 * len(dataset)
