"""Numbers of rows by modality, noted on a tensor or read from it."""

import pytest
import torch

from reidlib.networks.backbone import Backbone
from reidlib.networks.division import division, noted, rows, uniform

MIXED = torch.tensor([1, 0, 0, 1, 1])


def test_counts_and_rows_of_each_modality() -> None:
    assert division(MIXED, 3) == ((2, 3, 0), False)
    assert division(MIXED.sort().values, 2) == ((2, 3), True)
    for modality in (MIXED, MIXED.sort().values):
        for number, found in enumerate(rows(modality, 3, modality.device)):
            assert torch.equal(found, (modality == number).nonzero()[:, 0])


def test_a_note_is_believed_and_not_inherited() -> None:
    tensor = noted(torch.zeros(5, dtype=torch.long), MIXED.numpy())  # a GPU's values would not be looked at either
    assert division(tensor, 2) == ((2, 3), False)
    assert division(tensor.clone(), 2) == ((5, 0), True)


def test_uniform_batches() -> None:
    images = torch.zeros(4, 3, 8, 8)
    assert division(uniform(1, images), 2) == ((0, 4), True) and torch.equal(uniform(1, images), torch.ones(4).long())
    assert division(uniform(0, images), 3) == ((4, 0, 0), True)


@pytest.mark.parametrize(
    "modality, message",
    [
        (noted(torch.tensor([2, 2]), torch.tensor([2, 2])), "modality must be 0 to 1, but has 2 to 2"),
        (uniform(2, torch.zeros(3)), "modality must be 0 to 1, but has 2 to 2"),
        (torch.tensor([0, 2]), "modality must be 0 to 1, but has 0 to 2"),
        (torch.tensor([0, -1]), "modality must be 0 to 1, but has -1 to 0"),
    ],
)
def test_unknown_modalities_are_refused(modality: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        division(modality, 2)
    with pytest.raises(ValueError, match=message):
        Backbone("tiny")(torch.zeros(len(modality), 3, 32, 16), modality)


def test_negative_modalities_are_refused_when_noted() -> None:
    with pytest.raises(ValueError, match="modality must be 0 or more, but has -1 to 3"):
        noted(torch.zeros(2), torch.tensor([3, -1]))
