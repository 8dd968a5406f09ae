"""Numbers of instruments person by person, so that what is said of a model reaches beyond the people it was read on.

Each function returns series by pid, or names → series; their means are what is claimed
(:mod:`reidlib.experiments.measures`). Reconstructed (ours): all of them; no measure of the papers is known.
"""

import itertools
from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.neighbors import NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from reidlib.data import ReIDDataset
from reidlib.explain import common
from reidlib.explain.cam import grad_cam
from reidlib.explain.embedding import branch_features, sample_rows
from reidlib.explain.focus import FIXED, MAPS, MODALITIES, OTHER, focus_rows, focus_table
from reidlib.explain.knowledge import ALONE, JOINT, PER_MODALITY
from reidlib.explain.localisation import localisation_table
from reidlib.explain.probes import FOLDS, PENALTY
from reidlib.explain.targets import retrieval_targets
from reidlib.explain.truth import factors
from reidlib.networks import ReIDModel
from reidlib.networks.base import device_of

CENTRED = "centred Grad-CAM"
NEIGHBOURS, DIMENSIONS = 10, 4
ONE_MODALITY, WITHIN, CAMERAS = "factors of one modality", "identity within a modality", "identity across cameras"
Numbers = dict[str, float | pd.Series]


# ---- where a model looks


def centred_cams(model: ReIDModel, dataset: ReIDDataset, rows: np.ndarray, *, branch: str | None = None) -> Tensor:
    """Grad-CAM of what an image's map has more than the mean map of its modality among ``rows``: (N, H, W), 0–1.

    The weights are those of `reidlib.explain.grad_cam`. What all images have in common, such as a border, is gone.
    """
    branch, rows = model.check_branch(branch), np.asarray(rows)
    images, targets = common.sized_images(model, dataset), retrieval_targets(model, dataset, rows, branch=branch)
    means, parts = common.mean_maps(model, dataset, rows, branch), []
    batches = common.batches(images, dataset, rows, device_of(model))
    for start, (pixels, modality) in zip(range(0, len(rows), common.BATCH), batches, strict=True):
        with torch.no_grad():
            own = model.branch_map(pixels, modality, branch)
        mean = torch.stack([means[number][0] for number in modality.tolist()]).to(own)
        wanted = targets.embeddings[start : start + common.BATCH]
        parts.append(grad_cam(model, pixels, modality, wanted, branch=branch, activations=own - mean).maps.cpu())
    return torch.cat(parts)


def focus_by_identity(model: ReIDModel, dataset: ReIDDataset, rows: np.ndarray | None = None) -> Numbers:
    """Energy on the person of Grad-CAM, occlusion, centred Grad-CAM and controls: ``"energy, <map>, <modality>"``.

    Args:
        rows: as of `reidlib.explain.focus_table`.

    Raises:
        ValueError: not a twin.
    """
    rows = focus_rows(dataset) if rows is None else np.asarray(rows)
    rows = rows[np.lexsort((rows, dataset.frame["pid"].to_numpy()[rows]))]
    tables, modality = [focus_table(model, dataset, rows)], dataset.frame["modality"].to_numpy()[rows]
    maps = centred_cams(model, dataset, rows)
    for number in np.unique(modality):
        chosen = modality == number
        scores = localisation_table(maps[torch.from_numpy(chosen)], dataset, rows[chosen], name=CENTRED)
        scores["map"] = scores["map"].replace("another image", OTHER.format(CENTRED))
        flat = scores[scores["map"] == "uniform"].set_index("row")["energy"]
        scores["energy"] = scores["energy"].fillna(
            scores["row"].map(flat)
        )  # an empty map shows what a uniform one does
        tables.append(scores[~scores["map"].isin(FIXED)])
    every = pd.concat(tables, ignore_index=True)
    kinds = (*MAPS, CENTRED)
    return {
        f"energy, {name}, {modality}": every[(every["map"] == name) & (every["modality"] == number)]
        .groupby("pid")["energy"]
        .mean()
        for (number, modality), name in itertools.product(
            enumerate(MODALITIES), (*kinds, *map(OTHER.format, kinds), *FIXED)
        )
    }


