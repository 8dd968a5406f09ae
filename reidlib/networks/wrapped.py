"""A network of one's own as a model of this library: scored, searched, drawn; with a named layer, mapped as well.

>>> net = torchvision.models.vit_b_16(weights="DEFAULT")
>>> net.heads = torch.nn.Identity()  # the feature, not a thousand classes
>>> model = networks.wrap(net, image_size=(224, 224), layer="encoder.layers.encoder_layer_11.ln_1")

A module that needs none of the options need not be wrapped: whoever takes a model takes a plain module as well.
"""

import inspect
from collections.abc import Callable, Hashable, Sequence
from typing import Any

from torch import Tensor, nn

from reidlib.networks.base import IMAGENET_MEAN, IMAGENET_STD, Opened, Outputs, ReIDModel, unit
from reidlib.networks.places import Places, described

OFFER = "embed(images, modality) or forward(images), which returns features (B, D)"


def wrap(
    module: nn.Module,
    *,
    image_size: tuple[int, int] | int | None = None,
    layer: str | nn.Module | None = None,
    grid: tuple[int, int] | None = None,
    embed: Callable[[Tensor, Tensor], Any] | None = None,
    output: Hashable | Callable[[Any], Tensor] | None = None,
    mean: float | Sequence[float] = IMAGENET_MEAN,
    std: float | Sequence[float] = IMAGENET_STD,
) -> "Wrapped":
    """Make any torch module a model with one branch, ``"shared"``, for evaluation, search, maps and figures.

    The module is not copied. It stays on its device, in its precision and in its mode; images are given to it there and
    in that precision. Its features may have any length; those that come out have unit length.

    Args:
        module: it offers ``embed(images, modality)``, ``embed(images)``, ``forward(images, modality)`` with an argument
            of this name, or ``forward(images)``; the first of these is called. ``images`` (B, 3, H, W), ``modality``
            (B,) int64.
        image_size: (height, width) in pixels, or one number for both, at which it wants images; default:
            ``module.image_size``, else that of the data set's profile.
        layer: what `reidlib.explain.grad_cam` explains: a layer by its name in ``module.named_modules()``, or itself.
            It gives maps (B, C, h, w) or (B, h, w, C), or tokens (B, N, C) with class tokens before the others. Of a
            transformer whose feature is the class token, take a layer before the last attention (``….ln_1``,
            ``….norm1``): behind it, the other tokens have no say. A module that is cut in two itself needs no layer:
            with ``branch_map(images, modality, branch)`` and ``embed_map(maps, branch)`` as `ReIDModel` has them, and
            ``branches``, if there are several.
        grid: (h, w) of the map; default: the one that has the images' proportions.
        embed: called as ``embed(images, modality)`` in place of what the module offers.
        output: which part of what the module returns is the feature: a key, an index, or a function of it. Needed where
            it returns anything but one tensor (B, D); (B, D, 1, 1) is taken as well.
        mean, std: by which the module's images are normalised, for a scale of 0 to 1; default: ImageNet's.

    Raises:
        TypeError: ``module`` is no torch module.
        ValueError: the module offers none of these; there is no such layer (the nearest are named); a wrong size.
    """
    return Wrapped(module, image_size, layer, grid, embed, output, mean, std)


def as_model(model: Any) -> Any:
    """The model itself if it is one of this library's, else a module wrapped; what embeds otherwise stays as it is.

    Raises:
        TypeError: it is no module and has no method ``embed``.
        ValueError: as `wrap`.
    """
    if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
        model = model.module
    if isinstance(model, ReIDModel) or (not isinstance(model, nn.Module) and callable(getattr(model, "embed", None))):
        return model
    return wrap(model)


