"""Trials of FIENet, from which its recipes for twins were chosen on the development twin: see docs/regime.md."""

from typing import Any

from reidlib.methods import Study


def _trial(triplet: str = "weighted", margin: float = 0.7, weight: float = 1.0, **model: Any) -> dict[str, Any]:
    return {
        "model": {"triplet": triplet, "center_margin": margin, **model},
        "loss_weights": {"intra": weight, "inter": weight},
        "learning_rate": 2e-3,
    }


TRIALS = {
    "fienet-trials": Study(
        "fienet",
        {
            "weighted": _trial(),
            "batch-hard": _trial("batch-hard"),
            "weighted, ρ 1.2": _trial(margin=1.2),
            "weighted, ρ 1.3": _trial(margin=1.3),
            "weighted, ρ 1.4": _trial(margin=1.4),
            "weighted, λ 0.3": _trial(weight=0.3),
            "weighted, λ 3": _trial(weight=3.0),
            "weighted, centres before the neck": _trial(center_after_neck=False),
            "weighted, rate 1e-3": _trial() | {"learning_rate": 1e-3},
            "weighted, rate 4e-3": _trial() | {"learning_rate": 4e-3},
            "weighted, rate 8e-3": _trial() | {"learning_rate": 8e-3},
            "weighted, ρ 1.2, rate 4e-3": _trial(margin=1.2) | {"learning_rate": 4e-3},
        },
    )
}
