"""Training step: how much of it is data, and how much faster it is than with one image at a time.

    python benchmarks/bench_training.py [--profile cpu] [--steps 30] [--device cpu]

The recipe of the baseline on the images of the ``ci`` twin, resized to the size of the profile. "Data" is all that
happens before the network sees a batch: reading from the cache and augmentation. The reference decodes and augments
with torchvision, image by image in the training process. Medians over steps; on a GPU every part is waited for, so that
the sum is a little more than the time of a step in training.
"""

import argparse
import statistics
from itertools import chain, count, islice
from time import perf_counter

import torch
from torchvision.transforms import v2

import reidlib
from reidlib import methods, training
from reidlib.data import PKSampler
from reidlib.data.decode import read_image, resized
from reidlib.training import devices


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profile", default=reidlib.profiles.get().name)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args(arguments)
    device = torch.device(options.device)
    recipe = methods.recipe("baseline", profile=options.profile).replace(weights=None)
    dataset = reidlib.data.open("sysu", twin="ci")
    rows, (labels, pids) = dataset.rows("train"), dataset.train_labels()
    modality = dataset.frame["modality"].to_numpy()[rows]
    images = dataset.images(recipe.height, recipe.width).on(device)
    sampler = PKSampler(labels, modality, identities=recipe.identities, images=recipe.images)
    model = methods.build("baseline", num_ids=len(pids), backbone=recipe.backbone, **recipe.model)
    model = model.to(device, memory_format=torch.channels_last).train()
    optimizer = training.make_optimizer(recipe, model)
    amp, generator = devices.precision(recipe.amp, device), devices.seed(device, 0)
    change = recipe.augmentation
    one_by_one = v2.Compose(
        [
            v2.Pad(change.pad),
            v2.RandomCrop((recipe.height, recipe.width)),
            v2.RandomHorizontalFlip(change.flip),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
            v2.RandomErasing(change.erase),
        ]
    )

    def seconds(function, *arguments) -> tuple[float, object]:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        start = perf_counter()
        result = function(*arguments)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return perf_counter() - start, result

    def data(batch):
        inputs = change(images.tensor(rows[batch]), torch.from_numpy(modality[batch]), generator)
        return inputs.contiguous(memory_format=torch.channels_last)

    def reference(batch):
        files = [dataset.root / dataset.frame["path"][row] for row in rows[batch]]
        decoded = (
            torch.tensor(resized(read_image(file), recipe.height, recipe.width)).permute(2, 0, 1) for file in files
        )
        return torch.stack([one_by_one(image) for image in decoded]).to(device)

    def network(inputs, batch):
        modalities, classes = torch.from_numpy(modality[batch]), torch.from_numpy(labels[batch]).to(device)
        with torch.autocast(device.type, amp, enabled=amp is not None):
            terms = model.losses(model(inputs, modalities), classes, modalities)
        optimizer.zero_grad()
        training.weighted_sum(terms, recipe.loss_weights).backward()
        optimizer.step()

    times = []
    batches = chain.from_iterable(sampler.epoch(epoch) for epoch in count())
    for batch in islice(batches, options.steps + 3):
        prepared, inputs = seconds(data, batch)
        times.append((prepared, seconds(reference, batch)[0], seconds(network, inputs, batch)[0]))
    times = times[3:]  # without warming up
    number = 2 * recipe.identities * recipe.images
    ours, theirs, net = (1000 * statistics.median(column) for column in zip(*times, strict=True))
    share = statistics.median(data / (data + step) for data, _, step in times)
    ratio = statistics.median((slow + step) / (data + step) for data, slow, step in times)
    size = f"{number} images of {recipe.height}×{recipe.width}"
    speed = 1000 * number / (ours + net)
    print(f"{recipe.backbone}, {size}, {device}, {torch.get_num_threads()} threads")
    print(f"data {ours:.1f} ms, network {net:.1f} ms a step: {100 * share:.1f} % data, {speed:.0f} images/s")
    print(f"one image at a time: data {theirs:.1f} ms, a step takes {ratio:.1f} × as long")


if __name__ == "__main__":
    main()
