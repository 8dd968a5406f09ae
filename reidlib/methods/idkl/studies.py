"""Studies of IDKL: what its components are worth, how much depends on their weights; the comparison."""

import itertools
from functools import partial
from typing import Any

from reidlib.experiments.planned import Plan, Plans
from reidlib.methods import Recipe, Study, at_lengths, reference
from reidlib.methods.idkl.recipes import released
from reidlib.methods.idkl.trials import TRIALS

BASELINE = reference().name

IDKL: dict[str, Any] = {"method": "idkl"}
OF_STREAMS = ("specific_identity", "specific_triplet", "discriminator", "confuser", "purifier", "tgsa", "csa", "mdr")
B = IDKL | {"model": {"dual": False}, "loss_weights": dict.fromkeys(OF_STREAMS)}
ONE_STEM: dict[str, Any] = {"model": {"shared_from": 0}}
FACTORS = (0, 0.1, 3)


def _without(*terms: str, **weights: None) -> dict[str, Any]:
    return IDKL | {"loss_weights": {**dict.fromkeys(terms, 0.0), **weights}}


def _times(recipe: Recipe, **factors: float) -> Recipe:
    return recipe.replace(loss_weights={term: factor * recipe.loss_weights[term] for term, factor in factors.items()})


def _weights(term: str) -> Study:
    """The recipe's weight of a term, and multiples of it."""
    others = {f"× {factor:g}": {"recipe": partial(_times, **{term: factor})} for factor in FACTORS}
    return Study("idkl", {"as in the recipe": {}} | others, measures=("hinges",) if term == "purifier" else ())


def _weight_map(*terms: str) -> Study:
    """Two weights at once: the recipe's own and the same multiples of either."""
    variants: dict[str, dict[str, Any]] = {"as in the recipe": {}}
    for factors in itertools.product((1, *FACTORS), repeat=2):
        if factors != (1, 1):
            label = ", ".join(f"{term} × {factor:g}" for term, factor in zip(terms, factors, strict=True))
            variants[label] = {"recipe": partial(_times, **dict(zip(terms, factors, strict=True)))}
    return Study("idkl", variants)


def _options(option: str, *values: Any) -> dict[str, dict[str, Any]]:
    return {f"{option.replace('_', ' ')} {value}": {"model": {option: value}} for value in values}


STUDIES = {
    # "B" is IDKL's own layers and losses with its shared stream alone: neither a second stem nor a learned pooling.
    "idkl-ladder": Study(
        BASELINE,
        {
            BASELINE: {},
            "B": B,
            "+ dual stream": _without("tgsa", "csa", "mdr", purifier=None) | {"model": {"purifier": False}},
            "+ IP": _without("tgsa", "csa", "mdr"),
            "+ TGSA": _without("csa", "mdr"),
            "+ CSA": _without("mdr"),
            "+ MDR": IDKL,
        },
        measures=("probes", "knowledge", "modality", "hinges"),
        budget="idkl",
    ),
    # Against the baseline of equal budget, one with a single stem, as all of IDKL has, one that has the time of IDKL,
    # whose steps take longer, one that has its parameters, and IDKL's own layers and losses without a second stream;
    # then the first, the last and IDKL trained three times as long.
    "idkl-comparison": Study(
        BASELINE,
        {
            BASELINE: {},
            "baseline, one stem": ONE_STEM,
            "baseline, trained longer": {"time": 1.95},
            "baseline, as many parameters": {"method": "wide-baseline"},
            "B": B,
            "IDKL": IDKL,
        },
        measures=("probes", "hinges"),
        budget="idkl",
    ),
    "idkl-released": Study("idkl", {"IDKL": {}, "IDKL, released": {"recipe": released}}),
    # Is a difference one of the methods, or of how far a short training takes them?
    "idkl-training-length": Study(
        BASELINE, at_lengths({BASELINE: {}, "baseline, one stem": ONE_STEM, "B": B, "IDKL": IDKL}), budget="idkl"
    ),
    "idkl-purifier": _weights("purifier"),  # λ1
    "idkl-tgsa": _weights("tgsa"),  # λ2
    "idkl-csa": _weights("csa"),  # λ3
    "idkl-mdr": _weights("mdr"),
    "idkl-map": _weight_map("tgsa", "csa"),
    "idkl-purifier-margin": Study(
        "idkl", {"as in the recipe": {}} | _options("purifier_margin", 0.1, 0.3, 1.0), measures=("hinges",)
    ),
    # In training from random weights the features shrink until the triplet stays at its margin; TGSA compares their
    # distances. Is there more to align, and more to gain, without the triplet?
    "idkl-triplet": Study(
        "idkl",
        {
            "as in the recipe": {},
            "no triplet": {"loss_weights": {"triplet": 0.0, "specific_triplet": 0.0}},
            "no triplet, no TGSA": {"loss_weights": {"triplet": 0.0, "specific_triplet": 0.0, "tgsa": 0.0}},
        },
    ),
    "idkl-confuser": Study("idkl", {"uniform": {}} | _options("confuser", "pseudo-label", "gradient-reversal")),
    "idkl-teacher": Study("idkl", {"as in the recipe": {}, "teacher detached": {"model": {"detach_teacher": True}}}),
    **TRIALS,
}

PLANS = Plans(
    ladder=Plan("idkl-ladder"),
    curves=(
        Plan("idkl-purifier", {"purifier": "λ1, purifier"}),
        Plan("idkl-tgsa", {"tgsa": "λ2, TGSA"}),
        Plan("idkl-csa", {"csa": "λ3, CSA"}),
        Plan("idkl-mdr", {"mdr": "MDR"}),
    ),
    map=Plan("idkl-map", {"tgsa": "λ2, TGSA", "csa": "λ3, CSA"}, seeds=(0, 1, 2)),
)
