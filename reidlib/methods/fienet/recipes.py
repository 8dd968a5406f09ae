"""Recipes of FIENet."""

from typing import Any

from reidlib.data import Augmentation
from reidlib.methods.sizes import AGW, by_shape

# No number of FIENet's training is known. Reconstructed: both terms of IGCL with weight 1 (λ) and the margin of 0.7 (ρ)
# that MPANet's centre loss has; on twins everything else as the baseline. On real data, AGW's recipe with the 100
# epochs, the channel exchange and the erasing of CAJ (Ye et al., ICCV 2021), which sees each visible image twice, as it
# is and with channels exchanged; here half of them are exchanged. PFAM and MPIM learn at the full rate, as all that
# lies outside the backbone. That centres lie after the BNNeck, and their weight, was chosen on validation identities
# of the twin of SYSU-MM01, profile screen, one seed, of eight trials.
PAPER: dict[str, Any] = AGW | dict(epochs=100, augmentation=Augmentation(flip=0.5, pad=10, exchange=0.5, erase=0.5))
ALIKE: dict[str, dict[str, Any]] = {
    "all": dict(loss_weights={"identity": 1.0, "triplet": 1.0, "intra": 1.0, "inter": 1.0}),
    "paper": PAPER,
}
RECIPES: dict[str, dict[str, dict[str, Any]]] = dict.fromkeys(("sysu", "regdb", "llcm"), ALIKE)
SHAPES = by_shape(ALIKE)
