"""What the auxiliary modality of DALNet shows, and whether it lies between photos and sketches.

Documented (Liu et al., "DALNet: Differentiable Auxiliary Learning for Sketch Re-Identification", AAAI 2024, abstract):
auxiliary images make the described person stand out while the background recedes, and through them photos and sketches
come together. Reconstructed (ours; the paper's own measures are not known): the share of an image's gradient that lies
on the person, and distances of the three modalities in the space of the test feature. True masks are known for twins
only; they judge, and no model has seen them.

:func:`foreground_maps` shows where the person, the object or the face is: a guess without training, a trained network,
and the truth of a twin.
"""

from collections.abc import Mapping
from itertools import repeat

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from reidlib.data import ReIDDataset, normalise
from reidlib.explain.common import BATCH, sized_images
from reidlib.explain.embedding import branch_embeddings, sums_by_person
from reidlib.explain.localisation import energy_inside
from reidlib.explain.truth import masks
from reidlib.methods.dalnet.auxiliary import XDoG, luminance
from reidlib.methods.dalnet.foreground import pseudo_mask
from reidlib.methods.dalnet.model import DALNet
from reidlib.networks import ReIDModel
from reidlib.networks.base import device_of, evaluating

PAIRS = {
    "sketch–photo": ("sketch", "photo"),
    "sketch–auxiliary": ("sketch", "auxiliary"),
    "auxiliary–photo": ("auxiliary", "photo"),
}
"""Names of pairs of modalities, and the two."""
DIFFERENT = ", different identities"


