"""Recipes of IDKL."""

from typing import Any

from reidlib.data import Augmentation
from reidlib.methods import Recipe, sizes
from reidlib.methods.idkl.losses import released_weights

# Documented (released code): ImageNet weights, 384×144 (RegDB 256×128), P 12 × K 5 in each modality (RegDB P 6), Adam
# with 3.5e-4 and weight decay 5e-3, no warm-up, a tenth from epoch 55 and again from 95, 160 epochs, flip, pad 10 and
# crop, erasing, all training identities, an epoch as long as the pairs of images, every loss with weight 1 but those
# below. That makes 196 steps on SYSU-MM01 and 68 on RegDB; theirs ends an epoch of SYSU-MM01 after 194 or 195, when
# fewer than twelve people have a pair left.
# Reconstructed: everybody comes equally often (there as long as their pairs last); padding is the ImageNet mean (theirs
# is 127); on twins the budget and the triplet of the baseline; on data of one's own an epoch is as long as the images,
# as people with fewer than five of a modality have no pair that counts.
# Unknown: the settings behind the published numbers, which the authors say are others.
RELEASED: dict[str, Any] = dict(
    identities=12,
    images=5,
    epochs=160,
    epoch="pairs",
    optimizer="adam",
    augmentation=Augmentation(flip=0.5, pad=10, pad_value="mean", erase=0.5),
    learning_rate=3.5e-4,
    weight_decay=5e-3,
    schedule="step",
    warmup=0,
    milestones=(55, 95),
)
# Of the paper profile; "own" is data of one's own.
OWN: dict[str, dict[str, Any]] = {
    "regdb": {"height": 256, "width": 128, "identities": 6},
    "own": {"epoch": "images"},
}
WITHOUT_TGSA = ("regdb",)  # documented (released code)


def _weights(dataset: str, rows: int) -> dict[str, dict[str, float]]:
    """The released code's weights for batches of so many images of a data set: of the terms, and inside one of them."""
    weights, graphs = released_weights(rows), dataset not in WITHOUT_TGSA
    return {
        "loss_weights": {
            "purifier": weights.purifier,  # λ1 of the paper
            "tgsa": weights.tgsa_distil * graphs,  # λ2
            "csa": weights.csa_distil,  # λ3
            "mdr": weights.csa_intra,
        },
        "model": {"graph_alignment": weights.tgsa_intra * graphs},
    }


def _on(dataset: str) -> dict[str, dict[str, Any]]:
    # The weights of the released code for this data set, at its own size of batch: the preset "paper" has none of its
    # own (the paper's are not known) and does not switch by the size of the batch.
    batch = {**RELEASED, **OWN.get(dataset, {})}
    settings = _weights(dataset, 2 * batch["identities"] * batch["images"])
    ones = ("identity", "triplet", "specific_identity", "specific_triplet", "discriminator", "confuser")
    settings["loss_weights"] = dict.fromkeys(ones, 1.0) | settings["loss_weights"]
    twin = settings | {"model": {**settings["model"], "triplet": "weighted"}}  # the baseline's: see docs/regime.md
    return {"all": twin, "paper": batch | settings | {"model": {**settings["model"], "triplet": "batch-hard"}}}


RECIPES = {dataset: _on(dataset) for dataset in ("sysu", "regdb", "llcm")}
SHAPES = sizes.by_shape(_on("own"))

# The wider baseline is trained as the baseline, from the same weights.
WIDE_RECIPES, WIDE_SHAPES = dict.fromkeys(RECIPES, sizes.TWO_STREAM), sizes.by_shape(sizes.TWO_STREAM)


def released(recipe: Recipe) -> Recipe:
    """A recipe of IDKL with the released code's arithmetic, and the weights that it has for this size of batch.

    ``recipe.replace(model={"preset": "released"})`` changes the arithmetic alone, which is the same in the ``paper``
    profile, where weights and batch are those of the released code already.
    """
    weights = _weights(recipe.dataset, 2 * recipe.identities * recipe.images)
    return recipe.replace(
        loss_weights=weights["loss_weights"], model={"preset": "released", "triplet": "batch-hard", **weights["model"]}
    )
