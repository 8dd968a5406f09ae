"""Where the training images lie, and what happens when a GPU has no room; on a pretended GPU."""

import gc
from collections.abc import Callable, Iterator

import pytest
import torch
from pretend_cuda import Gpu, pretending

from reidlib import evaluation, explain
from reidlib.console import spelling
from reidlib.data import ImageCache
from reidlib.training.validation import split


@pytest.fixture
def gpu() -> Iterator[Gpu]:
    with pretending() as gpu:
        yield gpu


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> list:
    """The images that training asks for: those that lie on the device, or ``None``, for each time they are placed."""
    placed, on = [], ImageCache.on

    def watched(self, *arguments, **options):
        images = on(self, *arguments, **options)
        placed.append(images.kept)
        return images

    monkeypatch.setattr(ImageCache, "on", watched)
    return placed


@pytest.mark.slow
def test_training_images_alone_are_copied(gpu: Gpu, fit, kept: list, dataset) -> None:
    fit(epochs=1)
    assert len(kept) == 1 and kept[0].tolist() == split(dataset, 0.25).rows.tolist()


@pytest.mark.slow
@pytest.mark.parametrize(("place", "lie_there"), [("host", False), ("device", True)])
def test_the_caller_says_where_images_lie(gpu: Gpu, fit, kept: list, same_weights, place: str, lie_there: bool) -> None:
    run = fit(epochs=1, images_on=place)
    assert [each is not None for each in kept] == [lie_there]
    assert same_weights(run.model.cpu(), fit("other", epochs=1).model.cpu()), "it makes no difference to the result"


def test_on_a_cpu_nothing_is_copied(fit, kept: list) -> None:
    fit(epochs=1)
    assert kept == [None]
    with pytest.raises(ValueError, match="device, host; not 'gpu'"):
        fit("other", epochs=1, images_on="gpu")


@pytest.fixture
def crowded(method: Callable) -> Callable:
    """``crowded(gpu, batch=bytes, first=step)``: from a step on, a batch takes so much besides."""

    def crowd(gpu: Gpu, batch: int, first: int = 1) -> None:
        def take(step: int, terms: dict) -> dict:
            if step >= first:
                torch.empty(batch, dtype=torch.uint8, device="cuda")
            return terms

        method(take)

    return crowd


@pytest.mark.slow
def test_images_give_way_to_a_batch(gpu: Gpu, fit, kept: list, crowded, caplog, same_weights, dataset) -> None:
    calm, needed = fit("calm", epochs=3), gpu.most_used
    calm.model.cpu()
    gc.collect()
    images = split(dataset, 0.25).rows.size * 32 * 16 * 3
    kept.clear()
    gpu.memory = needed + 4 * images
    crowded(gpu, batch=5 * images, first=17)  # in the second epoch
    run = fit("crowded", epochs=3)
    assert [each is not None for each in kept] == [True, False]
    assert "no room for a batch beside the images: these stay in main memory now" in caplog.text
    assert run.finished and same_weights(run.model.cpu(), calm.model), "the epoch begins again"


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        ({}, "try recipe.replace(identities=2), 8 images"),
        ({"images_on": "device"}, "try images_on='host', then recipe"),
    ],
)
def test_advice_when_nothing_gives_way(gpu: Gpu, fit, crowded, options: dict, advice: str) -> None:
    gpu.memory = 10**8
    crowded(gpu, batch=2 * 10**8)
    with pytest.raises(torch.OutOfMemoryError) as caught:
        fit(epochs=1, identities=4, images=2, **options)
    assert advice in str(caught.value)


def test_evaluation_and_maps_say_what_to_lower(fit, dataset, monkeypatch) -> None:
    model, rows = fit(epochs=1).model, dataset.rows("test")

    def full(*_) -> None:
        raise torch.OutOfMemoryError("tried to allocate 1 GiB")

    monkeypatch.setattr(model.backbone, "forward", full)
    with pytest.raises(
        torch.OutOfMemoryError, match=r"no room for 256 images at a time; try batch_size=128 \(tried to"
    ):
        evaluation.evaluate(model, dataset, evaluation.protocols.get("sysu", gallery="agw"))
    with (
        spelling.for_command_line(),
        pytest.raises(torch.OutOfMemoryError, match=r"room for 20 images at a time; try --batch-size 10 \(tried"),
    ):
        evaluation.embed(model, dataset, rows, batch_size=20)
    for look in (explain.cams, explain.occlusion_maps):
        with pytest.raises(torch.OutOfMemoryError, match=r"try (reidlib\.explain\.common\.BATCH = 32|batch_size=)"):
            look(model, dataset, rows[:4])


def test_validation_takes_no_more_room_than_a_step(fit, monkeypatch) -> None:
    sizes, embed = [], evaluation.embed
    monkeypatch.setattr(evaluation, "embed", lambda *a, **k: sizes.append(k["batch_size"]) or embed(*a, **k))
    fit(epochs=1, identities=4, images=2)
    assert sizes == [16]
