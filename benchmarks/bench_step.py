"""Training step of the CPU backbones: forward and backward; channels_last against contiguous, bfloat16 against float32.

    python benchmarks/bench_step.py [--backbones small tiny] [--height 128 --width 64 --batch 64] [--pairs 15]

Prints medians over pairs measured back to back, because a shared machine drifts; the ratio is the result. While other
programs use the cores, two threads wait for one another: OMP_NUM_THREADS=1 then measures better.
"""

import argparse
import statistics
import time

import torch

from reidlib import methods


def make_step(backbone: str, images: torch.Tensor, memory_format: torch.memory_format, lowered: bool = False):
    """A function that runs one forward and backward pass of the baseline."""
    model = methods.build("baseline", num_ids=200, backbone=backbone).to(memory_format=memory_format).train()
    images = images.to(memory_format=memory_format)
    modality = torch.arange(len(images)) // (len(images) // 2)
    pids = torch.arange(len(images)) // 4 % 8

    def step() -> None:
        model.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=lowered):
            terms = model.losses(model(images, modality), pids, modality)
        sum(terms.values()).backward()

    parameters = sum(parameter.numel() for parameter in model.parameters())
    return step, parameters


def seconds(step) -> float:
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbones", nargs="+", default=["tiny", "small"])
    parser.add_argument("--height", type=int, default=128)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--batch", type=int, default=64, help="images, both modalities together; even")
    parser.add_argument("--pairs", type=int, default=15)
    options = parser.parse_args(arguments)
    print(f"{options.batch} images of {options.height}x{options.width}, {torch.get_num_threads()} threads")
    for backbone in options.backbones:
        images = torch.randn(options.batch, 3, options.height, options.width)
        plain, parameters = make_step(backbone, images, torch.contiguous_format)
        last, _ = make_step(backbone, images, torch.channels_last)
        low, _ = make_step(backbone, images, torch.channels_last, lowered=True)
        for step in (plain, last, low):
            step()
        rounds = [(seconds(plain), seconds(last), seconds(low)) for _ in range(options.pairs)]
        plain_ms, last_ms, low_ms = (1e3 * statistics.median(times) for times in zip(*rounds, strict=True))
        gain = statistics.median(one / other for one, other, _ in rounds)
        low_gain = statistics.median(one / other for _, one, other in rounds)
        print(
            f"{backbone}: {parameters / 1e6:.2f} M parameters, contiguous {plain_ms:.0f} ms; channels_last "
            f"{last_ms:.0f} ms, {gain:.2f} times faster; bfloat16 {low_ms:.0f} ms, {low_gain:.2f} times faster again"
        )


if __name__ == "__main__":
    main()
