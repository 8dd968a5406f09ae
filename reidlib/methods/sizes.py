"""What a profile sets for every method on a data set, before the method has its say."""

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from reidlib import profiles
from reidlib.data import Augmentation, ReIDDataset
from reidlib.data.registry import READERS

if TYPE_CHECKING:
    from reidlib.methods.recipes import Recipe

# Sizes, and what has to go with them. In screen everybody is visited 54 times (18 epochs), which is three times as long
# as cheap runs were before: methods are themselves only then (docs/regime.md).
SIZES: dict[str, dict[str, Any]] = {
    "ci": dict(backbone="tiny", identities=4, images=2, epochs=3, warmup=1, validation_share=0.25),
    "screen": dict(backbone="tiny", identities=8, images=4, epochs=18, warmup=4.5, validate_every=3),
    "cpu": dict(backbone="small", identities=8, images=4, epochs=8, warmup=2),
    "gpu": dict(
        backbone="resnet50", identities=8, images=4, epochs=14, warmup=3, weights="imagenet", learning_rate=1e-3
    ),
    "paper": dict(backbone="resnet50", weights="imagenet", validation_share=0.0),
}
LENGTH = {"screen": 3}
"""How many times × 1, the short training of 18 to 24 visits of everybody, the recipes of a profile take; else 1."""
PAD = {"ci": 3, "screen": 3, "cpu": 5, "gpu": 10, "paper": 10}
SCALE = {"screen": Fraction(2, 3)}
"""Height and width of the images as a share of those of the profile's twin: screen trains on 64×32 of its 96×48."""

# Ours, for twins (reconstructed: no paper trains on rendered people). Trunks begin pretrained on rendered visible
# people, as those of the papers on ImageNet. The learning rate was chosen by the baseline on the development twin.
COMMON: dict[str, Any] = dict(weights="twin", learning_rate=4e-3, weight_decay=5e-4, validation_share=0.1)
# No erasing, as AGW has none: erased boxes cost the baseline 2 points of mAP on the development twin. In sketches they
# are shapes of their own besides, and DALNet's generator would draw them.
TWIN_AUGMENTATION = dict(flip=0.5, exchange=0.5, erase=0.0)

# How many times as many epochs as SYSU-MM01 a data set gets, so that its twin is trained for about as many steps: the
# others are smaller, and an epoch of theirs is shorter. Validation is as much rarer.
LONGER = {"regdb": 5, "llcm": 5, "pku-sketch": 5, "market-sketch-1k": 5, "shoe": 2.5, "chair": 2.5, "cufsf": 1.5}
OWN = 5
"""The same for a data set of one's own, as for most published ones: people have fewer images than SYSU-MM01."""

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
    optimizer="sgd",
    learning_rate=0.1,
    backbone_rate=0.1,
    schedule="step",
    warmup=10,
    milestones=(20, 50),
    model={"triplet": "weighted", "label_smoothing": 0.0},
)
# What trains the two-stream network of :class:`reidlib.networks.TwoStream` alone, on any data set.
TWO_STREAM: dict[str, dict[str, Any]] = {
    "all": dict(loss_weights={"identity": 1.0, "triplet": 1.0}, model={"triplet": "weighted"}),
    "paper": AGW,
}
PAPER_SIZE = {"square": dict(height=256, width=256), "face": dict(height=250, width=200)}
"""Reconstructed: the input sizes that are usual for objects and faces, in the paper profile."""


def by_shape(changes: dict[str, dict[str, Any]]) -> dict[str, dict[str, dict[str, Any]]]:
    """One and the same recipe for every shape, but for the size of the images in the paper profile."""
    paper = changes.get("paper", {})
    return {shape: changes | {"paper": paper | PAPER_SIZE.get(shape, {})} for shape in profiles.SHAPES}


def defaults(dataset: str, size: profiles.Profile, shape: str | None = None) -> dict[str, Any]:
    """Fields of :class:`reidlib.methods.Recipe`; the first and simplest opinion on each.

    ``shape`` is given for a data set of one's own.
    """
    known = None if shape else READERS[dataset]
    height, width = input_size(size, known.shape if known else shape)
    return {
        **COMMON,
        "height": height,
        "width": width,
        "augmentation": Augmentation(pad=PAD[size.name], **TWIN_AUGMENTATION),
        **_for_as_many_steps(SIZES[size.name], LONGER.get(dataset, 1) if known else OWN),
    }


def input_size(size: profiles.Profile, shape: str | None = None) -> tuple[int, int]:
    """(height, width) of the images that a profile trains on, of this shape (default: whole people)."""
    height, width = (int(side * SCALE.get(size.name, 1)) for side in size.size(shape or "person"))
    return height, width


def fitted(recipe: "Recipe", dataset: ReIDDataset) -> "Recipe":
    """The recipe for a data set of one's own: sketches are not erased, and no more is asked for than there is.

    At least two identities are held out for validation, or none if that would leave fewer than four; a batch holds as
    many identities as are left at most.
    """
    if any("sketch" in name.lower() for name in dataset.reader.modalities):
        recipe = recipe.replace(augmentation={"erase": 0.0})
    train = dataset.frame[dataset.frame["split"] == "train"]
    modalities = train.groupby("pid")["modality"].nunique()
    people, paired = len(modalities), int((modalities == 2).sum())
    share = recipe.validation_share
    if share and not 2 <= round(share * people) <= min(people - 4, paired):
        share = 2 / people if min(people - 4, paired) >= 2 else 0.0
    left = people - round(share * people)
    return recipe.replace(validation_share=share, identities=max(1, min(recipe.identities, left)))


def _for_as_many_steps(settings: dict[str, Any], factor: float) -> dict[str, Any]:
    if factor == 1 or "epochs" not in settings:
        return settings
    epochs, warmup = round(factor * settings["epochs"]), factor * settings["warmup"]
    return settings | {
        "epochs": epochs,
        "warmup": warmup,
        "validate_every": round(factor * settings.get("validate_every", 1)),
    }
