"""LLCM: nine cameras by day, eight of them by night (Zhang & Wang, DEEN, CVPR 2023).

Three conventions are in print and must not share a column:

* ``deen``, documented by the DEEN paper and its released loader (ZYK100/LLCM): all test images of one modality are
  queries; the gallery holds one image per identity and camera of the other, drawn anew for each of ten trials. Trial t
  seeds Python's generator with t and chooses among the sorted file names of each folder, identities in ascending order,
  cameras inside (visible 1 to 9; near-infrared 1, 2, 4 to 9). Most papers follow it.
* ``deen-transposed``, documented by the released test script and the revised table of its README, for the direction
  printed as visible-infrared: the near-infrared gallery is drawn as above, but its images query the full visible set.
  Rank-1 is then far above mAP; under ``deen`` it is below. The other direction is that of ``deen``.
* ``idkl``, documented by IDKL's released evaluation: every test image of one modality against every one of the other,
  once. That code treats the modality as the camera, so nothing is ignored; it also re-ranks and leaves features
  unnormalised, which is not part of this protocol.

In the first two a query ignores gallery images of its own identity *and* camera number, numbers being shared by the
modalities. All three count distinct identities in CMC.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from reidlib.console.spelling import argument
from reidlib.evaluation.protocols.base import DISTINCT_IDENTITIES, Protocol, Trial, rule
from reidlib.evaluation.protocols.regdb import DIRECTIONS
from reidlib.evaluation.protocols.sysu import draw_agw

PRESETS = ("deen", "deen-transposed", "idkl")
TRIALS = 10
NIGHT_CAMERAS = (1, 2, 4, 5, 6, 7, 8, 9)
_WORDS = {0: "visible", 1: "near-infrared"}


@dataclass(frozen=True, kw_only=True)
class LlcmProtocol(Protocol):
    """The protocols of LLCM.

    Args:
        preset: ``"deen"``, ``"deen-transposed"`` or ``"idkl"``, whose convention; see the module's text.
        direction: ``"visible-infrared"`` or ``"infrared-visible"``, as tables print it; query first.
        num_trials: the first 1 to 10 draws, ten if not given (published results average all); ``idkl`` has one.

    ``roles`` says in words which images are queries and which are the gallery.

    Raises:
        ValueError: an unknown value (the message lists the known ones), or a direction that the preset does not have.
    """

    preset: str = "deen"
    direction: str = "visible-infrared"
    num_trials: int | None = None
    roles: str = rule()
    dataset: str = rule(default="llcm")
    camera_rule: str = rule()
    cmc_rule: str = rule(default=DISTINCT_IDENTITIES)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require("preset", PRESETS)
        self._require("direction", tuple(DIRECTIONS))
        if self.preset == "deen-transposed" and self.direction != "visible-infrared":
            transposed, direction, deen = (
                argument(name, value, of="protocol")
                for name, value in (("preset", self.preset), ("direction", "visible-infrared"), ("preset", "deen"))
            )
            raise ValueError(
                f"llcm protocol: {transposed} differs from 'deen' for {direction} only; use {deen} for "
                "'infrared-visible'"
            )
        object.__setattr__(self, "num_trials", self._draws if self.num_trials is None else self.num_trials)
        self._require("num_trials", tuple(range(1, self._draws + 1)))
        query, gallery = (_WORDS[modality] for modality in DIRECTIONS[self.direction])
        roles, rule = {
            "deen": (f"every {query} image queries one {gallery} image per identity and camera", True),
            "deen-transposed": (f"one {gallery} image per identity and camera queries every {query} image", True),
            "idkl": (f"every {query} image queries every {gallery} image", False),
        }[self.preset]
        object.__setattr__(self, "roles", roles)
        ignored = "queries ignore images of their own identity and camera number"
        object.__setattr__(self, "camera_rule", ignored if rule else "none")

    @property
    def _draws(self) -> int:
        return 1 if self.preset == "idkl" else TRIALS

    @property
    def stem(self) -> str:
        first = f"-first{self.num_trials}" if self.num_trials != self._draws else ""
        return f"llcm-{self.preset}-{self.direction}{first}"

    def trials(self, dataset: Any) -> list[Trial]:
        """Queries and full galleries ordered by identity, camera and file name; drawn images in the order drawn.

        Raises:
            ValueError: the data set is another one, or a modality has no test image.
        """
        self._require_dataset(dataset)
        test = dataset.frame[dataset.frame["split"] == "test"].sort_values(["pid", "camid", "path"])
        if self.preset != "idkl":
            test = test[(test["modality"] == 0) | test["camid"].isin(NIGHT_CAMERAS)]
        found = {modality: test[test["modality"] == modality] for modality in DIRECTIONS[self.direction]}
        self._require_images(dataset, {f"{_WORDS[modality]} image": part for modality, part in found.items()})
        whole, sampled = found.values()
        rows = whole.index.to_numpy()
        if self.preset == "idkl":
            return [Trial(rows, sampled.index.to_numpy())]
        folders = dict(list(sampled.groupby(["pid", "camid"])["path"]))
        draws = [np.array(draw_agw(folders, trial)) for trial in range(self.num_trials)]
        return [Trial(draw, rows) if self.preset == "deen-transposed" else Trial(rows, draw) for draw in draws]

    def exclude(self, query: pd.DataFrame, gallery: pd.DataFrame) -> np.ndarray | None:
        """Same identity and same camera number; both arguments need the columns ``pid`` and ``camid``."""
        if self.preset == "idkl":
            return None
        same = [query[column].to_numpy()[:, None] == gallery[column].to_numpy() for column in ("pid", "camid")]
        return same[0] & same[1]
