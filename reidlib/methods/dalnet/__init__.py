"""DALNet: an auxiliary modality between photos and sketches (Liu et al., AAAI 2024)."""

from reidlib import submodules
from reidlib.methods.dalnet.model import DALNet
from reidlib.methods.dalnet.recipes import RECIPES, SHAPES
from reidlib.methods.method import in_folder

__all__ = ["METHOD", "DALNet"]

METHOD = in_folder(
    __name__,
    name="dalnet",
    title="DALNet",
    model=DALNet,
    recipes=RECIPES,
    shapes=SHAPES,
    comparison="dalnet-comparison",
    colour="#CC79A7",
    lesson="06_dalnet",
)

__getattr__ = submodules(__name__)
