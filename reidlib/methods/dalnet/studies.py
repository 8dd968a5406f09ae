"""Studies of DALNet: its ingredients, which auxiliary modality, in which form, few sketches; the comparison.

Their data sets are those of sketches: ``get("dalnet-ladder", dataset="pku-sketch")``.
"""

from typing import Any

from reidlib.experiments.planned import Plan, Plans
from reidlib.methods import Recipe, Study, at_lengths, crossed, reference
from reidlib.methods.dalnet.trials import TRIALS

BASELINE = reference().name

DALNET: dict[str, Any] = {"method": "dalnet"}
OF_REFINER = ("style", "structure")
NO_CIRCLE = {"loss_weights": {"intra": 0.0, "cross": 0.0}}
# Of the 4 to 6 sketches of most identities of Market-Sketch-1K these leave all, 2, and 1; of the 3 or 4 of shoes and
# chairs all, 1 or 2, and 1.
SKETCHES = (1.0, 0.4, 0.2)


def _auxiliary(kind: str) -> dict[str, Any]:
    """A cheaper auxiliary modality, which has no generator losses."""
    return {"model": {"auxiliary": kind}, "loss_weights": dict.fromkeys((*OF_REFINER, "mask"))}


def _instead(**shares: float) -> dict[str, Any]:
    """Shares of the photos are shown in other ways; the rest is treated as the recipe treats all."""

    def change(recipe: Recipe) -> Recipe:
        rest = 1 - sum(shares.values())
        return recipe.replace(augmentation={"exchange": rest * recipe.augmentation.exchange, **shares})

    return {"recipe": change}


def _few() -> dict[str, dict[str, Any]]:
    """DALNet with either intra-modality metric, and a share of the sketches of every identity.

    A triplet loss within each modality stands where the circle loss stood: on the same features g and h, with the
    weight that it has in the baseline. All else stays in both, the cross-modality circle loss among it.
    """
    triplet: dict[str, Any] = {"model": {"intra_metric": "batch-hard"}, "loss_weights": {"intra": 1.0}}
    variants: dict[str, dict[str, Any]] = {}
    for share in SKETCHES:
        subsample = {"subsample": {"modality": 1, "images": share}} if share < 1 else {}
        variants[f"circle, {share:g} of the sketches"] = subsample
        variants[f"triplet, {share:g} of the sketches"] = triplet | subsample
    return variants


REFERENCE: dict[str, dict[str, Any]] = {"as in the recipe": {}}
INTRA = {f"λ1 {value:g}": {"loss_weights": {"intra": value}} for value in (0.0, 0.02, 0.2)}
CROSS = {f"λ2 {value:g}": {"loss_weights": {"cross": value}} for value in (0.0, 0.02, 0.2)}

STUDIES = {
    "dalnet-ladder": Study(
        BASELINE,
        {
            BASELINE: {},
            "+ DAG": DALNET | NO_CIRCLE | {"model": {"attention": False}},
            "+ MIA": DALNET | NO_CIRCLE,
            "+ cross-modality circle": DALNET | {"loss_weights": {"intra": 0.0}},
            "DALNet": DALNET,
        },
        measures=("auxiliary",),
        budget="dalnet",
    ),
    # Against the baseline of equal budget, one that is trained for the time of DALNet (see the ratio of step times),
    # and one with the batch-hard triplet.
    "dalnet-comparison": Study(
        BASELINE,
        {
            BASELINE: {},
            "baseline, trained longer": {"time": 2.75},
            "baseline, batch-hard triplet": {"model": {"triplet": "batch-hard"}},
            "DALNet": DALNET,
        },
        measures=("auxiliary",),
        budget="dalnet",
    ),
    # Is a difference one of the methods, or of how far a short training takes them?
    "dalnet-training-length": Study(BASELINE, at_lengths({BASELINE: {}, "DALNet": DALNET}), budget="dalnet"),
    "dalnet-auxiliary": Study(
        "dalnet",
        {
            "DAG": {},
            "without cleaning": {"model": {"clean": False}, "loss_weights": {"mask": None}},
            "without refinement": {"model": {"refine": False}, "loss_weights": dict.fromkeys(OF_REFINER)},
            "convolutions": _auxiliary("conv"),
            "fixed XDoG": _auxiliary("xdog"),
            "Sobel": _auxiliary("sobel"),
            "grey": _auxiliary("grey"),
        },
    ),
    # What does an auxiliary modality gain, and what drawings of any kind? Beside DALNet, and DALNet with a filter for a
    # generator, stands the baseline that sees the same filter's drawings in the place of half the photos, or their grey
    # copies: as many images, as many steps, and nothing learned for it.
    "dalnet-drawings": Study(
        BASELINE,
        {
            BASELINE: {},
            "baseline, edges of photos": _instead(edges=0.5),
            "baseline, grey photos": _instead(grey=0.5),
            "DALNet, fixed XDoG": DALNET | _auxiliary("xdog"),
            "DALNet": DALNET,
        },
        budget="dalnet",
    ),
    # Choices of ours: a stem for each modality, circle losses after the BNNeck, and the baseline's triplet loss.
    "dalnet-forms": Study(
        "dalnet",
        {
            "as in the recipe": {},
            "one stem": {"model": {"shared_from": 0}},
            "circle losses before the neck": {"model": {"after_neck": False}},
            "without triplet": {"model": {"triplet": None}, "loss_weights": {"triplet": None}},
        },
    ),
    "dalnet-few-sketches": Study("dalnet", _few()),
    "dalnet-margin": Study(
        "dalnet", REFERENCE | {f"m {value:g}": {"model": {"margin": value}} for value in (0.1, 0.4, 0.6)}
    ),
    "dalnet-scale": Study(
        "dalnet",
        REFERENCE | {f"γ {value:g}": {"model": {"gamma": value}} for value in (16.0, 32.0, 128.0)},
    ),
    "dalnet-intra": Study("dalnet", REFERENCE | INTRA),
    "dalnet-cross": Study("dalnet", REFERENCE | CROSS),
    # Both circle losses at once: four weights of each, the recipe's own among them.
    "dalnet-map": Study("dalnet", crossed({"λ1 0.05": {}} | INTRA, {"λ2 0.05": {}} | CROSS)),
    **TRIALS,
}

# Curves and map are made on one split; the ladder takes five splits instead of seeds, and the size at which drawings
# gain anything (docs/regime.md).
SPLIT: dict[str, Any] = {"dataset": "pku-sketch", "splits": (1,)}
PLANS = Plans(
    ladder=Plan("dalnet-ladder", profile="cpu", seeds=(0,), dataset="pku-sketch", splits=(1, 2, 3, 4, 5)),
    curves=(
        Plan("dalnet-intra", {"intra": "λ1, within"}, **SPLIT),
        Plan("dalnet-cross", {"cross": "λ2, across"}, **SPLIT),
        Plan("dalnet-margin", {"margin": "margin m"}, **SPLIT),
        Plan("dalnet-scale", {"gamma": "scale γ"}, **SPLIT),
    ),
    map=Plan("dalnet-map", {"intra": "λ1, within", "cross": "λ2, across"}, seeds=(0,), **SPLIT),
)