def drawings(
    model: ReIDModel, dataset: ReIDDataset, rows: np.ndarray, donors: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """What becomes of the photos at ``rows`` on their way to the auxiliary modality.

    Args:
        model: a DALNet; it stays as it is.
        donors: (N,) rows of the sketches whose style they take; default: the average style of the training sketches.

    Returns:
        Of the steps that the model has, ``photo`` and ``cleaned`` (N, H, W, 3), ``mask`` and ``edges`` (N, H, W),
        ``auxiliary`` (N, H, W) or, of convolutions, (N, H, W, 3); float32 in 0–1, at the size of training.

    Raises:
        ValueError: the model draws nothing, or a row holds a sketch (among ``donors``: a photo).
    """
    if not hasattr(model, "panel"):
        raise ValueError(f"{type(model).__name__} has no auxiliary modality: it draws nothing")
    _require_modality(dataset, "rows", rows, 0)
    if donors is not None:
        _require_modality(dataset, "donors", donors, 1)
    images, given, parts = sized_images(model, dataset), (BATCH, device_of(model)), []
    styles = repeat(None) if donors is None else images.batches(donors, *given)
    with evaluating(model):
        for photos, style in zip(images.batches(rows, *given), styles, strict=False):
            parts.append({name: step.cpu() for name, step in model.panel(photos, style).items()})
    steps = {name: torch.cat([part[name] for part in parts]).float() for name in parts[0]}
    return {name: (s[:, 0] if s.shape[1] == 1 else s.permute(0, 2, 3, 1)).numpy() for name, s in steps.items()}


def gradient_magnitude(images: Tensor) -> np.ndarray:
    """Length of the luminance gradient by central differences, (B, 1 or 3, H, W) in 0–1 → (B, H, W) float32."""
    grey = luminance(images.expand(-1, 3, -1, -1).float())[:, 0]
    down, across = torch.gradient(grey, dim=(1, 2))
    return torch.hypot(down, across).cpu().numpy()


def gradient_table(model: ReIDModel, dataset: ReIDDataset, rows: np.ndarray) -> pd.DataFrame:
    """How much of the gradient of photos of a twin, and of what is drawn of them, lies on the true person (or thing).

    Returns:
        One line per photo and image: ``row``, ``pid``, ``image`` (``"photo"``; ``"fixed XDoG"``, the edges of the
        photo as it is; of a model that cleans, ``"cleaned XDoG"``, those of the cleaned photo; and of a model that
        draws, ``"auxiliary"``, in the average style), ``inside`` (share of the sum
        of the gradient's length on the true mask, NaN for a flat image) and ``area`` (share of the pixels on the mask:
        what an image with an equal gradient everywhere would have).

    Raises:
        ValueError: not a twin, or a row holds a sketch.
    """
    rows = np.asarray(rows)
    _require_modality(dataset, "rows", rows, 0)
    person, _ = masks(dataset, rows)
    photos = sized_images(model, dataset).tensor(rows).float() / 255
    true = F.interpolate(torch.from_numpy(person)[:, None].float(), photos.shape[2:], mode="area")[:, 0].numpy() > 0.5
    with torch.inference_mode():
        shown = {"photo": photos, "fixed XDoG": XDoG(learned=False)(photos)}
    if hasattr(model, "panel"):
        steps = {name: torch.from_numpy(step) for name, step in drawings(model, dataset, rows).items()}
        if "cleaned" in steps:
            with torch.inference_mode():
                shown["cleaned XDoG"] = XDoG(learned=False)(steps["cleaned"].permute(0, 3, 1, 2))
        drawn = steps["auxiliary"]
        shown["auxiliary"] = drawn[:, None] if drawn.ndim == 3 else drawn.permute(0, 3, 1, 2)
    about = pd.DataFrame({"row": rows, "pid": dataset.frame["pid"].to_numpy()[rows], "area": true.mean(axis=(1, 2))})
    tables = [about.assign(image=n, inside=energy_inside(gradient_magnitude(s), true)) for n, s in shown.items()]
    return pd.concat(tables, ignore_index=True)[["row", "pid", "image", "inside", "area"]]


def distance_table(model: ReIDModel, dataset: ReIDDataset, *, split: str = "test") -> pd.DataFrame:
    """Mean cosine distances (0–2) between modalities in the space of the test feature, identity by identity.

    Auxiliary images are made of the photos, in the average style of the training sketches. An auxiliary image and a
    photo of one identity are compared also where one was made of the other.

    Returns:
        One line per identity with images of both modalities and pair of modalities: ``pid``, ``pair`` (of ``PAIRS``;
        of a model that draws nothing ``"sketch–photo"`` alone), ``same`` (mean over all pairs of images of the
        identity) and ``different`` (mean over the pairs of its image of the first modality and one of another identity
        of the second; NaN if there is no other).

    Raises:
        ValueError: no identity of the split has images of both modalities.
    """
    rows = dataset.rows(split)
    frame = dataset.frame.iloc[rows]
    rows = rows[frame.groupby("pid")["modality"].transform("nunique").to_numpy() == 2]
    if len(rows) == 0:
        raise ValueError(f"no identity has images of both modalities in {split} of {dataset.title}")
    pids, modality = (dataset.frame[name].to_numpy()[rows] for name in ("pid", "modality"))
    branches = [model.branches[0], *(["auxiliary"] if "auxiliary" in model.branches else [])]
    embeddings = branch_embeddings(model, dataset, rows, branches)
    features = {"sketch": (branches[0], 1), "photo": (branches[0], 0), "auxiliary": ("auxiliary", 0)}
    sums, counts = {}, {}
    for name, (branch, wanted) in features.items():
        if branch in embeddings:
            people, added, number = sums_by_person(embeddings[branch].double(), pids, modality)
            sums[name], counts[name] = added[wanted], number[wanted].double()
    tables = []
    for pair, (one, other) in PAIRS.items():
        if one in sums and other in sums:
            # A sum of cosines is the cosine with the sum: no matrix of all pairs is needed.
            within = (sums[one] * sums[other]).sum(dim=1)
            across = (sums[one] * (sums[other].sum(dim=0) - sums[other])).sum(dim=1)
            others = counts[other].sum() - counts[other]
            different = torch.where(others > 0, 1 - across / (counts[one] * others), torch.nan)
            same = 1 - within / (counts[one] * counts[other])
            tables.append(pd.DataFrame({"pid": people, "pair": pair, "same": same, "different": different}))
    return pd.concat(tables, ignore_index=True)


def auxiliary_values(distances: pd.DataFrame, gradients: pd.DataFrame | None = None) -> dict[str, float]:
    """The numbers of a `distance_table` and, of a twin, a `gradient_table`, under readable names.

    ``"gradient inside, …"`` for each kind of image (photos of one identity are averaged first), ``"gradient inside,
    chance"``, the area of the masks; ``"photos"``, how many; for each pair of modalities its mean distance within
    identities and ``"…, different identities"``. And, of a model that draws, ``"between"``: the distance sketch–photo
    less the larger of the two by way of the auxiliary image, each as a share of its distance between different
    identities. Above 0, auxiliary images lie between: they are nearer to both, measured by how far strangers are apart.
    """
    values: dict[str, float] = {}
    if gradients is not None:
        identities = gradients.groupby(["image", "pid"], sort=False)[["inside", "area"]].mean()
        means = identities.groupby(level="image", sort=False).mean()
        values |= {f"gradient inside, {image}": share for image, share in means["inside"].items()}
        values |= {"gradient inside, chance": means["area"].iloc[0], "photos": gradients["row"].nunique()}
    pairs = distances.groupby("pair", sort=False)[["same", "different"]].mean()
    for pair, (same, different) in pairs.iterrows():
        values |= {str(pair): same, f"{pair}{DIFFERENT}": different}
    if "sketch–auxiliary" in pairs.index:
        share = pairs["same"] / pairs["different"]
        values["between"] = share["sketch–photo"] - max(share["sketch–auxiliary"], share["auxiliary–photo"])
    values["identities"] = distances["pid"].nunique()
    return {name: float(value) for name, value in values.items()}


def embedded_modalities(model: ReIDModel, dataset: ReIDDataset, rows: np.ndarray) -> tuple[pd.DataFrame, np.ndarray]:
    """Test features of photos, sketches and, of a model that draws, auxiliary images, to be projected together.

    Returns:
        ``row``, ``pid``, ``camid`` and ``modality`` (0 photo, 1 sketch, 2 auxiliary image of the photo at the row), and
        the embeddings (lines, D) in the same order.
    """
    rows = np.asarray(rows)
    about = dataset.frame.iloc[rows][["pid", "camid", "modality"]].reset_index(drop=True)
    about.insert(0, "row", rows)
    branches = [model.branches[0], *(["auxiliary"] if "auxiliary" in model.branches else [])]
    found = branch_embeddings(model, dataset, rows, branches)
    values = found[branches[0]].numpy()
    if "auxiliary" in found:
        photos = about["modality"].to_numpy() == 0
        values = np.concatenate([values, found["auxiliary"].numpy()[photos]])
        about = pd.concat([about, about[photos].assign(modality=2)], ignore_index=True)
    return about, values


def _require_modality(dataset: ReIDDataset, name: str, rows: np.ndarray, modality: int) -> None:
    if (dataset.frame["modality"].iloc[rows] != modality).any():
        kind = dataset.reader.modalities[modality]
        raise ValueError(f"{name} must be rows of {kind} images: every row must be one (modality {modality})")


TRUTH = "truth"


@torch.no_grad()
def foreground_maps(
    dataset: ReIDDataset, rows: np.ndarray, height: int, width: int, model: DALNet | None = None
) -> dict[str, np.ndarray]:
    """Maps of the foreground of photos of a twin, at the size that a network sees.

    Args:
        rows: photos (modality 0), positions in ``dataset.frame``.
        model: a DALNet with a mask network, whose masks come last.

    Returns:
        name → (N, height, width) float32 in 0–1: ``"truth"`` (0 or 1), ``"ellipse"`` and ``"guess"`` (the start and the
        end of `reidlib.methods.dalnet.foreground.pseudo_mask`), ``"learned"``.

    Raises:
        ValueError: not a twin, a row that is no photo, or a model without a mask network.
    """
    rows = np.asarray(rows)
    _require_modality(dataset, "rows", rows, 0)
    person = torch.from_numpy(masks(dataset, rows)[0]).float()[:, None]
    images = dataset.images(height, width, progress=False).tensor(rows)
    photos = images.float() / 255
    found = {
        TRUTH: (F.adaptive_avg_pool2d(person, (height, width)) > 0.5).float(),
        "ellipse": pseudo_mask(photos, rounds=0),
        "guess": pseudo_mask(photos),
    }
    if model is not None:
        steps = model.panel(normalise(images).to(model.image_mean.device))
        if "mask" not in steps:
            raise ValueError("the model has no mask network: it was built with clean=False or without a DAG")
        found["learned"] = steps["mask"].float().cpu()
    return {name: maps[:, 0].numpy() for name, maps in found.items()}


def overlaps(maps: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """How well each of the maps of :func:`foreground_maps` agrees with the first, ``"truth"``.

    Returns:
        One line per image and map: ``image`` (0, 1, …), ``map``, ``overlap`` (intersection over union of what is above
        one half; 1 if both are empty), ``found`` (share of the foreground that the map covers) and ``inside`` (share of
        the map that lies on the foreground); the last two weigh pixels by the map, and are NaN where there is nothing
        to share out.
    """
    true = maps[TRUTH] > 0.5
    tables = []
    for name, values in maps.items():
        chosen = values > 0.5
        both, union = (chosen & true).sum((1, 2)), (chosen | true).sum((1, 2))
        columns = {
            "overlap": np.divide(both, union, out=np.ones(len(values)), where=union > 0),
            "found": energy_inside(true, values),
            "inside": energy_inside(values, true),
        }
        tables.append(pd.DataFrame({"image": np.arange(len(values)), "map": name, **columns}))
    return pd.concat(tables[1:], ignore_index=True)
