"""Claims of MAUM, and how each is judged: from the records of its runs to a word and the findings behind it."""

from dataclasses import replace
from pathlib import Path

import pandas as pd

from reidlib.experiments.claims import Claim
from reidlib.experiments.finding import NO_RUNS, UNDECIDED, Finding, Runs, all_of, beside, between, over_runs
from reidlib.methods import reference
from reidlib.methods.maum.plots import imbalance_table

BASELINE = reference().name
FEWEST_SEEDS = 5  # that M3 asks for


def relay(runs: tuple[Runs, ...], path: Path | None) -> tuple[str, list[Finding]]:
    """M1: the relay gap of MAUM less that of the shared classifier; beside it, less that of shared proxies."""
    rows = runs[0].measures("relay", path)
    gaps = rows[rows["name"] == "relay gap"].pivot(index="seed", columns="variant", values="value")
    found = []
    for other in (BASELINE, "shared proxies"):
        if {"+ memory", other} <= set(gaps):
            difference = (gaps["+ memory"] - gaps[other]).dropna()
            several = over_runs(f"relay gap, MAUM − {other}", difference, "of cosine", wanted=-1)
            found += several if other == BASELINE else beside(several)
    return all_of(found, 1)


def steps(runs: tuple[Runs, ...], path: Path | None) -> tuple[str, list[Finding]]:
    """M2: each step of the ladder against the one before; beside them, the whole against shared proxies."""
    rows = runs[0].results(path, paired=True)
    found = between(rows, "+ unidirectional", "MS-proxies", path) + between(rows, "+ memory", "+ unidirectional", path)
    return all_of(found + beside(between(rows, "+ memory", "shared proxies", path)), 2)


def imbalance(runs: tuple[Runs, ...], path: Path | None) -> tuple[str, list[Finding]]:
    """M3: what MAUM loses of its own full score less what the baseline loses of its own, mean over the settings."""
    table = pd.concat(imbalance_table(each.results(path, paired=True), each.variants) for each in runs)
    full = table[table["share"] == 1].drop(columns="share")
    scarce = table[table["share"] < 1].merge(full, on=["method", "seed", "thinned"], suffixes=("", " of all"))
    lost = scarce.assign(lost=100 * (1 - scarce["mAP"] / scarce["mAP of all"]))
    lost = lost.pivot_table(index=["thinned", "share", "seed"], columns="method", values="lost")
    if lost.empty:
        return NO_RUNS, []
    by_seed = (lost["maum"] - lost[BASELINE]).groupby("seed").mean()
    found = over_runs("loss of MAUM − loss of the baseline", by_seed, "per cent of the full mAP", wanted=-1)
    if len(by_seed) < FEWEST_SEEDS:
        found = [replace(finding, word=UNDECIDED) for finding in found]
    return all_of(found, 1)


CLAIMS = (
    Claim(
        "M1",
        "MAUM",
        "One proxy for both modalities is a relay: each comes near it, and a gap between them stays. MAUM closes it.",
        "relay gap: mean cosine of both centres and their proxy − cosine of the two centres; training identities",
        "supported if the gap of MAUM is smaller than that of the baseline, whose classifier both modalities share",
        (Runs("maum-ladder", seeds=5),),
        relay,
    ),
    Claim(
        "M2",
        "MAUM",
        "Unidirectional metrics, and then the memory, each improve the association across modalities.",
        "mAP, step by step: MS-proxies, + unidirectional metrics, + memory",
        "supported if both steps gain, not supported if one of them loses",
        (Runs("maum-ladder"),),
        steps,
    ),
    Claim(
        "M3",
        "MAUM",
        "MAUM is sturdier where the modalities are unequal.",
        "loss of mAP, in per cent of the method's own full score, where one modality keeps 1/2, 1/4, 1/8 of its images "
        "or identities",
        "supported if MAUM loses less than the baseline in the mean over these settings; five seeds at least",
        tuple(Runs(f"maum-imbalance{of}", profile="screen", seeds=5) for of in ("", "-identities")),
        imbalance,
    ),
)
