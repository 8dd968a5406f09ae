"""MAUM: proxies of each modality, unidirectional metrics, and a memory of earlier proxies (Liu et al., CVPR 2022)."""

from reidlib import submodules
from reidlib.methods.maum.model import MAUM
from reidlib.methods.maum.recipes import RECIPES
from reidlib.methods.method import Method

__all__ = ["MAUM", "METHOD"]

METHOD = Method(
    name="maum",
    title="MAUM",
    model=MAUM,
    recipes=RECIPES,
    studies=f"{__name__}.studies:STUDIES",
    claims=f"{__name__}.claims:CLAIMS",
    measures=f"{__name__}.measures:MEASURES",
    plans=f"{__name__}.studies:PLANS",
    plots=f"{__name__}.plots",
    comparison="maum-comparison",
    colour="#E69F00",
    lesson="03_maum",
)

__getattr__, _ = submodules(__name__, __path__)
