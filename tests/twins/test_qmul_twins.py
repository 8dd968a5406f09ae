"""The twins of QMUL-ShoeV2 and -ChairV2."""

import io
import pickle

import numpy as np
import pytest
import torch
from PIL import Image

import reidlib.data
from reidlib.data import qmul
from reidlib.evaluation import matchers, protocols, score
from reidlib.twins import chair, shoe

TWINS = {"shoe": shoe, "chair": chair}
NUMBERS = {  # photos and sketches of a profile, by split
    "shoe": {"cpu": (350, 200), "gpu": (800, 200), "screen": (150, 100), "ci": (24, 20)},
    "chair": {"cpu": (300, 100), "gpu": (300, 100), "screen": (200, 100), "ci": (24, 20)},
}


def paths(name: str, profile: str) -> list[str]:
    plan = TWINS[name].plan(profile)
    return [*plan.images, *plan.packed]


@pytest.mark.parametrize(("name", "profile"), [(name, profile) for name in NUMBERS for profile in NUMBERS[name]])
def test_every_profile_has_its_numbers(name, profile):
    listed = paths(name, profile)
    assert len(listed) == len(set(listed))
    photos = {twin_number(name, path): path for path in listed if "photo/" in path or "B/" in path}
    catalogue = TWINS[name].CATALOGUE
    splits = [catalogue.split(number) for number in photos]
    assert (splits.count("train"), splits.count("test")) == NUMBERS[name][profile]
    sketches = [twin_number(name, path) for path in listed if path not in photos.values()]
    assert set(sketches) == set(photos), "every photo has a sketch"
    counts = [sketches.count(number) for number in photos]
    assert set(counts) == {3, 4}


def twin_number(name: str, path: str) -> int:
    return TWINS[name].describe(path)[0].pid


def test_the_chair_twin_has_the_published_numbers():
    listed = chair.plan("cpu").packed
    assert (sum("/train/" in path for path in listed), sum("/test/" in path for path in listed)) == (952, 323)


def test_the_whole_shoe_set_would_have_the_published_numbers():
    counts = {"train": 0, "test": 0}
    for number in range(2000):
        counts[shoe.CATALOGUE.split(number)] += shoe.CATALOGUE.count(number)
    assert counts == {"train": 6051, "test": 679}


def test_names_are_as_treacherous_as_the_real_ones():
    names = [path.removeprefix("photo/").removesuffix(".png") for path in chair.plan("ci").images]
    assert all(name.count("_") >= 2 and "-" in name for name in names)
    assert all(len(path.split("/")[1]) == len("2429245009.png") for path in shoe.plan("ci").images if "B/" in path)


def test_a_chairs_sketch_in_the_wrong_split_or_beyond_the_last_is_refused():
    path = chair.plan("ci").packed[0]
    with pytest.raises(ValueError, match="not an image"):
        chair.describe(path.replace("/train/", "/test/"))
    with pytest.raises(ValueError, match="not an image"):
        chair.describe(path[:-1] + "5")


def test_a_sketch_of_shoes_has_its_strokes_in_alpha():
    path = next(path for path in shoe.plan("ci").images if "A/" in path)
    rendering = shoe.render(*shoe.describe(path), 48, 48)
    image = Image.open(io.BytesIO(shoe.encode(rendering, None, path)))
    assert image.mode == "RGBA" and np.asarray(image)[..., :3].max() == 0
    np.testing.assert_array_equal(255 - np.asarray(image)[..., 3], rendering.image[..., 0])


@pytest.fixture(scope="module", params=TWINS)
def dataset(request, twin):
    return reidlib.data.open(request.param, root=twin(request.param, "ci"))


@pytest.mark.integration
def test_the_reader_finds_everything_as_it_was_meant(dataset):
    assert str(dataset.check(decode=True)).endswith("nothing missing, nothing odd")
    assert sorted(dataset.frame["path"]) == sorted(paths(dataset.name, "ci"))
    for path, split, modality, name in dataset.frame[["path", "split", "modality", "name"]].itertuples(index=False):
        thing, scene = TWINS[dataset.name].describe(path)
        assert split == TWINS[dataset.name].CATALOGUE.split(thing.pid)
        assert hasattr(scene, "hand") == bool(modality)
        assert f"{thing.pid:04d}" in name
    by_name = dataset.frame.groupby("name")["path"].agg(
        lambda found: len({twin_number(dataset.name, p) for p in found})
    )
    assert (by_name == 1).all()


@pytest.mark.integration
def test_truth_belongs_to_the_image_that_is_read(dataset):
    for row in (0, 1, 2, len(dataset) - 1):
        truth = dataset.truth(row)
        size = truth.person_mask.shape
        read = np.asarray(dataset.image(row).resize(size, Image.Resampling.BOX)).astype(float)
        assert abs(read - truth.rendering.image).mean() < 8
        assert truth.factors["pid"] == twin_number(dataset.name, dataset.frame["path"][row])


@pytest.mark.integration
def test_the_pickle_of_the_chair_twin_is_like_the_published_one(twin):
    path = twin("chair", "ci") / chair.PICKLE
    sketches = qmul.load_sketches(path)
    assert list(sketches) == [name.removeprefix(chair.PICKLE) for name in chair.plan("ci").packed]
    plain = pickle.loads(path.read_bytes())
    assert plain.keys() == sketches.keys()
    for points in plain.values():
        assert points.dtype == np.float64 and points.shape[1] == 3
        assert points[:, :2].min() >= 0 and points[:, :2].max() <= 256
        assert set(points[:, 2]) == {0.0, 1.0} and points[-1, 2] == 1.0


def test_the_pickle_has_the_same_bytes_every_time():
    keys = {"/train/a_1": (0, 1), "/test/b_1": (3, 2)}
    assert chair._coordinates(keys) == chair._coordinates(dict(keys))


@pytest.mark.integration
def test_grey_levels_tell_nothing_and_silhouettes_little(dataset):
    """A control: across modalities a histogram must be near chance, or the sketches would give colours away."""
    protocol = protocols.get(dataset.name)
    images = dataset.images(48, 48, progress=False).tensor(np.arange(len(dataset)))
    rank_1 = {name: score(match(images), dataset, protocol).mean["rank-1"] for name, match in matchers.MATCHERS.items()}
    queries = len(dataset.rows("test", modality=1))
    spread = (0.05 * 0.95 / queries) ** 0.5  # of chance: one photo in twenty
    assert rank_1["grey histogram"] < 0.05 + 4 * spread
    assert rank_1["background only"] < 0.05 + 4 * spread
    assert rank_1["16×32 thumbnail"] < 0.5


@pytest.mark.integration
def test_oracle_and_chance(dataset):
    protocol = protocols.get(dataset.name)
    pids = torch.from_numpy(dataset.frame["pid"].to_numpy(copy=True))
    oracle = score(torch.eye(int(pids.max()) + 1)[pids], dataset, protocol)
    assert set(oracle.mean.values()) == {1.0}
    generator = torch.Generator().manual_seed(0)
    chance = [score(torch.randn(len(pids), 64, generator=generator), dataset, protocol).mean for _ in range(40)]
    assert np.mean([result["rank-1"] for result in chance]) == pytest.approx(1 / 20, abs=0.02)
    assert np.mean([result["rank-10"] for result in chance]) == pytest.approx(10 / 20, abs=0.05)
