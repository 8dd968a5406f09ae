"""Scores of maps drawn by hand on masks drawn by hand, and what holds for every map."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from reidlib.explain import cams, centred_gaussian, energy_inside, localisation_table, masks, parts_covered, pointing

HEIGHT, WIDTH = 6, 4
PERSON = np.zeros((1, HEIGHT, WIDTH), bool)
PERSON[0, 1:5, 1:3] = True  # 8 of 24 pixels
maps_and_masks = st.integers(1, 4).flatmap(
    lambda count: st.tuples(
        arrays.arrays(np.float64, (count, HEIGHT, WIDTH), elements=st.floats(0, 1, width=16)),
        arrays.arrays(np.uint8, (count, HEIGHT, WIDTH), elements=st.integers(0, 4)),
    )
)


def test_energy_by_hand():
    maps = np.zeros((4, HEIGHT, WIDTH))
    maps[0] = 0.3
    maps[1][PERSON[0]] = 0.7
    maps[2][~PERSON[0]] = 0.7
    maps[3, 2, 2], maps[3, 0, 0] = 0.9, 0.3
    expected = [8 / 24, 1, 0, 0.75]
    person = np.repeat(PERSON, 4, axis=0)
    np.testing.assert_allclose(energy_inside(maps, person), expected)
    np.testing.assert_allclose(energy_inside(torch.from_numpy(maps), person), expected)


def test_pointing_by_hand():
    maps = np.zeros((4, HEIGHT, WIDTH))
    maps[0, 2, 2], maps[0, 0, 0] = 1, 0.9
    maps[1, 2, 2], maps[1, 0, 0] = 0.9, 1
    maps[2, 2, 2] = maps[2, 3, 1] = maps[2, 0, 0] = 1  # a tie: two of three on the person
    maps[3] = 1
    np.testing.assert_allclose(pointing(maps, np.repeat(PERSON, 4, axis=0)), [1, 0, 2 / 3, 8 / 24])


def test_parts_by_hand():
    parts = np.zeros((3, HEIGHT, WIDTH), np.uint8)
    parts[:, 1, 1:3], parts[:, 2:4, 1:3], parts[:, 4, 1:3] = 1, 4, 7  # head, torso, leg
    maps = np.zeros((3, HEIGHT, WIDTH))
    maps[0][parts[0] == 4] = 1  # the torso alone
    maps[1][parts[1] > 0] = 1
    maps[2][parts[2] == 0] = 1
    np.testing.assert_allclose(parts_covered(maps, parts), [1 / 3, 1, 0])
    np.testing.assert_allclose(parts_covered(maps, parts, smallest=3 / 24), [1, 1, 0])  # head and leg are too small
    assert np.isnan(parts_covered(maps, np.zeros_like(parts))).all()


@given(maps_and_masks)
def test_parts_agree_with_a_loop(case):
    maps, parts = case
    expected = []
    for picture, mask in zip(maps, parts, strict=True):
        visible = [part for part in range(1, 5) if (mask == part).sum() >= max(1, 0.1 * mask.size)]
        stronger = [picture[mask == part].mean() > picture.mean() * (1 + 1e-6) for part in visible]
        expected.append(np.mean(stronger) if visible and picture.any() else np.nan)
    np.testing.assert_allclose(parts_covered(maps, parts, smallest=0.1), expected)


@given(maps_and_masks)
def test_energy_and_pointing_are_shares(case):
    maps, parts = case
    person, empty = parts > 1, ~maps.any(axis=(1, 2))
    for score in (energy_inside, pointing):
        inside, outside = score(maps, person), score(maps, ~person)
        np.testing.assert_array_equal(np.isnan(inside), empty)
        np.testing.assert_allclose((inside + outside)[~empty], 1)
        assert (inside[~empty] >= 0).all() and (inside[~empty] <= 1).all()
        np.testing.assert_allclose(score(maps / 4, person), inside)
        np.testing.assert_array_equal(score(maps[::-1], person[::-1]), inside[::-1])
        np.testing.assert_allclose(score(np.ones_like(maps), person), person.mean(axis=(1, 2)))
        np.testing.assert_allclose(score(person * 0.5, person)[person.any(axis=(1, 2))], 1)


def test_the_gaussian_is_centred_and_as_wide_as_said():
    gaussian = centred_gaussian(81, 41)
    assert gaussian.shape == (81, 41) and gaussian.dtype == np.float32
    assert np.unravel_index(gaussian.argmax(), gaussian.shape) == (40, 20) and gaussian.max() == 1
    np.testing.assert_allclose(gaussian, gaussian[::-1, ::-1], atol=1e-6)
    y, x = np.mgrid[:81, :41]
    narrow = centred_gaussian(81, 41, spread=0.1).astype(float)
    for axis, side in ((y, 81), (x, 41)):
        mean = np.average(axis, weights=narrow)
        assert np.sqrt(np.average((axis - mean) ** 2, weights=narrow)) == pytest.approx(0.1 * side, rel=1e-3)
    assert centred_gaussian(4, 2).max() == 1


def test_bad_maps_are_refused():
    maps = np.ones((2, HEIGHT, WIDTH))
    person = np.repeat(PERSON, 2, axis=0)
    negative, broken = maps.copy(), maps.copy()
    negative[0, 0, 0], broken[0, 0, 0] = -1, np.nan
    for wrong in (negative, broken, maps[:1], maps[0], maps[:, :3]):
        for score in (energy_inside, pointing, parts_covered):
            with pytest.raises(
                ValueError, match=r"maps must be \(N, H, W\), finite and not negative, with a mask each"
            ):
                score(wrong, person)


@pytest.mark.integration
def test_the_table_shows_method_and_controls_side_by_side(dataset):
    rows = dataset.rows("test")[[0, 100, 200, 250]]
    truth = masks(dataset, rows)
    maps = torch.from_numpy(truth[0].astype(np.float32))
    maps[3] = 0
    table = localisation_table(maps, dataset, rows, name="oracle")
    assert table["map"].unique().tolist() == ["oracle", "centred Gaussian", "uniform", "another image"]
    by = {name: part.reset_index(drop=True) for name, part in table.groupby("map")}
    for part in by.values():
        np.testing.assert_array_equal(part["row"], rows)
        for column in ("pid", "camid", "modality", "split"):
            np.testing.assert_array_equal(part[column], dataset.frame[column].iloc[rows])
        np.testing.assert_allclose(part["person"], truth[0].mean(axis=(1, 2)))
    oracle = by["oracle"]
    np.testing.assert_allclose(oracle[["energy", "pointing", "parts"]][:3], 1)
    assert oracle["empty"].tolist() == [False, False, False, True]
    assert oracle.loc[3, ["energy", "pointing", "parts"]].isna().all()
    np.testing.assert_allclose(by["uniform"]["energy"], by["uniform"]["person"])
    assert (by["uniform"]["parts"] == 0).all()
    assert by["another image"]["empty"].tolist() == [False, True, False, False]  # the map of the row two on
    other = truth[0][2] & truth[0][0]
    assert by["another image"]["energy"][0] == pytest.approx(other.sum() / truth[0][2].sum())
    gaussian = np.broadcast_to(centred_gaussian(64, 32), truth[0].shape)
    np.testing.assert_allclose(by["centred Gaussian"]["energy"], energy_inside(gaussian, truth[0]))
    assert (by["centred Gaussian"]["energy"] > by["centred Gaussian"]["person"]).all()  # people stand in the middle


@pytest.mark.integration
def test_maps_of_another_size_are_laid_on_the_whole_image(dataset):
    rows = dataset.rows("test")[[10, 120]]
    truth = masks(dataset, rows)
    left = torch.zeros(2, 2, 2)
    left[:, :, 0] = 1
    table = localisation_table(left, dataset, rows, truth=truth)
    ramp = np.clip(1.5 - (np.arange(32) + 0.5) / 16, 0, 1)  # 1 up to a quarter of the width, 0 from three quarters on
    expected = energy_inside(np.broadcast_to(ramp, truth[0].shape), truth[0])
    np.testing.assert_allclose(table["energy"][:2], expected, atol=1e-6)


@pytest.mark.integration
def test_a_table_needs_a_map_a_row_and_the_truth(dataset):
    rows = dataset.rows("test")[:2]
    for wrong in (np.ones((3, 64, 32)), np.ones((1, 64, 32))):
        with pytest.raises(ValueError, match="there must be one map a row"):
            localisation_table(wrong, dataset, rows)
    with pytest.raises(ValueError, match="one at least"):
        localisation_table(np.ones((0, 64, 32)), dataset, rows[:0])
    single = localisation_table(np.ones((1, 64, 32)), dataset, rows[:1])
    assert single["map"].tolist() == ["map", "centred Gaussian", "uniform"]  # there is no other image


@pytest.mark.integration
def test_from_a_model_to_scores(dataset, trained):
    rows = dataset.rows("test")[::25]
    result = cams(trained, dataset, rows)
    table = localisation_table(result.maps, dataset, rows, name="Grad-CAM")
    assert len(table) == 4 * len(rows)
    scored = table[table["map"] == "Grad-CAM"].set_index("row")
    np.testing.assert_array_equal(scored["empty"], result.empty)
    np.testing.assert_array_equal(scored["energy"].isna(), result.empty)
    assert scored.loc[~scored["empty"], ["energy", "pointing", "parts"]].to_numpy().min() >= 0
