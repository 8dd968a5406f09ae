"""The twin of CUFSF."""

import dataclasses
import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest

import reidlib.data
from reidlib import twins
from reidlib.evaluation import protocols, score
from reidlib.evaluation.matchers import MATCHERS
from reidlib.twins import cufsf
from reidlib.twins.faces import sample_face, sample_face_scene
from reidlib.twins.portraits import render


def digest(records) -> str:
    text = json.dumps(json.loads(json.dumps(records), parse_float=lambda number: round(float(number), 9)))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def test_twin_version_1_people_and_scenes_are_frozen():
    """If this fails, faces or scenes changed: bump `cufsf.VERSION`, then renew the two digests."""
    faces = [sample_face(pid, cufsf.POPULATION).factors() for pid in range(1, 200)]
    scenes = [dataclasses.asdict(sample_face_scene(modality, 8, pid)) for modality in (0, 1) for pid in range(1, 50)]
    assert cufsf.VERSION == "1"
    assert (digest(faces), digest(scenes)) == ("e02f12076bbee786", "0495e71fe9eb15f6")


def test_twin_version_1_looks_as_it_did(repository):
    """If this fails, pixels changed: bump `cufsf.VERSION`, then write the 10×8 thumbnails anew.

    Compared within two grey levels: compilers round differently, the look must not.
    """
    known = json.loads((repository / "tests" / "assets" / "cufsf_twin_v1_thumbnails.json").read_text())
    for path, expected in known.items():
        image = render(*cufsf.describe(path), 120, 96).image[..., 0].astype(float)
        np.testing.assert_allclose(image.reshape(10, 12, 8, 12).mean((1, 3)), expected, atol=2.0, err_msg=path)


@pytest.mark.parametrize("profile", cufsf.SIZES)
def test_plan_has_pairs_names_and_points(profile):
    plan, pairs = cufsf.plan(profile), cufsf.SIZES[profile]
    names = plan.files[cufsf.NAMES].decode().split("\n")
    assert names.pop() == "" and len(names) == len(set(names)) == pairs
    assert all(re.fullmatch(r"\d{5}f[ab]\d{3}[a-z]?_9\d{5}", name) for name in names)
    assert {len(name) for name in names} == {17, 18}, "some names carry a letter"
    sketches = [f"original_sketch/{name[:5]}.jpg" for name in names]
    assert plan.images == [f"photo/{name}.jpg" for name in names] + sketches
    folders = {"photo_points": names, "sketch_points": [name[:5] for name in names]}
    points = {f"{folder}/{stem}.3pts" for folder, stems in folders.items() for stem in stems}
    assert set(plan.files) == {cufsf.NAMES} | points
    height, width = cufsf.image_size(profile)
    values = np.array([plan.files[path].split() for path in sorted(points)], float).reshape(-1, 3, 2)
    left, right, mouth = values.transpose(1, 0, 2)
    assert (left[:, 0] < right[:, 0]).all() and (mouth[:, 1] > left[:, 1]).all() and (mouth[:, 1] > right[:, 1]).all()
    margin = 0.05 * width
    assert (values > margin).all() and (values < (width - margin, height - margin)).all()


def test_faces_are_not_aligned():
    """Position, size and tilt differ enough for the reader's alignment to matter."""
    plan = cufsf.plan("cpu")
    values = [plan.files[path].split() for path in sorted(plan.files) if path.endswith("3pts")]
    points = np.array(values, float).reshape(-1, 3, 2)
    between = points[:, 1] - points[:, 0]
    distance = np.hypot(*between.T)
    assert points[:, 0].std(0).min() > 0.08 * distance.mean()
    assert distance.std() > 0.07 * distance.mean()
    assert np.degrees(np.arctan2(*between.T[::-1])).std() > 2


@pytest.mark.parametrize("profile", ["ci", "cpu"])
def test_sizes_fit_the_protocol(profile):
    train = round(cufsf.SIZES[profile] * 500 / 1194)
    assert cufsf.SIZES[profile] - train >= {"ci": 20, "cpu": 694}[profile]


@pytest.mark.parametrize(
    "path",
    [
        "original_sketch/00000.jpg",
        "original_sketch/1.jpg",
        "original_sketch/00001.png",
        "original_sketch/../photo/00001.jpg",
        "photo/00001.jpg",
        "photo/00001fa000_930101.jpg",
        f"/photo/{cufsf.photo_name(1)}.jpg",
        cufsf.NAMES,
    ],
)
def test_other_paths_are_refused(path):
    with pytest.raises(ValueError, match="is not an image of a CUFSF twin"):
        cufsf.describe(path)


def tree(root: Path) -> dict[str, str]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_bytes_depend_on_the_path_alone(tmp_path, monkeypatch):
    monkeypatch.setitem(cufsf.SIZES, "ci", 4)
    one = twins.ensure("cufsf", "ci", tmp_path / "one", workers=1, progress=False)
    four = twins.ensure("cufsf", "ci", tmp_path / "four", workers=4, progress=False)
    assert tree(one) == tree(four)
    assert len(tree(one)) == 4 * 4 + 2
    path = cufsf.plan("ci").images[-1]
    face, scene = cufsf.describe(path)
    assert cufsf.encode(render(face, scene, *cufsf.image_size("ci")), scene, path) == (one / path).read_bytes()


@pytest.mark.integration
def test_grey_levels_and_background_do_not_tell_who_it_is(tmp_path, monkeypatch):
    """On aligned faces a thumbnail finds some (hair and glasses are drawn), the mere amounts of grey hardly any."""
    monkeypatch.setenv("REIDLIB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(cufsf.SIZES, "ci", 240)
    dataset = reidlib.data.open("cufsf", twins.ensure("cufsf", "ci", tmp_path / "cufsf", progress=False))
    images = dataset.images(60, 48, progress=False).tensor(np.arange(len(dataset)))
    found = {name: score(matcher(images), dataset, protocols.get("cufsf")) for name, matcher in MATCHERS.items()}
    gallery = len(dataset.rows("test", modality=0))
    chance = (1 / np.arange(1, gallery + 1)).sum() / gallery
    for name in ("grey histogram", "background only"):
        assert found[name].mean_average_precision < 2 * chance, name
    assert 2 * chance < found["16×32 thumbnail"].mean_average_precision < 0.5
