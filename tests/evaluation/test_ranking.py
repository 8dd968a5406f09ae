"""The functional core: definitions, ties, exclusions, and agreement with the per-query reference."""

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pretend_cuda import pretending

from reidlib.evaluation import rank

# One query of identity 1; the gallery in distance order shows identities 2, 2, 1, 3, 1.
WORKED = {"distances": [[0.1, 0.2, 0.3, 0.4, 0.5]], "query_pids": [1], "gallery_pids": [2, 2, 1, 3, 1]}


def test_worked_example():
    by_image = rank(**WORKED, ranks=(1, 2, 3, 4, 5))
    assert list(by_image.cmc.values()) == [0, 0, 1, 1, 1]
    assert by_image.mean_average_precision == pytest.approx((1 / 3 + 2 / 5) / 2)
    assert by_image.mean_inverse_negative_penalty == pytest.approx(2 / 5)
    assert by_image.valid_queries == 1

    by_identity = rank(**WORKED, distinct_ids=True, ranks=(1, 2, 3))
    assert list(by_identity.cmc.values()) == [0, 1, 1]
    assert by_identity.mean_average_precision == by_image.mean_average_precision, "AP counts images"


def test_reference_gives_the_worked_example(rank_reference):
    arguments = [np.array(WORKED[name]) for name in ("distances", "query_pids", "gallery_pids")]
    assert [values.tolist() for values in rank_reference(*arguments)] == [[3], [pytest.approx(11 / 30)], [0.4]]
    assert rank_reference(*arguments, distinct_ids=True)[0].tolist() == [2]


def random_case(rng: np.random.Generator) -> dict:
    """A small case with many ties, several matches, and queries without any."""
    queries, gallery = rng.integers(1, 9), rng.integers(1, 30)
    identities = rng.integers(1, 9)
    shape = (queries, gallery)
    distances = rng.integers(0, rng.integers(1, 40), shape) / 8 if rng.random() < 0.7 else rng.normal(size=shape)
    return {
        "distances": distances,
        "query_pids": rng.integers(-1, identities, queries) * 1000,
        "gallery_pids": rng.integers(0, identities, gallery) * 1000,
        "exclude": rng.random(shape) < rng.choice([0.1, 0.5, 0.9]) if rng.random() < 0.7 else None,
        "distinct_ids": bool(rng.random() < 0.5),
    }


def assert_equals_reference(case: dict, rank_reference) -> int:
    first, precision, penalty = rank_reference(**case)
    if not first.any():
        with pytest.raises(ValueError, match="has a match"):
            rank(**case)
        return 0
    result = rank(**case, ranks=(1, 2, 3, 100))
    np.testing.assert_array_equal(result.first_match_rank, first)
    np.testing.assert_allclose(result.average_precision, precision, rtol=1e-12)
    np.testing.assert_allclose(result.inverse_negative_penalty, penalty, rtol=1e-12)
    valid = first > 0
    assert result.valid_queries == valid.sum()
    assert result.cmc == {k: np.mean(first[valid] <= k) for k in (1, 2, 3, 100)}
    assert result.mean_average_precision == pytest.approx(precision[valid].mean(), rel=1e-12)
    assert result.mean_inverse_negative_penalty == pytest.approx(penalty[valid].mean(), rel=1e-12)
    return 1


def test_equals_the_reference_on_thousands_of_cases(rank_reference):
    rng = np.random.default_rng(0)
    scored = sum(assert_equals_reference(random_case(rng), rank_reference) for _ in range(4000))
    assert scored > 2500, "most cases must have a valid query"


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_equals_the_reference_on_awkward_cases(data, rank_reference):
    shape = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 8)), "shape")
    values = st.one_of(st.sampled_from([-1.0, -0.0, 0.0, 5e-324, 1.0, 1.0 + 2**-52]), st.floats(-1e300, 1e300))
    case = {
        "distances": data.draw(arrays.arrays(np.float64, shape, elements=values), "distances"),
        "query_pids": data.draw(arrays.arrays(np.int64, shape[0], elements=st.integers(0, 3)), "query_pids"),
        "gallery_pids": data.draw(arrays.arrays(np.int64, shape[1], elements=st.integers(0, 3)), "gallery_pids"),
        "exclude": data.draw(st.none() | arrays.arrays(bool, shape), "exclude"),
        "distinct_ids": data.draw(st.booleans(), "distinct_ids"),
    }
    assert_equals_reference(case, rank_reference)


