"""What only a GPU can tell, in one run of about eight minutes; findings are written to a file after every part.

    python benchmarks/gpu.py [--seconds 450] [--out build/gpu.json]
    python benchmarks/gpu.py --device cpu --toy          # a rehearsal without a GPU

In this order, as far as the time goes; a part that fails leaves its error and the next one begins:

1. every method, profile ``ci``: an epoch of training, evaluation (flip, re-ranked), explanation; float16 and bfloat16
2. the notebooks 00, 02 and 05, profile ``ci``, cell by cell
3. waits for the GPU in each training step of every method (torch's sync debug mode)
4. images/s and peak memory of a training step: every method as in profile ``gpu``, IDKL with 120 images of 384×144
5. as 1, compiled

Nothing is needed but torch, the library and what training needs: no network, no Jupyter. Twins, runs and caches go to a
folder that is removed at the end. Failed parts make the exit status 1; what was skipped is listed, with the reason.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from time import perf_counter
from unittest.mock import patch

import numpy as np
import torch

import reidlib
from reidlib import evaluation, explain, methods, training
from reidlib.data import PKSampler
from reidlib.data.registry import READERS
from reidlib.training import devices

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ("00_quickstart", "02_baseline_and_metrics", "05_idkl")
PER_STEP = 1
"""Waits for the GPU that a step may have: the row of the history."""

CELLS = """
import builtins, json, sys, warnings
warnings.filterwarnings("ignore", message=".*non-interactive.*")
try:
    from IPython.display import display
except ImportError:
    display = print
builtins.display = display
failed = []
for number, cell in enumerate(json.load(open(sys.argv[1], encoding="utf-8"))["cells"]):
    if cell["cell_type"] == "code" and "raises-exception" not in cell["metadata"].get("tags", []):
        lines = "".join(cell["source"]).splitlines()
        source = "\\n".join("pass" if line.startswith(("%", "!")) else line for line in lines)
        try:
            exec(compile(source, f"cell {number}", "exec"), globals())
        except Exception as error:
            failed.append(f"cell {number}: {type(error).__name__}: {error}")
