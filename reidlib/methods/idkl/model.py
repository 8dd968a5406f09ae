"""IDKL: a shared and a specific stream; what the specific one knows beyond its modality is distilled into the shared.

Ren and Zhang, "Implicit Discriminative Knowledge Learning for Visible-Infrared Person Re-Identification", CVPR 2024.
Documented (released code): layers, test feature, the losses of ``preset="released"`` and the weights of their recipe.
Documented (abstract and captions of figures): discriminator and confuser, purifier, distillation by TGSA and CSA, a
loss ``mdr`` that reduces the discrepancy of the modalities in the shared features, and weights λ1 of the purifier, λ2
of TGSA and λ3 of CSA. Reconstructed (ours, the paper's equations not being known): the losses of ``preset="paper"``.
"""

import copy
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reidlib.losses._common import check_one_of
from reidlib.losses.triplet import TRIPLETS, triplet_of_a_point
from reidlib.methods.idkl.losses import PRESETS, confusion_labels, csa, purifier, purifier_hinges, tgsa
from reidlib.networks.backbone import Backbone
from reidlib.networks.base import Outputs, ReIDModel, check_labels, unit
from reidlib.networks.heads import bn_neck

CONFUSERS = ("pseudo-label", "gradient-reversal", "uniform")
PURIFIED = ("raw", "gated", "raw_normed", "gated_normed")  # what the losses of the purifier compare


class TwoBacks(Backbone):
    """One ResNet for both modalities, and a second copy of its stages 3 and 4 behind the same front.

    Documented (released code), which builds three whole ResNets and uses half of each. The parameters of the front and
    of the first back, ``shared``, have torchvision's names; those of the second, ``specific``, the same after
    ``specific.``. The backs start as equal copies: so they do with ImageNet weights, and TGSA can then compare features
    of one with features of the other from the start.
    """

    def __init__(self, name: str, *, second: bool = True, weights: str | None = None):
        super().__init__(name, shared_from=0, weights=weights)
        backs = [copy.deepcopy(module) for number in (3, 4) for module in self.modules_of(number)]
        self.specific = nn.Sequential(*backs) if second else None

    def front(self, images: Tensor, modality: Tensor) -> Tensor:
        """(B, 3, H, W), (B,) -> (B, C, H / 8, W / 8)."""
        maps = self.stem(images, modality)
        for number in (0, 1, 2):
            maps = self.stage(number, maps)
        return maps

    def shared(self, maps: Tensor) -> Tensor:
        """What ``front`` returned -> (B, C, H / 16, W / 16); ``specific`` is alike."""
        return self.stage(4, self.stage(3, maps))


