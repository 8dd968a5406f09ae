"""Uncertainty: how many seeds are enough, and what many comparisons do to one."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from reidlib.experiments.uncertainty import best_of, expected_best, pooled, required_seeds

# ---- seeds


def test_required_seeds_is_the_smallest_number_that_is_enough() -> None:
    generator = np.random.default_rng(0)
    for deviation in (0.001, 0.01, 0.03, 0.1):
        differences = generator.normal(0, deviation, 6)
        for half_width in (0.01, 0.02):
            answer = required_seeds(differences, half_width)
            numbers = np.arange(2, answer.number + 1)
            half = stats.t.ppf(0.975, numbers - 1) * differences.std(ddof=1) / np.sqrt(numbers)
            assert half[-1] <= half_width and all(each > half_width for each in half[:-1])
            assert answer.low <= answer.number <= answer.high and answer.pairs == 6
    assert required_seeds([0.02, 0.02]).number == 2


def test_required_seeds_knows_how_little_few_seeds_say() -> None:
    """Tables of chi-square with 4 degrees of freedom: 0.484 and 11.143."""
    differences = np.array([-2, -1, 0, 1, 2]) / 100
    answer = required_seeds(differences)
    deviation = differences.std(ddof=1)
    ends = [required_seeds(differences * factor).number for factor in np.sqrt([4 / 11.143, 4 / 0.4844])]
    assert [answer.low, answer.high] == ends and answer.deviation == pytest.approx(deviation)
    assert answer.low < answer.number == 13 < answer.high
    assert str(answer) == f"about 13 seeds ({answer.low} to {answer.high}, as judged by 5)"


def test_required_seeds_refuses_what_it_cannot_judge() -> None:
    for values in ([], [0.1], [0.1, float("nan")]):
        with pytest.raises(ValueError, match="two finite differences or more are needed"):
            required_seeds(values)
    for half_width in (0, -1, float("nan")):
        with pytest.raises(ValueError, match="half_width must be above 0, not"):
            required_seeds([0.1, 0.2], half_width)


# ---- many comparisons


def test_pooled_takes_out_what_kinds_and_seeds_bring_to_all() -> None:
    """The residuals of an additive table are 0; of two by two, a quarter of the interaction each, with one freedom."""
    kinds, seeds = np.array([[0.0], [3.0], [-20.0]]), np.array([[0.0, 5.0]])
    assert pooled([pd.DataFrame(kinds + seeds)]).deviation == pytest.approx(0, abs=1e-12)
    spread = pooled([pd.DataFrame([[0.0, 5.0], [0.0, 9.0]])])
    assert spread.freedom == 1 and spread.deviation == pytest.approx(2)
    both = pooled([pd.DataFrame(kinds + seeds), pd.DataFrame([[0.0, 5.0], [0.0, 9.0]]), pd.DataFrame([[1.0, 2.0]])])
    assert both.freedom == 3 and both.deviation == pytest.approx(np.sqrt(4 / 3))


def test_pooled_finds_the_deviation_that_was_put_in() -> None:
    generator = np.random.default_rng(0)
    noise = generator.normal(0, 0.7, (400, 3)) + generator.normal(0, 9, (400, 1)) + generator.normal(0, 9, (1, 3))
    spread = pooled([pd.DataFrame(noise)])
    assert spread.freedom == 798 and spread.deviation == pytest.approx(0.7, rel=0.05)
    assert spread.half_width(4) == pytest.approx(stats.t.ppf(0.975, 798) * spread.deviation / 2)


def test_pooled_refuses_what_it_cannot_judge() -> None:
    for tables in ([], [pd.DataFrame([[1.0], [2.0]])], [pd.DataFrame([[1.0, 2.0]])]):
        with pytest.raises(ValueError, match="with the same two seeds"):
            pooled(tables)
    with pytest.raises(ValueError, match="must have the same seeds"):
        pooled([pd.DataFrame([[1.0, 2.0], [3.0, None]])])


def test_the_best_of_equal_runs_is_as_good_as_simulation_says() -> None:
    """Closed forms: 0 of one, 1 / √π of two, 3 / (2 √π) of three."""
    expected = [0, 1 / np.sqrt(np.pi), 1.5 / np.sqrt(np.pi)]
    assert [expected_best(number) for number in (1, 2, 3)] == pytest.approx(expected)
    simulated = np.random.default_rng(0).normal(size=(20_000, 16)).max(axis=1).mean()
    assert expected_best(16) == pytest.approx(simulated, abs=0.02)
    with pytest.raises(ValueError, match="the best of 0 runs"):
        expected_best(0)


def test_best_of_is_tried_again_with_the_other_seeds() -> None:
    scores = pd.DataFrame({0: [1.0, 5.0, 3.0], 1: [12.0, 12.0, 18.0], 2: [7.0, 4.0, 4.0]}, index=["a", "b", "c"])
    found = best_of(scores)
    assert found["seed"].tolist() == [0, 1, 2] and found["chosen"].tolist() == ["b", "c", "a"]
    assert found["then"].tolist() == pytest.approx([2, 4, 2])
    assert found["again"].tolist() == pytest.approx([(-2 - 1) / 2, (0 - 1) / 2, (-2 - 2) / 2])
    for wrong in (scores[[0]], scores.iloc[:1], scores.where(scores < 18)):
        with pytest.raises(ValueError, match="two kinds of run or more are needed"):
            best_of(wrong)
