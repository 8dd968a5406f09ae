"""Drift: the age of every copy in the memory, and how far the proxies have moved since."""

import pytest
import torch

from reidlib.methods.maum.explain import proxy_drift
from reidlib.methods.maum.model import MAUM
from reidlib.networks.base import Outputs


def trained(steps: int, **options) -> MAUM:
    """A MAUM whose proxies turn by one degree a step, before the step is closed."""
    model = MAUM(3, "tiny", parts=True, stripes=2, part_width=2, memory_start_epoch=0, **options)
    pids, modality = torch.tensor([0, 1, 2, 0]), torch.tensor([0, 0, 1, 1])
    for step in range(steps):
        turn(model, step)
        x = torch.ones(4, 4, requires_grad=True)
        model.losses(Outputs({"shared": x}, {"shared": x}, {}), pids, modality)
    turn(model, steps)
    return model


def turn(model: MAUM, degrees: float) -> None:
    angle = torch.deg2rad(torch.tensor(float(degrees)))
    for parts in model.proxies:
        for proxies in parts:
            proxies.weight.data = torch.stack([angle.cos(), angle.sin()]).expand(3, 2).clone()


@pytest.mark.parametrize(("steps", "ages"), [(1, [1]), (5, [1, 5]), (8, [4, 8]), (13, [1, 5, 9])])
def test_the_drift_of_a_copy_is_what_happened_since_it_was_taken(steps, ages):
    table = proxy_drift(trained(steps, memory_length=3, memory_interval=4))
    assert sorted(table["age"].unique()) == ages
    assert len(table) == 2 * 2 * 3 * len(ages)  # modalities, parts, classes
    expected = torch.deg2rad(torch.tensor(table["age"].tolist(), dtype=torch.float64)).cos()
    torch.testing.assert_close(torch.tensor(table["cosine"].tolist(), dtype=torch.float64), expected, atol=1e-6, rtol=0)


def test_a_memory_that_is_empty_or_absent_has_no_rows():
    for model in (trained(0), trained(3, memory_length=0)):
        table = proxy_drift(model)
        assert table.empty and {"modality", "age", "cosine"} <= set(table.columns)


def test_drift_outlives_saving():
    model = trained(6, memory_length=3, memory_interval=4)
    other = trained(0, memory_length=3, memory_interval=4)
    other.load_state_dict(model.state_dict())
    assert proxy_drift(other).equals(proxy_drift(model))
