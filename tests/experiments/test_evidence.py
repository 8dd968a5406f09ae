"""One rule of evidence: against loops, closed forms and the truth; it knows runs, people, splits and families."""

import numpy as np
import pytest
from scipy import stats

from reidlib.data.pku_sketch import PUBLISHED_IDENTITIES, PUBLISHED_TEST_IDENTITIES
from reidlib.experiments import evidence, reference
from reidlib.experiments.evidence import components, crossed, holm, power, resampled

EQUAL = np.full((5, 12), 1 / 12)


def table(seed: int = 3, runs: int = 4, people: int = 7, missing: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Differences and weights, some of them 0."""
    generator = np.random.default_rng(seed)
    differences, weights = generator.normal(0.3, 1, (runs, people)), generator.random((runs, people))
    weights[generator.random((runs, people)) < missing] = 0
    differences[weights == 0] = np.nan
    return differences, weights / weights.sum(axis=1, keepdims=True)


# ---- runs × identities


def test_the_bootstrap_equals_its_reference() -> None:
    differences, weights = table(missing=0.3)
    generator = np.random.default_rng(0)
    draws = [(generator.integers(4, size=4), generator.integers(7, size=7)) for _ in range(20)]
    counts = [np.array([np.bincount(draw[side], minlength=size) for draw in draws]) for side, size in ((0, 4), (1, 7))]
    found = evidence.bootstrap(differences[None], weights, *counts)
    np.testing.assert_allclose(found[:, 0], reference.pigeonhole(differences, weights, draws), rtol=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_the_interval_equals_its_reference(seed: int) -> None:
    differences, weights = table(seed, missing=0.2 * (seed > 1))
    found = crossed(differences[None], weights, samples=50)
    error, freedom = reference.standard_error(differences, weights)
    assert (found.error, found.freedom) == pytest.approx((error, freedom))
    counts = evidence._counts(4, 7, 50)
    draws = [tuple(np.repeat(range(len(of)), of).tolist() for of in each) for each in zip(*counts, strict=True)]
    assert (found.low, found.high) == pytest.approx(reference.interval(differences, weights, draws))
    assert found.difference == pytest.approx(reference.mean_difference(differences, weights))


def test_a_contrast_is_the_difference_of_its_scores() -> None:
    (ours, weights), (theirs, _) = table(1), table(2)
    both = crossed(np.stack([ours, theirs]), weights, (1, -1), (None, None))
    alone = crossed((ours - theirs)[None], weights)
    assert (both.difference, both.low, both.high) == pytest.approx((alone.difference, alone.low, alone.high))


def test_a_share_is_of_the_mean_of_the_whole_and_knows_what_both_vary_with() -> None:
    generator = np.random.default_rng(0)
    whole = 0.5 + generator.normal(0, 0.05, (5, 1)) + generator.normal(0, 0.1, (1, 12))
    part = 0.8 * whole  # a share that never varies, though both do
    found = crossed(np.stack([part, whole]), EQUAL, (1, 0), (1, None))
    assert (found.difference, found.error) == pytest.approx((0.8, 0), abs=1e-9)
    noisy = part + generator.normal(0, 0.05, part.shape)
    found = crossed(np.stack([noisy, whole]), EQUAL, (1, 0), (1, None))
    draws = evidence._contrast(evidence.pigeonhole(np.stack([noisy, whole]), EQUAL, 2000), (1, 0), (1, None))
    assert found.difference == pytest.approx(noisy.mean() / whole.mean())
    assert 0.3 < found.error / draws.std() < 1.5, "the linear part says how far the share may be off"


def test_components_are_those_that_were_put_in() -> None:
    generator, put_in = np.random.default_rng(0), (0.02, 0.05, 0.08)
    parts = []
    for _ in range(300):
        run, identity = generator.normal(0, put_in[0], (6, 1)), generator.normal(0, put_in[1], (1, 40))
        cells = run + identity + generator.normal(0, put_in[2], (6, 40))
        parts.append(components(cells[None], np.full((6, 40), 1 / 40)))
    for name, deviation in zip(("run", "identity", "rest"), put_in, strict=True):
        assert np.mean([getattr(each, name) for each in parts]) == pytest.approx(deviation**2, rel=0.1)


def test_runs_alone_give_students_interval() -> None:
    runs = np.array([0.1, 0.3, 0.2, 0.5, 0.4])
    found = crossed(np.repeat(runs[:, None], 12, axis=1)[None], EQUAL)
    half = stats.t.ppf(0.975, 4) * runs.std(ddof=1) / np.sqrt(5)
    assert (found.error * stats.t.ppf(0.975, found.freedom), found.freedom) == pytest.approx((half, 4))
    assert found.high - found.low == pytest.approx(2 * half, rel=0.05)
    assert found.beyond(0) == pytest.approx(stats.ttest_1samp(runs, 0).pvalue)


def test_equal_numbers_give_an_equal_interval_and_no_spread_a_point() -> None:
    differences, weights = table()
    assert crossed(differences[None], weights) == crossed(differences.copy()[None], weights)
    point = crossed(np.full((1, 5, 12), 0.25), EQUAL)
    assert (point.low, point.high, point.beyond(0.25), point.beyond(0)) == (0.25, 0.25, 1, 0)


def test_a_single_run_speaks_of_people_alone_and_a_single_person_of_nothing() -> None:
    people = np.random.default_rng(0).normal(0.2, 1, (1, 1, 40))
    found = crossed(people, np.full((1, 40), 1 / 40))
    assert found.error == pytest.approx(people.std(ddof=1) / 40**0.5) and (found.freedom, found.runs) == (39, 1)
    alone = crossed(np.full((1, 5, 1), 0.25), np.ones((5, 1)))
    assert alone.difference == pytest.approx(0.25) and np.isnan([alone.low, alone.high]).all() and alone.beyond(0) == 1


# ---- overlapping splits


def test_splits_are_corrected_for_the_people_they_share() -> None:
    values = [0.1, 0.3, 0.2, 0.6]
    found = resampled(values, 1 / 3, 80)
    assert (found.low, found.high) == pytest.approx(reference.corrected(values, 1 / 3))
    free = resampled(values, 0, 80)
    interval = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (free.low, free.high) == pytest.approx(tuple(interval)) and found.low < free.low
    assert found.beyond(found.low) == pytest.approx(0.05)


def test_overlaps_are_those_of_the_protocols() -> None:
    people, tested = (sum(each.values()) for each in (PUBLISHED_IDENTITIES, PUBLISHED_TEST_IDENTITIES))
    assert evidence.OVERLAP["pku-sketch"] == pytest.approx(tested / (people - tested))


# ---- families and power


def test_holm_equals_its_reference() -> None:
    generator = np.random.default_rng(0)
    for size in (1, 2, 7):
        values = generator.random(size) ** 3
        assert holm(values).tolist() == pytest.approx(reference.holm(values.tolist()))
    assert holm([0.01, 0.04, 0.03]).tolist() == pytest.approx([0.03, 0.06, 0.06])


def test_power_is_how_often_an_interval_excludes_zero() -> None:
    generator = np.random.default_rng(0)
    samples = generator.normal(1.0, 1.2, (20_000, 5))
    error = samples.std(axis=1, ddof=1) / np.sqrt(5)
    found = (samples.mean(1) - stats.t.ppf(0.975, 4) * error > 0).mean()
    assert power(1.0, 1.2 / np.sqrt(5), 4) == pytest.approx(found, abs=0.01)
    assert power(0.0, 1.0, 4) == pytest.approx(0.025) and power(1.0, 0.0, 4) == 1
