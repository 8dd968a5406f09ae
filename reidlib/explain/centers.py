"""Losses on centres in the plane, where their gradients can be seen; and how far apart the centres of a model lie.

Ours; neither reproduces a figure or a table. The losses are those of :mod:`reidlib.losses.center`, with the margins of
their papers.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import normalize

from reidlib import evaluation
from reidlib.data import ReIDDataset
from reidlib.explain.embedding import sample_rows
from reidlib.losses import center_cluster, hetero_center, hetero_center_triplet, identity_guided_center
from reidlib.models import ReIDModel

LOSSES: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "IGCL, intra": lambda x, pids, modality: identity_guided_center(x, pids, modality)["intra"],
    "IGCL, inter": lambda x, pids, modality: identity_guided_center(x, pids, modality)["inter"],
    "centre cluster": lambda x, pids, modality: center_cluster(x, pids),
    "hetero-centre": hetero_center,
    "hetero-centre triplet": hetero_center_triplet,
}
# Angle (degrees) and length of the middle of each cloud, (visible, infrared) of each identity: two people near each
# other, one far off, and infrared points nearer to the origin throughout.
CLOUDS = (((60.0, 1.5), (38.0, 0.9)), ((86.0, 1.3), (72.0, 0.8)), ((175.0, 1.4), (150.0, 0.95)))


def center_toy(*, images: int = 3, spread: float = 0.09, seed: int = 0) -> pd.DataFrame:
    """The same points under each loss: three identities with some images in either modality, in two dimensions.

    Args:
        images: of an identity in a modality.
        spread: standard deviation of the points around the middle of their cloud.

    Returns:
        A row for each loss of ``LOSSES`` and point: ``loss``, ``value`` (of the loss), ``kind`` (``"image"``, or
        ``"centre"``: the mean of a cloud), ``pid``, ``modality``, ``x``, ``y``, and, of images, ``dx`` and ``dy``:
        minus the gradient, where the loss sends the point.
    """
    generator = torch.Generator().manual_seed(seed)
    lines, points = [], []
    for pid, modalities in enumerate(CLOUDS):
        for modality, (angle, length) in enumerate(modalities):
            turn = np.deg2rad(angle)
            middle = length * torch.tensor([np.cos(turn), np.sin(turn)])
            points.append(middle + spread * torch.randn(images, 2, generator=generator, dtype=torch.float64))
            lines += [(pid, modality)] * images
    points, (pids, modality) = torch.cat(points), torch.tensor(lines).T
    about = pd.DataFrame({"pid": pids, "modality": modality, "x": points[:, 0], "y": points[:, 1]})
    centres = about.groupby(["pid", "modality"], as_index=False).mean().assign(kind="centre")
    tables = []
    for name, loss in LOSSES.items():
        value = loss(x := points.clone().requires_grad_(), pids, modality)
        (gradient,) = torch.autograd.grad(value, x)
        moved = about.assign(kind="image", dx=-gradient[:, 0].numpy(), dy=-gradient[:, 1].numpy())
        tables.append(pd.concat([moved, centres]).assign(loss=name, value=value.item()))
    columns = ["loss", "value", "kind", "pid", "modality", "x", "y", "dx", "dy"]
    return pd.concat(tables, ignore_index=True)[columns]


@torch.no_grad()
def center_distances(
    model: ReIDModel, dataset: ReIDDataset, *, split: str = "test", per_modality: int = 8, seed: int = 0
) -> pd.DataFrame:
    """How far apart centres of people are, before the BNNeck and after it: what a margin between them has to bite on.

    Centres are those of IGCL (:func:`reidlib.losses.identity_guided_center`): of unit length, from features of unit
    length, both modalities counting alike. The model is that of a trained baseline, or anything with its parts.

    Args:
        split, per_modality, seed: which images, as in `reidlib.explain.sample_rows`; all people seen in both
            modalities.

    Returns:
        A row for each pair of people and place, ``"before the neck"`` and ``"after the neck"``: ``place``, ``one`` and
        ``other`` (identities) and ``distance`` (0–2).
    """
    rows = sample_rows(dataset, split=split, per_modality=per_modality, seed=seed)
    owners, modality = (dataset.frame[name].to_numpy()[rows] for name in ("pid", "modality"))
    people, owner = np.unique(owners, return_inverse=True)
    group = torch.from_numpy(owner + len(people) * modality)
    one, other = torch.triu_indices(len(people), len(people), 1)
    tables = []
    for place, embeddings in (
        ("before the neck", evaluation.embed(_BeforeTheNeck(model), dataset, rows)),
        ("after the neck", evaluation.embed(model, dataset, rows)),
    ):
        unit = normalize(embeddings.double().cpu(), dim=1)
        sums = unit.new_zeros(2 * len(people), unit.shape[1]).index_add_(0, group, unit)
        means = sums / torch.bincount(group, minlength=2 * len(people))[:, None]
        centres = normalize(sum(means.chunk(2)), dim=1)
        distances = torch.linalg.vector_norm(centres[one] - centres[other], dim=1)
        columns = {"one": people[one], "other": people[other], "distance": distances.numpy()}
        tables.append(pd.DataFrame({"place": place, **columns}))
    return pd.concat(tables, ignore_index=True)


class _BeforeTheNeck(torch.nn.Module):
    """A model whose test feature is the one that the triplet loss sees."""

    def __init__(self, model: ReIDModel):
        super().__init__()
        self.model, self.image_size = model, model.image_size

    def embed(self, images: Tensor, modality: Tensor) -> Tensor:
        return normalize(self.model.pool(self.model.branch_map(images, modality, "shared")), dim=1)
