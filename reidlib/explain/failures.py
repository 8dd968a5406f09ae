"""What do the queries have in common that a model gets wrong? Rendered circumstances and people, one at a time.

Reconstructed (ours). A gallery of failures shows a few; here every query counts, by what is known of a twin: camera,
view, what is hidden, blur, clothes, and two things no single image shows: how many others look alike, and whether the
clothes are as bright in the near infrared as in visible light.
"""

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from reidlib.data import ReIDDataset
from reidlib.data.registry import renderer
from reidlib.evaluation import EvaluationResult
from reidlib.explain.truth import factors

LOOKS = ("outerwear", "hat", "bag", "hair")
"""What look-alikes have in common."""
OCCLUDERS = {"none": "nothing", "low": "the feet", "left": "a side", "right": "a side"}
SAMPLES = 2000
FEWEST = 5
"""People that a level, and the others, must show for an interval over people to mean anything."""
_OF_CLOTH = ("nir", "luminance", "texture")


def missed_queries(result: EvaluationResult, dataset: ReIDDataset) -> pd.Series:
    """Row of each query → share (0–1) of the trials in which the nearest image of its gallery shows somebody else."""
    parts = []
    for trial, drawn in zip(result.trials, result.protocol.trials(dataset), strict=True):
        missed = pd.Series(trial.ranking.first_match_rank != 1, index=drawn.query_rows, dtype=float)
        parts.append(missed[trial.ranking.valid])
    return pd.concat(parts).groupby(level=0).mean()


def query_conditions(dataset: ReIDDataset, rows: np.ndarray) -> pd.DataFrame:
    """The circumstances of images of rendered people, and the people, in words: a line a row, a column a condition.

    Numbers become thirds of the images at ``rows``. *Brightness changes*: the mean absolute difference
    of near-infrared albedo and luminance over what is worn outside above and below. *Look-alikes*: test identities of
    the same ``LOOKS``.

    Raises:
        ValueError: not a twin of whole people, or a row holds a drawing, which has no circumstances.
    """
    if not dataset.is_twin or dataset.reader.shape != "person":
        raise ValueError(f"{dataset.title}: circumstances are known for twins of whole people only")
    rows = np.asarray(rows)
    scenes = [renderer().TWINS[dataset.name].describe(path)[1] for path in dataset.frame["path"].iloc[rows]]
    if not all(hasattr(scene, "pose") for scene in scenes):
        raise ValueError("circumstances are those of photos: leave the rows of drawings out")
    known = factors(dataset, rows)
    facing = np.cos([scene.pose.yaw for scene in scenes])
    bare = known["outerwear"] == "none"
    above = {name: np.where(bare, known[f"top_{name}"], known[f"outer_{name}"]) for name in _OF_CLOTH}
    below = {name: known[f"bottom_{name}"].to_numpy() for name in _OF_CLOTH}
    changes = [np.abs((cloth["nir"] - cloth["luminance"]).astype(float)) for cloth in (above, below)]
    return pd.DataFrame(
        {
            "camera": [f"camera {camid}" for camid in dataset.frame["camid"].iloc[rows]],
            "hidden": [OCCLUDERS[scene.occluder] for scene in scenes],
            "view": np.select([facing > 0.7, facing < -0.7], ["front", "back"], "side"),
            "blur": _thirds([scene.blur for scene in scenes], ("little", "medium", "strong")),
            "outerwear": known["outerwear"].to_numpy(),
            "hat": np.where(known["hat"], "hat", "none"),
            "bag": known["bag"].to_numpy(),
            "pattern above": np.where(above["texture"] == "plain", "plain", "patterned"),
            "brightness changes": _thirds(np.mean(changes, axis=0), ("little", "medium", "much")),
            "look-alikes": _thirds(_look_alikes(dataset, known), ("few", "some", "many")),
        },
        index=rows,
    )


def failure_table(missed: Mapping[str, pd.Series], dataset: ReIDDataset) -> pd.DataFrame:
    """Are queries of some kind missed more often than the others? One line for each model, condition and level.

    Args:
        missed: model → what `missed_queries` gives.

    Returns:
        ``model``, ``condition``, ``level``, ``queries`` and ``people`` of that level, ``missed`` (share, 0–1),
        ``difference`` to all other queries, and ``low`` and ``high``, the ends of its 95 % percentile interval in a
        bootstrap over people, who come with all their queries; these three are NaN where the level or the others have
        fewer than ``FEWEST`` people. The draws have a fixed seed, the same for every model and level.
    """
    lines = []
    for model, shares in missed.items():
        rows = shares.index.to_numpy()
        conditions = query_conditions(dataset, rows)
        people, person = np.unique(dataset.frame["pid"].to_numpy()[rows], return_inverse=True)
        draws = np.random.default_rng(0).multinomial(len(people), np.full(len(people), 1 / len(people)), SAMPLES)
        for condition, levels in conditions.items():
            for level in _ordered(levels):
                inside = (levels == level).to_numpy()
                counts, sums = (
                    np.stack([np.bincount(person, where * weight, len(people)) for where in (inside, ~inside)], axis=1)
                    for weight in (1.0, shares.to_numpy())
                )
                about = (model, condition, level, int(inside.sum()), len(np.unique(person[inside])))
                rate = sums[:, 0].sum() / counts[:, 0].sum()
                lines.append((*about, rate, *_difference(sums, counts, draws)))
    columns = ["model", "condition", "level", "queries", "people", "missed", "difference", "low", "high"]
    return pd.DataFrame(lines, columns=columns)


def _difference(sums: np.ndarray, counts: np.ndarray, draws: np.ndarray) -> tuple[float, float, float]:
    """Of (people, 2) sums and counts, inside and outside: difference of the means, and its interval."""
    if ((counts > 0).sum(axis=0) < FEWEST).any():
        return math.nan, math.nan, math.nan
    drawn = draws @ counts
    usable = drawn.all(axis=1)
    means = (draws @ sums)[usable] / drawn[usable]
    inside, outside = sums.sum(axis=0) / counts.sum(axis=0)
    low, high = np.quantile(means[:, 0] - means[:, 1], [0.025, 0.975])
    return float(inside - outside), float(low), float(high)


def _look_alikes(dataset: ReIDDataset, known: pd.DataFrame) -> np.ndarray:
    """For each row, how many other test identities have its looks."""
    test = dataset.rows("test")
    first = test[np.unique(dataset.frame["pid"].to_numpy()[test], return_index=True)[1]]
    counts = factors(dataset, first)[list(LOOKS)].value_counts()
    return np.array([counts[looks] - 1 for looks in known[list(LOOKS)].itertuples(index=False, name=None)])


def _thirds(values: object, names: tuple[str, str, str]) -> np.ndarray:
    """Equal values are in one third, so the thirds may be uneven."""
    values = np.asarray(values, np.float64)
    low, high = np.quantile(values, [1 / 3, 2 / 3])
    return np.select([values <= low, values <= high], names[:2], names[2])


def _ordered(levels: pd.Series) -> list[str]:
    """Levels as they are read: thirds from low to high, others by how many there are."""
    thirds = ("little", "few", "medium", "some", "strong", "much", "many")
    if set(levels) <= set(thirds):
        return [name for name in thirds if name in set(levels)]
    return levels.value_counts().sort_index().sort_values(ascending=False, kind="stable").index.tolist()
