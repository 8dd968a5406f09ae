"""Trials of IDKL, from which its recipes for twins were chosen on the development twin: see docs/regime.md.

``csa`` and ``mdr`` are multiples of the weights of the released code, 0.8 and 1.
"""

from typing import Any

from reidlib.methods import Study


def _trial(csa: float, mdr: float, triplet: str = "weighted", tgsa: float = 1.0, **model: Any) -> dict[str, Any]:
    return {
        "model": {"triplet": triplet, **model},
        "loss_weights": {"tgsa": TGSA * tgsa, "csa": CSA * csa, "mdr": MDR * mdr},
        "learning_rate": 2e-3,
    }


TGSA, CSA, MDR = 0.6, 0.8, 1.0

TRIALS = {
    "idkl-trials": Study(
        "idkl",
        {
            "weighted, csa 0.25, mdr 0.1": _trial(0.25, 0.1),
            "batch-hard, csa 0.25, mdr 0.1": _trial(0.25, 0.1, "batch-hard"),
            "weighted, as released": _trial(1.0, 1.0),
            "weighted, csa 0.5, mdr 0.3": _trial(0.5, 0.3),
            "weighted, csa 1, mdr 0.1": _trial(1.0, 0.1),
            "weighted, tgsa × 3": _trial(0.25, 0.1, tgsa=3.0),
            "weighted, teacher detached": _trial(0.25, 0.1, detach_teacher=True),
            "weighted, gradient reversal": _trial(0.25, 0.1, confuser="gradient-reversal"),
            "weighted, rate 1e-3": _trial(0.25, 0.1) | {"learning_rate": 1e-3},
            "weighted, rate 4e-3": _trial(0.25, 0.1) | {"learning_rate": 4e-3},
            "weighted, rate 8e-3": _trial(0.25, 0.1) | {"learning_rate": 8e-3},
            "weighted, as released, rate 4e-3": _trial(1.0, 1.0) | {"learning_rate": 4e-3},
        },
    )
}
