"""What every protocol says about itself, and what a trial is."""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sized
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from reidlib.console.spelling import argument
from reidlib.evaluation.reranking import POOLS, check_parameters

rule = partial(field, init=False)
"""A field that states a fixed rule of the protocol: printed and saved, not an option."""

IMAGES, DISTINCT_IDENTITIES = "images", "distinct identities"

RERANKING = {"k-reciprocal": "all", "k-reciprocal-queries": "queries"}
"""Name of the re-ranking → ``neighbours`` of :func:`reidlib.evaluation.k_reciprocal`."""
PARAMETERS = {"k1": 20, "k2": 6, "lam": 0.3}
"""Of the re-ranking, with the values of Zhong et al. (CVPR 2017)."""


@dataclass(frozen=True, eq=False)
class Trial:
    """One draw of queries and gallery: (Q,) and (G,) int64 positions in ``dataset.frame``.

    ``query_parts``, where a query is made of several images: the Q arrays of their rows, each beginning with the one in
    ``query_rows``. Such a query is embedded as the mean of the unit embeddings of its images, scaled to unit length.
    """

    query_rows: np.ndarray
    gallery_rows: np.ndarray
    query_parts: tuple[np.ndarray, ...] | None = None

    @property
    def rows(self) -> np.ndarray:
        """Every row that the trial needs an embedding of, ascending."""
        return np.unique(np.concatenate([self.query_rows, self.gallery_rows, *(self.query_parts or ())]))


