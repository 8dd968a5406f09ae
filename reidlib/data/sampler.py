"""Balanced batches: P identities × K images per modality, as index lists."""

from collections.abc import Iterator

import numpy as np


class ShuffledCycle:
    """Draws distinct rows in random order; every row is drawn once before any row is drawn again.

    A draw of more rows than there are repeats rows no more often than it must.
    """

    def __init__(self, rows: np.ndarray, generator: np.random.Generator) -> None:
        self._rows, self._generator, self._waiting = rows, generator, rows[:0]

    def draw(self, size: int) -> np.ndarray:
        if size > len(self._rows):
            rounds = -(-size // len(self._rows))
            return np.concatenate([self._generator.permutation(self._rows) for _ in range(rounds)])[:size]
        if len(self._waiting) < size:
            fresh = self._generator.permutation(self._rows)
            held = np.isin(fresh, self._waiting)  # they lead this draw already, so they go to the back of the new round
            self._waiting = np.concatenate([self._waiting, fresh[~held], fresh[held]])
        drawn, self._waiting = self._waiting[:size], self._waiting[size:]
        return drawn


class PKSampler:
    """Batches of ``identities`` (P) × ``images`` (K) per modality.

    A batch is an index array of length 2·P·K into ``pids``: first P·K rows of modality 0, then P·K rows of modality 1,
    the same identities in the same order in both halves, K consecutive rows each.

    An epoch goes through all identities R times, where R = max(1, round(images of the larger modality / (identities ·
    K))): about as many rows as the larger modality has images. An identity comes back only after all others had their
    turn, so that each appears R times; fewer than P are one short, because the last incomplete batch is dropped. The K
    images of a turn are distinct and continue where the last turn ended; images repeat within a turn only if the
    identity has fewer than K of that modality.

    With several processes, each epoch divides the identities among the ranks without overlap; all ranks yield the same
    number of batches. The order depends on ``(seed, epoch, rank)`` alone.

    Args:
        pids: ``(N,)`` identity of each training row.
        modality: ``(N,)`` 0 or 1 for each training row.
        allow_missing_modality: accept identities without any image in one modality. The rows that they lack are made
            up by the others of the batch with more images each, so that both halves keep P·K rows. Identities with both
            modalities come to every batch, and every process, in proportion to their number, but at least two to a
            batch (if there are two on this process): a stem that is normalised by its batch should never see a single
            person, or nobody. So they may have more turns than the others.
        batches: length of an epoch, instead of the one derived above.

    Raises:
        ValueError: too few identities for P on every rank, an identity without one modality, or malformed input.
    """

    def __init__(
        self,
        pids: np.ndarray,
        modality: np.ndarray,
        *,
        identities: int,
        images: int,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        allow_missing_modality: bool = False,
        batches: int | None = None,
    ) -> None:
        pids, modality = np.asarray(pids), np.asarray(modality)
        if pids.ndim != 1 or pids.shape != modality.shape:
            raise ValueError(f"pids and modality must be lists of one length, not {pids.shape} and {modality.shape}")
        if unknown := sorted(set(modality.tolist()) - {0, 1}):
            raise ValueError(f"modality must be 0 or 1, found {unknown}")
        if identities < 1 or images < 1:
            raise ValueError(f"identities and images must be at least 1, not {identities} and {images}")
        if batches is not None and batches < 1:
            raise ValueError(f"batches must be at least 1, not {batches}")
        if not 0 <= rank < world_size:
            raise ValueError(f"rank {rank} must lie in 0 … world_size - 1 = {world_size - 1}")
        known = np.unique(pids)
        if len(known) // world_size < identities:
            raise ValueError(
                f"a batch needs {identities} identities, but {len(known)} over {world_size} process(es) leave "
                f"{len(known) // world_size} each; lower identities="
            )
        self.identities, self.images = identities, images
        self.seed, self.rank, self.world_size = seed, rank, world_size
        self._rows = _rows_by_identity(pids, modality, known)
        self._has_both = np.array([all(map(len, rows)) for rows in self._rows])
        if not allow_missing_modality:
            _refuse_missing(known, self._rows)
        larger = max(np.count_nonzero(modality == 0), np.count_nonzero(modality == 1))
        rounds = max(1, round(larger / (len(known) * images)))
        self._batches = len(known) // world_size * rounds // identities if batches is None else batches

    def __len__(self) -> int:
        """Batches per epoch, the same on every rank."""
        return self._batches

    def epoch(self, epoch: int) -> Iterator[np.ndarray]:
        """Yield the batches (int64 index arrays) of one epoch, numbered from 0."""
        shared = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(epoch,)))
        own = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(epoch, self.rank)))
        order = shared.permutation(len(self._rows))
        order = order[np.argsort(~self._has_both[order], kind="stable")]  # each process has its share of both kinds
        shard = order[self.rank :: self.world_size]
        has_both = self._has_both[shard]
        paired, others = ShuffledCycle(shard[has_both], own), ShuffledCycle(shard[~has_both], own)
        cycles = {
            i: [ShuffledCycle(rows, own) if len(rows) else None for rows in self._rows[i]] for i in shard.tolist()
        }
        for number in range(len(self)):
            count = self._paired_in_batch(number, np.count_nonzero(has_both), len(shard))
            chosen = [*paired.draw(count).tolist(), *others.draw(self.identities - count).tolist()]
            halves = [[cycles[i][half] for i in chosen if cycles[i][half]] for half in (0, 1)]
            yield np.concatenate([rows for owners in halves for rows in self._draw(owners)])

    def _paired_in_batch(self, number: int, paired: int, present: int) -> int:
        """How many identities of this batch have both modalities, as ``paired`` of those ``present`` have."""
        so_far, before = ((count * self.identities * paired) // present for count in (number + 1, number))
        return max(so_far - before, min(2, self.identities, paired))

    def _draw(self, cycles: list[ShuffledCycle]) -> Iterator[np.ndarray]:
        """P·K rows from the cycles of one modality, as evenly as can be."""
        for place, cycle in enumerate(cycles):
            each, left_over = divmod(self.identities * self.images, len(cycles))
            yield cycle.draw(each + (place < left_over))


def _rows_by_identity(pids: np.ndarray, modality: np.ndarray, known: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each identity, its row numbers in modality 0 and in modality 1."""
    keys = np.searchsorted(known, pids) * 2 + modality
    order = np.argsort(keys, kind="stable")
    parts = np.split(order, np.searchsorted(keys[order], np.arange(1, 2 * len(known))))
    return list(zip(parts[::2], parts[1::2], strict=True))


def _refuse_missing(known: np.ndarray, rows: list[tuple[np.ndarray, np.ndarray]]) -> None:
    for half, name in enumerate(("visible/photo (0)", "infrared/sketch (1)")):
        if lacking := [pid for pid, parts in zip(known.tolist(), rows, strict=True) if not len(parts[half])]:
            shown = ", ".join(map(str, lacking[:10])) + (" …" if len(lacking) > 10 else "")
            raise ValueError(
                f"{len(lacking)} identities have no {name} image: {shown}; leave them out, or pass "
                "allow_missing_modality=True to draw more images of the others"
            )
