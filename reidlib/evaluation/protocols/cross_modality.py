"""Any data set: images of one modality look for the same identity among those of the other.

Nobody's protocol (reconstructed: what the published ones have in common, each choice an option), for data that have
none, such as one's own. Every option is part of the name, and of the result. On a published data set its numbers are
not those of the literature.
"""

import random
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from reidlib.console.spelling import argument
from reidlib.evaluation.protocols.base import DISTINCT_IDENTITIES, IMAGES, Protocol, Trial, rule

NAME = "cross-modality"
DRAWS = 10
_MOST = 1000
_CMC = {"images": IMAGES, "identities": DISTINCT_IDENTITIES}
_CAMERA_RULES = {"all": "none", "other": "queries ignore images of their own identity and camera number"}


@dataclass(frozen=True, kw_only=True)
class CrossModalityProtocol(Protocol):
    """The protocol of data sets that have none of their own.

    Args:
        direction: modality of the queries, then of the gallery, by the names that the data set has for them:
            ``"infrared-visible"``, ``"visible-infrared"``, ``"sketch-photo"`` …
        cameras: ``"all"``, or ``"other"``: a query ignores images of its identity that have its own camera number,
            where numbers are shared by the modalities (as DEEN does on LLCM).
        shots: gallery images per identity and camera, drawn anew for each trial: trial t seeds Python's generator with
            t and draws among the paths of each identity and camera in ascending order, identities in ascending order,
            cameras inside. ``None``: all images, in a single trial.
        cmc: ``"images"`` or ``"identities"``, what CMC counts.
        num_trials: number of draws, ten if not given; one without ``shots``.
        flip, reranking, k1, k2, lam: as in every :class:`~reidlib.evaluation.protocols.base.Protocol`.

    Raises:
        ValueError: an unknown value; the message lists the known ones.
    """

    direction: str = "infrared-visible"
    cameras: str = "all"
    shots: int | None = None
    cmc: str = "images"
    num_trials: int | None = None
    dataset: str = rule(default=NAME)
    camera_rule: str = rule()
    cmc_rule: str = rule()

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require("cameras", tuple(_CAMERA_RULES))
        self._require("cmc", tuple(_CMC))
        direction = self.direction
        if not (isinstance(direction, str) and direction.isprintable() and "-" in direction.strip("-")):
            given = argument("direction", direction, of="protocol")
            raise ValueError(f"{NAME} protocol: {given} must name two modalities, queries first: 'infrared-visible'")
        for name in ("shots", "num_trials"):
            value = getattr(self, name)
            if value is not None and not (
                value == int(value) if isinstance(value, int | float | np.integer) else False
            ):
                raise ValueError(f"{NAME} protocol: {argument(name, value, of='protocol')} must be a whole number")
            if value is not None and not 1 <= value <= _MOST:
                given = argument(name, int(value), of="protocol")
                raise ValueError(f"{NAME} protocol: {given} must be 1 to {_MOST}")
            object.__setattr__(self, name, None if value is None else int(value))
        draws = 1 if self.shots is None else DRAWS
        object.__setattr__(self, "num_trials", self.num_trials or draws)
        if self.shots is None and self.num_trials != 1:
            given, draw = argument("num_trials", self.num_trials, of="protocol"), argument("shots", 1, of="protocol")
            raise ValueError(
                f"{NAME} protocol: {given}: with all images in the gallery there is one trial; draw the gallery "
                f"({draw}), or leave num_trials out"
            )
        object.__setattr__(self, "camera_rule", _CAMERA_RULES[self.cameras])
        object.__setattr__(self, "cmc_rule", _CMC[self.cmc])

    @property
    def stem(self) -> str:
        cameras = "-other-cameras" if self.cameras == "other" else ""
        shots = f"-{self.shots}shot" if self.shots else ""
        draws = f"-{self.num_trials}draws" if self.shots and self.num_trials != DRAWS else ""
        return f"{NAME}-{self.direction}{shots}{draws}{cameras}" + ("-identities" if self.cmc == "identities" else "")

    def trials(self, dataset: Any) -> list[Trial]:
        """Queries and full galleries in the order of the frame; drawn images by identity and camera.

        Gallery images that nobody asks for stay; queries without a match are left out of the scores, and counted.

        Raises:
            ValueError: the data set has other modalities, or no test image of one of them.
        """
        query, gallery = self._modalities(dataset)
        rows = [dataset.rows("test", modality) for modality in (query, gallery)]
        names = dataset.reader.modalities
        self._require_images(
            dataset, {f"{names[m]} image": found for m, found in zip((query, gallery), rows, strict=True)}
        )
        pids = dataset.frame["pid"].to_numpy()
        if not np.isin(pids[rows[0]], pids[rows[1]]).any():
            raise ValueError(f"{dataset.root}: no test identity has both a {names[query]} and a {names[gallery]} image")
        if self.shots is None:
            return [Trial(*rows)]
        test = dataset.frame.iloc[rows[1]].sort_values(["pid", "camid", "path"])
        folders = [group.index.tolist() for _, group in test.groupby(["pid", "camid"])]
        return [Trial(rows[0], np.array(self._draw(folders, trial))) for trial in range(self.num_trials)]

    def exclude(self, query: pd.DataFrame, gallery: pd.DataFrame) -> np.ndarray | None:
        """Same identity and same camera number, or nothing."""
        if self.cameras == "all":
            return None
        same = [query[column].to_numpy()[:, None] == gallery[column].to_numpy() for column in ("pid", "camid")]
        return same[0] & same[1]

    def _draw(self, folders: list[list[int]], trial: int) -> list[int]:
        generator = random.Random(trial)
        return [row for rows in folders for row in generator.sample(rows, min(self.shots, len(rows)))]

    def _modalities(self, dataset: Any) -> tuple[int, int]:
        first, second = dataset.reader.modalities
        known = {f"{second}-{first}": (1, 0), f"{first}-{second}": (0, 1)}
        if self.direction not in known:
            ways = " or ".join(argument("direction", each, of="protocol") for each in known)
            raise ValueError(f"{NAME} protocol: {dataset.title} has no direction {self.direction!r}; it has {ways}")
        return known[self.direction]
