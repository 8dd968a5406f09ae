"""FIENet: mid-level detail, perceptions that interact, centres of identities as a guide (Qi et al., ICME 2023)."""

from reidlib import submodules
from reidlib.methods.fienet.model import FIENet
from reidlib.methods.fienet.recipes import RECIPES
from reidlib.methods.method import Method

__all__ = ["METHOD", "FIENet"]

METHOD = Method(
    name="fienet",
    title="FIENet",
    model=FIENet,
    recipes=RECIPES,
    studies=f"{__name__}.studies:STUDIES",
    claims=f"{__name__}.claims:CLAIMS",
    plans=f"{__name__}.studies:PLANS",
    plots=f"{__name__}.plots",
    comparison="fienet-comparison",
    colour="#56B4E9",
    lesson="04_fienet",
)

__getattr__, _ = submodules(__name__, __path__)
