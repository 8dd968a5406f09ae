"""Trunks of the package timm (optional): convolutional networks that come apart into five stages, one after another.

timm says of its networks after which of their modules which map is there (``features_only``). That is taken as it is;
networks whose maps are caught by hooks, or are not those of a trunk, are refused. With last stride 1, the layers of the
last stage that halve the map no longer do. Parameters keep timm's names, behind ``net.``.
"""

from collections.abc import Mapping
from functools import cache, partial
from types import ModuleType

import torch
from torch import Tensor, nn

from reidlib.console.spelling import argument

STRIDES = ((2, 4, 8, 16, 32), (4, 4, 8, 16, 32))
_STEM = ["conv_stem", "bn1", "act1"]  # of timm's EfficientNets and MobileNets, before their list ``blocks``
INSIDE = "net."  # timm has networks with a module called ``stem`` or ``stages``, as a trunk has methods
_FAILURES = (RuntimeError, TypeError, ValueError, AttributeError, NotImplementedError, AssertionError, LookupError)


def stages(name: str) -> tuple[tuple[int, ...], partial]:
    """Channels of the five maps, and the function of :class:`reidlib.networks.trunks.Trunk`.

    Raises:
        ModuleNotFoundError: timm is not installed.
        ValueError: timm has no such network, or its maps are not those of a trunk; the message says why.
    """
    timm = _installed()
    if not timm.is_model(name):
        near = timm.list_models(f"*{name.split('.')[0]}*")[:5] if name else []
        known = f"such as {', '.join(near)}" if near else "timm.list_models() has them"
        raise ValueError(f"unknown backbone 'timm:{name}': timm {timm.__version__} has no such network; {known}")
    with torch.device("meta"):  # shapes are asked for, no weights
        channels = _require_maps(name, 2)
    return channels, partial(_parts, name)


@cache
def check_last_stride(name: str, last_stride: int) -> None:
    """Raise ``ValueError`` for a network whose last stage cannot do without halving the map."""
    if last_stride == 1:
        with torch.device("meta"):
            _require_maps(name, 1)


def pretrained(name: str) -> Mapping[str, Tensor]:
    """timm's own weights from ImageNet; raises as :func:`reidlib.networks.imagenet.imagenet_state`."""
    has_imagenet(name)
    try:
        return _installed().create_model(name, pretrained=True).state_dict()
    except Exception as error:  # whatever a library of downloads makes of a missing network
        source = _installed().get_pretrained_cfg(name)
        raise FileNotFoundError(
            f"the ImageNet weights of timm:{name} could not be downloaded ({str(error).splitlines()[0]:.200}). Fetch "
            f"{source.hf_hub_id or source.url} on another machine and name the file, "
            f"{argument('weights', 'FILE.safetensors', of='recipe')}, or use {argument('weights', None, of='recipe')}"
        ) from error


def has_imagenet(name: str) -> None:
    """Raise ``ValueError`` if timm offers no weights of a network that tell the 1000 classes of ImageNet."""
    found = _installed().get_pretrained_cfg(name)
    if not (found and found.has_weights and found.num_classes == 1000):
        none = argument("weights", None, of="recipe")
        raise ValueError(f"backbone 'timm:{name}' has no ImageNet weights in timm; use {none}, or name a file")


def _installed() -> ModuleType:
    try:
        import timm
    except ImportError as error:
        raise ModuleNotFoundError(
            f"a backbone 'timm:<name>' needs the package timm, which cannot be imported ({error}): "
            "pip install 'reidlib[trunks]'"
        ) from error
    return timm


def _parts(name: str, wanted: range, last_stride: int) -> list[list[tuple[str, nn.Module]]]:
    """The modules of these stages, each with its path in timm's network behind ``INSIDE``."""
    try:
        network = _installed().create_model(name, features_only=True, pretrained=False)
    except _FAILURES as error:
        raise _unsuitable(name, f"timm cannot take it apart ({str(error).splitlines()[0]})") from error
    children = list(network.named_children())
    ends = [path.replace(".", "_") for path in network.feature_info.module_name()]
    names = [child for child, _ in children]
    if names[-1:] == ["blocks"] and names[:-1] == _STEM[: len(names) - 1]:  # as their forward runs them
        children = [*children[:-1], *((f"blocks_{key}", block) for key, block in children[-1][1].named_children())]
        ends = [names[-2] if end == "bn1" else end for end in ends]
    elif type(network).__name__ != "FeatureListNet":
        raise _unsuitable(name, "its maps are not those of modules that run one after another")
    if len(ends) != 5 or not set(ends) <= {child for child, _ in children}:
        raise _unsuitable(name, f"it has {len(ends)} of them")
    with torch.device("meta"):
        paths = {path.replace(".", "_"): path for path, _ in _installed().create_model(name).named_modules()}
    found: list[list[tuple[str, nn.Module]]] = [[]]
    for child, module in children:
        found[-1].append((INSIDE + paths.get(child, child), module))
        if child in ends:
            found.append([])
    if last_stride == 1:
        for _, module in found[4]:
            _keep_size(module)
    return [found[number] for number in wanted]


def _keep_size(module: nn.Module) -> None:
    """Take the stride 2 of convolutions and of poolings of 2×2 out of a module, wherever in it."""
    for each in module.modules():
        if isinstance(each, nn.Conv2d) and tuple(each.stride) == (2, 2):
            each.stride = (1, 1)
        for key, child in each.named_children():
            if isinstance(child, nn.AvgPool2d | nn.MaxPool2d) and (child.kernel_size, child.stride) == (2, 2):
                setattr(each, key, nn.Identity())


def _require_maps(name: str, last_stride: int) -> tuple[int, ...]:
    """Channels of the five maps, if their sizes are those of a trunk."""
    channels, sizes, maps = [], [], torch.zeros(2, 3, 128, 64)
    try:
        for several in _parts(name, range(5), last_stride):
            for _, module in several:
                maps = module.eval()(maps)
            channels.append(maps.shape[1])
            sizes.append(tuple(maps.shape[2:]))
    except _FAILURES as error:
        if isinstance(error, ValueError) and str(error).startswith("backbone"):
            raise
        reason = str(error).splitlines()[0][:200]
        raise _unsuitable(name, f"with last stride {last_stride} it does not run ({reason})") from error
    wanted = [[(128 // n, 64 // n) for n in (*strides[:4], 16 * last_stride)] for strides in STRIDES]
    if sizes not in wanted:
        shown = ", ".join(f"{height}×{width}" for height, width in sizes)
        raise _unsuitable(name, f"of an image of 128×64 and with last stride {last_stride} they are {shown}")
    return tuple(channels)


def _unsuitable(name: str, why: str) -> ValueError:
    return ValueError(
        f"backbone 'timm:{name}' does not give the five maps of a trunk, one after another, with strides 2, 4, 8, 16 "
        f"and 32: {why}. A transformer, such as a ViT, is not trained here: evaluate, search with and explain it as a "
        "network of your own"
    )
