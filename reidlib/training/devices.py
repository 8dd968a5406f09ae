"""The machine under a training run: devices, processes, precision, random numbers."""

import atexit
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
import torch.distributed as dist

T = TypeVar("T")


@dataclass(frozen=True)
class Distributed:
    """The processes that train one model together: this one's device and rank, and how many they are."""

    device: torch.device
    rank: int
    world_size: int

    @property
    def is_primary(self) -> bool:
        """Whether this process is the one that reads and writes files."""
        return self.rank == 0

    def broadcast(self, make: Callable[[], T]) -> T:
        """What ``make`` returns in the primary process, in all of them."""
        box = [make() if self.is_primary else None]
        if self.world_size > 1:
            dist.broadcast_object_list(box, src=0)
        return box[0]


def default() -> torch.device:
    """The GPU of this process if there is one, else the CPU."""
    return torch.device(f"cuda:{os.environ.get('LOCAL_RANK', 0)}" if torch.cuda.is_available() else "cpu")


def init_distributed(device: torch.device | str | None = None) -> Distributed:
    """Join the processes that ``torchrun`` started, with NCCL on GPUs and gloo on CPUs; without it, work alone.

    They stay joined until the process ends: a second group would find the addresses of the first one in torchrun's
    store and call processes that no longer listen there.

    Raises:
        ValueError: torch knows no such device, or this machine has none.
    """
    device = default() if device is None else device
    try:
        device = torch.device(device)
    except RuntimeError as error:
        raise ValueError(f"unknown device {device!r}; write, for example, cpu or cuda:0") from error
    if device.type == "cuda" and (device.index or 0) >= (number := torch.cuda.device_count()):
        raise ValueError(f"there is no device {device}: torch finds {number} CUDA device(s) on this machine")
    if dist.is_torchelastic_launched() and not dist.is_initialized():
        if device.type == "cuda":
            torch.cuda.set_device(device)
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
        atexit.register(_leave)
    if not dist.is_initialized():
        return Distributed(device, 0, 1)
    return Distributed(device, dist.get_rank(), dist.get_world_size())


def require_one_process(what: str) -> None:
    """Raise ``ValueError`` in one of several processes of ``torchrun``; ``what`` is what they cannot do together."""
    if dist.is_torchelastic_launched() and int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ValueError(f"torchrun starts no {what}: its processes would wait for each other; start it without")


def _leave() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()


BF16_CPU = ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16")
"""Instructions, of Intel, AMD and ARM, by torch's names, with which a CPU multiplies bfloat16 numbers."""


def precision(policy: str, device: torch.device) -> torch.dtype | None:
    """Type of autocast for ``Recipe.amp``; ``None`` for float32 throughout.

    ``"auto"``: bfloat16 on GPUs that compute it natively (Ampere and later), float16 on Volta and Turing (T4); older
    ones are not faster for it. bfloat16 on CPUs that compute it natively, as far as torch can tell.

    Measured on such a CPU (AVX512-BF16, profile ``screen``, twin of SYSU-MM01, 5 seeds, 100 identities held out):
    bfloat16 − float32 is +0.6 points of validation mAP for the baseline (95 % interval −1.0 to 2.3) and +1.1 for FIENet
    (−1.2 to 3.2). A step of the baseline at 128×64 is 1.8 times faster, its training 1.5 times, FIENet's 1.25 times.
    """
    if policy != "auto":
        return {"off": None, "bf16": torch.bfloat16, "fp16": torch.float16}[policy]
    if device.type == "cpu":
        return torch.bfloat16 if _is_bf16_native() else None
    if device.type != "cuda":
        return None
    if torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.bfloat16
    return torch.float16 if torch.cuda.get_device_capability(device) >= (7, 0) else None


def _is_bf16_native() -> bool:
    """Whether this CPU computes bfloat16, with oneDNN to use it; an older torch cannot tell, which means no."""
    if not torch.backends.mkldnn.is_available() or not hasattr(torch.cpu, "get_capabilities"):
        return False
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in BF16_CPU)


def seed(device: torch.device, *key: int) -> torch.Generator:
    """Seed torch's own generators from ``key``; return another, independent one on the device."""
    # The length counts: a sequence of entropy is filled up with zeros, so that (0,) would be (0, 0).
    first, second = np.random.SeedSequence((len(key), *key)).generate_state(2, np.uint64).tolist()
    torch.manual_seed(first)
    return torch.Generator(device).manual_seed(second)


@contextmanager
def own_randomness(device: torch.device) -> Iterator[None]:
    """Leave torch's generators as they were."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        yield
