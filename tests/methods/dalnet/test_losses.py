import pytest
import torch

from reidlib.methods.dalnet import losses, reference
from reidlib.methods.dalnet.losses import channel_statistics


def random(*shape, seed=0, dtype=torch.float64):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype).requires_grad_()


def layers(seed, sizes=((4, 3), (2, 2))):
    return [random(5, 2 + number, *size, seed=seed + number) for number, size in enumerate(sizes)]


USABLE = torch.tensor([True, False, True, True, False])


@pytest.mark.parametrize("usable", [None, USABLE])
def test_style_equals_the_loops(usable):
    drawn, donors = layers(0), layers(7, sizes=((3, 5), (1, 4)))
    fast, slow = (module.style_distance(drawn, donors, usable) for module in (losses, reference))
    torch.testing.assert_close(fast, slow)
    gradients = [torch.autograd.grad(loss, drawn) for loss in (fast, slow)]
    torch.testing.assert_close(*gradients)


def test_style_is_that_of_the_donor_wherever_things_are():
    maps = [random(5, 3, 4, 2)]
    assert losses.style_distance(maps, [maps[0].flip(2, 3)]) < 1e-12
    assert losses.style_distance(maps, [2 * maps[0]]) > 0.01
    nobody = losses.style_distance(maps, [2 * maps[0]], torch.zeros(5, dtype=torch.bool))
    assert nobody == 0 and (torch.autograd.grad(nobody, maps[0])[0] == 0).all()


def test_statistics_are_those_of_the_positions_and_a_constant_channel_has_a_gradient():
    maps = random(2, 3, 4, 5)
    mean, deviation = channel_statistics(maps)
    torch.testing.assert_close(mean, maps.mean(dim=(2, 3)))
    torch.testing.assert_close(deviation**2 - 1e-5, maps.var(dim=(2, 3), correction=0))
    constant = torch.ones(1, 1, 3, 3, requires_grad=True)
    assert torch.autograd.grad(channel_statistics(constant)[1].sum(), constant)[0].isfinite().all()


def test_structure_equals_the_loops_and_looks_at_the_foreground_alone():
    drawn, edges, mask = (random(4, 1, 6, 3, seed=seed) for seed in range(3))
    fast, slow = (module.structure_drift(drawn, edges, mask) for module in (losses, reference))
    torch.testing.assert_close(fast, slow)
    torch.testing.assert_close(torch.autograd.grad(fast, drawn), torch.autograd.grad(slow, drawn))
    half = torch.zeros(4, 1, 6, 3, dtype=torch.float64)
    half[:, :, :3] = 1
    moved = edges.detach() + torch.tensor([0.1, 5.0]).repeat_interleave(3)[:, None]
    assert losses.structure_drift(moved, edges, half).item() == pytest.approx(0.1)
    assert losses.structure_drift(moved, edges, torch.zeros_like(half)) == 0


def test_mask_equals_the_loops_and_stays_finite():
    logits, target = 4 * random(3, 1, 4, 2) - 2, random(3, 1, 4, 2, seed=1).detach()
    torch.testing.assert_close(losses.mask_cross_entropy(logits, target), reference.mask_cross_entropy(logits, target))
    wrong = torch.full((1, 1, 2, 2), 500.0, requires_grad=True)
    loss = losses.mask_cross_entropy(wrong, torch.zeros(1, 1, 2, 2))
    assert loss == 500 and (torch.autograd.grad(loss, wrong)[0] > 0).all()


def test_full_precision_inside_autocast():
    one, other = (random(4, 1, 6, 3, seed=seed, dtype=torch.float32).detach() for seed in range(2))
    calls = (
        lambda a, b: losses.style_distance([a], [b]),
        lambda a, b: losses.structure_drift(a, b, b),
        lambda a, b: losses.mask_cross_entropy(a, b),
    )
    for call in calls:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            inside = call(one, other)
        assert inside.dtype == torch.float32 and torch.equal(inside, call(one, other))
        assert call(one.bfloat16(), other.bfloat16()).dtype == torch.float32


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: losses.style_distance([], []), "one or more, not 0 and 0"),
        (lambda m: losses.style_distance([m], [m, m]), "not 1 and 2"),
        (lambda m: losses.style_distance([m], [m[:, :0]]), r"of the donors .*\(2, 0, 3, 3\)"),
        (lambda m: losses.style_distance([m[0]], [m[0]]), r"maps must be .*\(B, C, H, W\)"),
        (lambda m: losses.structure_drift(m, m, m[:1]), "drawings, edges and mask have shapes"),
        (lambda m: losses.mask_cross_entropy(m, m.long()), "pseudo_masks must be a floating"),
        (lambda m: losses.mask_cross_entropy(m, m[:1]), "give equal shapes"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(torch.zeros(2, 1, 3, 3))
