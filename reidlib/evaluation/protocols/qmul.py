"""QMUL-ShoeV2 and QMUL-ChairV2: each test sketch looks for its photo among the test photos (Yu et al., QMUL SketchX).

Documented (public evaluation code): acc@1, acc@5 and acc@10 are the shares of test sketches whose own photo is among
the first 1, 5, 10 of all test photos. That is CMC over images; later papers add mAP, which here is the mean reciprocal
rank, since every sketch has one photo. Several sketches of a photo are several queries.
"""

from dataclasses import dataclass
from typing import ClassVar

from reidlib.evaluation.protocols.base import rule
from reidlib.evaluation.protocols.sketch import SketchProtocol


@dataclass(frozen=True, kw_only=True)
class QmulProtocol(SketchProtocol):
    """The protocol of both sets; it has no options of its own."""

    cmc_label: ClassVar[str] = "acc@{}"


@dataclass(frozen=True, kw_only=True)
class ShoeProtocol(QmulProtocol):
    """QMUL-ShoeV2: 200 test photos."""

    dataset: str = rule(default="shoe")


@dataclass(frozen=True, kw_only=True)
class ChairProtocol(QmulProtocol):
    """QMUL-ChairV2: 323 test sketches, 100 test photos."""

    dataset: str = rule(default="chair")