@dataclass(frozen=True, kw_only=True)
class Protocol(ABC):
    """How a data set is scored: a value that can be printed, compared, and saved beside every result.

    A subclass adds its options as ordinary fields, its fixed rules with ``rule`` and the ``stem`` of its name; if it
    checks its options in ``__post_init__``, it calls that of its parent too. The fields here are those that a result
    cannot be read without.

    Args:
        flip: an image is embedded as the mean of its own unit embedding and that of its mirror image, scaled to unit
            length (the evaluations of DEEN and DNS do this; IDKL's does not).
        reranking: ``"none"``; ``"k-reciprocal"``, after Zhong et al. (CVPR 2017), neighbours among the queries and the
            gallery of the trial; ``"k-reciprocal-queries"``, neighbours among the queries only (released evaluation of
            MPANet and IDKL on SYSU-MM01): a query's ranking then depends on all other queries. What the camera rule
            excludes is left out of the ranking afterwards, so that it still takes part as a neighbour.
        k1, k2, lam: parameters of the re-ranking, 20, 6 and 0.3 if not given; ``None`` without re-ranking.
        num_trials: the first trials.
    """

    cmc_label: ClassVar[str] = "rank-{}"
    """How tables name CMC at rank k."""

    dataset: str = rule()
    direction: str = rule()
    camera_rule: str = rule()
    cmc_rule: str = rule()
    ap_rule: str = rule(default="images, every match counts, no interpolation")
    tie_rule: str = rule(default="pessimistic: at equal distance the wrong item ranks first")
    flip: bool = False
    reranking: str = "none"
    k1: int | None = None
    k2: int | None = None
    lam: float | None = None
    num_trials: int = 10

    def __post_init__(self) -> None:
        self._require("flip", (False, True))
        self._require("reranking", ("none", *RERANKING))
        if self.reranking == "none":
            for name in PARAMETERS:
                if (value := getattr(self, name)) is not None:
                    raise ValueError(
                        f"{self.dataset} protocol: {argument(name, value, of='protocol')} is a parameter of "
                        f"re-ranking, which is off; choose {' or '.join(map(repr, RERANKING))}, or leave {name} out"
                    )
            return
        given = {name: value for name in PARAMETERS if (value := getattr(self, name)) is not None}
        check_parameters(**PARAMETERS | given)
        for name, value in (PARAMETERS | given).items():
            object.__setattr__(self, name, type(PARAMETERS[name])(value))  # λ = 1 and λ = 1.0 have one name

    @property
    @abstractmethod
    def stem(self) -> str:
        """The name without what is done to features and distances: short, and unique to the subclass's options."""

    @property
    def name(self) -> str:
        """Short and unique to the options, for file names and tables."""
        flip = ["flip"] if self.flip else []
        reranking = [self.reranking, *map(str, self.parameters.values())] if self.parameters else []
        return "-".join([self.stem, *flip, *reranking])

    @property
    def parameters(self) -> dict[str, Any]:
        """Those of the re-ranking; empty without."""
        return {} if self.reranking == "none" else {name: getattr(self, name) for name in PARAMETERS}

    @property
    def reranking_label(self) -> str:
        """Re-ranking, its parameters and the images among which neighbours are sought, in words; ``"none"``."""
        if self.reranking == "none":
            return "none"
        pool = POOLS[RERANKING[self.reranking]]
        return f"k-reciprocal (k1={self.k1}, k2={self.k2}, λ={self.lam}, neighbours: {pool})"

    @abstractmethod
    def trials(self, dataset: Any) -> list[Trial]:
        """Draw the queries and galleries from a data set (``reidlib.data.ReIDDataset``); the same at every call."""

    @abstractmethod
    def exclude(self, query: pd.DataFrame, gallery: pd.DataFrame) -> np.ndarray | None:
        """(Q, G) bool, True where the query ignores the gallery image, from the two parts of the frame."""

    def available(self, dataset: Any, chosen: Mapping[str, Any]) -> "Protocol":
        """What is nearest to this and can be scored with the files there are; ``chosen`` options stay."""
        return self

    @property
    def distinct_ids(self) -> bool:
        """Whether CMC counts identities instead of images."""
        return self.cmc_rule == DISTINCT_IDENTITIES

    def replace(self, **options: Any) -> "Protocol":
        """The same protocol with other options; without re-ranking its parameters go as well."""
        if options.get("reranking") == "none":
            options = dict.fromkeys(PARAMETERS) | options
        return dataclasses.replace(self, **options)

    def to_dict(self) -> dict[str, Any]:
        """Every option and rule, in types that JSON knows; no parameters of a re-ranking that is off."""
        return {name: value for name, value in asdict(self).items() if name not in PARAMETERS or value is not None}

    def __str__(self) -> str:
        return self.name

    def _require(self, option: str, known: tuple) -> None:
        if (value := getattr(self, option)) not in known:
            given = argument(option, value, of="protocol")
            raise ValueError(f"{self.dataset} protocol: {given} is unknown; known: {', '.join(map(repr, known))}")
        object.__setattr__(self, option, known[known.index(value)])  # NumPy's 3 becomes 3, which a file can hold

    def _require_dataset(self, dataset: Any) -> None:
        if dataset.name != self.dataset:
            raise ValueError(f"protocol {self.name!r} is for data set {self.dataset!r}, not for {dataset.name!r}")

    def _require_images(self, dataset: Any, found: Mapping[str, Sized]) -> None:
        """``found``: role → its test images."""
        for role, images in found.items():
            if len(images) == 0:
                raise ValueError(f"{dataset.root}: no {role} of a test identity for {self.name}")


@dataclass(frozen=True, kw_only=True)
class OnceProtocol(Protocol):
    """All test images of one modality against all of the other, once; CMC over images, no camera rule."""

    roles_of: ClassVar[tuple[str, str]] = ("query image", "gallery image")
    """What queries and gallery are called in messages."""

    camera_rule: str = rule(default="none")
    cmc_rule: str = rule(default=IMAGES)
    num_trials: int = rule(default=1)

    @property
    @abstractmethod
    def modalities(self) -> tuple[int, int]:
        """Of the queries, of the gallery."""

    def trials(self, dataset: Any) -> list[Trial]:
        """One trial, both parts in the order of the frame; gallery images that nobody asks for stay.

        Raises:
            ValueError: the data set is another one, or a modality has no test image.
        """
        self._require_dataset(dataset)
        rows = [dataset.rows("test", modality) for modality in self.modalities]
        self._require_images(dataset, dict(zip(self.roles_of, rows, strict=True)))
        return [Trial(*rows)]

    def exclude(self, query: pd.DataFrame, gallery: pd.DataFrame) -> None:
        """Nothing is ignored."""
        return None
