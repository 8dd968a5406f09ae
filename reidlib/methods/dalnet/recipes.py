"""Recipes of DALNet."""

from typing import Any

from reidlib.data import Augmentation
from reidlib.methods.sizes import by_shape

# No number of DALNet's training is known. Reconstructed: on twins the budget of the baseline, with what twelve trials
# on the development twin of PKU-Sketch left standing (docs/regime.md): circle losses after the BNNeck, the batch-hard
# triplet loss beside them, and their weights; on real data the input sizes of the baseline, and for the rest what was
# usual for two-stream networks: ImageNet weights, P 8 × K 4, learning rate 3.5e-4 and weight decay 5e-4 (AdamW, as
# one rate serves backbone and generator, whose gradients differ in scale), 10 epochs of warm-up, a tenth from epoch
# 40 and again from 70, 120 epochs, flip, pad 10 and crop, no erasing (it would draw edges of its own), plain cross-
# entropy.
DALNET: dict[str, Any] = dict(
    identities=8,
    images=4,
    epochs=120,
    augmentation=Augmentation(flip=0.5, pad=10),
    learning_rate=3.5e-4,
    schedule="step",
    warmup=10,
    milestones=(40, 70),
    model={"label_smoothing": 0.0},
)
# Reconstructed. At the start a circle loss of scale 64 is some twenty times a cross-entropy: hence the twentieth. With
# a tenth of this weight of style and ten times that of structure (both losses of the generator), the refiner leaves the
# edges as they are; scores on validation identities are the same.
WEIGHTS = {"identity": 1.0, "triplet": 1.0, "intra": 0.05, "cross": 0.05, "style": 1.0, "structure": 0.1, "mask": 1.0}
TWIN: dict[str, Any] = dict(loss_weights=WEIGHTS, model={"triplet": "batch-hard"})
HEIGHT_WIDTH = {
    "pku-sketch": (288, 144),
    "market-sketch-1k": (288, 144),
    "shoe": (256, 256),
    "chair": (256, 256),
    "cufsf": (250, 200),
}
RECIPES: dict[str, dict[str, dict[str, Any]]] = {
    dataset: {"all": TWIN, "paper": {**DALNET, "height": height, "width": width}}
    for dataset, (height, width) in HEIGHT_WIDTH.items()
}
SHAPES = by_shape({"all": TWIN, "paper": {**DALNET, "height": 288, "width": 144}})
