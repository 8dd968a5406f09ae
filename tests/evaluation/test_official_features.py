"""The features that the owners of SYSU-MM01 publish with their evaluation code must score here as they score there.

They run where ``$REIDLIB_DATA/sysu-official`` is a copy of the folder ``evaluation/`` of github.com/wuancong/SYSU-MM01:
``feature/feat_deep_zero_padding_cam1.mat`` to ``cam6.mat`` and ``data_split/rand_perm_cam.mat``. They carry no licence
that would let this repository hold them.
"""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.io import loadmat, savemat
from scipy.spatial.distance import cdist

from reidlib import paths
from reidlib.data import ReIDDataset, sysu
from reidlib.evaluation import protocols, rank, score
from reidlib.twins.sysu import TEST_IDS

FEATURES = "feature/feat_deep_zero_padding_cam{}.mat"
PERMUTATIONS = "data_split/rand_perm_cam.mat"
PUBLISHED = {"rank-1": 16.705, "rank-5": 42.43, "rank-10": 58.46, "rank-20": 76.12, "mAP": 19.104}
"""In per cent: all-search, single-shot, the mean of ten galleries, as the owners' code prints it."""


def read(folder: Path, root: Path) -> tuple[ReIDDataset, np.ndarray]:
    """The test part of SYSU-MM01 as the features tell it, without images, and the features (rows of its frame, D).

    In each file, cell ``feature{pid}`` holds a row for every image of the identity, in the order of file numbers.
    """
    (root / "exp").mkdir(parents=True)
    shutil.copy(folder / PERMUTATIONS, root / sysu.PERMUTATIONS)
    rows, features = [], []
    for camid in sysu.CAMERAS:
        cells = np.ravel(loadmat(folder / FEATURES.format(camid))["feature"])
        for pid in [pid for pid in TEST_IDS if pid <= len(cells) and np.size(cells[pid - 1])]:
            images, modality = cells[pid - 1], int(camid in sysu.INFRARED_CAMERAS)
            names = [f"cam{camid}/{pid:04d}/{number:04d}.jpg" for number in range(1, len(images) + 1)]
            rows += [(name, pid, camid, modality, "test") for name in names]
            features.append(np.asarray(images, dtype=np.float64))
    frame = pd.DataFrame(rows, columns=["path", "pid", "camid", "modality", "split"])
    return ReIDDataset("sysu", root, frame, sysu.READER), np.concatenate(features)


def means(dataset: ReIDDataset, features: np.ndarray) -> dict[str, float]:
    """Scores in per cent by Euclidean distance of the features as they are, which is what the owners' code takes."""
    protocol, metrics = protocols.get("sysu", search="all", shots=1, gallery="official"), []
    for trial in protocol.trials(dataset):
        query, gallery = (dataset.frame.iloc[rows] for rows in (trial.query_rows, trial.gallery_rows))
        ranking = rank(
            cdist(features[trial.query_rows], features[trial.gallery_rows]),
            query["pid"],
            gallery["pid"],
            exclude=protocol.exclude(query, gallery),
            distinct_ids=protocol.distinct_ids,
        )
        metrics.append(ranking.metrics)
    return (100 * pd.DataFrame(metrics).mean()).to_dict()


def test_published_features_score_as_published(tmp_path):
    folder = paths.data_root("sysu-official")
    needed = [PERMUTATIONS, *(FEATURES.format(camid) for camid in sysu.CAMERAS)]
    if folder is None or not all((folder / path).is_file() for path in needed):
        pytest.skip(f"$REIDLIB_DATA/sysu-official lacks {needed[0]} or {needed[1]} …: see the top of this file")
    dataset, features = read(folder, tmp_path / "sysu")
    assert len(dataset) == 6775 + 3803
    found = means(dataset, features)
    assert {name: found[name] for name in PUBLISHED} == pytest.approx(PUBLISHED, abs=0.0051)


def test_features_in_this_form_score_as_any_others(small, tmp_path):
    """The reading above, on features of our own in the same files: of unit length, so that cosines rank alike."""
    folder = tmp_path / "evaluation"
    for path in (FEATURES, PERMUTATIONS):
        (folder / path).parent.mkdir(parents=True)
    shutil.copy(small.root / sysu.PERMUTATIONS, folder / PERMUTATIONS)
    own = np.random.default_rng(0).normal(size=(len(small), 8))
    own /= np.linalg.norm(own, axis=1, keepdims=True)
    for camid in sysu.CAMERAS:
        cells = np.empty((1, 533), dtype=object)
        for pid in range(1, 534):
            cells[0, pid - 1] = own[(small.frame["camid"] == camid) & (small.frame["pid"] == pid)]
        savemat(folder / FEATURES.format(camid), {"feature": cells})
    dataset, features = read(folder, tmp_path / "sysu")
    assert sorted(dataset.frame["path"]) == sorted(small.frame["path"])
    expected = score(own, small, protocols.get("sysu")).mean
    assert means(dataset, features) == pytest.approx({name: 100 * value for name, value in expected.items()})
