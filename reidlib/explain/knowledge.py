"""What do the branches of a model know: of the person, of the modality, and of what one modality alone can show?

Documented (Ren and Zhang, CVPR 2024, IDKL, abstract): features specific to a modality hold implicit discriminative
knowledge that shared ones lack; purified of their modality, they can hand it on. Reconstructed (ours; no measure of the
paper is known): linear probes of each branch on a fixed sample of test images, see :mod:`reidlib.explain.probes`.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from reidlib.data import ReIDDataset
from reidlib.explain.embedding import branch_features, sample_rows
from reidlib.explain.probes import IDENTITY, probe_identity, probe_table
from reidlib.explain.truth import factors
from reidlib.networks import ReIDModel

JOINT = "shared + specific"
ALONE = (("top_hue", "bottom_hue", "top_luminance", "bottom_luminance"), ("top_nir", "bottom_nir"))
"""Factors that modality 0 alone, and that modality 1 alone, can show; each is asked of the images that show it."""
BOTH = ("outerwear", "hat", "bag", "hair", "top_texture", "bottom_texture", "height", "build")
"""Factors that both can show."""
ACROSS = "identity across modalities"
PER_MODALITY = 4
"""Test images of each identity in a modality, at most, that probes are asked about."""


def knowledge_table(model: ReIDModel, dataset: ReIDDataset) -> pd.DataFrame:
    """Probes of each branch on test images, and of ``shared`` and ``specific`` side by side, as `JOINT`.

    Asked of all images: the modality, the identity on cameras other than those shown, and on the other modality, and
    the factors of `BOTH`. Asked of the images of one modality: the identity on its other cameras, and the factors that
    it alone can show. Factors are asked for on twins only, and only those that the twin has. Every test identity that
    both modalities show takes part, with `PER_MODALITY` images in each; the sample does not depend on the model.

    Returns:
        ``branch``; ``factor``, in words, with the images that were asked where these are of one modality; and the
        fields of `reidlib.explain.ProbeResult`. ``score`` is NaN where there are too few identities.
    """
    rows = sample_rows(dataset, per_modality=PER_MODALITY)
    features = branch_features(model, dataset, rows)
    if {"shared", "specific"} <= features.keys():
        features[JOINT] = np.concatenate([features["shared"], features["specific"]], axis=1)
    frame = dataset.frame.iloc[rows]
    pids, modality = frame["pid"].to_numpy(), frame["modality"].to_numpy()
    known = ("modality", IDENTITY, *(factors(dataset, rows[:1]).columns if dataset.is_twin else ()))
    asked = {None: ("modality", IDENTITY, *BOTH), **{number: (IDENTITY, *ALONE[number]) for number in (0, 1)}}
    asked = {number: [name for name in names if name in known] for number, names in asked.items()}
    across = {branch: probe_identity(values, pids, modality) for branch, values in features.items()}
    lines = [{"branch": branch, "factor": ACROSS, **vars(one)} for branch, one in across.items()]
    return pd.concat([probe_modalities(features, dataset, rows, asked), pd.DataFrame(lines)], ignore_index=True)


def probe_modalities(
    features: Mapping[str, np.ndarray],
    dataset: ReIDDataset,
    rows: np.ndarray,
    asked: Mapping[int | None, Sequence[str]],
) -> pd.DataFrame:
    """`probe_table` of the images of one modality at a time, or of all, with factors in words.

    Args:
        asked: modality, or ``None`` for all images, → the factors asked of its images.
    """
    modality, parts = dataset.frame["modality"].to_numpy()[rows], []
    for number, names in asked.items():
        chosen = np.full(len(rows), True) if number is None else modality == number
        where = "" if number is None else f", {dataset.reader.modalities[number]} images"
        some = {branch: values[chosen] for branch, values in features.items()}
        part = probe_table(some, dataset, rows[chosen], factors=names)
        words = part["factor"].str.replace("_", " ").str.replace(" nir", " NIR albedo")
        parts.append(part.assign(factor=words + where))
    return pd.concat(parts, ignore_index=True)


def knowledge_values(table: pd.DataFrame) -> dict[str, float]:
    """The scores of a `knowledge_table` as ``"<branch>: <factor>"``, and ``"chance: <factor>"``."""
    values = {f"{row.branch}: {row.factor}": row.score for row in table.itertuples()}
    return values | {f"chance: {row.factor}": row.chance for row in table.itertuples()}


def knowledge_scores(rows: pd.DataFrame) -> pd.DataFrame:
    """Measures named as `knowledge_values` names them, as a table again.

    Args:
        rows: ``name`` and ``value``, and columns that tell runs apart: at least ``seed``, and ``variant`` or others.

    Returns:
        Those columns, ``branch``, ``factor``, ``score`` and ``chance``; no lines for what could not be asked.
    """
    keys = [name for name in ("method", "variant", "seed", "split") if name in rows]
    named = rows["name"].str.split(": ", n=1, expand=True).reindex(columns=[0, 1])
    table = rows[keys].assign(branch=named[0], factor=named[1], score=rows["value"].astype("float64"))
    is_chance = table["branch"] == "chance"
    # Of every test identity the same images are asked: what chance gives is the same for all runs on a data set.
    chance = table[is_chance].groupby("factor")["score"].first()
    table = table[~is_chance & table["score"].notna()].reset_index(drop=True)
    return table.assign(chance=table["factor"].map(chance).astype("float64"))
