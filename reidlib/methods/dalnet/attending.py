"""Where DALNet's attention looks: which places of a photo, or of a sketch, each place of an auxiliary image asks.

Documented (Liu et al., AAAI 2024, abstract; role only): attention with the auxiliary modality as go-between finds
patterns that both real modalities have. Reconstructed (ours): these maps; the paper's own figure is not known.
"""

import numpy as np
import torch

from reidlib.data import ReIDDataset
from reidlib.explain.common import BATCH, sized_images
from reidlib.methods.dalnet.explain import _require_modality
from reidlib.methods.dalnet.model import DALNet
from reidlib.networks.base import device_of, evaluating


@torch.no_grad()
def attention_weights(model: DALNet, dataset: ReIDDataset, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Where each place of an auxiliary image asks in MIA: the weights of its attention, mean over the heads.

    As in training, the auxiliary image of a photo asks the photo it was made of, and a sketch of the same identity (its
    first). Means and deviations are those that the network keeps for evaluation.

    Args:
        rows: (N,) photos of identities that have a sketch.

    Returns:
        ``"photo"`` and ``"sketch"`` (N, h, w, h, w) float32: for each place that asks, weights over the places that
        answer, which add up to 1. ``"added"`` (N,): the length of what is added to the map of the photo, as a share of
        the length of that map.

    Raises:
        ValueError: the model has no MIA, a row is no photo, or an identity has no sketch.
    """
    if model.attention is None:
        raise ValueError("the model has no attention: it was built with attention=False")
    _require_modality(dataset, "rows", rows, 0)
    rows, targets = np.asarray(rows), first_sketches(dataset, rows)
    images, given, parts = sized_images(model, dataset), (BATCH, device_of(model)), []
    mia = model.attention
    with evaluating(model):
        for photos, sketches in zip(images.batches(rows, *given), images.batches(targets, *given), strict=True):
            which = torch.zeros(len(photos), dtype=torch.long)
            of_photo, of_sketch = model.backbone(photos, which), model.backbone(sketches, which + 1)
            asking = mia._heads(mia.query(model.branch_map(photos, which, "auxiliary")))
            size, found = of_photo.shape[2:], {}
            for name, maps in (("photo", of_photo), ("sketch", of_sketch)):
                key = mia._heads(mia.key(maps))
                weights = (asking @ key.mT / key.shape[-1] ** 0.5).softmax(dim=-1).mean(dim=1)
                found[name] = weights.unflatten(2, size).unflatten(1, size)
            answer = mia._answer(asking, mia._heads(mia.key(of_photo)), mia._heads(mia.value(of_photo)), size)
            added = mia.norm(mia.output(answer)).flatten(1).norm(dim=1)
            parts.append(found | {"added": added / of_photo.flatten(1).norm(dim=1)})
    return {name: torch.cat([part[name] for part in parts]).float().cpu().numpy() for name in parts[0]}


def first_sketches(dataset: ReIDDataset, rows: np.ndarray) -> np.ndarray:
    """For each photo, the row of the first sketch of its identity; ``ValueError`` if there is none."""
    frame = dataset.frame
    first = frame[frame["modality"] == 1].reset_index().groupby("pid")["index"].first()
    asked = frame["pid"].iloc[rows]
    if len(missing := asked[~asked.isin(first.index)]):
        raise ValueError(f"identity {missing.iloc[0]} has no sketch; leave it out")
    return first[asked].to_numpy()
