"""What is registered, run and missing, and what planned runs can decide; whether the rule is worth its 95 %."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from reidlib.experiments import calibration, claims, evidence, ledger, power, register
from reidlib.experiments.judge import Rows
from reidlib.experiments.part import Runs

PARTS = claims.parts()
SEEN = [
    (0.2, 0.7, 0.1),
    (0.65, 0.16, 0.19),
    (0.0, 0.37, 0.63),
    (0.0, 0.16, 0.84),
    (0.23, 0.75, 0.02),
    (0.47, 0.31, 0.22),
]


def control(add: Callable, noise: float, profile: str = "screen") -> np.ndarray:
    """Records a null control of five seeds, whose differences vary by seed alone; returns these, in points."""
    differences = noise * np.array([1.0, -1.0, 0.5, -0.5, 0.0])
    scores = {"baseline": [0.5] * 5, "baseline + inert module": 0.5 + differences / 100}
    add(Runs("null-control", profile=profile), scores)
    return differences


def test_status_says_what_is_registered_run_and_missing(add: Callable) -> None:
    register.add([PARTS["M2a"], PARTS["F2a"]])
    add(PARTS["M2a"].runs, {"+ memory": [0.5] * 5, "+ unidirectional": [0.45] * 5}, other=0.3)
    found = power.status()
    assert found.index.tolist() == list(PARTS)
    assert found.loc["M2a", "state"].endswith(register.digest(PARTS["M2a"])[:12])
    assert found.loc["M2b", "state"] == "not registered"
    assert found.loc[["M2a", "F2a"], "runs"].tolist() == [5, 0] and found.loc["F2a", "planned"] == 5
    assert found.loc["M2a", "missing"] == "" and found.loc["F2a", "missing"] == PARTS["F2a"].runs.command
    assert found.loc["F2a", "decides"] == "unknown" and found.loc["F2a", "noise"] == "unknown"


@pytest.mark.parametrize(("noise", "expected"), [(0.5, "yes"), (3.0, "cannot be decided with n = 5")])
def test_the_null_control_tells_what_planned_runs_can_decide(add: Callable, noise: float, expected: str) -> None:
    differences = control(add, noise)
    found = power.status(names=["M2a"]).loc["M2a"]
    assert found["decides"] == expected and found["noise"] == "null control, screen, 5 pairs"
    error = differences.std(ddof=1) / np.sqrt(5)
    assert found["error"] == pytest.approx(error, rel=0.01)
    assert found["power"] == pytest.approx(stats.nct.sf(stats.t.ppf(0.975, 4), 4, 1.5 / error), abs=0.01)


def test_a_contrast_of_more_runs_is_noisier_and_another_profile_stands_in(add: Callable) -> None:
    control(add, 1.0, "cpu")
    found = power.status(names=["M2a", "F2a", "F2d"])
    assert found.loc["M2a", "noise"] == "null control, cpu, 5 pairs"
    assert found.loc["F2d", "error"] == pytest.approx(found.loc["F2a", "error"] * np.sqrt(1.5 / 2), rel=1e-3)


def test_a_pilot_of_development_runs_tells_the_noise(add: Callable, tmp_path) -> None:
    control(add, 1.0)
    pilot = tmp_path / "ledger.csv"
    for table in (ledger.LEDGER, ledger.IDENTITIES):
        text = table.beside(ledger.local()).read_text(encoding="utf-8").replace(",twin 1,", ",development twin 1,")
        table.beside(pilot).write_text(text, encoding="utf-8")
        table.beside(ledger.local()).unlink()
    assert "development twin 1" in pilot.read_text(encoding="utf-8")
    assert power.status(names=["M2a"]).loc["M2a", "decides"] == "unknown"
    assert power.status(names=["M2a"], pilot=pilot).loc["M2a", "decides"] == "yes"


def test_the_null_control_is_found_by_its_module_whatever_its_defaults_were(add: Callable) -> None:
    control(add, 1.0)
    pairs = power.null_pairs(Rows(), "sysu")
    assert len(pairs) == 5 and (pairs["variant"] == "baseline + inert module").all()
    assert (pairs["variant_y"] == "baseline").all() and power.null_pairs(Rows(), "llcm").empty


# ---- calibration


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    found = calibration.coverage(SEEN, tables=400, samples=200)
    assert found["one rule"].between(0.93 - 0.012, 0.98 + 0.007).all(), found  # a standard error of 400 tables
    assert found["one rule"].mean() == pytest.approx(0.955, abs=0.012)
    assert found["plain bootstrap"].max() > 0.985 and found["Student over runs"].min() < 0.88, "what is mended"


@pytest.mark.all
def test_intervals_hold_the_truth_of_four_thousand_tables() -> None:
    seen = calibration.shares_seen(Rows(ledger.PUBLISHED))[list(calibration.SHARES)]
    shares = [*SEEN, *seen.itertuples(index=False, name=None)]
    assert calibration.coverage(shares, tables=4000)["one rule"].between(0.93, 0.98).all()


def test_noise_alone_is_called_a_difference_in_one_of_twenty_subsets_at_most() -> None:
    found = calibration.alarms(Rows(ledger.PUBLISHED))
    assert len(found) >= 64 and found["decided"].mean() <= 0.05
    assert found.loc[found["runs"] >= evidence.FEWEST, "decided"].mean() <= 0.05
    assert not found.loc[found["runs"] < evidence.FEWEST, "decided"].any()


def test_shares_seen_are_those_of_the_differences(add: Callable) -> None:
    add(PARTS["M2a"].runs, {"+ unidirectional": [0.45, 0.46, 0.47, 0.45, 0.46], "+ memory": [0.5] * 5}, other=0.3)
    found = calibration.shares_seen().set_index("part")
    assert set(found.index) >= {"M2a", "M2b"} and found.loc["M2a", "runs"] == 5
    assert found.loc["M2a", ["run", "identity", "rest"]].tolist() == pytest.approx([1, 0, 0], abs=1e-6)
