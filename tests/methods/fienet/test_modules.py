"""FIENet's modules by themselves: each is its equation, written out."""

import itertools

import pytest
import torch
import torch.nn.functional as F

from reidlib.methods.fienet.modules import DILATIONS, INTERACTIONS, MPIM, GatedStep, OneShot, TwoStep, attend


def maps(channels, height, width, seed=0):
    return torch.randn(2, channels, height, width, generator=torch.Generator().manual_seed(seed))


def counting(module):
    """The module in evaluation mode, its residual no longer zero."""
    for parameter in module.parameters():
        if (parameter == 0).all():
            parameter.data.fill_(0.5)
    return module.eval()


def test_attention_is_its_equation():
    query, key, value = maps(8, 4, 3), maps(8, 2, 2, 1), maps(8, 2, 2, 2)
    expected = torch.empty_like(query)
    for image, head in itertools.product(range(2), range(2)):
        part = slice(4 * head, 4 * head + 4)
        q, k, v = (tensor[image, part].reshape(4, -1) for tensor in (query, key, value))
        expected[image, part] = (v @ (k.T @ q / 4**0.5).softmax(dim=0)).reshape(4, 4, 3)
    torch.testing.assert_close(attend(query, key, value, heads=2), expected)


def test_gated_step_is_its_equation():
    torch.manual_seed(0)
    module, high, low = counting(GatedStep(8, 16)), maps(16, 4, 2), maps(8, 8, 4, 1)
    aligned = module.align(low)
    gated = module.gate(torch.cat([aligned, high], dim=1)).sigmoid() * aligned
    pooled = aligned.unflatten(2, (2, 2)).unflatten(4, (1, 2)).mean(dim=(3, 5))
    q, k, v = module.query(high).flatten(2), module.key(pooled).flatten(2), module.value(pooled).flatten(2)
    answer = (v @ (k.transpose(1, 2) @ q / 8**0.5).softmax(dim=1)).unflatten(2, (4, 2))
    expected = high + module.detail(gated) + module.answer(answer)
    torch.testing.assert_close(module(high, [maps(4, 9, 9), low]), expected)
    assert not torch.allclose(expected, high)


def test_two_step_is_its_equation():
    torch.manual_seed(0)
    module, high, low = counting(TwoStep(8, 16)), maps(16, 4, 2), maps(8, 8, 4, 1)
    q = module.channel_query(high).flatten(2)
    k, v = (layer(low).flatten(2) for layer in (module.channel_key, module.channel_value))
    affinity = q @ k.transpose(1, 2) / 8  # (8, 8), of the channels
    higher = high + module.channel_out((affinity @ v).unflatten(2, (4, 2)))
    q, k, v = module.query(higher).flatten(2), module.key(low).flatten(2), module.value(low).flatten(2)
    affinity = q.transpose(1, 2) @ k / 32  # (8, 32), of the positions
    expected = higher + module.out((affinity @ v.transpose(1, 2)).transpose(1, 2).unflatten(2, (4, 2)))
    torch.testing.assert_close(module(high, [low]), expected)


def test_one_shot_is_its_equation():
    torch.manual_seed(0)
    module = counting(OneShot((4, 8, 16)))
    first, second, third = maps(4, 16, 8), maps(8, 8, 4, 1), maps(16, 4, 2, 2)
    sized = [F.adaptive_avg_pool2d(level, (4, 2)) for level in (first, second)]
    expected = third + module.mix(torch.cat([*sized, third], dim=1))
    torch.testing.assert_close(module(third, [first, second]), expected)


@pytest.mark.parametrize("interaction", INTERACTIONS)
def test_mpim_is_its_equation(interaction):
    torch.manual_seed(0)
    module, given = counting(MPIM(16, interaction=interaction)), maps(16, 6, 4)
    seen = []
    for rate, perceive in zip(DILATIONS, module.perceptions, strict=True):
        convolved = F.conv2d(given, perceive[0].weight, padding=rate, dilation=rate)
        seen.append(perceive[1](convolved).relu())
    interacted = []
    for number, one in enumerate(seen):
        others = torch.stack(seen[:number] + seen[number + 1 :]).mean(dim=0)
        if interaction == "gate":
            gate = module.gates(given).sigmoid()[:, 4 * number : 4 * number + 4]
            interacted.append((1 - gate) * one + gate * others)
        elif interaction == "attention":
            interacted.append(one + attend(module.query(one), module.key(others), module.value(others), heads=4))
        else:
            interacted.append(one)
    scores = module.selection[2](module.selection[0](sum(interacted).mean(dim=(2, 3))).relu())
    shares = scores.reshape(2, len(seen), 4).softmax(dim=1)
    fused = sum(shares[:, number, :, None, None] * one for number, one in enumerate(interacted))
    torch.testing.assert_close(module(given), given + module.out(fused))
