"""The protocol of QMUL-ShoeV2 and -ChairV2 on frames in the published numbers, without images."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from reidlib.data import ReIDDataset, qmul
from reidlib.evaluation import protocols, report, score

PUBLISHED = {"chair": (300, 100, 952, 323), "shoe": (1800, 200, 6051, 679)}


def frame(name: str, unsketched: int = 0) -> ReIDDataset:
    """Photos and sketches in the published numbers, sketches spread over the photos but the last ``unsketched``."""
    train, test, train_sketches, test_sketches = PUBLISHED[name]
    rows = []
    for split, first, photos, sketches in (("train", 0, train, train_sketches), ("test", train, test, test_sketches)):
        rows += [(f"{split}B/{pid}.png", pid, 0, 0, split) for pid in range(first, first + photos)]
        drawn = photos - unsketched
        rows += [(f"{split}A/{first + k % drawn}_{k}.png", first + k % drawn, 1, 1, split) for k in range(sketches)]
    table = pd.DataFrame(rows, columns=["path", "pid", "camid", "modality", "split"])
    return ReIDDataset(name, Path("nowhere"), table, {"chair": qmul.CHAIR, "shoe": qmul.SHOE}[name])


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_test_sketch_looks_among_every_test_photo_once(name):
    dataset, protocol = frame(name), protocols.get(name)
    [trial] = protocol.trials(dataset)
    query, gallery = dataset.frame.iloc[trial.query_rows], dataset.frame.iloc[trial.gallery_rows]
    assert (len(query), len(gallery)) == (PUBLISHED[name][3], PUBLISHED[name][1])
    assert set(query["split"]) == set(gallery["split"]) == {"test"}
    assert set(query["modality"]) == {1} and set(gallery["modality"]) == {0}
    assert gallery["pid"].is_unique
    assert protocol.exclude(query, gallery) is None


@pytest.mark.parametrize("name", PUBLISHED)
def test_oracle_and_chance(name):
    dataset, protocol = frame(name), protocols.get(name)
    photos = PUBLISHED[name][1]
    pids = torch.from_numpy(dataset.frame["pid"].to_numpy(copy=True))
    oracle = score(torch.eye(int(pids.max()) + 1)[pids], dataset, protocol)
    assert set(oracle.mean.values()) == {1.0}
    generator = torch.Generator().manual_seed(0)
    draws = [score(torch.randn(len(pids), 32, generator=generator), dataset, protocol).mean for _ in range(20)]
    for k in (1, 5, 10):
        values = [draw[f"rank-{k}"] for draw in draws]
        assert np.mean(values) == pytest.approx(k / photos, abs=4 * np.std(values) / 20**0.5)
    expected = (1 / np.arange(1, photos + 1)).mean()  # one match at a random rank
    values = [draw["mAP"] for draw in draws]
    assert np.mean(values) == pytest.approx(expected, abs=4 * np.std(values) / 20**0.5)


def test_accuracy_counts_sketches_not_photos():
    """Three sketches of one photo, one of them at the third place: 2/3, 2/3, …, whatever the other photo does."""
    rows = [(f"testB/{pid}.png", pid, 0, 0, "test") for pid in range(6)] + [
        (f"testA/0_{k}.png", 0, 1, 1, "test") for k in range(3)
    ]
    table = pd.DataFrame(rows, columns=["path", "pid", "camid", "modality", "split"])
    dataset = ReIDDataset("shoe", Path("nowhere"), table, qmul.SHOE)
    embeddings = torch.eye(6)[[0, 1, 2, 3, 4, 5, 0, 0, 0]]
    embeddings[8] = torch.tensor([0.6, 0.7, 0.8, 0.1, 0.1, 0.1])
    result = score(embeddings, dataset, protocols.get("shoe"))
    assert result.mean["rank-1"] == pytest.approx(2 / 3) and result.mean["rank-5"] == 1.0
    assert result.mean_average_precision == pytest.approx((1 + 1 + 1 / 3) / 3)


def test_photos_without_sketch_stay_in_the_gallery():
    dataset = frame("chair", unsketched=10)
    [trial] = protocols.get("chair").trials(dataset)
    assert len(trial.gallery_rows) == 100
    assert dataset.frame["pid"].iloc[trial.query_rows].nunique() == 90


def test_tables_say_accuracy():
    dataset = frame("chair")
    pids = torch.from_numpy(dataset.frame["pid"].to_numpy(copy=True))
    result = score(torch.eye(400)[pids], dataset, protocols.get("chair"))
    assert {"acc@1", "acc@5", "acc@10", "mAP"} <= set(result.table().columns)
    assert "acc@1" in repr(result) and "acc@1" in report([result]).columns
    assert "rank-1" in result.mean, "code finds it under one name for all data sets"


def test_rules_are_said_and_saved():
    protocol = protocols.get("shoe")
    assert str(protocol) == "shoe"
    record = protocol.to_dict()
    expected = {"dataset": "shoe", "direction": "sketch-photo", "camera_rule": "none", "cmc_rule": "images"}
    assert record | expected | {"num_trials": 1, "reranking": "none"} == record
    assert protocols.from_dict(record) == protocol
    with pytest.raises(ValueError, match="has no option direction"):
        protocols.get("shoe", direction="photo-sketch")


def test_other_data_sets_are_refused():
    with pytest.raises(ValueError, match="'chair' is for data set 'chair', not for 'shoe'"):
        protocols.get("chair").trials(frame("shoe"))


@pytest.mark.parametrize(("modality", "role"), [(1, "sketch"), (0, "photo")])
def test_a_test_without_sketches_or_photos_is_refused(modality, role):
    whole = frame("chair")
    table = whole.frame[(whole.frame["split"] == "train") | (whole.frame["modality"] != modality)]
    dataset = ReIDDataset("chair", Path("nowhere"), table, qmul.CHAIR)
    with pytest.raises(ValueError, match=f"no {role} of a test identity for chair"):
        protocols.get("chair").trials(dataset)
