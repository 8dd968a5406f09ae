"""The twins of PKU-Sketch and Market-Sketch-1K: their trees, their people, their looks."""

from collections import Counter

import pytest

import reidlib.data
from reidlib.evaluation import protocols, score
from reidlib.evaluation.matchers import MATCHERS
from reidlib.twins import market_sketch, pku_sketch
from reidlib.twins.identity import sample_identity

TWINS = {"pku-sketch": pku_sketch, "market-sketch-1k": market_sketch}


@pytest.mark.parametrize("profile", ("ci", "screen", "cpu", "gpu"))
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
    published = {pid: artist for pid, artist in pku_sketch.artists().items() if pid <= 200}
    assert Counter(published.values()) == pku_sketch.DRAWN


@pytest.mark.parametrize("profile", ("ci", "screen", "cpu", "gpu"))
def test_market_sketch_has_the_real_tree(profile):
    size, plan = market_sketch.SIZES[profile], market_sketch.plan(profile)
    assert len(set(plan.images)) == len(plan.images) and not plan.files
    train, test = ({int(p.split("/")[-1][:4]) for p in plan.images if f"/{part}/" in p} for part in ("train", "query"))
    assert (len(train), len(test), len(train & test)) == (size.train_ids, size.test_ids, 0)
    per_person = Counter(path.split("/")[-1][:4] for path in plan.images if path.startswith("photo"))
    assert set(per_person.values()) == {size.train_images} == {size.gallery_images}
    cameras = Counter((p.split("/")[-1][:4], p.split("_c")[1][0]) for p in plan.images if p.startswith("photo"))
    assert set(cameras.values()) == {1}, "every photo by another camera"
    drawn = Counter(path.split("/")[1] for path in plan.images if path.startswith("sketch"))
    assert drawn["F"] > 0.97 * (size.train_ids + size.test_ids)
    for artist in "ABCDE":
        assert drawn[artist] / (size.train_ids + size.test_ids) == pytest.approx(0.757, abs=0.13)


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
