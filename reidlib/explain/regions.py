"""Which region made a match? Hide a part of the body in an image of a pair, and see how far their cosine falls.

Occlusion (:mod:`reidlib.explain.occlusion`) with the true parts of a twin in the place of square cells, and with one
image of a ranked list as the partner. Reconstructed (ours). The cosine of two strangers falls as well when one of them
loses the legs: a region has made *this* match if hiding it costs the right pair more than the nearest stranger.
"""

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from reidlib.data import ReIDDataset
from reidlib.data.registry import renderer
from reidlib.evaluation.retrieval import Retrieval
from reidlib.explain.occlusion import HiddenImages
from reidlib.explain.truth import masks
from reidlib.losses._common import check_one_of
from reidlib.networks import ReIDModel

REGIONS = {
    "head": ("head", "hair", "hat"),
    "torso": ("torso",),
    "arms": ("arm", "hand"),
    "legs": ("leg",),
    "feet": ("foot",),
    "bag": ("bag",),
    "background": ("background",),
}
"""Region → the parts of `reidlib.twins.PARTS` that it is made of. Each part is in one region."""
SMALLEST = 0.005


def matched_pairs(retrieval: Retrieval, dataset: ReIDDataset, *, seed: int = 0) -> pd.DataFrame:
    """Right matches to look at: for each person one query, drawn among those whose nearest gallery image is right.

    Args:
        retrieval: deep enough to show a stranger behind the right images of each query.

    Returns:
        ``query``, ``match`` (its nearest image) and ``stranger`` (the nearest image of somebody else), rows of the
        frame, by person; no lines if no query was answered rightly.
    """
    right = np.flatnonzero((retrieval.first_match == 1) & (~retrieval.correct & (retrieval.gallery_rows >= 0)).any(1))
    right = np.random.default_rng(seed).permutation(right)
    pids = dataset.frame["pid"].to_numpy()[retrieval.query_rows[right]]
    chosen = right[np.unique(pids, return_index=True)[1]]
    strangers = (~retrieval.correct[chosen]).argmax(axis=1)
    gallery = retrieval.gallery_rows[chosen]
    columns = {"query": retrieval.query_rows[chosen], "match": gallery[:, 0]}
    return pd.DataFrame(columns | {"stranger": gallery[np.arange(len(chosen)), strangers]})


def region_drops(
    model: ReIDModel,
    dataset: ReIDDataset,
    query_rows: np.ndarray,
    gallery_rows: np.ndarray,
    *,
    branch: str | None = None,
) -> pd.DataFrame:
    """How far the cosine of each pair of images falls when a region is hidden in one of them, or in both.

    Args:
        query_rows, gallery_rows: (P,) frame rows: the images of each pair.
        branch: one of ``model.branches``; default the test feature.

    Returns:
        A line for each pair and region: ``pair`` (from 0), ``query`` and ``gallery`` (rows), ``pid`` (of the query),
        ``region``, ``query area`` and ``gallery area`` (shares of the pixels), ``cosine`` of the whole images, and
        ``query``/``gallery``/``both hidden``: by how much it falls, below 0 where it rises. NaN where a region that
        would be hidden takes up less than 0.5 % of its image.

    Raises:
        ValueError: not a twin of whole people, no pair, or not as many images on either side.
    """
    query_rows, gallery_rows = np.asarray(query_rows), np.asarray(gallery_rows)
    if len(query_rows) != len(gallery_rows) or not len(query_rows):
        raise ValueError(f"give one gallery row a query row: got {len(query_rows)} and {len(gallery_rows)}")
    rows, places = np.unique(np.concatenate([query_rows, gallery_rows]), return_inverse=True)
    query, gallery = torch.from_numpy(places).chunk(2)
    embed = HiddenImages(model, dataset, rows, branch)
    where = _regions(dataset, rows)
    whole = embed(torch.zeros(1, 1, *model.image_size, dtype=torch.bool))
    cosine = (whole[query] * whole[gallery]).sum(dim=1)
    pids = dataset.frame["pid"].to_numpy()[query_rows]
    about = {"pair": np.arange(len(query)), "query": query_rows, "gallery": gallery_rows, "pid": pids}
    tables = []
    for region, mask in where.items():
        area = mask.double().mean(dim=(1, 2))
        sized = F.interpolate(mask[:, None].float(), model.image_size, mode="area") > 0.5
        hidden, shown = embed(sized), area >= SMALLEST
        left = {
            "query": ((hidden[query] * whole[gallery]).sum(dim=1), shown[query]),
            "gallery": ((whole[query] * hidden[gallery]).sum(dim=1), shown[gallery]),
            "both": ((hidden[query] * hidden[gallery]).sum(dim=1), shown[query] & shown[gallery]),
        }
        drops = {
            f"{side} hidden": torch.where(known, cosine - other, torch.nan).numpy()
            for side, (other, known) in left.items()
        }
        areas = {"query area": area[query].numpy(), "gallery area": area[gallery].numpy()}
        tables.append(pd.DataFrame({**about, "region": region, **areas, "cosine": cosine.numpy(), **drops}))
    return pd.concat(tables, ignore_index=True).sort_values("pair", kind="stable", ignore_index=True)


def region_maps(drops: pd.DataFrame, dataset: ReIDDataset, side: str) -> np.ndarray:
    """The drops of `region_drops` painted on the images: for each pair, each pixel has the drop of its region.

    Args:
        side: ``"query"`` or ``"gallery"``: which image of each pair, and what was hidden in it.

    Returns:
        (P, H, W) float32 at the size of the twin's images, from 0; 0 also where hiding brings the pair together.
    """
    check_one_of("side", side, ("query", "gallery"))
    wide = drops.pivot(index="pair", columns="region", values=f"{side} hidden")
    rows = drops.drop_duplicates("pair").set_index("pair").loc[wide.index, side].to_numpy()
    where = _regions(dataset, rows)
    values = {name: torch.from_numpy(np.nan_to_num(wide[name].to_numpy(np.float32))) for name in where}
    return F.relu(sum(mask * values[name][:, None, None] for name, mask in where.items())).numpy()


def _regions(dataset: ReIDDataset, rows: np.ndarray) -> dict[str, Tensor]:
    """Region → masks (N, H, W) bool."""
    if not dataset.is_twin or dataset.reader.shape != "person":
        raise ValueError(f"{dataset.title}: the parts of the body are known for twins of whole people only")
    known = renderer().PARTS

    parts = torch.from_numpy(masks(dataset, rows)[1])
    return {
        region: torch.isin(parts, torch.tensor([known.index(name) for name in names], dtype=parts.dtype))
        for region, names in REGIONS.items()
    }
