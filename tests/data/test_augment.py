"""Batched augmentation against torchvision, image by image with the same drawn parameters."""

import pytest
import torch
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as reference

from reidlib.data import Augmentation, normalise
from reidlib.data.augment import GREY, KEEP, Parameters, crop, erase_, exchange_channels, flip

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
HEIGHT, WIDTH = 24, 12
ALL = Augmentation(flip=0.5, pad=3, exchange=0.4, grey=0.3, erase=0.7)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.randint(0, 256, (64, 3, HEIGHT, WIDTH), dtype=torch.uint8, generator=generator(1))


@pytest.fixture(scope="module")
def modality() -> torch.Tensor:
    return torch.arange(64) % 2


def one_by_one(images: torch.Tensor, parameters: Parameters, augmentation: Augmentation) -> torch.Tensor:
    """The same augmentation with torchvision, one image at a time."""
    pad, results = augmentation.pad, []
    colour = [124, 116, 104] if augmentation.pad_value == "mean" else 0
    for image, top, left, flipped, channel, *box in zip(images, *(p.tolist() for p in parameters), strict=True):
        image = reference.crop(reference.pad(image, [pad] * 4, fill=colour), top, left, *image.shape[-2:])
        image = reference.horizontal_flip(image) if flipped else image
        if channel == GREY:
            image = reference.rgb_to_grayscale(image, num_output_channels=3)
        elif channel != KEEP:
            image = image[channel].expand(3, -1, -1)
        image = reference.normalize(reference.to_dtype(image, torch.float32, scale=True), MEAN, STD)
        results.append(reference.erase(image, *box, v=torch.zeros(3, 1, 1)))
    return torch.stack(results)


@pytest.mark.parametrize("pad_value", ["zero", "mean"])
def test_batch_equals_torchvision_image_by_image(images, modality, pad_value):
    augmentation = Augmentation(flip=0.5, pad=3, pad_value=pad_value, exchange=0.4, grey=0.3, erase=0.7)
    parameters = augmentation.draw(modality, HEIGHT, WIDTH, generator())
    assert len(set(parameters.top.tolist())) > 3 and parameters.erase_height.count_nonzero() > 20
    assert set(parameters.channel.tolist()) == {KEEP, 0, 1, 2, GREY}
    result = augmentation.apply(images, parameters)
    assert result.dtype == torch.float32
    torch.testing.assert_close(result, one_by_one(images, parameters, augmentation), rtol=0, atol=2e-6)


def test_call_is_draw_then_apply(images, modality):
    parameters = ALL.draw(modality, HEIGHT, WIDTH, generator(4))
    assert torch.equal(ALL(images, modality, generator(4)), ALL.apply(images, parameters))
    assert not torch.equal(ALL(images, modality, generator(4)), ALL(images, modality, generator(5)))


def test_images_of_the_caller_are_not_changed(images, modality):
    before = images.clone()
    ALL(images, modality, generator())
    assert torch.equal(images, before)


@pytest.mark.parametrize(("pad_value", "colour"), [("zero", 0), ("mean", [124, 116, 104])])
def test_crop_is_exact_on_bytes(images, pad_value, colour):
    top, left = torch.randint(0, 9, (2, 64), generator=generator())
    result = crop(images, top, left, 4, pad_value)
    for image, i, j, got in zip(images, top.tolist(), left.tolist(), result, strict=True):
        assert torch.equal(got, reference.crop(reference.pad(image, [4] * 4, fill=colour), i, j, HEIGHT, WIDTH))
    assert crop(images, top, left, 0) is images


def test_flip_is_exact_on_bytes(images):
    mask = torch.rand(64, generator=generator()) < 0.5
    result = flip(images, mask)
    assert torch.equal(result[mask], reference.horizontal_flip(images[mask]))
    assert torch.equal(result[~mask], images[~mask])


def test_grey_and_exchanged_channels_are_exact_on_bytes(images):
    channel = torch.arange(64) % 5 - 1
    result = exchange_channels(images, channel)
    assert torch.equal(result[channel == KEEP], images[channel == KEEP])
    grey = reference.rgb_to_grayscale(images[channel == GREY], num_output_channels=3)
    assert torch.equal(result[channel == GREY], grey)
    for kept in range(3):
        some = channel == kept
        assert torch.equal(result[some], images[some, kept][:, None].expand(-1, 3, -1, -1))


def test_erased_rectangle_is_the_mean_colour():
    box = [torch.tensor([value]) for value in (2, 3, 4, 5)]
    result = erase_(torch.ones(1, 3, 10, 10), *box)
    assert (result[0, :, 2:6, 3:8] == 0).all() and result.sum() == 3 * (100 - 20)


def test_normalise_equals_torchvision(images):
    expected = reference.normalize(reference.to_dtype(images, torch.float32, scale=True), MEAN, STD)
    torch.testing.assert_close(normalise(images), expected, rtol=0, atol=2e-6)
    assert normalise(images[:0]).shape == (0, 3, HEIGHT, WIDTH)


