import numpy as np
import pytest

from reidlib.twins.strokes import Sheet, _ink, contours, hatching, resample, runs


def disc(radius=12.0, size=48):
    y, x = np.mgrid[0:size, 0:size]
    return (x - 23) ** 2 + (y - 20) ** 2 <= radius**2


def test_a_contour_runs_around_its_mask():
    [line] = contours(disc())
    np.testing.assert_array_equal(line[0], line[-1])
    distance = np.hypot(line[:, 0] - 23, line[:, 1] - 20)
    assert abs(distance - 12).max() < 0.8
    assert contours(np.zeros((9, 9), bool)) == []


def test_contours_have_holes_and_touch_the_edge():
    ring = disc() & ~disc(7)
    assert len(contours(ring)) == 2
    edge = np.zeros((20, 20), bool)
    edge[:, :8] = True
    [line] = contours(edge)
    assert line[:, 0].min() < 0 and 7 < line[:, 0].max() < 8


def test_contours_within_another_mask():
    left = np.zeros((48, 48), bool)
    left[:, :23] = True
    [line] = contours(disc(), within=left)
    assert line[:, 0].max() < 23 and line[:, 0].min() == pytest.approx(11, abs=0.8)


def test_resampling_keeps_ends_and_spacing():
    line = np.array([[0.0, 0], [10, 0], [10, 5]])
    points = resample(line, 1.0)
    np.testing.assert_allclose(points[[0, -1]], line[[0, -1]])
    np.testing.assert_allclose(np.hypot(*np.diff(points, axis=0).T), 1.0, atol=1e-9)
    assert len(resample(line, 100.0)) == 2


def test_runs():
    keep = np.array([1, 1, 0, 1, 0, 1, 1, 1], bool)
    assert runs(keep) == [slice(0, 2), slice(5, 8)]
    assert runs(keep, least=3) == [slice(5, 8)] and runs(np.zeros(3, bool)) == []


@pytest.mark.parametrize("angle", [0.0, 0.7, 2.2])
def test_hatching_is_parallel_evenly_spaced_and_inside(angle):
    mask = disc(18)
    lines = hatching(mask, angle, 4.0)
    assert 6 <= len(lines) <= 10
    across = np.array([-np.sin(angle), np.cos(angle)])
    offsets = [(line @ across) for line in lines]
    assert max(np.ptp(values) for values in offsets) < 1e-9
    np.testing.assert_allclose(np.diff([values[0] for values in offsets]), 4.0)
    for line in lines:
        x, y = np.rint(line).astype(int).T
        assert mask[y, x].all()


def test_hatching_does_not_move_with_the_mask():
    whole, part = disc(18), disc(18)
    part[:, 24:] = False
    starts = {round(float(line[0, 1]), 6) for line in hatching(whole, 0.0, 4.0)}
    assert {round(float(line[0, 1]), 6) for line in hatching(part, 0.0, 4.0)} <= starts
    assert hatching(np.zeros((9, 9), bool), 0.3, 4.0) == []


def test_ink_equals_a_slow_rule():
    """A pixel is as dark as the segment covers it: full within the radius, none half a pixel and a radius away."""
    x, y = np.array([3.0, 15.5, 14.0, 2.0], np.float32), np.array([4.0, 6.5, 17.0, 12.0], np.float32)
    radius, dark = np.array([1.0, 2.5, 0.6, 1.2], np.float32), np.array([0.9, 0.5, 1.0, 0.2], np.float32)
    sheet = np.full((20, 20), 0.1, np.float32)
    _ink(sheet, x, y, radius, dark, np.array([True, False, True, False]))

    rows, columns = np.mgrid[0:20, 0:20]
    expected = np.full((20, 20), 0.1)
    for a, b in ((0, 1), (2, 3)):
        ends = np.array([x[[a, b]], y[[a, b]]], float)
        axis = ends[:, 1] - ends[:, 0]
        t = ((columns - ends[0, 0]) * axis[0] + (rows - ends[1, 0]) * axis[1]) / (axis @ axis)
        t = np.clip(t, 0, 1)
        distance = np.hypot(columns - ends[0, 0] - t * axis[0], rows - ends[1, 0] - t * axis[1])
        cover = np.clip(radius[a] + t * (radius[b] - radius[a]) + 0.5 - distance, 0, 1)
        expected = np.maximum(expected, cover * (dark[a] + t * (dark[b] - dark[a])))
    np.testing.assert_allclose(sheet, expected, atol=1e-4)


def test_a_line_is_drawn_once():
    sheet = Sheet(48, 48, 1)
    [line] = contours(disc())
    assert [len(part) for part in sheet.free(line)] == [len(line)]
    sheet.take(line)
    assert sheet.free(line) == [] and sheet.free(line + 1.5) == []
    assert sheet.free(line + 20) != []


def test_a_hand_errs_alike_wherever_it_passes():
    sheets = [Sheet(96, 48, *key) for key in ((1, 2), (1, 2), (1, 3))]
    pages = []
    for sheet in sheets:
        sheet.stroke(np.array([[5.0, 10], [40, 80]]), weight=2.0, pressure=0.9)
        pages.append(sheet.inked(wobble=2.0, shading=np.zeros((96, 48)), grain=0.1))
    np.testing.assert_array_equal(pages[0], pages[1])
    assert (pages[0] != pages[2]).any()
    assert sheets[0].slip(7.0, 9.0, 1) == sheets[1].slip(7.0, 9.0, 1)
    assert 0 <= sheets[0].slip(-50.0, 500.0, 9) < 1


def test_an_empty_sheet_shows_its_shading():
    page = Sheet(24, 12, 1).inked(wobble=2.0, shading=np.full((24, 12), 0.25), grain=0.0)
    np.testing.assert_allclose(page, 0.75)
    assert Sheet(24, 12, 1).inked(2.0, np.zeros((24, 12)), 0.5).min() == 1.0
