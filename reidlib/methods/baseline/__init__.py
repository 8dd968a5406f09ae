"""The two-stream baseline: AGW's stems, pooling and BNNeck, with nothing added. The others are compared with it."""

from reidlib import submodules
from reidlib.methods.baseline.model import Baseline
from reidlib.methods.baseline.recipes import RECIPES
from reidlib.methods.method import Method

__all__ = ["METHOD", "Baseline"]

METHOD = Method(
    name="baseline",
    title="baseline",
    model=Baseline,
    recipes=RECIPES,
    studies=f"{__name__}.studies:STUDIES",
    plans=f"{__name__}.studies:PLANS",
    plots=f"{__name__}.plots",
    colour="#4D4D4D",
    lesson="02_baseline_and_metrics",
    is_reference=True,
)

__getattr__, _ = submodules(__name__, __path__)
