"""RegDB's protocol: sizes, chance, oracle, and that images go through the branch of their own modality."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import reidlib.data
from reidlib import evaluation
from reidlib.data import ReIDDataset, regdb
from reidlib.evaluation import protocols

DIRECTIONS = {"visible-infrared": (0, 1), "infrared-visible": (1, 0)}


@pytest.fixture(scope="module")
def real() -> ReIDDataset:
    """A split of RegDB in its real numbers, without files: 206 identities, ten images a modality."""
    rows = [
        (f"{folder}/{pid}/{image}.bmp", pid, camid, camid - 1, "train" if pid % 2 else "test")
        for pid in range(1, 413)
        for folder, camid in (("Visible", 1), ("Thermal", 2))
        for image in range(10)
    ]
    frame = pd.DataFrame(rows, columns=["path", "pid", "camid", "modality", "split"])
    return ReIDDataset("regdb", Path("nowhere"), frame, regdb.READER, split=1)


@pytest.mark.parametrize(("direction", "modalities"), DIRECTIONS.items())
def test_all_test_images_take_part_once(real, direction, modalities):
    protocol = protocols.get("regdb", direction=direction)
    [trial] = protocol.trials(real)
    for rows, modality in zip((trial.query_rows, trial.gallery_rows), modalities, strict=True):
        part = real.frame.iloc[rows]
        assert len(set(rows)) == len(rows) == 2060
        assert set(part["modality"]) == {modality} and set(part["split"]) == {"test"}
    assert protocol.exclude(real.frame.iloc[trial.query_rows], real.frame.iloc[trial.gallery_rows]) is None
    assert not protocol.distinct_ids and protocol.num_trials == 1
    assert protocol.name == f"regdb-{direction}"


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_oracle_is_perfect(real, direction):
    embeddings = torch.nn.functional.one_hot(torch.from_numpy(real.frame["pid"].to_numpy(copy=True)))
    result = evaluation.score(embeddings.float(), real, protocols.get("regdb", direction=direction))
    assert set(result.mean.values()) == {1.0}
    assert result.trials[0].ranking.valid_queries == 2060 and result.split == 1


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_chance_level(real, direction):
    """CMC of random distances is known exactly; the table was found independently, from a single draw."""
    protocol = protocols.get("regdb", direction=direction)
    [trial] = protocol.trials(real)
    pids = [real.frame["pid"].to_numpy()[rows] for rows in (trial.query_rows, trial.gallery_rows)]
    rng = np.random.default_rng(0)
    scores = [list(evaluation.rank(rng.random((2060, 2060)), *pids).metrics.values()) for _ in range(4)]
    mean, deviation = 100 * np.mean(scores, axis=0), 100 * np.std(scores, axis=0, ddof=1)
    cmc = np.array([1 - math.comb(2050, k) / math.comb(2060, k) for k in (1, 5, 10, 20)])
    noise = np.sqrt(cmc * (1 - cmc) / 2060)
    assert (np.abs(mean[:4] - 100 * cmc) < 4 * 100 * noise / np.sqrt(4)).all(), mean.round(2)
    table, rounding = [0.4, 2.1, 4.4, 8.3, 0.81, 0.54], [0.05, 0.05, 0.05, 0.05, 0.005, 0.005]
    assert (np.abs(mean - table) < 3 * np.append(100 * noise, deviation[4:]) + rounding).all(), mean.round(2)


def test_defaults_round_trip_and_wrong_values():
    protocol = protocols.get("regdb")
    assert protocol == protocols.get("regdb", direction="visible-infrared")
    for direction in DIRECTIONS:
        saved = protocols.get("regdb", direction=direction)
        assert protocols.from_dict(saved.to_dict()) == saved
    with pytest.raises(ValueError, match="direction='thermal-visible' is unknown; known: 'visible-infrared', 'infr"):
        protocols.get("regdb", direction="thermal-visible")
    with pytest.raises(ValueError, match="no option num_trials"):
        protocols.get("regdb", num_trials=10)


@pytest.mark.parametrize(("modality", "role"), [(0, "query"), (1, "gallery")])
def test_a_split_without_queries_or_gallery(real, modality, role):
    frame = real.frame[(real.frame["split"] == "train") | (real.frame["modality"] != modality)]
    with pytest.raises(ValueError, match=f"no {role} image of a test identity"):
        protocols.get("regdb").trials(ReIDDataset("regdb", Path("nowhere"), frame, regdb.READER))


# --- branches ------------------------------------------------------------------------------------------------------

PIDS, LEVELS = (2, 3, 10, 100), (20, 80, 140, 200)
"""Visible images of the i-th identity are red at the i-th level; thermal ones are grey at the level after it."""


class TwoBranches:
    """Its visible branch reads the level of red, its infrared branch the level before that of grey."""

    def __init__(self) -> None:
        self.seen: set[tuple[int, bool]] = set()

    def embed(self, images: torch.Tensor, modality: torch.Tensor) -> torch.Tensor:
        red, green = (
            (images[:, c].mean((1, 2)) * std + mean) * 255 for c, mean, std in ((0, 0.485, 0.229), (1, 0.456, 0.224))
        )
        self.seen |= set(zip(modality.tolist(), (red - green).abs().lt(5).tolist(), strict=True))
        level = (red[:, None] - torch.tensor(LEVELS)).abs().argmin(1)
        return torch.nn.functional.one_hot((level - modality) % len(LEVELS), len(LEVELS)).float()


@pytest.fixture
def coded(tmp_path, monkeypatch) -> ReIDDataset:
    """A small tree of such images."""
    monkeypatch.setenv("REIDLIB_CACHE", str(tmp_path / "cache"))
    root = tmp_path / "RegDB"
    (root / "idx").mkdir(parents=True)
    for modality, folder in (("visible", "Visible"), ("thermal", "Thermal")):
        for part, pids in (("test", PIDS), ("train", (5, 6))):
            lines = ""
            for number, pid in enumerate(pids):
                (root / folder / str(pid)).mkdir(parents=True)
                visible, thermal = LEVELS[number], LEVELS[(number + 1) % len(LEVELS)]
                for image in range(3):
                    path = f"{folder}/{pid}/male_front_{modality[0]}_{image:05d}_{pid}.bmp"
                    colour = (visible, 0, 0) if modality == "visible" else (thermal,) * 3
                    Image.new("RGB", (8, 16), colour).save(root / path)
                    lines += f"{path} {number}\n"
            (root / f"idx/{part}_{modality}_1.txt").write_text(lines)
    return reidlib.data.open("regdb", root, split=1)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_an_image_goes_through_the_branch_of_its_own_modality(coded, direction):
    model = TwoBranches()
    result = evaluation.evaluate(model, coded, protocols.get("regdb", direction=direction), height=16, width=8)
    assert model.seen == {(0, False), (1, True)}, "red images as visible, grey images as infrared"
    assert result.mean["rank-1"] == result.mean["mAP"] == 1.0


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_swapped_branches_find_nobody(coded, direction):
    """The control of the test above: fed through the wrong branches, the same images match the wrong people."""
    frame = coded.frame.assign(modality=1 - coded.frame["modality"])
    swapped, model = ReIDDataset("regdb", coded.root, frame, regdb.READER, split=1), TwoBranches()
    result = evaluation.evaluate(model, swapped, protocols.get("regdb", direction=direction), height=16, width=8)
    assert model.seen == {(0, True), (1, False)}
    assert result.mean["rank-1"] == 0.0


def test_each_split_is_one_result_and_report_says_how_many_there_are(coded):
    embeddings = torch.eye(len(coded))
    protocol = protocols.get("regdb")
    splits = [ReIDDataset("regdb", coded.root, coded.frame, regdb.READER, split=split) for split in (1, 2)]
    results = [evaluation.score(embeddings, split, protocol) for split in splits]
    assert [result.source for result in results] == ["regdb split 1", "regdb split 2"]
    table = evaluation.report(results)
    assert table[["data set", "averaged over"]].values.tolist() == [["regdb", "2 of 10 splits"]]
