"""A twin, and a small network that has seen a little of it."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from reidlib import data, models
from reidlib.data import ReIDDataset, normalise
from reidlib.models import ReIDModel


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def own_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests share decoded images, in a folder of their own."""
    monkeypatch.setenv("REIDLIB_CACHE", str(cache))


@pytest.fixture(scope="session")
def dataset(ci_twin: Path) -> ReIDDataset:
    """The twin of SYSU-MM01 in the ``ci`` profile."""
    return data.open("sysu", root=ci_twin)


@pytest.fixture(scope="session")
def learn() -> Callable:
    """``learn(model, images, modality, pids)``: a few steps of training, to leave the random start behind."""

    def steps(model: ReIDModel, images: torch.Tensor, modality: torch.Tensor, pids: torch.Tensor) -> ReIDModel:
        optimiser = torch.optim.AdamW(model.train().parameters(), 2e-3)
        for _ in range(8):
            optimiser.zero_grad()
            sum(model.losses(model(images, modality), pids, modality).values()).backward()
            optimiser.step()
        optimiser.zero_grad()
        return model.eval()

    return steps


@pytest.fixture(scope="session")
def trained(dataset: ReIDDataset, learn: Callable, cache: Path) -> ReIDModel:
    """A tiny baseline after a few steps on training images of the twin, at 64×32; in evaluation mode, to be left so."""
    labels, pids = dataset.train_labels()
    modality = torch.from_numpy(dataset.frame["modality"].to_numpy(copy=True))[dataset.rows("train")]
    torch.manual_seed(0)
    model = models.build("baseline", num_ids=len(pids), backbone="tiny")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REIDLIB_CACHE", str(cache))
        images = dataset.images(64, 32, progress=False).tensor(dataset.rows("train"))
    learn(model, normalise(images), modality, torch.from_numpy(labels))
    model.image_size = (64, 32)
    return model
