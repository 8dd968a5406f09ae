"""Claims of FIENet, and how each is judged: from the records of its runs to a word and the findings behind it."""

import math
from pathlib import Path

import pandas as pd

from reidlib import explain
from reidlib.experiments.claims import Claim
from reidlib.experiments.finding import (
    NOT_SUPPORTED,
    SUPPORTED,
    UNDECIDED,
    Finding,
    Runs,
    all_of,
    beside,
    between,
)
from reidlib.methods import reference

BASELINE = reference().name


def focus(runs: tuple[Runs, ...], path: Path | None) -> tuple[str, list[Finding]]:
    """F1: by both instruments, energy on the person against the baseline and three controls, in both modalities."""
    rows = runs[0].measures("focus", path)
    found = []
    for ours in ("+ PFAM + MPIM", "FIENet"):
        seeds = [set(rows.loc[rows["variant"] == variant, "seed"]) for variant in (ours, BASELINE)]
        if set.intersection(*seeds):
            several = _energies(explain.focus_differences(rows, ours, BASELINE).query("score == 'energy'"), ours)
            found += several if ours == "+ PFAM + MPIM" else beside(several)
    return all_of(found, 2)


def _energies(differences: pd.DataFrame, ours: str) -> list[Finding]:
    """For each instrument, the difference that stands most in the way of *supported*."""
    found = []
    for instrument, part in differences.groupby("map", sort=False):
        verdicts = set(part["verdict"])
        word = SUPPORTED if verdicts == {"more"} else NOT_SUPPORTED if "less" in verdicts else UNDECIDED
        strength = part["difference"] / ((part["high"] - part["low"]) / 2)  # 0 with one seed; above 1 is "more"
        least = part.loc[strength.fillna(0).idxmin()]
        ends = (least["low"], least["high"]) if least["seeds"] > 1 else (math.nan, math.nan)
        what = f"{ours}, {instrument}, {least['modality']}, against {least['against']} (the least of {len(part)})"
        found.append(Finding(what, "of the energy", least["difference"], *ends, int(least["seeds"]), word))
    return found


def ingredients(runs: tuple[Runs, ...], path: Path | None) -> tuple[str, list[Finding]]:
    """F2: each ingredient against the baseline, and PFAM and MPIM together against each alone; the rest beside."""
    rows = runs[0].results(path, paired=True)
    deciding = [(name, BASELINE) for name in ("+ PFAM", "+ MPIM", "+ IGCL")]
    deciding += [("+ PFAM + MPIM", "+ PFAM"), ("+ PFAM + MPIM", "+ MPIM")]
    others = [("+ PFAM + MPIM", BASELINE), ("FIENet", "+ PFAM + MPIM"), ("FIENet", "+ IGCL")]
    found = [finding for above, below in deciding for finding in between(rows, above, below, path)]
    return all_of(found + beside([each for pair in others for each in between(rows, *pair, path)]), len(deciding))


CLAIMS = (
    Claim(
        "F1",
        "FIENet",
        "PFAM and MPIM draw attention to telling parts of the body, in both modalities.",
        "energy of Grad-CAM and of occlusion maps on the true mask of the person",
        "supported if, with both instruments and in both modalities, it is larger than that of the baseline and than "
        "that of three controls; not supported if one is smaller",
        (Runs("fienet-ladder"),),
        focus,
    ),
    Claim(
        "F2",
        "FIENet",
        "PFAM, MPIM and IGCL each help, and PFAM and MPIM help each other.",
        "mAP: each alone against the baseline; both modules against each alone",
        "supported if all five differences are gains, not supported if one is a loss",
        (Runs("fienet-ladder"),),
        ingredients,
    ),
)
