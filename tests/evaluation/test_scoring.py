"""From a model or its embeddings to a result: right rows, each image once, nothing left changed."""

import random
from collections import Counter

import numpy as np
import pytest
import torch
from pretend_cuda import pretending
from torch import nn

import reidlib.data
from reidlib import methods
from reidlib.data import ImageCache, normalise
from reidlib.evaluation import cosine_distances, embed, evaluate, protocols, rank, report, score, scoring

PROTOCOL = protocols.get("sysu")
EVERY = {
    "all": {"search": "all"},
    "all, ten shots": {"search": "all", "shots": 10},
    "indoor": {"search": "indoor"},
    "indoor, AGW": {"search": "indoor", "gallery": "agw"},
}


class Shade(nn.Module):
    """Embeds an image by its brightness, as a point on a circle, and notes what it was given."""

    image_size = (16, 8)

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.BatchNorm1d(1), nn.Dropout(0.5))
        self.layers[0].running_var += 1
        self.seen, self.modality, self.sizes, self.modes = [], [], [], []

    def embed(self, images, modality):
        shade = images.mean(dim=(1, 2, 3))
        self.seen += shade.tolist()
        self.modality += modality.tolist()
        self.sizes.append(tuple(images.shape))
        self.modes.append([module.training for module in self.modules()])
        angle = self.layers(shade[:, None])
        return torch.cat([angle.cos(), angle.sin()], dim=1)


def shades(dataset):
    """What ``Shade`` sees of every row."""
    return normalise(dataset.images(16, 8).tensor(np.arange(len(dataset.frame)))).mean(dim=(1, 2, 3))


def test_evaluate_finds_everyone(small):
    result = evaluate(Shade(), small, PROTOCOL)
    assert result.mean == dict.fromkeys(["rank-1", "rank-5", "rank-10", "rank-20", "mAP", "mINP"], 1.0)
    assert result.std == dict.fromkeys(result.mean, 0.0)
    assert (result.protocol, result.dataset, result.split, result.is_twin) == (PROTOCOL, "sysu", None, False)
    assert (result.twin_version, result.profile, result.reranking) == (None, None, "none")
    assert len(result.trials) == 10
    for trial in result.trials:
        assert (trial.gallery_size, trial.query_pids.size, trial.ranking.valid_queries) == (13, 24, 21)


def test_every_needed_image_is_embedded_once_and_no_other(small):
    few = protocols.get("sysu", num_trials=1)
    trial = few.trials(small)[0]
    rows = np.concatenate([trial.query_rows, trial.gallery_rows])
    model = Shade()
    evaluate(model, small, few, batch_size=5)
    assert Counter(model.seen) == Counter(shades(small)[rows].tolist())
    assert sorted(model.modality) == sorted(small.frame["modality"].iloc[rows])
    assert {size[0] for size in model.sizes} == {5, 37 % 5}


def test_batches_keep_rows_together(small):
    model = Shade()
    rows = np.random.default_rng(0).permutation(len(small.frame))
    embeddings = embed(model, small, rows, batch_size=7)
    assert embeddings.shape == (len(rows), 2) and embeddings.dtype == torch.float32
    torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(len(rows)))
    np.testing.assert_allclose(model.seen, shades(small)[rows])
    np.testing.assert_array_equal(model.modality, small.frame["modality"].iloc[rows])
    torch.testing.assert_close(embeddings, embed(Shade(), small, rows, batch_size=1000))


def test_model_is_given_back_as_it_was(small):
    model = Shade().train()
    model.layers[0].eval()  # a layer that was frozen stays frozen, the others go back to training
    modes = [module.training for module in model.modules()]
    statistics = model.layers[0].running_mean.clone()
    evaluate(model, small, PROTOCOL, batch_size=10)
    assert not np.any(model.modes), "every module must be in evaluation mode"
    assert [module.training for module in model.modules()] == modes == [True, True, False, True]
    assert torch.equal(model.layers[0].running_mean, statistics)

    model.embed = lambda images, modality: 1 / 0
    with pytest.raises(ZeroDivisionError):
        evaluate(model, small, PROTOCOL)
    assert [module.training for module in model.modules()] == modes


@pytest.mark.parametrize("device", ["cpu", *(["cuda"] if torch.cuda.is_available() else [])])
def test_model_computes_where_asked_and_stays_where_it_was(small, device):
    model = Shade()
    assert embed(model, small, np.arange(4), device=device).device.type == device
    assert model.layers[0].weight.device.type == "cpu"


def test_no_random_number_is_drawn(small):
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(3)
    before = random.getstate(), np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    for gallery in ("official", "agw"):
        evaluate(Shade(), small, protocols.get("sysu", gallery=gallery))
    assert random.getstate() == before[0]
    np.testing.assert_array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[2])


def test_image_size(small, monkeypatch):
    monkeypatch.setenv("REIDLIB_PROFILE", "ci")
    model = Shade()
    embed(model, small, [0], height=24, width=12)
    embed(model, small, [0])
    model.image_size = None
    embed(model, small, [0])
    assert model.sizes == [(1, 3, 24, 12), (1, 3, 16, 8), (1, 3, 64, 32)]
    with pytest.raises(ValueError, match="both height and width, or neither; got height=24, width=None"):
        embed(model, small, [0], height=24)


