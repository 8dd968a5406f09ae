"""Losses on centres in the plane, where their gradients can be seen; and how far apart the centres of a model lie.

Ours; neither reproduces a figure or a table. The losses are those of :mod:`reidlib.methods.fienet.losses`, with the
margins of their papers.

:func:`map_sizes` reads off a forward pass how large every map on its way is, and what each module costs.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize
from torch.utils.flop_counter import FlopCounterMode

from reidlib import evaluation
from reidlib.data import ReIDDataset
from reidlib.explain.embedding import Adapted, sample_rows, sums_by_person
from reidlib.methods.fienet.losses import center_cluster, hetero_center, hetero_center_triplet, identity_guided_center
from reidlib.networks import ReIDModel
from reidlib.networks.base import evaluating

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


IMAGES, SPREAD = 3, 0.09
"""Of each cloud: how many points, and their standard deviation around its middle."""


def center_toy() -> pd.DataFrame:
    """The same points under each loss: three identities with some images in either modality, in two dimensions.

    Returns:
        A row for each loss of ``LOSSES`` and point: ``loss``, ``value`` (of the loss), ``kind`` (``"image"``, or
        ``"centre"``: the mean of a cloud), ``pid``, ``modality``, ``x``, ``y``, and, of images, ``dx`` and ``dy``:
        minus the gradient, where the loss sends the point.
    """
    generator = torch.Generator().manual_seed(0)
    lines, points = [], []
    for pid, modalities in enumerate(CLOUDS):
        for modality, (angle, length) in enumerate(modalities):
            turn = np.deg2rad(angle)
            middle = length * torch.tensor([np.cos(turn), np.sin(turn)])
            points.append(middle + SPREAD * torch.randn(IMAGES, 2, generator=generator, dtype=torch.float64))
            lines += [(pid, modality)] * IMAGES
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

    Centres are those of IGCL (:func:`reidlib.methods.fienet.losses.identity_guided_center`): of unit length, from
    features of unit length, both modalities counting alike. The model is that of a trained baseline, or anything with
    its parts.

    Args:
        split, per_modality, seed: which images, as in `reidlib.explain.sample_rows`; all people seen in both
            modalities.

    Returns:
        A row for each pair of people and place, ``"before the neck"`` and ``"after the neck"``: ``place``, ``one`` and
        ``other`` (identities) and ``distance`` (0–2).
    """
    rows = sample_rows(dataset, split=split, per_modality=per_modality, seed=seed)
    owners, modality = (dataset.frame[name].to_numpy()[rows] for name in ("pid", "modality"))
    tables = []
    for place, asked in (
        ("before the neck", Adapted(model, lambda *given: model.pool(model.branch_map(*given, "shared")))),
        ("after the neck", model),
    ):
        unit = normalize(evaluation.embed(asked, dataset, rows).double(), dim=1)
        people, sums, counts = sums_by_person(unit, owners, modality)
        centres = normalize((sums / counts[..., None]).sum(dim=0), dim=1)
        one, other = torch.triu_indices(len(people), len(people), 1)
        distances = torch.linalg.vector_norm(centres[one] - centres[other], dim=1)
        columns = {"one": people[one], "other": people[other], "distance": distances.numpy()}
        tables.append(pd.DataFrame({"place": place, **columns}))
    return pd.concat(tables, ignore_index=True)


COLUMNS = ("module", "kind", "channels", "height", "width", "parameters", "multiply_adds")


def map_sizes(model: ReIDModel, height: int, width: int) -> pd.DataFrame:
    """What leaves each module when a visible and an infrared image go through, and what the module costs.

    Stems, stages, PFAM's steps, MPIM, pooling, BNNeck and classifier, as far as the model has them, in the order in
    which they are passed. The model stays as it was.

    Args:
        height, width: of the images.

    Returns:
        ``module`` (its name in figures), ``kind`` (``"stem"``, ``"stage"``, ``"PFAM"``, ``"MPIM"`` or ``"head"``),
        ``channels``, ``height`` and ``width`` of what it returns (1 × 1 after pooling), ``parameters``, and
        ``multiply_adds`` for one image.
    """
    seen: dict[str, tuple[int, ...]] = {}
    places = _modules(model)
    hooks = [parts[-1].register_forward_hook(partial(_remember, seen, name)) for name, (_, parts) in places.items()]
    example = next(model.parameters())
    images = torch.zeros(2, 3, height, width, device=example.device, dtype=example.dtype)
    counter = FlopCounterMode(display=False)
    try:
        with evaluating(model), torch.no_grad(), counter:
            model(images, torch.tensor([0, 1]))
    finally:
        for hook in hooks:
            hook.remove()
    paths = {module: path for path, module in model.named_modules()}
    counts, lines = counter.get_flop_counts(), []
    for name, shape in seen.items():
        kind, parts = places[name]
        counted = [counts.get(f"{type(model).__name__}.{paths[module]}", {}) for module in parts]
        operations = sum(sum(each.values()) for each in counted)
        rows = shape[0]  # a stem sees its own modality alone
        parameters = sum(parameter.numel() for module in parts for parameter in module.parameters())
        lines.append((name, kind, *(*shape[1:], 1, 1)[:3], parameters, operations // (2 * rows)))
    return pd.DataFrame(lines, columns=COLUMNS)


def _modules(model: ReIDModel) -> dict[str, tuple[str, list[nn.Module]]]:
    """Name in figures → kind, and the modules that run one after another."""
    backbone = model.backbone
    found = {
        f"{name} stem": ("stem", [stem]) for name, stem in zip(("visible", "infrared"), backbone.stems, strict=False)
    }
    found |= {f"stage {n}": ("stage", backbone.modules_of(n)) for n in backbone.stages if n}
    found |= {f"PFAM {stage}": ("PFAM", [step]) for stage, step in getattr(model, "pfam", {}).items()}
    found["MPIM"] = ("MPIM", [getattr(model, "mpim", nn.Identity())])
    found |= {name: ("head", [getattr(model, part)]) for name, part in
              (("GeM", "pool"), ("BNNeck", "neck"), ("classifier", "classifier"))}  # fmt: skip
    return {name: (kind, parts) for name, (kind, parts) in found.items() if not isinstance(parts[0], nn.Identity)}


def _remember(seen: dict, name: str, module: nn.Module, inputs: tuple, output: torch.Tensor) -> None:
    seen[name] = tuple(output.shape)
