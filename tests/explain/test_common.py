"""What is common to maps, against the definition."""

import numpy as np
import pytest
import torch

from reidlib import explain
from reidlib.data import ReIDDataset, normalise
from reidlib.networks import ReIDModel


def test_correlations_are_those_of_numpy() -> None:
    random = np.random.default_rng(0)
    maps, others = random.random((5, 4, 3)), random.random((5, 4, 3))
    expected = [np.corrcoef(one.ravel(), other.ravel())[0, 1] for one, other in zip(maps, others, strict=True)]
    np.testing.assert_allclose(explain.correlations(maps, torch.from_numpy(others)), expected)
    np.testing.assert_allclose(explain.correlations(maps, 7 * others + 2), expected)
    np.testing.assert_allclose(explain.correlations(maps, 2 - maps), -1)


def test_flat_maps_say_nothing() -> None:
    one, flat = np.random.default_rng(0).random((1, 4, 3)), np.full((1, 4, 3), 0.3)
    assert np.isnan(explain.correlations(one, flat)) and np.isnan(explain.correlations(0 * flat, one))
    with pytest.raises(ValueError, match="the same size"):
        explain.correlations(one, one[:, :3])


@pytest.mark.integration
@pytest.mark.parametrize("batch_size", [3, 256])
def test_common_is_the_length_of_the_mean_map(
    dataset: ReIDDataset, trained: ReIDModel, batch_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explain.common, "BATCH", batch_size)
    rows = explain.sample_rows(dataset, identities=3, per_modality=2)
    table = explain.common_table(trained, dataset, rows).set_index(["branch", "modality"])
    assert list(table.index) == [(branch, number) for branch in ("shared", "specific") for number in (0, 1)]
    modality = torch.from_numpy(dataset.frame["modality"].to_numpy()[rows])
    images = normalise(dataset.images(64, 32, progress=False).tensor(rows))
    for branch, number in table.index:
        with torch.inference_mode():
            maps = trained.branch_map(images, modality, branch)[modality == number].double()
        expected = maps.mean(0).square().sum() / maps.square().sum((1, 2, 3)).mean()
        assert table.loc[(branch, number), "common"] == pytest.approx(float(expected), rel=1e-5)
        assert table.loc[(branch, number), "cells"] == f"{maps.shape[2]}×{maps.shape[3]}"
    with pytest.raises(ValueError, match="no branch 'auxiliary'"):
        explain.common_table(trained, dataset, rows, branches=["auxiliary"])