def test_score_equals_a_ranking_by_hand(small):
    rng = np.random.default_rng(0)
    embeddings = rng.normal(size=(len(small.frame), 5)) * rng.uniform(0.1, 10, (len(small.frame), 1))
    result = score(embeddings, small, PROTOCOL)
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    pids, camids = (small.frame[name].to_numpy() for name in ("pid", "camid"))
    for trial, scored in zip(PROTOCOL.trials(small), result.trials, strict=True):
        query, gallery = trial.query_rows, trial.gallery_rows
        exclude = (camids[query][:, None] == 3) & (camids[gallery] == 2)
        by_hand = rank(
            1 - unit[query] @ unit[gallery].T, pids[query], pids[gallery], exclude=exclude, distinct_ids=True
        )
        assert scored.ranking.metrics == by_hand.metrics
        np.testing.assert_array_equal(scored.query_pids, pids[query])
    assert result.mean_average_precision == np.mean([t.ranking.mean_average_precision for t in result.trials])


def test_score_takes_all_rows_or_test_rows(stubs):
    embeddings = torch.randn(len(stubs.frame), 8, generator=torch.Generator().manual_seed(0))
    assert len(stubs.rows("test")) == len(stubs.frame)
    result = score(embeddings, stubs, protocols.get("sysu", num_trials=2))
    assert result.trials[0].ranking.valid_queries == 3803
    with pytest.raises(ValueError, match=rf"N = {len(stubs.frame)} \(all images\).*got \(5, 8\)"):
        score(embeddings[:5], stubs, PROTOCOL)


def test_score_of_test_rows_beside_training_rows(write_small_tree):
    dataset = write_small_tree(train_images=2)
    test = dataset.rows("test")
    assert 0 < len(test) < len(dataset.frame)
    everything = torch.full((len(dataset.frame), 6), torch.nan)  # rows of training images may hold anything
    everything[test] = torch.randn(len(test), 6, generator=torch.Generator().manual_seed(0))
    whole, part = (score(values, dataset, PROTOCOL) for values in (everything, everything[test].numpy()))
    assert whole.mean == part.mean != score(everything[test].flip(0), dataset, PROTOCOL).mean


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.int64])
def test_score_takes_every_type(small, dtype):
    embeddings = torch.randint(-3, 4, (len(small.frame), 6), generator=torch.Generator().manual_seed(0))
    embeddings[:, 0] = 1
    assert score(embeddings.to(dtype), small, PROTOCOL).mean == score(embeddings.float(), small, PROTOCOL).mean


def test_collapsed_embeddings_find_nobody(stubs, small):
    """A network that maps every image to one point must not look like a success."""
    for seed in range(5):
        point = torch.randn(1, 513, generator=torch.Generator().manual_seed(seed))
        for dataset in (stubs, small):
            protocol = protocols.get("sysu", num_trials=1)
            assert score(point.expand(len(dataset.frame), -1), dataset, protocol).cmc[1] == 0
    assert score(torch.zeros(len(small.frame), 4), small, PROTOCOL).cmc[1] == 0


def test_broken_embeddings_are_refused_with_their_number(small):
    embeddings = torch.ones(len(small.frame), 4)
    rows = small.rows(camids=[6])
    embeddings[rows[2:5], 1] = torch.nan
    embeddings[rows[5], 0] = torch.inf
    message = rf"4 of 24 query embeddings hold NaN or infinite .* {small.frame['path'].iloc[rows[2]]} \(row {rows[2]}\)"
    with pytest.raises(ValueError, match=message):
        score(embeddings, small, PROTOCOL)


def test_bad_arguments_are_refused(small):
    with pytest.raises(ValueError, match=r"embeddings must have shape \(N, D\)"):
        score(torch.zeros(len(small.frame)), small, PROTOCOL)
    with pytest.raises(ValueError, match="at least one row and a batch_size of 1 or more, got 0 and 256"):
        embed(Shade(), small, [])
    with pytest.raises(ValueError, match="got 1 and 0"):
        embed(Shade(), small, [0], batch_size=0)
    model = Shade()
    model.embed = lambda images, modality: images.mean(dim=(1, 2, 3))
    with pytest.raises(ValueError, match=r"model.embed returned \(4,\) for 4 images; expected \(B, D\)"):
        embed(model, small, np.arange(4))


def test_cosine_distances():
    generator = torch.Generator().manual_seed(0)
    query, gallery = torch.randn(1030, 7, generator=generator), 5 * torch.randn(9, 7, generator=generator)
    distances = cosine_distances(query, gallery)
    assert distances.dtype == torch.float32
    torch.testing.assert_close(distances, 1 - torch.cosine_similarity(query[:, None], gallery, dim=2))