def test_infrared_images_keep_their_channels(modality):
    parameters = Augmentation(exchange=1.0).draw(modality, HEIGHT, WIDTH, generator())
    assert (parameters.channel[modality == 1] == KEEP).all()
    assert set(parameters.channel[modality == 0].tolist()) == {0, 1, 2}


def test_everything_off_is_normalisation(images, modality):
    nothing = Augmentation(flip=0, pad=0)
    assert torch.equal(nothing(images, modality, generator()), normalise(images))


def test_switching_one_part_off_leaves_the_others_as_they_were(modality):
    every = ALL.draw(modality, HEIGHT, WIDTH, generator())
    fewer = Augmentation(flip=0.5, pad=3, erase=0.0).draw(modality, HEIGHT, WIDTH, generator())
    assert torch.equal(every.top, fewer.top) and torch.equal(every.flip, fewer.flip)
    assert (fewer.channel == KEEP).all() and (fewer.erase_height == 0).all()


def test_draws_follow_their_probabilities():
    modality = torch.zeros(20_000, dtype=torch.long)
    p = Augmentation(flip=0.3, pad=2, exchange=0.6, grey=0.1, erase=0.25).draw(modality, HEIGHT, WIDTH, generator())
    share = lambda mask: mask.float().mean().item()  # noqa: E731
    assert share(p.flip) == pytest.approx(0.3, abs=0.02)
    assert [share(p.channel == c) for c in (KEEP, 0, 1, 2, GREY)] == pytest.approx([0.3, 0.2, 0.2, 0.2, 0.1], abs=0.02)
    assert share(p.erase_height > 0) == pytest.approx(0.25, abs=0.02)
    for place in (p.top, p.left):
        assert [share(place == i) for i in range(5)] == pytest.approx([0.2] * 5, abs=0.02)
        assert set(place.tolist()) == set(range(5))


@pytest.mark.parametrize("size", [(128, 64), (24, 12)])
def test_erased_rectangles_are_drawn_as_torchvision_draws_them(size):
    """Same quantiles of area, height, width and position as RandomErasing."""
    theirs = v2.RandomErasing(p=1.0)
    torch.manual_seed(0)
    drawn = [theirs.make_params([torch.empty(3, *size)]) for _ in range(6000)]
    expected = torch.tensor([[d["i"], d["j"], d["h"], d["w"], d["h"] * d["w"]] for d in drawn if d["v"] is not None])
    p = Augmentation(erase=1.0).draw(torch.zeros(6000, dtype=torch.long), *size, generator())
    ours = torch.stack([p.erase_top, p.erase_left, p.erase_height, p.erase_width, p.erase_height * p.erase_width], 1)
    assert (ours[:, 2] > 0).float().mean() == pytest.approx(len(expected) / 6000, abs=0.01)
    ours = ours[ours[:, 2] > 0]
    assert (ours[:, 0] + ours[:, 2] <= size[0]).all() and (ours[:, 1] + ours[:, 3] <= size[1]).all()
    for place, extent, whole in ((ours[:, 0], ours[:, 2], size[0]), (ours[:, 1], ours[:, 3], size[1])):
        assert place.min() == 0 and (place + extent).max() == whole, "every border can be reached"
    quantiles = torch.tensor([0.1, 0.25, 0.5, 0.75, 0.9])
    difference = (ours.float().quantile(quantiles, 0) - expected.float().quantile(quantiles, 0)).abs()
    tolerance = torch.tensor([*size, *size, size[0] * size[1] * 0.33]) * 0.04 + 1
    assert (difference <= tolerance).all(), difference


def test_image_too_small_for_any_rectangle_is_left_whole():
    p = Augmentation(erase=1.0, erase_scale=(0.9, 1.0), erase_ratio=(3.0, 3.3)).draw(
        torch.zeros(50, dtype=torch.long), 8, 8, generator()
    )
    assert (p.erase_height == 0).all() and (p.erase_width == 0).all()


@pytest.mark.parametrize(
    "options",
    [
        {"flip": 1.1},
        {"erase": -0.1},
        {"exchange": 0.7, "grey": 0.4},
        {"pad": -1},
        {"pad_value": "red"},
        {"erase_scale": (0.5, 0.1)},
        {"erase_ratio": (0.0, 1.0)},
    ],
)
def test_settings_that_make_no_sense_are_refused(options):
    with pytest.raises(ValueError, match="|".join(options)):
        Augmentation(**options)


@pytest.mark.parametrize("shape", [(2, 1, 8, 4), (3, 8, 4)])
def test_only_colour_bytes_are_accepted(shape):
    with pytest.raises(ValueError, match=r"must be uint8 of shape \(B, 3, H, W\)"):
        normalise(torch.zeros(shape, dtype=torch.uint8))
    with pytest.raises(ValueError, match=r"not torch\.float32"):
        Augmentation()(torch.zeros(2, 3, 8, 4), torch.zeros(2), generator())


def test_one_modality_for_many_images_is_refused(images):
    with pytest.raises(ValueError, match="64 images, modality of shape"):
        ALL(images, torch.zeros(1), generator())
