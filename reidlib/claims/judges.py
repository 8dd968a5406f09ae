"""How each claim is judged: from the records of its runs to a word and the findings behind it.

A judge takes the :class:`~reidlib.claims.finding.Runs` of its claim and the path of a ledger (``None``: published and
local one), and computes what the rule of the claim says, no more. Findings that stand beside do not decide.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd

from reidlib import explain
from reidlib.claims.finding import (
    NO_RUNS,
    NOT_SUPPORTED,
    SUPPORTED,
    UNDECIDED,
    Finding,
    Runs,
    all_of,
    beside,
    between,
    over_runs,
)
from reidlib.plots.tables import thinned

Judged = tuple[str, list[Finding]]
Judge = Callable[[tuple[Runs, ...], Path | None], Judged]

FEWEST_SEEDS = 5  # that M3 asks for
WITHOUT, WITH = "+ IP", "+ MDR"  # distillation, in the ladder of IDKL
TAKEN, KEPT = 0.01, 0.02  # of I2, in score: a smaller loss of the modality is none, nor is one of identity
TIMES = (("baseline", ()), ("baseline, trained longer", ("epochs",)))  # against what, and what may differ


def relay(runs: tuple[Runs, ...], path: Path | None) -> Judged:
    """M1: the relay gap of MAUM less that of the shared classifier; beside it, less that of shared proxies."""
    rows = runs[0].measures("relay", path)
    gaps = rows[rows["name"] == "relay gap"].pivot(index="seed", columns="variant", values="value")
    found = []
    for reference in ("baseline", "shared proxies"):
        if {"+ memory", reference} <= set(gaps):
            difference = (gaps["+ memory"] - gaps[reference]).dropna()
            several = over_runs(f"relay gap, MAUM − {reference}", difference, "of cosine", wanted=-1)
            found += several if reference == "baseline" else beside(several)
    return all_of(found, 1)


def maum_steps(runs: tuple[Runs, ...], path: Path | None) -> Judged:
    """M2: each step of the ladder against the one before; beside them, the whole against shared proxies."""
    rows = runs[0].results(path, paired=True)
    found = between(rows, "+ unidirectional", "MS-proxies", path) + between(rows, "+ memory", "+ unidirectional", path)
    return all_of(found + beside(between(rows, "+ memory", "shared proxies", path)), 2)


def imbalance(runs: tuple[Runs, ...], path: Path | None) -> Judged:
    """M3: what MAUM loses of its own full score less what the baseline loses of its own, mean over the settings."""
    table = pd.concat(thinned(each.results(path, paired=True), each.variants) for each in runs)
    full = table[table["share"] == 1].drop(columns="share")
    scarce = table[table["share"] < 1].merge(full, on=["method", "seed", "thinned"], suffixes=("", " of all"))
    lost = scarce.assign(lost=100 * (1 - scarce["mAP"] / scarce["mAP of all"]))
    lost = lost.pivot_table(index=["thinned", "share", "seed"], columns="method", values="lost")
    if lost.empty:
        return NO_RUNS, []
    by_seed = (lost["maum"] - lost["baseline"]).groupby("seed").mean()
    found = over_runs("loss of MAUM − loss of the baseline", by_seed, "per cent of the full mAP", wanted=-1)
    if len(by_seed) < FEWEST_SEEDS:
        found = [replace(finding, word=UNDECIDED) for finding in found]
    return all_of(found, 1)


def focus(runs: tuple[Runs, ...], path: Path | None) -> Judged:
    """F1: by both instruments, energy on the person against the baseline and three controls, in both modalities."""
    rows = runs[0].measures("focus", path)
    found = []
    for ours in ("+ PFAM + MPIM", "FIENet"):
        seeds = [set(rows.loc[rows["variant"] == variant, "seed"]) for variant in (ours, "baseline")]
        if set.intersection(*seeds):
            several = _energies(explain.focus_differences(rows, ours, "baseline").query("score == 'energy'"), ours)
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


def fienet_ingredients(runs: tuple[Runs, ...], path: Path | None) -> Judged:
    """F2: each ingredient against the baseline, and PFAM and MPIM together against each alone; the rest beside."""
    rows = runs[0].results(path, paired=True)
    deciding = [(name, "baseline") for name in ("+ PFAM", "+ MPIM", "+ IGCL")]
    deciding += [("+ PFAM + MPIM", "+ PFAM"), ("+ PFAM + MPIM", "+ MPIM")]
    others = [("+ PFAM + MPIM", "baseline"), ("FIENet", "+ PFAM + MPIM"), ("FIENet", "+ IGCL")]
    found = [finding for above, below in deciding for finding in between(rows, above, below, path)]
    return all_of(found + beside([each for pair in others for each in between(rows, *pair, path)]), len(deciding))


def _probes(runs: tuple[Runs, ...], path: Path | None) -> dict[str, pd.DataFrame]:
    """Groups of questions → mean score by seed, with variant and branch in the columns."""
    scores = explain.knowledge_scores(runs[0].measures("probes", path))
    identity, one_modality = (scores["factor"].astype("str").str.contains(word) for word in ("identity", "images"))
    groups = {
        "factors of one modality": one_modality & ~identity,
        "identity within a modality": one_modality & identity,
    }
    single = ("modality", "identity across cameras", "identity across modalities")
    groups |= {name: scores["factor"] == name for name in single}
    means = {}
    for name, chosen in groups.items():
        part = scores[chosen]
        means[name] = part.pivot_table(index="seed", columns=["variant", "branch"], values="score")
    return means


def _probed(
    scores: pd.DataFrame, what: str, ours: tuple[str, str], theirs: tuple[str, str], *, wanted: int = 1
) -> list[Finding]:
    """A pair of (variant, branch): the difference of their scores over seeds."""
    if not {ours, theirs} <= set(scores):
        return []
    return over_runs(what, (scores[ours] - scores[theirs]).dropna(), "of the score", wanted=wanted)


def hidden_knowledge(runs: tuple[Runs, ...], path: Path | None) -> Judged:
    """I1: without distillation, factors that one modality alone shows, read from specific less from shared features."""
    scores, shared, specific = _probes(runs, path), (WITHOUT, "shared"), (WITHOUT, "specific")
    asked, identity = "factors of one modality", "identity within a modality"
    joint = explain.knowledge.JOINT
    found = _probed(scores[asked], f"{asked}, specific − shared", specific, shared)
    found += beside(_probed(scores[identity], f"{identity}, specific − shared", specific, shared))
    found += beside(_probed(scores[identity], f"{identity}, {joint} − shared", (WITHOUT, joint), shared))
    return all_of(found, 1)


def purifier(runs: tuple[Runs, ...], path: Path | None) -> Judged:
    """I2: the modality is read worse behind the purifier, and identity across cameras as well as before, or nearly."""
    scores, branches = _probes(runs, path), ((WITHOUT, "purified"), (WITHOUT, "specific"))
    name = "{}, purified − specific".format
    taken = _probed(scores["modality"], name("modality"), *branches, wanted=-1)
    kept = _probed(scores["identity across cameras"], name("identity across cameras"), *branches)
    taken = [replace(each, word=_margin(each.high < 0, each.low > -TAKEN)) for each in taken]
    kept = [replace(each, word=_margin(each.low > -KEPT, each.high < 0)) for each in kept]
    across = "identity across modalities"
    return all_of([*taken, *kept, *beside(_probed(scores[across], name(across), *branches))], 2)


def _margin(is_supported: bool, is_refuted: bool) -> str:
    return SUPPORTED if is_supported else NOT_SUPPORTED if is_refuted else UNDECIDED


def distillation(runs: tuple[Runs, ...], path: Path | None) -> Judged:
    """I3: factors that one modality alone shows, read from the shared feature with distillation less without it."""
    scores, found = _probes(runs, path), []
    groups = ("factors of one modality", "identity within a modality", "identity across modalities", "modality")
    for group in groups:
        what = f"{group}, shared feature with − without distillation"
        several = _probed(scores[group], what, (WITH, "shared"), (WITHOUT, "shared"))
        found += several if group == groups[0] else beside(several)
    return all_of(found, 1)


def _drawn(runs: tuple[Runs, ...], path: Path | None) -> pd.DataFrame:
    """Numbers of the measure ``auxiliary`` of DALNet: a row for each split and seed."""
    rows = runs[0].measures("auxiliary", path)
    rows = rows[rows["variant"] == "DALNet"]
    return rows.pivot(index=["split", "seed"], columns="name", values="value")


def person_stands_out(runs: tuple[Runs, ...], path: Path | None) -> Judged:
    """D1: share of the gradient on the person, in auxiliary images, less that in fixed XDoG edges, and less chance."""
    values, found, inside = _drawn(runs, path), [], "gradient inside, "
    for control in ("fixed XDoG", "chance"):
        if {f"{inside}auxiliary", inside + control} <= set(values):
            difference = (values[f"{inside}auxiliary"] - values[inside + control]).dropna()
            found += over_runs(f"gradient on the person, auxiliary − {control}", difference, "of the gradient")
    return all_of(found, 2)


def bridge(runs: tuple[Runs, ...], path: Path | None) -> Judged:
    """D2: sketch–photo less sketch–auxiliary, as distances, and as shares of the distance of strangers."""
    values, found = _drawn(runs, path), []
    if {"sketch–photo", "sketch–auxiliary"} <= set(values):
        nearer = (values["sketch–photo"] - values["sketch–auxiliary"]).dropna()
        found += over_runs("distance, sketch–photo − sketch–auxiliary", nearer, "of cosine distance")
    if "between" in values:
        what = "distance, sketch–photo − the larger one by way of the auxiliary image"
        found += over_runs(what, values["between"].dropna(), "of the distance of strangers")
    return all_of(found, 2)


def few_sketches(runs: tuple[Runs, ...], path: Path | None) -> Judged:
    """D3: what circle loss gains on triplet loss with the fewest sketches, less what it gains with all."""
    rows = runs[0].results(path, paired=True)
    kept = {name: recipe.thinning.images if recipe.thinning else 1.0 for name, recipe in runs[0].variants.items()}
    table = rows.assign(share=rows["variant"].map(kept), loss=rows["variant"].str.split(",").str[0])
    scores = table.pivot_table(index="seed", columns=["share", "loss"], values="mAP")
    if scores.empty:
        return NO_RUNS, []
    gain = 100 * (scores.xs("circle", axis=1, level="loss") - scores.xs("triplet", axis=1, level="loss"))
    what = f"gain of circle on triplet, {min(gain):g} of the sketches − all of them"
    return all_of(over_runs(what, (gain[min(gain)] - gain[max(gain)]).dropna(), "points of mAP"), 1)


def carries_over(runs: tuple[Runs, ...], path: Path | None) -> Judged:
    """D4: on each set DALNet against the baseline and one trained longer; better than both on all, by rank-1."""
    found, by_set = [], []
    for each in runs:
        rows = each.results(path, paired=False)
        several = [
            finding
            for theirs, allow in TIMES
            for finding in between(rows, "DALNet", theirs, path, metric="rank-1", allow=allow)
        ]
        by_set.append([finding.word for finding in several])
        found += [replace(finding, what=f"{each.dataset}: {finding.what}") for finding in several]
    if not found:
        return NO_RUNS, []
    if all(words == [SUPPORTED, SUPPORTED] for words in by_set):
        return SUPPORTED, found
    return NOT_SUPPORTED if [NOT_SUPPORTED, NOT_SUPPORTED] in by_set else UNDECIDED, found
