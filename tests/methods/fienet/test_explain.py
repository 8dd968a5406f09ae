"""Losses on centres in the plane do what is said of them; distances of centres are those of a loop."""

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from reidlib import explain
from reidlib.data import ReIDDataset, normalise
from reidlib.methods import fienet
from reidlib.methods.fienet.explain import LOSSES


@pytest.fixture(scope="module")
def toy():
    return fienet.explain.center_toy()


def test_each_loss_has_the_same_points(toy) -> None:
    assert toy["loss"].unique().tolist() == list(LOSSES) and (toy["value"] > 0).all()
    by_loss = [part.reset_index(drop=True) for _, part in toy.groupby("loss", sort=False)]
    for part in by_loss[1:]:
        assert part[["kind", "pid", "modality", "x", "y"]].equals(by_loss[0][["kind", "pid", "modality", "x", "y"]])
    images, centres = (by_loss[0][by_loss[0]["kind"] == kind] for kind in ("image", "centre"))
    assert len(images) == 18 and len(centres) == 6
    means = images.groupby(["pid", "modality"])[["x", "y"]].mean().to_numpy()
    np.testing.assert_allclose(centres[["x", "y"]].to_numpy(float), means)


def test_arrows_lead_downhill(toy) -> None:
    for name, part in toy[toy["kind"] == "image"].groupby("loss"):
        points = torch.tensor(part[["x", "y"]].to_numpy(float))
        arrows = torch.tensor(part[["dx", "dy"]].to_numpy(float))
        pids, modality = (torch.tensor(part[column].to_numpy()) for column in ("pid", "modality"))
        before, after = (LOSSES[name](points + rate * arrows, pids, modality).item() for rate in (0, 1e-4))
        assert before == pytest.approx(part["value"].iloc[0])
        assert (before - after) / 1e-4 == pytest.approx(arrows.square().sum().item(), rel=1e-2)


def test_losses_do_what_the_text_says(toy) -> None:
    images = toy[toy["kind"] == "image"]
    for name in ("IGCL, intra", "IGCL, inter"):
        part = images[images["loss"] == name]
        assert (part["x"] * part["dx"] + part["y"] * part["dy"]).abs().max() < 1e-12, (
            "it turns, and leaves lengths alone"
        )
    inter = images[images["loss"] == "IGCL, inter"]
    moved = inter.groupby("pid")[["dx", "dy"]].agg(lambda values: values.abs().max()).max(axis=1)
    assert (moved > 1e-3).tolist() == [True, True, False], (
        "identities that are near each other move, the third does not"
    )
    for name in ("hetero-centre", "hetero-centre triplet"):
        arrows = images[images["loss"] == name].groupby(["pid", "modality"])[["dx", "dy"]]
        assert arrows.std().max(axis=None) < 1e-12, "all images of a cloud move together"


@pytest.mark.integration
def test_distances_are_those_of_a_loop(dataset: ReIDDataset, trained) -> None:
    table = fienet.explain.center_distances(trained, dataset, per_modality=2, seed=1)
    rows = explain.sample_rows(dataset, per_modality=2, seed=1)
    frame = dataset.frame.iloc[rows].reset_index(drop=True)
    modality = torch.tensor(frame["modality"].tolist())
    images = normalise(dataset.images(64, 32, progress=False).tensor(rows))
    with torch.no_grad():
        outputs = trained(images, modality)
    people = sorted(frame["pid"].unique())
    for place, features in (("before the neck", outputs.features), ("after the neck", outputs.embeddings)):
        unit, centres = F.normalize(features["shared"].double(), dim=1), {}
        for pid in people:
            of = [unit[np.flatnonzero((frame["pid"] == pid) & (frame["modality"] == m))].mean(0) for m in (0, 1)]
            centres[pid] = F.normalize(of[0] + of[1], dim=0)
        part = table[table["place"] == place]
        assert list(zip(part["one"], part["other"], strict=True)) == list(itertools.combinations(people, 2))
        expected = [(centres[a] - centres[b]).norm().item() for a, b in itertools.combinations(people, 2)]
        np.testing.assert_allclose(part["distance"], expected, atol=1e-4)
