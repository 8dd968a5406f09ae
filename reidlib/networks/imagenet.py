"""ImageNet weights: torchvision's files, downloaded where that is possible and checked before they are read.

Those of timm's networks, it downloads itself (:func:`reidlib.networks.timm_trunks.pretrained`).
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor
from torchvision.models import get_model_weights, list_models

from reidlib.console.spelling import argument
from reidlib.networks import timm_trunks

TIMM = "timm:"


def has_imagenet(name: str) -> None:
    """Raise ``ValueError`` for a trunk that has no ImageNet weights."""
    if name.startswith(TIMM):
        timm_trunks.has_imagenet(name.removeprefix(TIMM))
    elif name not in list_models():
        raise ValueError(f"backbone {name!r} has no ImageNet weights; use {argument('weights', None, of='recipe')}")


def imagenet_state(name: str) -> Mapping[str, Tensor]:
    """The ``state_dict`` of torchvision's model ``name`` trained on ImageNet (first version, V1), or of timm's.

    The file is looked for where torch keeps downloads (``$TORCH_HOME/hub/checkpoints``), else downloaded to there. Its
    SHA-256 must start with the eight digits in its name, and only tensors are read from it.

    Raises:
        ValueError: there are no such weights, or the file is damaged; the message names it.
        FileNotFoundError: not here and the download failed; the message names the file, its address and its place.
    """
    has_imagenet(name)
    if name.startswith(TIMM):
        return timm_trunks.pretrained(name.removeprefix(TIMM))
    url = weights_url(name)
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[-1]
    digest = path.stem.rsplit("-", 1)[-1]
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(url, str(path), hash_prefix=digest, progress=False)
        except (OSError, RuntimeError) as error:
            raise FileNotFoundError(
                f"the ImageNet weights of {name} could not be downloaded ({error}). Fetch {url} on another machine and "
                f"put it at {path}; or pretrain a trunk on rendered people here (reidlib pretrain {name}) and use "
                f"{argument('weights', 'twin', of='recipe')}; or use {argument('weights', None, of='recipe')}"
            ) from error
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if not found.startswith(digest):
        raise ValueError(f"{path} is damaged (SHA-256 {found[:8]}..., not {digest}...); delete it and try again")
    return torch.load(path, map_location="cpu", weights_only=True)


def weights_url(name: str) -> str:
    """Address of the file."""
    return get_model_weights(name).IMAGENET1K_V1.url
