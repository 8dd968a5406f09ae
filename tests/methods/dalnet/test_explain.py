"""Measures of the auxiliary modality: gradients on the true mask, distances of three modalities, as worked by hand."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from reidlib import data, evaluation, explain, methods
from reidlib.data import ReIDDataset
from reidlib.methods.dalnet import explain as instruments
from reidlib.methods.dalnet.auxiliary import XDoG
from reidlib.networks import ReIDModel

SIZE = (64, 32)


@pytest.fixture(scope="module")
def dataset(twin) -> ReIDDataset:
    return data.open("pku-sketch", root=twin("pku-sketch"), split=1)


@pytest.fixture(scope="module")
def dalnet() -> ReIDModel:
    """Drawing something of its own, with some style to draw in."""
    torch.manual_seed(0)
    model = methods.build("dalnet", num_ids=4, backbone="tiny")
    torch.nn.init.normal_(model.generator.refiner.decoder[-1].weight, std=0.5)
    model.generator.refiner.mean.uniform_(0, 1)
    model.image_size = SIZE
    return model.train()


@pytest.fixture(scope="module")
def baseline() -> ReIDModel:
    torch.manual_seed(0)
    model = methods.build("baseline", num_ids=4, backbone="tiny")
    model.image_size = SIZE
    return model


def test_gradient_is_the_central_difference_of_the_luminance() -> None:
    grey = torch.rand(2, 1, 5, 6, generator=torch.Generator().manual_seed(0))
    found = instruments.gradient_magnitude(grey)
    for image, magnitude in zip(grey[:, 0].numpy(), found, strict=True):
        assert magnitude[2, 3] == pytest.approx(
            np.hypot((image[3, 3] - image[1, 3]) / 2, (image[2, 4] - image[2, 2]) / 2), abs=1e-6
        )
    np.testing.assert_allclose(instruments.gradient_magnitude(grey.expand(-1, 3, -1, -1)), found, atol=1e-6)
    assert instruments.gradient_magnitude(torch.full((1, 3, 4, 4), 0.3)).max() < 1e-6


class OfChannels(torch.nn.Module):
    """Test features set by the modality alone; draws a square in the place where the person is told to be."""

    image_size, branches = SIZE, ("shared", "auxiliary")

    def __init__(self) -> None:
        super().__init__()
        self.angles = {"shared": (0.0, 1.2), "auxiliary": (0.5, 1.2)}
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def check_branch(self, branch: str) -> None:
        pass

    def branch_embedding(self, images: torch.Tensor, modality: torch.Tensor, branch: str) -> torch.Tensor:
        angle = torch.tensor(self.angles[branch])[modality]
        return torch.stack([angle.cos(), angle.sin()], dim=1)

    def panel(self, photos: torch.Tensor, donors: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
        drawn = torch.ones(len(photos), 1, *SIZE)
        drawn[:, :, 30:34, 14:18] = 0 if donors is None else 0.5
        return {"photo": torch.ones(len(photos), 3, *SIZE), "auxiliary": drawn}


@pytest.mark.integration
def test_planted_modalities_lie_as_far_apart_as_planted(dataset: ReIDDataset) -> None:
    table = instruments.distance_table(OfChannels(), dataset)
    means = table.groupby("pair", sort=False)[["same", "different"]].mean()
    expected = {
        "sketch–photo": 1 - np.cos(1.2),
        "sketch–auxiliary": 1 - np.cos(0.7),
        "auxiliary–photo": 1 - np.cos(0.5),
    }
    assert list(means.index) == list(expected)
    for pair, distance in expected.items():
        assert means.loc[pair].tolist() == pytest.approx([distance, distance], abs=1e-6)
    values = instruments.auxiliary_values(table)
    assert values["between"] == pytest.approx(0, abs=1e-6), "strangers are as far apart: nothing is gained"
    assert values["identities"] == table["pid"].nunique() and "photos" not in values


@pytest.mark.integration
def test_distances_are_means_over_pairs(dataset: ReIDDataset, dalnet: ReIDModel) -> None:
    table = instruments.distance_table(dalnet, dataset).set_index(["pair", "pid"])
    rows, frame = dataset.rows("test"), dataset.frame
    branches = explain.branch_embeddings(dalnet, dataset, rows)
    of = {name: dict(zip(rows, values.double(), strict=True)) for name, values in branches.items()}
    pids, modality = frame["pid"], frame["modality"]
    kinds = {"sketch": ("shared", 1), "photo": ("shared", 0), "auxiliary": ("auxiliary", 0)}
    pid = pids[rows[0]]
    for pair, (one, other) in instruments.PAIRS.items():
        same, different = [], []
        for i in rows:
            for j in rows:
                if pids[i] == pid and modality[i] == kinds[one][1] and modality[j] == kinds[other][1]:
                    distance = 1 - float(of[kinds[one][0]][i] @ of[kinds[other][0]][j])
                    (same if pids[j] == pid else different).append(distance)
        assert table.loc[(pair, pid)].tolist() == pytest.approx([np.mean(same), np.mean(different)], abs=1e-5)


@pytest.mark.integration
def test_gradient_shares_are_those_of_the_images_on_the_true_mask(dataset: ReIDDataset, dalnet: ReIDModel) -> None:
    rows = dataset.rows("test", modality=0)[:3]
    table = instruments.gradient_table(dalnet, dataset, rows)
    assert table["image"].drop_duplicates().tolist() == ["photo", "fixed XDoG", "cleaned XDoG", "auxiliary"]
    person, _ = explain.masks(dataset, rows)
    assert person.shape[1:] == SIZE, "else masks are brought to the size of the images"
    photos = dataset.images(*SIZE).tensor(rows).float() / 255
    cleaned = torch.from_numpy(instruments.drawings(dalnet, dataset, rows)["cleaned"]).permute(0, 3, 1, 2)
    edges = {name: XDoG(learned=False)(of) for name, of in (("fixed XDoG", photos), ("cleaned XDoG", cleaned))}
    for name, images in {"photo": photos, **edges}.items():
        expected = explain.energy_inside(instruments.gradient_magnitude(images), person)
        np.testing.assert_allclose(table.loc[table["image"] == name, "inside"], expected, atol=1e-4)
    drawn = instruments.drawings(dalnet, dataset, rows)["auxiliary"]
    expected = explain.energy_inside(instruments.gradient_magnitude(torch.from_numpy(drawn)[:, None]), person)
    np.testing.assert_allclose(table.loc[table["image"] == "auxiliary", "inside"], expected, atol=1e-4)
    np.testing.assert_allclose(table["area"][:3], person.mean(axis=(1, 2)))


@pytest.mark.integration
def test_a_drawing_of_the_person_alone_has_all_its_gradient_inside(dataset: ReIDDataset) -> None:
    rows = dataset.rows("test", modality=0)[:5]
    table = instruments.gradient_table(OfChannels(), dataset, rows)
    values = instruments.auxiliary_values(instruments.distance_table(OfChannels(), dataset), table)
    assert values["gradient inside, auxiliary"] > 0.9 > values["gradient inside, photo"], "the middle of a crop"
    assert 0 < values["gradient inside, chance"] < 0.6 and values["photos"] == 5
    one = table[table["image"] == "photo"].groupby("pid")["inside"].mean().mean()
    assert values["gradient inside, photo"] == pytest.approx(one), "identities count alike"


@pytest.mark.integration
def test_a_model_that_draws_nothing_has_the_rest(dataset: ReIDDataset, baseline: ReIDModel) -> None:
    rows = dataset.rows("test", modality=0)[:2]
    assert instruments.gradient_table(baseline, dataset, rows)["image"].tolist() == 2 * ["photo"] + 2 * ["fixed XDoG"]
    table = instruments.distance_table(baseline, dataset)
    assert table["pair"].unique().tolist() == ["sketch–photo"]
    assert "between" not in instruments.auxiliary_values(table)
    about, values = instruments.embedded_modalities(baseline, dataset, dataset.rows("test")[:8])
    assert len(about) == len(values) == 8 and set(about["modality"]) <= {0, 1}
    with pytest.raises(ValueError, match="Baseline has no auxiliary modality: it draws nothing"):
        instruments.drawings(baseline, dataset, rows)


@pytest.mark.integration
def test_drawings_are_those_of_the_model_which_stays_as_it_is(dataset: ReIDDataset, dalnet: ReIDModel) -> None:
    rows, donors = dataset.rows("test", modality=0)[:3], dataset.rows("test", modality=1)[1:4]
    before = {name: tensor.clone() for name, tensor in dalnet.state_dict().items()}
    average, styled = (
        instruments.drawings(dalnet, dataset, rows),
        instruments.drawings(dalnet, dataset, rows, donors),
    )
    assert dalnet.training and all(torch.equal(before[name], t) for name, t in dalnet.state_dict().items())
    assert [*average] == ["photo", "mask", "cleaned", "edges", "auxiliary"]
    assert average["photo"].shape == (3, *SIZE, 3) and average["auxiliary"].shape == (3, *SIZE)
    np.testing.assert_array_equal(average["edges"], styled["edges"])
    assert not np.allclose(average["auxiliary"], styled["auxiliary"], atol=1e-3), "the style is that of the donors"
    mask, photo = average["mask"][..., None], average["photo"]
    np.testing.assert_allclose(average["cleaned"], mask * photo + 1 - mask, atol=1e-5)
    with pytest.raises(ValueError, match="rows must be rows of photo images"):
        instruments.drawings(dalnet, dataset, donors)
    with pytest.raises(ValueError, match="donors must be rows of sketch images"):
        instruments.drawings(dalnet, dataset, rows, rows)


@pytest.mark.integration
def test_embedded_modalities_are_three(dataset: ReIDDataset, dalnet: ReIDModel) -> None:
    rows = dataset.rows("test")[::2]
    about, values = instruments.embedded_modalities(dalnet, dataset, rows)
    photos = rows[dataset.frame["modality"].to_numpy()[rows] == 0]
    assert about["row"].tolist() == [*rows, *photos]
    assert (about["modality"][len(rows) :] == 2).all() and len(values) == len(about)
    np.testing.assert_allclose(values[: len(rows)], evaluation.embed(dalnet, dataset, rows), atol=1e-6)


def test_a_twin_is_needed_for_gradients_and_two_modalities_for_distances(tmp_path: Path, baseline: ReIDModel) -> None:
    frame = pd.DataFrame({"path": ["a.jpg", "b.jpg"], "pid": [1, 2], "camid": 1, "modality": [0, 1], "split": "test"})
    real = ReIDDataset("pku-sketch", tmp_path, frame, data.registry.READERS["pku-sketch"])
    with pytest.raises(ValueError, match="no identity has images of both modalities in test"):
        instruments.distance_table(baseline, real)
    with pytest.raises(ValueError, match="is not a synthetic twin"):
        instruments.gradient_table(baseline, real, np.array([0]))
    with pytest.raises(ValueError, match="rows must be rows of photo images"):
        instruments.gradient_table(baseline, real, np.array([1]))
