"""What every model must do, whatever its method: a test calls it with its own model and batch."""

from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
import torch


@pytest.fixture
def learns() -> Callable:
    """``learns(model, images, modality, pids)``: fifteen steps on one batch take the loss well below its start."""

    def check(model, images, modality, pids):
        optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
        history = []
        for _ in range(15):
            loss = sum(model.losses(model(images, modality), pids, modality).values())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            history.append(loss.item())
        assert history[-1] < 0.6 * history[0]

    return check


@pytest.fixture
def names_labels_out_of_range() -> Callable:
    """``names_labels_out_of_range(model, images, modality, pids)``, for a model of five identities and pids 0 and 1."""

    def check(model, images, modality, pids):
        with pytest.raises(ValueError, match=r"pids must be labels from 0 to 4 .*from 0 to 7"):
            model.losses(model(images, modality), pids * 7, modality)

    return check


@pytest.fixture(autouse=True)
def own_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests share decoded images, in a folder of their own."""
    monkeypatch.setenv("REIDLIB_CACHE", str(cache))


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")
