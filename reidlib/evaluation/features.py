"""Features that were made elsewhere: read from a file, told apart by the names of its arrays, and scored.

A file holds a query and a gallery, ``query_<what>`` and ``gallery_<what>``, or one set, ``<what>``, in which each image
looks for the others: those of the other modality, if there are two. *What* is the features (N, D), the identities and,
if there are any, the cameras, under the names that released code gives them:

* ``gallery_f``, ``gallery_label``, ``gallery_cam``, ``query_f`` …: ``pytorch_result.mat`` of layumi's baseline;
* ``qf``, ``q_pids``, ``q_camids``, ``gf`` …: torchreid and what follows it;
* ``distmat`` (Q, G) in the place of features;
* ``features`` and ``paths``, without identities: they are read off file names as open-reid
  (``00000001_00_0000.jpg``) or Market-1501 (``0002_c1s1_000451_03.jpg``) write them.

Identities below 0 are junk, as in Market-1501: such an image asks for nobody and is in nobody's way.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reidlib.data import numbers
from reidlib.evaluation.arrays import matrix, require_finite
from reidlib.evaluation.ranking import RankResult, rank
from reidlib.evaluation.scoring import cosine_distances

_SIDES = {"query": ("query", "q", "probe"), "gallery": ("gallery", "g")}
_WHAT = {
    "features": ("features", "feature", "feats", "feat", "f", "embeddings", "embedding", "emb"),
    "pids": ("pids", "pid", "labels", "label", "ids", "id", "identities"),
    "camids": ("camids", "camid", "cams", "cam", "cameras", "camera"),
    "modality": ("modality", "modalities"),
    "paths": ("paths", "path", "fnames", "names", "img_paths"),
}
_DISTANCES = ("distmat", "distances", "dist")
_IN_NAMES = (re.compile(r"(?P<pid>\d{8})_(?P<camid>\d{2})_\d{4}"), re.compile(r"(?P<pid>-?\d+)_c(?P<camid>\d+)"))
CAMERA_RULES = {"all": "no camera rule", "other": "queries ignore images of their own identity and camera"}
_CMC = {"images": False, "identities": True}


@dataclass(frozen=True, eq=False, repr=False)
class Features:
    """A query and a gallery as arrays; see :func:`read_features`.

    Attributes:
        source: the file, for messages.
        query, gallery: (Q, D) and (G, D), or ``None`` if the file holds distances.
        query_pids, gallery_pids: (Q,), (G,) int64.
        query_camids, gallery_camids: likewise; ``None`` where there are none.
        distances: (Q, G), or ``None``.
        ignored: (Q, G) bool, pairs that are no question whatever the rule: an image and itself; ``None`` if none are.
    """

    source: str
    query: np.ndarray | None
    gallery: np.ndarray | None
    query_pids: np.ndarray
    gallery_pids: np.ndarray
    query_camids: np.ndarray | None = None
    gallery_camids: np.ndarray | None = None
    distances: np.ndarray | None = None
    ignored: np.ndarray | None = None

    def rules(self, cameras: str | None = None, cmc: str = "images") -> str:
        """In words, what :meth:`score` does."""
        told = f"CMC over {cmc}, AP over images, without interpolation, ties: the wrong image first, re-ranking: none"
        measure = "cosine distance" if self.distances is None else "distances of the file"
        return f"{measure} · {CAMERA_RULES[self._cameras(cameras)]} · {told}"

    def score(self, *, cameras: str | None = None, cmc: str = "images") -> RankResult:
        """Rank the gallery of every query by cosine distance, or by the distances of the file.

        Args:
            cameras: ``"other"``: a query ignores gallery images of its identity from its own camera (Market-1501's
                rule); ``"all"``: it ignores none; default: ``"other"`` if cameras are known.
            cmc: ``"images"`` or ``"identities"``, what CMC counts.

        Raises:
            ValueError: an unknown value; no camera is known; NaN or infinite values; no query has a match.
        """
        if cmc not in _CMC:
            raise ValueError(f"cmc={cmc!r} is unknown; known: {', '.join(map(repr, _CMC))}")
        ignored = np.zeros((len(self.query_pids), len(self.gallery_pids)), bool)
        if self._cameras(cameras) == "other":
            ignored |= self.query_pids[:, None] == self.gallery_pids
            ignored &= self.query_camids[:, None] == self.gallery_camids
        ignored |= False if self.ignored is None else self.ignored
        if self.distances is None:
            for values, name in ((self.query, "query"), (self.gallery, "gallery")):
                require_finite(matrix(values, name), f"{self.source}: {name}")
        asked, shown = self.query_pids >= 0, self.gallery_pids >= 0
        distances = cosine_distances(self.query, self.gallery) if self.distances is None else self.distances
        chosen = np.ix_(asked, shown)
        pids = self.query_pids[asked], self.gallery_pids[shown]
        return rank(distances[chosen], *pids, exclude=ignored[chosen], distinct_ids=_CMC[cmc])

    def __repr__(self) -> str:
        size = f", D {self.query.shape[1]}" if self.query is not None else ""
        people, junk = len(np.unique(self.query_pids[self.query_pids >= 0])), int((self.gallery_pids < 0).sum())
        left = f", {junk} of them junk" if junk else ""
        return (
            f"{self.source} · {len(self.query_pids):,} queries of {people:,} identities, "
            f"{len(self.gallery_pids):,} gallery images{left}{size}"
        )

    def _cameras(self, cameras: str | None) -> str:
        has = self.query_camids is not None and self.gallery_camids is not None
        cameras = ("other" if has else "all") if cameras is None else cameras
        if cameras not in CAMERA_RULES:
            raise ValueError(f"cameras={cameras!r} is unknown; known: {', '.join(map(repr, CAMERA_RULES))}")
        if cameras == "other" and not has:
            raise ValueError(f"{self.source} says nothing of cameras; leave cameras='other' out")
        return cameras


def read_features(path: str | Path) -> Features:
    """Read a query and a gallery from a ``.npz`` or ``.mat`` file (up to version 7.2); see the module's text.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it cannot be read, lacks features or identities, or their numbers differ; the message names the
            file and the arrays it has.
    """
    return of_arrays(numbers.read(path), Path(path).name)


def of_arrays(arrays: Mapping[str, np.ndarray], source: str) -> Features:
    """`Features` of named arrays."""
    sides = {side: _side(arrays, source, names) for side, names in _SIDES.items()}
    distances = next((arrays[name] for name in _DISTANCES if name in arrays), None)
    if all("pids" in found and (distances is not None or "features" in found) for found in sides.values()):
        query, gallery = sides["query"], sides["gallery"]
        if distances is not None and distances.shape != (len(query["pids"]), len(gallery["pids"])):
            raise ValueError(
                f"{source}: distances are {distances.shape}, for {len(query['pids'])} queries and "
                f"{len(gallery['pids'])} gallery images"
            )
        return _joined(source, query, gallery, distances)
    whole = single(arrays, source)
    if "features" not in whole or "pids" not in whole:
        have = ", ".join(f"{name} {array.shape}" for name, array in list(arrays.items())[:8]) or "nothing"
        raise ValueError(
            f"{source} must hold features and identities: query_features, query_pids, gallery_features, gallery_pids; "
            f"query_f, query_label, gallery_f, gallery_label; or features and pids. It holds {have}"
        )
    number = np.arange(len(whole["pids"]))
    modality = whole.get("modality")
    if modality is not None and set(np.unique(modality)) == {0, 1}:
        parts = [{name: values[modality == m] for name, values in whole.items()} for m in (1, 0)]
        return _joined(source, *parts, None)
    return _joined(source, whole, whole, None, number[:, None] == number)


def of_dataset(arrays: Mapping[str, np.ndarray], dataset: Any, source: str) -> np.ndarray:
    """Features as `reidlib.evaluation.score` takes them, (N, D), a row per test image of a data set.

    With ``paths`` (below the root of the data set), rows are found by them, in any order; without, they are taken as
    they are: a row per image, or per test image, of the frame.

    Raises:
        ValueError: there are no features, or test images are missing; the first is named.
    """
    found = single(arrays, source)
    if "features" not in found:
        raise ValueError(f"{source} holds no features (N, D) of a data set; it holds {', '.join(arrays) or 'nothing'}")
    if "paths" not in found:
        return found["features"]
    places = {path: place for place, path in enumerate(found["paths"].tolist())}
    wanted = dataset.frame["path"].iloc[dataset.rows("test")].tolist()
    if missing := [path for path in wanted if path not in places]:
        raise ValueError(
            f"{source} lacks {len(missing)} of {len(wanted)} test images of {dataset.title}; the first is {missing[0]}"
        )
    return found["features"][[places[path] for path in wanted]]


def single(arrays: Mapping[str, np.ndarray], source: str) -> dict[str, np.ndarray]:
    """Of a file that holds one set: ``features``, and what else there is of pids, camids, modality, paths."""
    found = _side(arrays, source, ("",))
    for way in _IN_NAMES if "paths" in found and "pids" not in found else ():
        names = [way.match(re.split(r"[/\\]", str(path))[-1]) for path in found["paths"].tolist()]
        if names and all(names):
            found |= {what + "s": np.array([int(name[what]) for name in names]) for what in ("pid", "camid")}
            break
    return found


def _side(arrays: Mapping[str, np.ndarray], source: str, prefixes: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Canonical name → array, of those whose names begin with one of these."""
    found, count = {}, None
    for what, aliases in _WHAT.items():
        names = [f"{prefix}{line}{alias}" for prefix in prefixes for alias in aliases for line in ("_", "")]
        name = next((name for name in names if name in arrays), None)
        if name is None:
            continue
        values = arrays[name]
        if what == "features":
            if values.ndim != 2 or values.dtype.kind not in "iuf" or 0 in values.shape:
                raise ValueError(f"{source}: {name} must be features (N, D), not {values.dtype} {values.shape}")
            count = len(values)
        else:
            values = _column(values, what, f"{source}: {name}")
        if count is not None and len(values) != count:
            raise ValueError(f"{source}: {name} has {len(values)} entries for {count} features")
        found[what] = values
    return found


