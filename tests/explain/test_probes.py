"""Probes find what was put into features, and nothing where there is nothing, whatever the identities remember.

Tolerances: ``accuracy_error`` is the standard error of a balanced accuracy at chance; four of them are allowed. The
independent samples are identities where features or predictions belong to them, otherwise images.
"""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reidlib.explain import TooFewIdentities, branch_embeddings, probe, probe_identity, probe_table

IDENTITIES, IMAGES = 80, 6
PIDS = np.repeat(np.arange(IDENTITIES), IMAGES) * 3 + 5
CAMERAS = np.tile(np.arange(IMAGES), IDENTITIES)


def random(seed=0):
    return np.random.default_rng(seed)


def of_people(values):
    return np.repeat(values, IMAGES, axis=0)


def noise(width=32, seed=1):
    return random(seed).standard_normal((len(PIDS), width))


def accuracy_error(classes, samples):
    """Each class has samples / classes members, and recalls are averaged: the variances add up to p (1 - p) / n."""
    chance = 1 / classes
    return np.sqrt(chance * (1 - chance) / samples)


@pytest.mark.parametrize("names", [["plain", "hoops", "checks"], [False, True], [3, 1, 2]])
def test_a_category_in_the_features_is_found(names):
    codes = random().integers(len(names), size=IDENTITIES)
    features = 0.3 * noise() + of_people(random(2).standard_normal((len(names), 32))[codes])
    result = probe(features, [names[code] for code in of_people(codes)], PIDS)
    assert result.kind == "categorical" and result.classes == len(names)
    assert result.score > 0.98 and result.std < 0.05
    assert result.chance == 1 / len(names)
    assert abs(result.shuffled - result.chance) < 4 * accuracy_error(len(names), IDENTITIES)
    assert (result.images, result.identities) == (len(PIDS), IDENTITIES)


def test_a_number_in_the_features_is_found():
    heights = random().normal(1, 0.05, IDENTITIES)
    features = noise() + 3 * of_people((heights - 1) / 0.05)[:, None] * random(2).standard_normal(32)
    result = probe(features, of_people(heights), PIDS)
    assert result.kind == "continuous" and result.classes == 0 and result.chance == 0
    assert result.score > 0.95
    assert result.shuffled < 0.1


def test_a_hue_is_read_around_the_circle():
    hues = random().random(IDENTITIES)
    turn = 2 * np.pi * of_people(hues)
    features = np.concatenate([0.1 * noise(8), np.cos(turn)[:, None], np.sin(turn)[:, None]], axis=1)
    circular = probe(features, of_people(hues), PIDS, kind="circular")
    assert circular.kind == "circular" and circular.score > 0.95
    assert probe(features, of_people(hues), PIDS).score < 0.8  # as a plain number, 0.99 is far from 0.01
    turned = probe(features, of_people((hues + 0.37) % 1), PIDS, kind="circular")
    assert turned.score == pytest.approx(circular.score, abs=1e-6)


@pytest.mark.parametrize("classes", [2, 4])
def test_what_a_person_looks_like_does_not_tell_a_label_of_the_person(classes):
    """Features by which every person is recognised at once, labels drawn by lot: images of one person on both sides of
    a split would let the probe remember, and score 1."""
    features = 10 * of_people(random().standard_normal((IDENTITIES, 64))) + 0.1 * noise(64)
    labels = of_people(np.arange(IDENTITIES) % classes)
    result = probe(features, labels, PIDS)
    assert abs(result.score - 1 / classes) < 4 * accuracy_error(classes, IDENTITIES)
    heights = of_people(random(3).standard_normal(IDENTITIES))
    assert probe(features, heights, PIDS).score < 0.2
    assert probe_identity(features, PIDS, CAMERAS).score > 0.99  # and they do recognise everyone


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("classes", [2, 6])
def test_random_features_are_at_chance_for_categories(seed, classes):
    for labels in (np.arange(len(PIDS)) % classes, of_people(random(seed).integers(classes, size=IDENTITIES))):
        result = probe(noise(64, seed), labels, PIDS, seed=seed)
        assert abs(result.score - result.chance) < 4 * accuracy_error(classes, len(PIDS))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", ["continuous", "circular"])
