"""Photos and sketches that are quickly made."""

import torch


def photos(rows=3, height=48, width=32, seed=0):
    """A darker person of one colour before a background of another, with noise."""
    random = torch.Generator().manual_seed(seed)
    colours = torch.rand(rows, 3, 2, generator=random) * 0.4 + torch.tensor([0.0, 0.6])
    images = colours[:, :, 1, None, None].expand(-1, -1, height, width).clone()
    images[:, :, height // 6 : -height // 6, width // 3 : -width // 3] = colours[:, :, 0, None, None]
    return (images + 0.02 * torch.randn(images.shape, generator=random)).clamp(0, 1)


def sketches(rows=4, seed=1):
    images = torch.rand(rows, 1, 48, 32, generator=torch.Generator().manual_seed(seed))
    return (images > 0.2).float().expand(-1, 3, -1, -1)
