"""The twins of PKU-Sketch and Market-Sketch-1K: their trees, their people, their looks."""

import dataclasses
import hashlib
import json
from collections import Counter

import numpy as np
import pytest
from PIL import Image

import reidlib.data
from reidlib import twins
from reidlib.evaluation import protocols, score
from reidlib.evaluation.matchers import MATCHERS
from reidlib.twins import market_sketch, pku_sketch
from reidlib.twins.artists import Sitting
from reidlib.twins.identity import sample_identity

TWINS = {"pku-sketch": pku_sketch, "market-sketch-1k": market_sketch}


def digest(records) -> str:
    text = json.dumps(json.loads(json.dumps(records), parse_float=lambda number: round(float(number), 9)))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


FROZEN = {
    "pku-sketch": ("cccbb47acffaddee", "c2c5978dc24d849c"),
    "market-sketch-1k": ("410b3a86a4edbc12", "9621714e98ff8e13"),
}
"""Digests of the people and of the circumstances of their first images."""


@pytest.mark.parametrize("name", TWINS)
def test_version_1_people_and_circumstances_are_frozen(name):
    """If this fails, people, scenes or artists changed: bump the twin's `VERSION`, then renew the digests."""
    twin = TWINS[name]
    assert twin.VERSION == "1"
    people = [sample_identity(pid, twin.POPULATION).factors() for pid in range(1, 101)]
    paths = twin.plan("ci").images[:40]
    scenes = [dataclasses.asdict(twin.describe(path)[1]) for path in paths]
    assert (digest(people), digest([paths, scenes])) == FROZEN[name]


@pytest.mark.parametrize("name", TWINS)
def test_version_1_looks_as_it_did(repository, name):
    """If this fails, pixels changed: bump the twin's `VERSION`, then write the 8×4 thumbnails anew.

    Compared within two grey levels: compilers round differently, the look must not.
    """
    twin = TWINS[name]
    known = json.loads((repository / "tests" / "assets" / "sketch_twins_v1_thumbnails.json").read_text())[name]
    drawn = {scene.artist.name for path in known if isinstance(scene := twin.describe(path)[1], Sitting)}
    assert drawn == set(twin.ARTISTS) and len(known) > len(drawn)
    for path, expected in known.items():
        image = twin.render(*twin.describe(path), 128, 64).image.astype(float)
        thumbnail = image.reshape(8, 16, 4, 16, 3).mean((1, 3)).reshape(8, -1)
        np.testing.assert_allclose(thumbnail, expected, atol=2.0, err_msg=path)


@pytest.mark.parametrize("profile", pku_sketch.SIZES)
def test_pku_sketch_has_the_real_tree(profile):
    plan = pku_sketch.plan(profile)
    count = pku_sketch.SIZES[profile]
    names = [path.split("/") for path in plan.images]
    sketched = [int(name.removesuffix(".jpg")) for folder, name in names if folder == "sketch"]
    photos = [tuple(map(int, name.removesuffix(".jpg").split("_"))) for folder, name in names if folder == "photo"]
    assert len(sketched) == count and len(photos) == 2 * count
    pairs = {pid: tuple(sorted(camid for who, camid, _ in photos if who == pid)) for pid in sketched}
    assert set(pairs.values()) <= set(pku_sketch.PAIRS)
    listed = {path: [int(line) for line in content.split()] for path, content in plan.files.items()}
    assert sorted(pid for pids in listed.values() for pid in pids) == sorted(sketched)
    artists = pku_sketch.artists()
    for path, pids in listed.items():
        artist, number = path.removeprefix("styleAnnotation/").removesuffix(".txt").split("_")
        assert len(pids) == int(number) and {artists[pid] for pid in pids} == {artist}
        assert len(pids) == round(pku_sketch.DRAWN[artist] * count / 200)


def test_pku_sketch_has_the_published_numbers():
    assert set(pku_sketch.plan("cpu").files) == {
        f"styleAnnotation/{name}.txt" for name in ["a_46", "b_20", "c_79", "d_33", "e_22"]
    }
    assert Counter(pku_sketch.artists().values()) == pku_sketch.DRAWN


