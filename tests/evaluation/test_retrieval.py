"""Ranked lists agree with the scores that `rank` computes from the same distances."""

import numpy as np
import pytest
import torch

from reidlib import data
from reidlib.evaluation import pair_distances, protocols, retrieve, score

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def dataset(ci_twin):
    return data.open("sysu", root=ci_twin)


@pytest.fixture(scope="module")
def embeddings(dataset):
    pids = torch.tensor(dataset.frame["pid"].to_numpy()[dataset.rows("test")])
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(int(pids.max()) + 1, 32, generator=generator)
    return centres[pids] + 1.5 * torch.randn(len(pids), 32, generator=generator)


@pytest.mark.parametrize("options", [{}, {"reranking": "k-reciprocal"}], ids=["plain", "re-ranked"])
def test_first_matches_and_order_agree_with_rank(dataset, embeddings, options):
    protocol = protocols.get("sysu", num_trials=2, **options)
    found = retrieve(embeddings, dataset, protocol, trial=1, depth=5)
    ranking = score(embeddings, dataset, protocol).trials[1].ranking
    in_images = np.where(found.correct.any(1), found.correct.argmax(1) + 1, 0)
    assert ((found.first_match == 1) == (ranking.first_match_rank == 1)).all()
    assert (in_images[in_images > 0] == found.first_match[in_images > 0]).all()
    assert (np.diff(found.distances, axis=1) >= 0).all()
    frame = dataset.frame
    same = frame["pid"].to_numpy()[found.query_rows][:, None] == frame["pid"].to_numpy()[found.gallery_rows]
    np.testing.assert_array_equal(found.correct, same)


def test_what_a_query_ignores_is_never_shown(dataset, embeddings):
    found = retrieve(embeddings, dataset, protocols.get("sysu"), depth=1000)
    camids = dataset.frame["camid"].to_numpy()
    from_camera_3 = camids[found.query_rows] == 3
    shown = found.gallery_rows[from_camera_3]
    assert not (camids[shown[shown >= 0]] == 2).any()
    assert (shown < 0).any()
    assert np.isnan(found.distances[from_camera_3][shown < 0]).all()


def test_a_tied_wrong_image_goes_first(dataset):
    found = retrieve(np.ones((len(dataset.rows("test")), 4)), dataset, protocols.get("sysu"))
    assert (found.first_match > 1).all()
    assert not found.correct[:, 0].any()


def test_pairs_are_split_by_identity_and_complete(dataset, embeddings):
    protocol = protocols.get("sysu")
    same, different = pair_distances(embeddings, dataset, protocol)
    trial = protocol.trials(dataset)[0]
    camids = dataset.frame["camid"].to_numpy()
    ignored = np.outer(camids[trial.query_rows] == 3, camids[trial.gallery_rows] == 2).sum()
    assert len(same) + len(different) == len(trial.query_rows) * len(trial.gallery_rows) - ignored
    assert np.median(same) < np.median(different)


def test_embeddings_must_cover_the_test_images(dataset):
    with pytest.raises(ValueError, match="one row per test image"):
        retrieve(np.ones((3, 4)), dataset, protocols.get("sysu"))
