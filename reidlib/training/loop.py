"""Training: one visible loop. ``fit(recipe, dataset)`` → :class:`reidlib.training.runs.Run`, trained or loaded.

All randomness of an epoch follows from (seed, epoch, process). So a run that was stopped, by a call or by a kill, goes
on after its last whole epoch and ends with the same weights: on a CPU bit by bit, given the same number of threads.
``torchrun --nproc-per-node N script.py`` trains on N devices; every process calls ``fit`` alike. Each has batches of
its own identities, normalised by themselves; gradients are averaged, and the first one's running means are kept.
"""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from reidlib import methods
from reidlib.data import PKSampler, ReIDDataset
from reidlib.methods import Recipe
from reidlib.networks import ReIDModel
from reidlib.training import checkpoints, devices, runs
from reidlib.training.checkpoints import State
from reidlib.training.validation import split, validate

OPTIMIZERS = {"adamw": torch.optim.AdamW, "sgd": partial(torch.optim.SGD, momentum=0.9, nesterov=True)}
ROWS_PER_EPOCH = 10  # of the history


def fit(
    recipe: Recipe,
    dataset: ReIDDataset,
    folder: str | Path | None = None,
    *,
    device: torch.device | str | None = None,
    stop_after: int | None = None,
    compiled: bool = False,
    progress: bool = True,
) -> runs.Run:
    """Train the model of a recipe, or load it where that is done already.

    A checkpoint is written after every epoch, and a run goes on after its last one. Test identities are never looked
    at. The weights are those after the last epoch, not those with the best validation score.

    Args:
        folder: of the run; default: :func:`reidlib.training.runs.default_folder`.
        device: default: the GPU of this process if there is one, else the CPU.
        stop_after: go no further than this number of epochs; a later call goes on from there.
        compiled: compile the network (:func:`torch.compile`); pays on a GPU, in long runs.
        progress: show a bar.

    Raises:
        ValueError: the recipe is for another data set or does not weigh the loss terms that the model has, or the
            folder holds something else.
        FloatingPointError: a loss term is not finite; the message names it and the step.
        torch.OutOfMemoryError: the batch does not fit on the GPU; the message names one to try.
    """
    if recipe.dataset != dataset.name:
        raise ValueError(f"the recipe is for data set {recipe.dataset!r}, not for {dataset.name!r}")
    folder = runs.default_folder(recipe, dataset) if folder is None else Path(folder)
    last = recipe.epochs if stop_after is None else min(stop_after, recipe.epochs)
    distributed = devices.init_distributed(device)
    with runs.locked(folder) if distributed.is_primary else nullcontext():
        with devices.own_randomness(distributed.device), _naming_a_smaller_batch(recipe):
            state = distributed.broadcast(lambda: _begin(recipe, dataset, folder, distributed))
            if state.epoch < last:
                state = _train(recipe, dataset, folder, state, last, distributed, compiled, progress)
        if (
            distributed.is_primary and state.epoch == recipe.epochs and state.optimizer
        ):  # read from a checkpoint, not from weights
            checkpoints.save_weights(folder, state)
        environment = distributed.broadcast(lambda: runs.read_environment(folder))
        return runs.from_state(folder, recipe, environment, state, distributed.device)


def _begin(recipe: Recipe, dataset: ReIDDataset, folder: Path, distributed: devices.Distributed) -> State:
    """The state that is on disk, or that of a new model."""
    precision = str(devices.precision(recipe.amp, distributed.device) or torch.float32).removeprefix("torch.")
    runs.prepare(folder, recipe, dataset, runs.environment(distributed.device, distributed.world_size, precision))
    state = checkpoints.restore(folder, recipe.to_dict())
    if state is None:
        pids = split(dataset, recipe.validation_share).pids.tolist()
        devices.seed(distributed.device, recipe.seed)
        options = {"backbone": recipe.backbone, "weights": recipe.weights, **recipe.model}
        model = methods.build(recipe.method, num_ids=len(pids), **options)
        state = State(recipe.to_dict(), model.arguments, pids, 0, model.state_dict(), {}, {}, [])
    return state


