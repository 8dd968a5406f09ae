"""reidlib: cross-modality person re-identification, small enough to read and careful enough to trust.

Packages, from left to right; none imports from one to its right (``docs/design.md``):
``losses → networks → twins → data → evaluation → explain → methods → training → experiments → plots →
methods.<name> → app``.

They load on first use, so that ``import reidlib`` is quick and needs nothing heavy.
"""

from importlib import import_module
from importlib.util import find_spec
from pkgutil import iter_modules

__version__ = "0.1.0"


def submodules(package: str):
    """``__getattr__`` of a package whose modules are imported when they are first asked for."""

    def get(name: str):
        if not name.startswith("_") and find_spec(f"{package}.{name}"):
            return import_module(f"{package}.{name}")
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return get


__getattr__ = submodules(__name__)


def __dir__() -> list[str]:
    return sorted(module.name for module in iter_modules(__path__))
