"""Balanced batches: P identities × K images per modality, as index lists."""

from collections.abc import Iterator

import numpy as np

from reidlib.console.spelling import argument, either

EPOCHS = ("images", "pairs")


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
    identity has fewer than K of that modality. With ``epoch="pairs"`` the length alone is another: ``(sum_i
    (min(V_i, I_i) // K)) // P`` batches, at least one, where V_i and I_i are the images of identity i in either
    modality. That is the most that the released code of IDKL makes of an epoch (documented): it draws identities at
    random among those with pairs left, and ends when fewer than P have any.

    Several processes share each batch: the batches are those of one process, and every rank takes P / ``world_size`` of
    their identities with all images of these. So steps, batch size and learning rate stay what they were. The order
    depends on ``(seed, epoch)`` alone.

    Args:
        pids: ``(N,)`` identity of each training row.
        modality: ``(N,)`` 0 or 1 for each training row.
        allow_missing_modality: accept identities without any image in one modality. The rows that they lack are made
            up by the others of the batch with more images each, so that both halves keep P·K rows. Identities with both
            modalities come to every batch in proportion to their number, but at least two to each process (if there
            are as many): a stem that is normalised by its batch should never see a single person, or nobody. So they
            may have more turns than the others. Without a single one of them (one process only), identities of either
            modality come in proportion to their number, at least one of each.
        epoch: how its length is derived: one of :data:`EPOCHS`.
        batches: length of an epoch, instead of the one derived.

    Raises:
        ValueError: fewer than P identities, P that the processes cannot share out, an identity without one modality,
            or malformed input.
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
        epoch: str = "images",
        batches: int | None = None,
    ) -> None:
        pids, modality = np.asarray(pids), np.asarray(modality)
        if pids.ndim != 1 or pids.shape != modality.shape:
            raise ValueError(f"pids and modality must be lists of one length, not {pids.shape} and {modality.shape}")
        if unknown := sorted(set(modality.tolist()) - {0, 1}):
            raise ValueError(f"modality must be 0 or 1, found {unknown}")
        if identities < 1 or images < 1:
            raise ValueError(f"identities and images must be at least 1, not {identities} and {images}")
        if epoch not in EPOCHS:
            raise ValueError(f"epoch must be one of: {', '.join(EPOCHS)}, not {epoch!r}")
        if batches is not None and batches < 1:
            raise ValueError(f"batches must be at least 1, not {batches}")
        if not 0 <= rank < world_size:
            raise ValueError(f"rank {rank} must lie in 0 … world_size - 1 = {world_size - 1}")
        known = np.unique(pids)
        if len(known) < identities:
            remedy = f"lower {argument('identities', of='recipe')}"
            raise ValueError(f"a batch needs {identities} identities, but there are {len(known)}; {remedy}")
        if identities % world_size:
            raise ValueError(
                f"{world_size} processes cannot share the {identities} identities of a batch evenly; start a number of "
                "processes that divides them, or change identities="
            )
        self.identities, self.images = identities, images
        self.seed, self.rank, self.world_size = seed, rank, world_size
        self._rows = _rows_by_identity(pids, modality, known)
        self._has_both = np.array([all(map(len, rows)) for rows in self._rows])
        if not allow_missing_modality:
            _refuse_missing(known, self._rows)
        if (paired := np.count_nonzero(self._has_both)) < world_size and (world_size > 1 or identities == 1):
            raise ValueError(
                f"{paired} identities have images of both modalities; a batch needs one of them in each of the "
                f"{world_size} process(es)"
            )
        if not paired and len({bool(len(rows[0])) for rows in self._rows}) < 2:
            raise ValueError("all images are of one modality; a batch needs both")
        if batches is None:
            visits = self._visits(len(known)) if epoch == "images" else self._pairs()
            batches = max(1, visits // identities)
        self._batches = batches

    def _visits(self, known: int) -> int:
        """How often identities come in an epoch, in all, if it has about as many rows as the larger modality."""
        larger = max(sum(len(parts[half]) for parts in self._rows) for half in (0, 1))
        return known * max(1, round(larger / (known * self.images)))

    def _pairs(self) -> int:
        """How often they come if each brings its smaller modality once."""
        return sum(min(map(len, parts)) // self.images for parts in self._rows)

    def __len__(self) -> int:
        """Batches per epoch, the same on every rank."""
        return self._batches

    def epoch(self, epoch: int) -> Iterator[np.ndarray]:
        """Yield the batches (int64 index arrays) of one epoch, numbered from 0."""
        order = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(epoch,)))
        order = order.permutation(len(self._rows))
        random = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(epoch, 0)))
        has_both = self._has_both[order]
        is_first = np.array([len(self._rows[i][0]) > 0 for i in order]) & ~has_both
        kinds = [has_both, ~has_both] if has_both.any() else [is_first, ~is_first]
        first, second = (ShuffledCycle(order[kind], random) for kind in kinds)
        cycles = {
            i: [ShuffledCycle(rows, random) if len(rows) else None for rows in self._rows[i]] for i in order.tolist()
        }
        for number in range(len(self)):
            count = self._of_first_kind(number, np.count_nonzero(kinds[0]), len(order), has_both.any())
            chosen = [*first.draw(count).tolist(), *second.draw(self.identities - count).tolist()]
            shares = [chosen[rank :: self.world_size] for rank in range(self.world_size)]
            yield np.concatenate([rows for half in (0, 1) for rows in self._draw(chosen, shares, cycles, half)])

    def _of_first_kind(self, number: int, kind: int, present: int, paired: bool) -> int:
        """How many identities of this batch are of the first kind, as ``kind`` of those ``present`` are."""
        so_far, before = ((count * self.identities * kind) // present for count in (number + 1, number))
        if paired:
            return max(so_far - before, min(2 * self.world_size, self.identities, kind))
        return min(max(so_far - before, 1), self.identities - 1)

    def _draw(self, chosen: list[int], shares: list[list[int]], cycles: dict[int, list], half: int) -> list[np.ndarray]:
        """This rank's rows of one modality: as many for each rank, as evenly from its identities as can be.

        The rows of all ranks are drawn, in the order in which a single process draws them.
        """
        sizes: dict[int, int] = {}
        for share in shares:
            owners = [i for i in share if cycles[i][half]]
            each, left_over = divmod(len(share) * self.images, len(owners))
            sizes |= {i: each + (place < left_over) for place, i in enumerate(owners)}
        drawn = {i: cycles[i][half].draw(sizes[i]) for i in chosen if i in sizes}
        return [drawn[i] for i in shares[self.rank] if i in drawn]


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
                f"{len(lacking)} identities have no {name} image: {shown}; leave them out"
                + either(", or pass allow_missing_modality=True to draw more images of the others", "")
            )
