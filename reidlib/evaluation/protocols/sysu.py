"""SYSU-MM01: infrared queries, visible gallery, ten draws of the gallery (Wu et al., ICCV 2017; IJCV 2020).

Documented (official evaluation code, wuancong/SYSU-MM01). All 3803 test images of cameras 3 and 6 are queries. The
gallery holds one or ten images per identity and camera, of cameras 1, 2, 4, 5 (all-search) or 1, 2 (indoor). Camera 3
looks into the room of camera 2, so its queries ignore every image of camera 2, whoever it shows. CMC counts distinct
identities.

Two rules draw the gallery; they differ by noise, but not bit by bit:

* ``official``: trial t takes the first numbers of row t of ``exp/rand_perm_cam.mat`` (MATLAB code, MPANet line).
* ``agw``: trial t seeds Python's generator with t and chooses among the sorted file names of each folder, identities
  in ascending order, cameras inside (AGW line).
"""

import logging
import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pandas as pd

from reidlib.console.spelling import argument
from reidlib.data import sysu
from reidlib.evaluation.protocols.base import DISTINCT_IDENTITIES, Protocol, Trial, rule

GALLERY_CAMERAS = {"all": (1, 2, 4, 5), "indoor": (1, 2)}

_logger = logging.getLogger("reidlib")
Folders = dict[tuple[int, int], pd.Series]
"""(pid, camid) → paths of the folder in ascending order, indexed by frame position."""


@dataclass(frozen=True, kw_only=True)
class SysuProtocol(Protocol):
    """The protocols of SYSU-MM01.

    Args:
        search: ``"all"`` or ``"indoor"``.
        shots: 1 or 10 gallery images per identity and camera. A folder with fewer than ten gives all it has (the real
            data set has none: its smallest test folder holds 13).
        gallery: ``"official"`` or ``"agw"``, who draws the gallery; ``"agw"`` only with one shot.
        num_trials: the first 1 to 10 draws. Published results average all ten.
        flip, reranking, k1, k2, lam: as in every :class:`~reidlib.evaluation.protocols.base.Protocol`.

    Raises:
        ValueError: an unknown value; the message lists the known ones.
    """

    search: str = "all"
    shots: int = 1
    gallery: str = "official"
    dataset: str = rule(default="sysu")
    direction: str = rule(default="infrared-visible")
    camera_rule: str = rule(default="camera 3 queries ignore every camera 2 image (same room)")
    cmc_rule: str = rule(default=DISTINCT_IDENTITIES)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require("search", tuple(GALLERY_CAMERAS))
        self._require("shots", (1, 10))
        self._require("gallery", ("official", "agw"))
        self._require("num_trials", tuple(range(1, sysu.TRIALS + 1)))
        if self.gallery == "agw" and self.shots != 1:
            agw, official = (argument("gallery", value, of="protocol") for value in ("agw", "official"))
            raise ValueError(
                f"sysu protocol: {agw} is defined for {argument('shots', 1, of='protocol')} only; the 10-shot variants "
                "of that code draw from a generator they never seed, so their galleries cannot be reproduced; use "
                f"{official}"
            )

    @property
    def stem(self) -> str:
        first = f"-first{self.num_trials}" if self.num_trials != sysu.TRIALS else ""
        return f"sysu-{self.search}-{self.shots}shot-{self.gallery}{first}"

    def trials(self, dataset: Any) -> list[Trial]:
        """Queries ordered by identity, camera and file name; galleries by identity and camera, in the order drawn.

        Raises:
            FileNotFoundError: ``exp/rand_perm_cam.mat`` is missing (``gallery="official"`` only).
            ValueError: the data set is another one, has no query or no gallery image, or does not fit the permutations.
        """
        self._require_dataset(dataset)
        test = dataset.frame[dataset.frame["split"] == "test"].sort_values(["pid", "camid", "path"])
        query_rows = test.index[test["camid"].isin(sysu.INFRARED_CAMERAS)].to_numpy()
        candidates = test[test["camid"].isin(GALLERY_CAMERAS[self.search])]
        self._require_images(dataset, {"query image (cameras 3, 6)": query_rows, "gallery image": candidates})
        folders = dict(list(candidates.groupby(["pid", "camid"])["path"]))
        if self.gallery == "agw":
            galleries = [draw_agw(folders, trial) for trial in range(self.num_trials)]
        else:
            galleries = self._draw_official(folders, set(test["pid"]), dataset)
        return [Trial(query_rows, np.array(gallery)) for gallery in galleries]

    def available(self, dataset: Any, chosen: Mapping[str, Any]) -> Protocol:
        """The draws of AGW where the file of the official ones is not there and nobody asked for these."""
        file = dataset.root / sysu.PERMUTATIONS
        if "gallery" in chosen or self.shots != 1 or file.is_file():
            return self
        agw = self.replace(gallery="agw")
        _logger.warning("%s is not there: the gallery is drawn as AGW does, not officially (%s)", file, agw)
        return agw

    def exclude(self, query: pd.DataFrame, gallery: pd.DataFrame) -> np.ndarray:
        """Camera 3 queries ignore camera 2; both arguments need the column ``camid``."""
        return (query["camid"].to_numpy() == 3)[:, None] & (gallery["camid"].to_numpy() == 2)

    def _draw_official(self, folders: Folders, pids: set[int], dataset: Any) -> list[list[int]]:
        path = dataset.root / sysu.PERMUTATIONS
        numbered = {
            folder: {int(PurePosixPath(file).stem): row for row, file in files.items()}
            for folder, files in folders.items()
        }
        permutations = {
            (pid, camid): rows
            for (camid, pid), rows in sysu.read_permutations(dataset.root).items()
            if pid in pids and camid in GALLERY_CAMERAS[self.search]
        }
        if unmatched := sorted(numbered.keys() ^ permutations.keys()):
            pid, camid = unmatched[0]
            lacking = "it has no permutation" if (pid, camid) in numbered else "the tree has no image of it"
            raise ValueError(
                f"{path} does not fit the tree: camera {camid}, identity {pid}: {lacking} ({len(unmatched)} such "
                "folders); complete the tree, or take the file that belongs to it"
            )
        galleries = []
        for trial in range(self.num_trials):
            rows = []
            for (pid, camid), files in numbered.items():
                for number in permutations[pid, camid][trial, : self.shots].tolist():
                    if number not in files:
                        raise ValueError(
                            f"{path} does not fit the tree: trial {trial} draws cam{camid}/{pid:04d}/{number:04d}.jpg "
                            f"(camera {camid}, identity {pid}, file {number}), which does not exist"
                        )
                    rows.append(files[number])
            galleries.append(rows)
        return galleries


def draw_agw(folders: Folders, trial: int) -> list[int]:
    """One position of each folder, as AGW's loader draws them in a trial, and DEEN's after it."""
    generator = random.Random(trial)  # the sequence of random.seed(trial), without touching the global generator
    return [generator.choice(files.index.tolist()) for files in folders.values()]
