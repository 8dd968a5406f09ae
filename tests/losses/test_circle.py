import pytest
import torch
from pytorch_metric_learning.losses import CircleLoss

from reidlib import losses
from reidlib.losses import reference


def batch(rows=20, width=8, identities=5, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(rows, width, generator=generator, dtype=dtype)
    return features.requires_grad_(), torch.randint(0, identities, (rows,), generator=generator)


@pytest.mark.parametrize("margin, gamma", [(0.25, 64.0), (0.4, 8.0)])
def test_equals_the_loops(margin, gamma):
    options = {"margin": margin, "gamma": gamma}
    (features, pids), (targets, target_pids) = batch(), batch(rows=13, seed=1)
    for extra in ((), (targets, target_pids), (features, pids)):
        fast = losses.circle(features, pids, *extra, **options)
        slow = reference.circle(features, pids, *extra, **options)
        torch.testing.assert_close(fast, slow, rtol=1e-10, atol=1e-10)
        gradients = [torch.autograd.grad(loss, features)[0] for loss in (fast, slow)]
        torch.testing.assert_close(*gradients, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("with_targets", [False, True])
def test_equals_pytorch_metric_learning(with_targets):
    (features, pids), (targets, target_pids) = batch(dtype=torch.float32), batch(rows=13, seed=1, dtype=torch.float32)
    oracle = CircleLoss(m=0.25, gamma=64)
    if with_targets:
        expected = oracle(features, pids, ref_emb=targets, ref_labels=target_pids)
        actual = losses.circle(features, pids, targets, target_pids)
    else:
        expected, actual = oracle(features, pids), losses.circle(features, pids)
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-5)


def test_weights_are_constants_of_the_gradient():
    # One anchor, a positive at similarity s and a negative: d loss / d s = -sigmoid(z) gamma (1 + m - s).
    similarities = torch.tensor([0.6, 0.1], dtype=torch.float64, requires_grad=True)
    anchor = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    targets = torch.stack([similarities, (1 - similarities.detach() ** 2).sqrt()], dim=1)
    # Normalisation moves the second coordinate too; on the unit circle ds = (1 - s^2) dx.
    loss = losses.circle(anchor, torch.tensor([1]), targets, torch.tensor([1, 2]), margin=0.25, gamma=4.0)
    z = 4 * (0.1 + 0.25) * (0.1 - 0.25) - 4 * (1.25 - 0.6) * (0.6 - 0.75)
    slope = torch.tensor(z).sigmoid() * torch.tensor([-4 * (1.25 - 0.6), 4 * (0.1 + 0.25)])
    expected = slope.double() * (1 - similarities.detach() ** 2)
    torch.testing.assert_close(torch.autograd.grad(loss, similarities)[0], expected, rtol=1e-6, atol=1e-8)


def test_scale_of_rows_does_not_matter():
    features, pids = batch()
    torch.testing.assert_close(losses.circle(3 * features, pids), losses.circle(features, pids))


def test_self_pairs_are_out_unless_targets_are_given():
    features, pids = batch()[0], torch.arange(20)
    assert losses.circle(features, pids) == 0
    assert losses.circle(features, pids, features, pids) > 0


def test_extreme_scale_is_finite():
    features, pids = batch(dtype=torch.float32)
    loss = losses.circle(features, pids, gamma=1e6)
    assert loss.isfinite()
    assert torch.autograd.grad(loss, features)[0].isfinite().all()


@pytest.mark.parametrize("pids", [[3, 3, 3, 3], [0, 1, 2, 3]], ids=["no negatives", "no positives"])
def test_no_usable_anchor_gives_zero_with_zero_gradient(pids):
    features = torch.randn(4, 6, generator=torch.Generator().manual_seed(0), requires_grad=True)
    loss = losses.circle(features, torch.tensor(pids))
    assert loss == 0
    assert (torch.autograd.grad(loss, features)[0] == 0).all()


def test_full_precision_inside_autocast():
    features, pids = batch(dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = losses.circle(features, pids)
    torch.testing.assert_close(inside, losses.circle(features, pids), rtol=0, atol=0)


@pytest.mark.parametrize(
    "extra, message",
    [
        ((torch.zeros(3, 8),), "both targets and target_pids"),
        ((torch.zeros(3, 7), torch.zeros(3, dtype=torch.long)), "7 dimensions, anchors 8"),
        ((torch.zeros(3, 8), torch.zeros(2, dtype=torch.long)), "target_pids"),
    ],
)
def test_bad_input_is_named(extra, message):
    with pytest.raises(ValueError, match=message):
        losses.circle(*batch(dtype=torch.float32), *extra)
