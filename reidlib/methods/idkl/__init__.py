"""IDKL: what features of one modality know, handed to shared ones (Ren and Zhang, CVPR 2024)."""

from reidlib import submodules
from reidlib.methods.idkl.model import IDKL
from reidlib.methods.idkl.recipes import RECIPES, SHAPES, WIDE_RECIPES, WIDE_SHAPES
from reidlib.methods.idkl.wide import WideBaseline
from reidlib.methods.method import Method, in_folder

__all__ = ["IDKL", "METHOD", "WideBaseline"]

METHOD = in_folder(
    __name__,
    name="idkl",
    title="IDKL",
    model=IDKL,
    recipes=RECIPES,
    shapes=SHAPES,
    comparison="idkl-comparison",
    lengths="idkl-training-length",
    colour="#009E73",
    lesson="05_idkl",
    controls=(Method("wide-baseline", "wider baseline", WideBaseline, WIDE_RECIPES, WIDE_SHAPES, colour="#A6A6A6"),),
)

__getattr__ = submodules(__name__)
