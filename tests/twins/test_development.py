"""Development twins: training as the twin's, a test of people whom nobody else shows; and people to pretrain on."""

import itertools
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import reidlib.data
from reidlib import evaluation, profiles, twins
from reidlib.twins import build, pretraining
from reidlib.twins.identity import sample_identity
from reidlib.twins.plan import TwinPlan

TWINS = {name: twin for name, twin in twins.TWINS.items() if hasattr(twin, "DEVELOPMENT")}
COLUMNS = ["path", "pid", "camid", "modality", "split"]


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable:
    """``opened(name, profile)`` → a twin whose images were not rendered: nobody looks into them."""
    monkeypatch.setattr(build._Build, "draw", lambda self, path: path.encode())

    def make(name: str, profile: str) -> reidlib.data.ReIDDataset:
        root = twins.ensure(name, profile, tmp_path / profile / name, progress=False)
        return reidlib.data.open(name, root=root, split=2 if reidlib.data.registry.READERS[name].splits else None)

    return make


def test_every_modality_pair_has_one() -> None:
    assert set(TWINS) == {"sysu", "regdb", "llcm", "pku-sketch", "market-sketch-1k"}


@pytest.mark.parametrize("name", TWINS)
def test_training_is_the_twins_and_the_test_shows_others(opened: Callable, name: str) -> None:
    twin, development = opened(name, "ci"), opened(name, "ci/development")
    ours, theirs = (each.frame.loc[each.rows("train"), COLUMNS].reset_index(drop=True) for each in (development, twin))
    assert ours.equals(theirs)
    tested = set(development.frame["pid"]) - set(ours["pid"])
    assert len(tested) >= 20 and not tested & set(twin.frame["pid"])
    assert development.is_development and not twin.is_development
    assert "development twin 1, ci/development" in development.title and "synthetic twin" in twin.title
    report = development.check()
    assert report.ok and len(report.problems) == len(twin.check().problems), report
    protocol = evaluation.protocols.get(name)
    assert {
        pid for trial in protocol.trials(development) for pid in development.frame["pid"].iloc[trial.rows]
    } == tested


@pytest.mark.parametrize("name", TWINS)
@pytest.mark.parametrize("profile", ["screen", "cpu"])
def test_choices_rest_on_a_hundred_people(name: str, profile: str) -> None:
    """Of seeds that are in no twin, neither they nor their scenes; what the twin shows stays as it is."""
    twin = TWINS[name]
    plan = twin.plan(profile + profiles.DEVELOPMENT)
    assert set(twin.plan(profile).images) & set(plan.images)
    numbers = [int(re.search(r"(?:^|/)0*(\d+)(?=[/_.])", path)[1]) for path in plan.images]
    developed = set(numbers) & set(twin.DEVELOPMENT_IDS)
    assert len(developed) >= 96
    for development in (True, False):
        population = twin.DEVELOPMENT if development else twin.POPULATION
        paths = [path for path, pid in zip(plan.images, numbers, strict=True) if (pid in developed) == development]
        for identity, scene in map(twin.describe, paths[:: len(paths) // 20]):
            assert scene.key[:2] == (population, identity.pid) and identity == sample_identity(identity.pid, population)
            assert (identity.pid in twin.DEVELOPMENT_IDS) == development


def test_populations_are_disjoint() -> None:
    """Seeds of twins, of development twins and of pretraining: no person and no scene is in two of them."""
    seeds = [twin.POPULATION for twin in twins.TWINS.values() if hasattr(twin, "POPULATION")]
    seeds += [twin.DEVELOPMENT for twin in TWINS.values()] + [pretraining.POPULATION]
    assert len(seeds) == len(set(seeds)) and min(seeds) > 0
    scenes = [scene for pid in (1, 2) for scene in pretraining.scenes(pid, 2)]
    assert {scene.key[:2] for scene in scenes} == {(pretraining.POPULATION, pid) for pid in (1, 2)}
    assert all(scene.camera.modality == 0 for scene in scenes) and len({scene.key for scene in scenes}) == 4
    people = [sample_identity(pid, seed) for seed in (1, 101, pretraining.POPULATION) for pid in (1, 2)]
    assert all(a != b for a, b in itertools.combinations(people, 2))


def test_training_images_are_taken_from_the_twin_that_is_there(isolated_home: Path, monkeypatch) -> None:
    plan = twins.TWINS["sysu"].plan

    def few(profile: str) -> TwinPlan:
        """Four training images, and two of development."""
        images = plan(profile).images
        return replace(plan(profile), images=images[:4] + (images[-2:] if profiles.is_development(profile) else []))

    monkeypatch.setattr(twins.TWINS["sysu"], "plan", few)
    root = twins.ensure("sysu", "ci", progress=False)
    drawn, describe = [], twins.TWINS["sysu"].describe
    monkeypatch.setattr(twins.TWINS["sysu"], "describe", lambda path: drawn.append(path) or describe(path))
    developed = twins.ensure("sysu", "ci/development", progress=False)
    shared = [path.relative_to(root).as_posix() for path in root.rglob("*.jpg")]
    assert len(shared) == 4 and not set(drawn) & set(shared)
    assert all((root / path).read_bytes() == (developed / path).read_bytes() for path in shared)
    path = next(path for path in drawn if int(path.split("/")[1]) > 1000)
    assert twins.truth(developed, path).identity.pid > 1000 and developed.parent.name == "development"


def test_what_is_no_profile_is_refused() -> None:
    with pytest.raises(ValueError, match="no profile 'paper/development'; choose one of: ci, "):
        twins.ensure("sysu", "paper/development")
    with pytest.raises(ValueError, match="'shoe' has no profile 'ci/development'"):
        twins.ensure("shoe", "ci/development")
