"""Studies of FIENet: what its ingredients are worth, in which form, with which weights; the comparison."""

from typing import Any

from reidlib.experiments.planned import Plan, Plans
from reidlib.methods import Study, at_lengths, crossed, reference
from reidlib.methods.fienet.trials import TRIALS

BASELINE = reference().name

FIENET: dict[str, Any] = {"method": "fienet"}
OF_CENTRES = ("intra", "inter")


def _with(*ingredients: str) -> dict[str, Any]:
    """FIENet with these of its three ingredients; with none of them it is the baseline."""
    changes = {"model": {name: name in ingredients for name in ("pfam", "mpim", "igcl")}}
    return FIENET | changes | ({} if "igcl" in ingredients else {"loss_weights": dict.fromkeys(OF_CENTRES)})


def _losses_on_centres() -> dict[str, dict[str, Any]]:
    """IGCL and, in its place, its relatives; after the BNNeck and before it, where the relatives were proposed."""
    relatives = {
        "centre cluster": "center_cluster",
        "hetero-centre": "hetero_center",
        "hetero-centre triplet": "hetero_center_triplet",
    }
    weights = {**dict.fromkeys(OF_CENTRES), "center": 1.0}
    found: dict[str, dict[str, Any]] = {"IGCL": {"model": {}}}
    for name, center in relatives.items():
        found[name] = {"model": {"igcl": False, "center": center}, "loss_weights": weights}
    before = {"center_after_neck": False}
    return found | {f"{name}, before": each | {"model": each["model"] | before} for name, each in found.items()}


REFERENCE: dict[str, dict[str, Any]] = {"as in the recipe": {}}
CENTRE_WEIGHTS = {f"λ {value:g}": {"loss_weights": dict.fromkeys(OF_CENTRES, value)} for value in (0.1, 0.3, 3.0)}
TRIPLET_WEIGHTS = {f"triplet {value:g}": {"loss_weights": {"triplet": value}} for value in (0.0, 0.3, 3.0)}

STUDIES = {
    "fienet-ladder": Study(
        BASELINE,
        {
            BASELINE: {},
            "+ PFAM": _with("pfam"),
            "+ MPIM": _with("mpim"),
            "+ PFAM + MPIM": _with("pfam", "mpim"),
            "+ IGCL": _with("igcl"),
            "FIENet": FIENET,
        },
        budget="fienet",
    ),
    # What is looked at, with the modules that are to change it and without: in cpu, where maps have eight rows.
    "fienet-attention": Study(
        BASELINE,
        {BASELINE: {}, "+ PFAM + MPIM": _with("pfam", "mpim")},
        measures=("focus", "attention"),
        budget="fienet",
    ),
    # Against the baseline of equal budget, and one that is trained for the time of FIENet: see the ratio of step times;
    # then both trained three times as long.
    "fienet-comparison": Study(
        BASELINE,
        {
            BASELINE: {},
            "baseline, trained longer": {"time": 1.35},
            "FIENet": FIENET,
        },
        measures=("focus",),
        budget="fienet",
    ),
    # Is a difference one of the methods, or of how far a short training takes them?
    "fienet-training-length": Study(
        BASELINE,
        at_lengths({BASELINE: {}, "FIENet": FIENET}),
        budget="fienet",
    ),
    "fienet-interaction": Study(
        "fienet",
        {"attention": {}, "gate": {"model": {"interaction": "gate"}}, "none": {"model": {"interaction": "none"}}},
    ),
    "fienet-aggregation": Study(
        "fienet",
        {
            "gated": {},
            "two steps": {"model": {"aggregation": "two_step"}},
            "one shot": {"model": {"aggregation": "one_shot"}},
        },
    ),
    "fienet-terms": Study(
        "fienet",
        {
            "both terms": {},
            "intra only": {"loss_weights": {"inter": 0.0}},
            "inter only": {"loss_weights": {"intra": 0.0}},
            "neither": {"loss_weights": dict.fromkeys(OF_CENTRES, 0.0)},
        },
    ),
    "fienet-centre-losses": Study("fienet", _losses_on_centres()),
    "fienet-weight": Study("fienet", REFERENCE | CENTRE_WEIGHTS),
    "fienet-triplet": Study("fienet", REFERENCE | TRIPLET_WEIGHTS),
    # IGCL and triplet loss at once: four weights of each, the recipe's own among them.
    "fienet-map": Study("fienet", crossed({"λ 1": {}} | CENTRE_WEIGHTS, {"triplet 1": {}} | TRIPLET_WEIGHTS)),
    "fienet-margin": Study(
        "fienet",
        REFERENCE | {f"ρ {value:g}": {"model": {"center_margin": value}} for value in (0.7, 1.0, 1.4)},
    ),
    **TRIALS,
}

PLANS = Plans(
    ladder=Plan("fienet-ladder"),
    curves=(
        Plan("fienet-weight", {"intra": "λ, IGCL"}),
        Plan("fienet-triplet", {"triplet": "triplet"}),
        Plan("fienet-margin", {"center_margin": "margin ρ"}),
    ),
    map=Plan("fienet-map", {"intra": "λ, IGCL", "triplet": "triplet"}, seeds=(0, 1, 2)),
)
