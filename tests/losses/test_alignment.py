import pytest
import torch
import torch.nn.functional as F

from reidlib import losses
from reidlib.losses import reference


def logits(seed, rows=6, classes=5, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return (3 * torch.randn(rows, classes, generator=generator, dtype=dtype)).requires_grad_()


def test_equals_the_loop_and_torch():
    a, b = logits(0), logits(1)
    log_a, log_b = a.log_softmax(dim=1), b.log_softmax(dim=1)
    by_torch = sum(F.kl_div(q, p, reduction="batchmean", log_target=True) for p, q in ((log_a, log_b), (log_b, log_a)))
    torch.testing.assert_close(losses.symmetric_kl(a, b), reference.symmetric_kl(a, b))
    torch.testing.assert_close(losses.symmetric_kl(a, b), by_torch)


def test_symmetric_zero_on_itself_and_blind_to_shifts():
    a, b = logits(0), logits(1)
    assert losses.symmetric_kl(a, b) == losses.symmetric_kl(b, a) > 0
    assert losses.symmetric_kl(a, a) == 0
    torch.testing.assert_close(losses.symmetric_kl(a + 7, b), losses.symmetric_kl(a, b))


def test_gradients_reach_both_sides():
    assert torch.autograd.gradcheck(losses.symmetric_kl, (logits(0), logits(1)))


def test_finite_for_confident_logits_and_full_precision_inside_autocast():
    a, b = logits(0, dtype=torch.float32), logits(1, dtype=torch.float32)
    assert losses.symmetric_kl(1e4 * a, -1e4 * b).isfinite()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside, lowered = losses.symmetric_kl(a, b), losses.symmetric_kl(a.bfloat16(), b.bfloat16())
    assert lowered.dtype == torch.float32
    torch.testing.assert_close(inside, losses.symmetric_kl(a, b), rtol=0, atol=0)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"logits_b is .*\(6, 4\); give equal shapes"):
        losses.symmetric_kl(logits(0), logits(1, classes=4))
    with pytest.raises(ValueError, match="logits_a"):
        losses.symmetric_kl(torch.zeros(3), torch.zeros(3))
