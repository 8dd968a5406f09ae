"""PKU-Sketch: each of 50 test sketches looks for its person among the 100 test photos (Pang et al., ACM MM 2018).

Documented (SketchTrans and IHDA, which evaluate so): query sketches, gallery photos of all cameras, CMC over images at
1, 5, 10 and 20 and mAP, no camera rule. Published numbers are means over ten random splits of identities: ten models,
one trial each. The splits are ours (`reidlib.data.pku_sketch`), because none is distributed; with 50 queries one query
is two points of rank-1, and splits differ by several.
"""

from dataclasses import dataclass

from reidlib.evaluation.protocols.base import rule
from reidlib.evaluation.protocols.sketch import SketchProtocol


@dataclass(frozen=True, kw_only=True)
class PkuSketchProtocol(SketchProtocol):
    """The protocol of PKU-Sketch; the split is that of the data set: ``reidlib.data.open("pku-sketch", split=1)``.

    Args:
        flip, reranking, k1, k2, lam: as in every :class:`~reidlib.evaluation.protocols.base.Protocol`.
    """

    dataset: str = rule(default="pku-sketch")
