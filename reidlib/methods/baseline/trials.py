"""Trials of the baseline, from which its recipes were chosen on the development twin: see docs/regime.md.

Every trial says what it sets, so that it stays what it was when the recipes change.
"""

from typing import Any

from reidlib.methods import Study

HARD: dict[str, Any] = {"model": {"triplet": "batch-hard"}}
WEIGHTED: dict[str, Any] = {"model": {"triplet": "weighted"}}


NO_ERASING: dict[str, Any] = {"augmentation": {"erase": 0.0}}


def _rate(value: float) -> dict[str, Any]:
    return {"learning_rate": value}


def _trials(usual: dict[str, Any], more: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Nine trials on a usual augmentation: forms of the metric loss, then parts of the network and the rate under the
    weighted one; and three more."""
    changes = {
        "batch-hard": HARD,
        "weighted": WEIGHTED,
        "batch-hard on unit features": {"model": {"triplet": "batch-hard", "triplet_on": "unit"}},
        "batch-hard behind the neck": {"model": {"triplet": "batch-hard", "triplet_on": "neck"}},
        "no triplet": {"loss_weights": {"triplet": 0.0}},
        "weighted, average pooling": {"model": {"triplet": "weighted", "pool": "average"}},
        "weighted, no BNNeck": {"model": {"triplet": "weighted", "neck": False}},
        "weighted, rate 1e-3": WEIGHTED | _rate(1e-3),
        "weighted, rate 4e-3": WEIGHTED | _rate(4e-3),
    }
    return {label: usual | _rate(2e-3) | change for label, change in (changes | more).items()}


TRIALS = {
    "baseline-trials": Study(
        "baseline",
        _trials(
            {"augmentation": {"erase": 0.5}},
            {
                "weighted, no erasing": WEIGHTED | NO_ERASING,
                "weighted, no erasing, rate 4e-3": WEIGHTED | NO_ERASING | _rate(4e-3),
                "weighted, no erasing, rate 8e-3": WEIGHTED | NO_ERASING | _rate(8e-3),
            },
        ),
    ),
    # Of PKU-Sketch.
    "sketch-baseline-trials": Study(
        "baseline",
        _trials(
            NO_ERASING,
            {
                "weighted, erasing": WEIGHTED | {"augmentation": {"erase": 0.5}},
                "weighted, rate 8e-3": WEIGHTED | _rate(8e-3),
                "batch-hard, rate 4e-3": HARD | _rate(4e-3),
            },
        ),
    ),
}
