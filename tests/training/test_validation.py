"""Validation: which identities are held out, and that they are scored by the rules of the protocol."""

import numpy as np
import pytest
import torch

from reidlib.data import ReIDDataset, normalise, sysu
from reidlib.evaluation import rank
from reidlib.training.validation import split, validate

PIDS = np.arange(1, 17)


class ByIdentity(torch.nn.Module):
    """Embeds an image by its mean colour: stripes of one person agree within a modality, not across."""

    image_size = (32, 16)

    def __init__(self):
        super().__init__()
        self.unused = torch.nn.Parameter(torch.zeros(1))

    def embed(self, images: torch.Tensor, modality: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.normalize(images.flatten(1), dim=1)


def test_sides_are_disjoint_and_labels_consecutive(dataset: ReIDDataset) -> None:
    part = split(dataset, 0.25)
    pids = dataset.frame["pid"].to_numpy()
    held_out = set(pids[part.query_rows])
    assert len(held_out) == 4 and held_out == set(pids[part.gallery_rows])
    assert set(part.pids) == set(PIDS) - held_out and list(part.pids) == sorted(part.pids)
    assert (part.pids[part.labels] == pids[part.rows]).all() and part.labels.dtype == np.int64
    assert set(part.labels) == set(range(12)) and len(part.rows) == 12 * 12
    used = np.concatenate([part.rows, part.query_rows, part.gallery_rows])
    assert set(dataset.frame["split"].iloc[used]) == {"train"}


def test_queries_are_all_infrared_images_and_the_gallery_one_a_camera(dataset: ReIDDataset) -> None:
    part = split(dataset, 0.25)
    query, gallery = dataset.frame.iloc[part.query_rows], dataset.frame.iloc[part.gallery_rows]
    assert (query["modality"] == 1).all() and len(query) == 4 * 2 * 2
    assert (gallery["modality"] == 0).all() and len(gallery) == 4 * 4
    assert not gallery.duplicated(["pid", "camid"]).any()


def test_draw_repeats(dataset: ReIDDataset) -> None:
    first, second = split(dataset, 0.25), split(dataset, 0.25)
    assert all((one == other).all() for one, other in zip(first, second, strict=True))


def test_without_a_share_everybody_is_trained_on(dataset: ReIDDataset) -> None:
    part = split(dataset, 0.0)
    assert (part.pids == PIDS).all() and len(part.query_rows) == len(part.gallery_rows) == 0
    assert (part.rows == dataset.rows("train")).all() and (part.labels == dataset.train_labels()[0]).all()


def test_identities_of_one_modality_are_not_held_out(dataset: ReIDDataset) -> None:
    is_lonely = dataset.frame["pid"].isin(range(1, 13)) & dataset.frame["camid"].isin(sysu.INFRARED_CAMERAS)
    lonely = ReIDDataset("sysu", dataset.root, dataset.frame[~is_lonely], sysu.READER)
    part = split(lonely, 0.25)
    assert set(lonely.frame["pid"].iloc[part.gallery_rows]) == {13, 14, 15, 16}


@pytest.mark.parametrize("share", [0.05, 0.95])
def test_a_share_without_a_pair_of_identities_is_refused(dataset: ReIDDataset, share: float) -> None:
    with pytest.raises(ValueError, match=rf"validation_share={share} holds out \d+ of 16 identities"):
        split(dataset, share)


def test_scores_follow_the_camera_rule_and_count_identities(dataset: ReIDDataset) -> None:
    part, model = split(dataset, 0.25), ByIdentity()
    scores = validate(model, dataset, part)
    images, frame = dataset.images(32, 16), dataset.frame
    features = [model.embed(normalise(images.tensor(rows)), None) for rows in (part.query_rows, part.gallery_rows)]
    query, gallery = frame.iloc[part.query_rows], frame.iloc[part.gallery_rows]
    same_room = (query["camid"] == 3).to_numpy()[:, None] & (gallery["camid"] == 2).to_numpy()
    distances = 1 - features[0] @ features[1].T
    expected = rank(distances, query["pid"], gallery["pid"], exclude=same_room, distinct_ids=True).metrics
    assert scores == pytest.approx(expected)
    assert scores.keys() >= {"rank-1", "mAP", "mINP"}
    without = rank(distances, query["pid"], gallery["pid"]).metrics
    assert scores["mAP"] != pytest.approx(without["mAP"]), "the rule changes nothing here: the test is blind"
