"""Edges of photos in the place of photos: who is drawn, how, and that nothing else changes."""

import pytest
import torch
from pretend_cuda import CUDA, pretending

from reidlib.data import Augmentation, augment
from reidlib.data.augment import EDGES, GREY, KEEP, crop, draw_edges, flip, normalise
from reidlib.data.edges import luminance, xdog

HEIGHT, WIDTH = 24, 12
HALF = Augmentation(flip=0.5, pad=3, exchange=0.25, edges=0.5)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(rows: int = 64) -> torch.Tensor:
    return torch.randint(0, 256, (rows, 3, HEIGHT, WIDTH), dtype=torch.uint8, generator=generator(1))


MODALITY = torch.arange(64) % 2


def test_a_share_of_the_photos_is_drawn_and_no_sketch():
    modality = torch.arange(40_000) % 2
    channel = Augmentation(exchange=0.3, grey=0.1, edges=0.4).draw(modality, HEIGHT, WIDTH, generator()).channel
    assert (channel[modality == 1] == KEEP).all()
    shares = [(channel[modality == 0] == value).float().mean().item() for value in (KEEP, 0, 1, 2, GREY, EDGES)]
    assert shares == pytest.approx([0.2, 0.1, 0.1, 0.1, 0.1, 0.4], abs=0.02)
    assert (Augmentation(edges=1.0).draw(modality[::2], HEIGHT, WIDTH, generator()).channel == EDGES).all()


def test_each_image_is_drawn_on_its_own_with_its_crop_and_flip():
    given, parameters = images(), HALF.draw(MODALITY, HEIGHT, WIDTH, generator())
    drawn = parameters.channel == EDGES
    assert 5 < drawn.sum() < 27 and parameters.channel[drawn].unique().tolist() == [EDGES]
    result = HALF.apply(given, parameters)
    moved = flip(crop(given, parameters.top, parameters.left, 3), parameters.flip)
    for row in drawn.nonzero()[:, 0].tolist():
        edges = (255 * xdog(moved[row : row + 1].float() / 255)).round().to(torch.uint8).expand(-1, 3, -1, -1)
        assert torch.equal(result[row : row + 1], normalise(edges))
    plain = Augmentation(flip=0.5, pad=3, exchange=0.25).apply(given, parameters._replace(channel=parameters.channel))
    kept = parameters.channel == KEEP
    assert torch.equal(result[kept], plain[kept]) and torch.equal(result[kept], normalise(moved[kept]))
    again = HALF(given, MODALITY, generator(7))
    assert torch.equal(again, HALF(given, MODALITY, generator(7)))
    assert not torch.equal(again, HALF(given, MODALITY, generator(8)))


def test_drawing_changes_nothing_else_that_is_drawn_by_chance():
    with_edges, without = (
        each.draw(MODALITY, HEIGHT, WIDTH, generator()) for each in (HALF, Augmentation(flip=0.5, pad=3, exchange=0.25))
    )
    drawn = with_edges.channel == EDGES
    assert (without.channel[drawn] == KEEP).all()
    assert torch.equal(with_edges.channel[~drawn], without.channel[~drawn])
    for name in set(with_edges._fields) - {"channel"}:
        assert torch.equal(getattr(with_edges, name), getattr(without, name))


def test_edges_are_dark_on_white_in_all_channels_and_have_no_gradient():
    given = torch.full((2, 3, 32, 32), 255, dtype=torch.uint8)
    given[:, :, :, 16:] = 150
    before, result = given.clone(), draw_edges(given, torch.tensor([True, False]))
    assert torch.equal(given, before) and torch.equal(result[1], given[1]) and result.dtype == torch.uint8
    assert (result[0] == result[0, :1]).all() and result[0, :, :, 14:18].min() < 130
    assert (result[0, :, :, :10] == 255).all() and (result[0, :, :, 24:] == 255).all()
    assert draw_edges(given[:0], torch.zeros(0, dtype=torch.bool)).shape == (0, 3, 32, 32)
    assert not HALF(images(), MODALITY, generator()).requires_grad
    photo = torch.rand(1, 3, 16, 16, requires_grad=True)  # the filter itself has one, for who learns through it
    assert torch.autograd.grad(xdog(photo).sum(), photo)[0].abs().sum() > 0


def test_edges_are_their_equation_pixel_by_pixel():
    photo = torch.rand(1, 3, 9, 7, generator=generator(), dtype=torch.float64)
    grey = luminance(photo)[0, 0]

    def blurred(y: int, x: int, sigma: float) -> torch.Tensor:
        reach, total, weights = int(3 * sigma), 0.0, 0.0
        for i in range(-reach, reach + 1):
            for j in range(-reach, reach + 1):
                weight = torch.exp(torch.tensor(-(i * i + j * j) / (2 * sigma**2), dtype=torch.float64))
                total = total + weight * grey[min(max(y + i, 0), 8), min(max(x + j, 0), 6)]
                weights = weights + weight
        return total / weights

    found = xdog(photo)
    for y in range(9):
        for x in range(7):
            excess = blurred(y, x, 0.7) - 0.98 * blurred(y, x, 1.12) - 0.01
            expected = 1 + torch.tanh(50 * excess.clamp(max=0))
            torch.testing.assert_close(found[0, 0, y, x], expected, rtol=1e-4, atol=1e-4)


def test_a_gpu_draws_the_same_and_is_not_waited_for():
    expected = HALF(images(), MODALITY, generator(3))
    with pretending() as gpu:
        given, modality = images().to(CUDA), MODALITY.to(CUDA)
        parameters = HALF.draw(MODALITY, HEIGHT, WIDTH, generator(3))
        before = len(gpu.crossings)
        result = HALF.apply(given, augment.Parameters(*(value.to(CUDA) for value in parameters)))
        waits = gpu.crossings[before:]
        assert not [wait for wait in waits if "/reidlib/data/" in wait.file], waits
        assert modality.device == result.device
        found = result.cpu()
    torch.testing.assert_close(found, expected)


def test_the_three_ways_share_the_photos():
    with pytest.raises(ValueError, match=r"exchange \+ grey \+ edges must not exceed 1, but 0.5 \+ 0.2 \+ 0.4 does"):
        Augmentation(exchange=0.5, grey=0.2, edges=0.4)
    with pytest.raises(ValueError, match="edges is a probability"):
        Augmentation(edges=1.5)


def test_records_name_edges_where_some_are_drawn():
    assert "edges" not in Augmentation().to_dict() and HALF.to_dict()["edges"] == 0.5
    assert Augmentation().to_dict().keys() == Augmentation(edges=0.1).to_dict().keys() - {"edges"}
