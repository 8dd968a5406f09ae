"""Training step of each method against the baseline's: time, parameters, and peak memory on a GPU.

    python benchmarks/bench_methods.py [--methods maum maum-parts] [--backbone resnet50] [--height 288 --width 144]
                                       [--identities 8 --images 4] [--num-ids 395] [--pairs 5] [--device cpu]

Forward, losses, backward and AdamW's update on random images, with the options of the ``paper`` recipe for SYSU-MM01,
DALNet's for PKU-Sketch; MAUM with its memory full; FIENet also with each module alone, all with IGCL. Pairs of steps,
one of the baseline and one of the method back to back, because a shared machine drifts: the ratio, a median over pairs,
is the result.
"""

import argparse
import statistics
from time import perf_counter

import torch

from reidlib import methods, networks, training
from reidlib.training import devices

METHODS = {
    "maum": ("maum", {}),
    "maum-parts": ("maum", {"parts": True}),
    "fienet-pfam": ("fienet", {"mpim": False}),
    "fienet-mpim": ("fienet", {"pfam": False}),
    "fienet-igcl": ("fienet", {"pfam": False, "mpim": False}),
    "fienet": ("fienet", {}),
    "idkl": ("idkl", {}),
    "dalnet": ("dalnet", {}),
}


def make_step(method: str, options: dict, arguments: argparse.Namespace, device: torch.device):
    """A function that makes one training step, and the number of parameters."""
    devices.seed(device, 0)
    if options.get("parts"):
        options = {
            **options,
            "stripes": next(number for number in (6, 4, 2, 1) if arguments.height // 16 % number == 0),
        }
    dataset = "pku-sketch" if method == "dalnet" else "sysu"
    recipe = methods.recipe(method, dataset=dataset, profile="paper").replace(
        weights=None, backbone=arguments.backbone, model=options
    )
    model = methods.build(method, num_ids=arguments.num_ids, backbone=arguments.backbone, **recipe.model)
    model = model.to(device, memory_format=torch.channels_last).train()
    optimizer = training.make_optimizer(recipe.replace(optimizer="adamw"), model)
    rows = arguments.identities * arguments.images
    images = torch.randn(2 * rows, 3, arguments.height, arguments.width, device=device)
    images = images.contiguous(memory_format=torch.channels_last)
    modality = torch.arange(2 * rows) // rows
    pids = (torch.arange(2 * rows) % rows // arguments.images).to(device)
    if method == "maum":
        fill_memory(model)
    amp = devices.precision(recipe.amp, device)

    def step() -> None:
        with torch.autocast(device.type, amp, enabled=amp is not None):
            terms = model.losses(model(images, modality), pids, modality)
        optimizer.zero_grad()
        training.weighted_sum(terms, recipe.loss_weights).backward()
        optimizer.step()

    return step, sum(parameter.numel() for parameter in model.parameters())


def fill_memory(model: networks.ReIDModel) -> None:
    model.epoch = model.memory_start_epoch
    model._memory_steps = model.memory_length * model.memory_interval
    for proxies in (*model.proxies[0], *model.proxies[1]):
        proxies.memory.copy_(torch.randn_like(proxies.memory))


def seconds(step, device: torch.device) -> float:
    start = perf_counter()
    step()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return perf_counter() - start


def main(given: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--height", type=int, default=288)
    parser.add_argument("--width", type=int, default=144)
    parser.add_argument("--identities", type=int, default=8)
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--num-ids", type=int, default=395)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args(given)
    device = torch.device(arguments.device)
    batch = 2 * arguments.identities * arguments.images
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    print(f"{arguments.backbone}, {batch} images of {arguments.height}×{arguments.width}, {where}")
    reference, parameters = make_step("baseline", {}, arguments, device)
    seconds(reference, device)
    print(f"baseline: {parameters / 1e6:.2f} M parameters")
    for name in arguments.methods:
        step, own = make_step(*METHODS[name], arguments, device)
        seconds(step, device)
        pairs = [(seconds(reference, device), seconds(step, device)) for _ in range(arguments.pairs)]
        base, mine = (statistics.median(times) for times in zip(*pairs, strict=True))
        ratio = statistics.median(after / before for before, after in pairs)
        print(
            f"{name}: {own / 1e6:.2f} M parameters (× {own / parameters:.2f}), "
            f"{mine:.3f} s a step against {base:.3f} s, median ratio {ratio:.2f}"
        )
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            step()
            print(f"{name}: peak {torch.cuda.max_memory_allocated(device) / 2**30:.2f} GiB, both models loaded")


if __name__ == "__main__":
    main()
