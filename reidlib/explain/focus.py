"""Does a network look at the person, in both modalities? Maps against true masks, on a fixed sample of test images.

Documented (Qi et al., ICME 2023, FIENet, abstract): PFAM and MPIM draw attention to telling body parts in both
modalities. Reconstructed (ours; the paper's own measure is not known): Grad-CAM, which papers show, and occlusion, the
check on it (:mod:`reidlib.explain.occlusion`), scored as in :mod:`reidlib.explain.localisation`, beside controls that
know nothing; the same images for every model, each modality by itself.

*Visible* stands for modality 0 and *infrared* for modality 1, also where they are photos and sketches.
"""

import itertools
import math

import numpy as np
import pandas as pd
from scipy import stats

from reidlib.data import ReIDDataset
from reidlib.explain.cam import cams
from reidlib.explain.embedding import sample_rows
from reidlib.explain.localisation import localisation_table
from reidlib.explain.occlusion import hidden_cosines, occlusion_maps
from reidlib.explain.truth import masks
from reidlib.networks import ReIDModel

MODALITIES = ("visible", "infrared")
SCORES = ("energy", "pointing", "parts")
MAPS = ("Grad-CAM", "occlusion")
FIXED = ("centred Gaussian", "uniform")
OTHER = "{} of another image"
COSINES = {"cosine": "nothing", "background hidden": "background", "person hidden": "person"}


def focus_rows(dataset: ReIDDataset, *, images: int = 64, seed: int = 0) -> np.ndarray:
    """Test images (int64, ascending) to look at: of each modality ``images`` or a few more, as many of each person.

    People are drawn among those whom both modalities show; if there are fewer than ``images``, all are taken, several
    times each. Fewer images come back only where people do not have as many.

    Raises:
        ValueError: nobody is seen in both modalities.
    """
    people = dataset.frame["pid"].iloc[sample_rows(dataset, per_modality=1)].nunique()
    each = math.ceil(images / people)
    return sample_rows(dataset, identities=min(images, people), per_modality=each, seed=seed)


def focus_table(
    model: ReIDModel, dataset: ReIDDataset, rows: np.ndarray | None = None, *, branch: str | None = None
) -> pd.DataFrame:
    """Scores of Grad-CAM, of occlusion and of their controls, image by image, as `localisation_table` gives them.

    ``map`` is one of ``MAPS``, that map ``"of another image"``, or one of ``FIXED``. The other image is of the same
    modality, and of another person unless one person has half of the images. An empty map shows nothing, as a uniform
    one does, and has the scores of that: so means of different models are over the same images. ``empty`` tells which
    they were. Beside these, in every line of an image: ``cosine``, with its target, ``background hidden`` and ``person
    hidden``, what is left of that in the mean colour of the image.

    Args:
        rows: test images; default `focus_rows`.
        branch: as in `reidlib.explain.cams`.

    Raises:
        ValueError: not a twin, or as `reidlib.explain.cams`.
    """
    rows = focus_rows(dataset) if rows is None else np.asarray(rows)
    rows = rows[np.lexsort((rows, dataset.frame["pid"].to_numpy()[rows]))]
    modality, truth = dataset.frame["modality"].to_numpy()[rows], masks(dataset, rows)
    found = cams(model, dataset, rows, branch=branch).maps, occlusion_maps(model, dataset, rows, branch=branch)
    hidden = hidden_cosines(model, dataset, rows, branch=branch, person=truth[0])
    cosines = {column: hidden[name].numpy() for column, name in COSINES.items()}
    tables = []
    for chosen in (np.flatnonzero(modality == number) for number in np.unique(modality)):
        of_these = tuple(mask[chosen] for mask in truth)
        for name, maps in zip(MAPS, found, strict=True):
            scores = localisation_table(maps[chosen], dataset, rows[chosen], name=name, truth=of_these)
            scores["map"] = scores["map"].replace("another image", OTHER.format(name))
            tables.append(scores if name == MAPS[0] else scores[~scores["map"].isin(FIXED)])
    table = pd.concat(tables, ignore_index=True)
    flat = table[table["map"] == "uniform"].set_index("row")[list(SCORES)]
    table.loc[table["empty"], list(SCORES)] = flat.loc[table.loc[table["empty"], "row"]].to_numpy()
    return table.merge(pd.DataFrame({"row": rows, **cosines}), on="row")


