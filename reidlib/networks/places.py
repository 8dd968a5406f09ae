"""Where the places of an image are in what a layer of somebody's network gives: maps, channels last, tokens."""

import math
from typing import Any

import torch
from torch import Tensor

_CLASS_TOKENS = (0, 1, 2, 5)  # none, one, one and another teacher's, one and four registers


class Places:
    """Where in a layer's output the places of an image are: ``grid`` (h, w), and how many tokens come before them."""

    def __init__(self, kind: str, grid: tuple[int, int], before: int = 0):
        self.kind, self.grid, self.before = kind, grid, before

    @classmethod
    def of(cls, output: Any, images: Tensor, grid: tuple[int, int] | None) -> "Places":
        if not isinstance(output, Tensor) or output.ndim not in (3, 4) or len(output) != len(images):
            raise ValueError(
                f"the layer gives {described(output)} for {len(images)} images; a map must be (B, C, h, w), "
                "(B, h, w, C) or tokens (B, N, C), with the images first"
            )
        height, width = images.shape[2:]
        if output.ndim == 4:
            kinds = {"first": tuple(output.shape[2:]), "last": tuple(output.shape[1:3])}
            if grid is not None:
                kinds = {kind: size for kind, size in kinds.items() if size == grid} or kinds
            kind = min(kinds, key=lambda kind: abs(math.log(kinds[kind][0] * width / (kinds[kind][1] * height))))
            if grid not in (None, kinds[kind]):
                raise ValueError(f"the layer's map {tuple(output.shape)} has no grid of {grid[0]}×{grid[1]}")
            return cls(kind, kinds[kind])
        tokens = output.shape[1]
        if grid is not None:
            if grid[0] * grid[1] > tokens:
                raise ValueError(f"the layer gives {tokens} tokens, fewer than a grid of {grid[0]}×{grid[1]} has")
            return cls("tokens", grid, tokens - grid[0] * grid[1])
        for before in _CLASS_TOKENS:
            down = math.isqrt(max((tokens - before) * height // width, 0))
            if down and down * width % height == 0 and down * (down * width // height) == tokens - before:
                return cls("tokens", (down, down * width // height), before)
        raise ValueError(
            f"{tokens} tokens are no grid with the proportions of images of {height}×{width}, with or without class "
            "tokens; say it with networks.wrap(model, grid=(h, w))"
        )

    def take(self, output: Tensor) -> Tensor:
        """The map (B, C, h, w), in single precision or better."""
        output = output.float() if output.dtype.itemsize < 4 else output
        if self.kind == "first":
            return output
        places = output if self.kind == "last" else output[:, self.before :].unflatten(1, self.grid)
        return places.permute(0, 3, 1, 2)

    def put(self, maps: Tensor, output: Tensor) -> Tensor:
        """``output`` with another map in it."""
        maps = maps.to(output.dtype)
        if self.kind == "first":
            return maps.clone()  # a leaf must not be changed by what follows
        maps = maps.permute(0, 2, 3, 1)
        return (
            maps.contiguous() if self.kind == "last" else torch.cat([output[:, : self.before], maps.flatten(1, 2)], 1)
        )


def described(value: Any) -> str:
    """What a network returned, in shapes."""
    if isinstance(value, Tensor):
        return str(tuple(value.shape))
    if hasattr(value, "items"):
        return "{" + ", ".join(f"{name!r}: {described(each)}" for name, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return f"a {type(value).__name__} of {len(value)}: " + ", ".join(map(described, value))
    return f"a {type(value).__name__}"
