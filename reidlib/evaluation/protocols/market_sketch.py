"""Market-Sketch-1K: sketches look for their person among the photos in ``photo/query`` (Lin et al., ACM MM 2023).

Documented (the owners' code, Lin-Kayla/subjectivity-sketch-reid): CMC over images, mAP and mINP, cosine distance, no
camera rule, any choice of test artists. In *single-query* each of their sketches is a query (headline comparisons: all
six artists); in *multi-query* all their sketches of a person make one query.

Reconstructed: how the sketches of a person become one. The owners fuse them inside their network, with empty images in
the place of missing artists; that needs their network. Here the query is the mean of the unit embeddings, scaled to
unit length, which every model offers. Numbers of the two are not comparable.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from reidlib.console.spelling import argument
from reidlib.data.market_sketch import ARTISTS, require_artists
from reidlib.evaluation.protocols.base import Trial, rule
from reidlib.evaluation.protocols.sketch import PHOTO, SKETCH, SketchProtocol


@dataclass(frozen=True, kw_only=True)
class MarketSketchProtocol(SketchProtocol):
    """The protocols of Market-Sketch-1K.

    Args:
        queries: ``"single"`` or ``"multi"``; the latter needs at least two artists.
        artists: letters of the artists whose test sketches are queries, such as ``"AF"``. Who draws the training
            sketches is chosen with ``reidlib.data.market_sketch.train_on``.
        flip, reranking, k1, k2, lam: as in every :class:`~reidlib.evaluation.protocols.base.Protocol`.

    Raises:
        ValueError: an unknown value; the message lists the known ones.
    """

    queries: str = "single"
    artists: str = ARTISTS
    dataset: str = rule(default="market-sketch-1k")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require("queries", ("single", "multi"))
        object.__setattr__(self, "artists", require_artists(self.artists))
        if self.queries == "multi" and len(self.artists) == 1:
            multi = argument("queries", "multi", of="protocol")
            raise ValueError(f"{self.dataset} protocol: {multi} needs two or more artists, got {self.artists!r}")

    @property
    def stem(self) -> str:
        return f"{self.dataset}-{self.queries}-{self.artists}"

    def trials(self, dataset: Any) -> list[Trial]:
        """Sketches of the chosen artists, and all test photos, both in the order of the frame.

        A query of several sketches stands at its person's first one.

        Raises:
            ValueError: the data set is another one, has no test photo, or no test sketch by these artists.
        """
        self._require_dataset(dataset)
        sketches = dataset.frame.iloc[dataset.rows("test", SKETCH)]
        sketches = sketches[sketches["artist"].isin(list(self.artists))]
        gallery = dataset.rows("test", PHOTO)
        self._require_images(dataset, {f"sketch by {self.artists}": sketches, "photo": gallery})
        if self.queries == "single":
            return [Trial(np.array(sketches.index), gallery)]
        parts = tuple(np.array(group.index) for _, group in sketches.groupby("pid"))
        return [Trial(np.array([rows[0] for rows in parts]), gallery, parts)]
