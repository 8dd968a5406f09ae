"""PKU-Sketch: each of 50 test sketches looks for its person among the 100 test photos (Pang et al., ACM MM 2018).

Documented (SketchTrans and IHDA, which evaluate so): query sketches, gallery photos of all cameras, CMC over images at
1, 5, 10 and 20 and mAP, no camera rule. Published numbers are means over ten random splits of identities: ten models,
one trial each. The splits are ours (`reidlib.data.pku_sketch`), because none is distributed; with 50 queries one query
is two points of rank-1, and splits differ by several.
"""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from reidlib.evaluation.protocols.base import IMAGES, Protocol, Trial, rule


@dataclass(frozen=True, kw_only=True)
class PkuSketchProtocol(Protocol):
    """The protocol of PKU-Sketch; the split is that of the data set: ``reidlib.data.open("pku-sketch", split=1)``.

    Args:
        flip, reranking, k1, k2, lam: as in every :class:`~reidlib.evaluation.protocols.base.Protocol`.
    """

    dataset: str = rule(default="pku-sketch")
    direction: str = rule(default="sketch-photo")
    camera_rule: str = rule(default="none")
    cmc_rule: str = rule(default=IMAGES)
    num_trials: int = rule(default=1)

    @property
    def stem(self) -> str:
        return self.dataset

    def trials(self, dataset: Any) -> list[Trial]:
        """All test sketches and all test photos, both in the order of the frame.

        Raises:
            ValueError: the data set is another one, or has no sketch or no photo of a test identity.
        """
        self._require_dataset(dataset)
        queries, gallery = dataset.rows("test", modality=1), dataset.rows("test", modality=0)
        for role, rows in (("sketch", queries), ("photo", gallery)):
            if len(rows) == 0:
                raise ValueError(f"{dataset.root}: no {role} of a test identity for {self.name}")
        return [Trial(queries, gallery)]

    def exclude(self, query: pd.DataFrame, gallery: pd.DataFrame) -> None:
        """Nothing is ignored."""
        return None
