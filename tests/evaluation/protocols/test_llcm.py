"""LLCM's three protocols on a frame in the real numbers, without files."""

import random
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from reidlib import evaluation
from reidlib.data import ReIDDataset, llcm
from reidlib.evaluation import protocols

NIGHT = [1, 2, 4, 5, 6, 7, 8, 9]
EVERY_PROTOCOL = [
    {"preset": preset, "direction": direction}
    for preset in ("deen", "deen-transposed", "idkl")
    for direction in ("visible-infrared", "infrared-visible")
    if (preset, direction) != ("deen-transposed", "infrared-visible")
]


def made_up(test_images: dict[str, int], identities: int, night_cameras: list[int] = NIGHT) -> ReIDDataset:
    """Test images in these numbers, one training identity; each identity is seen by three or four cameras."""
    rows = [
        (f"{name}/0001/0001_c01_s1_f1_{name}.jpg", 1, 1, modality, "train") for modality, name in enumerate(test_images)
    ]
    for modality, (name, total) in enumerate(test_images.items()):
        cameras = list(range(1, 10)) if name == "vis" else night_cameras
        for number in range(total):
            pid = 2 + number % identities
            turn = number // identities
            camid = cameras[(pid + turn % (3 + pid % 2) * 2) % len(cameras)]
            path = f"test_{name}/cam{camid}/{pid:04d}/{pid:04d}_c{camid:02d}_s{turn:06d}_f{number}_{name}.jpg"
            rows.append((path, pid, camid, modality, "test"))
    frame = pd.DataFrame(rows, columns=["path", "pid", "camid", "modality", "split"])
    return ReIDDataset("llcm", Path("nowhere"), frame.sample(frac=1, random_state=0), llcm.READER)


@pytest.fixture(scope="module")
def real() -> ReIDDataset:
    return made_up({"vis": 8680, "nir": 7166}, 351)


@pytest.fixture(scope="module")
def small() -> ReIDDataset:
    return made_up({"vis": 300, "nir": 240}, 30)


def parts(dataset, trial):
    return dataset.frame.iloc[trial.query_rows], dataset.frame.iloc[trial.gallery_rows]


def identify(options):
    return "-".join(options.values())


@pytest.mark.parametrize("options", EVERY_PROTOCOL, ids=identify)
def test_who_queries_whom(real, options):
    protocol = protocols.get("llcm", **options)
    trials = protocol.trials(real)
    assert len(trials) == protocol.num_trials == (1 if options["preset"] == "idkl" else 10)
    first, second = (0, 1) if options["direction"] == "visible-infrared" else (1, 0)
    totals = {0: 8680, 1: 7166}
    folders = real.frame[real.frame["split"] == "test"].groupby("modality")[["pid", "camid"]]
    drawn = {modality: len(part.drop_duplicates()) for modality, part in folders}
    for trial in trials:
        query, gallery = parts(real, trial)
        expected = {
            "deen": (first, totals[first], second, drawn[second]),
            "deen-transposed": (second, drawn[second], first, totals[first]),
            "idkl": (first, totals[first], second, totals[second]),
        }[options["preset"]]
        assert set(query["modality"]) == {expected[0]} and len(query) == expected[1]
        assert set(gallery["modality"]) == {expected[2]} and len(gallery) == expected[3]
        assert set(query["split"]) == set(gallery["split"]) == {"test"}
    assert protocol.distinct_ids


@pytest.mark.parametrize("direction", ["visible-infrared", "infrared-visible"])
def test_galleries_are_the_draws_of_deens_loader(small, direction):
    """Folder by folder with the global generator, as that loader does it."""
    name, cameras = ("nir", NIGHT) if direction == "visible-infrared" else ("vis", range(1, 10))
    paths = small.frame["path"]
    state = random.getstate()
    try:
        for number, trial in enumerate(protocols.get("llcm", direction=direction).trials(small)):
            random.seed(number)
            expected = []
            for pid in sorted(f"{pid:04d}" for pid in range(2, 32)):
                for camid in cameras:
                    if files := sorted(path for path in paths if path.startswith(f"test_{name}/cam{camid}/{pid}/")):
                        expected.append(random.choice(files))
            assert paths.iloc[trial.gallery_rows].tolist() == expected
    finally:
        random.setstate(state)


def test_transposed_trials_swap_the_roles_of_the_same_draws(small):
    transposed = protocols.get("llcm", preset="deen-transposed").trials(small)
    for trial, paper in zip(transposed, protocols.get("llcm").trials(small), strict=True):
        np.testing.assert_array_equal(trial.query_rows, paper.gallery_rows)
        np.testing.assert_array_equal(trial.gallery_rows, paper.query_rows)


def test_the_global_generator_is_left_alone(small):
    random.seed(7)
    before = random.getstate()
    protocols.get("llcm").trials(small)
    assert random.getstate() == before


