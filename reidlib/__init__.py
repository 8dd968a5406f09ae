"""reidlib: cross-modality person re-identification, small enough to read and careful enough to trust.

Rooms, from left to right; no room imports from one to its right:
``synthetic → data → models / losses → evaluation → training → explain → plots``.

Sub-packages load on first use, so that ``import reidlib`` is quick and needs nothing heavy.
"""

from importlib import import_module

__version__ = "0.1.0"

_ROOMS = (
    "benchmark",
    "claims",
    "cli",
    "comparison",
    "data",
    "evaluation",
    "explain",
    "figures",
    "ledger",
    "losses",
    "measures",
    "models",
    "paths",
    "plots",
    "profiles",
    "recipes",
    "runs",
    "studies",
    "sweep",
    "synthetic",
    "training",
)
__all__ = ["__version__", *_ROOMS]


def __getattr__(name: str):
    if name in _ROOMS:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
