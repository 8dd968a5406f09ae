"""Targets come from other images of the same person, and branch by branch."""

import dataclasses

import numpy as np
import pytest
import torch

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


def test_the_draw_depends_on_the_row_alone(dataset, trained):
    rows = dataset.rows("test")[::7]
    drawn = retrieval_targets(trained, dataset, rows).rows
    np.testing.assert_array_equal(retrieval_targets(trained, dataset, rows[::-2]).rows, drawn[::-2])
    assert len(np.unique(drawn)) > len(np.unique(dataset.frame["pid"].iloc[rows])) * 2  # not one image a person


def test_people_without_another_image_are_named(dataset, trained):
    frame = dataset.frame
    alone = frame[(frame["pid"] != frame["pid"].max()) | ((frame["modality"] == 0) & (frame["camid"] == 4))]
    one_modality = dataclasses.replace(dataset, frame=alone)
    row = int(np.flatnonzero(one_modality.frame["pid"] == frame["pid"].max())[0])
    with pytest.raises(
        ValueError, match=f"row {row}: identity {frame['pid'].max()} has no image of the other modality"
    ):
        retrieval_targets(trained, one_modality, np.array([row]))
