"""What every protocol says about itself, and what a trial is."""

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

rule = partial(field, init=False)
"""A field that states a fixed rule of the protocol: printed and saved, not an option."""

IMAGES, DISTINCT_IDENTITIES = "images", "distinct identities"


@dataclass(frozen=True, eq=False)
class Trial:
    """One draw of queries and gallery: (Q,) and (G,) int64 positions in ``dataset.frame``."""

    query_rows: np.ndarray
    gallery_rows: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Protocol(ABC):
    """How a data set is scored: a value that can be printed, compared, and saved beside every result.

    A subclass adds its options as ordinary fields and its fixed rules with ``rule``. The fields here are the rules
    that a result cannot be read without.
    """

    dataset: str = rule()
    direction: str = rule()
    camera_rule: str = rule()
    cmc_rule: str = rule()
    ap_rule: str = rule(default="images, every match counts, no interpolation")
    tie_rule: str = rule(default="pessimistic: at equal distance the wrong item ranks first")
    flip: bool = rule(default=False)
    reranking: str = rule(default="none")
    num_trials: int = 10

    @property
    @abstractmethod
    def name(self) -> str:
        """Short and unique to the options, for file names and tables."""

    @abstractmethod
    def trials(self, dataset: Any) -> list[Trial]:
        """Draw the queries and galleries from a data set (``reidlib.data.ReIDDataset``); the same at every call."""

    @abstractmethod
    def exclude(self, query: pd.DataFrame, gallery: pd.DataFrame) -> np.ndarray | None:
        """(Q, G) bool, True where the query ignores the gallery image, from the two parts of the frame."""

    @property
    def distinct_ids(self) -> bool:
        """Whether CMC counts identities instead of images."""
        return self.cmc_rule == DISTINCT_IDENTITIES

    def to_dict(self) -> dict[str, Any]:
        """Every option and rule, in types that JSON knows."""
        return asdict(self)

    def __str__(self) -> str:
        return self.name

    def _require(self, option: str, known: tuple) -> None:
        if (value := getattr(self, option)) not in known:
            raise ValueError(
                f"{self.dataset} protocol: {option}={value!r} is unknown; known: {', '.join(map(repr, known))}"
            )

    def _require_dataset(self, dataset: Any) -> None:
        if dataset.name != self.dataset:
            raise ValueError(f"protocol {self.name!r} is for data set {self.dataset!r}, not for {dataset.name!r}")