print("FAILED" + json.dumps(failed))
"""
"""Runs the cells of a notebook one after another, also behind one that fails."""


class Skipped(Exception):
    """A part that cannot be done here; the message says why."""


def dataset_of(method: str) -> reidlib.data.ReIDDataset:
    """The twin, profile ``ci``, of the first data set that the method has a recipe for."""
    name = next(iter(methods.get(method).recipes))
    return reidlib.data.open(name, twin="ci", **({"split": 1} if READERS[name].splits else {}))


def train_and_look(method: str, amp: str, compiled: bool, device: torch.device) -> dict[str, float]:
    """One epoch, then all that a notebook does with the model."""
    if amp == "fp16" and device.type != "cuda":
        raise Skipped("float16 is for GPUs")
    dataset = dataset_of(method)
    recipe = methods.recipe(method, dataset=dataset.name, profile="ci").replace(epochs=1, warmup=0, amp=amp)
    with tempfile.TemporaryDirectory() as folder:
        run = training.fit(recipe, dataset, folder, device=device, compiled=compiled, progress=False)
    protocol = evaluation.protocols.get(dataset.name).replace(flip=True)
    plain, reranked = (
        evaluation.evaluate(run.model, dataset, protocol.replace(reranking=kind)).mean_average_precision
        for kind in ("none", "k-reciprocal")
    )
    rows = explain.focus_rows(dataset, images=4)
    explain.cams(run.model, dataset, rows)
    explain.occlusion_maps(run.model, dataset, rows, cells=(2, 1))
    branches = explain.branch_embeddings(run.model, dataset, rows)
    if not all(torch.isfinite(values).all() for values in branches.values()):
        raise FloatingPointError("embeddings are not finite")
    history = run.history
    found = {"loss": float(history["loss"].iloc[-1]), "mAP": plain, "mAP re-ranked": reranked}
    return found | {name: float(history[name].iloc[-1]) for name in ("memory_gb", "loss_scale") if name in history}


def notebook(name: str, seconds: float) -> dict[str, object]:
    """Every cell in a process of its own; fails with the cells that failed."""
    # The process trains on the GPU if torch finds one, as it does for a reader of the notebook.
    path = ROOT / "notebooks" / f"{name}.ipynb"
    settings = {"REIDLIB_PROFILE": "ci", "PYTHONPATH": str(ROOT), "TQDM_DISABLE": "1", "MPLBACKEND": "agg"}
    done = subprocess.run(
        [sys.executable, "-c", CELLS, str(path)],
        cwd=path.parent,
        env=os.environ | settings,
        timeout=max(1.0, seconds),
        capture_output=True,
        text=True,
    )
    if done.returncode or "FAILED" not in done.stdout:
        raise RuntimeError(f"the process ended with {done.returncode}: {done.stderr[-2000:]}")
    if failed := json.loads(done.stdout.rsplit("FAILED", 1)[1]):
        raise RuntimeError("; ".join(failed))
    return {"cells failed": 0}


def waits(method: str, device: torch.device) -> dict[str, object]:
    """How often each step of an epoch waits for the GPU, and in which lines."""
    if device.type != "cuda":
        raise Skipped("torch tells of waits on CUDA devices alone")
    dataset, steps, draw = dataset_of(method), [], PKSampler.epoch
    recipe = methods.recipe(method, dataset=dataset.name, profile="ci").replace(epochs=1, warmup=0)

    def epoch(self: PKSampler, number: int) -> Iterator[np.ndarray]:
        for batch in draw(self, number):
            before = len(seen)
            yield batch
            steps.append([f"{Path(each.filename).name}:{each.lineno}" for each in seen[before:]])

    with warnings.catch_warnings(record=True) as seen, tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            with patch.object(PKSampler, "epoch", epoch):
                training.fit(recipe, dataset, folder, device=device, progress=False)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    counts = [len(step) for step in steps[1:]]  # the first one also warms up
    lines = sorted({line for step in steps[1:] for line in step})
    if max(counts) > PER_STEP:
        raise RuntimeError(f"a step waits {max(counts)} times for the GPU, in {', '.join(lines)}")
    return {"steps": len(counts), "most waits": max(counts), "mean": statistics.mean(counts), "lines": lines}


def speed(method: str, changes: dict, repeats: int, device: torch.device) -> dict[str, object]:
    """Images/s and peak memory of training steps on random images."""
    name = next(iter(methods.get(method).recipes))
    recipe = methods.recipe(method, dataset=name, profile="gpu").replace(**{"weights": None, **changes})
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    generator = devices.seed(device, 0)
    model = methods.build(method, num_ids=395, backbone=recipe.backbone, **recipe.model)
    model = model.to(device, memory_format=torch.channels_last).train()
    optimizer, amp = training.make_optimizer(recipe, model), devices.precision(recipe.amp, device)
    scaler = torch.amp.GradScaler(device.type, enabled=amp == torch.float16)
    half = recipe.identities * recipe.images
    images = torch.randn(2 * half, 3, recipe.height, recipe.width, device=device, generator=generator)
    images = images.contiguous(memory_format=torch.channels_last)
    modality = torch.arange(2).repeat_interleave(half)
    pids = (torch.arange(half) // recipe.images).repeat(2).to(device)

    def step() -> float:
        start = perf_counter()
        with torch.autocast(device.type, amp, enabled=amp is not None):
            terms = model.losses(model(images, modality), pids, modality)
        optimizer.zero_grad()
        scaler.scale(training.weighted_sum(terms, recipe.loss_weights)).backward()
        scaler.step(optimizer)
        scaler.update()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return perf_counter() - start

    for _ in range(3 if repeats > 1 else 1):
        step()
    seconds = statistics.median(step() for _ in range(repeats))
    peak = round(torch.cuda.max_memory_allocated(device) / 2**30, 2) if device.type == "cuda" else None
    size = f"{2 * half} images of {recipe.height}×{recipe.width}, {recipe.backbone}"
    numbers = {"ms a step": round(1e3 * seconds, 1), "images/s": round(2 * half / seconds, 1)}
    return {"batch": size, "precision": str(amp or torch.float32), **numbers, "peak GiB": peak}


def parts(options: argparse.Namespace, device: torch.device, left: Callable[[], float]) -> Iterator[tuple]:
    """Name, seconds that it may need, function."""
    looks = [(method, amp) for amp in ("fp16", "bf16") for method in options.methods]
    for method, amp in looks:
        yield f"train and look: {method}, {amp}", 15, partial(train_and_look, method, amp, False, device)
    for name in options.notebooks:
        yield f"notebook: {name}", 40, lambda name=name: notebook(name, left())
    for method in options.methods:
        yield f"waits: {method}", 10, partial(waits, method, device)
    toy = dict(backbone="tiny", height=32, width=16, identities=2, images=2) if options.toy else {}
    repeats = 1 if options.toy else 20
    for method in options.methods:
        yield f"speed: {method}", 15, partial(speed, method, toy, repeats, device)
    large = toy or dict(backbone="resnet50", height=384, width=144, identities=15, images=4)
    yield "speed: idkl, 384×144", 20, partial(speed, "idkl", large, repeats, device)
    for method, amp in [] if options.toy else looks:
        yield f"compiled: {method}, {amp}", 60, partial(train_and_look, method, amp, True, device)


def attempt(function: Callable[[], dict], needed: float, left: float) -> dict[str, object]:
    """What the function found, or why there is nothing."""
    if left < needed:
        return {"skipped": f"no time: {max(0, left):.0f} of {needed} seconds left"}
    start = perf_counter()
    try:
        found = {"result": function()}
    except (Skipped, ImportError) as reason:
        found = {"skipped": str(reason)}
    except Exception as error:
        found = {"error": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()}
    return found | {"seconds": round(perf_counter() - start, 1)}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--seconds", type=float, default=450, help="no part begins that would end later")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "gpu.json")
    parser.add_argument("--methods", nargs="+", default=[*methods.names()], choices=methods.names())
    parser.add_argument("--notebooks", nargs="*", default=NOTEBOOKS)
    parser.add_argument("--toy", action="store_true", help="tiny networks, nothing compiled")
    options = parser.parse_args(arguments)
    start, device = perf_counter(), torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        parser.error("torch finds no CUDA device here; --device cpu --toy rehearses without one")
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    record = {"device": name, "torch": torch.__version__, "toy": options.toy, "parts": {}}
    options.out.parent.mkdir(parents=True, exist_ok=True)

    def left() -> float:
        return options.seconds - (perf_counter() - start)

    with (
        tempfile.TemporaryDirectory() as home,
        patch.dict(os.environ, REIDLIB_HOME=os.environ.get("REIDLIB_HOME", home)),
    ):
        for part, needed, function in parts(options, device, left):
            found = record["parts"][part] = attempt(function, needed, left())
            options.out.write_text(json.dumps(record, indent=1, default=str), encoding="utf-8")
            print(f"{part}: {json.dumps({k: v for k, v in found.items() if k != 'traceback'})}", flush=True)
    kinds = {kind: [part for part, found in record["parts"].items() if kind in found] for kind in ("error", "skipped")}
    print(f"{name}: {len(record['parts'])} parts in {perf_counter() - start:.0f} s, written to {options.out}")
    for kind, names in kinds.items():
        print(f"{kind}: {'; '.join(names) or 'none'}")
    return 1 if kinds["error"] else 0


if __name__ == "__main__":
    sys.exit(main())
