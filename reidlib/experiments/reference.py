"""Slow, readable versions of :mod:`reidlib.experiments.evidence`, as loops: what the fast ones are tested against."""

import math

import numpy as np
from scipy import stats


def mean_difference(differences: np.ndarray, weights: np.ndarray) -> float:
    """Mean over runs of the weighted means over identities; (R, I) both, weights of a run sum to 1."""
    runs, people = weights.shape
    return sum(weights[r, i] * differences[r, i] for r in range(runs) for i in range(people) if weights[r, i]) / runs


def standard_error(differences: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Standard error of the mean difference over other runs and identities, and its degrees of freedom."""
    runs, people = weights.shape
    mean = mean_difference(differences, weights)
    cell = {  # what run r and identity i add to the mean, in units of the difference
        (r, i): people * weights[r, i] * (differences[r, i] - mean) if weights[r, i] else 0.0
        for r in range(runs)
        for i in range(people)
    }
    of_run = [sum(cell[r, i] for i in range(people)) / people for r in range(runs)]
    of_person = [sum(cell[r, i] for r in range(runs)) / runs for i in range(people)]
    grand = sum(of_run) / runs
    run_square = people * sum((value - grand) ** 2 for value in of_run) / (runs - 1)
    person_square = runs * sum((value - grand) ** 2 for value in of_person) / (people - 1)
    rest_square = 0.0
    for (r, i), value in cell.items():
        rest_square += (value - of_run[r] - of_person[i] + grand) ** 2
    rest_square /= (runs - 1) * (people - 1)
    variance = max(run_square + person_square - rest_square, rest_square / 2) / (runs * people)
    spread = run_square**2 / (runs - 1) + person_square**2 / (people - 1)
    spread += rest_square**2 / ((runs - 1) * (people - 1))
    return math.sqrt(variance), max(runs - 1.0, (run_square + person_square - rest_square) ** 2 / spread)


def pigeonhole(differences: np.ndarray, weights: np.ndarray, draws: list[tuple[list[int], list[int]]]) -> list[float]:
    """For each draw, of runs and of identities, the mean difference of these runs on these identities."""
    found = []
    for runs, people in draws:
        total = share = 0.0
        for r in runs:
            for i in people:
                if weights[r, i] > 0:
                    total += weights[r, i] * differences[r, i]
                    share += weights[r, i]
        found.append(total / share)
    return found


def interval(
    differences: np.ndarray, weights: np.ndarray, draws: list[tuple[list[int], list[int]]]
) -> tuple[float, float]:
    """Ends of the 95 % interval: percentiles of the drawn means, stretched to standard error and Student's tails."""
    mean, (error, freedom) = mean_difference(differences, weights), standard_error(differences, weights)
    drawn = pigeonhole(differences, weights, draws)
    centre = sum(drawn) / len(drawn)
    width = math.sqrt(sum((value - centre) ** 2 for value in drawn) / len(drawn))
    stretch = error / width * stats.t.ppf(0.975, freedom) / stats.norm.ppf(0.975)
    return tuple(mean + stretch * (float(np.quantile(drawn, share)) - mean) for share in (0.025, 0.975))


def corrected(differences: list[float], test_to_train: float) -> tuple[float, float]:
    """Ends of the 95 % interval of the mean over n overlapping random splits (Nadeau & Bengio 2003)."""
    number = len(differences)
    mean = sum(differences) / number
    variance = sum((value - mean) ** 2 for value in differences) / (number - 1)
    half = stats.t.ppf(0.975, number - 1) * math.sqrt((1 / number + test_to_train) * variance)
    return mean - half, mean + half


def holm(values: list[float]) -> list[float]:
    """Holm's step-down adjustment, one value at a time."""
    order = sorted(range(len(values)), key=lambda k: values[k])
    adjusted, highest = [0.0] * len(values), 0.0
    for rank, k in enumerate(order):
        highest = max(highest, min(1.0, (len(values) - rank) * values[k]))
        adjusted[k] = highest
    return adjusted
