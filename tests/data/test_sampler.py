"""The sampler: the shape of a batch, fairness over an epoch, ranks, determinism, refusals."""

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reidlib.data import PKSampler
from reidlib.data.sampler import ShuffledCycle


def rows_of(counts: dict[int, tuple[int, int]], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Shuffled (pids, modality) with ``counts[pid] = (images of modality 0, of modality 1)``."""
    rows = [(pid, half) for pid, pair in counts.items() for half in (0, 1) for _ in range(pair[half])]
    rows = np.random.default_rng(seed).permutation(np.array(rows))
    return rows[:, 0], rows[:, 1]


def collect(sampler, epoch=0):
    return [batch.tolist() for batch in sampler.epoch(epoch)]


@settings(max_examples=60, deadline=None)
@given(
    counts=st.dictionaries(
        st.integers(0, 900), st.tuples(st.integers(1, 12), st.integers(1, 12)), min_size=4, max_size=20
    ),
    identities=st.integers(1, 4),
    images=st.integers(1, 6),
    seed=st.integers(0, 5),
)
def test_every_batch_has_the_promised_shape(counts, identities, images, seed):
    pids, modality = rows_of(counts)
    sampler = PKSampler(pids, modality, identities=identities, images=images, seed=seed)
    batches = list(sampler.epoch(seed))
    assert len(batches) == len(sampler) > 0
    for batch in batches:
        assert batch.dtype == np.int64 and batch.shape == (2 * identities * images,)
        assert modality[batch].tolist() == [0] * (identities * images) + [1] * (identities * images)
        grid = pids[batch].reshape(2, identities, images)
        assert (grid == grid[:, :, :1]).all(), "K consecutive rows of one identity"
        assert (grid[0] == grid[1]).all(), "the same identities in the same order in both halves"
        assert len(set(grid[0, :, 0])) == identities, "no identity twice"
        for half, place in itertools.product((0, 1), range(identities)):
            hand = batch.reshape(2, identities, images)[half, place]
            available = counts[int(grid[half, place, 0])][half]
            assert len(set(hand.tolist())) == min(images, available), "repeats only where images are too few"


def test_every_identity_has_the_same_number_of_turns_up_to_the_remainder():
    pids, modality = rows_of(dict.fromkeys(range(11), (12, 7)))
    sampler = PKSampler(pids, modality, identities=4, images=2)
    assert len(sampler) == 11 * 6 // 4  # 12 images / 2 = 6 turns each
    turns = Counter(pid for batch in collect(sampler) for pid in pids[batch[:8:2]].tolist())
    assert set(turns.values()) <= {5, 6} and sum(turns.values()) == 64
    first = [pid for batch in collect(sampler)[:2] for pid in pids[batch[:8:2]].tolist()]
    assert len(set(first)) == 8, "nobody returns before the others had their turn"


def test_an_epoch_covers_all_images_of_balanced_identities():
    pids, modality = rows_of(dict.fromkeys(range(8), (12, 6)))
    sampler = PKSampler(pids, modality, identities=4, images=3)
    seen = Counter(row for batch in collect(sampler) for row in batch)
    assert {seen[row] for row in np.flatnonzero(modality == 0)} == {1}
    assert {seen[row] for row in np.flatnonzero(modality == 1)} == {2}


def test_number_of_batches_of_the_usual_setting():
    """395 identities with 22,258 visible images, 8 × 4 a batch: 14 turns each, close to 22,258 / 32 = 696 batches."""
    pids, modality = rows_of({pid: (57 if pid < 138 else 56, 30) for pid in range(395)})
    assert np.count_nonzero(modality == 0) == 22_258
    assert len(PKSampler(pids, modality, identities=8, images=4)) == 395 * 14 // 8 == 691


@pytest.mark.parametrize(("images", "turns"), [(12, 2), (13, 3), (17, 3), (18, 4), (2, 1)])
def test_turns_are_rounded_to_the_nearest(images, turns):
    pids, modality = rows_of(dict.fromkeys(range(10), (images, 2)))
    assert len(PKSampler(pids, modality, identities=5, images=5)) == 10 * turns // 5


def test_order_depends_on_seed_epoch_and_rank_alone():
    pids, modality = rows_of(dict.fromkeys(range(12), (5, 5)))

    def draw(seed=0, epoch=0, rank=0):
        sampler = PKSampler(pids, modality, identities=4, images=2, seed=seed, rank=rank, world_size=2)
        list(sampler.epoch(5))  # what was drawn before does not matter
        np.random.default_rng().random()
        return collect(sampler, epoch)

    assert draw() == draw()
    settings_drawn = [draw(), draw(seed=1), draw(epoch=1), draw(rank=1), draw(seed=1, epoch=1)]
    assert all(a != b for a, b in itertools.combinations(settings_drawn, 2))


def test_order_is_the_same_on_every_machine():
    """Fixed by numpy's generators; a change here changes every published run."""
    pids, modality = np.repeat(np.arange(4), 4), np.tile([0, 0, 1, 1], 4)
    sampler = PKSampler(pids, modality, identities=2, images=1, seed=3)
    assert collect(sampler, 2) == [[4, 1, 7, 2], [8, 13, 11, 14], [0, 9, 3, 10], [5, 12, 6, 15]]


@pytest.mark.parametrize("world_size", [2, 3])
def test_ranks_share_the_batches_of_one_process(world_size):
    pids, modality = rows_of({pid: (4 + pid % 5, 4) for pid in range(20)})
    options = {"identities": 6, "images": 2, "seed": 1}
    alone = PKSampler(pids, modality, **options)
    ranks = [PKSampler(pids, modality, rank=rank, world_size=world_size, **options) for rank in range(world_size)]
    assert {len(sampler) for sampler in ranks} == {len(alone)}
    for whole, *parts in zip(alone.epoch(2), *(sampler.epoch(2) for sampler in ranks), strict=True):
        assert np.concatenate(parts).size == whole.size and set(np.concatenate(parts)) == set(whole)
        for part in parts:
            grid = pids[part].reshape(2, 6 // world_size, 2)
            assert (grid == grid[:1, :, :1]).all(), "both modalities of an identity come to the same rank"
            assert modality[part].tolist() == [0] * (12 // world_size) + [1] * (12 // world_size)


def test_identity_with_one_modality_is_refused_with_its_number():
    pids, modality = rows_of({1: (3, 3), 2: (3, 0), 3: (3, 3), 5: (2, 0)})
    with pytest.raises(ValueError, match=r"2 identities have no infrared/sketch \(1\) image: 2, 5;.*allow_missing_mod"):
        PKSampler(pids, modality, identities=2, images=2)
    with pytest.raises(ValueError, match=r"visible/photo \(0\) image: 2, 5"):
        PKSampler(pids, 1 - modality, identities=2, images=2)


@pytest.mark.parametrize("lacking", [10, 11])
def test_ten_identities_are_named_and_the_others_counted(lacking):
    pids, modality = rows_of({0: (1, 1)} | dict.fromkeys(range(1, lacking + 1), (2, 0)))
    more = " …" if lacking > 10 else ""
    with pytest.raises(ValueError, match=rf"^{lacking} identities have .*: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10{more}; leave"):
        PKSampler(pids, modality, identities=2, images=2)


def test_rows_that_an_identity_lacks_are_made_up_by_the_others_when_allowed():
    pids, modality = rows_of({1: (3, 3), 2: (3, 0), 3: (0, 3), 4: (3, 3)})
    sampler = PKSampler(pids, modality, identities=4, images=2, allow_missing_modality=True)
    for batch in sampler.epoch(0):
        assert modality[batch].tolist() == [0] * 8 + [1] * 8, "still modality 0 first"
        for half, present in ((batch[:8], {1, 2, 4}), (batch[8:], {1, 3, 4})):
            turns = Counter(pids[half].tolist())
            assert turns.keys() == present and sorted(turns.values()) == [2, 3, 3]
            assert len(set(half.tolist())) == 8, "no image twice while there are others"


@pytest.mark.parametrize(
    ("paired", "identities", "present"), [(10, 8, {2}), (25, 8, {5}), (12, 8, {2, 3}), (1, 8, {1})]
)
def test_identities_with_both_modalities_come_to_every_batch(paired, identities, present):
    pids, modality = rows_of({pid: (6, 6 if pid < paired else 0) for pid in range(40)})
    sampler = PKSampler(pids, modality, identities=identities, images=2, allow_missing_modality=True)
    found, turns = set(), Counter()
    for batch in itertools.chain(sampler.epoch(0), sampler.epoch(1)):
        assert modality[batch].tolist() == [0] * 16 + [1] * 16
        first, second = (set(pids[half].tolist()) for half in np.split(batch, 2))
        assert len(first) == 8 and second == {pid for pid in first if pid < paired}
        found.add(len(second))
        turns.update(first)
    assert found == present
    shares = [turns[pid] for pid in range(paired)], [turns[pid] for pid in range(paired, 40)]
    assert all(max(share) - min(share) <= 2 for share in shares), "equal turns within each kind"


def test_every_process_has_its_share_of_identities_with_both_modalities():
    pids, modality = rows_of({pid: (4 if pid < 6 else 0, 4) for pid in range(24)})
    options = {"identities": 12, "images": 2, "world_size": 3, "allow_missing_modality": True}
    ranks = [list(PKSampler(pids, modality, rank=rank, **options).epoch(4)) for rank in range(3)]
    for batches in ranks:
        assert all(len({pid for pid in pids[batch].tolist() if pid < 6}) == 2 for batch in batches)
        assert all(modality[batch].tolist() == [0] * 8 + [1] * 8 for batch in batches)
    pids, modality = rows_of({pid: (4 if pid < 2 else 0, 4) for pid in range(24)})
    with pytest.raises(ValueError, match=r"2 identities have images of both modalities; .* each of the 3 process"):
        PKSampler(pids, modality, **options)


@pytest.mark.parametrize(("ours", "identities"), [(6, 4), (1, 4), (11, 4), (1, 2), (6, 12)])
def test_without_any_identity_of_both_modalities_both_halves_are_full(ours, identities):
    pids, modality = rows_of({pid: (4, 0) if pid < ours else (0, 4) for pid in range(12)})
    sampler = PKSampler(pids, modality, identities=identities, images=2, allow_missing_modality=True)
    turns = Counter()
    for batch in itertools.chain(*map(sampler.epoch, range(3))):
        assert modality[batch].tolist() == [0] * 2 * identities + [1] * 2 * identities
        assert len(set(pids[batch].tolist())) == identities
        turns.update(set(pids[batch].tolist()))
    assert turns.keys() == set(range(12)), "everybody comes"
    with pytest.raises(ValueError, match="0 identities have images of both"):
        PKSampler(pids, modality, identities=1, images=2, allow_missing_modality=True)


@pytest.mark.parametrize("half", [0, 1])
def test_images_of_one_modality_alone_are_refused(half):
    pids, modality = rows_of(dict.fromkeys(range(6), (0, 4)))
    with pytest.raises(ValueError, match="all images are of one modality; a batch needs both"):
        PKSampler(pids, modality if half else 1 - modality, identities=3, images=2, allow_missing_modality=True)


def test_length_of_an_epoch_can_be_given():
    pids, modality = rows_of(dict.fromkeys(range(8), (4, 4)))
    sampler = PKSampler(pids, modality, identities=4, images=2, batches=11)
    batches = collect(sampler)
    assert len(sampler) == len(batches) == 11
    assert batches[:4] == collect(PKSampler(pids, modality, identities=4, images=2))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"identities": 5}, "needs 5 identities, but there are 4"),
        ({"identities": 3, "world_size": 2}, "2 processes cannot share the 3 identities"),
        ({"identities": 0}, "at least 1"),
        ({"images": 0}, "at least 1"),
        ({"batches": 0}, "batches must be at least 1, not 0"),
        ({"rank": 2, "world_size": 2}, "rank 2"),
        ({"rank": -1}, "rank -1"),
        ({"modality": np.zeros(3)}, "one length"),
        ({"modality": np.full(8, 2)}, r"0 or 1, found \[2\]"),
    ],
)
def test_settings_that_make_no_sense_are_refused(options, message):
    inputs = {"pids": np.repeat(np.arange(4), 2), "modality": np.tile([0, 1], 4), "identities": 2, "images": 1}
    with pytest.raises(ValueError, match=message):
        PKSampler(**(inputs | options))


