"""Trials of DALNet, from which its recipes for twins were chosen on the development twin of PKU-Sketch: see
docs/regime.md."""

from typing import Any

from reidlib.methods import Study


def _trial(triplet: str | None = "batch-hard", circle: float = 0.05, **model: Any) -> dict[str, Any]:
    loss: dict[str, float | None] = {"triplet": 1.0 if triplet else None, "intra": circle, "cross": circle}
    return {"model": {"triplet": triplet, **model}, "loss_weights": loss, "learning_rate": 2e-3}


TRIALS = {
    "dalnet-trials": Study(
        "dalnet",
        {
            "batch-hard": _trial(),
            "weighted": _trial("weighted"),
            "no triplet": _trial(None),
            "weighted, circle 0.0125": _trial("weighted", 0.0125),
            "weighted, circle 0.2": _trial("weighted", 0.2),
            "weighted, γ 16": _trial("weighted", gamma=16.0),
            "weighted, circle before the neck": _trial("weighted", after_neck=False),
            "weighted, one stem": _trial("weighted", shared_from=0),
            "weighted, rate 1e-3": _trial("weighted") | {"learning_rate": 1e-3},
            "weighted, rate 4e-3": _trial("weighted") | {"learning_rate": 4e-3},
            "weighted, rate 8e-3": _trial("weighted") | {"learning_rate": 8e-3},
            "batch-hard, rate 4e-3": _trial() | {"learning_rate": 4e-3},
        },
    )
}
