"""Linear probes: what a linear reader finds in the features of a branch.

Reconstructed: a probe trained on some identities and asked about others (cross-validated by identity), since with the
same people on both sides it could recognise the person and remember the factor. Features are standardised on the
training side. Categories are read by logistic regression with balanced classes and scored by balanced accuracy (mean
recall; chance 1 / classes); numbers by ridge regression, scored by R² (chance 0, and less for a probe that overfits).
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import recall_score
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold, cross_val_predict
from sklearn.neighbors import NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from reidlib.data import ReIDDataset
from reidlib.explain.common import as_array
from reidlib.explain.truth import factors as identity_factors
from reidlib.losses._common import check_one_of

FOLDS = 5
PENALTY = 2.0
"""On the squared weights. It is multiplied by D, so that branches of different width are held back alike, and for ridge
regression by 4: a squared error is at least four times as curved as a logistic loss. Fixed, not tuned: a probe compares
branches. Reconstructed: on a trained baseline, 2 keeps what 0.01 to 10 find and overfits noise little."""
KINDS = ("categorical", "continuous", "circular")
NUISANCES = ("modality", "camera")
IDENTITY = "identity across cameras"
FACTORS = (
    *("hair", "hat", "bag", "outerwear", "boots", "top_texture", "bottom_texture"),
    *("height", "build", "shoulders", "legs"),
    *("top_hue", "bottom_hue", "top_luminance", "bottom_luminance", "top_nir", "bottom_nir"),
)
"""The factors of a person that `probe_table` asks for unless told otherwise."""


class TooFewIdentities(ValueError):
    """There are not enough identities, or classes, to hold some of them out."""


@dataclass(frozen=True)
class ProbeResult:
    """What a probe read from features.

    Attributes:
        kind: ``"categorical"``, ``"continuous"``, ``"circular"`` or ``"identity"``.
        score: balanced accuracy (0–1) or R² (at most 1) of all held-out predictions together.
        std: standard deviation of the score over folds, or over cameras.
        chance: score of a reader without information: 1 / classes, or 0.
        shuffled: score of the same probe on shuffled labels: of the identities where a label belongs to the person,
            of the images where it does not. Away from ``chance``, the data are too few to tell.
        classes: number of classes; 0 for numbers.
        images, identities: how many had a label and took part.
    """

    kind: str
    score: float
    std: float
    chance: float
    shuffled: float
    classes: int
    images: int
    identities: int


def probe(
    features: np.ndarray | Tensor, labels: Sequence, pids: np.ndarray, *, kind: str | None = None, seed: int = 0
) -> ProbeResult:
    """Read a label from features with a linear probe, cross-validated by identity in `FOLDS` folds.

    Args:
        features: (N, D), any scale.
        labels: (N,); images whose label is missing (NaN, None) are left out, and so are classes with fewer identities
            than there are folds.
        pids: (N,); no identity is in two folds.
        kind: ``"categorical"``; ``"continuous"``; ``"circular"``, shares of a turn such as a hue, read as the point
            (cos, sin) on the unit circle, so that 0.99 lies beside 0.01. Default: continuous for fractional numbers.
        seed: of the folds and of the shuffled control.

    Raises:
        ValueError: wrong shapes, features that are not finite, an unknown kind.
        TooFewIdentities: fewer identities than folds, or fewer than two classes with so many.
    """
    features, labels, pids = as_array(features), pd.Series(list(labels)), np.asarray(pids)
    if features.ndim != 2 or not len(features) == len(labels) == len(pids) or not np.isfinite(features).all():
        raise ValueError(
            f"a probe needs finite features (N, D), N labels and N pids, got {features.shape}, {len(labels)} and "
            f"{len(pids)}"
        )
    if kind is None:
        kind = "continuous" if pd.api.types.is_float_dtype(labels) else "categorical"
    check_one_of("kind", kind, KINDS)
    kept = labels.notna().to_numpy()
    if kind == "categorical":
        held = pd.Series(pids[kept]).groupby(labels[kept].to_numpy()).nunique()
        kept = kept & labels.isin(held.index[held >= FOLDS]).to_numpy()
    features, labels, pids = features[kept], labels[kept], pids[kept]
    identities = len(np.unique(pids))
    if identities < FOLDS or (kind == "categorical" and labels.nunique() < 2):
        raise TooFewIdentities(
            f"{identities} identities and {labels.nunique()} classes or values are left: a probe with {FOLDS} folds "
            "needs as many identities, and two classes that each have as many"
        )
    classes = labels.nunique() if kind == "categorical" else 0
    values = pd.factorize(labels, sort=True)[0] if classes else labels.to_numpy(np.float64)
    if kind == "circular":
        values = np.stack([np.cos(2 * np.pi * values), np.sin(2 * np.pi * values)], axis=1)
    score, std = _cross_validated(features, values, pids, classes, seed)
    shuffled, _ = _cross_validated(features, _shuffled(values, pids, seed), pids, classes, seed)
    chance = 1 / classes if classes else 0.0
    return ProbeResult(kind, score, std, chance, shuffled, classes, len(pids), identities)


def probe_identity(
    features: np.ndarray | Tensor, pids: np.ndarray, camids: np.ndarray, *, seed: int = 0
) -> ProbeResult:
    """How well a person is recognised on a camera by the mean features of the other cameras.

    Identity cannot be held out of its own probe. Here the cameras are: each in turn is asked about, with the nearest
    of the centroids of all other cameras (standardised features, Euclidean distance). ``score`` and ``shuffled`` are
    balanced accuracies, the mean over cameras.

    Args:
        features: (N, D). ``pids``, ``camids``: (N,); pass the modality for ``camids`` to ask across modalities.

    Raises:
        TooFewIdentities: fewer than two identities were seen by two cameras; the others do not take part.
    """
    features, pids, camids = as_array(features), np.asarray(pids), np.asarray(camids)
    cameras = pd.Series(camids).groupby(pids).transform("nunique").to_numpy()
    features, pids, camids = features[cameras > 1], pids[cameras > 1], camids[cameras > 1]
    known, pids = np.unique(pids, return_inverse=True)
    if len(known) < 2:
        raise TooFewIdentities("fewer than two identities were seen by two cameras: none can be recognised on another")
    random = np.random.default_rng(seed)
    scores, controls = [], []
    for camera in np.unique(camids):
        asked = camids == camera
        for record, truth in ((scores, pids), (controls, random.permutation(pids))):
            with warnings.catch_warnings():
                # With few images of each person, sklearn takes their numbers for a regression, and says so.
                warnings.filterwarnings("ignore", message="The number of unique classes")
                reader = make_pipeline(StandardScaler(), NearestCentroid()).fit(features[~asked], truth[~asked])
            record.append(_balanced_accuracy(truth[asked], reader.predict(features[asked])))
    score, std, shuffled = float(np.mean(scores)), float(np.std(scores)), float(np.mean(controls))
    return ProbeResult("identity", score, std, 1 / len(known), shuffled, len(known), len(pids), len(known))


def probe_table(
    features: Mapping[str, np.ndarray | Tensor],
    dataset: ReIDDataset,
    rows: np.ndarray,
    *,
    factors: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Probe every branch for every factor.

    Args:
        features: branch → (N, D), aligned with ``rows``; see `reidlib.explain.branch_embeddings`.
        rows: (N,) frame positions.
        factors: ``"modality"``, ``"camera"``, ``"identity across cameras"``, and columns of
            `reidlib.explain.factors`; names that end in ``_hue`` are circular. Default: those three and, on a twin,
            those of `FACTORS` that its identities have.

    Returns:
        One line per branch and factor: ``branch``, ``factor`` and the fields of `ProbeResult`. ``score`` is NaN where
        there are too few identities or classes, as in the smallest profiles.

    Raises:
        ValueError: an unknown factor, or an identity factor of real images: only twins know theirs.
    """
    frame = dataset.frame.iloc[rows]
    pids, camids = frame["pid"].to_numpy(), frame["camid"].to_numpy()
    always = (*NUISANCES, IDENTITY)
    known = pd.DataFrame({"modality": frame["modality"].to_numpy(), "camera": camids})
    if dataset.is_twin if factors is None else set(factors) - set(always):
        known = known.join(identity_factors(dataset, rows).drop(columns=["row", "pid"]))
    if factors is None:
        factors = (*always, *(name for name in FACTORS if name in known))
    if unknown := [name for name in factors if name not in (*known, IDENTITY)]:
        raise ValueError(f"unknown factor {unknown[0]!r}; choose from: {IDENTITY}, {', '.join(known)}")
    lines = []
    for branch, values in features.items():
        for factor in factors:
            try:
                if factor == IDENTITY:
                    result = probe_identity(values, pids, camids)
                else:
                    kind = "circular" if factor.endswith("_hue") else None
                    result = probe(values, known[factor], pids, kind=kind)
            except TooFewIdentities:
                result = ProbeResult("too few identities", np.nan, np.nan, np.nan, np.nan, 0, 0, 0)
            lines.append({"branch": branch, "factor": factor, **asdict(result)})
    return pd.DataFrame(lines)


