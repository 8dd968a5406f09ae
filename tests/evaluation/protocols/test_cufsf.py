"""CUFSF's protocol on a frame in the published numbers, without images."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from reidlib.data import ReIDDataset, cufsf
from reidlib.evaluation import protocols, rank, score


def dataset_of(pids, leave_out=()) -> ReIDDataset:
    splits = cufsf.split_of(pids)
    rows = [
        (path, pid, modality, modality, splits[pid])
        for pid in pids
        for modality, path in enumerate((f"photo/{pid:05d}fa.jpg", f"original_sketch/{pid:05d}.jpg"))
        if path not in leave_out
    ]
    frame = pd.DataFrame(rows, columns=["path", "pid", "camid", "modality", "split"])
    return ReIDDataset("cufsf", Path("no where"), frame, cufsf.READER)


@pytest.fixture(scope="module")
def whole() -> ReIDDataset:
    return dataset_of(range(1, 1195))


def test_each_test_sketch_meets_all_test_photographs(whole):
    protocol = protocols.get("cufsf")
    [trial] = protocol.trials(whole)
    query, gallery = whole.frame.iloc[trial.query_rows], whole.frame.iloc[trial.gallery_rows]
    assert len(query) == len(gallery) == 694
    assert set(query["modality"]) == {1} and set(gallery["modality"]) == {0}
    assert query["path"].str.startswith("original_sketch/").all() and gallery["path"].str.startswith("photo/").all()
    assert query["pid"].tolist() == gallery["pid"].tolist() == sorted(set(query["pid"]))
    assert set(query["split"]) == set(gallery["split"]) == {"test"}
    assert protocol.exclude(query, gallery) is None
    assert (protocol.name, protocol.direction, protocol.cmc_rule, protocol.num_trials) == (
        "cufsf",
        "sketch-photo",
        "images",
        1,
    )


def test_an_oracle_is_always_right(whole):
    pids = torch.tensor(whole.frame["pid"])
    result = score(torch.nn.functional.one_hot(pids, 1200).float(), whole, protocols.get("cufsf"))
    assert result.cmc[1] == result.mean_average_precision == result.mean_inverse_negative_penalty == 1.0


def test_random_distances_match_chance(whole):
    [trial] = protocols.get("cufsf").trials(whole)
    pids = whole.frame["pid"].to_numpy()[trial.query_rows]
    generator = torch.Generator().manual_seed(0)
    results = [rank(torch.rand(694, 694, generator=generator), pids, pids, ranks=(1, 10)) for _ in range(20)]
    # one match among 694: it is first in 1 of 694, and the mean of 1/r over all ranks r is the harmonic number over 694
    harmonic = (1 / np.arange(1, 695)).sum() / 694
    assert np.mean([r.cmc[1] for r in results]) == pytest.approx(1 / 694, abs=1e-3)
    assert np.mean([r.cmc[10] for r in results]) == pytest.approx(10 / 694, abs=3e-3)
    assert np.mean([r.mean_average_precision for r in results]) == pytest.approx(harmonic, abs=1e-3)


def test_a_test_identity_without_its_pair_is_refused():
    pids = range(1, 41)
    pid = min(pid for pid, split in cufsf.split_of(pids).items() if split == "test")
    for path in (f"photo/{pid:05d}fa.jpg", f"original_sketch/{pid:05d}.jpg"):
        with pytest.raises(ValueError, match=rf"1 test identities lack their photo or sketch, {pid:05d} for one"):
            protocols.get("cufsf").trials(dataset_of(pids, leave_out=[path]))


def test_a_training_identity_without_its_pair_is_not_asked_for():
    pids = range(1, 41)
    pid = min(pid for pid, split in cufsf.split_of(pids).items() if split == "train")
    [trial] = protocols.get("cufsf").trials(dataset_of(pids, leave_out=[f"photo/{pid:05d}fa.jpg"]))
    assert len(trial.query_rows) == 23


def test_a_frame_without_test_images_is_refused():
    frame = dataset_of([1, 2, 3]).frame.assign(split="train")
    with pytest.raises(ValueError, match="no sketch of a test identity"):
        protocols.get("cufsf").trials(ReIDDataset("cufsf", Path("no where"), frame, cufsf.READER))
