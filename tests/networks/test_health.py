"""Health has one definition each, and tells features that differ from those that have collapsed."""

import math

import pytest
import torch

from reidlib import methods
from reidlib.losses import TRIPLETS, triplet_of_a_point
from reidlib.networks import health, reference


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_numbers_are_those_of_plain_loops(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(3)
    features = torch.randn(14, 6, generator=generator, dtype=dtype) + 2
    pids, maps = torch.tensor([0, 1] * 5 + [2] * 4), torch.rand(7, 3, 4, 2, generator=generator, dtype=dtype)
    assert health.spread(features, pids).item() == pytest.approx(reference.spread(features, pids), rel=1e-5)
    assert health.common_share(maps).item() == pytest.approx(reference.common_share(maps), rel=1e-5)
    assert health.effective_rank(features).item() == pytest.approx(reference.effective_rank(features), rel=1e-5)


def test_ends_of_the_scales() -> None:
    pids = torch.arange(6)
    same = torch.full((6, 4), 2.5)
    assert (health.spread(same, pids), health.common_share(same), health.effective_rank(same)) == (0, 1, 0)
    apart = torch.eye(6)
    assert health.spread(3 * apart, pids).item() == pytest.approx(math.sqrt(2), rel=1e-6)
    assert health.common_share(apart).item() == pytest.approx(1 / 6, rel=1e-6)
    assert health.effective_rank(apart).item() == pytest.approx(5, rel=1e-5)
    line = torch.arange(6.0)[:, None] * torch.ones(1, 4)
    assert health.effective_rank(line).item() == pytest.approx(1, rel=1e-5)
    assert health.spread(apart, torch.zeros(6, dtype=torch.long)).isnan()
    with pytest.raises(ValueError, match="features must be a floating tensor"):
        health.spread(torch.zeros(3), pids[:3])


@pytest.mark.parametrize("name", TRIPLETS)
def test_the_value_of_a_point_is_that_of_the_loss(name: str) -> None:
    value = TRIPLETS[name](torch.full((8, 3), 1.5), torch.arange(8) // 2).item()
    assert value == pytest.approx(triplet_of_a_point(name), rel=1e-6)


@pytest.mark.parametrize("name", methods.names())
def test_margins_are_of_terms_that_the_model_has(name: str) -> None:
    """And are what these losses give for features that are all the same."""
    model = methods.build(name, num_ids=4, backbone="tiny").train()
    images, pids = torch.randn(1, 3, 32, 16).expand(8, -1, -1, -1).contiguous(), torch.arange(4).repeat(2)
    modality = torch.arange(8) // 4
    outputs = model(images, modality)
    for features in outputs.features.values():
        features.data[:] = 1.0
    terms = model.losses(outputs, pids, modality)
    assert model.margins.keys() == {term for term in terms if term.endswith("triplet")}
    for term, margin in model.margins.items():
        assert terms[term].item() == pytest.approx(margin, rel=1e-5)
