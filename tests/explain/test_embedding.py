import builtins
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F

from reidlib import evaluation, methods
from reidlib.data import normalise
from reidlib.explain import branch_embeddings, cams, embedding, embedding_table, occlusion_maps, project, sample_rows
from reidlib.explain.embedding import instance_statistics


@pytest.mark.slow
def test_clusters_stay_together_and_the_seed_decides():
    generator = np.random.default_rng(0)
    centres = 10 * generator.standard_normal((3, 64))
    labels = np.repeat(np.arange(3), 30)
    features = centres[labels] + generator.standard_normal((90, 64))
    points = project(features, seed=1)
    assert points.shape == (90, 2)
    means = np.stack([points[labels == k].mean(0) for k in range(3)])
    nearest = np.linalg.norm(points[:, None] - means, axis=2).argmin(1)
    assert (nearest == labels).all()
    np.testing.assert_array_equal(points, project(features, seed=1))


@pytest.mark.slow
def test_torch_keeps_its_number_of_threads():
    """A script that draws and then trains on would otherwise train with other bits."""
    code = """
import numpy as np, torch
from reidlib.explain import project
before = torch.get_num_threads()
project(np.random.default_rng(0).standard_normal((40, 8)))
print(before, torch.get_num_threads())
"""
    threads = {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", code], env=os.environ | threads, text=True, capture_output=True)
    assert done.stdout.split() == ["1", "1"], done.stderr


@pytest.mark.slow
def test_copies_are_one_point_and_the_seed_decides():
    """Nine copies of ten rows: UMAP alone gives another picture each time, on several threads."""
    rows = np.random.default_rng(1).standard_normal((10, 8)).astype(np.float32)
    points = project(np.concatenate([rows] * 9))
    assert all(np.array_equal(points[:10], part) for part in np.split(points, 9))
    np.testing.assert_array_equal(points[:10], project(rows))  # copies change nothing
    mixed = np.array([3, 0, 3, 9, 0, 1, 2, 4, 5, 6, 7, 8])
    _, first = np.unique(mixed, return_index=True)
    np.testing.assert_array_equal(project(rows[mixed]), project(rows[mixed[np.sort(first)]])[place_of_first(mixed)])


def place_of_first(values):
    """For each value, its place among the different ones in the order of their first occurrence."""
    seen = list(dict.fromkeys(values.tolist()))
    return np.array([seen.index(value) for value in values.tolist()])


@pytest.mark.parametrize("rows", [[[1.0, 2.0]], [[0, 0], [3, 4]], [[0.0], [1.0], [5.0]], [[2, 2]] * 7])
def test_a_few_points_lie_as_pca_puts_them(rows):
    points = project(rows)
    assert points.shape == (len(rows), 2) and points.dtype == np.float32
    rows = np.array(rows, float)
    distances = [np.linalg.norm(each[:, None] - each, axis=2) for each in (rows, points)]
    np.testing.assert_allclose(*distances, atol=1e-5)  # two dimensions or fewer lose nothing


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ([[0.0, 1], [np.nan, 1]], "features holds 1 embeddings with NaN or infinite values; the first is 1"),
        ([[1e300, 1]], "the first is 0"),  # infinite in single precision
        ([1.0, 2.0], r"features must be real embeddings of shape \(N, D\), got torch.float64 \(2,\)"),
        ([["a"]], r"features must be real embeddings of shape \(N, D\)"),
        (np.zeros((0, 3)), r"got torch.float64 \(0, 3\)"),
    ],
)
def test_what_is_no_feature_is_named_before_it_is_projected(features, message):
    with pytest.raises(ValueError, match=message):
        project(features)


def test_without_umap_the_error_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def without_umap(name, *arguments, **options):
        if name == "umap":
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.delitem(sys.modules, "umap", raising=False)
    monkeypatch.setattr(builtins, "__import__", without_umap)
    with pytest.raises(ImportError, match="pip install"):
        project(np.eye(5))


@pytest.mark.integration
def test_branch_embeddings_are_those_of_the_model(dataset, trained):
    rows = dataset.rows("test")[[3, 50, 4]]
    found = branch_embeddings(trained, dataset, rows)
    images = normalise(dataset.images(64, 32).tensor(rows))
    modality = torch.tensor(dataset.frame["modality"].to_numpy()[rows])
    assert tuple(found) == ("shared", "specific")
    for branch, embeddings in found.items():
        with torch.no_grad():
            expected = trained.branch_embedding(images, modality, branch)
        torch.testing.assert_close(embeddings, expected)
    torch.testing.assert_close(found["shared"], evaluation.embed(trained, dataset, rows))
    in_batches = branch_embeddings(trained, dataset, rows, ["specific"], batch_size=1)
    assert list(in_batches) == ["specific"]
    torch.testing.assert_close(in_batches["specific"], found["specific"])
    with pytest.raises(ValueError, match="no branch 'purified'; choose one of: shared, specific"):
        branch_embeddings(trained, dataset, rows, ["shared", "purified"])


@pytest.mark.integration
def test_the_mode_of_the_model_stays(dataset, trained):
    statistics = {name: value.clone() for name, value in trained.state_dict().items()}
    trained.train()
    try:
        branch_embeddings(trained, dataset, dataset.rows("test")[:3])
        assert all(module.training for module in trained.modules())
    finally:
        trained.eval()
    assert all(torch.equal(value, statistics[name]) for name, value in trained.state_dict().items())