class Wrapped(ReIDModel):
    """What `wrap` returns."""

    def __init__(self, module, image_size, layer, grid, embed, output, mean, std):
        super().__init__()
        if not isinstance(module, nn.Module):
            kind = module.__name__ if isinstance(module, type) else type(module).__name__
            raise TypeError(f"a model must be a torch.nn.Module that offers {OFFER}; {kind} is none")
        self.module = module
        self.image_size = _size(getattr(module, "image_size", None) if image_size is None else image_size)
        own = () if embed or output is not None else ("branch_map", "embed_map", "branch_embedding")
        offers = {name for name in own if hasattr(module, name)}  # what is asked for comes before what it offers
        self.is_cut, self.has_branches = {"branch_map", "embed_map"} <= offers, "branch_embedding" in offers
        self.branches = tuple(getattr(module, "branches", ())) if offers else ()
        self.branches = self.branches or ("shared",)
        self.run = (lambda _, *given: embed(*given)) if embed else _way_in(module)  # a copy runs its own module
        if self.run is None and not (self.is_cut or self.has_branches):
            raise ValueError(f"a model must offer {OFFER}; {type(module).__name__} has neither")
        self.output, self.grid = output, None if grid is None else _size(grid, "grid")
        self.layer = (None if layer is None else _layer(module, layer),)  # in a tuple: it is part of the module already
        self.rescale = _rescaling(mean, std)

    def features(self, images: Tensor, modality: Tensor) -> Tensor:
        """What the module makes of images: (B, D), of any length, in its own precision."""
        scale, shift = (images.new_tensor(values).view(1, -1, 1, 1) for values in self.rescale)
        own = next((each.dtype for each in self.module.parameters() if each.is_floating_point()), images.dtype)
        if (self.rescale[0], self.rescale[1]) != ([1.0] * 3, [0.0] * 3):
            images = images * scale + shift
        given = images.to(own), modality
        found = self._first_branch(*given) if self.run is None else self.run(self.module, *given)
        if self.output is not None:
            found = self._part(found)
        if isinstance(found, Tensor) and found.ndim == 4 and found.shape[2:] == (1, 1):
            found = found.flatten(1)
        if not isinstance(found, Tensor) or found.ndim != 2 or found.shape[0] != images.shape[0]:
            raise ValueError(
                f"model.embed returned {described(found)} for {len(images)} images; expected (B, D): "
                f"{type(self.module).__name__} must return one feature an image; name the part that is it with "
                "networks.wrap(model, output=…), a key, an index or a function"
            )
        if not found.is_floating_point():
            raise ValueError(f"model.embed returned {found.dtype}; a feature must be floating")
        return found

    def _part(self, found: Any) -> Any:
        if callable(self.output):
            return self.output(found)
        try:
            return getattr(found, self.output) if hasattr(found, str(self.output)) else found[self.output]
        except (KeyError, IndexError, TypeError) as error:
            raise ValueError(f"the model returns {described(found)}, which has no part {self.output!r}") from error

    def branch_embedding(self, images: Tensor, modality: Tensor, branch: str) -> Tensor:
        self.check_branch(branch)
        if self.has_branches:  # of unit length by the rules of this interface
            return self.module.branch_embedding(images, modality, branch)
        is_first = branch == self.branches[0]
        return unit(self.features(images, modality) if is_first else self._cut(images, modality, branch))

    def _first_branch(self, images: Tensor, modality: Tensor) -> Tensor:
        find = self.module.branch_embedding if self.has_branches else self._cut
        return find(images, modality, self.branches[0])

    def _cut(self, images: Tensor, modality: Tensor, branch: str) -> Tensor:
        return self.module.embed_map(self.module.branch_map(images, modality, branch), branch)

    def opened(self, images: Tensor, modality: Tensor, branch: str) -> Opened:
        """The layer's map, and the way from such a map to the embedding, all else as these images make it."""
        self.check_branch(branch)
        if self.is_cut and self.layer[0] is None:
            maps = self.module.branch_map(images, modality, branch)
            return Opened(maps, lambda maps: unit(self.module.embed_map(maps, branch)))
        layer, given = self._named(), []
        with _hooked(layer, lambda output: given.append(_copied(_first(output)))):
            self.features(images, modality)
        if len(given) != 1:
            raise ValueError(
                f"the layer {type(layer).__name__} runs {len(given)} times an image; name one that runs once"
            )
        places = Places.of(given[0], images, self.grid)

        def rest(maps: Tensor) -> Tensor:
            with _hooked(layer, lambda output: _replaced(output, places.put(maps, _first(output)))):
                return unit(self.features(images, modality))

        return Opened(places.take(given[0]), rest)

    def branch_map(self, images: Tensor, modality: Tensor, branch: str) -> Tensor:
        return self.opened(images, modality, branch).maps

    def embed_map(self, maps: Tensor, branch: str) -> Tensor:
        """Not offered: the rest of a foreign module needs its images as well, see `opened`."""
        raise ValueError("a wrapped network cannot go on from a map alone; use opened(images, modality, branch)")

    def forward(self, images: Tensor, modality: Tensor) -> Outputs:
        features = self.features(images, modality)
        return Outputs({"shared": features}, {"shared": features}, {})

    def losses(self, outputs: Outputs, pids: Tensor, modality: Tensor) -> dict[str, Tensor]:
        """Not offered: training wants a method."""
        raise ValueError("a wrapped network is not trained here: it has no losses; make a method of it (README)")

    def _named(self) -> nn.Module:
        if self.layer[0] is None:
            known = ", ".join(_usual(self.module)) or "none has a name"
            raise ValueError(
                f"to draw a class-activation map, {type(self.module).__name__} must offer a map: name the layer that "
                f"gives it, networks.wrap(model, layer=…), one of: {known}; or take occlusion maps, which need none"
            )
        return self.layer[0]


