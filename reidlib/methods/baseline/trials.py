"""Trials of the baseline, from which its recipes were chosen on the development twin: see docs/regime.md.

Every trial says what it sets, so that it stays what it was when the recipes change.
"""

from typing import Any

from reidlib.methods import Study

HARD: dict[str, Any] = {"model": {"triplet": "batch-hard"}}
WEIGHTED: dict[str, Any] = {"model": {"triplet": "weighted"}}


def _trials(erase: float, other: float, called: str) -> dict[str, dict[str, Any]]:
    """Twelve: forms of the metric loss; parts of the network, augmentation, rate under the weighted one; then the rate
    once more under what was best."""
    usual = {"augmentation": {"erase": erase}, "learning_rate": 2e-3}
    changes = {
        "batch-hard": HARD,
        "weighted": WEIGHTED,
        "batch-hard on unit features": {"model": {"triplet": "batch-hard", "triplet_on": "unit"}},
        "batch-hard behind the neck": {"model": {"triplet": "batch-hard", "triplet_on": "neck"}},
        "no triplet": {"loss_weights": {"triplet": 0.0}},
        "weighted, average pooling": {"model": {"triplet": "weighted", "pool": "average"}},
        "weighted, no BNNeck": {"model": {"triplet": "weighted", "neck": False}},
        f"weighted, {called}": WEIGHTED | {"augmentation": {"erase": other}},
        "weighted, rate 1e-3": WEIGHTED | {"learning_rate": 1e-3},
        "weighted, rate 4e-3": WEIGHTED | {"learning_rate": 4e-3},
        "weighted, no erasing, rate 4e-3": WEIGHTED | {"augmentation": {"erase": 0.0}, "learning_rate": 4e-3},
        "weighted, no erasing, rate 8e-3": WEIGHTED | {"augmentation": {"erase": 0.0}, "learning_rate": 8e-3},
    }
    return {label: usual | change for label, change in changes.items()}


TRIALS = {
    "baseline-trials": Study("baseline", _trials(0.5, 0.0, "no erasing")),
    "sketch-baseline-trials": Study("baseline", _trials(0.0, 0.5, "erasing")),  # of PKU-Sketch
}