@pytest.mark.integration
def test_sampled_rows_show_people_in_both_modalities(dataset):
    everyone = sample_rows(dataset)
    np.testing.assert_array_equal(everyone, dataset.rows("test"))  # in this twin, all have both
    rows = sample_rows(dataset, split="train", identities=5, per_modality=2, seed=1)
    frame = dataset.frame.iloc[rows]
    assert (np.diff(rows) > 0).all() and (frame["split"] == "train").all()
    counts = frame.groupby(["pid", "modality"]).size()
    assert len(counts) == 10 and (counts == 2).all()
    np.testing.assert_array_equal(rows, sample_rows(dataset, split="train", identities=5, per_modality=2, seed=1))
    more = sample_rows(dataset, split="train", identities=5, per_modality=3, seed=1)
    assert set(dataset.frame["pid"].iloc[more]) == set(frame["pid"])
    assert set(sample_rows(dataset, split="train", identities=5, seed=2)) != set(more)
    for wrong in (0, 1000):
        with pytest.raises(ValueError, match="identities must be 1 to 24, as many as have both modalities in test"):
            sample_rows(dataset, identities=wrong)


@pytest.mark.integration
def test_the_table_says_what_each_point_is(dataset, trained, monkeypatch):
    monkeypatch.setattr(embedding, "project", lambda features, seed: features[:, :2] + seed)
    options = {"identities": 4, "per_modality": 3, "seed": 7}
    table = embedding_table(trained, dataset, split="train", **options)
    assert list(table.columns) == ["row", "pid", "camid", "modality", "branch", "split", "x", "y"]
    rows = sample_rows(dataset, split="train", **options)
    assert (table["split"] == "train").all()
    for branch, part in table.groupby("branch", sort=False):
        np.testing.assert_array_equal(part["row"], rows)
        about = ["pid", "camid", "modality"]
        pd.testing.assert_frame_equal(
            part[about].reset_index(drop=True), dataset.frame.iloc[rows][about].reset_index(drop=True)
        )
        expected = branch_embeddings(trained, dataset, rows, [branch])[branch][:, :2] + 7
        np.testing.assert_allclose(part[["x", "y"]], expected, atol=1e-6)
    assert (embedding_table(trained, dataset, **options)["split"] == "test").all()


@pytest.mark.slow
@pytest.mark.integration
def test_the_table_with_real_coordinates(dataset, trained):
    table = embedding_table(trained, dataset, identities=6, per_modality=4)
    assert len(table) == 2 * 6 * 8
    assert np.isfinite(table[["x", "y"]]).all(axis=None)
    separate = F.mse_loss(*(torch.tensor(part[["x", "y"]].to_numpy()) for _, part in table.groupby("branch")))
    assert separate > 0


def test_purified_features_are_normalised_image_by_image_as_in_training():
    model = methods.build("idkl", num_ids=3, backbone="tiny").eval()
    with torch.no_grad():  # running statistics that fit no image
        model.purifier.norm.running_mean.fill_(3.0)
        model.purifier.norm.running_var.fill_(9.0)
    state = {name: values.clone() for name, values in model.state_dict().items()}
    maps = torch.rand(4, model.purifier.norm.num_features, 5, 3, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        running = model.purifier(maps)["raw_normed"]
        with instance_statistics(model):
            own = model.purifier(maps)["raw_normed"]
        again = model.purifier(maps)["raw_normed"]
    spread = maps.var(dim=(2, 3), correction=0, keepdim=True) + model.purifier.norm.eps
    torch.testing.assert_close(own, (maps - maps.mean(dim=(2, 3), keepdim=True)) / spread.sqrt())
    assert not torch.allclose(own, running, atol=0.1) and torch.equal(running, again)
    assert all(torch.equal(values, state[name]) for name, values in model.state_dict().items())


@pytest.mark.integration
def test_branches_are_embedded_with_the_statistics_of_each_image(dataset):
    model = methods.build("idkl", num_ids=3, backbone="tiny").eval()
    model.image_size = (64, 32)
    rows = dataset.rows("test")[:3]
    before = branch_embeddings(model, dataset, rows)
    with torch.no_grad():
        model.purifier.norm.running_mean.fill_(3.0)
    after = branch_embeddings(model, dataset, rows)
    assert all(torch.equal(before[branch], after[branch]) for branch in model.branches)


@pytest.mark.integration
def test_maps_of_the_purified_branch_use_the_statistics_of_each_image(dataset):
    torch.manual_seed(0)
    model = methods.build("idkl", num_ids=3, backbone="tiny").eval()
    model.image_size = (64, 32)
    rows = sample_rows(dataset, identities=2, per_modality=1)
    draw = {
        "cams": lambda: cams(model, dataset, rows, branch="purified").maps,
        "occlusion": lambda: occlusion_maps(model, dataset, rows, branch="purified"),
    }
    before = {name: torch.as_tensor(maps()) for name, maps in draw.items()}
    with torch.no_grad():
        model.purifier.norm.running_mean.normal_()
    for name, maps in draw.items():
        assert torch.equal(torch.as_tensor(maps()), before[name]), name
