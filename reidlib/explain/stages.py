"""What a network holds after each stage of its trunk, so that networks are compared at equal depth.

Reconstructed (ours): the mean over positions of what every stage hands on, then the test feature. A stem and a second
stream lie at different depths; a stage of one trunk and the same stage of another do not.
"""

import warnings
from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from reidlib.data import ReIDDataset
from reidlib.explain import common
from reidlib.explain.by_identity import apart
from reidlib.explain.embedding import instance_statistics, sample_rows
from reidlib.explain.knowledge import PER_MODALITY
from reidlib.explain.probes import ProbeResult, TooFewIdentities, probe, probe_identity
from reidlib.networks import ReIDModel
from reidlib.networks.backbone import Backbone
from reidlib.networks.base import device_of, evaluating
from reidlib.networks.trunks import STAGES

STEM, TEST = "stem", "test feature"
QUESTIONS = (
    "modality, by a linear probe",
    "neighbours of the same modality",
    "camera within a modality, by a linear probe",
    "identity across modalities",
)
"""What `stage_table` asks."""


def stage_name(number: int) -> str:
    """The name of what stage 0 to 4 of a trunk hands on."""
    return STEM if number == 0 else f"stage {number}"


@torch.inference_mode()
def stage_embeddings(model: ReIDModel, dataset: ReIDDataset, rows: np.ndarray) -> dict[str, Tensor]:
    """Features of the test branch at every depth, in main memory: name → (N, C) float32, from the stem on.

    The map that a stage hands on to the next, with whatever a method puts in between, is averaged over its positions.
    ``"stem"`` is stage 0, ``"stage 1"`` to ``"stage 4"`` follow, and last comes ``"test feature"``, of unit length.
    Stages that each modality has to itself are known by the last of them alone. The model stays as it is.

    Args:
        rows: (N,) positions in ``dataset.frame``.

    Raises:
        ValueError: the model has no trunk of `reidlib.networks.backbone.Backbone`, or does not know its image size.
    """
    trunk = getattr(model, "backbone", None)
    if not isinstance(trunk, Backbone):
        raise ValueError(f"{type(model).__name__} has no trunk of stages: ask its branches, explain.branch_embeddings")
    images, seen, found = common.sized_images(model, dataset), {}, {}

    def note(name: str, module: torch.nn.Module, given: tuple[Tensor, ...]) -> None:
        seen[name] = given[0].float().mean(dim=(2, 3))

    # What enters a stage is what the one before hands on.
    entered = [number for number in trunk.stages if number > 0]
    hooks = [
        trunk.modules_of(number)[0].register_forward_pre_hook(partial(note, stage_name(number - 1)))
        for number in entered
    ]
    branch = model.branches[0]
    try:
        with evaluating(model), instance_statistics(model), common.room():
            for pixels, modality in common.batches(images, dataset, rows, device_of(model)):
                maps = model.branch_map(pixels, modality, branch)
                seen[stage_name(STAGES - 1)] = maps.float().mean(dim=(2, 3))
                seen[TEST] = model.embed_map(maps, branch).float()
                for name, values in seen.items():
                    found.setdefault(name, []).append(values.cpu())
    finally:
        for hook in hooks:
            hook.remove()
    return {name: torch.cat(parts) for name, parts in found.items()}


def stage_table(model: ReIDModel, dataset: ReIDDataset) -> pd.DataFrame:
    """Who takes the modality out of the features, and where? Four questions to every depth of `stage_embeddings`.

    Every test identity that both modalities show takes part, with `PER_MODALITY` images in each. Identity is asked of
    the nearest centroid in the other modality (`reidlib.explain.probe_identity`), neighbours are those of
    `reidlib.explain.by_identity.apart`, and the rest is asked by `reidlib.explain.probe`.

    Returns:
        ``depth``, ``question`` (of ``QUESTIONS``), ``score`` and ``chance``, fractions; ``score`` is NaN where there
        are too few identities, or one camera only.
    """
    rows = sample_rows(dataset, per_modality=PER_MODALITY)
    frame, lines = dataset.frame.iloc[rows], []
    pids, modality, camids = (frame[name].to_numpy() for name in ("pid", "modality", "camid"))
    for depth, features in stage_embeddings(model, dataset, rows).items():
        values = features.numpy()
        same = apart(values, modality, pids)[QUESTIONS[1]].mean()
        cameras = [asked(probe, *(each[modality == m] for each in (values, camids, pids))) for m in (0, 1)]
        camera = np.mean([[found.score, found.chance] for found in cameras], axis=0)
        told, known = asked(probe, values, modality, pids), asked(probe_identity, values, pids, modality)
        scores = (told.score, told.chance), (same, 0.5), camera, (known.score, known.chance)
        lines += [(depth, name, *score) for name, score in zip(QUESTIONS, scores, strict=True)]
    return pd.DataFrame(lines, columns=["depth", "question", "score", "chance"])


def asked(reader: Callable[..., ProbeResult], *given: np.ndarray) -> ProbeResult:
    """What a probe finds; NaN where there are too few to ask."""
    try:
        with warnings.catch_warnings():  # a stem has channels that are silent, and a person may have a single image
            warnings.filterwarnings("ignore", message="self.within_class_std_dev_")
            warnings.filterwarnings("ignore", message="invalid value encountered in divide")
            return reader(*given)
    except TooFewIdentities:
        return ProbeResult("too few identities", np.nan, np.nan, np.nan, np.nan, 0, 0, 0)