def test_queries_ignore_their_own_identity_and_camera_and_nothing_else(small):
    for preset in ("deen", "deen-transposed"):
        protocol = protocols.get("llcm", preset=preset)
        query, gallery = parts(small, protocol.trials(small)[0])
        exclude = protocol.exclude(query, gallery)
        for row in (0, 40, 100):
            one = query.iloc[row]
            mine = (gallery["pid"] == one["pid"]) & (gallery["camid"] == one["camid"])
            np.testing.assert_array_equal(exclude[row], mine)
        assert exclude.any()
    idkl = protocols.get("llcm", preset="idkl")
    assert idkl.exclude(*parts(small, idkl.trials(small)[0])) is None and idkl.camera_rule == "none"


def test_deen_does_not_look_at_night_camera_3():
    dataset = made_up({"vis": 300, "nir": 240}, 30, night_cameras=list(range(1, 10)))
    assert (dataset.frame.loc[dataset.frame["modality"] == 1, "camid"] == 3).any()
    for options in (
        {"direction": "visible-infrared"},
        {"direction": "infrared-visible"},
        {"preset": "deen-transposed"},
    ):
        query, gallery = parts(dataset, protocols.get("llcm", **options).trials(dataset)[0])
        for part in (query, gallery):
            expected = set(NIGHT) if set(part["modality"]) == {1} else set(range(1, 10))
            assert set(part["camid"]) == expected
    query, _ = parts(dataset, protocols.get("llcm", preset="idkl", direction="infrared-visible").trials(dataset)[0])
    assert 3 in set(query["camid"])


@pytest.mark.parametrize("options", EVERY_PROTOCOL, ids=identify)
def test_oracle_is_perfect(small, options):
    embeddings = torch.nn.functional.one_hot(torch.from_numpy(small.frame["pid"].to_numpy(copy=True))).float()
    assert set(evaluation.score(embeddings, small, protocols.get("llcm", **options)).mean.values()) == {1.0}


@pytest.mark.parametrize("options", EVERY_PROTOCOL, ids=identify)
def test_random_distances_find_the_share_of_right_images(real, options):
    protocol = protocols.get("llcm", **options)
    rng, found, expected = np.random.default_rng(0), [], []
    for trial in protocol.trials(real)[:3]:
        query, gallery = parts(real, trial)
        exclude = protocol.exclude(query, gallery)
        match = query["pid"].to_numpy()[:, None] == gallery["pid"].to_numpy()
        kept = np.ones_like(match) if exclude is None else ~exclude
        expected.append(((match & kept).sum(1) / kept.sum(1)).mean())
        distances = rng.random(match.shape, dtype=np.float32)
        ranking = evaluation.rank(distances, query["pid"], gallery["pid"], exclude=exclude, distinct_ids=True)
        found.append(ranking.metrics["rank-1"])
        queries = len(query)
    tolerance = 4 * np.sqrt(np.mean(expected) / (len(found) * queries))
    assert np.mean(found) == pytest.approx(np.mean(expected), abs=tolerance)
    assert 0.0005 < np.mean(expected) < 0.01


def test_protocol_prints_and_saves_every_rule():
    for options in EVERY_PROTOCOL:
        protocol = protocols.get("llcm", **options)
        assert protocol.name == f"llcm-{options['preset']}-{options['direction']}"
        assert protocols.from_dict(protocol.to_dict()) == protocol
        assert all(f"{name}={value!r}" in repr(protocol) for name, value in protocol.to_dict().items())
    assert protocols.get("llcm") == protocols.get("llcm", preset="deen", direction="visible-infrared")
    transposed = protocols.get("llcm", preset="deen-transposed")
    assert transposed.roles == "one near-infrared image per identity and camera queries every visible image"


def test_fewer_trials_are_the_first_and_say_so(small):
    protocol = protocols.get("llcm", num_trials=2)
    assert protocol.name == "llcm-deen-visible-infrared-first2"
    for few, many in zip(protocol.trials(small), protocols.get("llcm").trials(small)[:2], strict=True):
        np.testing.assert_array_equal(few.gallery_rows, many.gallery_rows)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preset": "paper"}, "preset='paper' is unknown; known: 'deen', 'deen-transposed', 'idkl'"),
        ({"direction": "v2i"}, "direction='v2i' is unknown; known: 'visible-infrared', 'infrared-visible'"),
        ({"preset": "deen-transposed", "direction": "infrared-visible"}, "use preset='deen' for 'infrared-visible'"),
        ({"num_trials": 11}, "num_trials=11 is unknown; known: 1, 2"),
        ({"preset": "idkl", "num_trials": 10}, "num_trials=10 is unknown; known: 1"),
    ],
)
def test_unknown_values_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        protocols.get("llcm", **options)


@pytest.mark.parametrize(("modality", "word"), [(0, "visible"), (1, "near-infrared")])
@pytest.mark.parametrize("preset", ["deen", "idkl"])
def test_a_tree_without_one_modality(small, modality, word, preset):
    frame = small.frame[(small.frame["modality"] != modality) | (small.frame["split"] == "train")]
    dataset = ReIDDataset("llcm", Path("nowhere"), frame, llcm.READER)
    with pytest.raises(ValueError, match=f"no {word} image of a test identity"):
        protocols.get("llcm", preset=preset).trials(dataset)
