"""Modality imbalance: training with fewer images, or fewer identities, of one modality."""

from dataclasses import asdict, dataclass

import numpy as np


@dataclass(frozen=True)
class Subsample:
    """Which training images are left of one modality.

    Reconstructed: that a method copes with unequal modalities is documented as an aim of MAUM (Liu et al., CVPR 2022,
    abstract); which images are left out, the shares and all rules here are ours. With one seed, a smaller share keeps a
    subset of what a larger one keeps, in images and in identities. The other modality is left whole.

    Args:
        modality: that loses images, 0 (visible, photo) or 1 (infrared, sketch).
        images: share of the images that each identity keeps, above 0 to 1; of n images the whole number nearest to
            ``images · n`` (halves up), at least one.
        identities: share of the identities that keep images of this modality at all, above 0 to 1; rounded alike, at
            least two, so that batches can hold two. The share is one of the identities that have both modalities; one
            that has no other image is left its images of this modality.
        seed: of the choice, 0 to 2**32 - 1; not that of the training run.

    Raises:
        ValueError: a value out of range.
    """

    modality: int
    images: float = 1.0
    identities: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not _is_whole(self.modality) or self.modality not in (0, 1):
            raise ValueError(f"subsample: modality must be 0 or 1, not {self.modality!r}")
        for name in ("images", "identities"):
            share = getattr(self, name)
            if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share <= 1:
                raise ValueError(f"subsample: {name} must be a share above 0, at most 1, not {share!r}")
            object.__setattr__(self, name, float(share))
        if not _is_whole(self.seed) or not 0 <= self.seed < 2**32:
            raise ValueError(f"subsample: seed must be a whole number from 0 to 2**32 - 1, not {self.seed!r}")

    @property
    def keeps_all(self) -> bool:
        return self.images == self.identities == 1

    def keep(self, pids: np.ndarray, modality: np.ndarray) -> np.ndarray:
        """Which rows are left.

        Whether an image stays depends on the seed and the share, its identity, its number among the images of this
        identity and modality (in the order of the rows) and how many these are; with ``identities`` below 1, also on
        which other identities there are. Rows of other identities may lie between or move.

        Args:
            pids: (N,) integers, the identity of each training row.
            modality: (N,) 0 or 1.

        Returns:
            (N,) mask, true where the row is kept.

        Raises:
            ValueError: not two lists of one length.
        """
        pids, modality = np.asarray(pids), np.asarray(modality)
        if pids.ndim != 1 or pids.shape != modality.shape:
            raise ValueError(f"pids and modality must be lists of one length, not {pids.shape} and {modality.shape}")
        known, person = np.unique(pids, return_inverse=True)
        rows = np.flatnonzero(modality == self.modality)
        rows = rows[np.argsort(person[rows], kind="stable")]  # identity by identity
        count = np.bincount(person[rows], minlength=len(known))
        number = np.arange(len(rows)) - (np.cumsum(count) - count)[person[rows]]
        drawn = np.lexsort((self._keys(pids[rows], number + 1), person[rows]))
        place = np.empty_like(number)
        place[drawn] = number  # sorted by identity as well, so that each has the same stretch of places

        paired = np.flatnonzero((count > 0) & (count < np.bincount(person, minlength=len(known))))
        left = np.maximum(_share(self.identities, len(paired)), min(2, len(paired)))
        stays = np.ones(len(known), dtype=bool)
        stays[paired[np.argsort(self._keys(known[paired], 0), kind="stable")][left:]] = False

        kept = np.ones(len(pids), dtype=bool)
        kept[rows] = stays[person[rows]] & (place < np.maximum(_share(self.images, count), 1)[person[rows]])
        return kept

    def to_dict(self) -> dict[str, int | float]:
        """All fields, in types that JSON knows."""
        return asdict(self)

    def _keys(self, pids: np.ndarray, number: np.ndarray | int) -> np.ndarray:
        """Random numbers (uint64) by which images (``number`` from 1) or identities (0) are put in order."""
        first = _mixed(np.full(len(pids), 2 * self.seed + self.modality, dtype=np.uint64))
        return _mixed(_mixed(first ^ pids.astype(np.uint64)) + np.asarray(number).astype(np.uint64))


def _share(share: float, count: np.ndarray | int) -> np.ndarray:
    return np.floor(share * np.asarray(count) + 0.5).astype(np.int64)


def _mixed(values: np.ndarray) -> np.ndarray:
    """One step of SplitMix64 (Steele et al., OOPSLA 2014) from each state: the same on every machine."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
