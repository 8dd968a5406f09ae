"""Subsample: which images are left of one modality, against a slow reference; nesting, independence, refusals."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reidlib.data import Subsample

COUNTS = st.dictionaries(st.integers(0, 900), st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=12)
SHARES = st.sampled_from([1.0, 0.75, 0.5, 0.3, 0.25, 0.125, 0.01])


def rows_of(counts: dict[int, tuple[int, int]], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Shuffled (pids, modality) with ``counts[pid] = (images of modality 0, of modality 1)``."""
    rows = [(pid, half) for pid, pair in counts.items() for half in (0, 1) for _ in range(pair[half])]
    rows = np.random.default_rng(seed).permutation(np.array(rows, dtype=np.int64).reshape(-1, 2))
    return rows[:, 0], rows[:, 1]


def key(subsample: Subsample, pid: int, number: int) -> int:
    """SplitMix64 of the seed and modality, the identity and the number of its image, in Python's whole numbers."""

    def mixed(value: int) -> int:
        value = (value + 0x9E3779B97F4A7C15) % 2**64
        value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        value = (value ^ (value >> 27)) * 0x94D049BB133111EB % 2**64
        return value ^ (value >> 31)

    return mixed((mixed(mixed(2 * subsample.seed + subsample.modality) ^ pid) + number) % 2**64)


def reference(subsample: Subsample, pids: np.ndarray, modality: np.ndarray) -> list[bool]:
    """One identity after the other, one image after the other."""
    kept = [True] * len(pids)
    images = {pid: [r for r in range(len(pids)) if pids[r] == pid] for pid in sorted(set(pids.tolist()))}
    own = {pid: [row for row in rows if modality[row] == subsample.modality] for pid, rows in images.items()}
    paired = [pid for pid in images if 0 < len(own[pid]) < len(images[pid])]
    paired.sort(key=lambda pid: key(subsample, pid, 0))
    left = max(int(subsample.identities * len(paired) + 0.5), min(2, len(paired)))
    for pid, rows in own.items():
        drawn = sorted(range(len(rows)), key=lambda number: key(subsample, pid, number + 1))
        count = 0 if pid in paired[left:] else max(1, int(subsample.images * len(rows) + 0.5))
        for number in drawn[count:]:
            kept[rows[number]] = False
    return kept


@given(counts=COUNTS, images=SHARES, identities=SHARES, modality=st.integers(0, 1), seed=st.integers(0, 2**32 - 1))
def test_it_keeps_what_the_slow_reference_keeps(counts, images, identities, modality, seed):
    subsample, rows = Subsample(modality, images, identities, seed), rows_of(counts)
    kept = subsample.keep(*rows)
    assert kept.dtype == bool and kept.tolist() == reference(subsample, *rows)


@given(counts=COUNTS, modality=st.integers(0, 1), seed=st.integers(0, 9))
def test_smaller_shares_are_nested_in_larger_ones(counts, modality, seed):
    pids, half = rows_of(counts)
    shares = (1.0, 0.5, 0.25, 0.125)
    by_images = [Subsample(modality, share, seed=seed).keep(pids, half) for share in shares]
    by_identities = [Subsample(modality, 0.5, share, seed).keep(pids, half) for share in shares]
    assert by_images[0].all()
    for series in (by_images, by_identities):
        for more, fewer in itertools.pairwise(series):
            assert not (fewer & ~more).any()
        for kept in series:
            assert kept[half != modality].all(), "the other modality is left whole"
            assert set(pids[kept]) == set(pids), "nobody vanishes"


def test_shares_are_those_asked_for():
    pids, modality = rows_of(dict.fromkeys(range(40), (12, 20)))
    for share, count in ((0.5, 10), (0.25, 5), (0.125, 3), (0.001, 1)):
        kept = Subsample(1, images=share).keep(pids, modality)
        assert np.bincount(pids[kept & (modality == 1)]).tolist() == [count] * 40
    for share, count in ((0.5, 20), (0.25, 10), (0.125, 5), (0.001, 2)):
        kept = Subsample(0, identities=share).keep(pids, modality)
        left = np.bincount(pids[kept & (modality == 0)], minlength=40)
        assert sorted(left.tolist()) == [0] * (40 - count) + [12] * count


def test_every_seed_and_identity_has_its_own_choice():
    pids, modality = np.repeat(np.arange(30), 12), np.tile(np.repeat([0, 1], 6), 30)
    first, other = (Subsample(1, 0.5, seed=seed).keep(pids, modality) for seed in (0, 1))
    assert (first != other).any()
    by_identity = first.reshape(30, 12)[:, 6:]
    assert len(np.unique(by_identity, axis=0)) > 10
    assert by_identity.any(axis=0).all(), "every place in the list has its chance"
    people = [Subsample(1, identities=0.5, seed=seed).keep(pids, modality).reshape(30, 12)[:, 6] for seed in (0, 1)]
    assert (people[0] != people[1]).any()


def test_rows_of_others_may_move_or_be_absent():
    pids, modality = rows_of({pid: (5, 3 + pid % 7) for pid in range(20)})
    subsample = Subsample(1, images=0.4)
    kept = subsample.keep(pids, modality)
    order = np.argsort(-pids, kind="stable")  # each identity's rows in their old order
    assert (subsample.keep(pids[order], modality[order]) == kept[order]).all()
    some = pids > 7
    assert (subsample.keep(pids[some], modality[some]) == kept[some]).all()
    people = Subsample(1, identities=0.4)
    assert (people.keep(pids[order], modality[order]) == people.keep(pids, modality)[order]).all()


def test_identities_without_the_other_modality_keep_some_images():
    pids, modality = rows_of({1: (0, 8), 2: (4, 4), 3: (4, 4), 4: (4, 4), 5: (3, 0)})
    kept = Subsample(1, images=0.25, identities=0.1).keep(pids, modality)
    assert np.count_nonzero(kept & (pids == 1)) == 2
    assert len(set(pids[kept & (modality == 1)]) & {2, 3, 4}) == 2


def test_choice_is_the_same_on_every_machine():
    pids, modality = np.repeat(np.arange(3), 8), np.tile([0, 0, 1, 1, 1, 1, 1, 1], 3)
    assert np.flatnonzero(~Subsample(1, 0.5, 0.5, seed=7).keep(pids, modality)).tolist() == [
        2,
        5,
        7,
        10,
        11,
        12,
        13,
        14,
        15,
        18,
        19,
        21,
    ]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"modality": 2}, r"subsample: modality must be 0 or 1, not 2"),
        ({"modality": True}, r"modality must be 0 or 1, not True"),
        ({"images": 0}, r"images must be a share above 0, at most 1, not 0"),
        ({"images": "half"}, r"images must be a share above 0, at most 1, not 'half'"),
        ({"identities": 1.5}, r"identities must be a share above 0, at most 1, not 1\.5"),
        ({"identities": float("nan")}, r"identities must be a share"),
        ({"images": True}, r"images must be a share"),
        ({"seed": -1}, r"seed must be a whole number from 0 to 2\*\*32 - 1, not -1"),
        ({"seed": 0.5}, r"seed must be a whole number"),
    ],
)
def test_values_out_of_range_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        Subsample(**{"modality": 1, **values})


def test_lists_of_unequal_length_are_refused():
    with pytest.raises(ValueError, match=r"one length, not \(3,\) and \(2,\)"):
        Subsample(1, 0.5).keep(np.arange(3), np.arange(2))
