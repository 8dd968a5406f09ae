"""Claims of IDKL, and how each is judged: from the records of its runs to a word and the findings behind it."""

from dataclasses import replace
from pathlib import Path

import pandas as pd

from reidlib import explain
from reidlib.experiments.claims import Claim
from reidlib.experiments.finding import NOT_SUPPORTED, SUPPORTED, UNDECIDED, Finding, Runs, all_of, beside, over_runs

WITHOUT, WITH = "+ IP", "+ MDR"  # distillation, in the ladder of IDKL
TAKEN, KEPT = 0.01, 0.02  # of I2, in score: a smaller loss of the modality is none, nor is one of identity


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


def hidden_knowledge(runs: tuple[Runs, ...], path: Path | None) -> tuple[str, list[Finding]]:
    """I1: without distillation, factors that one modality alone shows, read from specific less from shared features."""
    scores, shared, specific = _probes(runs, path), (WITHOUT, "shared"), (WITHOUT, "specific")
    asked, identity = "factors of one modality", "identity within a modality"
    joint = explain.knowledge.JOINT
    found = _probed(scores[asked], f"{asked}, specific − shared", specific, shared)
    found += beside(_probed(scores[identity], f"{identity}, specific − shared", specific, shared))
    found += beside(_probed(scores[identity], f"{identity}, {joint} − shared", (WITHOUT, joint), shared))
    return all_of(found, 1)


def purifier(runs: tuple[Runs, ...], path: Path | None) -> tuple[str, list[Finding]]:
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


def distillation(runs: tuple[Runs, ...], path: Path | None) -> tuple[str, list[Finding]]:
    """I3: factors that one modality alone shows, read from the shared feature with distillation less without it."""
    scores, found = _probes(runs, path), []
    groups = ("factors of one modality", "identity within a modality", "identity across modalities", "modality")
    for group in groups:
        what = f"{group}, shared feature with − without distillation"
        several = _probed(scores[group], what, (WITH, "shared"), (WITHOUT, "shared"))
        found += several if group == groups[0] else beside(several)
    return all_of(found, 1)


_LADDER = (Runs("idkl-ladder"),)
CLAIMS = (
    Claim(
        "I1",
        "IDKL",
        "Features specific to a modality hold knowledge of identity that shared ones lack.",
        "linear probes, without distillation, of factors that one modality alone can show",
        "supported if more is read from specific than from shared features",
        _LADDER,
        hidden_knowledge,
    ),
    Claim(
        "I2",
        "IDKL",
        "The purifier takes the modality off specific features and leaves identity.",
        "linear probes before and behind the purifier, without distillation: modality, identity across cameras",
        "supported if the interval of the modality excludes 0 and that of identity a loss of 0.02; not supported if "
        "that of the modality excludes a loss of 0.01, or identity is lost (the third outcome was added after the "
        "probes of the whole method had been seen, before those of the model asked about)",
        _LADDER,
        purifier,
    ),
    Claim(
        "I3",
        "IDKL",
        "TGSA, CSA and MDR move this knowledge into the shared feature.",
        "linear probes of the shared feature, with and without distillation: factors that one modality alone can show",
        "supported if more is read with distillation",
        _LADDER,
        distillation,
    ),
)
