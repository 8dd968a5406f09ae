"""Recipes of FIENet."""

from typing import Any

from reidlib.data import Augmentation
from reidlib.methods.sizes import AGW, by_shape

# No number of FIENet's training is known. Reconstructed: both terms of IGCL with weight 1 (λ), and a margin ρ of 1.2.
# With 0.7, as in MPANet's centre loss, the term between identities is 0 from the first epoch on, as centres behind a
# BNNeck lie further apart than that; the abstract names relations between identities. That centres lie after the
# BNNeck, their weight and ρ were chosen on the development twin, of twelve trials (docs/regime.md). On twins everything
# else as the baseline. On real data, AGW's recipe with the 100 epochs, the channel exchange and the erasing of CAJ (Ye
# et al., ICCV 2021), which sees each visible image twice, as it is and with channels exchanged; here half of them are
# exchanged. PFAM and MPIM learn at the full rate, as all that lies outside the backbone.
MARGIN = 1.2
PAPER: dict[str, Any] = AGW | dict(epochs=100, augmentation=Augmentation(flip=0.5, pad=10, exchange=0.5, erase=0.5))
ALIKE: dict[str, dict[str, Any]] = {
    "all": dict(
        loss_weights={"identity": 1.0, "triplet": 1.0, "intra": 1.0, "inter": 1.0},
        model={"triplet": "weighted", "center_margin": MARGIN},
    ),
    "paper": PAPER | {"model": {**AGW["model"], "center_margin": MARGIN}},
}
RECIPES: dict[str, dict[str, dict[str, Any]]] = dict.fromkeys(("sysu", "regdb", "llcm"), ALIKE)
SHAPES = by_shape(ALIKE)
