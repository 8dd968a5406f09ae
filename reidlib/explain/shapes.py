"""The size of every map on its way through a network, and what each module costs: read off a forward pass."""

from functools import partial

import pandas as pd
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from reidlib.models import ReIDModel

COLUMNS = ("module", "kind", "channels", "height", "width", "parameters", "multiply_adds")


def map_sizes(model: ReIDModel, height: int, width: int) -> pd.DataFrame:
    """What leaves each module when a visible and an infrared image go through, and what the module costs.

    Stems, stages, PFAM's steps, MPIM, pooling, BNNeck and classifier, as far as the model has them, in the order in
    which they are passed. The model stays as it was.

    Args:
        height, width: of the images.

    Returns:
        ``module`` (its name in figures), ``kind`` (``"stem"``, ``"stage"``, ``"PFAM"``, ``"MPIM"`` or ``"head"``),
        ``channels``, ``height`` and ``width`` of what it returns (1 × 1 after pooling), ``parameters``, and
        ``multiply_adds`` for one image.
    """
    seen: dict[str, tuple[int, ...]] = {}
    places = _modules(model)
    hooks = [module.register_forward_hook(partial(_remember, seen, name)) for name, (_, module) in places.items()]
    example, mode = next(model.parameters()), model.training
    images = torch.zeros(2, 3, height, width, device=example.device, dtype=example.dtype)
    counter = FlopCounterMode(display=False)
    try:
        model.eval()
        with torch.no_grad(), counter:
            model(images, torch.tensor([0, 1]))
    finally:
        model.train(mode)
        for hook in hooks:
            hook.remove()
    paths = {module: path for path, module in model.named_modules()}
    counts, lines = counter.get_flop_counts(), []
    for name, shape in seen.items():
        kind, module = places[name]
        operations = sum(counts.get(f"{type(model).__name__}.{paths[module]}", {}).values())
        rows = shape[0]  # a stem sees its own modality alone
        parameters = sum(parameter.numel() for parameter in module.parameters())
        lines.append((name, kind, *(*shape[1:], 1, 1)[:3], parameters, operations // (2 * rows)))
    return pd.DataFrame(lines, columns=COLUMNS)


def _modules(model: ReIDModel) -> dict[str, tuple[str, nn.Module]]:
    backbone = model.backbone
    found = {
        f"{name} stem": ("stem", stem) for name, stem in zip(("visible", "infrared"), backbone.stems, strict=False)
    }
    found |= {f"stage {n}": ("stage", getattr(backbone, f"layer{n}")) for n in backbone.stages if n}
    found |= {f"PFAM {stage}": ("PFAM", step) for stage, step in getattr(model, "pfam", {}).items()}
    found["MPIM"] = ("MPIM", getattr(model, "mpim", nn.Identity()))
    found |= {name: ("head", getattr(model, part)) for name, part in
              (("GeM", "pool"), ("BNNeck", "neck"), ("classifier", "classifier"))}  # fmt: skip
    return {name: (kind, module) for name, (kind, module) in found.items() if not isinstance(module, nn.Identity)}


def _remember(seen: dict, name: str, module: nn.Module, inputs: tuple, output: torch.Tensor) -> None:
    seen[name] = tuple(output.shape)
