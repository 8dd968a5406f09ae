"""Grad-CAM for retrieval: which places of an image bring its embedding closer to another image of the same person.

A classifier is asked for the evidence for a class; a retrieval network has no classes at test time, so the question is
the cosine between the image's embedding and a target embedding. The target must come from another image. At the image's
own embedding the cosine is at its maximum and the gradient is rounding noise, which min-max scaling would stretch into
a convincing map: `grad_cam` raises instead.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reidlib.data import ReIDDataset
from reidlib.explain import common
from reidlib.explain.embedding import instance_statistics
from reidlib.explain.targets import retrieval_targets
from reidlib.losses._common import check_one_of
from reidlib.networks import ReIDModel
from reidlib.networks.base import Opened, device_of, evaluating
from reidlib.networks.wrapped import as_model


@dataclass(frozen=True, eq=False)
class Cams:
    """Class-activation maps of B images.

    Attributes:
        maps: (B, H, W) float32 at the size of the images, each scaled to 0–1; all zero where ``empty``.
        similarities: (B,) cosine between image and target.
        gradient_norms: (B,) norm of the cosine's gradient at the branch map: the strength that the scaling hides.
    """

    maps: Tensor
    similarities: Tensor
    gradient_norms: Tensor

    @property
    def empty(self) -> Tensor:
        """(B,) bool: images with nothing to show, because no place of theirs speaks for the target.

        The weighted activations are negative everywhere, or alike everywhere. It happens in sound networks, too: a
        BNNeck subtracts the mean feature, and an image may be told by what it lacks. Say how many there were.
        """
        return (self.maps == 0).all(dim=2).all(dim=1)


def grad_cam(
    model: ReIDModel,
    images: Tensor,
    modality: Tensor,
    targets: Tensor,
    *,
    branch: str | None = None,
    library: str = "own",
    activations: Tensor | None = None,
) -> Cams:
    """Explain the cosine of each image with its target at the last feature map of a branch.

    Documented: Selvaraju et al., "Grad-CAM", ICCV 2017 (activation × pooled gradient, ReLU). The min-max scaling of
    each map, at the size of the image, is that of the grad-cam package. Reconstructed: the cosine in the place of a
    class score.

    The model stays as it was: mode, gradients and ``requires_grad``. Nothing is drawn at random.

    Args:
        model: or a module of one's own with a layer named for it, see `reidlib.networks.wrap`.
        images: (B, 3, H, W), normalised.
        modality: (B,) int64.
        targets: (B, D), one embedding for each image and of the same branch, of any length; see `retrieval_targets`.
        branch: one of ``model.branches``; default the test feature.
        library: ``"own"``: the ten lines below; ``"package"``: ``pytorch_grad_cam.GradCAM``. They agree to 1e-2.
        activations: (B, C, h, w), to be weighted in the place of the images' own, with the weights of the images: what
            is left of a map that way was not seen in the image. Only with ``library="own"``.

    Raises:
        ValueError: unknown branch or library; targets or activations of a wrong shape; a vanishing gradient: its norm
            times the norm of the branch map, so that the scale of the activations does not matter, is no more than the
            square root of the machine epsilon, 3e-4 in float32. For unit vectors at such an angle the cosine rounds
            to 1: the target is, to this precision, the embedding of the image itself.
        ImportError: ``library="package"`` and grad-cam is not installed.
    """
    model = as_model(model)
    branch = model.check_branch(branch)
    check_one_of("library", library, ("own", "package"))
    if targets.ndim != 2 or len(targets) != len(images) or not targets.is_floating_point():
        raise ValueError(
            f"targets must be floating ({len(images)}, D), one an image, not {targets.dtype} {tuple(targets.shape)}"
        )
    if activations is not None and library != "own":
        raise ValueError('other activations can be weighted by library="own" only')
    compute = partial(_own, swapped=activations) if library == "own" else _package
    with _untouched(model, images.device):
        images, wanted = images.detach(), torch.promote_types(images.dtype, torch.float32)
        unit_targets = F.normalize(targets.detach().to(images.device, wanted), dim=1)
        maps, seen, gradients, similarities = compute(model, images, modality, unit_targets, branch)
    norms = gradients.flatten(1).norm(dim=1)
    epsilon = max(torch.finfo(tensor.dtype).eps for tensor in (seen, targets))
    _refuse_vanishing(norms * seen.flatten(1).norm(dim=1), epsilon**0.5)
    return Cams(maps.float(), similarities.detach().float(), norms.float())


def cams(
    model: ReIDModel,
    dataset: ReIDDataset,
    rows: np.ndarray,
    *,
    branch: str | None = None,
    swapped: bool = False,
) -> Cams:
    """`grad_cam` of images of a data set, in main memory, with the targets of `retrieval_targets`.

    The images have the size of the model's training. ``swapped``: the mean activations of all images of the same
    modality among ``rows`` take the place of each image's own.
    """
    model = as_model(model)
    images = common.sized_images(model, dataset)
    targets = retrieval_targets(model, dataset, rows, branch=branch).embeddings
    means = common.mean_maps(model, dataset, rows, branch) if swapped else None
    shown = dataset.frame["modality"].to_numpy()[np.asarray(rows)]
    batches, parts = common.batches(images, dataset, rows, device_of(model)), []
    for start, (pixels, modality) in zip(range(0, len(targets), common.BATCH), batches, strict=True):
        part = slice(start, start + common.BATCH)
        wanted = targets[part]
        instead = None if means is None else torch.stack([means[number][0] for number in shown[part].tolist()])
        part = grad_cam(model, pixels, modality, wanted, branch=branch, activations=instead)
        parts.append((part.maps.cpu(), part.similarities.cpu(), part.gradient_norms.cpu()))
    return Cams(*map(torch.cat, zip(*parts, strict=True)))


def _own(
    model: ReIDModel, images: Tensor, modality: Tensor, targets: Tensor, branch: str, swapped: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Grad-CAM in ten lines; rows do not touch each other in evaluation mode, so one backward pass serves them all."""
    opened = model.opened(images, modality, branch)
    activations = opened.maps.detach().requires_grad_()
    similarities = (_embedded(opened, activations, branch, targets) * targets).sum(dim=1)
    (gradients,) = torch.autograd.grad(similarities.sum(), activations)
    weights = gradients.mean(dim=(2, 3), keepdim=True)
    shown = activations.detach() if swapped is None else swapped.to(activations)
    if shown.shape != activations.shape:
        raise ValueError(f"activations must be {tuple(activations.shape)}, as the branch map, not {tuple(shown.shape)}")
    maps = F.relu((weights * shown).sum(dim=1))
    maps = F.interpolate(maps[:, None], images.shape[2:], mode="bilinear", align_corners=False)[:, 0]
    return _stretched(maps), activations.detach(), gradients, similarities