def _train(
    recipe: Recipe,
    dataset: ReIDDataset,
    folder: Path,
    state: State,
    last: int,
    distributed: devices.Distributed,
    compiled: bool,
    progress: bool,
) -> State:
    """Train from ``state`` to the end of epoch ``last``."""
    device, progress = distributed.device, progress and distributed.is_primary
    part = split(dataset, recipe.validation_share)
    images = dataset.images(recipe.height, recipe.width, progress=progress).on(device)
    modality = dataset.frame["modality"].to_numpy()[part.rows]
    batch_shape = {"identities": recipe.identities, "images": recipe.images}
    draw = partial(PKSampler, seed=recipe.seed, rank=distributed.rank, world_size=distributed.world_size, **batch_shape)
    sampler = draw(part.labels, modality)
    if recipe.subsample:
        kept = recipe.subsample.keep(part.pids[part.labels], modality)
        part, modality = part._replace(rows=part.rows[kept], labels=part.labels[kept]), modality[kept]
        may_lack = {"allow_missing_modality": recipe.subsample.identities < 1}
        sampler = draw(part.labels, modality, batches=len(sampler), **may_lack)  # the budget of the whole set

    model = checkpoints.build_model(state).to(device)
    network = nn.parallel.DistributedDataParallel(model) if distributed.world_size > 1 else model
    network = torch.compile(network) if compiled else network
    optimizer = make_optimizer(recipe, model)
    amp = devices.precision(recipe.amp, device)
    scaler = torch.amp.GradScaler(device.type, enabled=amp == torch.float16)
    if state.epoch:
        optimizer.load_state_dict(state.optimizer)
        if state.scaler:
            scaler.load_state_dict(state.scaler)

    history = _History([*state.history], len(sampler), distributed)
    label = f"{recipe.method} on {dataset.name}, {recipe.profile}, seed {recipe.seed}"
    length = {"total": last * len(sampler), "initial": state.epoch * len(sampler)}
    bar = tqdm(desc=label, unit="step", leave=False, delay=1, disable=not progress, **length)
    for epoch in range(state.epoch, last):
        model.train()
        generator = devices.seed(device, recipe.seed, epoch, distributed.rank)
        history.begin(epoch)
        for step, batch in enumerate(sampler.epoch(epoch)):
            rate = recipe.learning_rate * schedule(recipe, epoch + (step + 0.5) / len(sampler))
            for group in optimizer.param_groups:
                group["lr"] = rate * group["rate"]
            pids = torch.from_numpy(part.labels[batch]).to(device, non_blocking=True)
            modalities = torch.from_numpy(modality[batch])  # in main memory: see ReIDModel
            inputs = recipe.augmentation(images.tensor(part.rows[batch]), modalities, generator)
            with torch.autocast(device.type, amp, enabled=amp is not None):
                outputs = network(inputs.contiguous(memory_format=torch.channels_last), modalities)
                terms = model.losses(outputs, pids, modalities)
            loss = weighted_sum(terms, recipe.loss_weights)
            optimizer.zero_grad()
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            history.add(step, rate, len(batch), loss, terms)
            bar.update()

        if distributed.is_primary:
            is_due = (epoch + 1) % recipe.validate_every == 0 or epoch + 1 == recipe.epochs
            line = history.end(validate(model, dataset, part) if is_due and len(part.query_rows) else {})
            tensors = {name: tensor.cpu() for name, tensor in model.state_dict().items()}
            progressed = {"epoch": epoch + 1, "model": tensors, "history": history.rows}
            state = replace(state, **progressed, optimizer=optimizer.state_dict(), scaler=scaler.state_dict())
            checkpoints.save(folder, state)
            checkpoints.log(folder, line)
            bar.set_postfix_str(line, refresh=False)
    bar.close()
    return distributed.broadcast(lambda: replace(state, optimizer={}, scaler={}))


def make_optimizer(recipe: Recipe, model: ReIDModel) -> torch.optim.Optimizer:
    """Two groups of parameters, the backbone's and the others, each with its share ``rate`` of the learning rate."""
    named = list(model.named_parameters())
    groups = [
        {"params": [p for name, p in named if name.startswith("backbone.")], "rate": recipe.backbone_rate},
        {"params": [p for name, p in named if not name.startswith("backbone.")], "rate": 1.0},
    ]
    return OPTIMIZERS[recipe.optimizer](groups, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)


def schedule(recipe: Recipe, epoch: float) -> float:
    """Learning rate as a share (0-1) of its highest value, ``epoch`` epochs after the start."""
    if recipe.schedule == "step":
        whole = math.floor(epoch)
        if whole < recipe.warmup:
            return min(1.0, (whole + 1) / recipe.warmup)
        return 0.1 ** sum(whole >= milestone for milestone in recipe.milestones)
    if epoch < recipe.warmup:
        return epoch / recipe.warmup
    return (1 + math.cos(math.pi * (epoch - recipe.warmup) / (recipe.epochs - recipe.warmup))) / 2