def test_random_features_are_at_chance_for_numbers(seed, kind):
    """R² = 2 r c - r², where r is the spread of the predictions over that of the labels and c their correlation.

    It is at most c², and a blind reader's c is within 4 / √80 of 0. r² is what an unpenalised reader of D features fits
    to N images of noise, at most: D / (N - D) = 0.15.
    """
    luck, spread = 4 / IDENTITIES**0.5, (64 / (len(PIDS) - 64)) ** 0.5
    labels = of_people(random(seed + 9).random(IDENTITIES))
    score = probe(noise(64, seed), labels, PIDS, kind=kind).score
    assert -(spread**2) - 2 * spread * luck < score < luck**2


@settings(max_examples=10)
@given(st.floats(-50, 50, allow_nan=False), st.floats(0.01, 100), st.permutations(range(8)), st.integers(0, 2**31 - 1))
def test_scale_shift_and_order_of_features_do_not_matter(shift, scale, order, seed):
    labels = of_people(random(seed).standard_normal(IDENTITIES))
    features = noise(8, seed) + labels[:, None]
    expected = probe(features, labels, PIDS).score
    assert probe(shift + scale * features[:, order], labels, PIDS).score == pytest.approx(expected, abs=1e-6)


def test_missing_labels_and_rare_classes_are_left_out():
    codes = np.array(["rare", *["often", "seldom"] * IDENTITIES][:IDENTITIES], dtype=object)
    codes[1] = codes[2] = None
    features = of_people((codes == "often").astype(float))[:, None] + 0.1 * noise(4)
    result = probe(features, of_people(codes), PIDS)
    assert result.classes == 2
    assert (result.identities, result.images) == (IDENTITIES - 3, (IDENTITIES - 3) * IMAGES)
    assert result.score > 0.98
    heights = of_people(np.where(np.arange(IDENTITIES) < 10, np.nan, np.arange(IDENTITIES)))
    assert probe(features, heights, PIDS).identities == IDENTITIES - 10


def test_the_score_counts_classes_not_images():
    codes = np.r_[np.ones(8, int), np.zeros(IDENTITIES - 8, int)]
    assert probe(np.zeros((len(PIDS), 4)), of_people(codes), PIDS).score == pytest.approx(0.5)
    hint = of_people(codes)[:, None] + noise(1)  # one standard deviation apart: with equal weights, 0.69 are told
    assert probe(hint, of_people(codes), PIDS).score == pytest.approx(0.69, abs=0.1)


def test_labels_of_images_are_shuffled_between_images():
    labels = np.arange(len(PIDS)) % 2
    features = labels[:, None] + 0.1 * noise(4)
    result = probe(features, labels, PIDS)
    assert result.score > 0.98
    assert abs(result.shuffled - 0.5) < 4 * accuracy_error(2, len(PIDS))


def test_the_seed_decides():
    labels = of_people(random().integers(3, size=IDENTITIES))
    features = noise() + 0.5 * np.eye(32)[labels]
    assert probe(features, labels, PIDS, seed=1) == probe(features, labels, PIDS, seed=1)
    assert probe(features, labels, PIDS, seed=1) != probe(features, labels, PIDS, seed=2)


def test_bad_arguments_are_refused():
    labels = of_people(np.arange(IDENTITIES) % 2)
    broken = noise()
    broken[3, 4] = np.nan
    for features, pids in ((broken, PIDS), (noise()[:-1], PIDS), (noise()[:, 0], PIDS), (noise(), PIDS[1:])):
        with pytest.raises(ValueError, match=r"a probe needs finite features \(N, D\), N labels and N pids"):
            probe(features, labels, pids)
    with pytest.raises(ValueError, match="unknown kind 'angle'; choose one of: categorical, continuous, circular"):
        probe(noise(), labels, PIDS, kind="angle")
    few = 4 * IMAGES
    for many in (labels, noise()[:, 0]):
        with pytest.raises(TooFewIdentities, match="a probe with 5 folds needs as many identities"):
            probe(noise()[:few], many[:few], PIDS[:few])
    with pytest.raises(TooFewIdentities, match="80 identities and 1 classes"):
        probe(noise(), np.zeros(len(PIDS), int), PIDS)


