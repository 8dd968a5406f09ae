"""Studies of MAUM: what its ingredients are worth, and its memory; how it bears unequal modalities; the comparison."""

from typing import Any

from reidlib.experiments.planned import Plan, Plans
from reidlib.methods import Study, at_lengths, crossed, reference
from reidlib.methods.maum.trials import TRIALS

BASELINE = reference().name

MAUM: dict[str, Any] = {"method": "maum"}
# The metric of MAUM with one proxy for both modalities, the relay: what is left of a gain if its form alone brought it.
SHARED = MAUM | {
    "model": {"shared_proxies": True, "memory_length": 0},
    "loss_weights": {"shared": 1.0, "proxy": 0.0, "unidirectional": 0.0},
}
MS_PROXIES = MAUM | {"model": {"memory_length": 0}, "loss_weights": {"unidirectional": 0.0}}
UNIDIRECTIONAL = MAUM | {"model": {"memory_length": 0}}
SHARES = {"1/2": 0.5, "1/4": 0.25, "1/8": 0.125}


def _thinned(what: str) -> dict[str, dict[str, Any]]:
    """Baseline and MAUM, whole and with a share of one modality's images or identities."""
    variants: dict[str, dict[str, Any]] = {"baseline, all": {}, "MAUM-G, all": MAUM}
    for modality, name in enumerate(("visible", "infrared")):
        for share, value in SHARES.items():
            subsample = {"subsample": {"modality": modality, what: value}}
            variants |= {f"baseline, {name} {share}": subsample, f"MAUM-G, {name} {share}": MAUM | subsample}
    return variants


def _other(option: str, *values: int) -> dict[str, dict[str, Any]]:
    return {f"{option.replace('_', ' ')} {value}": {"model": {option: value}} for value in values}


def _weights(label: str, term: str, *values: float, **model: Any) -> dict[str, dict[str, Any]]:
    """Other weights of a term, and options of the model without which there would be no such term."""
    options = {"model": model} if model else {}
    return {f"{label} {value:g}": {"loss_weights": {term: value}} | options for value in values}


REFERENCE: dict[str, dict[str, Any]] = {"as in the recipe": {}}
OWN_METRIC = _weights("proxy", "proxy", 0.1, 0.3, 3.0)
UNIDIRECTIONAL_METRIC = _weights("unidirectional", "unidirectional", 0.1, 0.3, 3.0)

STUDIES = {
    "maum-ladder": Study(
        BASELINE,
        {
            BASELINE: {},
            "shared proxies": SHARED,
            "MS-proxies": MS_PROXIES,
            "+ unidirectional": UNIDIRECTIONAL,
            "+ memory": MAUM,
        },
        measures=("relay",),
        budget="maum",
    ),
    # Against the baseline of equal budget, one that has at least the time of MAUM, whose steps take a few per
    # cent longer, and the fair counterpart, shared proxies. The ladder, in screen, trains three times as long.
    "maum-comparison": Study(
        BASELINE,
        {
            BASELINE: {},
            "baseline, trained longer": {"time": 1.15},
            "shared proxies": SHARED,
            "MAUM-G": MAUM,
        },
        measures=("relay",),
        budget="maum",
    ),
    "maum-parts": Study("maum", {"MAUM-G": {}, "MAUM-P": {"method": "maum-p"}}),
    # Is a difference one of the methods, or of how far a short training takes them? And is a gain that comes with
    # length due to proxies of each modality, or to the form of the loss, which shared proxies have as well?
    "maum-training-length": Study(
        BASELINE,
        at_lengths({BASELINE: {}, "shared proxies": SHARED, "MAUM-G": MAUM}),
        budget="maum",
    ),
    "maum-memory-length": Study("maum", {"as in the recipe": {}} | _other("memory_length", 0, 2, 32)),
    "maum-memory-interval": Study("maum", {"as in the recipe": {}} | _other("memory_interval", 1, 4, 68)),
    "maum-proxy": Study("maum", REFERENCE | OWN_METRIC),
    "maum-unidirectional": Study("maum", REFERENCE | UNIDIRECTIONAL_METRIC),
    # The paper recipe has no triplet loss: there these add one.
    "maum-triplet": Study("maum", REFERENCE | _weights("triplet", "triplet", 0.0, 0.3, 3.0, triplet="weighted")),
    # Both metrics at once: four weights of each, the recipe's own among them.
    "maum-map": Study("maum", crossed({"proxy 1": {}} | OWN_METRIC, {"unidirectional 1": {}} | UNIDIRECTIONAL_METRIC)),
    "maum-imbalance": Study(BASELINE, _thinned("images"), budget="maum"),
    "maum-imbalance-identities": Study(BASELINE, _thinned("identities"), budget="maum"),
    **TRIALS,
}

PLANS = Plans(
    ladder=Plan("maum-ladder"),
    curves=(
        Plan("maum-proxy", {"proxy": "proxies"}),
        Plan("maum-unidirectional", {"unidirectional": "unidirectional"}),
        Plan("maum-triplet", {"triplet": "triplet"}),
        Plan("maum-memory-length", {"memory_length": "memory length"}),
    ),
    map=Plan("maum-map", {"proxy": "proxies", "unidirectional": "unidirectional"}, seeds=(0, 1, 2)),
)
