"""Which places of an image matter, found out by taking them away: no gradient, no feature map.

The cells of a late feature map are not places of the image: each sees far beyond its own square, often all of the
image, and a network may carry what it saw to where it likes, such as the border, where zero padding tells the places
apart. Class-activation maps show the cells. Occlusion asks about places of the image, and is the check on such maps.
"""

from itertools import repeat

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from reidlib.data import ReIDDataset
from reidlib.explain import common
from reidlib.explain.embedding import instance_statistics
from reidlib.explain.targets import retrieval_targets
from reidlib.explain.truth import masks
from reidlib.networks import ReIDModel
from reidlib.networks.base import device_of, evaluating
from reidlib.networks.wrapped import as_model

HIDDEN = ("nothing", "background", "person")


def occlusion_maps(
    model: ReIDModel,
    dataset: ReIDDataset,
    rows: np.ndarray,
    *,
    cells: tuple[int, int] = (8, 4),
    branch: str | None = None,
) -> Tensor:
    """How much the cosine of each image with its target falls when a cell of the image is hidden, in main memory.

    A hidden cell has the mean colour of its image. Documented: Zeiler and Fergus, "Visualizing and Understanding
    Convolutional Networks", ECCV 2014, with the probability of a class. Reconstructed: the cosine, and cells that do
    not overlap.

    Args:
        model: or a module of one's own, see `reidlib.networks.wrap`; it needs no map, only an ``image_size``.
        cells: into how many rows and columns of equal size an image is divided, up to a pixel.
        branch: as in `reidlib.explain.cams`, whose targets these are.

    Returns:
        ``(N, *cells)`` float32, from 0; 0 also where hiding brings the image nearer to its target.
    """
    model = as_model(model)
    find = _Cosines(model, dataset, rows, branch)
    height, width = model.image_size
    row = torch.arange(height) * cells[0] // height
    column = torch.arange(width) * cells[1] // width
    places = [((row == down)[:, None] & (column == across))[None, None] for down, across in np.ndindex(*cells)]
    whole = find(torch.zeros(1, 1, height, width, dtype=torch.bool))
    drops = torch.stack([whole - find(place) for place in places], dim=1)
    return F.relu(drops).unflatten(1, cells)


def hidden_cosines(
    model: ReIDModel,
    dataset: ReIDDataset,
    rows: np.ndarray,
    *,
    branch: str | None = None,
    person: np.ndarray | None = None,
) -> dict[str, Tensor]:
    """Cosine (N,) of each image of a twin with its target, with each of ``HIDDEN`` in the mean colour of the image.

    Args:
        branch: as in `reidlib.explain.cams`, whose targets these are.
        person: (N, H, W) masks, where they are known already.

    Raises:
        ValueError: not a twin.
    """
    model = as_model(model)
    person = masks(dataset, rows)[0] if person is None else person
    sized = F.interpolate(torch.from_numpy(person)[:, None].float(), model.image_size, mode="area") > 0.5
    find = _Cosines(model, dataset, rows, branch)
    return {name: find(where) for name, where in zip(HIDDEN, (sized & False, ~sized, sized), strict=True)}


class HiddenImages:
    """Called with a mask (N or 1, 1, H, W) of what is hidden: the embeddings (N, D) of the images, of unit length.

    They come back in main memory. What is hidden has the mean colour of its image. The model stays as it is.
    """

    def __init__(self, model, dataset, rows, branch):
        self.model = model = as_model(model)
        self.branch = model.check_branch(branch)
        self.given = common.sized_images(model, dataset), dataset, rows, device_of(model)

    @torch.inference_mode()
    def __call__(self, hidden: Tensor) -> Tensor:
        places, found = repeat(hidden) if len(hidden) == 1 else hidden.split(common.BATCH), []
        with evaluating(self.model), instance_statistics(self.model), common.room():
            for (images, modality), place in zip(common.batches(*self.given), places, strict=False):
                images = torch.where(place.to(images.device), images.mean(dim=(2, 3), keepdim=True), images)
                found.append(self.model.branch_embedding(images, modality, self.branch))
        return torch.cat(found).cpu()


class _Cosines:
    """Called with a mask of what is hidden, as `HiddenImages`: the cosines (N,) of the images with their targets."""

    def __init__(self, model, dataset, rows, branch):
        self.targets = retrieval_targets(model, dataset, rows, branch=branch).embeddings
        self.embed = HiddenImages(model, dataset, rows, branch)

    def __call__(self, hidden: Tensor) -> Tensor:
        return (self.embed(hidden) * self.targets).sum(dim=1).float()
