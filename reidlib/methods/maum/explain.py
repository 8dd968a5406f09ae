"""Do the proxies of a classifier hold two modalities together, or do they only stand between them?

Documented (Liu et al., CVPR 2022, MAUM, abstract): one proxy for each identity, shared by both modalities, acts as a
relay; each modality comes near to it, and a gap between the modalities is tolerated. Reconstructed (ours; the paper's
own measure is not known): cosines between the two centres of an identity, one for each modality, and its proxies;
beside them the same cosines between different people, and those of the centres of people never seen in training.

*Visible* stands for modality 0 and *infrared* for modality 1, also where they are photos and sketches.

:func:`proxy_drift` says how far the proxies of MAUM have moved since each copy in their memory was taken.
"""

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from reidlib import evaluation
from reidlib.data import ReIDDataset
from reidlib.explain.embedding import sums_by_person
from reidlib.methods.maum.model import MAUM
from reidlib.networks import ReIDModel

COSINES = {
    "centres": "visible–infrared centres",
    "visible_proxy": "visible centre–own proxy",
    "infrared_proxy": "infrared centre–own proxy",
    "visible_counterpart": "visible centre–infrared proxy",
    "infrared_counterpart": "infrared centre–visible proxy",
    "proxies": "visible–infrared proxies",
}
"""Columns of `relay_table` and what they are called in figures."""
DIFFERENT, UNSEEN = ", different people", ", unseen people"


def class_proxies(model: ReIDModel, *, shared: bool = False) -> tuple[Tensor, Tensor]:
    """The proxies of the classes for visible and for infrared images, each (C, P, D) float32.

    P is the number of parts that the test feature is made of, one after another: 1, or the stripes of MAUM-P. Every
    part has unit length, as in the losses. A model with one classifier for both modalities gives its rows twice.

    Args:
        shared: of a MAUM that has both kinds, the proxies that both modalities share.

    Raises:
        ValueError: the model has no such proxies.
    """
    name = "shared_proxies" if shared else "proxies"
    if isinstance(sets := getattr(model, name, None), nn.ModuleList) and len(sets):
        parts_of_each = (sets, sets) if shared else sets
        weights = [torch.stack([part.weight for part in parts], dim=1) for parts in parts_of_each]
    elif isinstance(head := getattr(model, "classifier", None), nn.Linear):
        weights = 2 * [head.weight[:, None]]
    else:
        raise ValueError(f"{type(model).__name__} has no proxies: neither a linear `classifier` nor `{name}`")
    visible, infrared = (F.normalize(weight.detach().float(), dim=2) for weight in weights)
    return visible, infrared


def relay_table(model: ReIDModel, dataset: ReIDDataset, pids: np.ndarray, *, shared: bool = False) -> pd.DataFrame:
    """One line for every person with images in both modalities: cosines (-1 to 1) of centres and proxies.

    A *centre* is the mean of a person's test features in a modality, scaled to unit length. People of ``pids`` are
    looked at in their training images, without augmentation, all test identities in theirs. Where the test feature has
    parts, each part is scaled to unit length by itself and a cosine is the mean over the parts.

    Args:
        pids: (C,), the identity of each class, such as ``run.pids``; people held out for validation are not among them.
        shared: as in `class_proxies`.

    Returns:
        Columns ``pid``; ``seen``, whether the model was trained on the person; those of ``COSINES``, NaN where proxies
        are missing; and for each of them ``<name>_different``, its mean over all other people in place of the second
        partner: the centre of one person and the proxies of all others, for example. NaN if there are no others.

    Raises:
        ValueError: the model has no proxies, or they do not fit ``pids`` or the test feature; an identity of ``pids``
            without training images; nobody among them was seen in both modalities.
    """
    proxies, pids = class_proxies(model, shared=shared), np.asarray(pids)
    if len(pids) != len(proxies[0]):
        raise ValueError(f"the model has proxies of {len(proxies[0])} classes, and pids name {len(pids)} identities")
    known = dataset.frame["pid"].to_numpy()
    train, test = dataset.rows("train"), dataset.rows("test")
    if len(lost := np.setdiff1d(pids, known[train])):
        raise ValueError(f"identity {lost[0]} of pids has no training image in {dataset.title}")
    parts = proxies[0].shape[1]
    people, *centres = _centres(model, dataset, train[np.isin(known[train], pids)], parts)
    if not len(people):
        raise ValueError(f"no identity of pids has training images of both modalities in {dataset.title}")
    if centres[0].shape != (expected := (len(people), *proxies[0].shape[1:])):
        raise ValueError(
            f"proxies {expected[1:]} (parts, width) do not fit a test feature {tuple(centres[0].shape[1:])}"
        )
    order = np.argsort(pids)
    classes = torch.from_numpy(order[np.searchsorted(pids, people, sorter=order)])
    own = [each.cpu()[classes] for each in proxies]
    seen = _cosines(people, True, *centres, *own)
    people, *centres = _centres(model, dataset, test, parts)
    return pd.concat([seen, _cosines(people, False, *centres)], ignore_index=True)


