"""Pretrain a trunk on rendered visible people, as the papers' trunks are pretrained on ImageNet: ``weights="twin"``.

Nobody and no scene in them is in a twin (:mod:`reidlib.twins.pretraining`), and no image is infrared or a sketch. The
trunk learns to tell the people apart, by cross-entropy behind a BNNeck (reconstructed, ours); head and neck are thrown
away. On a CPU, the same recipe with the same number of threads gives the same bytes.
"""

import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import reidlib
from reidlib.console import progress
from reidlib.data import Augmentation
from reidlib.data.registry import renderer
from reidlib.networks import pretrained
from reidlib.networks.backbone import Backbone
from reidlib.networks.heads import AveragePooling, bn_neck, classifier
from reidlib.training import devices

SIZES = {"tiny": (64, 32), "small": (96, 48)}
"""(height, width) that a trunk is pretrained at; others at `USUAL`."""
USUAL = (128, 64)


@dataclass(frozen=True, kw_only=True)
class Pretraining:
    """How a trunk is pretrained.

    Args:
        backbone: name of a trunk.
        height, width: of the images, in pixels.
        people: of the population, its first ones; ``per_camera``: images of each by each of its cameras.
        steps, batch: of the optimizer, AdamW; images in each.
        learning_rate: at its highest, after a share ``warmup`` of the steps; falls to 0 by a cosine.
        weight_decay, label_smoothing: of all parameters; of the cross-entropy.
        augmentation: of the images. A channel, or the grey value, in place of all three keeps the trunk from telling
            people apart by hue alone, which no infrared image and no sketch has.
        seed: of the initial weights, the batches and the augmentation.

    Raises:
        ValueError: a number that is not positive.
    """

    backbone: str
    height: int
    width: int
    people: int = 240
    per_camera: int = 2
    steps: int = 1000
    batch: int = 64
    learning_rate: float = 4e-3
    warmup: float = 0.15
    weight_decay: float = 5e-4
    label_smoothing: float = 0.1
    augmentation: Augmentation
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("height", "width", "people", "per_camera", "steps", "batch"):
            if (value := getattr(self, name)) < 1:
                raise ValueError(f"{name} must be at least 1, not {value}")

    @classmethod
    def of(cls, backbone: str, **changes: Any) -> "Pretraining":
        """That of a trunk, by its name; ``changes`` are fields."""
        height, width = SIZES.get(backbone, USUAL)
        height, width = changes.pop("height", height), changes.pop("width", width)
        usual = Augmentation(flip=0.5, pad=round(0.04 * height), exchange=0.25, grey=0.25, erase=0.3)
        return cls(**{"backbone": backbone, "height": height, "width": width, "augmentation": usual, **changes})

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        share = (step + 0.5) / self.steps
        if share < self.warmup:
            return self.learning_rate * share / self.warmup
        return self.learning_rate * (1 + math.cos(math.pi * (share - self.warmup) / (1 - self.warmup))) / 2


def pretrain(
    recipe: Pretraining, folder: str | Path | None = None, *, device: torch.device | str | None = None
) -> Path:
    """Render the people, train the trunk, and write ``<backbone>.safetensors`` with its card; returns the file.

    Args:
        folder: where to; default: :func:`reidlib.networks.pretrained.own_folder`, where ``weights="twin"`` looks.
        device: default: the GPU if there is one, else the CPU.
    """
    device = torch.device(devices.default() if device is None else device)
    images, labels = render(recipe)
    state, measured = train(recipe, images, labels, device)
    folder = pretrained.own_folder() if folder is None else Path(folder)
    return pretrained.write(folder, recipe.backbone, state, card(recipe, device) | measured)


def render(recipe: Pretraining) -> tuple[Tensor, Tensor]:
    """The images, uint8 (N, 3, H, W), and the label of each, 0 to ``people - 1``."""
    population, people = renderer().pretraining, range(1, recipe.people + 1)
    per_person = len(population.CAMERAS) * recipe.per_camera
    shown = {"desc": "rendering people to pretrain on", "total": per_person * len(people), "unit": "image"}
    pixels = population.images(
        people, recipe.per_camera, recipe.height, recipe.width, shown=lambda images: progress.bar(images, **shown)
    )
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous(), torch.arange(len(people)).repeat_interleave(
        per_person
    )


def train(
    recipe: Pretraining, images: Tensor, labels: Tensor, device: torch.device
) -> tuple[dict[str, Tensor], dict[str, float]]:
    """The trained trunk's state, and what was measured: time, and accuracy over the last tenth of the steps (0-1).

    Args:
        images, labels: as :func:`render` gives them.

    Raises:
        FloatingPointError: the loss is not finite.
    """
    start = time.process_time()
    with devices.own_randomness(device):
        generator = devices.seed(device, recipe.seed)
        trunk = Backbone(recipe.backbone, shared_from=0)
        channels = trunk.channels[-1]
        head = nn.Sequential(AveragePooling(), bn_neck(channels), classifier(channels, recipe.people))
        network = nn.ModuleList([trunk, head]).to(device, memory_format=torch.channels_last).train()
        optimizer = torch.optim.AdamW(network.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay)
        images, labels = images.to(device), labels.to(device)
        visible = torch.zeros(recipe.batch, dtype=torch.long)
        right = []
        for step in progress.bar(range(recipe.steps), desc=f"pretraining {recipe.backbone}"):
            for group in optimizer.param_groups:
                group["lr"] = recipe.rate(step)
            drawn = torch.randint(len(images), (recipe.batch,), generator=generator, device=device)
            inputs = recipe.augmentation(images[drawn], visible, generator)
            logits = head(trunk(inputs.contiguous(memory_format=torch.channels_last), visible))
            loss = F.cross_entropy(logits, labels[drawn], label_smoothing=recipe.label_smoothing)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            right.append((logits.argmax(1) == labels[drawn]).float().mean())
        if not loss.isfinite():
            raise FloatingPointError(
                f"pretraining {recipe.backbone}: the loss is {loss.item()}; lower the learning rate"
            )
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in trunk.state_dict().items()}
    last = torch.stack(right[-max(1, recipe.steps // 10) :])
    return state, {"accuracy": round(float(last.mean()), 4), "cpu_seconds": round(time.process_time() - start, 1)}


def card(recipe: Pretraining, device: torch.device) -> Mapping[str, Any]:
    """What a trunk's card says of how it was made."""
    population = renderer().pretraining
    cameras = len(population.CAMERAS)
    return {
        "what": f"{recipe.backbone}, trained to tell {recipe.people} rendered people apart on visible images",
        "data": {
            "source": "rendered by reidlib, no photographs",
            "population": population.POPULATION,
            "version": population.VERSION,
            "people": recipe.people,
            "images": recipe.people * cameras * recipe.per_camera,
            "cameras": cameras,
            "disjoint": "no person and no scene is in a twin or a development twin; places and renderer are theirs",
        },
        "recipe": asdict(recipe) | {"augmentation": recipe.augmentation.to_dict()},
        "made": {
            "reidlib": reidlib.__version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
            "threads": torch.get_num_threads(),
        },
        "licence": "MIT",
    }
