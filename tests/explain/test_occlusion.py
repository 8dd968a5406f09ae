"""Occlusion of a model that is known to see the upper half of an image alone, and as one would do it by hand."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from reidlib import explain
from reidlib.data import ReIDDataset, normalise


class UpperHalf(torch.nn.Module):
    """Its embedding is the upper half of the image, pixel by pixel."""

    branches, image_size = ("shared",), (64, 32)

    def check_branch(self, branch: str | None) -> str:
        assert branch in (None, "shared")
        return "shared"

    def branch_map(self, images: torch.Tensor, modality: torch.Tensor, branch: str) -> torch.Tensor:
        return images

    def embed_map(self, maps: torch.Tensor, branch: str) -> torch.Tensor:
        return F.normalize(maps[:, :, :32].flatten(1), dim=1)

    def branch_embedding(self, images: torch.Tensor, modality: torch.Tensor, branch: str) -> torch.Tensor:
        return self.embed_map(images, branch)


@pytest.fixture
def rows(dataset: ReIDDataset) -> np.ndarray:
    return explain.sample_rows(dataset, identities=2, per_modality=2, seed=0)


def pixels(dataset: ReIDDataset, rows: np.ndarray) -> torch.Tensor:
    return normalise(dataset.images(64, 32, progress=False).tensor(rows))


@pytest.mark.integration
@pytest.mark.parametrize("batch_size", [3, 256])
def test_drops_are_those_of_a_loop(
    dataset: ReIDDataset, rows: np.ndarray, batch_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explain.common, "BATCH", batch_size)
    model = UpperHalf()
    maps = explain.occlusion_maps(model, dataset, rows, cells=(4, 2))
    targets = explain.retrieval_targets(model, dataset, rows).embeddings
    expected = torch.zeros(len(rows), 4, 2)
    for number, image in enumerate(pixels(dataset, rows)):
        whole = torch.dot(model.embed_map(image[None], "shared")[0], targets[number])
        for down in range(4):
            for across in range(2):
                hidden = image.clone()
                hidden[:, 16 * down : 16 * down + 16, 16 * across : 16 * across + 16] = image.mean((1, 2))[
                    :, None, None
                ]
                left = torch.dot(model.embed_map(hidden[None], "shared")[0], targets[number])
                expected[number, down, across] = max(whole - left, 0)
    torch.testing.assert_close(maps, expected, atol=1e-6, rtol=1e-5)
    assert (maps[:, 2:] == 0).all(), "what the model does not see does not matter"
    assert (maps[:, :2] > 0).any()


@pytest.mark.integration
def test_cells_cover_an_image_that_they_do_not_divide(dataset: ReIDDataset, rows: np.ndarray) -> None:
    """The sum over cells of a linear answer is the answer for all of them: each pixel is in one cell."""
    maps = explain.occlusion_maps(UpperHalf(), dataset, rows[:2], cells=(5, 3))
    assert maps.shape == (2, 5, 3) and (maps[:, 3:] == 0).all()


@pytest.mark.integration
def test_hidden_is_what_the_mask_says(dataset: ReIDDataset, rows: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    model = UpperHalf()
    person = explain.masks(dataset, rows)[0]
    found = explain.hidden_cosines(model, dataset, rows)
    monkeypatch.setattr(explain.common, "BATCH", 3)
    again = explain.hidden_cosines(model, dataset, rows, person=person)
    targets = explain.retrieval_targets(model, dataset, rows).embeddings
    images, where = pixels(dataset, rows), torch.from_numpy(person)[:, None]
    assert where.shape[2:] == images.shape[2:], "the twin's images have the size of the model's"
    colour = images.mean(dim=(2, 3), keepdim=True)
    for name, hidden in {"nothing": where & False, "background": ~where, "person": where}.items():
        embeddings = model.embed_map(torch.where(hidden, colour, images), "shared")
        torch.testing.assert_close(found[name], (embeddings * targets).sum(dim=1), atol=1e-6, rtol=1e-5)
        assert torch.equal(found[name], again[name]) or torch.allclose(found[name], again[name], atol=1e-6)
    cams = explain.cams(model, dataset, rows)
    torch.testing.assert_close(found["nothing"], cams.similarities, atol=1e-6, rtol=1e-5)


@pytest.mark.integration
def test_a_network_stays_as_it_is(dataset: ReIDDataset, rows: np.ndarray, trained) -> None:
    before = {name: tensor.clone() for name, tensor in trained.state_dict().items()}
    trained.train()
    try:
        first = explain.occlusion_maps(trained, dataset, rows, cells=(2, 1))
        assert trained.training
    finally:
        trained.eval()
    assert torch.equal(first, explain.occlusion_maps(trained, dataset, rows, cells=(2, 1)))
    assert all(torch.equal(before[name], tensor) for name, tensor in trained.state_dict().items())
    with pytest.raises(ValueError, match="no branch 'auxiliary'"):
        explain.occlusion_maps(trained, dataset, rows, branch="auxiliary")