def focus_values(table: pd.DataFrame) -> dict[str, float]:
    """The means over images of a `focus_table`, under readable names; NaN where there is nothing.

    ``"energy, Grad-CAM, visible"``, and so on for every score, map and modality, from 0 to 1; for each modality,
    ``"empty, Grad-CAM, visible"`` and ``"empty, occlusion, visible"``, the share of maps that show nothing; ``"cosine,
    visible"``, ``"background hidden, visible"`` and ``"person hidden, visible"``, from −1 to 1; and ``"images,
    visible"``, how many images there are.
    """
    values = {}
    for number, modality in enumerate(MODALITIES):
        part = table[table["modality"] == number]
        for name in (*MAPS, *map(OTHER.format, MAPS), *FIXED):
            means = part.loc[part["map"] == name, list(SCORES)].mean()
            values |= {f"{score}, {name}, {modality}": means[score] for score in SCORES}
        values |= {f"empty, {name}, {modality}": part.loc[part["map"] == name, "empty"].mean() for name in MAPS}
        images = part.drop_duplicates("row")
        values |= {f"{name}, {modality}": images[name].mean() for name in COSINES}
        values[f"images, {modality}"] = len(images)
    return {name: float(value) for name, value in values.items()}


def focus_differences(measured: pd.DataFrame, model: str, reference: str) -> pd.DataFrame:
    """Are the maps of a model more on the person than their controls, and than the same maps of a reference?

    Args:
        measured: ``variant``, ``seed``, ``name``, ``value``, of `focus_values`, as
            `reidlib.experiments.studies.measures` gives them. Seeds count that both variants have.
        model, reference: variants.

    Returns:
        A line for each ``map`` (of ``MAPS``), ``score``, ``modality`` and what it is held ``against`` (the reference,
        another image, or one of ``FIXED``): ``difference`` (mean over seeds, −1 to 1), ``low`` and ``high`` ends of its
        95 % interval over seeds (Student's t; infinite with a single seed), ``seeds``, and ``verdict``: ``"more"``,
        ``"less"`` or ``"undecided"``.

    Raises:
        ValueError: there is no seed that both have.
    """
    values = measured.pivot_table(index="seed", columns=["variant", "name"], values="value")
    known = [set(values[name].dropna(how="all").index) if name in values else set() for name in (model, reference)]
    if not (seeds := sorted(set.intersection(*known))):
        raise ValueError(f"{model!r} and {reference!r} have not been measured with the same seed")
    ours, theirs = values.loc[seeds, model], values.loc[seeds, reference]
    lines = []
    for name, score, modality in itertools.product(MAPS, SCORES, MODALITIES):
        own = f"{score}, {name}, {modality}"
        others = {reference: theirs[own], "another image": ours[f"{score}, {OTHER.format(name)}, {modality}"]}
        others |= {control: ours[f"{score}, {control}, {modality}"] for control in FIXED}
        lines += [(name, score, modality, what, *_judged(ours[own] - other)) for what, other in others.items()]
    columns = ["map", "score", "modality", "against", "difference", "low", "high", "seeds", "verdict"]
    return pd.DataFrame(lines, columns=columns)


def _judged(differences: pd.Series) -> tuple[float, float, float, int, str]:
    number, mean = len(differences), differences.mean()
    half = stats.t.ppf(0.975, number - 1) * differences.std(ddof=1) / math.sqrt(number) if number > 1 else math.inf
    verdict = "more" if mean > half else "less" if mean < -half else "undecided"
    return float(mean), float(mean - half), float(mean + half), number, verdict