def weighted_sum(terms: dict[str, Tensor], weights: dict[str, float]) -> Tensor:
    """Sum of weight × term.

    Raises:
        ValueError: a term without a weight, or a weight without a term.
    """
    if terms.keys() != weights.keys():
        missing, unknown = sorted(terms.keys() - weights.keys()), sorted(weights.keys() - terms.keys())
        raise ValueError(
            f"the recipe's loss_weights do not fit the loss terms of the model ({', '.join(terms)}): "
            f"without a weight: {', '.join(missing) or 'none'}; not a term: {', '.join(unknown) or 'none'}"
        )
    return sum(weights[name] * term for name, term in terms.items())


@contextmanager
def _naming_a_smaller_batch(recipe: Recipe) -> Iterator[None]:
    """Turn a GPU's "out of memory" into advice."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        p, k = recipe.identities, recipe.images
        change, size = (
            (f"identities={p // 2}", p // 2 * k) if p >= 4 else (f"images={max(1, k // 2)}", p * max(1, k // 2))
        )
        raise torch.OutOfMemoryError(
            f"the GPU has no room for batches of 2 × {p} identities × {k} images = {2 * p * k} images of "
            f"{recipe.height}×{recipe.width}; try recipe.replace({change}), {2 * size} images ({error})"
        ) from error


class _History:
    """Turns loss terms into rows of the history, without a wait for the GPU at every step."""

    def __init__(self, rows: list[dict[str, float]], steps: int, distributed: devices.Distributed):
        self.rows, self._steps, self._distributed = rows, steps, distributed
        self._interval = -(-steps // ROWS_PER_EPOCH)
        self._start = time.perf_counter() - (rows[-1]["seconds"] if rows else 0.0)
        if distributed.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(distributed.device)

    def begin(self, epoch: int) -> None:
        self._epoch, self._pending, self._images, self._mark = epoch, [], 0, time.perf_counter()

    def add(self, step: int, rate: float, images: int, loss: Tensor, terms: dict[str, Tensor]) -> None:
        """Note a step; every now and then, close a row.

        Raises:
            FloatingPointError: a value since the last row is not finite.
        """
        self._pending.append(torch.stack([*(term.detach() for term in terms.values()), loss.detach()]))
        self._images += images * self._distributed.world_size
        if (step + 1) % self._interval and step + 1 < self._steps:
            return
        values = torch.stack(self._pending).double().cpu().numpy()  # on a GPU: waits for the steps so far
        now, device = time.perf_counter(), self._distributed.device
        names = [*(f"loss.{name}" for name in terms), "loss"]  # terms first: they are to be named rather than the sum
        for row, column in np.argwhere(~np.isfinite(values))[:1].tolist():
            number = self._epoch * self._steps + step + 2 - len(values) + row
            raise FloatingPointError(
                f"{names[column]} is {values[row, column]} at step {number} (epoch {self._epoch + 1}), learning rate "
                f"{rate:.3g}; lower learning_rate or the term's weight, or switch mixed precision off (amp='off')"
            )
        *means, mean_loss = values.mean(axis=0).tolist()
        self.rows.append(
            {
                "epoch": self._epoch + 1,
                "step": self._epoch * self._steps + step + 1,
                "learning_rate": rate,
                "loss": mean_loss,
                **dict(zip(names, means, strict=False)),
                "images_per_second": self._images / (now - self._mark),
                "seconds": now - self._start,
            }
        )
        if device.type == "cuda":
            self.rows[-1]["memory_gb"] = torch.cuda.max_memory_allocated(device) / 1e9
        self._pending, self._images, self._mark = [], 0, now

    def end(self, scores: dict[str, float]) -> str:
        """Close an epoch; returns it in words."""
        self.rows[-1] |= {f"validation.{name}": value for name, value in scores.items()}
        self.rows[-1]["seconds"] = time.perf_counter() - self._start
        row = self.rows[-1]
        words = [f"{name.removeprefix('loss.')} {row[name]:.3f}" for name in row if name.startswith("loss")]
        words += [f"validation {name} {100 * scores[name]:.1f} %" for name in ("rank-1", "mAP") if scores]
        words += [f"{row['images_per_second']:.0f} images/s", f"{row['seconds']:.0f} s"]
        return f"epoch {row['epoch']}: {', '.join(words)}"