def _column(values: np.ndarray, what: str, where: str) -> np.ndarray:
    """(N,), from (1, N) and (N, 1) as well, as MATLAB writes it; whole numbers, but for paths."""
    if max(values.shape, default=1) != values.size:
        raise ValueError(f"{where} must have one entry an image, not the shape {values.shape}")
    values = values.reshape(-1)
    if what == "paths":
        return values.astype(str)
    if values.dtype.kind not in "iuf" or (values.dtype.kind == "f" and not np.array_equal(values, np.round(values))):
        raise ValueError(f"{where} must hold whole numbers, not {values.dtype}")
    return values.astype(np.int64)


def _joined(source: str, query: Any, gallery: Any, distances: Any, ignored: Any = None) -> Features:
    if distances is None and query["features"].shape[1] != gallery["features"].shape[1]:
        raise ValueError(
            f"{source}: query and gallery features differ in dimension: {query['features'].shape}, "
            f"{gallery['features'].shape}"
        )
    if len(query["pids"]) == 0 or len(gallery["pids"]) == 0:
        raise ValueError(f"{source}: there is no query, or no gallery image")
    values = (None, None) if distances is not None else (query["features"], gallery["features"])
    cameras = query.get("camids"), gallery.get("camids")
    return Features(source, *values, query["pids"], gallery["pids"], *cameras, distances, ignored)
