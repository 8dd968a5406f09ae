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
    from reidlib.synthetic import twins

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
    from reidlib import ledger

    monkeypatch.setenv("REIDLIB_RUNS", str(tmp_path / "runs"))
    (tmp_path / "figures").mkdir()
    monkeypatch.setattr(ledger, "PUBLISHED", tmp_path / "figures" / "ledger.csv")
    return ledger.local()


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

    from reidlib import devices, evaluation, runs

    def make(recipe, dataset, protocol):
        environment = runs.environment(torch.device("cpu"), 1, "float32") | {
            "code": runs.code_digest(recipe.method, dataset.name),
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
