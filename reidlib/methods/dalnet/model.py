"""DALNet: a third modality, auxiliary images drawn from photos, through which photos and sketches meet.

Documented (Liu et al., "DALNet: Differentiable Auxiliary Learning for Sketch Re-Identification", AAAI 2024, abstract;
roles only): a generator of auxiliary images trained with the network (DAG, :mod:`reidlib.methods.dalnet.auxiliary`);
attention between modalities (MIA); circle losses within each of three modalities, over global and modality-shared
features, and across them (MMCL). Everything else is reconstructed (ours; no code was released): layers, equations,
weights, stems, pooling, the test feature.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from reidlib.losses import TRIPLETS, triplet_of_a_point
from reidlib.losses._common import check_one_of
from reidlib.losses.circle import circle
from reidlib.methods.dalnet.auxiliary import Drawing, choose_donors, generator
from reidlib.methods.dalnet.foreground import cut_and_paste
from reidlib.methods.dalnet.interaction import Interaction, partners
from reidlib.methods.dalnet.losses import mask_cross_entropy, structure_drift, style_distance
from reidlib.methods.dalnet.statistics import add_auxiliary_statistics, auxiliary_statistics
from reidlib.networks.backbone import Backbone
from reidlib.networks.base import Outputs, ReIDModel, check_labels, evaluating, unit
from reidlib.networks.division import division, rows, uniform
from reidlib.networks.heads import GeM, bn_neck, classifier

PHOTO, SKETCH, AUXILIARY = range(3)
# What images were normalised with before they came here: the ImageNet statistics, see ReIDModel.
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
STYLE_STAGES = (1, 2)


class DALNet(ReIDModel):
    """The baseline's trunk on photos (modality 0), sketches (1) and, in here, auxiliary images made of the photos (2).

    For each modality m of a batch, ``g^m`` are pooled features ("global", the test feature before the BNNeck) and
    ``h^m`` ("modality-shared") those of the maps that :class:`Interaction` returns. Circle losses compare both after
    the BNNeck, where test features are compared. Terms, unweighted:

    * ``identity``: cross-entropy of all g and h under one BNNeck and classifier (reconstructed).
    * ``intra``: mean over m of the circle loss among ``g^m`` and ``h^m`` together. With one sketch of an identity, its
      g and h are still a positive pair. Documented: that it is there, on these two features, and why. Reconstructed:
      the sums.
    * ``cross``: mean over ordered pairs of modalities of the circle loss from ``g^m`` to ``g^n``. Documented: that it
      is there, over three modalities. Reconstructed: on g, the sums.
    * ``style``, ``structure`` (if refined), ``mask`` (if cleaned): of the generator, see :mod:`reidlib.losses`.
      Reconstructed. Style is compared in layer1 and layer2 of the backbone, behind the stem of sketches, held still.
      The mask learns on photos with a known foreground (:func:`reidlib.methods.dalnet.foreground.cut_and_paste`).
    * ``triplet``: of the baseline, on g of the real images, before the BNNeck (reconstructed).

    A style donor is a sketch of another identity in the batch; in a batch of one identity nobody is refined, and
    ``style`` is 0. Sketches meet the auxiliary image of a photo of their own identity: MIA needs labels, is for
    training alone and no part of ``embed``. In training, shared layers normalise auxiliary images by themselves and
    keep running statistics for them beside those of the real ones; the BNNeck treats all features as the test feature.

    Branches: ``shared``, the test feature (g of the paper); ``auxiliary``, the same with photos turned into auxiliary
    images in the average style of the training sketches, while sketches stay what they are. Modality-shared features
    cannot be a branch: a partner of the same identity would leak its label.

    Args:
        num_ids, backbone, weights: as of :class:`reidlib.networks.TwoStream`.
        shared_from: first stage that all three modalities share: 0, one stem for all, to 5.
        auxiliary: ``"dag"``, or cheaper: ``"conv"``, ``"xdog"``, ``"sobel"``, ``"grey"``.
        clean, refine: ``False`` leaves out the DAG's mask network, or its refiner. Its width is a 64th of the
            backbone's channels, at least 4; 32 for ResNet-50.
        attention: ``False`` leaves MIA out: there is no h.
        intra_metric: ``"circle"``, ``"batch-hard"`` or ``"weighted"``, what ``intra`` uses.
        after_neck: ``False`` compares g and h before the BNNeck in ``intra`` and ``cross``. Both reconstructed.
        triplet: ``"batch-hard"`` or ``"weighted"``; ``None`` leaves the term out.
        margin, gamma: of the circle losses. Documented for re-identification at large (fast-reid: 0.25 and 128).
        label_smoothing: of the cross-entropy, 0 to 1.

    Raises:
        ValueError, FileNotFoundError: as :class:`reidlib.networks.TwoStream`.
    """

    branches = ("shared", "auxiliary")

    def __init__(
        self,
        num_ids: int,
        backbone: str,
        *,
        weights: str | None = None,
        shared_from: int = 1,
        auxiliary: str = "dag",
        clean: bool = True,
        refine: bool = True,
        attention: bool = True,
        intra_metric: str = "circle",
        after_neck: bool = True,
        triplet: str | None = "batch-hard",
        margin: float = 0.25,
        gamma: float = 64.0,
        label_smoothing: float = 0.1,
    ):
        super().__init__()
        check_one_of("intra_metric", intra_metric, ("circle", *TRIPLETS))
        check_one_of("triplet", triplet, (None, *TRIPLETS))
        if not 0 <= label_smoothing <= 1:
            raise ValueError(f"label_smoothing must be between 0 and 1, not {label_smoothing!r}")
        self.backbone = Backbone(backbone, shared_from=shared_from, modalities=3, weights=weights)
        channels = self.backbone.channels[-1]
        self.pool = GeM()
        self.neck = bn_neck(channels)
        self.classifier = classifier(channels, num_ids)
        self.generator = generator(auxiliary, max(4, channels // 64), clean=clean, refine=refine)
        self.attention = Interaction(channels) if attention else None
        add_auxiliary_statistics(self.backbone)
        for name, values in (("image_mean", MEAN), ("image_deviation", DEVIATION)):
            self.register_buffer(name, torch.tensor(values).view(3, 1, 1), persistent=False)
        self.intra_metric, self.after_neck, self.triplet = intra_metric, after_neck, triplet
        self.circle = {"margin": margin, "gamma": gamma}
        self.label_smoothing = label_smoothing

    def forward(self, images: Tensor, modality: Tensor) -> Outputs:
        """``shared`` of the real images; what ``losses`` makes the third modality of is in ``extra``."""
        maps = self.backbone(images, modality)
        features = self.pool(maps)
        embeddings = self.neck(features)
        logits = self.classifier(embeddings).float()
        extra = {"images": images, "maps": maps}
        return Outputs({"shared": features}, {"shared": embeddings}, {"shared": logits}, extra)

    def losses(self, outputs: Outputs, pids: Tensor, modality: Tensor) -> dict[str, Tensor]:
        """The terms listed in :class:`DALNet`. Makes the auxiliary images: only here are identities known."""
        check_labels(pids, self.classifier.out_features)
        real, features = rows(modality, 2, pids.device), outputs.features["shared"]
        if len(real[PHOTO]) == 0:
            return self._losses_without_photos(outputs, pids)
        photo_pids, sketch_pids = (pids[chosen] for chosen in real)
        pictures = self._pictures(outputs.extra["images"])
        photos, sketches = (pictures[chosen] for chosen in real)
        donors = choose_donors(photo_pids, sketch_pids)
        drawing = self.generator(photos, sketches, donors)
        maps = self._auxiliary_maps(drawing.auxiliary)
        labels = photo_pids, sketch_pids, photo_pids
        spread = [*([features[chosen]] for chosen in real), [self.pool(maps)]]
        if self.attention:
            real_maps = (outputs.extra["maps"][chosen] for chosen in real)
            pairing = partners(photo_pids, sketch_pids), partners(sketch_pids, photo_pids)
            for parts, shared in zip(spread, self.attention(maps, *real_maps, *pairing), strict=True):
                parts.append(self.pool(shared))
        embedded = self._embedded(spread, features)
        compared = embedded if self.after_neck else spread
        return {
            "identity": self._identity(outputs, pids, embedded, labels),
            "intra": self._intra(compared, labels),
            "cross": self._cross([parts[0] for parts in compared], labels),
            **self._generator_losses(drawing, photos, sketches, donors),
            **self._triplet_loss(features, pids),
        }

    def _losses_without_photos(self, outputs: Outputs, pids: Tensor) -> dict[str, Tensor]:
        """Of a batch of sketches alone: with nothing to draw, all but the identity of a sketch is 0."""
        nothing = sum(0 * parameter.sum() for parameter in self.parameters())  # distributed training waits for each
        identity = F.cross_entropy(outputs.logits["shared"], pids, label_smoothing=self.label_smoothing)
        terms = dict.fromkeys(("intra", "cross", *self.generator.terms), nothing)
        return {"identity": identity + nothing, **terms, **self._triplet_loss(outputs.features["shared"], pids)}

    def _triplet_loss(self, features: Tensor, pids: Tensor) -> dict[str, Tensor]:
        return {"triplet": TRIPLETS[self.triplet](features, pids)} if self.triplet else {}

    @property
    def margins(self) -> dict[str, float]:
        return {"triplet": triplet_of_a_point(self.triplet)} if self.triplet else {}

    def branch_map(self, images: Tensor, modality: Tensor, branch: str) -> Tensor:
        """The last stage: of the images, or for ``auxiliary`` of what the generator draws of photos."""
        self.check_branch(branch)
        counts = division(modality, 2).counts
        if branch == "shared" or counts[PHOTO] == 0:
            return self.backbone(images, modality)
        photo, sketch = rows(modality, 2, images.device)
        drawn = self._auxiliary_maps(self.generator(self._pictures(images[photo])).auxiliary)
        if len(sketch) == 0:
            return drawn
        maps = torch.cat([drawn, self.backbone(images[sketch], uniform(SKETCH, sketch))])
        return maps[torch.cat([photo, sketch]).argsort()]

    def embed_map(self, maps: Tensor, branch: str) -> Tensor:
        """Pooled, after the BNNeck."""
        self.check_branch(branch)
        return unit(self.neck(self.pool(maps)))

    @torch.no_grad()
    def panel(self, photos: Tensor, donors: Tensor | None = None) -> dict[str, Tensor]:
        """What becomes of photos on their way to the auxiliary modality, as images in 0-1.

        Args:
            photos: (B, 3, H, W), normalised.
            donors: (B, 3, H, W), normalised, a sketch for each photo whose style it takes; default: the average style.

        Returns:
            ``photo`` (B, 3, H, W); ``mask`` (B, 1, H, W) and ``cleaned`` (B, 3, H, W), of a DAG that cleans; ``edges``
            (B, 1, H, W), unless grey or of convolutions; ``auxiliary`` (B, 1 or 3, H, W).
        """
        pictures, order = self._pictures(photos), None
        if donors is not None:
            donors, order = self._pictures(donors), torch.arange(len(photos), device=photos.device)
        drawing = self.generator(pictures, donors, order)
        steps = {"photo": pictures, "mask": drawing.mask, "cleaned": drawing.cleaned, "edges": drawing.edges}
        return {name: step for name, step in steps.items() if step is not None} | {"auxiliary": drawing.auxiliary}

    def _pictures(self, images: Tensor) -> Tensor:
        """Normalised images -> 0-1; contiguous, in which a CPU runs convolutions of a few channels faster."""
        return (images.float() * self.image_deviation + self.image_mean).clamp(0, 1).contiguous()

    def _normalised(self, pictures: Tensor) -> Tensor:
        """(B, 1 or 3, H, W) in 0-1 -> (B, 3, H, W) as the backbone takes them."""
        images = (pictures - self.image_mean) / self.image_deviation
        return images.contiguous(memory_format=torch.channels_last)

    def _auxiliary_maps(self, pictures: Tensor) -> Tensor:
        with auxiliary_statistics(self.backbone):
            return self.backbone(self._normalised(pictures), uniform(AUXILIARY, pictures))

    def _embedded(self, spread: list[list[Tensor]], tested: Tensor) -> list[list[Tensor]]:
        """Through the BNNeck by the statistics of the test features, which in training are those of the batch."""
        if not self.training:
            return [[self.neck(part) for part in parts] for parts in spread]
        variance, mean = torch.var_mean(tested, dim=0, correction=0)
        scale = (variance + self.neck.eps).rsqrt() * self.neck.weight
        return [[(part - mean) * scale for part in parts] for parts in spread]

    def _identity(self, outputs: Outputs, pids: Tensor, embedded: list[list[Tensor]], labels: tuple) -> Tensor:
        """Cross-entropy over the real images, whose logits are there already, and over all other features."""
        others = [parts[1:] for parts in embedded[:AUXILIARY]] + [embedded[AUXILIARY]]
        targets = [pids, *(label for label, parts in zip(labels, others, strict=True) for _ in parts)]
        logits = self.classifier(torch.cat([part for parts in others for part in parts])).float()
        logits = torch.cat([outputs.logits["shared"], logits])
        return F.cross_entropy(logits, torch.cat(targets), label_smoothing=self.label_smoothing)

    def _intra(self, spread: list[list[Tensor]], labels: tuple) -> Tensor:
        terms = []
        for parts, pids in zip(spread, labels, strict=True):
            if len(pids):
                rows, pids = torch.cat(parts), pids.repeat(len(parts))
                metric = TRIPLETS.get(self.intra_metric)
                terms.append(metric(rows, pids) if metric else circle(rows, pids, **self.circle))
        return torch.stack(terms).mean()

    def _cross(self, features: list[Tensor], labels: tuple) -> Tensor:
        present = [number for number in range(3) if len(labels[number])]
        pairs = [(m, n) for m in present for n in present if m != n]
        terms = [circle(features[m], labels[m], features[n], labels[n], **self.circle) for m, n in pairs]
        return torch.stack(terms).mean()

    def _generator_losses(self, drawing: Drawing, photos: Tensor, sketches: Tensor, donors: Tensor) -> dict:
        terms = {}
        if "style" in self.generator.terms:
            mask = torch.ones_like(drawing.edges) if drawing.mask is None else drawing.mask
            terms["style"] = self._style(drawing.auxiliary, sketches, donors)
            terms["structure"] = structure_drift(drawing.auxiliary, drawing.edges, mask)
        if "mask" in self.generator.terms:
            terms["mask"] = self._mask(photos, sketches)
        return terms

    def _mask(self, photos: Tensor, sketches: Tensor) -> Tensor:
        """On as many photos as a quarter of the batch, made for it: nobody knows the masks of real ones."""
        if len(sketches) == 0:
            return 0 * self.generator.mask(photos[:1]).sum()
        pictures, masks = cut_and_paste(photos, sketches, -(-len(photos) // 4))
        return mask_cross_entropy(self.generator.mask(pictures), masks)

    def _style(self, drawn: Tensor, sketches: Tensor, donors: Tensor) -> Tensor:
        """Over a quarter of the batch, drawn at random: the same on average, and a quarter of the time."""
        if len(sketches) == 0:
            return 0 * drawn.sum()
        chosen = torch.randperm(len(drawn), device=drawn.device)[: -(-len(drawn) // 4)]
        donors = donors[chosen]
        with evaluating(self.backbone, learning=False):
            maps = self._style_maps(drawn[chosen])
            with torch.no_grad():
                donor_maps = self._style_maps(sketches[donors.clamp(min=0)])
        return style_distance(maps, donor_maps, donors >= 0)

    def _style_maps(self, pictures: Tensor) -> list[Tensor]:
        """Maps of the stages whose style is compared, through the stem of sketches."""
        maps, found = self._normalised(pictures), []
        for number in range(max(STYLE_STAGES) + 1):
            part = self.backbone if number in self.backbone.stages else self.backbone.stems[SKETCH]
            maps = part.stage(number, maps)
            if number in STYLE_STAGES:
                found.append(maps)
        return found
