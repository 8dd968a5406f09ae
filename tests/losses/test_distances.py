"""Distances of float32 rows, from products in float64, against those of float64 rows, from differences."""

import pytest
import torch

from reidlib import losses
from reidlib.losses._common import distances, pairs

CASES = {
    "random": lambda rows: rows,
    "long": lambda rows: 1e4 * rows,
    "short": lambda rows: 1e-6 * rows,
    "far from the origin": lambda rows: 1000 + 0.01 * rows,
    "one far away": lambda rows: torch.cat([1e4 + rows[:1], 0.1 * rows[1:]]),
    "equal rows": lambda rows: rows[torch.arange(len(rows)) // 3],
}


def batch(case: str, rows: int = 48, width: int = 512) -> tuple[torch.Tensor, torch.Tensor]:
    features = CASES[case](torch.randn(rows, width, generator=torch.Generator().manual_seed(1)))
    return features.requires_grad_(), torch.arange(rows) // 4 % 6


def exact(rows: torch.Tensor) -> torch.Tensor:
    """Differences in float64, one row at a time."""
    return torch.stack([(rows.double() - row.double()).norm(dim=1) for row in rows])


@pytest.mark.parametrize("case", CASES)
def test_distances_are_within_a_millionth(case: str) -> None:
    features, _ = batch(case)
    found = distances(features)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), exact(features), rtol=1e-6, atol=0)


@pytest.mark.parametrize("case", CASES)
def test_gradients_are_those_of_differences(case: str) -> None:
    features, _ = batch(case)
    weights = torch.rand(len(features), len(features), generator=torch.Generator().manual_seed(2))
    precise = features.detach().double().requires_grad_()
    (found,) = torch.autograd.grad((weights * distances(features)).sum(), features)
    (expected,) = torch.autograd.grad((weights * distances(precise)).sum(), precise)
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_the_hardest_pairs_are_the_same(case: str) -> None:
    features, pids = batch(case)
    positive, negative = pairs(pids)
    found, expected = distances(features).double(), exact(features)
    for mask, sign in ((positive, 1), (negative, -1)):
        chosen = (sign * found).masked_fill(~mask, -torch.inf).argmax(dim=1)
        hardest = (sign * expected).masked_fill(~mask, -torch.inf).amax(dim=1)
        torch.testing.assert_close(sign * expected[range(len(pids)), chosen], hardest, rtol=2e-7, atol=0)
    precise = losses.batch_hard_triplet(features.double(), pids)
    torch.testing.assert_close(losses.batch_hard_triplet(features, pids).double(), precise, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("loss", [losses.batch_hard_triplet, losses.weighted_regularised_triplet])
def test_low_precision_is_widened_first(loss, dtype: torch.dtype) -> None:
    features, pids = batch("random")
    lowered = features.detach().to(dtype)
    torch.testing.assert_close(loss(lowered, pids), loss(lowered.float(), pids), rtol=0, atol=0)


def test_equal_rows_are_at_distance_0_with_gradient_0() -> None:
    for length in (0.0, 1.0, 1e4):
        features = torch.full((6, 300), length) + 0.1 * torch.arange(300)
        features.requires_grad_()
        found = distances(features)
        assert (found == 0).all()
        (gradient,) = torch.autograd.grad(found.sum(), features)
        assert (gradient == 0).all()


def test_two_sets_of_rows() -> None:
    features, _ = batch("far from the origin")
    found = distances(features[:5], features)
    torch.testing.assert_close(found.double(), exact(features)[:5], rtol=1e-6, atol=0)
