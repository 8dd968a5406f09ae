"""DALNet: an auxiliary modality between photos and sketches (Liu et al., AAAI 2024)."""

from reidlib import submodules
from reidlib.methods.dalnet.model import DALNet
from reidlib.methods.dalnet.recipes import RECIPES
from reidlib.methods.method import Method

__all__ = ["METHOD", "DALNet"]

METHOD = Method(
    name="dalnet",
    title="DALNet",
    model=DALNet,
    recipes=RECIPES,
    studies=f"{__name__}.studies:STUDIES",
    claims=f"{__name__}.claims:CLAIMS",
    measures=f"{__name__}.measures:MEASURES",
    plans=f"{__name__}.studies:PLANS",
    plots=f"{__name__}.plots",
    comparison="dalnet-comparison",
    colour="#CC79A7",
    lesson="06_dalnet",
)

__getattr__, _ = submodules(__name__, __path__)
