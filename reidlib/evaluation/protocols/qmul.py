"""QMUL-ShoeV2 and QMUL-ChairV2: each test sketch looks for its photo among the test photos (Yu et al., QMUL SketchX).

Documented (public evaluation code): acc@1, acc@5 and acc@10 are the shares of test sketches whose own photo is among
the first 1, 5, 10 of all test photos. That is CMC over images; later papers add mAP, which here is the mean reciprocal
rank, since every sketch has one photo. Several sketches of a photo are several queries.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import pandas as pd

from reidlib.data import qmul
from reidlib.evaluation.protocols.base import IMAGES, Protocol, Trial, rule


@dataclass(frozen=True, kw_only=True)
class QmulProtocol(Protocol):
    """The protocol of both sets; it has no options of its own."""

    cmc_label: ClassVar[str] = "acc@{}"

    direction: str = rule(default="sketch-photo")
    camera_rule: str = rule(default="none")
    cmc_rule: str = rule(default=IMAGES)
    num_trials: int = rule(default=1)

    @property
    def stem(self) -> str:
        return self.dataset

    def trials(self, dataset: Any) -> list[Trial]:
        """All test sketches and all test photos, both in the order of the frame; photos without a sketch stay.

        Raises:
            ValueError: the data set is another one, or has no sketch or no photo of a test object.
        """
        self._require_dataset(dataset)
        queries, gallery = (dataset.rows("test", modality) for modality in (qmul.SKETCH, qmul.PHOTO))
        for role, rows in (("sketch", queries), ("photo", gallery)):
            if len(rows) == 0:
                raise ValueError(f"{dataset.root}: no {role} of a test object for {self.name}")
        return [Trial(queries, gallery)]

    def exclude(self, query: pd.DataFrame, gallery: pd.DataFrame) -> None:
        """Nothing is ignored."""
        return None


@dataclass(frozen=True, kw_only=True)
class ShoeProtocol(QmulProtocol):
    """QMUL-ShoeV2: 200 test photos."""

    dataset: str = rule(default="shoe")


@dataclass(frozen=True, kw_only=True)
class ChairProtocol(QmulProtocol):
    """QMUL-ChairV2: 323 test sketches, 100 test photos."""

    dataset: str = rule(default="chair")
