"""FIENet: mid-level detail, perceptions that interact, centres of identities as a guide (Qi et al., ICME 2023)."""

from reidlib import submodules
from reidlib.methods.fienet.model import FIENet
from reidlib.methods.fienet.recipes import RECIPES, SHAPES
from reidlib.methods.method import in_folder

__all__ = ["METHOD", "FIENet"]

METHOD = in_folder(
    __name__,
    name="fienet",
    title="FIENet",
    model=FIENet,
    recipes=RECIPES,
    shapes=SHAPES,
    comparison="fienet-comparison",
    lengths="fienet-training-length",
    colour="#56B4E9",
    lesson="04_fienet",
)

__getattr__ = submodules(__name__)
