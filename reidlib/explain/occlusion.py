"""Which places of an image matter, found out by taking them away: no gradient, no feature map.

The cells of a late feature map are not places of the image: each sees far beyond its own square, often all of the
image, and a network may carry what it saw to where it likes, such as the border, where zero padding tells the places
apart. Class-activation maps show the cells. Occlusion asks about places of the image, and is the check on such maps.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from reidlib.data import ReIDDataset, normalise
from reidlib.explain.embedding import instance_statistics
from reidlib.explain.targets import retrieval_targets
from reidlib.explain.truth import masks
from reidlib.networks import ReIDModel

HIDDEN = ("nothing", "background", "person")


def occlusion_maps(
    model: ReIDModel,
    dataset: ReIDDataset,
    rows: np.ndarray,
    *,
    cells: tuple[int, int] = (8, 4),
    target: str = "other modality",
    branch: str | None = None,
    seed: int = 0,
    batch_size: int = 256,
) -> Tensor:
    """How much the cosine of each image with its target falls when a cell of the image is hidden, in main memory.

    A hidden cell has the mean colour of its image. Documented: Zeiler and Fergus, "Visualizing and Understanding
    Convolutional Networks", ECCV 2014, with the probability of a class. Reconstructed: the cosine, and cells that do
    not overlap.

    Args:
        cells: into how many rows and columns of equal size an image is divided, up to a pixel.
        target, branch, seed: as in `reidlib.explain.cams`.

    Returns:
        (N, *cells) float32, from 0; 0 also where hiding brings the image nearer to its target.
    """
    find = _Cosines(model, dataset, rows, target, branch, seed, batch_size)
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
    target: str = "other modality",
    branch: str | None = None,
    seed: int = 0,
    person: np.ndarray | None = None,
    batch_size: int = 256,
) -> dict[str, Tensor]:
    """Cosine (N,) of each image of a twin with its target, with each of ``HIDDEN`` in the mean colour of the image.

    Args:
        target, branch, seed: as in `reidlib.explain.cams`.
        person: (N, H, W) masks, where they are known already.

    Raises:
        ValueError: not a twin.
    """
    person = masks(dataset, rows)[0] if person is None else person
    sized = F.interpolate(torch.from_numpy(person)[:, None].float(), model.image_size, mode="area") > 0.5
    find = _Cosines(model, dataset, rows, target, branch, seed, batch_size)
    return {name: find(where) for name, where in zip(HIDDEN, (sized & False, ~sized, sized), strict=True)}


class HiddenImages:
    """Called with a mask (N or 1, 1, H, W) of what is hidden: the embeddings (N, D) of the images, of unit length.

    What is hidden has the mean colour of its image. The model stays as it is.
    """

    def __init__(self, model, dataset, rows, branch, device, batch_size):
        self.model, self.rows, self.device, self.batch_size = (
            model,
            np.array(rows),
            device,
            batch_size,
        )  # a copy, see `cams`
        self.branch = model.branches[0] if branch is None else branch
        model.check_branch(self.branch)
        self.images = dataset.images(*model.image_size)
        self.modality = torch.from_numpy(dataset.frame["modality"].to_numpy(copy=True))[self.rows]

    @torch.inference_mode()
    def __call__(self, hidden: Tensor) -> Tensor:
        mode, found = self.model.training, []
        self.model.eval()
        for start in range(0, len(self.rows), self.batch_size):
            part = slice(start, start + self.batch_size)
            images = normalise(self.images.tensor(self.rows[part], self.device))
            place = (hidden if len(hidden) == 1 else hidden[part]).to(self.device)
            images = torch.where(place, images.mean(dim=(2, 3), keepdim=True), images)
            with instance_statistics(self.model):
                found.append(self.model.branch_embedding(images, self.modality[part], self.branch))
        self.model.train(mode)
        return torch.cat(found)


class _Cosines:
    """Called with a mask of what is hidden, as `HiddenImages`: the cosines (N,) of the images with their targets."""

    def __init__(self, model, dataset, rows, target, branch, seed, batch_size):
        self.targets = retrieval_targets(model, dataset, rows, kind=target, branch=branch, seed=seed).embeddings
        self.embed = HiddenImages(model, dataset, rows, branch, self.targets.device, batch_size)

    def __call__(self, hidden: Tensor) -> Tensor:
        return (self.embed(hidden) * self.targets).sum(dim=1).float().cpu()
