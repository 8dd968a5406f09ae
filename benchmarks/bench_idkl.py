"""Training step of IDKL: one front with two backs, against the three whole ResNets that the released code builds.

    python benchmarks/bench_idkl.py [--backbone small --height 128 --width 64 --batch 64] [--pairs 9] [--device cpu]
                                    [--skip-memory]
    python benchmarks/bench_idkl.py --backbone resnet50 --height 384 --width 144 --batch 120 --device cuda

Of the three, one serves as the front and two as backs; the other halves hold parameters that no image passes. Both
constructions run the same model, losses and optimizer, and the same mixed precision as in training. Medians over pairs
of steps measured back to back; the ratios are the result. Peak memory: on a GPU, of what torch allocates in a step; on
a CPU, of a process of its own for each construction, above what it held before.
"""

import argparse
import math
import multiprocessing
import resource
import statistics
import sys
from collections.abc import Callable
from time import perf_counter

import torch
from torch import Tensor, nn

from reidlib import methods
from reidlib.networks.backbone import Stages
from reidlib.training import devices

CONSTRUCTIONS = ("two backs", "three networks")


class ThreeNetworks(nn.Module):
    """As the released code: whole networks for the front and for each back."""

    def __init__(self, name: str):
        super().__init__()
        self.networks = nn.ModuleList(Stages(name) for _ in range(3))

    def front(self, images: Tensor, modality: Tensor) -> Tensor:
        return self._run(0, images, 0, 1, 2)

    def shared(self, maps: Tensor) -> Tensor:
        return self._run(1, maps, 3, 4)

    def specific(self, maps: Tensor) -> Tensor:
        return self._run(2, maps, 3, 4)

    def _run(self, network: int, maps: Tensor, *numbers: int) -> Tensor:
        for number in numbers:
            maps = self.networks[network].stage(number, maps)
        return maps


def make_step(construction: str, options: argparse.Namespace) -> tuple[Callable[[], None], int]:
    """A training step, and the number of parameters of the backbone."""
    device = torch.device(options.device)
    torch.manual_seed(0)
    model = methods.build("idkl", num_ids=395, backbone=options.backbone)
    if construction == "three networks":
        model.backbone = ThreeNetworks(options.backbone)
    model = model.to(device, memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    half = options.batch // 2
    modality = torch.arange(2).repeat_interleave(half)
    pids = (torch.arange(half) // 4).repeat(2).to(device)
    images = torch.randn(options.batch, 3, options.height, options.width, device=device)
    images = images.contiguous(memory_format=torch.channels_last)
    amp = devices.precision("auto", device)

    def step() -> None:
        with torch.autocast(device.type, amp, enabled=amp is not None):
            terms = model.losses(model(images, modality), pids, modality)
        optimizer.zero_grad()
        sum(terms.values()).backward()
        optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    return step, sum(parameter.numel() for parameter in model.backbone.parameters())


def seconds(step: Callable[[], None]) -> float:
    start = perf_counter()
    step()
    return perf_counter() - start


def peak_bytes(construction: str, options: argparse.Namespace) -> int:
    """Peak memory of three steps, the parameters and the state of the optimizer included."""
    if options.device != "cpu":
        torch.cuda.empty_cache()
        before = torch.cuda.memory_allocated(options.device)
        torch.cuda.reset_peak_memory_stats(options.device)
        step, _ = make_step(construction, options)
        for _ in range(3):
            step()
        return torch.cuda.max_memory_allocated(options.device) - before
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak_of_this_process, (construction, options))


def _peak_of_this_process(construction: str, options: argparse.Namespace) -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    step, _ = make_step(construction, options)
    for _ in range(3):
        step()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbone", default="small")
    parser.add_argument("--height", type=int, default=128)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--batch", type=int, default=64, help="images, both modalities together; a multiple of 8")
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--skip-memory", action="store_true", help="time alone")
    options = parser.parse_args(arguments)
    peaks = [math.nan if options.skip_memory else peak_bytes(construction, options) for construction in CONSTRUCTIONS]
    ours_peak, theirs_peak = peaks
    (ours, ours_size), (theirs, theirs_size) = (make_step(construction, options) for construction in CONSTRUCTIONS)
    for step in (ours, theirs) * 2:
        step()
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(options.pairs)]
    ours_s, theirs_s = (statistics.median(times) for times in zip(*pairs, strict=True))
    size = f"{options.batch} images of {options.height}×{options.width}"
    print(f"{options.backbone}, {size}, {options.device}, {torch.get_num_threads()} threads")
    for name, count, time, peak in (
        (CONSTRUCTIONS[0], ours_size, ours_s, ours_peak),
        (CONSTRUCTIONS[1], theirs_size, theirs_s, theirs_peak),
    ):
        speed = f"{1e3 * time:.0f} ms a step, {options.batch / time:.0f} images/s"
        print(f"{name}: {count / 1e6:.2f} M parameters in the backbone, {speed}, {peak / 1e9:.2f} GB at the peak")
    ratio = statistics.median(other / one for one, other in pairs)
    print(
        f"three networks take {ratio:.2f} × the time, {theirs_peak / ours_peak:.2f} × the memory and "
        f"{theirs_size / ours_size:.2f} × the parameters"
    )


if __name__ == "__main__":
    main()