def test_precision_settings_do_not_reach_the_distances():
    query, gallery = (torch.randn(50, 256, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    expected = cosine_distances(query, gallery)
    precision = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(cosine_distances(query, gallery), expected)
    finally:
        torch.set_float32_matmul_precision(precision)


def test_flip_averages_unit_embeddings_of_image_and_mirror_image(small, monkeypatch):
    class Halves(nn.Module):
        """Brightness of the left and of the right half, in lengths that differ between image and mirror image."""

        image_size = (16, 8)

        def embed(self, images, modality):
            halves = torch.stack([images[..., :4].mean((1, 2, 3)), images[..., 4:].mean((1, 2, 3))], dim=1)
            return halves * (5 * halves[:, :1]).exp()

    model, rows = Halves(), np.arange(len(small.frame))
    pixels = torch.randint(0, 256, (len(rows), 3, 16, 8), generator=torch.Generator().manual_seed(0)).byte()
    cache = ImageCache(pixels.permute(0, 2, 3, 1).numpy(), None)
    monkeypatch.setattr(type(small), "images", lambda *_: cache)
    plain, both = embed(model, small, rows), embed(model, small, rows, flip=True, batch_size=7)
    units = [model.embed(view, None) for view in (normalise(pixels), normalise(pixels.flip(-1)))]
    units = [unit / unit.norm(dim=1, keepdim=True) for unit in units]
    torch.testing.assert_close(plain, units[0])
    mean = (units[0] + units[1]) / 2
    torch.testing.assert_close(both, mean / mean.norm(dim=1, keepdim=True))
    assert (plain - both).abs().max() > 0.1
    protocol = PROTOCOL.replace(flip=True)
    result = evaluate(model, small, protocol)
    assert result.mean == score(both, small, protocol).mean and "official-flip" in str(result)
    assert evaluate(model, small, PROTOCOL).mean == score(plain, small, PROTOCOL).mean


@pytest.mark.integration
def test_an_untrained_network_on_a_twin(ci_twin, isolated_home):
    dataset = reidlib.data.open("sysu", ci_twin)
    model = methods.build("baseline", num_ids=2, backbone="tiny")
    results = {name: evaluate(model, dataset, protocols.get("sysu", **options)) for name, options in EVERY.items()}
    identities = dataset.frame.loc[dataset.rows("test"), "pid"].nunique()
    for name, result in results.items():
        assert result.is_twin and result.twin_version and result.profile == "ci"
        assert f"synthetic twin {result.twin_version}, ci" in str(result)
        assert 0 < result.cmc[1] < 10 / identities, f"{name}: far above chance without training"
    assert report(results)["data set"].str.contains("synthetic twin").all()


def test_distances_take_arrays_lists_and_whole_numbers():
    query, gallery = np.array([[1.0, 0], [3, 4]]), [[0, 2], [5, 0], [-1, 0]]
    expected = 1 - np.array([[0, 1, -1], [0.8, 0.6, -0.6]])
    for given in (query, query.tolist(), query.astype(np.int8), query.astype(np.float16)):
        found = cosine_distances(given, gallery)
        assert isinstance(found, np.ndarray) and found.dtype == np.float32
        np.testing.assert_allclose(found, expected, atol=1e-6)
    found = cosine_distances(torch.tensor(query, requires_grad=True), np.array(gallery))
    assert isinstance(found, torch.Tensor) and not found.requires_grad
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("query", "gallery", "message"),
    [
        (np.ones(3), np.ones((2, 3)), r"query must be real embeddings of shape \(N, D\), got torch.float64 \(3,\)"),
        (np.ones((2, 3)), torch.ones(2, 3, 1), r"gallery must be .* got torch.float32 \(2, 3, 1\)"),
        (np.ones((2, 3)), np.ones((2, 4)), r"differ in dimension: \(2, 3\), \(2, 4\)"),
        ([["a", "b"]], np.ones((2, 2)), r"query must be real embeddings of shape \(N, D\)"),
        ([[1, 2], [3]], np.ones((2, 2)), r"query must be real embeddings of shape \(N, D\)"),
        (np.ones((2, 3)) > 0, np.ones((2, 3)), "got torch.bool"),
        (np.ones((2, 3), complex), np.ones((2, 3)), "got torch.complex128"),
        ({"features": 1}, np.ones((2, 3)), r"query must be real embeddings of shape \(N, D\)"),
    ],
)
def test_what_is_no_matrix_of_features_is_named(query, gallery, message):
    with pytest.raises(ValueError, match=message):
        cosine_distances(query, gallery)


def test_a_model_goes_to_the_device_and_home_again_and_embeddings_there_are_scored(imageless):
    embeddings, rules = torch.randn(len(imageless), 8), protocols.get("sysu", gallery="agw", num_trials=1)
    expected = score(embeddings, imageless, rules)
    with pretending():
        model = nn.Linear(3, 2)
        with scoring.model_on(model, "cuda") as device:
            assert {device.type, model.weight.device.type} == {"cuda"} and not model.training
        assert model.weight.device.type == "cpu" and model.training
        assert score(embeddings.to("cuda"), imageless, rules).mean == expected.mean
        spoilt = embeddings.index_fill(0, torch.arange(len(imageless)), float("nan"))
        with pytest.raises(ValueError, match="embeddings hold NaN or infinite values"):
            score(spoilt.to("cuda"), imageless, rules)
