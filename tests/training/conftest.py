"""A data set that trains in a blink: people as stripes of two colours, which infrared shows in other shades."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from reidlib import methods, training
from reidlib.data import ReIDDataset, sysu
from reidlib.methods import Recipe, registry
from reidlib.methods.baseline.model import Baseline

HEIGHT, WIDTH = 32, 16
OPTIONS = ("stop_after", "device", "extends", "images_on", "checkpoint_every", "progress")
TRAIN_PIDS, TEST_PIDS = range(1, 17), range(101, 105)


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Bitwise claims hold for an equal number of threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two images of every identity from every camera."""
    root, random = tmp_path_factory.mktemp("stripes"), np.random.default_rng(0)
    for pid in (*TRAIN_PIDS, *TEST_PIDS):
        colours = random.integers(0, 256, (2, 3))
        for camid in range(1, 7):
            for number in (1, 2):
                shown = 255 - colours[:, :1] if camid in sysu.INFRARED_CAMERAS else colours
                pixels = np.repeat(shown, HEIGHT // 2, axis=0)[:, None] + random.integers(-20, 21, (HEIGHT, WIDTH, 1))
                path = root / f"cam{camid}" / f"{pid:04d}" / f"{number:04d}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                pixels = np.broadcast_to(pixels.clip(0, 255), (HEIGHT, WIDTH, 3))
                Image.fromarray(pixels.astype(np.uint8)).save(path)
    return root


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test has its own runs; they share decoded images."""
    monkeypatch.setenv("REIDLIB_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("REIDLIB_CACHE", str(cache))
    for name in ("REIDLIB_DATA", "REIDLIB_PROFILE"):
        monkeypatch.delenv(name, raising=False)


def open_stripes(root: Path) -> ReIDDataset:
    rows = []
    for path in sorted(root.glob("cam*/*/*.png")):
        camid, pid = int(path.parts[-3][3:]), int(path.parts[-2])
        modality, split = int(camid in sysu.INFRARED_CAMERAS), "train" if pid in TRAIN_PIDS else "test"
        rows.append((path.relative_to(root).as_posix(), pid, camid, modality, split))
    frame = pd.DataFrame(rows, columns=["path", "pid", "camid", "modality", "split"])
    return ReIDDataset("sysu", root, frame, sysu.READER)


@pytest.fixture
def dataset(tree: Path) -> ReIDDataset:
    return open_stripes(tree)


@pytest.fixture
def maum(recipe: Recipe) -> Recipe:
    """The same with MAUM-P, its memory filling from the second epoch on."""
    options = {"parts": True, "stripes": 2, "memory_length": 3, "memory_interval": 5, "memory_start_epoch": 1}
    options |= {"triplet": None}
    weights = {"identity": None, "triplet": None, "proxy": 1.0, "unidirectional": 1.0}
    return recipe.replace(method="maum", model=options, loss_weights=weights)


@pytest.fixture
def fienet(recipe: Recipe) -> Recipe:
    """The same with FIENet, all ingredients on."""
    return recipe.replace(method="fienet", loss_weights={"intra": 1.0, "inter": 1.0})


@pytest.fixture
def idkl(recipe: Recipe) -> Recipe:
    """The same with IDKL, all its components."""
    own = methods.recipe("idkl", dataset="sysu", profile="ci")
    return recipe.replace(method="idkl", model=own.model, loss_weights=own.loss_weights)


@pytest.fixture
def dalnet(recipe: Recipe) -> Recipe:
    """The same with DALNet."""
    weights = {"intra": 0.05, "cross": 0.05, "style": 0.1, "structure": 1.0, "mask": 1.0, "triplet": 1.0}
    return recipe.replace(method="dalnet", loss_weights=weights)


@pytest.fixture
def fit(recipe: Recipe, dataset: ReIDDataset, tmp_path: Path) -> Callable:
    """``fit(folder="run", **changes of the recipe or options of training.fit)``."""

    def run(folder: str = "run", **changes):
        options = {name: changes.pop(name) for name in OPTIONS if name in changes}
        return training.fit(recipe.replace(**changes), dataset, tmp_path / folder, **{"progress": False, **options})

    return run


@pytest.fixture
def method(monkeypatch: pytest.MonkeyPatch) -> Callable:
    """``method(change)`` makes the baseline's losses pass through ``change(step, terms)``, steps counted from 1."""

    def install(change: Callable[[int, dict], dict]) -> None:
        class Changed(Baseline):
            step = 0

            def losses(self, outputs, pids, modality):
                type(self).step += 1
                return change(self.step, super().losses(outputs, pids, modality))

        changed = replace(methods.get("baseline"), model=Changed)
        monkeypatch.setitem(registry._registered, "baseline", changed)

    return install


@pytest.fixture
def same_weights() -> Callable:
    """Whether two models are equal bit by bit."""

    def equal(one: torch.nn.Module, other: torch.nn.Module) -> bool:
        one, other = one.state_dict(), other.state_dict()
        return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)

    return equal
