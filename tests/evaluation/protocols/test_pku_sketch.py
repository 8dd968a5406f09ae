"""PKU-Sketch's protocol on a tree of empty files in the real numbers."""

import numpy as np
import pytest
import torch

import reidlib.data
from reidlib.data import pku_sketch
from reidlib.evaluation import protocols, rank, score
from reidlib.twins import pku_sketch as twin


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    root, plan = tmp_path_factory.mktemp("pku") / "PKUSketchRE-ID_V1", twin.plan("cpu")
    for folder in ("photo", "sketch", "styleAnnotation"):
        (root / folder).mkdir(parents=True)
    for path, content in {**dict.fromkeys(plan.images, b""), **plan.files}.items():
        (root / path).write_bytes(content)
    return root


@pytest.fixture(scope="module")
def splits(tree):
    return [reidlib.data.open("pku-sketch", tree, split=split) for split in pku_sketch.SPLITS]


def test_fifty_sketches_look_among_a_hundred_photos(splits):
    protocol = protocols.get("pku-sketch")
    for dataset in splits:
        [trial] = protocol.trials(dataset)
        query, gallery = dataset.frame.iloc[trial.query_rows], dataset.frame.iloc[trial.gallery_rows]
        assert (len(query), len(gallery)) == (50, 100)
        assert set(query["modality"]) == {1} and set(gallery["modality"]) == {0}
        assert (
            set(query["pid"]) == set(gallery["pid"]) == set(pku_sketch.split_ids(dataset.root, dataset.split)["test"])
        )
        assert protocol.exclude(query, gallery) is None and trial.query_parts is None


def test_oracle_finds_everybody(splits):
    for dataset in splits:
        one_hot = torch.nn.functional.one_hot(torch.from_numpy(dataset.frame["pid"].to_numpy(copy=True)))
        result = score(one_hot, dataset, protocols.get("pku-sketch"))
        assert set(result.mean.values()) == {1.0}
        assert result.split == dataset.split


CHANCE = [2.0, 9.7, 18.8, 35.7, 6.1, 3.8]  # per cent: rank-1, 5, 10, 20, mAP, mINP, found independently


def test_chance_level(splits):
    protocol, rng, scores = protocols.get("pku-sketch"), np.random.default_rng(0), []
    for dataset in splits * 4:
        [trial] = protocol.trials(dataset)
        pids = dataset.frame["pid"].to_numpy()
        ranking = rank(rng.random((50, 100)), pids[trial.query_rows], pids[trial.gallery_rows])
        scores.append(list(ranking.metrics.values()))
    mean, error = 100 * np.mean(scores, axis=0), 100 * np.std(scores, axis=0) / np.sqrt(len(scores))
    assert (np.abs(mean - CHANCE) < 3 * error + 0.1).all(), mean.round(2)


def test_cmc_counts_images(splits):
    """The nearest two photos show another person: at rank 2 that is one identity, but two images."""
    dataset = splits[0]
    [trial] = protocols.get("pku-sketch").trials(dataset)
    pids = dataset.frame["pid"].to_numpy()
    people, embeddings = np.unique(pids[trial.gallery_rows]), torch.zeros(len(pids), 51)
    for place, pid in enumerate(people):
        embeddings[np.flatnonzero(pids == pid), place] = 1.0
    first = trial.query_rows[0]
    embeddings[first] = 0.0
    embeddings[first, [0, 1]] = torch.tensor([0.9, 1.0])
    result = score(embeddings, dataset, protocols.get("pku-sketch"))
    assert result.trials[0].ranking.first_match_rank[0] == 3
    assert result.cmc[1] == 0.98


def test_protocol_prints_and_saves_every_rule():
    protocol = protocols.get("pku-sketch")
    assert protocol.name == "pku-sketch" and not protocol.distinct_ids
    assert protocols.from_dict(protocol.to_dict()) == protocol
    rules = {"direction": "sketch-photo", "camera_rule": "none", "cmc_rule": "images", "num_trials": 1, "flip": False}
    assert protocol.to_dict() | rules == protocol.to_dict()
    with pytest.raises(ValueError, match="no option num_trials"):
        protocols.get("pku-sketch", num_trials=10)


def test_a_tree_without_queries_or_gallery(splits):
    dataset = splits[0]
    for modality, role in ((1, "sketch"), (0, "photo")):
        frame = dataset.frame[dataset.frame["modality"] != modality]
        part = reidlib.data.ReIDDataset("pku-sketch", dataset.root, frame, dataset.reader, split=1)
        with pytest.raises(ValueError, match=f"no {role} of a test identity for pku-sketch"):
            protocols.get("pku-sketch").trials(part)


def test_another_data_set_is_refused(imageless):
    with pytest.raises(ValueError, match="'pku-sketch' is for data set 'pku-sketch', not for 'sysu'"):
        protocols.get("pku-sketch").trials(imageless)