def test_people_are_recognised_on_another_camera_by_the_nearest_centroid():
    features = of_people(random().standard_normal((IDENTITIES, 16))) + 0.6 * noise(16)
    result = probe_identity(features, PIDS, CAMERAS)
    correct = []
    for camera in range(IMAGES):
        known = features[camera != CAMERAS]
        standard = (features - known.mean(0)) / known.std(0)
        centroids = np.stack([standard[(camera != CAMERAS) & (pid == PIDS)].mean(0) for pid in np.unique(PIDS)])
        asked = standard[camera == CAMERAS]
        nearest = np.linalg.norm(asked[:, None] - centroids, axis=2).argmin(1)
        correct.append((nearest == np.arange(IDENTITIES)).mean())
    assert 0.5 < result.score < 0.99
    assert result.score == pytest.approx(np.mean(correct)) and result.std == pytest.approx(np.std(correct))
    assert result.chance == 1 / IDENTITIES
    assert abs(result.shuffled - result.chance) < 4 * accuracy_error(IDENTITIES, len(PIDS))


def test_a_single_image_on_each_camera_is_enough():
    """Most people are then shown once, and nearly every image is a class of its own, which sklearn would warn of."""
    pids, cameras = np.repeat(np.arange(30), [2] * 20 + [3] * 10), np.array([0, 1] * 20 + [0, 1, 2] * 10)
    features = random().standard_normal((30, 8))[pids] + 1e-3 * random(1).standard_normal((len(pids), 8))
    assert probe_identity(features, pids, cameras).score == 1


def test_a_camera_does_not_tell_people_apart():
    result = probe_identity(10 * np.eye(IMAGES)[CAMERAS] + 0.01 * noise(IMAGES), PIDS, CAMERAS)
    assert abs(result.score - result.chance) < 4 * accuracy_error(IDENTITIES, len(PIDS))


def test_people_seen_by_one_camera_take_no_part():
    one_camera = np.where(np.isin(PIDS, np.unique(PIDS)[:50]), 0, CAMERAS)
    result = probe_identity(noise(8), PIDS, one_camera)
    assert (result.identities, result.images, result.chance) == (30, 30 * IMAGES, 1 / 30)
    with pytest.raises(TooFewIdentities, match="fewer than two identities were seen by two cameras"):
        probe_identity(noise(8), PIDS, np.zeros(len(PIDS)))


@pytest.mark.integration
def test_the_table_of_a_twin(dataset, trained):
    rows = dataset.rows("test")[::4]
    frame = dataset.frame.iloc[rows]
    features = branch_embeddings(trained, dataset, rows)
    features["the answer"] = np.eye(2)[frame["modality"]]
    chosen = ["modality", "camera", "identity across cameras", "bottom_nir", "bottom_hue", "outerwear", "outer_texture"]
    table = probe_table(features, dataset, rows, factors=chosen)
    assert table[["branch", "factor"]].to_numpy().tolist() == [[branch, name] for branch in features for name in chosen]
    by = table.set_index(["branch", "factor"])
    assert by.loc[("the answer", "modality"), "score"] == 1
    assert by.loc[("the answer", "camera"), "chance"] == 1 / 6
    assert by.loc[("shared", "bottom_hue"), "kind"] == "circular"
    assert by.loc[("shared", "bottom_nir"), "kind"] == "continuous"
    assert by.loc[("shared", "outerwear"), "kind"] == "categorical"
    too_few = by.loc[("shared", "outer_texture")]
    assert np.isnan(too_few["score"]) and too_few["kind"] == "too few identities"
    single = probe(features["specific"], frame["modality"], frame["pid"].to_numpy())
    assert by.loc[("specific", "modality"), "score"] == single.score
    default = probe_table({"the answer": features["the answer"]}, dataset, rows)["factor"].tolist()
    assert {"modality", "camera", "identity across cameras", "hair", "height", "top_hue"} < set(default)
    with pytest.raises(ValueError, match="unknown factor 'mood'; choose from: identity across cameras, modality"):
        probe_table(features, dataset, rows, factors=["hat", "mood"])


@pytest.mark.integration
def test_real_images_have_modality_camera_and_identity_alone(dataset):
    real = dataclasses.replace(dataset, is_twin=False, twin_version=None, profile=None)
    rows = real.rows("test")[::4]
    features = {"noise": random().standard_normal((len(rows), 8))}
    table = probe_table(features, real, rows)
    assert table["factor"].tolist() == ["modality", "camera", "identity across cameras"]
    pd.testing.assert_frame_equal(table, probe_table(features, real, rows, factors=table["factor"].tolist()))
    with pytest.raises(ValueError, match="is not a synthetic twin"):
        probe_table(features, real, rows, factors=["hair"])
