"""The toy moves points under the losses of MAUM, and shows the relay effect by itself."""

import numpy as np
import pytest
import torch

from reidlib.methods.maum.losses import proxy_metric
from reidlib.methods.maum.toy import STAGES, relay_toy


@pytest.fixture(scope="module")
def toys():
    return {stage: relay_toy(stage, steps=60, shown=(0, 60)) for stage in STAGES}


def between(toys, stage, step=-1):
    return toys[stage].cosines["between"].iloc[step]


def test_the_relay_lets_the_modalities_stay_apart(toys):
    at_first, at_last = ([between(toys, stage, step) for stage in STAGES] for step in (0, -1))
    assert np.ptp(at_first) < 1e-12, "every stage starts from the same points"
    shared, alone, unidirectional, memory = at_last
    assert alone < shared < unidirectional < memory
    assert toys["shared proxy"].cosines["own"].iloc[-1] > 0.9, "near the relay"
    assert shared < 0.8, "far from each other"


def test_half_the_time_without_a_relay_beats_all_of_it_with_one(toys):
    """The unidirectional term doubles the pull, so an equal number of steps alone would prove nothing."""
    assert between(toys, "+ unidirectional", 30) > between(toys, "shared proxy", 60)


def test_points_say_where_everything_is(toys):
    points = toys["+ memory"].points
    counts = points.groupby(["step", "kind"]).size().to_dict()
    assert counts == {(0, "image"): 36, (0, "proxy"): 6, (60, "image"): 36, (60, "proxy"): 6, (60, "memory"): 18}
    assert set(toys["shared proxy"].points.query("kind == 'proxy'")["modality"]) == {-1}
    images = points[(points["kind"] == "image") & (points["step"] == 0)]
    assert images.groupby("modality")["latitude"].mean().round(-1).tolist() == [60, -50]
    for pid, longitude in images.groupby("pid")["longitude"].mean().items():
        assert abs(longitude - 120 * pid) < 10
    assert points["latitude"].between(-90, 90).all() and points["longitude"].between(-60, 300).all()
    last = toys["+ memory"].cosines.iloc[-1]
    assert points.loc[points["step"] == 60, "cosine"].tolist() == [last["between"]] * 60


def test_a_copy_in_the_memory_is_the_proxy_of_that_step():
    toy = relay_toy("+ memory", steps=25, shown=(0, 20, 25), memory_interval=20)
    places = toy.points.set_index(["step", "kind", "age"]).sort_index()[["longitude", "latitude"]]
    for age, step in ((0, 20), (1, 0)):
        np.testing.assert_allclose(places.loc[(25, "memory", age)], places.loc[(step, "proxy", 0)])


def test_the_first_step_is_one_of_gradient_descent_on_the_metric():
    """Of MS-proxies alone, worked out by hand from the points that are shown."""
    toy = relay_toy("MS-proxies", steps=1, shown=(0, 1), rate=0.01)

    def sphere(step, kind, modality):
        part = toy.points[(toy.points["step"] == step) & (toy.points["kind"] == kind)]
        part = part[part["modality"] == modality]
        longitude, latitude = np.deg2rad(part[["longitude", "latitude"]].to_numpy().T)
        flat = np.cos(latitude)
        places = np.stack([flat * np.cos(longitude), flat * np.sin(longitude), np.sin(latitude)], axis=1)
        return torch.from_numpy(places), torch.tensor(part["pid"].tolist())

    for modality in (0, 1):
        (x, pids), (proxies, _) = sphere(0, "image", modality), sphere(0, "proxy", modality)
        x.requires_grad_(), proxies.requires_grad_()
        to_x, to_proxies = torch.autograd.grad(proxy_metric(x, proxies, pids), (x, proxies))
        for kind, start, gradient, factor in (("image", x, to_x, 6), ("proxy", proxies, to_proxies, 1)):
            expected = torch.nn.functional.normalize(start - 0.01 * factor * gradient, dim=1)
            torch.testing.assert_close(sphere(1, kind, modality)[0], expected.detach())


def test_the_toy_is_repeatable_and_leaves_randomness_alone():
    state = torch.get_rng_state()
    first, second = (relay_toy("+ memory", steps=3, shown=(3,)) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), state)
    assert first.points.equals(second.points)
    assert not relay_toy("+ memory", steps=3, shown=(3,), seed=1).points.equals(first.points)


def test_cross_entropy_is_content_from_the_beginning():
    cosines = relay_toy("+ unidirectional", steps=20, shown=(0,), form="ce").cosines["between"]
    assert abs(cosines.iloc[-1] - cosines.iloc[0]) < 0.01


def test_what_cannot_be_shown_is_an_error():
    with pytest.raises(ValueError, match="unknown stage 'memory'; choose one of: shared proxy"):
        relay_toy("memory")
    with pytest.raises(ValueError, match=r"steps from 0 to 5, not \(0, 10\)"):
        relay_toy("+ memory", steps=5, shown=(0, 10))
