"""The twin of RegDB: the real tree with rendered people."""

import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import reidlib.data
from reidlib.twins import regdb
from reidlib.twins.identity import sample_identity

LINE = re.compile(r"(Visible|Thermal)/(\d+)/(?:male|female)_(?:front|back)_([vt])_\d{5}_(\d+)\.bmp (\d+)")


def lists(plan) -> dict[tuple[str, str, int], list[re.Match]]:
    """(part, modality, split) → the matches of its lines."""
    found = {}
    for path, content in plan.files.items():
        part, modality, split = re.fullmatch(r"idx/(train|test)_(visible|thermal)_(\d+)\.txt", path).groups()
        found[part, modality, int(split)] = [LINE.fullmatch(line) for line in content.decode().splitlines()]
    return found


@pytest.mark.parametrize("profile", ("ci", "screen", "cpu", "gpu"))
def test_lists_have_the_real_structure(profile):
    plan, size = regdb.plan(profile), regdb.SIZES[profile]
    assert len(plan.files) == 40 and size.test_ids >= 20
    found = lists(plan)
    halves = set()
    for split in range(1, 11):
        pids = {}
        for part, count in (("train", size.train_ids), ("test", size.test_ids)):
            lines = {modality: found[part, modality, split] for modality in ("visible", "thermal")}
            assert all(match for matches in lines.values() for match in matches)
            sequences = {m: [(int(match[2]), int(match[5])) for match in matches] for m, matches in lines.items()}
            assert sequences["visible"] == sequences["thermal"], "equal identities, line by line"
            assert len(sequences["visible"]) == count * size.train_images
            assert [label for _, label in sequences["visible"]] == sorted(list(range(count)) * size.train_images)
            pids[part] = {pid for pid, _ in sequences["visible"]}
            for modality, matches in lines.items():
                letters = {(match[1], match[3], match[2] == match[4]) for match in matches}
                assert letters == {(modality.title(), modality[0], True)}
        assert not pids["train"] & pids["test"] and len(pids["train"]) == size.train_ids
        halves.add(tuple(sorted(pids["train"])))
        listed = {
            match[0].split()[0] for (_, _, number), matches in found.items() if number == split for match in matches
        }
        assert listed == set(plan.images), "every split lists every image"
    assert len(halves) == 10


def test_gpu_twin_has_the_real_numbers():
    plan = regdb.plan("gpu")
    assert len(plan.images) == len(set(plan.images)) == 8240
    assert {len(content.splitlines()) for content in plan.files.values()} == {2060}
    assert {int(path.split("/")[1]) for path in plan.images} == set(range(1, 413))


def test_a_path_says_who_and_from_which_side():
    identity, scene = regdb.describe("Visible/285/male_back_v_05528_285.bmp")
    assert identity == sample_identity(285, regdb.POPULATION)
    assert scene.camera.camid == 1 and abs(scene.pose.yaw - np.pi) < 1.3 and scene.occluder == "none"
    identity, scene = regdb.describe("Thermal/285/male_front_t_05528_285.bmp")
    assert scene.camera.camid == 2 and abs(scene.pose.yaw) < 1.3


def test_everybody_is_seen_on_one_walk_in_both_modalities():
    scenes = {}
    for path in regdb.plan("cpu").images:
        words = tuple(path.split("/")[2].split("_")[:2])
        scenes.setdefault(path.split("/")[1], []).append((words, regdb.describe(path)[1]))
    assert all(len({words for words, _ in several}) == 1 for several in scenes.values())
    assert len({words for several in scenes.values() for words, _ in several}) == 4
    yaws = np.array([[scene.pose.yaw for _, scene in several] for several in scenes.values()])
    assert yaws.std(axis=1).mean() < 0.1 < 0.25 < yaws[yaws[:, 0] < 1.5].mean(axis=1).std()
    assert len({scene.pose.phase for several in scenes.values() for _, scene in several}) == yaws.size


def test_files_are_bitmaps_of_the_rendering():
    path = regdb.plan("ci").images[0]
    identity, scene = regdb.describe(path)
    rendering = regdb.render(identity, scene, *regdb.image_size("ci"))
    image = Image.open(io.BytesIO(regdb.encode(rendering, scene, path)))
    assert image.format == "BMP"
    np.testing.assert_array_equal(np.asarray(image), rendering.image)


@pytest.fixture(scope="module")
def root(twin) -> Path:
    return twin("regdb")


@pytest.mark.integration
@pytest.mark.parametrize("split", [1, 10])
def test_the_reader_accepts_the_twin(root, split):
    dataset = reidlib.data.open("regdb", root, split=split)
    assert dataset.check(decode=True).problems == []
    assert dataset.title == f"RegDB (synthetic twin 1, ci), split {split}"
    assert len(dataset) == len(regdb.plan("ci").images)
    assert dataset.frame.loc[dataset.rows("test"), "pid"].nunique() == 24
    assert dataset.image(0).size == (32, 64)
