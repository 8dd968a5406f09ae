"""MAUM: proxies of each modality, unidirectional metrics, and a memory of earlier proxies (Liu et al., CVPR 2022)."""

from reidlib import submodules
from reidlib.methods.maum.model import MAUM
from reidlib.methods.maum.recipes import RECIPES, SHAPES
from reidlib.methods.method import in_folder

__all__ = ["MAUM", "METHOD"]

METHOD = in_folder(
    __name__,
    name="maum",
    title="MAUM",
    model=MAUM,
    recipes=RECIPES,
    shapes=SHAPES,
    comparison="maum-comparison",
    lengths="maum-training-length",
    colour="#E69F00",
    lesson="03_maum",
)

__getattr__ = submodules(__name__)
