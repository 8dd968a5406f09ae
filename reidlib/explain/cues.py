"""Which cue lives in which branch: probes of single factors, brought to one scale and put together by cue.

Reconstructed (no paper measures it so): a probe's score becomes the share of the way from chance to perfect,
(score − chance) / (1 − chance), for balanced accuracies and R² alike, and factors of one kind are averaged. A probe
that does worse than chance has found nothing and counts as 0: R² has no lower end, and one failed fit would outweigh
all others. What a probe finds is *there*, linearly; it says nothing about whether distances between embeddings use it.
"""

import numpy as np
import pandas as pd

from reidlib.data import ReIDDataset
from reidlib.explain.embedding import branch_features, sample_rows
from reidlib.explain.knowledge import ACROSS, PER_MODALITY, probe_modalities
from reidlib.explain.probes import IDENTITY
from reidlib.networks import ReIDModel

WITHIN = "identity within a modality"
CUES = {
    "hue": ("top hue", "bottom hue"),
    "luminance": ("top luminance", "bottom luminance"),
    "infrared albedo": ("top NIR albedo", "bottom NIR albedo"),
    "texture": ("top texture", "bottom texture"),
    "shape and build": ("height", "build"),
    "hair and outerwear": ("hair", "outerwear"),
    "accessories": ("hat", "bag"),
    "camera": ("camera",),
    "modality": ("modality",),
    WITHIN: (IDENTITY,),
    ACROSS: (ACROSS,),
}
"""Cue → the factors that it is made of, as `knowledge_table` and `camera_table` call them, less the images asked."""


def camera_table(model: ReIDModel, dataset: ReIDDataset) -> pd.DataFrame:
    """Can the camera be read from a branch? Asked within each modality, on the images of `knowledge_table`.

    Across modalities the question would be answered by the modality alone, as no camera has both.

    Returns:
        As `knowledge_table`; ``factor`` is ``"camera, visible images"``, and so on. ``score`` is NaN where a modality
        has one camera only.
    """
    rows = sample_rows(dataset, per_modality=PER_MODALITY)
    return probe_modalities(branch_features(model, dataset, rows), dataset, rows, {0: ["camera"], 1: ["camera"]})


def cue_table(scores: pd.DataFrame) -> pd.DataFrame:
    """Scores of single factors as strengths of the cues of ``CUES``.

    Args:
        scores: ``branch``, ``factor``, ``score``, ``chance`` and columns that tell runs apart, as
            `reidlib.explain.knowledge_scores` gives them. Factors of no cue are left out; so is the identity asked of
            all images at once, which would mix both kinds.

    Returns:
        The columns that tell runs apart, ``branch``, ``cue``, ``strength`` (mean over the cue's factors of the share of
        the way from chance to perfect, from 0, nothing or less, to 1, everything) and ``factors``, how many took
        part. In the order of ``CUES``.
    """
    keys = [name for name in ("method", "variant", "seed", "split") if name in scores]
    named = scores["factor"].str.split(", ").str[0]
    of_all = (named == IDENTITY) & ~scores["factor"].str.contains(", ", regex=False)
    of_factor = {factor: cue for cue, factors in CUES.items() for factor in factors}
    order = pd.CategoricalDtype([*CUES], ordered=True)
    table = scores.assign(
        cue=named.map(of_factor).where(~of_all).astype(order),
        strength=((scores["score"] - scores["chance"]) / (1 - scores["chance"])).clip(lower=0),
    )
    table = table[table["cue"].notna() & np.isfinite(table["strength"])]
    grouped = table.groupby([*keys, "branch", "cue"], sort=False, observed=True)["strength"]
    table = grouped.agg(strength="mean", factors="size").reset_index()
    return table.sort_values("cue", kind="stable", ignore_index=True).astype({"cue": "str"})