def test_ties_are_pessimistic():
    tied = {"distances": np.zeros((1, 5)), "query_pids": [1], "gallery_pids": [1, 2, 1, 3, 2]}
    result = rank(**tied)
    assert result.first_match_rank.tolist() == [4], "three wrong items rank first"
    assert result.mean_average_precision == pytest.approx((1 / 4 + 2 / 5) / 2)
    assert result.mean_inverse_negative_penalty == pytest.approx(2 / 5)
    assert rank(**tied, distinct_ids=True).first_match_rank.tolist() == [3], "two wrong identities rank first"


def test_oracle_is_perfect_and_its_reverse_is_not():
    pids = np.repeat(np.arange(7), 3)
    distances = (pids[:, None] != pids).astype(float)
    for distinct_ids in (False, True):
        oracle = rank(distances, pids, pids, distinct_ids=distinct_ids)
        assert oracle.metrics == dict.fromkeys(["rank-1", "rank-5", "rank-10", "rank-20", "mAP", "mINP"], 1.0)
        assert rank(-distances, pids, pids, distinct_ids=distinct_ids).cmc[1] == 0


def test_order_of_the_gallery_does_not_matter():
    rng = np.random.default_rng(1)
    distances = rng.integers(0, 20, (40, 60)) / 4
    query_pids, gallery_pids = rng.integers(0, 9, 40), rng.integers(0, 9, 60)
    exclude = rng.random(distances.shape) < 0.3
    columns = rng.permutation(60)
    for distinct_ids in (False, True):
        here = rank(distances, query_pids, gallery_pids, exclude=exclude, distinct_ids=distinct_ids)
        permuted = (distances[:, columns], query_pids, gallery_pids[columns])
        there = rank(*permuted, exclude=exclude[:, columns], distinct_ids=distinct_ids)
        np.testing.assert_array_equal(here.first_match_rank, there.first_match_rank)
        np.testing.assert_array_equal(here.average_precision, there.average_precision)
        np.testing.assert_array_equal(here.inverse_negative_penalty, there.inverse_negative_penalty)


def test_queries_without_a_match_leave_every_average():
    distances = [[0, 1, 2], [0, 1, 2], [0, 1, 2]]
    exclude = np.zeros((3, 3), dtype=bool)
    exclude[1, 0] = True
    result = rank(distances, [1, 1, 9], [1, 2, 3], exclude=exclude)
    assert result.valid.tolist() == [True, False, False]
    assert result.valid_queries == 1
    assert result.first_match_rank.tolist() == [1, 0, 0]
    assert np.isnan(result.average_precision[1:]).all() and np.isnan(result.inverse_negative_penalty[1:]).all()
    assert set(result.metrics.values()) == {1.0}


def test_no_valid_query_is_an_error():
    with pytest.raises(ValueError, match="none of the 2 queries has a match among the 3 gallery items"):
        rank(np.zeros((2, 3)), [1, 2], [3, 4, 5])


def test_excluded_entries_may_hold_anything():
    distances = np.array([[np.nan, 0.2, np.inf, 0.1, -np.inf]])
    exclude = np.array([[True, False, True, False, True]])
    result = rank(distances, [1], [1, 1, 1, 2, 2], exclude=exclude)
    assert result.first_match_rank.tolist() == [2]
    assert result.average_precision.tolist() == [0.5]


def test_ranks_beyond_the_gallery_are_hits():
    assert rank(**WORKED, ranks=(6, 10_000)).cmc == {6: 1.0, 10_000: 1.0}


FORMS = {
    "float64": lambda d: torch.tensor(d, dtype=torch.float64),
    "float32": lambda d: torch.tensor(d, dtype=torch.float32, requires_grad=True),
    "float16": lambda d: torch.tensor(d, dtype=torch.float16),
    "bfloat16": lambda d: torch.tensor(d, dtype=torch.bfloat16),
    "int64": lambda d: torch.tensor(d, dtype=torch.int64),
    "uint8": lambda d: np.array(d, dtype=np.uint8),
    "half array": lambda d: np.array(d, dtype=np.float16),
    "big-endian": lambda d: np.array(d, dtype=">f8"),
    "Fortran order": lambda d: np.asfortranarray(np.array(d, dtype=np.float32)),
    "reversed view": lambda d: np.array(d, dtype=np.float64)[:, ::-1][:, ::-1],
    "transposed tensor": lambda d: torch.tensor(d, dtype=torch.float32).T.contiguous().T,
    "lists": lambda d: d,
}


