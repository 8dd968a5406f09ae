"""What every method offers to training, evaluation and explanation."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reidlib.networks import trunks

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of images in 0–1, a value a channel: what every network here takes is normalised so."""


@dataclass(frozen=True)
class Outputs:
    """What a forward pass returns, each a dictionary from the name of a branch to a tensor.

    Attributes:
        features: (B, D), before the BNNeck: for triplet losses.
        embeddings: (B, D), after the BNNeck: for classifiers; the test feature before normalisation.
        logits: (B, num_ids).
        extra: whatever else a method's losses need, by name.
    """

    features: dict[str, Tensor]
    embeddings: dict[str, Tensor]
    logits: dict[str, Tensor]
    extra: dict[str, Tensor] = field(default_factory=dict)

    def __repr__(self) -> str:
        parts = (
            f"{kind}[{name!r}]: {tuple(tensor.shape)}"
            for kind, tensors in vars(self).items()
            for name, tensor in tensors.items()
        )
        return f"Outputs({', '.join(parts)})"


class Opened(NamedTuple):
    """A branch at its last map: ``maps`` (B, C, h, w), and ``rest``, from such maps to embeddings of unit length."""

    maps: Tensor
    rest: Callable[[Tensor], Tensor]


class ReIDModel(nn.Module, ABC):
    """A network that turns images of two modalities into comparable embeddings.

    Throughout: ``images`` (B, 3, H, W) floating, normalised with ImageNet statistics; ``modality`` (B,) integers, 0
    visible or photo, 1 infrared or sketch, in any order, one of them may be absent. On a GPU its division should be
    noted (:mod:`reidlib.networks.division`), or its values are waited for. Rows of the result follow the rows given.

    Attributes:
        branches: names of the features that can be looked at; the first is the test feature.
        arguments: what :func:`reidlib.methods.build` needs to build this network again (JSON types).
        image_size: (height, width) the network was trained at; set by training, ``None`` before.
        trained_on: the people, a `reidlib.evaluation.TrainedOn`; set by training, ``None`` before.
        collapsed: what a run's history says of a metric loss that has collapsed, a phrase for captions; ``""`` if none
            has, or if nobody looked.
    """

    branches: tuple[str, ...]
    arguments: dict[str, object]
    image_size: tuple[int, int] | None = None
    trained_on: object | None = None
    collapsed: str = ""

    @property
    def margins(self) -> Mapping[str, float]:
        """Metric loss term → its value if all features are the same; one that does not fall below it has collapsed.

        Terms for which there is no such value, or that the model does not have, are left out.
        """
        return {}

    @classmethod
    def check_backbone(cls, backbone: str, weights: str | None = None, *, last_stride: int = 1) -> None:
        """Refuse a trunk, or weights, that this network cannot have; asked when a recipe is made, before data are.

        Default: whatever :func:`reidlib.networks.trunks.check` knows. A network with trunks of its own says here which.

        Raises:
            ValueError: there is no such trunk, or it has no such weights or last stride; the message lists the known.
            ModuleNotFoundError: it needs a package that is not installed.
        """
        trunks.check(backbone, weights, last_stride=last_stride)

    @abstractmethod
    def forward(self, images: Tensor, modality: Tensor) -> Outputs:
        """Run every branch that the losses need."""

    @abstractmethod
    def losses(self, outputs: Outputs, pids: Tensor, modality: Tensor) -> dict[str, Tensor]:
        """Name → unweighted scalar. ``pids`` (B,) are labels of training identities, 0 to ``num_ids - 1``."""

    @abstractmethod
    def branch_map(self, images: Tensor, modality: Tensor, branch: str) -> Tensor:
        """The last feature map of a branch, (B, C, h, w): where a class-activation map is drawn."""

    @abstractmethod
    def embed_map(self, maps: Tensor, branch: str) -> Tensor:
        """A branch's map → its embedding (B, D), of unit length."""

    def opened(self, images: Tensor, modality: Tensor, branch: str) -> Opened:
        """The map of a branch, and what follows it."""
        return Opened(self.branch_map(images, modality, branch), partial(self.embed_map, branch=branch))

    def branch_embedding(self, images: Tensor, modality: Tensor, branch: str) -> Tensor:
        """The embedding of one branch: (B, D), of unit length.

        Raises:
            ValueError: the model has no such branch; the message lists those it has.
        """
        return self.embed_map(self.branch_map(images, modality, branch), branch)

    def embed(self, images: Tensor, modality: Tensor) -> Tensor:
        """The test feature: (B, D), of unit length. Call ``eval()`` first: in training mode it depends on the batch."""
        return self.branch_embedding(images, modality, self.branches[0])

    def check_branch(self, branch: str | None) -> str:
        """The branch asked for, by default the test feature; ``ValueError`` for one the model does not have."""
        branch = self.branches[0] if branch is None else branch
        if branch not in self.branches:
            raise ValueError(f"no branch {branch!r}; choose one of: {', '.join(self.branches)}")
        return branch


@contextmanager
def evaluating(model: nn.Module, *, learning: bool = True) -> Iterator[None]:
    """Evaluation mode inside; afterwards every module is in its own mode again.

    ``learning=False``: no parameter takes a gradient meanwhile; gradients still pass through.
    """
    modes = [(module, module.training) for module in model.modules()]
    learned = [] if learning else [parameter for parameter in model.parameters() if parameter.requires_grad]
    try:
        try:
            model.eval()
        except NotImplementedError:  # a network that was exported has one mode
            for module, _ in modes:
                module.training = False
        for parameter in learned:
            parameter.requires_grad_(False)
        yield
    finally:
        for module, training in modes:
            module.training = training
        for parameter in learned:
            parameter.requires_grad_(True)


@contextmanager
def room_for(images: int, advice: str) -> Iterator[None]:
    """Turn a GPU's "out of memory" into advice: what to lower when so many images go through a network at a time."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        text = f"the GPU has no room for {images} images at a time; try {advice} ({error})"
        raise torch.OutOfMemoryError(text) from error


def device_of(model: nn.Module) -> torch.device:
    """Where the parameters of a model are; the CPU for a model without any."""
    return next(model.parameters(), torch.empty(0)).device


def check_labels(pids: Tensor, num_ids: int) -> None:
    """Raise ``ValueError`` for labels outside 0 to ``num_ids - 1``, such as a data set's own identity numbers."""
    # On a GPU the values would have to be waited for at every step, and torch stops at a wrong one by itself.
    if pids.device.type == "cpu" and (pids.min() < 0 or pids.max() >= num_ids):
        raise ValueError(
            f"pids must be labels from 0 to {num_ids - 1} (see dataset.train_labels()), "
            f"but run from {pids.min()} to {pids.max()}"
        )


def unit(rows: Tensor) -> Tensor:
    """Rows (B, D) scaled to unit length, in float32 or better."""
    return F.normalize(rows.float() if rows.dtype.itemsize < 4 else rows, dim=1)
