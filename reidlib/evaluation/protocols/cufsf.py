"""CUFSF: each test sketch looks for its photograph among all test photographs (Zhang, Wang, Tang: CVPR 2011).

Documented: 500 identities for training, 694 for the test, sketch → photo, rank-1. One photograph and one sketch an
identity, so every query has one match, CMC over images equals CMC over identities, and INP equals AP. Reconstructed:
which identities these are, see `reidlib.data.cufsf.split_of`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from reidlib.console.spelling import either
from reidlib.evaluation.protocols.base import Trial, rule
from reidlib.evaluation.protocols.sketch import SketchProtocol


@dataclass(frozen=True, kw_only=True)
class CufsfProtocol(SketchProtocol):
    """The protocol of CUFSF; it has no options of its own."""

    dataset: str = rule(default="cufsf")

    def trials(self, dataset: Any) -> list[Trial]:
        """All test sketches, and all test photographs, in the order of the frame: by identity.

        Raises:
            ValueError: the data set is another one, has no test image, or a test identity lacks its photo or sketch.
        """
        [trial] = super().trials(dataset)
        pids = dataset.frame["pid"].to_numpy()
        if len(unpaired := np.setxor1d(pids[trial.query_rows], pids[trial.gallery_rows])):
            raise ValueError(
                f"{dataset.root}: {len(unpaired)} test identities lack their photo or sketch, {unpaired[0]:05d} for "
                f"one; complete the tree: {either('print(dataset.check())', 'reidlib check')} names every missing file"
            )
        return [trial]
