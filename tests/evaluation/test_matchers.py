import pytest
import torch

from reidlib.evaluation import matchers


def noise(count: int = 3, height: int = 64, width: int = 32) -> torch.Tensor:
    return torch.randint(
        0, 256, (count, 3, height, width), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )


@pytest.mark.parametrize("name", matchers.MATCHERS)
def test_features_are_centred_and_differ(name):
    features = matchers.MATCHERS[name](noise())
    assert features.dtype == torch.float32
    assert features.mean(1).abs().max() < 1e-6
    assert (features[0] - features[1]).abs().max() > 1e-3


def test_grey_is_rec_601():
    image = torch.tensor([255, 0, 0], dtype=torch.uint8).view(1, 3, 1, 1)
    assert matchers.grey(image).item() == pytest.approx(0.299)


def test_histogram_forgets_where_and_counts_every_level():
    images = noise(1)
    shuffled = images.flatten(2)[:, :, torch.randperm(64 * 32, generator=torch.Generator().manual_seed(1))]
    torch.testing.assert_close(matchers.grey_histogram(images), matchers.grey_histogram(shuffled.view_as(images)))
    white = matchers.grey_histogram(torch.full((1, 3, 4, 4), 255, dtype=torch.uint8), bins=4)
    torch.testing.assert_close(white, torch.tensor([[-1.0, -1.0, -1.0, 3.0]]))


def test_profile_sees_rows_only():
    image = torch.zeros(1, 3, 64, 32, dtype=torch.uint8)
    image[:, :, 8:16] = 255
    expected = torch.full((1, 8), -0.125)
    expected[0, 1] = 0.875
    torch.testing.assert_close(matchers.row_profile(image), expected)


def test_background_only_sees_the_upper_corners_and_nothing_else():
    image = noise(1)
    changed = image.clone()
    changed[:, :, 9:] = 0
    changed[:, :, :, 5:-5] = 0
    torch.testing.assert_close(matchers.background_only(image), matchers.background_only(changed))
    changed[:, :, :4, :4] = 0
    assert (matchers.background_only(image) - matchers.background_only(changed)).abs().max() > 1e-3


def test_corners_are_rounded_to_whole_pixels():
    """0.14 of 64 × 47 pixels: 9 rows, and 7 columns from each side."""
    image = noise(1, width=47)
    changed = image.clone()
    changed[:, :, 9:] = 0
    changed[:, :, :, 7:-7] = 0
    torch.testing.assert_close(matchers.background_only(image), matchers.background_only(changed))
    changed[:, :, :, 6] = 0
    assert (matchers.background_only(image) - matchers.background_only(changed)).abs().max() > 1e-3