class FixedGeM(nn.Module):
    """Generalised-mean pooling with exponent 3, not learned; values below 1e-6 count as 1e-6. Float32 or better.

    Documented (released code).
    """

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, C)."""
        with torch.autocast(maps.device.type, enabled=False):
            values = maps.to(torch.promote_types(maps.dtype, torch.float32)).flatten(2).clamp(min=1e-6)
            return torch.linalg.vector_norm(values, ord=3, dim=2) * values.shape[2] ** (-1 / 3)


class Gate(nn.Sequential):
    """A factor between 0 and 1 for every channel at every position: (B, C, h, w) -> (B, C, h, w)."""

    def __init__(self, channels: int, reduction: int = 16):
        inner = channels // reduction
        squeeze, spread = nn.Conv2d(channels, inner, 1, bias=False), nn.Conv2d(inner, channels, 1, bias=False)
        super().__init__(squeeze, nn.ReLU(inplace=True), spread, nn.Sigmoid())


class Purifier(nn.Module):
    """IN-guided information purifier: instance normalisation takes style off, gates decide what of both to keep.

    With x the specific map, n its instance normalisation and a gate G for each: ``G_n(n) · (G_x(x) · x) + G_x(x) ·
    (G_n(n) · n)``, in which each is gated by itself and guided by the other. Documented (released code).
    """

    def __init__(self, channels: int, num_ids: int):
        super().__init__()
        self.norm = nn.InstanceNorm2d(channels, affine=True, track_running_stats=True)
        self.gate, self.gate_normed = Gate(channels), Gate(channels)
        self.classifier = nn.Linear(channels, num_ids, bias=False)  # has no other loss than the purifier's

    def forward(self, maps: Tensor) -> dict[str, Tensor]:
        """(B, C, h, w) -> ``purified`` and the four maps of ``PURIFIED``, each of that shape."""
        normed = self.norm(maps)
        factor, factor_normed = self.gate(maps), self.gate_normed(normed)
        gated, gated_normed = factor * maps, factor_normed * normed
        purified = factor_normed * gated + factor * gated_normed
        return dict(zip(("purified", *PURIFIED), (purified, maps, gated, normed, gated_normed), strict=True))


class Discriminator(nn.Sequential):
    """Which modality? (B, C) -> (B, 2). Documented (released code), but for biases that batch normalisation cancels."""

    def __init__(self, channels: int, width: int = 100):
        hidden = []
        for entering in (channels, width):
            hidden += [nn.Linear(entering, width, bias=False), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(0.5)]
        super().__init__(*hidden, nn.Linear(width, 2))


class IDKL(ReIDModel):
    """Two streams behind one front; all layers serve both modalities. The test feature is that of the shared stream.

    Terms of the loss, with f shared and s specific features (the latter purified) before their BNNeck:

    * ``identity``, ``triplet``; ``specific_identity``, ``specific_triplet``: cross-entropy and triplet loss.
    * ``discriminator``: s must tell its modality. ``confuser``: f must not. Its kinds are ``"pseudo-label"``,
      cross-entropy with labels half of which are wrong (documented: released code); ``"uniform"``, with both modalities
      equally likely, which is its expectation and does not depend on the order of the rows (reconstructed); and
      ``"gradient-reversal"``, true labels for the confuser against which f works (reconstructed: the released code has
      such a layer, unused). The confuser satisfies the first two most easily by ignoring f; the third it cannot.
    * ``purifier``: both terms of :func:`reidlib.methods.idkl.losses.purifier`, added.
    * ``tgsa``, ``csa``: from the specific to the shared stream, :func:`reidlib.methods.idkl.losses.tgsa` and ``csa``.
    * ``mdr``: their ``intra`` terms, which need the shared stream alone (that they are the paper's MDR is
      reconstructed).

    The ladder of components is one of switches and weights: ``dual=False`` (terms ``identity`` and ``triplet`` alone);
    ``purifier=False`` (no such term) with weight 0 for ``tgsa``, ``csa`` and ``mdr``; then one after another.

    Branches: ``shared``; ``specific``, the other stream before the purifier; ``purified``, after it.

    Args:
        num_ids, backbone, weights: as of :class:`reidlib.networks.TwoStream`.
        preset: ``"paper"`` or ``"released"``, see :mod:`reidlib.methods.idkl.losses`. ``"released"`` needs batches with
            equally many images of each modality, ordered by identity, as :class:`reidlib.data.PKSampler` draws them.
        dual: ``False`` leaves the specific stream out, and all that belongs to it.
        purifier: ``False`` leaves the purifier out.
        confuser: its kind; default ``"uniform"`` with the preset ``"paper"``, ``"pseudo-label"`` with ``"released"``.
        detach_teacher: ``True`` keeps the gradients of ``tgsa`` and ``csa`` from the specific stream (reconstructed;
            the released code lets both learn).
        graph_alignment: factor of TGSA's part in ``mdr``. The released code: 1 in batches of 120 images, 0.1 in others,
            0 for RegDB.
        triplet: ``"batch-hard"`` (documented: released code) or ``"weighted"``, both triplet losses.
        margin: of the batch-hard ones.
        purifier_margin: of the purifier's losses; above 0 they have more to do than in the released code.

    Attributes:
        hinges: (2, 2) integers, with the purifier: of its ``entropy`` and ``centroid``, how many hinges were above zero
            in training, and how many there were; see ``active_hinges``. In distributed training: in the first process.

    Raises:
        ValueError, FileNotFoundError: as :class:`reidlib.networks.TwoStream`.
    """

    def __init__(
        self,
        num_ids: int,
        backbone: str,
        *,
        weights: str | None = None,
        preset: str = "paper",
        dual: bool = True,
        purifier: bool = True,
        confuser: str | None = None,
        detach_teacher: bool = False,
        graph_alignment: float = 1.0,
        triplet: str = "batch-hard",
        margin: float = 1.3,
        purifier_margin: float = 0.0,
    ):
        super().__init__()
        confuser = confuser or ("uniform" if preset == "paper" else "pseudo-label")
        check_one_of("preset", preset, PRESETS)
        check_one_of("confuser", confuser, CONFUSERS)
        check_one_of("triplet", triplet, TRIPLETS)
        numbers = {"graph_alignment": graph_alignment, "margin": margin, "purifier_margin": purifier_margin}
        for name, value in numbers.items():
            if not 0 <= value < math.inf:
                raise ValueError(f"{name} must be a number from 0, not {value!r}")
        self.backbone = TwoBacks(backbone, second=dual, weights=weights)
        channels = self.backbone.channels[-1]
        self.pool, self.neck = FixedGeM(), bn_neck(channels)
        self.classifier = nn.Linear(channels, num_ids, bias=False)
        self.branches = ("shared",)
        if dual:
            self.confuser, self.discriminator = Discriminator(channels), Discriminator(channels)
            self.purifier = Purifier(channels, num_ids) if purifier else None
            self.specific_neck = bn_neck(channels)
            self.specific_classifier = nn.Linear(channels, num_ids, bias=False)
            self.branches = ("shared", "specific", "purified") if purifier else ("shared", "specific")
            if purifier:
                self.register_buffer("hinges", torch.zeros(2, 2, dtype=torch.long))
        self.preset, self.confusion, self.detach_teacher = preset, confuser, detach_teacher
        self.graph_alignment, self.margin, self.purifier_margin = graph_alignment, margin, purifier_margin
        self.triplet = triplet

    @property
    def active_hinges(self) -> dict[str, float]:
        """Share (0-1) of the purifier's hinges that were above zero in training so far; NaN before its first step."""
        above, there = self.hinges.double().unbind(dim=1)
        return dict(zip(("entropy", "centroid"), (above / there).tolist(), strict=True))

    def forward(self, images: Tensor, modality: Tensor) -> Outputs:
        """Features and logits of ``shared`` and, named by the last branch, of the specific stream.

        ``extra``: the modality's logits (B, 2) of ``discriminator`` and ``confuser``, and the pooled maps of the
        purifier by their names in ``PURIFIED``.
        """
        front = self.backbone.front(images, modality)
        features = {"shared": self.pool(self.backbone.shared(front))}
        embeddings = {"shared": self.neck(features["shared"])}
        logits = {"shared": self.classifier(embeddings["shared"])}
        extra = {}
        if len(self.branches) > 1:
            specific, last = self.backbone.specific(front), self.branches[-1]
            if last == "purified":
                extra = {name: self.pool(maps) for name, maps in self.purifier(specific).items()}
            features[last] = extra.pop("purified") if extra else self.pool(specific)
            embeddings[last] = self.specific_neck(features[last])
            logits[last] = self.specific_classifier(embeddings[last])
            extra["discriminator"] = self.discriminator(embeddings[last])
            extra["confuser"] = self.confuser(self._before_confuser(embeddings["shared"]))
        return Outputs(features, embeddings, logits, extra)

    @property
    def margins(self) -> dict[str, float]:
        value = triplet_of_a_point(self.triplet, self.margin)
        return dict.fromkeys(("triplet", "specific_triplet")[: len(self.branches)], value)

    def losses(self, outputs: Outputs, pids: Tensor, modality: Tensor) -> dict[str, Tensor]:
        """The terms that :class:`IDKL` describes. In training mode, with gradients enabled, hinges are counted."""
        check_labels(pids, self.classifier.out_features)
        features, logits = outputs.features, outputs.logits
        terms = {
            "identity": F.cross_entropy(logits["shared"], pids),
            "triplet": self._triplet(features["shared"], pids),
        }
        if len(self.branches) == 1:
            return terms
        last, labels = self.branches[-1], modality.to(pids.device).long()
        terms["specific_identity"] = F.cross_entropy(logits[last], pids)
        terms["specific_triplet"] = self._triplet(features[last], pids)
        terms["discriminator"] = F.cross_entropy(outputs.extra["discriminator"], labels)
        terms["confuser"] = F.cross_entropy(outputs.extra["confuser"], self._confuser_target(labels))
        if self.purifier:
            arguments = *(outputs.extra[name] for name in PURIFIED), self.purifier.classifier, pids, modality
            terms["purifier"] = sum(purifier(*arguments, margin=self.purifier_margin).values())
            if self.training and torch.is_grad_enabled():
                hinges = purifier_hinges(*arguments, margin=self.purifier_margin)
                self.hinges += torch.stack([hinges["entropy"], hinges["centroid"]])
        teacher, predictions = features[last], logits[last]
        if self.detach_teacher:
            teacher, predictions = teacher.detach(), predictions.detach()
        given = {"pids": pids, "modality": modality, "preset": self.preset}
        graphs = tgsa(features["shared"], teacher, **given)
        classes = csa(logits["shared"], predictions, **given)
        terms["tgsa"] = graphs["distil"]
        terms["csa"] = classes["sample_distil"] + classes["class_distil"]
        terms["mdr"] = self.graph_alignment * graphs["intra"] + classes["sample_intra"] + classes["class_intra"]
        return terms

    def branch_map(self, images: Tensor, modality: Tensor, branch: str) -> Tensor:
        """The last map of the stream; ``purified``: what the purifier makes of it."""
        self.check_branch(branch)
        front = self.backbone.front(images, modality)
        if branch == "shared":
            return self.backbone.shared(front)
        specific = self.backbone.specific(front)
        return self.purifier(specific)["purified"] if branch == "purified" else specific

    def embed_map(self, maps: Tensor, branch: str) -> Tensor:
        """Pooled, after the BNNeck; ``specific`` before a purifier, to which no BNNeck belongs, pooled alone."""
        self.check_branch(branch)
        pooled = self.pool(maps)
        if branch == "shared":
            return unit(self.neck(pooled))
        return unit(self.specific_neck(pooled) if branch == self.branches[-1] else pooled)

    def _triplet(self, features: Tensor, pids: Tensor) -> Tensor:
        options = {"margin": self.margin} if self.triplet == "batch-hard" else {}
        return TRIPLETS[self.triplet](features, pids, **options)

    def _before_confuser(self, embeddings: Tensor) -> Tensor:
        """The same values; for gradient reversal, with the opposite gradient."""
        return 2 * embeddings.detach() - embeddings if self.confusion == "gradient-reversal" else embeddings

    def _confuser_target(self, modality: Tensor) -> Tensor:
        if self.confusion == "uniform":
            return torch.full((len(modality), 2), 0.5, device=modality.device)
        return confusion_labels(modality) if self.confusion == "pseudo-label" else modality
