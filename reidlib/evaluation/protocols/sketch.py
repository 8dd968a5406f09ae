"""What the sketch sets have in common: every test sketch looks for its own among all test photos, once."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from reidlib.evaluation.protocols.base import IMAGES, Protocol, Trial, rule

PHOTO, SKETCH = 0, 1  # modalities


@dataclass(frozen=True, kw_only=True)
class SketchProtocol(Protocol):
    """Sketch → photo, CMC over images, no camera rule, one trial; who evaluates so is said by each protocol."""

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
            ValueError: the data set is another one, or has no sketch or no photo of a test identity.
        """
        self._require_dataset(dataset)
        queries, gallery = (dataset.rows("test", modality) for modality in (SKETCH, PHOTO))
        for role, rows in (("sketch", queries), ("photo", gallery)):
            if len(rows) == 0:
                raise ValueError(f"{dataset.root}: no {role} of a test identity for {self.name}")
        return [Trial(queries, gallery)]

    def exclude(self, query: pd.DataFrame, gallery: pd.DataFrame) -> None:
        """Nothing is ignored."""
        return None
