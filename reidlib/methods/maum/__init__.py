"""MAUM: proxies of each modality, unidirectional metrics, and a memory of earlier proxies (Liu et al., CVPR 2022)."""

from reidlib import submodules
from reidlib.methods.maum.model import MAUM
from reidlib.methods.maum.recipes import IN_PARTS, RECIPES, SHAPES
from reidlib.methods.method import Method, in_folder

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
    controls=(Method("maum-p", "MAUM-P", MAUM, *IN_PARTS, colour="#B27300"),),
)

__getattr__ = submodules(__name__)