# ---- what a branch knows


def knowledge_by_identity(model: ReIDModel, dataset: ReIDDataset) -> Numbers:
    """What linear probes read from each branch, and from ``shared`` and ``specific`` side by side.

    ``"<branch>: factors of one modality"``: 1 − squared error ÷ variance of the factors that one modality alone can
    show, asked of its images; with shuffled people ``"<branch>, shuffled: …"``. ``"<branch>: identity within a
    modality"`` and ``"…: identity across cameras"``: recall by the nearest centroid of the other cameras. ``"chance:
    identity across cameras"``: of a guess. Factors are of twins only.
    """
    rows = sample_rows(dataset, per_modality=PER_MODALITY)
    features = branch_features(model, dataset, rows)
    if {"shared", "specific"} <= features.keys():
        features[JOINT] = np.concatenate([features["shared"], features["specific"]], axis=1)
    frame = dataset.frame.iloc[rows]
    pids, modality, camids = (frame[name].to_numpy() for name in ("pid", "modality", "camid"))
    truth = factors(dataset, rows) if dataset.is_twin else pd.DataFrame(index=range(len(rows)))
    found: Numbers = {}
    for branch, values in features.items():
        read = {"": [], ", shuffled": []}
        for number, name in [(of, name) for of in (0, 1) for name in ALONE[of] if name in truth]:
            chosen, labels = modality == number, truth[name].to_numpy(float)
            for what, of in ((", shuffled", _shuffled(labels, pids)), ("", labels)):
                read[what].append(explained(values[chosen], of[chosen], pids[chosen], circular=name.endswith("_hue")))
        for what, several in read.items():
            if several:
                found[f"{branch}{what}: {ONE_MODALITY}"] = pd.concat(several, axis=1).mean(axis=1)
        within = [recalled(*(each[modality == number] for each in (values, pids, camids))) for number in (0, 1)]
        found[f"{branch}: {WITHIN}"] = pd.concat(within, axis=1).mean(axis=1)
        found[f"{branch}: {CAMERAS}"] = recalled(values, pids, camids)
    return found | {f"chance: {CAMERAS}": 1 / len(np.unique(pids))}


def explained(features: np.ndarray, labels: np.ndarray, pids: np.ndarray, *, circular: bool = False) -> pd.Series:
    """By pid, 1 − squared error ÷ variance of numbers that ridge regression reads from features of other people.

    Their mean over people with equally many images is R² of all held-out predictions. Images without a label are left
    out. Fewer people than folds have no number.

    Args:
        features: (N, D). ``labels``: (N,), NaN where missing; ``circular``, shares of a turn. ``pids``: (N,).
    """
    kept = np.isfinite(labels)
    features, labels, pids = features[kept], labels[kept], pids[kept]
    people = np.unique(pids)
    if len(people) < FOLDS:
        return pd.Series(np.nan, index=people)
    angle = 2 * np.pi * labels
    values = np.stack([np.cos(angle), np.sin(angle)], axis=1) if circular else labels[:, None]
    reader = make_pipeline(StandardScaler(), Ridge(alpha=4 * PENALTY * features.shape[1]))
    predicted = cross_val_predict(reader, features, values, cv=GroupKFold(FOLDS), groups=pids).reshape(values.shape)
    variance = max(np.square(values - values.mean(axis=0)).sum() / len(values), 1e-12)
    return 1 - pd.Series(np.square(predicted - values).sum(axis=1) / variance).groupby(pids).mean()


def recalled(features: np.ndarray, pids: np.ndarray, camids: np.ndarray) -> pd.Series:
    """By pid, the share of images that the nearest centroid of the other cameras gives to the person, mean of cameras.

    People seen by one camera do not take part.
    """
    several = pd.Series(camids).groupby(pids).transform("nunique").to_numpy() > 1
    features, pids, camids = features[several], pids[several], camids[several]
    if len(np.unique(pids)) < 2:
        return pd.Series(dtype=float)
    parts = []
    for camera in np.unique(camids):
        asked = camids == camera
        scaler = StandardScaler().fit(features[~asked])
        reader = NearestCentroid().fit(scaler.transform(features[~asked]), pids[~asked].astype(str))
        right = reader.predict(scaler.transform(features[asked])) == pids[asked].astype(str)
        parts.append(pd.Series(right.astype(float)).groupby(pids[asked]).mean())
    return pd.concat(parts, axis=1).mean(axis=1)


