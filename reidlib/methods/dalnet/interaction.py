"""Attention between modalities for DALNet, and who attends to whom."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

HEADS = 8


class Interaction(nn.Module):
    """MIA: auxiliary maps ask, real maps answer; what they answer is added to the real maps.

    Documented (role only): with the auxiliary modality as go-between, features are aligned and patterns that both real
    modalities have are found. Reconstructed: query from the auxiliary, so that its layout decides where to look; key
    and value from the real modality, so that it supplies no content; a batch normalisation that begins at zero, so that
    at first nothing is added.

    Args:
        channels: of the maps; the attention has a quarter of them, in eight heads, up to a whole number in each.
    """

    def __init__(self, channels: int):
        super().__init__()
        width = -(-channels // (4 * HEADS)) * HEADS
        self.query, self.key, self.value = (nn.Conv2d(channels, width, 1, bias=False) for _ in range(3))
        self.output = nn.Conv2d(width, channels, 1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        nn.init.zeros_(self.norm.weight)

    def forward(
        self, auxiliary: Tensor, photos: Tensor, sketches: Tensor, sketch_of: Tensor, photo_of: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """``photos + n(o(Z^p))``, ``sketches + n(o(Z^s))``, ``auxiliary + n(o(Z^p + Z^s)) / 2``.

        Args:
            auxiliary, photos: (B, C, h, w), row i made from photo i.
            sketches: (N, C, h, w), N may be 0.
            sketch_of: (B,) the sketch that answers an auxiliary image, -1 for none: Z^s is 0.
            photo_of: (N,) the auxiliary image that asks a sketch, -1 for none: nothing is added.
        """
        size = photos.shape[2:]
        query, from_photos = self._heads(self.query(auxiliary)), (self.key(photos), self.value(photos))
        answers = self._answer(query, *map(self._heads, from_photos), size)
        shared_photos = photos + self.norm(self.output(answers))
        if len(sketches) == 0:
            return shared_photos, sketches, auxiliary + self.norm(self.output(answers)) / 2
        key, value = (self._heads(layer(sketches)) for layer in (self.key, self.value))
        asked, asking = sketch_of.clamp(min=0), photo_of.clamp(min=0)
        of_sketches = self._answer(query.index_select(0, asking), key, value, size)
        added = self.norm(self.output(of_sketches)) * _column(photo_of >= 0)
        to_auxiliary = self._answer(query, key.index_select(0, asked), value.index_select(0, asked), size)
        both = answers + to_auxiliary * _column(sketch_of >= 0)
        return shared_photos, sketches + added, auxiliary + self.norm(self.output(both)) / 2

    @staticmethod
    def _heads(maps: Tensor) -> Tensor:
        """(B, width, h, w) -> (B, heads, positions, width / heads)."""
        return maps.flatten(2).unflatten(1, (HEADS, -1)).transpose(2, 3)

    @staticmethod
    def _answer(query: Tensor, key: Tensor, value: Tensor, size: torch.Size) -> Tensor:
        """Scaled dot-product attention -> (B, width, h, w)."""
        return F.scaled_dot_product_attention(query, key, value).transpose(2, 3).flatten(1, 2).unflatten(2, size)


def partners(pids: Tensor, other_pids: Tensor) -> Tensor:
    """A row of the same identity among others: the first for the first of an identity, and so on, round and round.

    Args:
        pids: (B,).
        other_pids: (N,), N may be 0.

    Returns:
        (B,) rows of the others; -1 where the identity is not among them.
    """
    if len(other_pids) == 0:
        return torch.full_like(pids, -1)
    same = pids[:, None] == other_pids
    number = (pids[:, None] == pids).tril(diagonal=-1).sum(dim=1)  # how many of the identity come before
    count = same.sum(dim=1)
    chosen = same & (same.cumsum(dim=1) - 1 == (number % count.clamp(min=1))[:, None])
    return torch.where(count > 0, chosen.long().argmax(dim=1), -1)


def _column(mask: Tensor) -> Tensor:
    return mask[:, None, None, None]
