import pytest
import torch

from reidlib.networks.heads import AveragePooling, GeM, bn_neck, classifier, pooling


def maps(dtype=torch.float32):
    return torch.rand(3, 5, 4, 2, generator=torch.Generator().manual_seed(0), dtype=dtype) + 0.1


def test_gem_lies_between_the_mean_and_the_maximum():
    mean, peak = maps().mean(dim=(2, 3)), maps().amax(dim=(2, 3))
    torch.testing.assert_close(GeM(p=1)(maps()), mean)
    torch.testing.assert_close(GeM(p=1000)(maps()), peak, rtol=5e-3, atol=0)
    assert ((GeM()(maps()) > mean) & (GeM()(maps()) < peak)).all()


def test_gem_is_the_power_mean():
    torch.testing.assert_close(GeM(p=3)(maps()), maps().pow(3).mean(dim=(2, 3)).pow(1 / 3))


def test_gem_gradients():
    gem = GeM().double()
    inputs = maps(torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, p: torch.func.functional_call(gem, {"p": p}, (x,)), (inputs, gem.p))


def test_dead_and_negative_channels_are_clamped_with_finite_gradients():
    gem = GeM(p=8)  # 1e-6 to the eighth is 0 in float32
    inputs = torch.stack([torch.zeros(1, 4, 2), -torch.ones(1, 4, 2)]).requires_grad_()
    pooled = gem(inputs)
    torch.testing.assert_close(pooled, torch.full((2, 1), 1e-6), rtol=1e-4, atol=0)
    pooled.sum().backward()
    assert inputs.grad.isfinite().all()
    assert gem.p.grad.isfinite()


@pytest.mark.parametrize("name", ["gem", "average"])
def test_pooling_is_float32_inside_autocast(name):
    pool = pooling(name)
    half = (100 * maps()).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        pooled = pool(half)
    assert pooled.dtype == torch.float32
    torch.testing.assert_close(pooled, pool(half.float()))


def test_average_pooling():
    torch.testing.assert_close(AveragePooling()(maps()), maps().mean(dim=(2, 3)))


def test_unknown_pooling():
    with pytest.raises(ValueError, match="'max'; choose one of: gem, average"):
        pooling("max")


def test_neck_is_a_batch_norm_with_shift_zero():
    neck, frozen = bn_neck(7), torch.nn.BatchNorm1d(7)
    features = 3 + 2 * torch.randn(16, 7, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(neck(features), frozen(features))
    torch.testing.assert_close(neck.eval()(features), frozen.eval()(features))
    assert [name for name, _ in neck.named_parameters()] == ["weight"]


def test_classifier_starts_small_and_without_bias():
    torch.manual_seed(0)
    linear = classifier(256, 400)
    assert linear.bias is None
    assert linear.weight.std().item() == pytest.approx(0.001, rel=0.02)