def _cross_validated(
    features: np.ndarray, values: np.ndarray, pids: np.ndarray, classes: int, seed: int
) -> tuple[float, float]:
    """Score of all held-out predictions together, and its standard deviation over folds."""
    strength = PENALTY * features.shape[1]
    if classes:
        reader = LogisticRegression(C=1 / strength, class_weight="balanced", max_iter=1000)
        folder = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    else:
        reader, folder = Ridge(alpha=4 * strength), GroupKFold(FOLDS)
    splits = list(folder.split(features, values, pids))
    predicted = cross_val_predict(make_pipeline(StandardScaler(), reader), features, values, cv=splits)
    if classes:
        scores = [_balanced_accuracy(values[test], predicted[test]) for _, test in splits]
        return _balanced_accuracy(values, predicted), float(np.std(scores))
    # One scale for all folds, the variance of everything: that of a few people in one fold says little.
    unexplained = np.square(predicted - values).reshape(len(values), -1).sum(axis=1)
    unexplained /= max(np.square(values - values.mean(axis=0)).sum() / len(values), 1e-12)
    scores = [1 - unexplained[test].mean() for _, test in splits]
    return float(1 - unexplained.mean()), float(np.std(scores))


def _balanced_accuracy(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Mean recall of the classes that occur in ``truth`` (whole numbers from 0)."""
    return float(recall_score(truth, predicted, labels=np.unique(truth), average="macro"))


def _shuffled(values: np.ndarray, pids: np.ndarray, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    _, first, person = np.unique(pids, return_index=True, return_inverse=True)
    if (values == values[first][person]).all():  # of the person: exchanged between people
        return values[first][random.permutation(len(first))][person]
    return values[random.permutation(len(values))]
