"""FIENet: mid-level detail aggregated step by step, perceptions that interact, centres of identities as a guide.

Documented (Qi et al., "Fine-grained Learning for Visible-Infrared Person Re-identification", FIENet, ICME 2023,
abstract): the names and roles of PFAM, MPIM and IGCL, and that the first two work together. Everything else is
reconstructed (ours; neither the paper's text nor code was at hand): layers, equations, places, numbers, schedule.
"""

from torch import Tensor, nn

from reidlib.losses._common import check_one_of
from reidlib.methods.fienet.losses import center_cluster, hetero_center, hetero_center_triplet, identity_guided_center
from reidlib.methods.fienet.modules import MPIM, aggregation_steps
from reidlib.networks import TwoStream
from reidlib.networks.base import Outputs

MPIM_STAGE = 3
RELATIVES = {
    "center_cluster": lambda features, pids, modality: center_cluster(features, pids),
    "hetero_center": hetero_center,
    "hetero_center_triplet": hetero_center_triplet,
}


class FIENet(TwoStream):
    """The baseline with PFAM after stages 2 and 3, MPIM after stage 3, and IGCL on its features.

    stem → stage 1 → stage 2 → PFAM → stage 3 → PFAM → MPIM → stage 4 → pooling → BNNeck → classifier. Each ingredient
    can be switched off; without all three this is :class:`reidlib.networks.TwoStream`, and with them it starts as
    the baseline of the same seed: their weights are drawn after its own, and what they add is zero at first.

    * PFAM, Progressive Feature Aggregation Module: see :class:`reidlib.methods.fienet.modules.GatedStep` and its
      alternatives there. Documented: role. Reconstructed: layers, and its two places.
    * MPIM, Multi-Perception Interaction Module: see :class:`reidlib.methods.fienet.modules.MPIM`. Documented: role.
      Reconstructed: layers and place.
    * IGCL, Identity-Guided Center Loss: the terms ``intra`` and ``inter`` of
      :func:`reidlib.methods.fienet.losses.identity_guided_center`. Documented: role. Reconstructed: equations and
      numbers.
    * Stems (one stage for each modality), pooling, BNNeck, ``identity`` and ``triplet``: reconstructed, those of the
      baseline (AGW).

    Args:
        num_ids, backbone, weights, triplet, label_smoothing: as of :class:`reidlib.networks.TwoStream`.
        pfam: ``False`` leaves PFAM out.
        aggregation: ``"gated"``, ``"two_step"``, or ``"one_shot"``, which is not progressive.
        mpim: ``False`` leaves MPIM out.
        interaction: ``"attention"``, ``"gate"`` or ``"none"``, in which the perceptions meet in their fusion alone.
        igcl: ``False`` leaves IGCL and its terms out.
        center_margin: of IGCL.
        center_after_neck: ``True`` takes the centres of IGCL and of its relatives from the features after the BNNeck,
            ``False`` from those before it. These are never negative and lie in a narrow cone: with random initial
            weights their centres are hardly a hundredth apart, far from any ``center_margin``.
        center: ``"center_cluster"``, ``"hetero_center"`` or ``"hetero_center_triplet"`` adds the term ``center``, that
            relative of IGCL, with its own margin, on the same features.

    Raises:
        ValueError, FileNotFoundError: as :class:`reidlib.networks.TwoStream`.
    """

    def __init__(
        self,
        num_ids: int,
        backbone: str,
        *,
        weights: str | None = None,
        triplet: str = "batch-hard",
        label_smoothing: float = 0.1,
        pfam: bool = True,
        aggregation: str = "gated",
        mpim: bool = True,
        interaction: str = "attention",
        igcl: bool = True,
        center_margin: float = 0.7,
        center_after_neck: bool = True,
        center: str | None = None,
    ):
        super().__init__(num_ids, backbone, weights=weights, triplet=triplet, label_smoothing=label_smoothing)
        check_one_of("center", center, (None, *RELATIVES))
        channels = self.backbone.channels
        self.pfam = aggregation_steps(aggregation, channels) if pfam else nn.ModuleDict()
        self.mpim = MPIM(channels[MPIM_STAGE], interaction=interaction) if mpim else nn.Identity()
        self.igcl, self.center_margin = igcl, center_margin
        self.center_after_neck, self.center = center_after_neck, center

    def losses(self, outputs: Outputs, pids: Tensor, modality: Tensor) -> dict[str, Tensor]:
        """``identity``, ``triplet``; ``intra`` and ``inter`` with IGCL; ``center`` where a relative is switched on.

        Raises:
            ValueError: as the baseline's, or the batch lacks a modality, which centres need.
        """
        terms = super().losses(outputs, pids, modality)
        features = (outputs.embeddings if self.center_after_neck else outputs.features)["shared"]
        if self.igcl:
            terms |= identity_guided_center(features, pids, modality, margin=self.center_margin)
        if self.center:
            terms["center"] = RELATIVES[self.center](features, pids, modality)
        return terms

    def branch_map(self, images: Tensor, modality: Tensor, branch: str) -> Tensor:
        """``shared``: the last stage; ``specific``: what the stem of its modality sees."""
        if branch != "shared":
            return super().branch_map(images, modality, branch)
        maps, lower = self.backbone.stem(images, modality), []
        for stage in self.backbone.stages:
            maps = self.backbone.stage(stage, maps)
            if str(stage) in self.pfam:
                maps = self.pfam[str(stage)](maps, lower)
            lower.append(maps)
            if stage == MPIM_STAGE:
                maps = self.mpim(maps)
        return maps