def relay_values(table: pd.DataFrame) -> dict[str, float]:
    """The means over people of a `relay_table`, under readable names; NaN where there is nobody.

    For every cosine of ``COSINES`` its mean over the people trained on, and ``"…, different people"``; for the centres
    also ``"…, unseen people"`` and ``"…, unseen people, different people"``. Beside these:

    ``"by way of the proxies"``
        mean of cos(visible centre, its proxy) · cos(proxy, proxy) · cos(its proxy, infrared centre). Two centres that
        have nothing in common but the way over their proxies would have this cosine. Less means that they lie on
        opposite sides of the proxies, more that they share something that the proxies do not hand on.
    ``"relay gap"``
        mean of [cos(visible centre, own proxy) + cos(infrared centre, own proxy)] / 2 - cos(visible centre, infrared
        centre), from -2 to 2. Above 0, each modality lies nearer to the relay than to the other modality.
    ``"people"``, ``"unseen people"``
        how many there are.

    A gap alone says little: two centres drawn at random around a proxy in many dimensions have one as well. It is read
    beside the cosine by way of the proxies and those of different people.
    """
    seen, unseen = table[table["seen"]], table[~table["seen"]]
    means = seen.mean(numeric_only=True)
    values = {}
    for column, name in COSINES.items():
        values |= {name: means[column], name + DIFFERENT: means[f"{column}_different"]}
    name, of_unseen = COSINES["centres"], unseen[["centres", "centres_different"]].mean()
    values |= {name + UNSEEN: of_unseen["centres"], name + UNSEEN + DIFFERENT: of_unseen["centres_different"]}
    values["by way of the proxies"] = (seen["visible_proxy"] * seen["proxies"] * seen["infrared_proxy"]).mean()
    values["relay gap"] = (means["visible_proxy"] + means["infrared_proxy"]) / 2 - means["centres"]
    values |= {"people": len(seen), "unseen people": len(unseen)}
    return {name: float(value) for name, value in values.items()}


def _centres(model: ReIDModel, dataset: ReIDDataset, rows: np.ndarray, parts: int) -> tuple[np.ndarray, Tensor, Tensor]:
    """The people seen in both modalities at ``rows``, ascending, and their centres in each, (n, P, D)."""
    frame = dataset.frame.iloc[rows]
    both = frame.groupby("pid")["modality"].transform("nunique").to_numpy() == 2
    rows, frame = rows[both], frame[both]
    if not len(rows):
        return rows, torch.empty(0, parts, 0), torch.empty(0, parts, 0)
    embeddings = evaluation.embed(model, dataset, rows)
    if embeddings.shape[1] % parts:
        raise ValueError(f"proxies of {parts} parts do not fit a test feature of {embeddings.shape[1]} numbers")
    features = F.normalize(embeddings.unflatten(1, (parts, -1)), dim=2)
    people, sums, _ = sums_by_person(features, frame["pid"].to_numpy(), frame["modality"].to_numpy())
    return people, *F.normalize(sums, dim=3)


def _cosines(people: np.ndarray, seen: bool, visible: Tensor, infrared: Tensor, *proxies: Tensor) -> pd.DataFrame:
    pairs = {"centres": (visible, infrared)}
    if proxies:
        of_visible, of_infrared = proxies
        pairs |= {"visible_proxy": (visible, of_visible), "infrared_proxy": (infrared, of_infrared)}
        pairs |= {"visible_counterpart": (visible, of_infrared), "infrared_counterpart": (infrared, of_visible)}
        pairs["proxies"] = (of_visible, of_infrared)
    columns: dict[str, object] = {"pid": people, "seen": np.full(len(people), seen)}
    for name in COSINES:
        same = different = np.full(len(people), np.nan, np.float32)
        if name in pairs:
            one, other = pairs[name]
            same, different = (each.cpu().numpy() for each in _same_and_different(one, other))
        columns |= {name: same, f"{name}_different": different}
    return pd.DataFrame(columns)


def _same_and_different(one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """(n, P, D) twice, of unit length in each part: cosines of row i with row i, and mean of those with all others."""
    same = (one * other).sum(dim=2).mean(dim=1)
    with_all = (one * other.sum(dim=0)).sum(dim=2).mean(dim=1)  # a sum of cosines is the cosine with the sum
    others = len(one) - 1
    return same, (with_all - same) / others if others > 0 else torch.full_like(same, torch.nan)


DRIFT_COLUMNS = ("modality", "part", "pid", "age", "cosine")


@torch.no_grad()
def proxy_drift(model: MAUM) -> pd.DataFrame:
    """Cosine between each proxy and its copies in the memory, by their age.

    Returns:
        A row for each copy of each proxy: ``modality``, ``part``, ``pid`` (the class), ``age`` (steps of training from
        the copy to now) and ``cosine``. No rows as long as the memory is empty.
    """
    _, _, steps = model.get_extra_state().tolist()  # steps since the memory began
    filled, interval = model.memory_filled, model.memory_interval
    copied = interval * np.arange(-(-steps // interval) - 1, -1, -1)[:filled]  # the latest first
    tables = []
    for modality, parts in enumerate(model.proxies):
        for part, proxies in enumerate(parts):
            for step, copy in zip(copied, proxies.memory[:filled] if filled else (), strict=True):
                cosine = cosine_similarity(proxies.weight.detach(), copy, dim=1).double().cpu().numpy()
                columns = {"modality": modality, "part": part, "pid": np.arange(len(cosine)), "age": steps - step}
                tables.append(pd.DataFrame({**columns, "cosine": cosine}))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=DRIFT_COLUMNS)