@pytest.mark.parametrize("form", FORMS)
def test_accepts_tensors_and_arrays_of_any_real_type(form):
    distances = [[3, 1, 2, 2], [0, 5, 5, 4]]
    expected = rank(np.array(distances, dtype=np.float64), [1, 2], [1, 2, 1, 2], distinct_ids=True)
    for pids in (torch.tensor, np.array, list):
        result = rank(FORMS[form](distances), pids([1, 2]), pids([1, 2, 1, 2]), distinct_ids=True)
        assert result.first_match_rank.tolist() == expected.first_match_rank.tolist()
        assert result.average_precision.tolist() == expected.average_precision.tolist()


def test_read_only_input_is_left_alone():
    distances, exclude = np.array([[0.2, 0.1, np.nan]]), np.array([[False, False, True]])
    for array in (distances, exclude):
        array.setflags(write=False)
    assert rank(distances, [1], [1, 2, 1], exclude=exclude).first_match_rank.tolist() == [2]


def test_double_precision_is_kept():
    close = np.array([[1.0, 1.0 + 1e-12]])
    assert rank(close, [1], [1, 2]).cmc[1] == 1
    assert rank(close.astype(np.float32), [1], [1, 2]).cmc[1] == 0, "equal in single precision, so the wrong one wins"


@pytest.mark.parametrize("device", ["cpu", *(["cuda"] if torch.cuda.is_available() else [])])
def test_tensors_on_every_device_there_is(device):
    values = {name: torch.tensor(value, device=device) for name, value in WORKED.items()}
    exclude = torch.zeros(1, 5, dtype=torch.bool, device=device)
    assert rank(**values, exclude=exclude).first_match_rank.tolist() == [3]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"distances": [0.1, 0.2]}, r"distances must have two dimensions .* got shape \(2,\)"),
        ({"distances": np.zeros((0, 5))}, r"distances is empty: shape \(0, 5\)"),
        ({"distances": np.zeros((1, 0)), "gallery_pids": []}, r"distances is empty: shape \(1, 0\)"),
        ({"distances": [[True] * 5]}, "distances must be real numbers, got bool"),
        ({"distances": np.zeros((1, 5), complex)}, "distances must be real numbers, got complex128"),
        (
            {"distances": [[0.1, 0.2, np.nan, 0.4, np.inf]]},
            "2 NaN or infinite .* first is nan at query 0, gallery item 2",
        ),
        ({"distances": [[-np.inf, 0, 0, 0, 0]]}, "1 NaN or infinite .* first is -inf at query 0, gallery item 0"),
        ({"query_pids": [1, 2]}, r"query_pids must have shape \(1,\), one entry per row .*\(1, 5\), got \(2,\)"),
        ({"query_pids": 1}, r"query_pids must have shape \(1,\)"),
        ({"query_pids": [[1]]}, r"query_pids must have shape \(1,\)"),
        ({"gallery_pids": [1, 2]}, r"gallery_pids must have shape \(5,\), one entry per column .* got \(2,\)"),
        ({"query_pids": [1.0]}, "query_pids must be integers, got float64"),
        ({"gallery_pids": list("abcde")}, "gallery_pids must be integers"),
        ({"exclude": np.zeros((5, 1), bool)}, r"exclude must have the shape of distances \(1, 5\), got \(5, 1\)"),
        ({"exclude": np.zeros((1, 5), int)}, "exclude must be boolean .* got int64"),
        ({"ranks": (0, 1)}, r"ranks must be .* at least 1, got \(0, 1\)"),
        ({"ranks": (1.5,)}, "ranks must be"),
        ({"ranks": ()}, "ranks must be"),
    ],
)
def test_bad_input_is_refused_with_the_argument_named(change, message):
    with pytest.raises(ValueError, match=message):
        rank(**(WORKED | change))


def test_distances_on_a_gpu_are_ranked():
    distances, query_pids, gallery_pids = torch.tensor([[0.5, 0.1, 0.3]]), torch.tensor([1]), torch.tensor([1, 2, 1])
    expected = rank(distances, query_pids, gallery_pids)
    with pretending():
        found = rank(*(values.to("cuda") for values in (distances, query_pids, gallery_pids)))
    assert found.metrics == expected.metrics and found.average_precision.tolist() == expected.average_precision.tolist()
