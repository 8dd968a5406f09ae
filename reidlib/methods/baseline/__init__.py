"""The two-stream baseline: AGW's stems, pooling and BNNeck, with nothing added. The others are compared with it."""

from reidlib import submodules
from reidlib.methods.baseline.model import Baseline
from reidlib.methods.baseline.recipes import RECIPES, SHAPES
from reidlib.methods.method import in_folder

__all__ = ["METHOD", "Baseline"]

METHOD = in_folder(
    __name__,
    name="baseline",
    title="baseline",
    model=Baseline,
    recipes=RECIPES,
    shapes=SHAPES,
    colour="#4D4D4D",
    lesson="02_baseline_and_metrics",
    is_reference=True,
)

__getattr__ = submodules(__name__)