def _stretched(maps: Tensor) -> Tensor:
    """Each map to 0–1; one that is flat, up to rounding, to zeros."""
    low, high = maps.amin(dim=(1, 2), keepdim=True), maps.amax(dim=(1, 2), keepdim=True)
    flat = high - low <= 1e-6 * high
    return torch.where(flat, 0, (maps - low) / torch.where(flat, 1, high - low))


def _package(
    model: ReIDModel, images: Tensor, modality: Tensor, targets: Tensor, branch: str
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    try:
        from pytorch_grad_cam import GradCAM
    except ImportError as error:
        raise ImportError("grad-cam is needed for library='package': pip install 'reidlib[notebooks]'") from error
    network = _SingleInput(model, modality, branch, targets)
    package = GradCAM(network, [network.layer])
    maps = package(images, [partial(torch.dot, target) for target in targets])
    kept = package.activations_and_grads
    activations, gradients = kept.activations[0], kept.gradients[0]
    similarities = (package.outputs * targets).sum(dim=1)
    kept.release()
    return (
        torch.from_numpy(maps).to(images.device),
        activations.to(images.device),
        gradients.to(images.device),
        similarities,
    )


class _SingleInput(nn.Module):
    """One tensor in, one tensor out, as the package wants it; ``layer`` is where it sees the branch map pass."""

    def __init__(self, model: ReIDModel, modality: Tensor, branch: str, targets: Tensor):
        super().__init__()
        self.unseen = (model,)  # in a tuple, where the package does not find it and clear its gradients
        self.place = nn.Parameter(targets.new_empty(0))  # the package asks the first parameter for the device
        self.layer = nn.Identity()
        self.modality, self.branch, self.targets = modality, branch, targets

    def forward(self, images: Tensor) -> Tensor:
        (model,) = self.unseen
        opened = model.opened(images, self.modality, self.branch)
        return _embedded(opened, self.layer(opened.maps.detach().requires_grad_()), self.branch, self.targets)


def _embedded(opened: Opened, maps: Tensor, branch: str, targets: Tensor) -> Tensor:
    embeddings = opened.rest(maps)
    if embeddings.shape != targets.shape:
        raise ValueError(
            f"targets have {targets.shape[1]} dimensions, embeddings of the branch {branch!r} {embeddings.shape[1]}: "
            "take targets of the same branch"
        )
    return embeddings


@contextmanager
def _untouched(model: nn.Module, device: torch.device) -> Iterator[None]:
    """Evaluation mode, float32 and no gradient for any parameter; gradients are on, whatever the caller chose."""
    with (
        common.room(),
        evaluating(model, learning=False),
        instance_statistics(model),
        torch.inference_mode(False),
        torch.enable_grad(),
        torch.autocast(device.type, enabled=False),
    ):
        yield


def _refuse_vanishing(sensitivity: Tensor, threshold: float) -> None:
    vanishing = torch.nonzero(~(sensitivity > threshold)).flatten().tolist()
    if vanishing:
        named = ", ".join(map(str, vanishing[:5])) + (", …" if len(vanishing) > 5 else "")
        raise ValueError(
            f"the gradient vanishes for {len(vanishing)} image(s) of the batch, at position {named}: a map of it would "
            "show noise. Is the target the embedding of the image itself? Take the other modality's image of the "
            "person, as retrieval_targets does. Or does the embedding not depend on this layer's map? Of a transformer "
            "that is read at its class token, take a layer before the last attention"
        )
