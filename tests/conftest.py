"""Fixtures for all tests. Folders of single rooms have their own conftest beside their tests."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import matplotlib
import pytest

if TYPE_CHECKING:
    from reidlib.data import ReIDDataset

matplotlib.use("agg")
# The same examples on every machine and no time limit: a test that fails, fails everywhere.
hypothesis.settings.register_profile("reidlib", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("reidlib")


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the clone under test."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """``twin(name, profile="ci")`` → folder of a twin, rendered once per session for all workers. Read only."""
    from reidlib import twins

    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # what the workers share
    return lambda name, profile="ci": twins.ensure(name, profile, folder / f"{profile}-twin" / name, progress=False)


@pytest.fixture(scope="session")
def ci_twin(twin: Callable[..., Path]) -> Path:
    """The twin of SYSU-MM01 in the ``ci`` profile. Read only."""
    return twin("sysu")


@pytest.fixture
def isolated_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for everything the library writes; no data sets, profile or other folders from outside."""
    for name in ("REIDLIB_CACHE", "REIDLIB_BUILD", "REIDLIB_DATA", "REIDLIB_PROFILE", "REIDLIB_RUNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("REIDLIB_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def own_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Runs and ledgers of one test alone; returns where the local ledger will be."""
    from reidlib.experiments import ledger

    monkeypatch.setenv("REIDLIB_RUNS", str(tmp_path / "runs"))
    (tmp_path / "figures").mkdir()
    monkeypatch.setattr(ledger, "PUBLISHED", tmp_path / "figures" / "ledger.csv")
    return ledger.local()


@pytest.fixture
def published_rows_of_today() -> Callable:
    """``published_rows_of_today(runs)`` → the published rows of planned runs; without any, the test is skipped.

    The one place where a test of published results waits for runs: whenever recipes get new defaults, published rows
    are those of older recipes until new runs are made; the test asserts again as soon as there are some.
    """
    from reidlib.experiments import ledger

    def rows(runs):
        found = runs.results(ledger.PUBLISHED, paired=False)
        if found.empty:
            pytest.skip(f"no published run of {runs.study} has a recipe of today; make them: {runs.command}")
        return found

    return rows


@pytest.fixture
def new_method(monkeypatch: pytest.MonkeyPatch) -> Callable:
    """``new_method("other", **fields of a Method)``: registered for one test; by default like the baseline."""
    from dataclasses import replace

    from reidlib.methods import Method, register, registry

    monkeypatch.setattr(registry, "_registered", registry.registered())

    def make(name: str, **fields) -> Method:
        parts = {"title": name, "studies": {}, "plans": None, "plots": None, "is_reference": False, "lesson": None}
        return register(replace(registry.reference(), name=name, **{**parts, **fields}))

    return make


@pytest.fixture
def new_study(monkeypatch: pytest.MonkeyPatch) -> Callable:
    """``new_study(name, study)``: known for one test."""
    from reidlib.experiments import studies

    added, known = {}, studies.registered
    monkeypatch.setattr(studies, "registered", lambda: known() | added)
    return added.__setitem__


@pytest.fixture
def new_measure(monkeypatch: pytest.MonkeyPatch) -> Callable:
    """``new_measure(name, function)``: known for one test."""
    from reidlib.experiments import measures

    added, known = {}, measures.registered
    monkeypatch.setattr(measures, "registered", lambda: known() | added)
    return added.__setitem__


@pytest.fixture
def recipe():
    """Four epochs of twelve steps, with a row of the history for every second."""
    from reidlib import methods

    sizes = {"height": 32, "width": 16, "identities": 4, "images": 2, "epochs": 4, "validation_share": 0.25}
    return methods.recipe("baseline", dataset="sysu", profile="ci").replace(**sizes)


@pytest.fixture
def imageless() -> "ReIDDataset":
    """A frame as that of a twin of SYSU-MM01, four identities seen twice by every camera, without the files."""
    import pandas as pd

    from reidlib.data import ReIDDataset, sysu

    places = [(camid, pid, number) for camid in range(1, 7) for pid in (1, 2, 6, 10) for number in (1, 2)]
    rows = [
        (f"cam{camid}/{pid:04d}/{number:04d}.jpg", pid, camid, int(camid in sysu.INFRARED_CAMERAS), split)
        for camid, pid, number in places
        for split in ["train" if pid < 6 else "test"]
    ]
    frame = pd.DataFrame(rows, columns=["path", "pid", "camid", "modality", "split"])
    options = {"is_twin": True, "twin_version": "1", "profile": "ci"}
    return ReIDDataset("sysu", Path("no where"), frame, sysu.READER, **options)


@pytest.fixture
def finished() -> Callable:
    """``finished(recipe, dataset, protocol)`` → a run that nobody trained, and the result of chance."""
    import numpy as np
    import pandas as pd
    import torch

    from reidlib import evaluation
    from reidlib.training import devices, provenance, record, runs

    def make(recipe, dataset, protocol):
        environment = record.environment(torch.device("cpu"), 1, "float32") | {
            "code": provenance.code_digest(recipe.method, dataset.name),
            "dataset": runs.describe(dataset),
        }
        speeds = {"images_per_second": [40.0, 80.0, 80.0], "seconds": [1.0, 2.0, 3.0]}
        history = pd.DataFrame({"epoch": recipe.epochs, **speeds})
        run = runs.Run(
            Path("nowhere"), torch.nn.Linear(3, 2), history, recipe, environment, np.array([1, 2]), recipe.epochs
        )
        generator = devices.seed(torch.device("cpu"), recipe.seed)
        embeddings = torch.randn(len(dataset), 8, generator=generator)
        return run, evaluation.score(embeddings, dataset, protocol)

    return make


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def dataset(ci_twin: Path) -> "ReIDDataset":
    """The twin of SYSU-MM01 in the ``ci`` profile."""
    from reidlib import data

    return data.open("sysu", root=ci_twin)


@pytest.fixture(scope="session")
def learn() -> Callable:
    """``learn(model, images, modality, pids)``: a few steps of training, to leave the random start behind."""

    def steps(model, images, modality, pids):
        import torch

        optimizer = torch.optim.AdamW(model.train().parameters(), 2e-3)
        for _ in range(8):
            optimizer.zero_grad()
            sum(model.losses(model(images, modality), pids, modality).values()).backward()
            optimizer.step()
        optimizer.zero_grad()
        return model.eval()

    return steps


@pytest.fixture(scope="session")
def trained(dataset: "ReIDDataset", learn: Callable, cache: Path):
    """A tiny baseline after a few steps on training images of the twin, at 64×32; in evaluation mode, to be left so."""
    import torch

    from reidlib import methods
    from reidlib.data import normalise

    labels, pids = dataset.train_labels()
    modality = torch.from_numpy(dataset.frame["modality"].to_numpy(copy=True))[dataset.rows("train")]
    torch.manual_seed(0)
    model = methods.build("baseline", num_ids=len(pids), backbone="tiny")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REIDLIB_CACHE", str(cache))
        images = dataset.images(64, 32, progress=False).tensor(dataset.rows("train"))
    learn(model, normalise(images), modality, torch.from_numpy(labels))
    model.image_size = (64, 32)
    return model
