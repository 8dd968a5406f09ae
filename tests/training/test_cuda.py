"""Every method on a pretended GPU: trained, validated, evaluated, measured, explained; how often a step waits."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from pretend_cuda import Gpu, pretending

import reidlib
from reidlib import evaluation, explain, methods, training
from reidlib.data import PKSampler, ReIDDataset
from reidlib.data.registry import READERS
from reidlib.experiments import measures
from reidlib.explain.common import batches, sized_images
from reidlib.methods import Recipe, registry
from reidlib.networks import ReIDModel
from reidlib.networks.base import device_of
from reidlib.training import Run

NAMES = [name for name, method in registry.registered().items() if method.recipes]
PER_STEP = 1
"""Waits for the GPU that a step may have: the row of the history. Crossings at the end of an epoch are apart."""


@pytest.fixture
def gpu() -> Iterator[Gpu]:
    with pretending() as found:
        yield found


@pytest.fixture
def of_method(request: pytest.FixtureRequest, recipe: Recipe) -> Callable[[str], Recipe]:
    """The recipe of each method for the data set of stripes."""
    of_own = {name: name for name in ("maum", "fienet", "idkl", "dalnet")}

    def of(name: str) -> Recipe:
        if name == "maum-p":
            return request.getfixturevalue("maum").replace(method=name, model={"parts": True, "stripes": 2})
        return request.getfixturevalue(of_own[name]) if name in of_own else recipe.replace(method=name)

    return of


@pytest.fixture
def waits(gpu: Gpu, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The crossings of every step, filled while a model trains."""
    steps, draw = [], PKSampler.epoch

    def epoch(self: PKSampler, number: int) -> Iterator[np.ndarray]:
        for batch in draw(self, number):
            before = len(gpu.crossings)
            yield batch
            steps.append([*map(str, gpu.crossings[before:])])

    monkeypatch.setattr(PKSampler, "epoch", epoch)
    return steps


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name != "baseline" else []) for name in NAMES]
)
def test_training_is_that_of_the_cpu_and_a_step_waits_once(
    gpu: Gpu, waits, of_method, dataset: ReIDDataset, same_weights, tmp_path: Path, name: str
) -> None:
    recipe = of_method(name).replace(epochs=1, amp="off")
    run = training.fit(recipe, dataset, tmp_path / "cuda", progress=False)
    assert len(waits) == run.history["step"].iloc[-1] and run.environment["device"] == "pretended"
    assert max(map(len, waits)) <= PER_STEP, max(waits, key=len)
    here = training.fit(recipe, dataset, tmp_path / "cpu", device="cpu", progress=False)
    assert same_weights(run.model.cpu(), here.model)


def test_images_in_main_memory_are_not_waited_for(waits, recipe: Recipe, dataset: ReIDDataset) -> None:
    training.fit(recipe.replace(epochs=1), dataset, images_on="host", progress=False)
    assert waits and max(map(len, waits)) <= PER_STEP, max(waits, key=len)


def on_the_cpu(*found: object) -> None:
    """Nothing that explains or scores leaves tensors on the device."""
    for each in found:
        parts = each.values() if isinstance(each, dict) else vars(each).values() if hasattr(each, "maps") else [each]
        assert all(part.device.type == "cpu" for part in parts if isinstance(part, torch.Tensor))


def evaluated(run: Run, dataset: ReIDDataset) -> tuple[evaluation.EvaluationResult, torch.Tensor]:
    protocol = evaluation.protocols.get(dataset.name).replace(flip=True)
    embeddings = evaluation.embed(run.model, dataset, dataset.rows("test"), flip=True)
    on_the_cpu(embeddings)
    for reranking in ("none", "k-reciprocal"):
        result = evaluation.evaluate(run.model, dataset, protocol.replace(reranking=reranking))
        assert 0 < result.mean_average_precision <= 1
    return result, embeddings


def explained(model: ReIDModel, dataset: ReIDDataset) -> None:
    """Instruments that work on any model."""
    rows = explain.focus_rows(dataset, images=4)
    few = {"identities": 4, "per_modality": 2}
    on_the_cpu(explain.cams(model, dataset, rows), explain.cams(model, dataset, rows, swapped=True))
    images, modality = next(batches(sized_images(model, dataset), dataset, rows, device_of(model)))
    targets = explain.retrieval_targets(model, dataset, rows).embeddings
    package, own = (
        explain.grad_cam(model, images, modality, targets, library=library) for library in ("package", "own")
    )
    torch.testing.assert_close(package.maps.cpu(), own.maps.cpu(), rtol=0, atol=1e-2)
    on_the_cpu(explain.occlusion_maps(model, dataset, rows, cells=(2, 1)), explain.hidden_cosines(model, dataset, rows))
    branches = explain.branch_embeddings(model, dataset, rows)
    on_the_cpu(branches)
    assert set(branches) == set(model.branches)
    assert len(explain.probe_table(branches, dataset, rows)) and len(explain.common_table(model, dataset, rows))
    assert np.isfinite(explain.embedding_table(model, dataset, **few)[["x", "y"]]).all(axis=None)


def failures(result: evaluation.EvaluationResult, embeddings: torch.Tensor, model, dataset: ReIDDataset) -> None:
    """Instruments of twins of whole people, in photographs."""
    found = evaluation.retrieve(embeddings, dataset, result.protocol)
    pairs = explain.matched_pairs(found, dataset).head(2)
    drops = explain.region_drops(model, dataset, pairs["query"], pairs["match"])
    assert len(drops) and np.isfinite(explain.region_maps(drops, dataset, "query")).all()
    assert len(explain.failure_table({"model": explain.missed_queries(result, dataset)}, dataset))


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.parametrize("name", NAMES)
def test_from_training_to_explanation(gpu: Gpu, twin: Callable[..., Path], name: str) -> None:
    title = next(iter(methods.get(name).recipes))
    dataset = reidlib.data.open(title, root=twin(title), **({"split": 1} if READERS[title].splits else {}))
    recipe = methods.recipe(name, dataset=title, profile="ci")
    training.fit(recipe.replace(epochs=2, warmup=1), dataset, progress=False)
    run = training.fit(recipe.replace(epochs=2, warmup=1), dataset, progress=False)
    assert run.finished and len(run.validation) and {p.device.type for p in run.model.parameters()} == {"cuda"}
    result, embeddings = evaluated(run, dataset)
    taken = measures.take(run, dataset, [*measures.SHARED, *(methods.get(name).part("measures") or ())])
    assert all(len(values) for values in taken.values())
    explained(run.model, dataset)
    if dataset.reader.modalities[1] == "infrared":
        failures(result, embeddings, run.model, dataset)
