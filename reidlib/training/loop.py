"""Training: one visible loop. ``fit(recipe, dataset)`` → :class:`reidlib.training.runs.Run`, trained or loaded.

All randomness of an epoch follows from (seed, epoch, process). So a run that was stopped, by a call or by a kill, goes
on after its last whole epoch and ends with the same weights: on a CPU bit by bit, given the same number of threads.

``torchrun --nproc-per-node N script.py`` trains on N devices; every process calls ``fit`` alike. They share the batches
that one process would have: steps, batch size and learning rate stay those of the recipe, and each process takes P / N
identities with all their images. Gradients are averaged, and the first process's running means are kept. But each
process normalises and compares its own share only, so that N processes make another run than one does: it has a folder
of its own, and its record says how many they were.
"""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from reidlib import methods
from reidlib.console.spelling import argument, either
from reidlib.data import PKSampler, ReIDDataset
from reidlib.data.cache import to_device
from reidlib.methods import Recipe
from reidlib.networks.division import noted
from reidlib.networks.fitting import Fitted
from reidlib.training import checkpoints, devices, health, record, runs
from reidlib.training.checkpoints import State
from reidlib.training.history import History, Scaler
from reidlib.training.schedule import make_optimizer, schedule
from reidlib.training.validation import split, validate


def fit(
    recipe: Recipe,
    dataset: ReIDDataset,
    folder: str | Path | None = None,
    *,
    device: torch.device | str | None = None,
    stop_after: int | None = None,
    extends: str | Path | None = None,
    images_on: str | None = None,
    checkpoint_every: int = 1,
    compiled: bool = False,
    progress: bool = True,
) -> runs.Run:
    """Train the model of a recipe, or load it where that is done already.

    A run goes on after its last checkpoint. Test identities are never looked at. The weights are those after the last
    epoch, not those with the best validation score.

    Args:
        folder: of the run; default: :func:`reidlib.training.runs.default_folder`.
        device: default: the GPU of this process if there is one, else the CPU.
        stop_after: go no further than this number of epochs; a later call goes on from there.
        extends: folder of a run of the same recipe with fewer epochs: go on from its last checkpoint, in a folder of
            this run's own. The schedule must allow it: the learning rate of the epochs trained must be the same.
        images_on: where the training images lie: ``"device"`` (copied once) or ``"host"`` (copied batch by batch);
            default: on the device if they take no more than half of what is free there once model and optimizer are;
            if a batch then finds no room, in main memory.
        checkpoint_every: number of epochs between checkpoints; one is always written at the end. A ResNet-50 with
            AdamW takes 0.3 GB.
        compiled: compile the network (:func:`torch.compile`); pays on a GPU, in long runs.
        progress: show a bar where somebody can see it, else write a line to stderr after each epoch.

    Raises:
        ValueError: the recipe is for another data set or does not weigh the loss terms that the model has, the folder
            holds something else, or a run cannot be extended to this recipe.
        FloatingPointError: a loss term is not finite (the message names it and the step), or in float16 no gradient is.
        torch.OutOfMemoryError: the batch does not fit on the GPU; the message names what to change.
    """
    if recipe.dataset != dataset.name:
        raise ValueError(f"the recipe is for data set {recipe.dataset!r}, not for {dataset.name!r}")
    if checkpoint_every < 1:
        raise ValueError(f"{argument('checkpoint_every')} must be at least 1, not {checkpoint_every}")
    distributed = devices.init_distributed(device)
    folder = Path(folder) if folder is not None else runs.default_folder(recipe, dataset, distributed.world_size)
    last = recipe.epochs if stop_after is None else min(stop_after, recipe.epochs)
    options = {"checkpoint_every": checkpoint_every, "compiled": compiled, "progress": progress}
    with runs.locked(folder) if distributed.is_primary else nullcontext():
        with devices.own_randomness(distributed.device), _naming_what_to_lower(recipe, images_on):
            begin = partial(_begin, recipe, dataset, folder, distributed, last, extends)
            train = partial(_train, recipe, dataset, folder, last=last, distributed=distributed, **options)
            state = distributed.broadcast(begin)
            if state.epoch < last:
                state = _making_room(begin, train, state, images_on, distributed, folder)
        if (
            distributed.is_primary and state.epoch == recipe.epochs and state.optimizer
        ):  # read from a checkpoint, not from weights
            checkpoints.save_weights(folder, state)
        environment = distributed.broadcast(lambda: record.read_environment(folder))
        return runs.from_state(folder, recipe, environment, state, distributed.device)


def _begin(
    recipe: Recipe,
    dataset: ReIDDataset,
    folder: Path,
    distributed: devices.Distributed,
    last: int,
    extends: str | Path | None,
) -> State:
    """The state that is on disk, that of the run which is extended, or that of a new model."""
    precision = str(devices.precision(recipe.amp, distributed.device) or torch.float32).removeprefix("torch.")
    here = record.environment(distributed.device, distributed.world_size, precision)
    older = new = fitted = None
    is_begun = bool(checkpoints.found(folder))
    if extends is not None and not is_begun:
        older = record.load_extendable(Path(extends), recipe)
    elif not is_begun:  # a network that cannot be built shall leave no folder of a run behind
        new, fitted = _new(recipe, dataset, distributed.device)
    record.prepare(folder, recipe, dataset, here, Path(extends) if older else None, fitted)
    if older:
        checkpoints.save(folder, older)  # from here on the run goes on by itself
    state = checkpoints.restore(folder, recipe.to_dict())
    if state is None:
        return new or _new(recipe, dataset, distributed.device)[0]
    if state.epoch < last:
        record.note_resumption(folder, state.epoch, here)
    return state


