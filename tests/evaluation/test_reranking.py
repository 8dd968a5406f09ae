"""k-reciprocal re-ranking: equal to the row loop, indifferent to order and length, and clear about what it is given."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reidlib.evaluation import k_reciprocal

POOLS = ("all", "queries")


def embeddings(queries, gallery, identities, dimensions=16, spread=0.5, seed=0):
    """Two arrays; ``identities=0``: no structure at all."""
    rng = np.random.default_rng(seed)
    parts = [rng.normal(size=(count, dimensions)) for count in (queries, gallery)]
    if identities:
        centres = rng.normal(size=(identities, dimensions))
        parts = [centres[rng.integers(identities, size=len(part))] + spread * part for part in parts]
    return parts


@pytest.mark.parametrize("neighbours", POOLS)
@pytest.mark.parametrize("identities", [0, 15], ids=["random", "clustered"])
@pytest.mark.parametrize("parameters", [{}, dict(k1=15, k2=5, lam=0.1), dict(k1=40, k2=35), dict(k1=7, k2=1, lam=0.9)])
def test_equals_the_row_loop(reranking_reference, neighbours, identities, parameters):
    query, gallery = embeddings(150, 90, identities)
    expected = reranking_reference(query, gallery, **parameters, neighbours=neighbours)
    found = k_reciprocal(query, gallery, **parameters, neighbours=neighbours)
    assert found.dtype == np.float32 and found.shape == (150, 90)
    np.testing.assert_allclose(found, expected, atol=1e-6, rtol=0)
    plain = reranking_reference(query, gallery, lam=1)
    assert np.abs(found - plain).max() > 0.05, "the case must tell re-ranked from original distances"


@pytest.mark.parametrize("neighbours", POOLS)
def test_equals_the_row_loop_on_a_thousand_items(reranking_reference, neighbours):
    for identities in (0, 60):
        query, gallery = embeddings(520, 510, identities, dimensions=128)
        expected = reranking_reference(query, gallery, neighbours=neighbours)
        np.testing.assert_allclose(k_reciprocal(query, gallery, neighbours=neighbours), expected, atol=1e-6, rtol=0)


def concentrated(rows):
    """All within a few degrees of each other, as the embeddings of an untrained network are."""
    return 30 + rows


def one_apart(rows):
    return np.concatenate([-30 - rows[:1], 30 + rows[1:]])


def repeated(rows):
    return rows[np.arange(len(rows)) // 3]


@pytest.mark.parametrize("neighbours", POOLS)
@pytest.mark.parametrize("change", [concentrated, one_apart, repeated])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_unusual_embeddings_equal_the_row_loop(reranking_reference, neighbours, change, dtype):
    query, gallery = (change(part).astype(dtype) for part in embeddings(160, 120, 15, dimensions=700))
    expected = reranking_reference(query, gallery, neighbours=neighbours)
    np.testing.assert_allclose(k_reciprocal(query, gallery, neighbours=neighbours), expected, atol=1e-6, rtol=0)


@settings(max_examples=60)
@given(
    queries=st.integers(1, 24),
    gallery=st.integers(1, 24),
    distinct=st.integers(2, 12),
    k1=st.integers(1, 30),
    k2=st.integers(1, 10),
    neighbours=st.sampled_from(POOLS),
    seed=st.integers(0, 99),
)
def test_small_sets_and_ties_equal_the_row_loop(
    reranking_reference, queries, gallery, distinct, k1, k2, neighbours, seed
):
    """Few items, k1 and k2 beyond them, and many equal embeddings."""
    rng = np.random.default_rng(seed)
    values = rng.integers(-2, 3, (distinct, 3)) + np.array([0.5, 0, 0])
    query, items = (values[rng.integers(distinct, size=count)] for count in (queries, gallery))
    items[0] = [0, 0, 1]  # not all at one point, which the row loop cannot scale
    expected = reranking_reference(query, items, k1, k2, 0.3, neighbours)
    found = k_reciprocal(query, items, k1=k1, k2=k2, neighbours=neighbours)
    np.testing.assert_allclose(found, expected, atol=1e-6, rtol=0)


def test_worked_example():
    """Directions in the plane at 0° and 45° (queries a, b), 10° and 70° (gallery c, d): a–c and b–d are close."""
    degrees = np.array([0, 45, 10, 70])
    points = np.stack([np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))], axis=1)
    found = k_reciprocal(points[:2], points[2:], k1=1, k2=1, lam=0)
    assert found[0, 1] == found[1, 0] == 1, "they have no neighbour in common"

    squared = 2 - 2 * np.cos(np.deg2rad(degrees[:, None] - degrees))
    d = squared / squared.max(axis=1, keepdims=True)
    for query, item in ((0, 2), (1, 3)):  # each is encoded by itself, with weight 1, and the other
        of_query = np.array([1, np.exp(-d[query, item])]) / (1 + np.exp(-d[query, item]))
        of_item = np.array([np.exp(-d[item, query]), 1]) / (1 + np.exp(-d[item, query]))
        shared = np.minimum(of_query, of_item).sum()
        assert found[query, item - 2] == pytest.approx(1 - shared / (2 - shared), abs=1e-6)

    found = k_reciprocal(points[:2], points[2:], k1=1, k2=1, lam=0, neighbours="queries")
    np.testing.assert_allclose(found[0], [0, found[0, 1]], atol=1e-6, err_msg="c's nearest query is a")
    np.testing.assert_allclose(found[1], [found[1, 0], 0], atol=1e-6, err_msg="d's nearest query is b")


def test_mutual_neighbours_rise():
    rng = np.random.default_rng(1)
    pids = np.repeat(np.arange(20), 6)
    centres = rng.normal(size=(20, 24))
    query, gallery = (centres[pids] + 1.1 * rng.normal(size=(120, 24)) for _ in range(2))
    right = pids[:, None] == pids

    def precision(distances):
        order = np.argsort(distances, axis=1, kind="stable")
        hits = np.take_along_axis(right, order, axis=1)
        return np.mean([np.mean(np.arange(1, 7) / (np.flatnonzero(row) + 1)) for row in hits])

    plain = precision(k_reciprocal(query, gallery, lam=1))
    assert precision(k_reciprocal(query, gallery)) > plain + 0.1
    assert precision(k_reciprocal(query, gallery, neighbours="queries")) > plain + 0.1


@pytest.mark.parametrize("neighbours", POOLS)
def test_order_of_the_gallery_does_not_matter(neighbours):
    query, gallery = embeddings(60, 80, 12)
    order = np.random.default_rng(1).permutation(len(gallery))
    found = k_reciprocal(query, gallery, neighbours=neighbours)
    np.testing.assert_allclose(k_reciprocal(query, gallery[order], neighbours=neighbours), found[:, order], atol=1e-6)
    order = np.random.default_rng(2).permutation(len(query))
    np.testing.assert_allclose(k_reciprocal(query[order], gallery, neighbours=neighbours), found[order], atol=1e-6)


@pytest.mark.parametrize("neighbours", POOLS)
def test_length_does_not_matter(neighbours):
    query, gallery = embeddings(60, 80, 12)
    lengths = np.random.default_rng(1).uniform(0.01, 100, (140, 1))
    found = k_reciprocal(query * lengths[:60], gallery * lengths[60:], neighbours=neighbours)
    np.testing.assert_allclose(found, k_reciprocal(query, gallery, neighbours=neighbours), atol=1e-6)


def test_queries_decide_by_other_queries_only_where_asked():
    """With neighbours among the queries, other gallery images change the scale of the distances alone."""
    query, gallery = embeddings(60, 80, 12)
    few, many = (k_reciprocal(query, gallery[:count], lam=0, neighbours="queries")[:, :40] for count in (40, 80))
    np.testing.assert_allclose(few, many, atol=2e-3)
    few, many = (k_reciprocal(query, gallery[:count], lam=0)[:, :40] for count in (40, 80))
    assert np.abs(few - many).max() > 0.05
    fewer = k_reciprocal(query[:50], gallery, neighbours="queries")
    assert np.abs(fewer - k_reciprocal(query, gallery, neighbours="queries")[:50]).max() > 0.05


def test_equal_gallery_images_are_at_equal_distance():
    query, gallery = embeddings(130, 300, 9, dimensions=33)
    found = k_reciprocal(query, np.concatenate([gallery, gallery]))
    np.testing.assert_array_equal(found[:, :300], found[:, 300:])


def test_lambda_one_is_the_squared_distance_over_the_largest():
    query, gallery = embeddings(7, 5, 0)
    found = k_reciprocal(query, gallery, lam=np.float64(1))
    assert found.dtype == np.float32
    items = np.concatenate([query, gallery])
    items = items / np.linalg.norm(items, axis=1, keepdims=True)
    squared = ((items[:, None] - items) ** 2).sum(2)
    np.testing.assert_allclose(found, (squared / squared.max(1, keepdims=True))[:7, 7:], atol=1e-6)


def test_collapsed_embeddings_have_equal_distances():
    for value in (0.0, 1.0):
        for neighbours in POOLS:
            found = k_reciprocal(np.full((40, 8), value), np.full((30, 8), value), neighbours=neighbours)
            assert np.isfinite(found).all() and np.ptp(found) == 0


@pytest.mark.parametrize("device", ["cpu", *(["cuda"] if torch.cuda.is_available() else [])])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64])
def test_tensors_come_back_where_they_were(device, dtype):
    query, gallery = (torch.tensor(10 * part).to(device, dtype) for part in embeddings(20, 30, 4))
    query.requires_grad_(dtype.is_floating_point)
    found = k_reciprocal(query, gallery)
    assert found.device == query.device and found.dtype == torch.float32 and not found.requires_grad
    expected = k_reciprocal(*(part.detach().cpu().double().numpy() for part in (query, gallery)))
    np.testing.assert_array_equal(found.cpu().numpy(), expected)


def test_inputs_are_left_alone():
    query, gallery = embeddings(20, 30, 4)
    before = query.copy(), gallery.copy()
    k_reciprocal(query, gallery, k2=1)
    np.testing.assert_array_equal(query, before[0])
    np.testing.assert_array_equal(gallery, before[1])


NAN = np.ones((4, 3))
NAN[2, 1] = np.nan


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((np.ones(3), np.ones((2, 3))), {}, r"query must be real embeddings of shape \(N, D\), got .*float64 \(3,\)"),
        ((np.ones((2, 3)), np.ones((0, 3))), {}, r"gallery must be .* got .* \(0, 3\)"),
        ((np.ones((2, 3)), np.ones((2, 4))), {}, r"differ in dimension: \(2, 3\), \(2, 4\)"),
        ((np.ones((2, 3)), NAN), {}, "gallery holds 1 embeddings with NaN or infinite values; the first is 2"),
        ((np.ones((2, 3)), np.ones((2, 3))), {"k1": 0}, "k1 must be an integer of 1 or more, got 0"),
        ((np.ones((2, 3)), np.ones((2, 3))), {"k2": 1.5}, r"k2 must be an integer of 1 or more, got 1\.5"),
        ((np.ones((2, 3)), np.ones((2, 3))), {"lam": 1.1}, r"lam must be a number from 0 to 1, got 1\.1"),
        ((np.ones((2, 3)), np.ones((2, 3))), {"lam": float("nan")}, "lam must be a number from 0 to 1, got nan"),
        (
            (np.ones((2, 3)), np.ones((2, 3))),
            {"neighbours": "gallery"},
            "'gallery' is unknown; known: 'all', 'queries'",
        ),
    ],
)
def test_bad_arguments_are_refused(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        k_reciprocal(*arguments, **options)


def test_k1_is_at_most_the_other_queries():
    query, gallery = embeddings(12, 30, 4)
    found = [k_reciprocal(query, gallery, k1=k1, neighbours="queries") for k1 in (11, 12, 500)]
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])