def test_a_cycle_draws_all_rows_before_any_returns():
    cycle = ShuffledCycle(np.arange(7), np.random.default_rng(0))
    drawn = np.concatenate([cycle.draw(3) for _ in range(7)])
    for start in range(0, 21, 7):
        assert sorted(drawn[start : start + 7]) == list(range(7))
    assert all(len(set(drawn[i : i + 3])) == 3 for i in range(0, 21, 3))


def test_deck_smaller_than_the_hand_repeats_evenly():
    cycle = ShuffledCycle(np.arange(3), np.random.default_rng(0))
    assert sorted(Counter(cycle.draw(7).tolist()).values()) == [2, 2, 3]


def test_an_epoch_may_be_as_long_as_the_pairs() -> None:
    counts = [(7, 12), (30, 4), (5, 5), (2, 40), (11, 10)]  # visible, infrared of each identity
    pids = np.repeat(np.arange(5), [v + i for v, i in counts])
    modality = np.concatenate([np.repeat([0, 1], pair) for pair in counts])
    visits = 0
    for visible, infrared in counts:
        while min(visible, infrared) >= 3:
            visits, visible, infrared = visits + 1, visible - 3, infrared - 3
    assert len(PKSampler(pids, modality, identities=2, images=3, epoch="pairs")) == visits // 2 == 3
    assert len(PKSampler(pids, modality, identities=2, images=3)) == 5 * round(71 / 15) // 2
    with pytest.raises(ValueError, match="epoch must be one of: images, pairs, not 'steps'"):
        PKSampler(pids, modality, identities=2, images=3, epoch="steps")