def _new(recipe: Recipe, dataset: ReIDDataset, device: torch.device) -> tuple[State, Fitted | None]:
    """The state of a run before its first epoch, and what of its weights fitted, if they come from somewhere."""
    pids = split(dataset, recipe.validation_share).pids.tolist()
    devices.seed(device, recipe.seed)
    options = {"backbone": recipe.backbone, "weights": recipe.weights, **recipe.model}
    model = methods.build(recipe.method, num_ids=len(pids), **options)
    fitted = getattr(getattr(model, "backbone", None), "fitted", None)
    state = State(recipe.placeless(recipe.to_dict()), model.arguments, pids, 0, model.state_dict(), {}, {}, [])
    return state, fitted


def _making_room(
    begin: Callable[[], State],
    train: Callable[..., State],
    state: State,
    images_on: str | None,
    distributed: devices.Distributed,
    folder: Path,
) -> State:
    """Train; if images were copied to a GPU unasked and a batch finds no room, train again without that."""
    try:
        return train(state, images_on=images_on)
    except _ImagesInTheWay as error:
        if distributed.world_size > 1:  # the others wait for this process within a step
            raise torch.OutOfMemoryError(f"{error}; {argument('images_on', 'host')} makes room for it") from error
        checkpoints.warn(folder, "the GPU has no room for a batch beside the images: these stay in main memory now")
    gc.collect()  # the tensors of the step that failed
    torch.cuda.empty_cache()
    return train(begin(), images_on="host")


class _ImagesInTheWay(torch.OutOfMemoryError):
    """A batch did not fit beside images that nobody had asked to be there."""


def _train(
    recipe: Recipe,
    dataset: ReIDDataset,
    folder: Path,
    state: State,
    *,
    last: int,
    images_on: str | None,
    checkpoint_every: int,
    distributed: devices.Distributed,
    compiled: bool,
    progress: bool,
) -> State:
    """Train from ``state`` to the end of epoch ``last``."""
    device, progress = distributed.device, progress and distributed.is_primary
    part = split(dataset, recipe.validation_share)
    modality = dataset.frame["modality"].to_numpy()[part.rows]
    batch_shape = {"identities": recipe.identities, "images": recipe.images, "epoch": recipe.epoch}
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
    scaler = Scaler(device, optimizer, enabled=amp == torch.float16)
    if state.epoch:
        optimizer.load_state_dict(state.optimizer)
        scaler.load_state_dict(state.scaler)
    images = dataset.images(recipe.height, recipe.width, progress=progress).on(device, part.rows, keep=images_on)

    together = min(256, 2 * recipe.identities * recipe.images)  # images to validate at a time: a step takes more room
    history = History([*state.history], len(sampler), distributed, recipe, last, progress)
    try:
        for epoch in range(state.epoch, last):
            model.train()
            generator = devices.seed(device, recipe.seed, epoch, distributed.rank)
            history.begin(epoch)
            for step, batch in enumerate(sampler.epoch(epoch)):
                rate = recipe.learning_rate * schedule(recipe, epoch + (step + 0.5) / len(sampler))
                for group in optimizer.param_groups:
                    group["lr"] = rate * group["rate"]
                pids, modalities = (
                    to_device(torch.from_numpy(each[batch]), device) for each in (part.labels, modality)
                )
                modalities = noted(modalities, modality[batch])
                inputs = recipe.augmentation(images.tensor(part.rows[batch]), modalities, generator)
                with torch.autocast(device.type, amp, enabled=amp is not None):
                    outputs = network(inputs.contiguous(memory_format=torch.channels_last), modalities)
                    terms = model.losses(outputs, pids, modalities)
                loss = weighted_sum(terms, recipe.loss_weights)
                scaler.step(loss)
                history.add(step, rate, len(batch), loss, terms, scaler)

            if distributed.is_primary:
                is_due = (epoch + 1) % recipe.validate_every == 0 or epoch + 1 == recipe.epochs
                scores = validate(model, dataset, part, together) if is_due and len(part.query_rows) else {}
                last_batch = images.tensor(part.rows[batch]), pids, modalities
                line = history.end(scores, health.watched(model, *last_batch, history.rows, recipe.loss_weights))
                if (epoch + 1) % checkpoint_every == 0 or epoch + 1 == last:
                    tensors = {name: tensor.cpu() for name, tensor in model.state_dict().items()}
                    progressed = {"epoch": epoch + 1, "model": tensors, "history": history.rows}
                    state = replace(state, **progressed, optimizer=optimizer.state_dict(), scaler=scaler.state_dict())
                    checkpoints.save(folder, state)
                checkpoints.log(folder, line)
        history.require_steps()
    except torch.OutOfMemoryError as error:
        if images_on is None and images.resident is not None:
            raise _ImagesInTheWay(str(error)) from None
        raise
    finally:
        history.bar.close()
    return distributed.broadcast(lambda: replace(state, optimizer={}, scaler={}))


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
def _naming_what_to_lower(recipe: Recipe, images_on: str | None) -> Iterator[None]:
    """Turn a GPU's "out of memory" into advice."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        p, k = recipe.identities, recipe.images
        name, value, size = ("identities", p // 2, p // 2 * k) if p >= 4 else ("images", max(1, k // 2), p * (k // 2))
        option = argument(name, value, of="recipe")
        advice = f"{either(f'recipe.replace({option})', option)}, {2 * size} images"
        if images_on == "device":
            advice = f"{argument('images_on', 'host')}, then {advice}"
        raise torch.OutOfMemoryError(
            f"the GPU has no room for batches of 2 × {p} identities × {k} images = {2 * p * k} images of "
            f"{recipe.height}×{recipe.width}; try {advice} ({error})"
        ) from error
