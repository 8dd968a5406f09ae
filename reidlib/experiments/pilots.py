"""What runs on the development twin say beside the trials: methods against their counterparts, lengths, profiles.

``differences()`` → how far the methods are ahead of what they are compared with, over seeds, before a recipe was
frozen; ``lengths()`` → score against length of training; ``order()`` → whether two profiles agree. All of it is read
from ``reidlib/published/trials.csv``. No claim is judged here: that is done on other people.
"""

from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from reidlib import methods
from reidlib.experiments import studies, trials
from reidlib.experiments.agreement import rank_correlation
from reidlib.experiments.evidence import resampled


class Pair(NamedTuple):
    """A variant of a study, and the one that it is compared with."""

    study: str
    variant: str
    reference: str
    profile: str = "screen"


BASELINE = methods.reference().name
PAIRS = (
    Pair("baseline-regime", BASELINE, "as it was", "cpu"),
    Pair("baseline-regime", BASELINE, "batch-hard"),
    Pair("null-control", "baseline + inert module", BASELINE),
    Pair("maum-comparison", "shared proxies", BASELINE),
    Pair("maum-comparison", "MAUM-G", BASELINE),
    Pair("maum-comparison", "MAUM-G", "shared proxies"),
    Pair("fienet-ladder", "+ IGCL", BASELINE),
    Pair("fienet-comparison", "FIENet", BASELINE),
    Pair("fienet-ladder", "FIENet", "+ IGCL"),
    Pair("idkl-comparison", "baseline, one stem", BASELINE),
    Pair("idkl-comparison", "B", "baseline, one stem"),
    Pair("idkl-ladder", "+ IP", "B"),
    Pair("idkl-comparison", "IDKL", "B"),
    Pair("idkl-comparison", "IDKL", BASELINE),
)
"""On SYSU-MM01: the baseline as it is and as it was, and each method beside its counterparts."""
LENGTHS = "-training-length"


def of(study: str, *, dataset: str = "sysu", profile: str = "screen", path: str | Path | None = None) -> pd.DataFrame:
    """The runs of the recipes that a study has today, whatever they were run for; ``trial`` is their label in it.

    Args:
        path: of a table of trials; default: the published one.
    """
    rows = trials.FORMAT.select(trials.rows(path), {"dataset": dataset, "profile": profile})
    variants = studies.get(study, dataset=dataset, profile=profile)
    seeds = [int(seed) for seed in rows["seed"].unique()]
    labels = {recipe.replace(seed=seed).digest: label for label, recipe in variants.items() for seed in seeds}
    rows = rows.assign(study=study, trial=rows["recipe"].map(labels)).dropna(subset=["trial"])
    rows = rows.drop_duplicates(["trial", "seed", "split"], keep="last")
    place = {label: number for number, label in enumerate(variants)}
    return rows.sort_values(["trial", "seed"], key=lambda each: each.map(place) if each.name == "trial" else each)


def differences(path: str | Path | None = None) -> pd.DataFrame:
    """A row for every pair of ``PAIRS`` whose sides have two seeds in common, in points of mAP.

    Returns:
        ``study``, ``variant``, ``reference``, ``profile``, ``runs`` (of each), ``mAP`` and ``theirs`` (means, per
        cent), ``difference``, ``low``, ``high`` (Student's 95 % interval over seeds, on these people), ``seconds`` and
        ``their seconds`` (the least that a run took).
    """
    lines = []
    for pair in PAIRS:
        rows = of(pair.study, profile=pair.profile, path=path)
        sides = [rows[rows["trial"] == name].set_index("seed") for name in (pair.variant, pair.reference)]
        ours, theirs = (100 * side["mAP"] for side in sides)
        gain = (ours - theirs).dropna()
        if len(gain) > 1:
            found, means = resampled(gain, 0.0, 0), (ours[gain.index].mean(), theirs[gain.index].mean())
            seconds = (side["seconds"].min() for side in sides)
            lines.append((*pair, len(gain), *means, found.difference, found.low, found.high, *seconds))
    columns = ["runs", "mAP", "theirs", "difference", "low", "high", "seconds", "their seconds"]
    return pd.DataFrame(lines, columns=[*Pair._fields, *columns])


def lengths(path: str | Path | None = None, *, profile: str = "screen") -> pd.DataFrame:
    """Every run of the studies of lengths, once.

    Returns:
        ``dataset``, ``trial`` (such as ``"MAUM-G, × 3"``), ``seed`` and ``mAP``, a fraction.
    """
    every = []
    for study, known in studies.registered().items():
        if study.endswith(LENGTHS):
            dataset = next(name for name in ("sysu", "pku-sketch") if name in methods.get(known.budget).recipes)
            every.append(of(study, dataset=dataset, profile=profile, path=path))
    found = pd.concat(every)[["dataset", "trial", "seed", "mAP"]]
    return found.drop_duplicates(["dataset", "trial", "seed"]).reset_index(drop=True)


def order(first: str = "screen", second: str = "cpu", path: str | Path | None = None, **filters: Any) -> pd.DataFrame:
    """Do two profiles put variants in the same order? Of those that have runs in both.

    Args:
        first, second: names of profiles.
        path, filters: as of :func:`reidlib.experiments.trials.table`.

    Returns:
        A row for every ``dataset``: ``variants`` (of the same method and label, or of the same place in a study of
        today), ``correlation`` (Spearman's, of mean mAP), ``low``, ``high``: its 95 % interval, missing for fewer than
        four variants.
    """
    found, lines = trials.FORMAT.select(trials.rows(path), {"profile": [first, second]} | filters), []
    for dataset, part in found.groupby("dataset"):
        part = part.assign(variant=_in_both(part, first, second))
        means = part.groupby(["variant", "profile"])["mAP"].mean().unstack("profile")
        both = means.reindex(columns=[first, second]).dropna()
        if len(both) > 1:
            lines.append((dataset, len(both), *rank_correlation(both[first], both[second])))
    return pd.DataFrame(lines, columns=["dataset", "variants", "correlation", "low", "high"])


def _in_both(part: pd.DataFrame, first: str, second: str) -> list[str | None]:
    """For rows of a data set a name that their variant has in both profiles; ``None`` for what only one of them has.

    Names are what a row says of itself, and its places in studies of today; not in those of lengths, since one profile
    is as long as another one at × 3.
    """
    places: dict[str, set[str]] = {}
    for profile, rows_of in part.groupby("profile"):
        seeds = [int(seed) for seed in rows_of["seed"].unique()]
        for study, label, recipe in trials.variants(part["dataset"].iloc[0], profile):
            for seed in () if study.endswith(LENGTHS) else seeds:
                places.setdefault(recipe.replace(seed=seed).digest, set()).add(f"{study}: {label}")
    of = zip(part["recipe"], part["method"], part["trial"], strict=True)
    names = [places.get(recipe, set()) | {f"{method}: {trial}"} for recipe, method, trial in of]
    there = {profile: set[str]() for profile in (first, second)}
    for profile, known in zip(part["profile"], names, strict=True):
        there[profile] |= known
    return [min(known & there[first] & there[second], default=None) for known in names]