@pytest.mark.parametrize("profile", market_sketch.SIZES)
def test_market_sketch_has_the_real_tree(profile):
    size, plan = market_sketch.SIZES[profile], market_sketch.plan(profile)
    assert len(set(plan.images)) == len(plan.images) and not plan.files
    train, test = ({int(p.split("/")[-1][:4]) for p in plan.images if f"/{part}/" in p} for part in ("train", "query"))
    assert (len(train), len(test), len(train & test)) == (size.train_ids, size.test_ids, 0)
    per_person = Counter(path.split("/")[-1][:4] for path in plan.images if path.startswith("photo"))
    assert set(per_person.values()) == {size.photos}
    cameras = Counter((p.split("/")[-1][:4], p.split("_c")[1][0]) for p in plan.images if p.startswith("photo"))
    assert set(cameras.values()) == {1}, "every photo by another camera"
    drawn = Counter(path.split("/")[1] for path in plan.images if path.startswith("sketch"))
    assert drawn["F"] > 0.97 * (size.train_ids + size.test_ids)
    for artist in "ABCDE":
        assert drawn[artist] / (size.train_ids + size.test_ids) == pytest.approx(0.757, abs=0.13)


def test_cpu_twins_have_the_size_that_was_asked_for():
    assert len(pku_sketch.plan("cpu").images) == 600
    assert 1000 <= len(market_sketch.plan("cpu").images) <= 2500


@pytest.mark.parametrize("name", TWINS)
def test_every_path_describes_itself(name):
    twin = TWINS[name]
    for path in twin.plan("ci").images[::7]:
        identity, scene = twin.describe(path)
        stem = path.split("/")[-1].removesuffix(".jpg")
        assert identity.pid == int(stem.split("_")[0]) and identity == sample_identity(identity.pid, twin.POPULATION)
        if path.startswith("sketch"):
            assert (
                scene.artist is twin.ARTISTS[path.split("/")[1] if "1k" in name else pku_sketch.artists()[identity.pid]]
            )
        else:
            camid = int(stem.split("_")[1][:2].removeprefix("c"))
            assert scene.camera is twin.CAMERAS[camid]


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("pku-sketch", "photo/1_08_356.jpg"),
        ("pku-sketch", "photo/201_03_1.jpg"),
        ("pku-sketch", "sketch/0.jpg"),
        ("pku-sketch", "sketch/../sketch/1.jpg"),
        ("pku-sketch", "styleAnnotation/a_46.txt"),
        ("market-sketch-1k", "photo/test/0002_c1s1_000451_03.jpg"),
        ("market-sketch-1k", "photo/train/0002_c7s1_000451_03.jpg"),
        ("market-sketch-1k", "sketch/G/train/0002.jpg"),
        ("market-sketch-1k", "/sketch/A/train/0002.jpg"),
    ],
)
def test_other_paths_are_refused(name, path):
    with pytest.raises(ValueError, match=r"is not an image of a .* twin; expected"):
        TWINS[name].describe(path)


@pytest.mark.parametrize("name", TWINS)
def test_bytes_do_not_depend_on_the_number_of_workers(tmp_path, monkeypatch, name):
    twin = TWINS[name]
    plan = twin.plan("ci")
    few = dataclasses.replace(plan, images=plan.images[:12] + plan.images[-6:])
    monkeypatch.setattr(twin, "plan", lambda profile: few)
    folders = [twins.ensure(name, "ci", tmp_path / str(n), workers=n, progress=False) for n in (1, 3)]
    trees = [{p.relative_to(root): p.read_bytes() for p in root.rglob("*") if p.is_file()} for root in folders]
    assert trees[0] == trees[1] and len(trees[0]) == 18 + len(plan.files) + 1
    assert all((folders[0] / folder).is_dir() for folder in plan.folders)
    for path in (few.images[0], next(path for path in few.images if path.startswith("sketch"))):
        truth = twins.truth(folders[0], path)
        on_disk = np.asarray(Image.open(folders[0] / path)).astype(int)
        assert abs(on_disk - truth.rendering.image).mean() < 8
        assert truth.person_mask.shape == on_disk.shape[:2] and truth.person_mask.mean() > 0.1


@pytest.mark.integration
@pytest.mark.parametrize("name", TWINS)
def test_grey_levels_tell_little_about_the_person(twin, isolated_home, name):
    """Darkness may help a little, as artists shade what is dark; it must not find people by itself."""
    dataset = reidlib.data.open(name, twin(name), split=1 if name == "pku-sketch" else None)
    assert dataset.check(decode=True).problems == []
    protocol = protocols.get(name)
    test = dataset.rows("test")
    images = dataset.images(64, 32, progress=False).tensor(test)
    chance = 1 / dataset.frame["pid"].iloc[test].nunique()
    for title, matcher in MATCHERS.items():
        found = score(matcher(images), dataset, protocol).cmc[1]
        assert found < {"grey histogram": 4, "background only": 2}.get(title, 6) * chance, title
