import pytest
import torch
from pytorch_metric_learning import losses as pml_losses
from pytorch_metric_learning import miners, reducers
from pytorch_metric_learning.distances import LpDistance

from reidlib import losses
from reidlib.losses import reference

BOTH = [losses.batch_hard_triplet, losses.weighted_regularised_triplet]


def batch(rows=24, width=16, identities=6, seed=0, dtype=torch.float64, scale=1.0):
    """Random features with unequal numbers of rows per identity; the first identity has a single row."""
    generator = torch.Generator().manual_seed(seed)
    features = scale * torch.randn(rows, width, generator=generator, dtype=dtype)
    pids = torch.randint(1, identities, (rows,), generator=generator)
    pids[0] = 0
    return features.requires_grad_(), pids


def gradient(loss, features):
    return torch.autograd.grad(loss, features)[0]


@pytest.mark.parametrize("scale", [0.01, 1.0, 30.0])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "name, options",
    [
        ("batch_hard_triplet", {}),
        ("batch_hard_triplet", {"margin": 1.3}),
        ("weighted_regularised_triplet", {}),
        ("weighted_regularised_triplet", {"self_pairs": True}),
    ],
)
def test_equals_the_loops(name, options, seed, scale):
    features, pids = batch(seed=seed, scale=scale)
    fast, slow = getattr(losses, name)(features, pids, **options), getattr(reference, name)(features, pids, **options)
    torch.testing.assert_close(fast, slow, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(gradient(fast, features), gradient(slow, features), rtol=1e-6, atol=1e-9)


def test_batch_hard_equals_pytorch_metric_learning():
    features, pids = batch(seed=3, scale=0.2, dtype=torch.float32)
    distance = LpDistance(normalize_embeddings=False)
    miner = miners.BatchHardMiner(distance=distance)
    oracle = pml_losses.TripletMarginLoss(margin=0.3, distance=distance, reducer=reducers.MeanReducer())
    expected = oracle(features, pids, miner(features, pids))
    actual = losses.batch_hard_triplet(features, pids, margin=0.3)
    torch.testing.assert_close(actual, expected, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(gradient(actual, features), gradient(expected, features), rtol=1e-4, atol=1e-6)


def test_batch_hard_by_hand():
    features = torch.tensor([[0.0, 0.0], [3.0, 4.0], [6.0, 8.0], [0.0, 1.0]])
    pids = torch.tensor([7, 7, 7, 9])
    # Anchors 0, 1, 2: hardest positive 10, 5, 10; the only negative at 1, sqrt(18), sqrt(85). Anchor 3 has no positive.
    expected = (10 - 1 + 5 - 18**0.5 + 10 - 85**0.5) / 3 + 0.5
    assert losses.batch_hard_triplet(features, pids, margin=0.5).item() == pytest.approx(expected)


def test_satisfied_anchors_count_in_the_mean():
    features = torch.tensor([[0.0], [0.1], [10.0], [14.0], [18.0]])
    pids = torch.tensor([0, 0, 1, 1, 2])
    hinge = [0, 0, 0, 0.3 + 4 - 4]
    assert losses.batch_hard_triplet(features, pids).item() == pytest.approx(sum(hinge) / 4)


def test_weighted_by_hand():
    features = torch.tensor([[0.0], [1.0], [3.0]], dtype=torch.float64)
    pids = torch.tensor([5, 5, 6])
    softplus = torch.nn.functional.softplus
    expected = (softplus(torch.tensor(1.0 - 3.0)) + softplus(torch.tensor(1.0 - 2.0))) / 2
    assert losses.weighted_regularised_triplet(features, pids).item() == pytest.approx(expected.item())


@pytest.mark.parametrize("loss", BOTH)
@pytest.mark.parametrize("options", [{}, {"self_pairs": True}])
def test_gradients(loss, options):
    if loss is losses.batch_hard_triplet and options:
        options = {"margin": 5.0}  # every hinge active
    features, pids = batch(rows=9, width=5, identities=3, seed=5)
    assert torch.autograd.gradcheck(lambda x: loss(x, pids, **options), features)


@pytest.mark.parametrize("loss", BOTH)
def test_collapsed_features_have_finite_gradients(loss):
    features = torch.ones(8, 4, requires_grad=True)
    value = loss(features, torch.arange(4).repeat(2))
    assert value > 0
    assert gradient(value, features).isfinite().all()


@pytest.mark.parametrize("loss", BOTH)
@pytest.mark.parametrize("pids", [[3, 3, 3, 3], [0, 1, 2, 3]], ids=["no negatives", "no positives"])
def test_no_usable_anchor_gives_zero_with_zero_gradient(loss, pids):
    features = torch.randn(4, 6, generator=torch.Generator().manual_seed(0), requires_grad=True)
    value = loss(features, torch.tensor(pids))
    assert value == 0
    assert (gradient(value, features) == 0).all()


@pytest.mark.parametrize("loss", BOTH)
def test_near_duplicates_far_from_the_origin(loss):
    features, pids = batch(seed=1, scale=0.01)
    shifted = (features.detach() + 1000).float()
    torch.testing.assert_close(loss(shifted, pids), loss(shifted.double(), pids).float(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("loss", BOTH)
def test_order_of_rows_does_not_matter(loss):
    features, pids = batch(seed=2)
    order = torch.randperm(len(pids), generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(loss(features[order], pids[order]), loss(features, pids))


@pytest.mark.parametrize("loss", BOTH)
def test_full_precision_inside_autocast(loss):
    features, pids = batch(dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside, lowered = loss(features, pids), loss(features.bfloat16(), pids)
    assert inside.dtype == lowered.dtype == torch.float32
    torch.testing.assert_close(inside, loss(features, pids), rtol=0, atol=0)


@pytest.mark.parametrize("loss", BOTH)
def test_non_finite_features_are_not_hidden(loss):
    features, pids = batch(dtype=torch.float32)
    broken = features.detach().clone()
    broken[5, 2] = torch.nan
    assert loss(broken, pids).isnan()


@pytest.mark.parametrize("loss", BOTH)
@pytest.mark.parametrize(
    "features, pids, message",
    [
        (torch.zeros(4), torch.zeros(4, dtype=torch.long), r"features .*\(N, D\).*\(4,\)"),
        (torch.zeros(4, 2, dtype=torch.long), torch.zeros(4, dtype=torch.long), "features .*int64"),
        (torch.zeros(0, 2), torch.zeros(0, dtype=torch.long), "features .*N >= 1"),
        (torch.zeros(4, 2), torch.zeros(3, dtype=torch.long), r"pids .*\(4,\).*\(3,\)"),
        (torch.zeros(4, 2), torch.zeros(4), "pids .*float32"),
        (torch.zeros(4, 2), [1, 1, 2, 2], "pids .*list"),
    ],
)
def test_bad_input_is_named(loss, features, pids, message):
    with pytest.raises(ValueError, match=message):
        loss(features, pids)