# ---- how far the modalities lie apart


def modality_by_identity(model: ReIDModel, dataset: ReIDDataset) -> Numbers:
    """How far apart the modalities lie in each branch, by three measures that do not saturate: `apart`.

    Controls of the first branch: ``"shifted: …"``, all images of modality 1 moved by the length of a feature, which
    each must see; ``"shuffled: …"``, the modalities of every person's images exchanged at random, which none must see.
    """
    rows = sample_rows(dataset, per_modality=PER_MODALITY)
    frame = dataset.frame.iloc[rows]
    pids, modality = frame["pid"].to_numpy(), frame["modality"].to_numpy()
    features = branch_features(model, dataset, rows)
    kinds: dict[str, tuple[np.ndarray, np.ndarray]] = {name: (each, modality) for name, each in features.items()}
    plain, generator = next(iter(features.values())), np.random.default_rng(0)
    direction = generator.normal(size=plain.shape[1])
    shift = np.outer(modality, direction / np.linalg.norm(direction)) * np.linalg.norm(plain, axis=1).mean()
    kinds["shifted"] = plain + shift, modality
    kinds["shuffled"] = plain, pd.Series(modality).groupby(pids).transform(generator.permutation).to_numpy()
    return {
        f"{kind}: {name}": values
        for kind, (points, labels) in kinds.items()
        for name, values in apart(points, labels, pids).items()
    }


def apart(features: np.ndarray, modality: np.ndarray, pids: np.ndarray) -> Mapping[str, pd.Series]:
    """Of features (N, D), by pid:

    ``"neighbours of the same modality"``: of the 10 nearest images of other people, by cosine, the share of the same
    modality; 0.5 where they are mixed. ``"distance of the modalities"``: between a person's two centroids, as a share
    of the mean distance to the centroids of others in the same modality. ``"modality on few dimensions"``: how many of
    a person's images a logistic probe on 4 principal components, trained on other people, gives to their modality.
    """
    unit = F.normalize(torch.from_numpy(np.ascontiguousarray(features)).double(), dim=1).numpy()
    cosines = np.where(pids[:, None] == pids, -np.inf, unit @ unit.T)
    number = min(NEIGHBOURS, int(np.isfinite(cosines).sum(axis=1).min()))
    nearest = np.argsort(-cosines, axis=1, kind="stable")[:, :number]
    purity = (modality[nearest] == modality[:, None]).mean(axis=1)

    people = np.unique(pids)
    centres = np.stack([[unit[(pids == p) & (modality == m)].mean(axis=0) for p in people] for m in (0, 1)])
    between = np.linalg.norm(centres[0] - centres[1], axis=1)
    others = np.linalg.norm(centres[:, :, None] - centres[:, None], axis=-1).sum(axis=2) / max(len(people) - 1, 1)

    reduced = PCA(min(DIMENSIONS, *unit.shape), random_state=0).fit_transform(unit)
    reader = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    folds = GroupKFold(min(FOLDS, len(people)))
    right = cross_val_predict(reader, reduced, modality, cv=folds, groups=pids) == modality
    return {
        "neighbours of the same modality": pd.Series(purity).groupby(pids).mean(),
        "distance of the modalities": pd.Series(between / np.maximum(others.mean(axis=0), 1e-12), index=people),
        "modality on few dimensions": pd.Series(right.astype(float)).groupby(pids).mean(),
    }


def _shuffled(labels: np.ndarray, pids: np.ndarray) -> np.ndarray:
    """The labels of people, exchanged between them."""
    _, first, person = np.unique(pids, return_index=True, return_inverse=True)
    return labels[first][np.random.default_rng(0).permutation(len(first))][person]
