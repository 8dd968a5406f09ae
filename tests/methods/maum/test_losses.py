import pytest
import torch
import torch.nn.functional as F
from pytorch_metric_learning.losses import CircleLoss, CosFaceLoss

from reidlib.losses import circle
from reidlib.methods.maum import losses, reference
from reidlib.methods.maum.losses import FORMS


def batch(rows=12, width=8, identities=5, states=3, seed=0, dtype=torch.float64):
    """Features, proxies, pids with some identities seen once and some not at all, and a memory."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(rows, width, generator=generator, dtype=dtype).requires_grad_()
    proxies = (0.1 * torch.randn(identities, width, generator=generator, dtype=dtype)).requires_grad_()
    pids = torch.randint(0, identities, (rows,), generator=generator)
    return features, proxies, pids, torch.randn(states, identities, width, generator=generator, dtype=dtype)


def cosines(features, proxies):
    return F.normalize(features, dim=1) @ F.normalize(proxies, dim=1).T


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("options", [{}, {"margin": 0.4, "scale": 8.0}, {"memory_negatives": False}])
@pytest.mark.parametrize("with_memory", [False, True])
def test_equals_the_loops(form, options, with_memory):
    features, proxies, pids, memory = batch()
    options = {**options, "form": form, "memory": memory if with_memory else None}
    fast, slow = (module.proxy_metric(features, proxies, pids, **options) for module in (losses, reference))
    torch.testing.assert_close(fast, slow, rtol=1e-6, atol=1e-6)
    gradients = [torch.autograd.grad(loss, (features, proxies)) for loss in (fast, slow)]
    torch.testing.assert_close(*gradients, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("states", [0, 3])
def test_circle_form_equals_pytorch_metric_learning(states):
    features, proxies, pids, memory = batch(states=states, dtype=torch.float32)
    references = torch.cat([proxies, *memory])
    labels = torch.arange(5).repeat(states + 1)
    expected = CircleLoss(m=0.25, gamma=64)(features, pids, ref_emb=references, ref_labels=labels)
    actual = losses.proxy_metric(features, proxies, pids, memory=memory)
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(actual, circle(features, pids, references, labels), rtol=1e-6, atol=1e-6)


def test_amsoftmax_form_equals_pytorch_metric_learning():
    features, proxies, pids, _ = batch()
    oracle = CosFaceLoss(num_classes=5, embedding_size=8, margin=0.35, scale=16).double()
    oracle.W.data = proxies.detach().T
    actual = losses.proxy_metric(features, proxies, pids, form="amsoftmax", margin=0.35, scale=16.0)
    torch.testing.assert_close(actual, oracle(features, pids), rtol=1e-6, atol=1e-6)


def test_without_memory_the_softmax_forms_are_cross_entropies():
    features, proxies, pids, _ = batch()
    similarities = cosines(features, proxies)
    actual = losses.proxy_metric(features, proxies, pids, form="ce", scale=30.0, margin=9.0)
    torch.testing.assert_close(actual, F.cross_entropy(30 * similarities, pids))
    actual = losses.proxy_metric(features, proxies, pids, form="amsoftmax", scale=30.0, margin=0.2)
    torch.testing.assert_close(actual, F.cross_entropy(30 * (similarities - 0.2 * F.one_hot(pids, 5)), pids))


def test_without_memory_the_circle_form_is_its_closed_form():
    features, proxies, pids, _ = batch()
    m, scale, expected = 0.25, 64.0, []
    for similarities, pid in zip(cosines(features, proxies), pids, strict=True):
        others = similarities[torch.arange(5) != pid]
        pull = torch.exp(-scale * (1 + m - similarities[pid]).clamp(min=0) * (similarities[pid] - (1 - m)))
        expected.append(torch.log(1 + torch.exp(scale * (others + m).clamp(min=0) * (others - m)).sum() * pull))
    torch.testing.assert_close(losses.proxy_metric(features, proxies, pids), torch.stack(expected).mean())


def test_by_hand():
    features = torch.tensor([[2.0, 0.0]])
    proxies, memory = torch.tensor([[3.0, 4.0], [0.0, 1.0]]), torch.tensor([[[0.5, 0.0], [0.0, -2.0]]])
    pid = torch.tensor([0])
    # Cosines: to its own proxy 0.6 and 1 before, to the other one 0 and 0.
    expected = torch.tensor([0.6, 1.0]).mul(-2).exp().sum().mul(2 * torch.tensor(2 * 0.1).exp()).log1p()
    actual = losses.proxy_metric(features, proxies, pid, memory=memory, form="amsoftmax", margin=0.1, scale=2.0)
    torch.testing.assert_close(actual, expected)


@pytest.mark.parametrize("form", FORMS)
def test_memory_that_repeats_the_proxies_only_counts_pairs(form):
    features, proxies, pids, _ = batch()
    memory = proxies.detach()[None].repeat(1, 1, 1)
    once = losses.proxy_metric(features, proxies, pids, form=form)
    twice = losses.proxy_metric(features, proxies, pids, form=form, memory=memory)
    per_row = [losses.proxy_metric(features[i : i + 1], proxies, pids[i : i + 1], form=form) for i in range(12)]
    counted = torch.stack([F.softplus(loss.expm1().log() + torch.tensor(4.0).log()) for loss in per_row])
    torch.testing.assert_close(twice, counted.mean())
    assert twice > once


def test_static_references_get_no_gradient():
    features, proxies, pids, memory = batch()
    memory.requires_grad_()
    losses.proxy_metric(features, proxies.detach(), pids, memory=memory).backward()
    assert features.grad.abs().sum() > 0 and proxies.grad is None and memory.grad is None
    losses.proxy_metric(features, proxies, pids, memory=memory).backward()
    assert proxies.grad.abs().sum() > 0 and memory.grad is None


@pytest.mark.parametrize("form", ["amsoftmax", "ce"])
def test_gradients(form):
    features, proxies, pids, memory = batch(rows=5)

    def loss(x, w):
        return losses.proxy_metric(x, w, pids, memory=memory, form=form, scale=4.0)

    assert torch.autograd.gradcheck(loss, (features, proxies))


@pytest.mark.parametrize("form", FORMS)
def test_finite_and_indifferent_to_order_and_length_with_one_image_per_identity(form):
    features, proxies, _, memory = batch(rows=5, dtype=torch.float32)
    pids, order = torch.arange(5), torch.tensor([3, 1, 4, 0, 2])
    loss = losses.proxy_metric(features, proxies, pids, memory=memory, form=form)
    assert loss.isfinite() and loss > 0
    shuffled = losses.proxy_metric(7 * features[order], 0.1 * proxies, pids[order], memory=memory[[2, 0, 1]], form=form)
    torch.testing.assert_close(shuffled, loss)
    extreme = losses.proxy_metric(features, proxies, pids, memory=memory, form=form, scale=1e6)
    assert extreme.isfinite() and torch.autograd.grad(extreme, features)[0].isfinite().all()


@pytest.mark.parametrize("form", FORMS)
def test_a_single_identity_gives_zero_with_zero_gradient(form):
    features, proxies, _, memory = batch(identities=1)
    loss = losses.proxy_metric(features, proxies, torch.zeros(12, dtype=torch.long), memory=memory, form=form)
    gradients = torch.autograd.grad(loss, (features, proxies))
    assert loss == 0 and all((gradient == 0).all() for gradient in gradients)


@pytest.mark.parametrize("form", FORMS)
def test_full_precision_inside_autocast(form):
    features, proxies, pids, memory = batch(dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = losses.proxy_metric(features, proxies, pids, memory=memory, form=form)
        lowered = losses.proxy_metric(features.bfloat16(), proxies, pids, memory=memory.bfloat16(), form=form)
    assert inside.dtype == lowered.dtype == torch.float32
    expected = losses.proxy_metric(features, proxies, pids, memory=memory, form=form)
    torch.testing.assert_close(inside, expected, rtol=0, atol=0)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"form": "arcface"}, "unknown form 'arcface'; choose one of: circle, amsoftmax, ce"),
        ({"features": torch.zeros(12)}, r"features must be a floating tensor of shape \(N, D\)"),
        ({"proxies": torch.zeros(5, 7)}, "proxies have 7 dimensions, features 8"),
        ({"pids": torch.zeros(3, dtype=torch.long)}, r"pids .*\(12,\)"),
        ({"pids": torch.full((12,), 5)}, "pids must be 0 to 4, rows of proxies, not 5 to 5"),
        ({"pids": torch.full((12,), -1)}, "pids must be 0 to 4.* not -1 to -1"),
        ({"memory": torch.zeros(5, 8)}, r"memory must be .*\(T, 5, 8\), not torch.float64 of shape \(5, 8\)"),
        ({"memory": torch.zeros(2, 4, 8)}, r"memory .*\(2, 4, 8\)"),
    ],
)
def test_bad_input_is_named(change, message):
    features, proxies, pids, _ = batch(dtype=torch.float32)
    change = {k: v.double() if k == "memory" else v for k, v in change.items()}
    with pytest.raises(ValueError, match=message):
        losses.proxy_metric(**{"features": features, "proxies": proxies, "pids": pids, **change})
