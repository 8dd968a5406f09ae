"""The twin of CUFSF."""

import re

import numpy as np
import pytest

import reidlib.data
from reidlib import twins
from reidlib.evaluation import protocols, score
from reidlib.evaluation.matchers import MATCHERS
from reidlib.twins import cufsf


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
