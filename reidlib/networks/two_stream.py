"""The network that methods build on: two stems, one trunk, GeM, BNNeck, a shared classifier."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reidlib.losses import TRIPLETS, triplet_of_a_point
from reidlib.losses._common import check_one_of
from reidlib.networks.backbone import Backbone
from reidlib.networks.base import Outputs, ReIDModel, check_labels, unit
from reidlib.networks.heads import bn_neck, classifier, pooling

TRIPLET_ON = ("pooled", "unit", "neck")


class TwoStream(ReIDModel):
    """Two-stream network with the tricks of AGW and of "Bag of Tricks"; each trick can be switched off.

    Methods that add something to it override :meth:`branch_map` and :meth:`losses`.

    Documented: Ye et al., TPAMI 2021 (AGW: a stem per modality, GeM, weighted triplet) and Luo et al., 2019 (last
    stride 1, BNNeck, label smoothing). Left out: AGW's non-local blocks. The classifier is shared by both modalities.

    Args:
        num_ids: training identities.
        backbone: one of :func:`reidlib.networks.trunks.names`.
        weights: ``None``, ``"twin"``, ``"imagenet"`` or a file, see :mod:`reidlib.networks.weights`.
        shared_from: first stage that both modalities share, 0 (one stream) to 5 (two networks under one head).
        last_stride: stride of the last stage, 1 or 2.
        pool: ``"gem"`` or ``"average"``.
        neck: ``False`` leaves the BNNeck out.
        triplet: ``"batch-hard"`` or ``"weighted"``.
        triplet_on: what it compares: ``"pooled"`` features as they are, before the BNNeck; the same at length 1,
            ``"unit"``; or ``"neck"``, behind the BNNeck.
        margin: of the batch-hard triplet.
        label_smoothing: of the cross-entropy, 0 to 1.

    Raises:
        ValueError: an unknown name or a number out of range.
        FileNotFoundError: the weights cannot be had; see :class:`reidlib.networks.backbone.Backbone`.
    """

    def __init__(
        self,
        num_ids: int,
        backbone: str,
        *,
        weights: str | None = None,
        shared_from: int = 1,
        last_stride: int = 1,
        pool: str = "gem",
        neck: bool = True,
        triplet: str = "batch-hard",
        triplet_on: str = "pooled",
        margin: float = 0.3,
        label_smoothing: float = 0.1,
    ):
        super().__init__()
        check_one_of("triplet", triplet, TRIPLETS)
        check_one_of("triplet_on", triplet_on, TRIPLET_ON)
        if not 0 <= label_smoothing <= 1:
            raise ValueError(f"label_smoothing must be between 0 and 1, not {label_smoothing!r}")
        self.backbone = Backbone(backbone, shared_from=shared_from, last_stride=last_stride, weights=weights)
        channels = self.backbone.channels[-1]
        self.pool = pooling(pool)
        self.neck = bn_neck(channels) if neck else nn.Identity()
        self.classifier = classifier(channels, num_ids)
        self.branches = ("shared", "specific") if shared_from else ("shared",)
        self.triplet, self.triplet_on = triplet, triplet_on
        self.margin = margin
        self.label_smoothing = label_smoothing

    def forward(self, images: Tensor, modality: Tensor) -> Outputs:
        features = self.pool(self.branch_map(images, modality, "shared"))
        embeddings = self.neck(features)
        return Outputs({"shared": features}, {"shared": embeddings}, {"shared": self.classifier(embeddings)})

    def losses(self, outputs: Outputs, pids: Tensor, modality: Tensor) -> dict[str, Tensor]:
        """``identity``: cross-entropy of the logits; ``triplet``: over both modalities together."""
        check_labels(pids, self.classifier.out_features)
        options = {"margin": self.margin} if self.triplet == "batch-hard" else {}
        compared = (outputs.embeddings if self.triplet_on == "neck" else outputs.features)["shared"]
        compared = unit(compared) if self.triplet_on == "unit" else compared
        return {
            "identity": F.cross_entropy(outputs.logits["shared"], pids, label_smoothing=self.label_smoothing),
            "triplet": TRIPLETS[self.triplet](compared, pids, **options),
        }

    @property
    def margins(self) -> dict[str, float]:
        return {"triplet": triplet_of_a_point(self.triplet, self.margin)}

    def branch_map(self, images: Tensor, modality: Tensor, branch: str) -> Tensor:
        """``shared``: the last stage; ``specific``: what the stem of its modality sees in an image."""
        self.check_branch(branch)
        return self.backbone(images, modality) if branch == "shared" else self.backbone.stem(images, modality)

    def embed_map(self, maps: Tensor, branch: str) -> Tensor:
        """``shared``: pooled, after the BNNeck; ``specific``: the mean over positions."""
        self.check_branch(branch)
        return unit(self.neck(self.pool(maps)) if branch == "shared" else maps.mean(dim=(2, 3), dtype=torch.float32))
