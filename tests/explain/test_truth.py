"""Factors read off the path are those behind the rendering; what nobody can see is missing."""

import colorsys
import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reidlib import twins
from reidlib.data import ReIDDataset, sysu
from reidlib.explain import factors, masks


def paths_only(pids, **options) -> ReIDDataset:
    """Rows of a twin without its files."""
    rows = [(f"cam1/{pid:04d}/0001.jpg", pid, 1, 0, "test") for pid in pids]
    frame = pd.DataFrame(rows, columns=["path", "pid", "camid", "modality", "split"])
    options = {"is_twin": True, "twin_version": twins.TWINS["sysu"].VERSION, "profile": "ci"} | options
    return ReIDDataset("sysu", Path("no where"), frame, sysu.READER, **options)


@pytest.fixture(scope="module")
def people() -> tuple[pd.DataFrame, list]:
    dataset = paths_only(range(1, 301))
    described = [twins.TWINS["sysu"].describe(path)[0] for path in dataset.frame["path"]]
    return factors(dataset, np.arange(300)), described


def test_plain_factors_are_those_of_the_identity(people):
    table, described = people
    for name in ("pid", "hair", "hat", "bag", "outerwear", "height", "bottom_nir", "bottom_texture", "shoes_red"):
        assert table[name].tolist() == [identity.factors()[name] for identity in described], name


def test_hue_and_chroma_are_those_of_the_colour(people):
    table, described = people
    for line, identity in zip(table.to_dict("records"), described, strict=True):
        colour = identity.bottom.colour
        assert line["bottom_chroma"] == pytest.approx(max(colour) - min(colour))
        if line["bottom_chroma"] < 0.15:
            assert np.isnan(line["bottom_hue"])
            continue
        # colorsys takes the hue on a hexagon, we take it on a circle: they meet at the six corners and stay near
        apart = abs(line["bottom_hue"] - colorsys.rgb_to_hsv(*colour)[0])
        assert min(apart, 1 - apart) < 0.02 and 0 <= line["bottom_hue"] < 1
    assert 0.3 < table["bottom_hue"].isna().mean() < 0.6  # many dyes are neutral


def test_what_is_not_worn_or_covered_is_missing(people):
    table, described = people
    covered = {"top": lambda who: who.outerwear != "none" and not who.outer_open, "hat": lambda who: not who.hat,
               "bag": lambda who: who.bag == "none", "outer": lambda who: who.outerwear == "none",
               "hair": lambda who: who.hair == "bald"}  # fmt: skip
    for material, hidden in covered.items():
        expected = [hidden(who) for who in described]
        assert 0 < sum(expected) < 300
        for name in (f"{material}_nir", f"{material}_texture", f"{material}_luminance"):
            assert table[name].isna().tolist() == expected, name
    assert not table[["hair", "hat", "bag", "outerwear", "bottom_nir", "skin_nir"]].isna().any(axis=None)


def test_rows_stay_in_their_order():
    dataset = paths_only(range(1, 20))
    table = factors(dataset, np.array([7, 2, 7]))
    assert table["row"].tolist() == [7, 2, 7] and table["pid"].tolist() == [8, 3, 8]


def test_photographs_and_other_versions_have_no_factors():
    with pytest.raises(ValueError, match="is not a synthetic twin: nobody knows its factors"):
        factors(paths_only([1], is_twin=False, twin_version=None, profile=None), np.array([0]))
    with pytest.raises(ValueError, match="is a twin of version old, this code renders version"):
        factors(paths_only([1], twin_version="old"), np.array([0]))


@pytest.mark.integration
def test_factors_and_masks_are_those_of_the_rendering(dataset):
    rows = dataset.rows("test")[[200, 3]]
    person, parts = masks(dataset, rows)
    assert person.shape == parts.shape == (2, 64, 32)
    for place, row in enumerate(rows):
        truth = dataset.truth(row)
        np.testing.assert_array_equal(person[place], truth.person_mask)
        np.testing.assert_array_equal(parts[place], truth.part_mask)
        assert factors(dataset, [row])["shoes_nir"].item() == truth.factors["shoes_nir"]
    photographs = dataclasses.replace(dataset, is_twin=False, twin_version=None, profile=None)
    with pytest.raises(ValueError, match="not a synthetic twin"):
        masks(photographs, rows)
