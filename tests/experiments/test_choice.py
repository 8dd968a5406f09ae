"""Where the choice departs from its rule: told from rows, and from nothing else."""

import pytest

from reidlib import methods
from reidlib.experiments import choice, trials

CHOSEN = methods.recipe("baseline", dataset="sysu", profile="screen")
ROW = {
    **{"date": "2026-12-01", "study": "baseline-trials", "method": "baseline", "dataset": "sysu", "profile": "screen"},
    **{"source": "development twin 1", "split": None, "rank-1": 0.3, "validation mAP": 0.6, "spread": 0.5},
    **{"common": 0.9, "collapsed": False, "epochs": 18, "seconds": 50.0, "precision": "float32", "code": "c" * 16},
}
USUAL = {"first": (30.0, 30.0), **{f"trial {k}": (20.0,) for k in range(10)}, "chosen": (31.0, 31.0)}


@pytest.fixture
def departures(tmp_path):
    """``departures({trial: scores of seed 0, 1, …}, chosen="chosen")``; scores in per cent."""

    def of(scores: dict[str, tuple[float, ...]], chosen: str = "chosen", **changes: object) -> list[str]:
        rows = [
            ROW
            | {"trial": name, "seed": seed, "mAP": score / 100}
            | {"recipe": CHOSEN.replace(seed=seed).digest if name == chosen else f"{name} {seed}"}
            | changes
            for name, several in scores.items()
            for seed, score in enumerate(several)
        ]
        file = tmp_path / "trials.csv"
        file.unlink(missing_ok=True)
        trials.FORMAT.append(file, rows)
        return choice.departures(file)

    return of


def test_a_choice_by_the_rule_departs_from_nothing(departures) -> None:
    assert departures(USUAL) == []
    assert departures(USUAL | {"first": (33.0, 33.0), "chosen": (20.0,)}, chosen="first") == []


def test_another_number_of_trials_is_said(departures) -> None:
    assert departures({name: USUAL[name] for name in list(USUAL)[1:]}) == [
        "baseline-trials: 11 trials, not 12.",
        "baseline-trials: no second seed of “trial 0”, which the rule asks for.",
    ]


def test_what_lies_near_the_best_must_have_a_second_seed(departures) -> None:
    assert departures(USUAL | {"trial 3": (29.6,), "trial 4": (29.4,)}) == [
        "baseline-trials: no second seed of “trial 3”, which the rule asks for."
    ]


def test_the_first_is_replaced_by_what_is_ahead_alone(departures) -> None:
    assert departures(USUAL | {"chosen": (30.5, 30.6)}) == [
        "baseline-trials: “chosen” was chosen, and is ahead of the first by +0.55 points, not by more than 0.6."
    ]


def test_what_is_ahead_is_told_by_shared_seeds_and_at_the_same_rate(departures) -> None:
    """By seed 0 alone 0.5 ahead, by the means 0.8; another rate is no reason."""
    known = USUAL | {"chosen": (31.0, 30.4), "trial 0": (31.5,), "trial 1, rate 8e-3": (33.0, 33.0)}
    del known["trial 1"]
    assert departures(known) == ["baseline-trials: no second seed of “trial 0”, which the rule asks for."]
    known["trial 0"] = (31.5, 31.5)
    (found,) = departures(known)
    assert found == (
        "baseline-trials: “trial 0”, of the same rate, is ahead of “chosen”, which was chosen, by +0.80 points."
    )


def test_without_a_recipe_of_today_nothing_is_chosen(departures) -> None:
    assert departures(USUAL, chosen="") == ["baseline-trials: no trial has the recipe of today."]


def test_other_studies_have_no_rule(departures) -> None:
    assert departures(USUAL, study="maum-training-length") == []
