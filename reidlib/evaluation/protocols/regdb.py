"""RegDB: all test images of one modality against all of the other, one split a model (Ye et al., AGW, TPAMI 2021).

Documented (mangye16/Cross-Modal-Re-ID-baseline, AGW): split t trains on 206 identities and tests on the other 206; ten
models are trained, one a split, and published results are the mean of the ten. CMC counts images, no camera rule. With
``direction="visible-infrared"`` visible images are queries and thermal images the gallery. Which branch of a model an
image goes through follows from the image, never from its role: `reidlib.evaluation.embed` takes the modality from the
frame. (Swapping the roles in released code without swapping the branches costs forty points of rank-1.)

MPANet and IDKL test split 1 alone and count identities in CMC: the same rank-1, a higher rank-5 to rank-20. Their
numbers are not those of this protocol.
"""

from dataclasses import dataclass

from reidlib.evaluation.protocols.base import OnceProtocol, rule

DIRECTIONS = {"visible-infrared": (0, 1), "infrared-visible": (1, 0)}
"""Direction → modality of the queries, modality of the gallery."""


@dataclass(frozen=True, kw_only=True)
class RegdbProtocol(OnceProtocol):
    """The protocol of RegDB.

    Args:
        direction: ``"visible-infrared"`` (visible images are queries, thermal images the gallery) or
            ``"infrared-visible"``.

    Raises:
        ValueError: an unknown value; the message lists the known ones.
    """

    direction: str = "visible-infrared"
    dataset: str = rule(default="regdb")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require("direction", tuple(DIRECTIONS))

    @property
    def stem(self) -> str:
        return f"regdb-{self.direction}"

    @property
    def modalities(self) -> tuple[int, int]:
        return DIRECTIONS[self.direction]
