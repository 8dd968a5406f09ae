"""Targets come from other images of the same person, and branch by branch."""

import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from reidlib.explain import branch_embeddings, retrieval_targets

pytestmark = pytest.mark.integration


def test_the_other_modality_shows_the_same_person(dataset, trained):
    rows = dataset.rows("test")[::7]
    targets = retrieval_targets(trained, dataset, rows)
    asked, chosen = dataset.frame.iloc[rows], dataset.frame.iloc[targets.rows]
    np.testing.assert_array_equal(asked["pid"], chosen["pid"])
    np.testing.assert_array_equal(asked["modality"], 1 - chosen["modality"].to_numpy())
    for branch in trained.branches:
        embeddings = retrieval_targets(trained, dataset, rows, branch=branch).embeddings
        expected = branch_embeddings(trained, dataset, targets.rows, [branch])[branch]
        torch.testing.assert_close(embeddings, expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(
        targets.embeddings, retrieval_targets(trained, dataset, rows, branch="shared").embeddings
    )


def test_the_draw_depends_on_seed_and_row_alone(dataset, trained):
    rows = dataset.rows("test")[::7]
    drawn = retrieval_targets(trained, dataset, rows, seed=3).rows
    np.testing.assert_array_equal(retrieval_targets(trained, dataset, rows[::-2], seed=3).rows, drawn[::-2])
    assert (retrieval_targets(trained, dataset, rows, seed=4).rows != drawn).any()
    assert len(np.unique(drawn)) > len(np.unique(dataset.frame["pid"].iloc[rows])) * 2  # not one image a person


def test_the_centroid_leaves_the_image_itself_out(dataset, trained):
    rows = np.append(dataset.rows("test")[5::60], dataset.rows("test")[5])  # one of them twice
    pids = dataset.frame["pid"].to_numpy()
    for branch in trained.branches:
        targets = retrieval_targets(trained, dataset, rows, kind="centroid", branch=branch)
        embeddings = branch_embeddings(trained, dataset, np.arange(len(dataset)), [branch])[branch]
        assert (targets.rows == -1).all()
        for row, target in zip(rows, targets.embeddings, strict=True):
            others = np.flatnonzero((pids == pids[row]) & (np.arange(len(pids)) != row))
            torch.testing.assert_close(target, F.normalize(embeddings[others].mean(0), dim=0), atol=1e-5, rtol=0)


def test_people_without_another_image_are_named(dataset, trained):
    frame = dataset.frame
    lonely = frame[frame["pid"] == frame["pid"].max()]
    alone = frame[(frame["pid"] != frame["pid"].max()) | ((frame["modality"] == 0) & (frame["camid"] == 4))]
    one_modality = dataclasses.replace(dataset, frame=alone)
    row = int(np.flatnonzero(one_modality.frame["pid"] == frame["pid"].max())[0])
    with pytest.raises(
        ValueError, match=f"row {row}: identity {frame['pid'].max()} has no image of the other modality"
    ):
        retrieval_targets(trained, one_modality, np.array([row]))
    retrieval_targets(trained, one_modality, np.array([row]), kind="centroid")
    single = dataclasses.replace(dataset, frame=frame.drop(lonely.index[1:]))
    with pytest.raises(ValueError, match=f"identity {frame['pid'].max()} has a single image"):
        retrieval_targets(trained, single, np.array([0, lonely.index[0]]), kind="centroid")
    with pytest.raises(ValueError, match="unknown kind of target 'itself'; choose one of: other modality, centroid"):
        retrieval_targets(trained, dataset, np.array([0]), kind="itself")
