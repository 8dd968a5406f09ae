"""Trials of MAUM, from which its recipes for twins were chosen on the development twin: see docs/regime.md."""

from typing import Any

from reidlib.methods import Study


def _trial(scale: float = 16.0, triplet: str | None = "weighted", **weights: float) -> dict[str, Any]:
    loss = {"proxy": 1.0, "unidirectional": 1.0, "triplet": 1.0} | weights
    loss |= {} if triplet else {"triplet": None}
    return {"model": {"scale": scale, "triplet": triplet}, "loss_weights": loss, "learning_rate": 2e-3}


TRIALS = {
    "maum-trials": Study(
        "maum",
        {
            "weighted": _trial(),
            "batch-hard": _trial(triplet="batch-hard"),
            "no triplet": _trial(triplet=None),
            "no triplet, scale 32": _trial(32.0, None),
            "no triplet, scale 64": _trial(64.0, None),
            "weighted, scale 32": _trial(32.0),
            "weighted, unidirectional × 0.3": _trial(unidirectional=0.3),
            "weighted, proxy × 0.3": _trial(proxy=0.3),
            "weighted, rate 1e-3": _trial() | {"learning_rate": 1e-3},
            "weighted, rate 4e-3": _trial() | {"learning_rate": 4e-3},
            "weighted, rate 8e-3": _trial() | {"learning_rate": 8e-3},
            "batch-hard, rate 4e-3": _trial(triplet="batch-hard") | {"learning_rate": 4e-3},
        },
    )
}
