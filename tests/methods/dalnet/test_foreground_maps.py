"""Maps of the foreground, and how well they agree with the truth."""

import numpy as np
import pytest

from reidlib import data
from reidlib.data import ReIDDataset
from reidlib.explain import masks
from reidlib.methods import dalnet
from reidlib.methods.dalnet.auxiliary import STEEPNESS
from reidlib.methods.dalnet.explain import foreground_maps, overlaps


@pytest.fixture(scope="module")
def shoes(twin) -> ReIDDataset:
    return data.open("shoe", root=twin("shoe"))


@pytest.fixture(scope="module")
def faces(twin) -> ReIDDataset:
    return data.open("cufsf", root=twin("cufsf"))


def test_overlap_counts_pixels_and_the_shares_weigh_them():
    truth = np.zeros((2, 2, 4), np.float32)
    truth[0, :, :2] = 1  # four pixels of the first image, none of the second
    maps = {"truth": truth, "guess": np.zeros_like(truth), "all": np.full_like(truth, 0.6)}
    maps["guess"][0, 0] = 0.9, 0.3, 0.6, 0.0
    table = overlaps(maps).set_index(["map", "image"])
    assert table.loc["guess", 0].tolist() == pytest.approx([1 / 5, 1.2 / 4, 1.2 / 1.8])
    assert table.loc["all", 0].tolist() == pytest.approx([4 / 8, 0.6, 0.5])
    assert table.loc["guess", 1]["overlap"] == 1  # both are empty
    assert table.loc["guess", 1][["found", "inside"]].isna().all() and table.loc["all", 1]["overlap"] == 0


@pytest.mark.integration
def test_maps_come_at_the_size_that_was_asked_for_and_the_guess_beats_its_start(shoes):
    rows = shoes.rows("train", 0)[:12]
    maps = foreground_maps(shoes, rows, 48, 48)
    assert list(maps) == ["truth", "ellipse", "guess"] and {m.shape for m in maps.values()} == {(12, 48, 48)}
    np.testing.assert_array_equal(maps["truth"] > 0.5, masks(shoes, rows)[0])  # that is the size of the twin's photos
    mean = overlaps(maps).groupby("map")["overlap"].mean()
    assert mean["guess"] > mean["ellipse"] + 0.1


@pytest.mark.integration
def test_a_trained_mask_is_that_of_the_model(shoes):
    rows = shoes.rows("train", 0)[:2]
    model = dalnet.DALNet(3, "tiny").eval()
    model.generator.mask.head.weight.data.zero_()
    model.generator.mask.head.bias.data.fill_(0.5)
    maps = foreground_maps(shoes, rows, 48, 48, model)
    guess = np.clip(maps["guess"], 0.01, 0.99)
    expected = 1 / (1 + np.exp(-STEEPNESS * (0.5 + np.log(guess / (1 - guess)))))
    assert np.abs(maps["learned"] - expected).mean() < 1e-3  # a colour at the border of two levels may change sides
    with pytest.raises(ValueError, match="no mask network"):
        foreground_maps(shoes, rows, 48, 48, dalnet.DALNet(3, "tiny", clean=False).eval())
    with pytest.raises(ValueError, match="every row must be one"):
        foreground_maps(shoes, shoes.rows("train", 1)[:2], 48, 48)


@pytest.mark.integration
def test_masks_of_faces_lie_where_the_aligned_face_does(faces):
    from reidlib.data.cufsf import CANONICAL, CROP

    rows = faces.rows("train", 0)[:6]
    person, parts = masks(faces, rows)
    assert person.shape == parts.shape == (6, *CROP) and person.dtype == bool
    for x, y in CANONICAL.astype(int):  # eyes and mouth
        assert person[:, y, x].all()
    moved = [faces.truth(row).person_mask for row in rows]
    assert any(mask.mean() < aligned.mean() - 0.02 for mask, aligned in zip(moved, person, strict=True))