def _size(size: Any, name: str = "image_size") -> tuple[int, int] | None:
    """(height, width) from what networks have: two numbers, or one for a square."""
    if size is None:
        return None
    sides = (size, size) if isinstance(size, int) else tuple(size) if isinstance(size, list | tuple) else ()
    if len(sides) != 2 or not all(isinstance(side, int) and side > 0 for side in sides):
        raise ValueError(f"{name} must be (height, width), or one number for both, not {size!r}")
    return sides


def _way_in(module: nn.Module) -> Callable[[nn.Module, Tensor, Tensor], Any] | None:
    """How a module is called with images and their modality; ``None`` if it offers neither way."""
    name = type(module).__name__
    embed = getattr(module, "embed", None)
    if callable(embed):
        if _takes(embed, 2):
            return lambda module, images, modality: module.embed(images, modality)
        return lambda module, images, modality: module.embed(images)
    if getattr(type(module), "forward", None) is nn.Module.forward and "forward" not in vars(module):
        return None
    try:
        parameters = inspect.signature(module.forward).parameters
    except (TypeError, ValueError):  # of compiled code: it is called as it is
        parameters = {}
    if "modality" in parameters:
        return lambda module, images, modality: module(images, modality=modality)
    if parameters and not _takes(module.forward, 1):
        raise ValueError(
            f"a model must offer {OFFER}; {name}.forward takes ({', '.join(parameters)}): say how it is called with "
            "networks.wrap(model, embed=lambda images, modality: …)"
        )
    return lambda module, images, modality: module(images)


def _takes(function: Callable, arguments: int) -> bool:
    try:
        inspect.signature(function).bind(*range(arguments))
    except TypeError:
        return False
    except ValueError:  # it has no signature
        pass
    return True


def _layer(module: nn.Module, layer: str | nn.Module) -> nn.Module:
    named = dict(module.named_modules())
    if isinstance(layer, nn.Module):
        if not any(each is layer for each in named.values()):
            raise ValueError(f"layer: this {type(layer).__name__} is no part of {type(module).__name__}")
        return layer
    if layer not in named or not layer:
        raise ValueError(
            f"{type(module).__name__} has no layer {layer!r}; it has, for example: {', '.join(_usual(module))}"
        )
    return named[layer]


def _usual(module: nn.Module) -> list[str]:
    """Layers to choose from: convolutions and normalisations, the last ones."""
    kinds = nn.Conv2d | nn.modules.batchnorm._NormBase | nn.LayerNorm | nn.GroupNorm | nn.Sequential
    return [name for name, each in module.named_modules() if name and isinstance(each, kinds)][-8:]


def _rescaling(mean: float | Sequence[float], std: float | Sequence[float]) -> tuple[list[float], list[float]]:
    """From ImageNet's normalisation to another: the factor and what is added, for each channel."""
    several = [[value] * 3 if isinstance(value, int | float) else list(value) for value in (mean, std)]
    if any(len(values) != 3 for values in several) or min(several[1]) <= 0:
        raise ValueError(f"mean and std must be three numbers each, std above 0, not {mean!r} and {std!r}")
    channels = list(zip(*several, IMAGENET_MEAN, IMAGENET_STD, strict=True))
    return [before / after for _, after, _, before in channels], [(old - new) / s for new, s, old, _ in channels]


def _hooked(layer: nn.Module, change: Callable[[Any], Any]):
    return layer.register_forward_hook(lambda _, inputs, output: change(output))


def _first(output: Any) -> Any:
    return output[0] if isinstance(output, list | tuple) and output else output


def _copied(output: Any) -> Any:
    """What follows a layer may change its output in its place."""
    return output.clone() if isinstance(output, Tensor) else output


def _replaced(output: Any, first: Tensor) -> Any:
    return type(output)([first, *output[1:]]) if isinstance(output, list | tuple) else first
