"""MAUM: proxies of each modality, unidirectional metrics to those of the other one, a memory of what they were.

Documented (Liu et al., "Learning Memory-Augmented Unidirectional Metrics for Cross-Modality Person Re-Identification",
CVPR 2022, abstract): each of these three ideas, and why. Documented at second hand: metrics built on circle loss, and a
variant on body parts to which the published numbers belong. Everything else is reconstructed (ours; no code was
released): equations, margin and scale, length and interval of the memory, layers, schedule.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from reidlib.losses import TRIPLETS, triplet_of_a_point
from reidlib.losses._common import check_one_of
from reidlib.methods.maum.losses import FORMS, proxy_metric
from reidlib.networks.backbone import Backbone
from reidlib.networks.base import Outputs, ReIDModel, check_labels, unit
from reidlib.networks.division import rows
from reidlib.networks.heads import GeM, bn_neck

# Options that are whole numbers, and the least that each may be.
COUNTS = {"stripes": 1, "part_width": 1, "memory_length": 0, "memory_interval": 1, "memory_start_epoch": 0}


class Proxies(nn.Module):
    """A proxy for each identity, in one part of the image and (as a rule) one modality.

    Args:
        num_ids: C.
        width: D.
        memory_length: T.

    Attributes:
        weight: (C, D), at first random directions of about unit length.
        memory: (T, C, D), copies of what ``weight`` was, the latest first, zeros where there is none yet; ``None`` if
            T = 0.
    """

    def __init__(self, num_ids: int, width: int, memory_length: int = 0):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(num_ids, width) * width**-0.5)
        self.register_buffer("memory", torch.zeros(memory_length, num_ids, width) if memory_length else None)

    @torch.no_grad()
    def remember(self) -> None:
        """Copy ``weight`` into the memory; the oldest copy gives way."""
        self.memory = torch.cat([self.weight[None], self.memory[:-1]])


class MAUM(ReIDModel):
    """The baseline's trunk under proxy losses: MAUM-G on whole images, MAUM-P (``parts=True``) on stripes of them.

    For every part, each modality m has proxies ``W^m`` (C, D), one for each identity. With ``l`` the metric
    :func:`reidlib.methods.maum.losses.proxy_metric`, ``x`` embeddings, ``M`` the memory and ``sg`` "without gradient":

    * Term ``proxy`` = ``l(x^V; W^V) + l(x^I; W^I)``. Documented (abstract): each modality has proxies of its own, which
      learn from its images alone. Reconstructed: cosine similarities, form, scale.
    * Term ``unidirectional`` = ``l(x^I; sg(W^V), M^V) + l(x^V; sg(W^I), M^I)``. Documented (abstract): learned proxies
      are static references for the other modality, in two directions. Reconstructed: in the same step, by stopping the
      gradient.
    * Memory. Documented (abstract): earlier proxies serve as further references. Reconstructed: copies taken every
      ``memory_interval`` steps after a warm-up, first in, first out; negatives come from it too.
    * Parts. Documented at second hand: a variant with horizontal parts as in PCB (Sun et al., ECCV 2018).
      Reconstructed: stripes of the last map, each pooled, reduced by a linear layer of its own, with proxies and memory
      of its own; losses are means over the stripes, the test feature is their concatenation.
    * Stems, pooling, BNNeck: reconstructed, those of the baseline.

    The model counts epochs and steps by itself, and saves both in ``state_dict()`` together with the memory: a step is
    a call of ``losses`` in training mode with gradients enabled, and ``train()`` begins an epoch if there was a step
    since the last one began. In distributed training every process counts and copies alike.

    Args:
        num_ids, backbone, weights: as of :class:`reidlib.networks.TwoStream`.
        parts: ``True`` for MAUM-P.
        stripes: of MAUM-P; their number must divide the rows of the last map, a sixteenth of the image's height.
        part_width: D of a stripe; default: a quarter of the backbone's channels, 512 for ResNet-50.
        form, scale: of the metric, in all terms.
        memory_length: T, number of copies; 0 for no memory.
        memory_interval: k, steps from one copy to the next.
        memory_start_epoch: epoch, from 0, at whose first step the first copy is taken.
        shared_proxies: ``True`` adds a set of proxies that both modalities share, the relay that the paper criticises,
            and the term ``shared`` (documented as the usual baseline; its form is reconstructed).
        triplet: ``"batch-hard"`` or ``"weighted"`` adds the term ``triplet``, on the features before the BNNeck
            (reconstructed; the abstract mentions none).

    Attributes:
        proxies: ``proxies[m][s]`` are the :class:`Proxies` of modality m and part s (0 in MAUM-G).
        memory_filled: how many copies each memory holds.
        epoch: of training, from 0.

    Raises:
        ValueError, FileNotFoundError: as :class:`reidlib.networks.TwoStream`.
    """

    branches = ("shared", "specific")

    def __init__(
        self,
        num_ids: int,
        backbone: str,
        *,
        weights: str | None = None,
        parts: bool = False,
        stripes: int = 6,
        part_width: int | None = None,
        form: str = "circle",
        scale: float = 64.0,
        memory_length: int = 8,
        memory_interval: int = 100,
        memory_start_epoch: int = 1,
        shared_proxies: bool = False,
        triplet: str | None = None,
    ):
        counts = {name: value for name, value in locals().items() if name in COUNTS}
        super().__init__()
        for name, value in counts.items():
            is_default = name == "part_width" and value is None
            if not is_default and (type(value) is not int or value < COUNTS[name]):
                raise ValueError(f"{name} must be a whole number from {COUNTS[name]}, not {value!r}")
        check_one_of("form", form, FORMS)
        check_one_of("triplet", triplet, (None, *TRIPLETS))
        self.backbone = Backbone(backbone, weights=weights)
        channels = self.backbone.channels[-1]
        self.parts, width = (stripes, part_width or channels // 4) if parts else (1, channels)
        self.pool = GeM()
        self.reductions = nn.ModuleList(nn.Linear(channels, width, bias=False) for _ in range(stripes if parts else 0))
        self.neck = bn_neck(self.parts * width)  # of each stripe by itself, as of each channel
        shape = num_ids, width, memory_length
        self.proxies = nn.ModuleList(nn.ModuleList(Proxies(*shape) for _ in range(self.parts)) for _ in ("V", "I"))
        self.shared_proxies = nn.ModuleList(Proxies(num_ids, width) for _ in range(self.parts if shared_proxies else 0))
        self.metric, self.triplet = {"form": form, "scale": scale}, triplet
        self.memory_length, self.memory_interval = memory_length, memory_interval
        self.memory_start_epoch = memory_start_epoch
        # Numbers of Python's, not buffers: on a GPU, a step would have to wait for the value of a buffer.
        self.epoch = self._steps = self._memory_steps = 0  # steps: in this epoch; since the memory began

    @property
    def memory_filled(self) -> int:
        return min(self.memory_length, -(-self._memory_steps // self.memory_interval))

    def train(self, mode: bool = True) -> "MAUM":
        """Enter training mode, and the next epoch if this one has had a step."""
        if mode and self._steps:
            self.epoch, self._steps = self.epoch + 1, 0
        return super().train(mode)

    def get_extra_state(self) -> Tensor:
        return torch.tensor([self.epoch, self._steps, self._memory_steps])

    def set_extra_state(self, state: Tensor) -> None:
        self.epoch, self._steps, self._memory_steps = state.tolist()

    def forward(self, images: Tensor, modality: Tensor) -> Outputs:
        """``shared`` (B, parts · D), part after part. No logits: the losses compare embeddings with proxies."""
        features = self._features(self.backbone(images, modality))
        return Outputs({"shared": features}, {"shared": self.neck(features)}, {})

    def losses(self, outputs: Outputs, pids: Tensor, modality: Tensor) -> dict[str, Tensor]:
        """``proxy``, ``unidirectional``, and ``shared`` or ``triplet`` where switched on: see :class:`MAUM`.

        In training mode, with gradients enabled, this is a step. A modality without rows adds 0.
        """
        check_labels(pids, len(self.proxies[0][0].weight))
        embeddings = outputs.embeddings["shared"]
        visible, infrared = ((embeddings[chosen], pids[chosen]) for chosen in rows(modality, 2, pids.device))
        to_visible, to_infrared = self.proxies
        own = self._metric(*visible, to_visible) + self._metric(*infrared, to_infrared)
        across = self._metric(*infrared, to_visible, static=True), self._metric(*visible, to_infrared, static=True)
        terms = {"proxy": own, "unidirectional": sum(across)}
        if self.shared_proxies:
            terms["shared"] = self._metric(embeddings, pids, self.shared_proxies)
        if self.triplet:
            terms["triplet"] = TRIPLETS[self.triplet](outputs.features["shared"], pids)
        if self.training and torch.is_grad_enabled():
            self._count_step()
        return terms

    @property
    def margins(self) -> dict[str, float]:
        return {"triplet": triplet_of_a_point(self.triplet)} if self.triplet else {}

    def branch_map(self, images: Tensor, modality: Tensor, branch: str) -> Tensor:
        """``shared``: the last stage; ``specific``: what the stem of its modality sees in an image."""
        self.check_branch(branch)
        return self.backbone(images, modality) if branch == "shared" else self.backbone.stem(images, modality)

    def embed_map(self, maps: Tensor, branch: str) -> Tensor:
        """``shared``: the parts one after another, after the BNNeck; ``specific``: the mean over positions."""
        self.check_branch(branch)
        return unit(self.neck(self._features(maps)) if branch == "shared" else maps.mean((2, 3), dtype=torch.float32))

    def _features(self, maps: Tensor) -> Tensor:
        """Pooled, and in MAUM-P reduced: (B, channels, h, w) -> (B, parts · D), in float32 or better."""
        if maps.shape[2] % self.parts:
            raise ValueError(
                f"{self.parts} stripes do not divide the {maps.shape[2]} rows of the last map; choose a number of "
                "stripes that does, or another height of the images"
            )
        pooled = self.pool(maps.unflatten(2, (self.parts, -1)).transpose(1, 2).flatten(0, 1))
        if not self.reductions:
            return pooled
        parts = pooled.unflatten(0, (-1, self.parts)).unbind(dim=1)
        reduced = torch.cat([reduce(part) for reduce, part in zip(self.reductions, parts, strict=True)], dim=1)
        return reduced.to(pooled.dtype)

    def _metric(self, embeddings: Tensor, pids: Tensor, proxies: Iterable[Proxies], *, static: bool = False) -> Tensor:
        """Mean over the parts: (N, parts · D), (N,), the proxies of each part -> scalar, 0 without rows.

        ``static`` proxies receive no gradient, and their memory stands beside them.
        """
        if len(pids) == 0:  # gradient 0 instead of none, which distributed training would wait for
            return sum((0 * part.weight.sum() for part in proxies), start=embeddings.sum())
        terms = []
        for x, part in zip(embeddings.unflatten(1, (self.parts, -1)).unbind(dim=1), proxies, strict=True):
            weight = part.weight.detach() if static else part.weight
            memory = part.memory[: self.memory_filled] if static and self.memory_filled else None
            terms.append(proxy_metric(x, weight, pids, memory=memory, **self.metric))
        return torch.stack(terms).mean()

    def _count_step(self) -> None:
        """Close a step: its proxies, not yet updated, go into the memory if they are due."""
        self._steps += 1
        if self.memory_length and self.epoch >= self.memory_start_epoch:
            if self._memory_steps % self.memory_interval == 0:
                for part in (*self.proxies[0], *self.proxies[1]):
                    part.remember()
            self._memory_steps += 1
