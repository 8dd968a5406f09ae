"""Claims of DALNet, and how each is judged: from the records of its runs to a word and the findings behind it."""

from dataclasses import replace
from pathlib import Path

import pandas as pd

from reidlib.experiments.claims import Claim
from reidlib.experiments.finding import (
    NO_RUNS,
    NOT_SUPPORTED,
    SUPPORTED,
    UNDECIDED,
    Finding,
    Runs,
    all_of,
    between,
    over_runs,
)
from reidlib.methods import reference

BASELINE = reference().name
TIMES = ((BASELINE, ()), ("baseline, trained longer", ("epochs",)))  # against what, and what may differ


def _drawn(runs: tuple[Runs, ...], path: Path | None) -> pd.DataFrame:
    """Numbers of the measure ``auxiliary`` of DALNet: a row for each split and seed."""
    rows = runs[0].measures("auxiliary", path)
    rows = rows[rows["variant"] == "DALNet"]
    return rows.pivot(index=["split", "seed"], columns="name", values="value")


def person_stands_out(runs: tuple[Runs, ...], path: Path | None) -> tuple[str, list[Finding]]:
    """D1: share of the gradient on the person, in auxiliary images, less that in fixed XDoG edges, and less chance."""
    values, found, inside = _drawn(runs, path), [], "gradient inside, "
    for control in ("fixed XDoG", "chance"):
        if {f"{inside}auxiliary", inside + control} <= set(values):
            difference = (values[f"{inside}auxiliary"] - values[inside + control]).dropna()
            found += over_runs(f"gradient on the person, auxiliary − {control}", difference, "of the gradient")
    return all_of(found, 2)


def bridge(runs: tuple[Runs, ...], path: Path | None) -> tuple[str, list[Finding]]:
    """D2: sketch–photo less sketch–auxiliary, as distances, and as shares of the distance of strangers."""
    values, found = _drawn(runs, path), []
    if {"sketch–photo", "sketch–auxiliary"} <= set(values):
        nearer = (values["sketch–photo"] - values["sketch–auxiliary"]).dropna()
        found += over_runs("distance, sketch–photo − sketch–auxiliary", nearer, "of cosine distance")
    if "between" in values:
        what = "distance, sketch–photo − the larger one by way of the auxiliary image"
        found += over_runs(what, values["between"].dropna(), "of the distance of strangers")
    return all_of(found, 2)


def few_sketches(runs: tuple[Runs, ...], path: Path | None) -> tuple[str, list[Finding]]:
    """D3: what circle loss gains on triplet loss with the fewest sketches, less what it gains with all."""
    rows = runs[0].results(path, paired=True)
    kept = {name: recipe.subsample.images if recipe.subsample else 1.0 for name, recipe in runs[0].variants.items()}
    table = rows.assign(share=rows["variant"].map(kept), loss=rows["variant"].str.split(",").str[0])
    scores = table.pivot_table(index="seed", columns=["share", "loss"], values="mAP")
    if scores.empty:
        return NO_RUNS, []
    gain = 100 * (scores.xs("circle", axis=1, level="loss") - scores.xs("triplet", axis=1, level="loss"))
    what = f"gain of circle on triplet, {min(gain):g} of the sketches − all of them"
    return all_of(over_runs(what, (gain[min(gain)] - gain[max(gain)]).dropna(), "points of mAP"), 1)


def carries_over(runs: tuple[Runs, ...], path: Path | None) -> tuple[str, list[Finding]]:
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


_ON_SPLITS = (Runs("dalnet-comparison", "pku-sketch", seeds=1, splits=10),)
CLAIMS = (
    Claim(
        "D1",
        "DALNet",
        "Auxiliary images make the person stand out while the background recedes.",
        "share of the image's gradient inside the true mask of the person",
        "supported if it is larger than that of fixed XDoG edges, and larger than chance",
        _ON_SPLITS,
        person_stands_out,
    ),
    Claim(
        "D2",
        "DALNet",
        "The auxiliary modality bridges the gap between sketches and photos.",
        "distances of test features within identities, as they are and as shares of the distances of strangers",
        "supported if sketches are nearer to auxiliary images than to photos, and auxiliary images lie between",
        _ON_SPLITS,
        bridge,
    ),
    Claim(
        "D3",
        "DALNet",
        "The circle loss within each modality helps most where sketches are few.",
        "mAP of circle − triplet loss, with one sketch of each identity and with all",
        "supported if circle loss gains more on triplet loss with one sketch than with all",
        (Runs("dalnet-few-sketches", "market-sketch-1k", profile="screen"),),
        few_sketches,
    ),
    Claim(
        "D4",
        "DALNet",
        "The method carries over to sketch-based image retrieval and to faces.",
        "rank-1 (acc@1) on shoes, chairs and faces, against the baseline and against one trained longer",
        "supported if DALNet is better than both on all three sets, not supported if worse than both on one",
        tuple(Runs("dalnet-comparison", dataset) for dataset in ("shoe", "chair", "cufsf")),
        carries_over,
    ),
)
