"""Tiny models and a batch of noise, for tests of any method."""

import itertools

import torch

from reidlib import methods
from reidlib.methods.fienet.modules import AGGREGATIONS, INTERACTIONS
from reidlib.methods.idkl.model import CONFUSERS

MODALITY = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1])
MIXED = torch.tensor([1, 0, 1, 0, 1, 0, 0, 1])
PIDS = torch.tensor([0, 0, 1, 1, 0, 0, 1, 1])
ORDER = torch.tensor([5, 0, 7, 2, 6, 1, 4, 3])
PARTS = {"parts": True, "stripes": 4}  # of MAUM
# Every option of a network that changes what flows through it, at least once; a method that is not named has one.
VARIANTS = {
    "baseline": [{}, {"shared_from": 0}, {"shared_from": 3, "pool": "average"}, {"neck": False, "triplet": "weighted"}],
    "maum": [
        {"memory_start_epoch": 0, "memory_interval": 2, **more}
        for parts in ({}, PARTS)
        for more in (parts, parts | {"triplet": "batch-hard", "shared_proxies": True})
    ],
    "fienet": [
        *({"aggregation": kind, "mpim": False} for kind in AGGREGATIONS),
        *({"pfam": False, "interaction": kind} for kind in INTERACTIONS),
        {"aggregation": "two_step", "interaction": "gate"},
        {},
    ],
    "idkl": [
        part | switch
        for part, switch in itertools.product(
            ({}, {"purifier": False}, {"dual": False}),
            ({}, {"preset": "released"}, *({"confuser": confuser} for confuser in CONFUSERS)),
        )
    ],
    "dalnet": [{}, {"auxiliary": "xdog", "attention": False}],
}


def images(rows: int = 8, seed: int = 0, size: tuple[int, int] = (64, 32)) -> torch.Tensor:
    return torch.randn(rows, 3, *size, generator=torch.Generator().manual_seed(seed))


def build(name: str, seed: int = 0, **options):
    """A network for five identities, the same whenever the seed is."""
    torch.manual_seed(seed)
    return methods.build(name, num_ids=5, backbone="tiny", **options)


def losses(model, seed: int = 0, modality: torch.Tensor = MODALITY, pids: torch.Tensor = PIDS) -> dict:
    """The terms of a batch; ``seed`` says which."""
    return model.losses(model(images(seed=seed), modality), pids, modality)


def step(model, seed: int = 0, modality: torch.Tensor = MODALITY, rate: float = 1e-3) -> dict[str, float]:
    """A step down the gradient; returns the terms before it."""
    terms = losses(model, seed, modality)
    model.zero_grad()
    sum(terms.values()).backward()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter -= rate * parameter.grad
    return {name: term.item() for name, term in terms.items()}


def warmed_up(model):
    """In evaluation mode, when running statistics have seen a few batches; what begins as zero adds to the maps."""
    generator = torch.Generator().manual_seed(3)
    for name, parameter in model.named_parameters():
        if (parameter == 0).all() and not name.endswith("bias"):
            parameter.data = torch.randn(parameter.shape, generator=generator)
    with torch.no_grad():
        for seed in range(5):
            losses(model, seed)
    return model.eval()


def untaught(model) -> list[str]:
    """Parameters without a gradient, or with one that is not finite."""
    return [name for name, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all()]


def silent(model) -> list[str]:
    """Parameters that move nothing."""
    return [name for name, p in model.named_parameters() if (p.grad == 0).all()]


def ordered(identities: int, images: int, alternating: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
    """Labels of rows ordered by identity: visible before infrared, or one after another as in the released code."""
    if alternating:
        pids = torch.arange(identities).repeat_interleave(2 * images)
        return pids + 7, torch.tensor([1, 0]).repeat(identities * images)
    pids = torch.arange(identities).repeat_interleave(images).repeat(2)
    return pids + 7, torch.arange(2).repeat_interleave(identities * images)


def unequal() -> tuple[torch.Tensor, torch.Tensor]:
    """Identity 0: 2 visible, 3 infrared; 1: 1 and 1; 2: 4 and 1; 3: visible alone; 4: infrared alone; shuffled."""
    counts = [(2, 3), (1, 1), (4, 1), (2, 0), (0, 3)]
    pairs = [(p, m) for p, numbers in enumerate(counts) for m in (0, 1) for _ in range(numbers[m])]
    order = torch.randperm(len(pairs), generator=torch.Generator().manual_seed(3))
    return torch.tensor(pairs)[order].unbind(dim=1)
