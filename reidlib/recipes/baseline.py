"""Recipes of the baseline."""

from typing import Any

from reidlib.data import Augmentation

# Documented (Ye et al., TPAMI 2021, AGW, and its released code) for SYSU-MM01: ImageNet weights, 288×144, P 8 × K 4 in
# each modality, SGD with 0.1 and a tenth of it in the backbone, weight decay 5e-4, 10 epochs of warm-up, a tenth from
# epoch 20 and again from 50, 81 epochs, pad 10 and crop, flip, no erasing, weighted triplet, plain cross-entropy, both
# losses with weight 1, all training identities.
# Reconstructed: mixed precision (theirs is float32); no non-local blocks (theirs has five); other data sets alike.
AGW: dict[str, Any] = dict(
    height=288,
    width=144,
    identities=8,
    images=4,
    epochs=81,
    augmentation=Augmentation(flip=0.5, pad=10),
    optimiser="sgd",
    learning_rate=0.1,
    backbone_rate=0.1,
    schedule="step",
    warmup=10,
    milestones=(20, 50),
    model={"triplet": "weighted", "label_smoothing": 0.0},
)
ALIKE: dict[str, dict[str, Any]] = {
    "all": dict(loss_weights={"identity": 1.0, "triplet": 1.0}),
    "paper": AGW,
}
RECIPES: dict[str, dict[str, dict[str, Any]]] = {
    **dict.fromkeys(("sysu", "regdb", "llcm", "pku-sketch", "market-sketch-1k"), ALIKE),
    **{
        dataset: ALIKE | {"paper": {**AGW, "height": height, "width": width}}
        for dataset, height, width in (("shoe", 256, 256), ("chair", 256, 256), ("cufsf", 250, 200))
    },
}
