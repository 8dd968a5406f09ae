"""The guess of the foreground, the network that corrects it, and the photos made for it to learn from."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from drawn import photos

import reidlib
from reidlib.methods.dalnet import foreground


def outlined(rows=4, height=48, width=32):
    """Sketches: the outline of an upright box, with a line across."""
    images = torch.ones(rows, 3, height, width)
    for row, image in enumerate(images):
        top, left, bottom, right = 7 + row % 3, 9 + row % 3, height - 9, width - 12
        image[:, [top, bottom, height // 2], left : right + 1] = 0.4
        image[:, top : bottom + 1, [left, right]] = 0.0
    return images


def overlap(one, other):
    return (one & other).sum(dim=(1, 2)) / (one | other).sum(dim=(1, 2))


def test_a_silhouette_is_what_a_sketch_encloses():
    drawn = outlined()
    found = foreground.silhouettes(drawn)
    expected = torch.zeros(4, 1, 48, 32)
    for row in range(4):
        expected[row, :, 7 + row % 3 : 40, 9 + row % 3 : 21] = 1
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(foreground.silhouettes(0.9 * drawn + 0.1), expected)  # pencil
    gap = drawn[:1].clone()
    gap[:, :, 39, 14:18] = 1  # between two legs: open below, so the paper shows as far up as the next line
    torch.testing.assert_close(foreground.silhouettes(gap)[0, 0, 25:, 14:18], torch.zeros(23, 4))
    padded = drawn.clone()
    padded[:, :, :5], padded[:, :, :, -4:] = 0.0, 0.0  # what augmentation pads with
    torch.testing.assert_close(foreground.silhouettes(padded), expected)
    assert (foreground.silhouettes(torch.ones(1, 3, 8, 8)) == 0).all(), "nothing is drawn"


def test_photos_with_a_known_foreground_are_cut_and_pasted():
    people, drawn = torch.arange(5.0).view(5, 1, 1, 1).expand(-1, 3, 48, 32).clone() / 10, outlined()
    people[:, :, :, 8:-8] += 0.5  # the middle, which is nobody's background
    seen = set()
    for seed in range(30):
        torch.manual_seed(seed)
        pictures, masks = foreground.cut_and_paste(people, drawn, 2)
        assert pictures.shape == (2, 3, 48, 32) and masks.shape == (2, 1, 48, 32) and not pictures.requires_grad
        for picture, mask in zip(pictures, masks, strict=True):
            assert any(torch.equal(mask, silhouette) for silhouette in foreground.silhouettes(drawn))
            inside, outside = picture[:, mask[0] > 0.5], picture[:, mask[0] < 0.5]
            behind = outside.unique()
            assert len(behind) == 1 and behind < 0.5, "the border of one photo"
            person = inside.max() - 0.5
            assert torch.isin(inside, people[round(10 * person.item())].unique()).all()
            seen.add((round(10 * person.item()), round(10 * behind.item())))
    assert len(seen) > 15, "any person before any background"


def test_the_mask_network_begins_as_the_guess_and_learns_that_the_background_recedes():
    torch.manual_seed(0)
    model = foreground.MaskNetwork(4)
    images, true = photos(8), torch.zeros(48, 32, dtype=torch.bool)
    true[8:-8, 10:-11] = True
    guess = foreground.pseudo_mask(images)
    torch.testing.assert_close(model(images).sigmoid(), guess.clamp(0.01, 0.99))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(60):
        pictures, masks = foreground.cut_and_paste(images, outlined(), 8)
        optimizer.zero_grad()
        F.binary_cross_entropy_with_logits(model(pictures), masks).backward()
        optimizer.step()
    with torch.no_grad():
        found = model(images).sigmoid()[:, 0]
    assert (overlap(found > 0.5, true) > 0.8).all()
    assert found[:, true].mean() > 0.9 and found[:, ~true].mean() < 0.1


def test_pseudo_masks_find_a_thing_by_its_colours():
    images = photos(8)
    true = torch.zeros(48, 32, dtype=torch.bool)
    true[8:-8, 10:-11] = True
    guess = foreground.pseudo_mask(images)
    assert guess.shape == (8, 1, 48, 32) and guess.min() >= 0 and guess.max() <= 1
    assert (overlap(guess[:, 0] > 0.5, true) > 0.8).all()
    assert torch.equal(guess, foreground.pseudo_mask(images)) and not guess.requires_grad
    torch.testing.assert_close(foreground.pseudo_mask(images[2:3]), guess[2:3])
    for odd in (torch.zeros(1, 3, 33, 17), torch.ones(1, 3, 64, 32)):
        assert foreground.pseudo_mask(odd).isfinite().all()


@pytest.mark.integration
@pytest.mark.parametrize("name", ["pku-sketch", "shoe"])
def test_pseudo_masks_are_nearer_the_truth_than_their_ellipse(twin, name, monkeypatch, tmp_path):
    """The true mask is here to judge; no model has seen it."""
    monkeypatch.setenv("REIDLIB_CACHE", str(tmp_path))
    dataset = reidlib.data.open(name, root=twin(name), **({"split": 1} if name == "pku-sketch" else {}))
    rows = dataset.rows("train", modality=0)[:20]
    images = dataset.images(*((64, 32) if name == "pku-sketch" else (48, 48))).tensor(rows).float() / 255
    masks = [torch.from_numpy(dataset.truth(row).person_mask.astype(np.float32))[None, None] for row in rows]
    true = torch.cat([F.interpolate(mask, images.shape[2:], mode="area") for mask in masks])[:, 0] > 0.5
    guess, ellipse = (foreground.pseudo_mask(images, rounds=rounds)[:, 0] > 0.5 for rounds in (2, 0))
    assert overlap(guess, true).mean() > overlap(ellipse, true).mean() + 0.02
