"""What several tests of the command line need."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from reidlib import data, evaluation, training
from reidlib.data import ReIDDataset
from reidlib.training import runs

PROTOCOL = evaluation.protocols.get("sysu", gallery="agw", num_trials=2)


@pytest.fixture
def on_frame(imageless: ReIDDataset, finished: Callable, monkeypatch: pytest.MonkeyPatch) -> list:
    """No images and no training: what was opened and trained, in order; a learning rate of 666 fails."""
    asked, made_with = [], {}

    def open_frame(name: str, root=None, twin=None, split=None) -> ReIDDataset:
        asked.append((name, root, twin, split))
        return replace(imageless, profile=twin)

    def fit(recipe, dataset, folder=None, **_) -> runs.Run:
        if recipe.learning_rate == 666:
            raise FloatingPointError("loss is nan")
        run, _ = finished(recipe, dataset, PROTOCOL)
        asked.append((recipe.method, recipe.profile, recipe.seed))
        made_with[run.model] = recipe
        return run

    def evaluate(model, *on, **_) -> evaluation.EvaluationResult:
        return finished(made_with[model], *on)[1]

    monkeypatch.setattr(data.registry, "open", open_frame)
    monkeypatch.setattr(data, "open", open_frame)
    monkeypatch.setattr(training, "fit", fit)
    monkeypatch.setattr(evaluation.protocols, "get", lambda name, **_: PROTOCOL)
    monkeypatch.setattr(evaluation, "evaluate", evaluate)
    return asked
