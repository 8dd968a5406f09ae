"""The twin of SYSU-MM01: its identities, cameras, file names and split files, with rendered people.

What is real here: the identity numbers, which identity misses which camera, the split, and the shape of
`rand_perm_cam.mat` (facts read off the official split and permutation files). What is not: the people, and the number
of images per folder, which the profile sets.
"""

import io
import re
from pathlib import PurePosixPath

import numpy as np
from scipy.io import savemat

from reidlib import profiles
from reidlib.twins.identity import Identity, sample_identity
from reidlib.twins.people import render
from reidlib.twins.plan import TwinPlan, TwinSize, encode, image_size, no_image, thinned, with_development
from reidlib.twins.randomness import Draw
from reidlib.twins.scene import INFRARED, SYSU_CAMERAS, Scene, sample_scene

__all__ = ["SIZES", "VERSION", "describe", "encode", "image_size", "plan", "render"]

VERSION = "1"
POPULATION = 1  # the seed of this twin's people: every data set shows other ones
DEVELOPMENT = 101  # the seed of the people of its development twins
DEVELOPMENT_IDS = range(1001, 1097)  # their numbers, which no person of the twin has
TRIALS = 10
_SALT = 75


def ranges(text: str) -> list[int]:
    """Spell out ``"1-3,7"`` as [1, 2, 3, 7]."""
    numbers = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        numbers += range(int(first), int(last or first) + 1)
    return numbers


TEST_IDS = ranges(
    "6,10,17,21,24-25,27-28,31,34,36-37,40-45,49-51,54,63,69,75,80-90,93,102,104-106,108,112,116-117,122,125,129-130,134,"
    "138-139,150,152,162,166-167,170,172,176,185,190,192,202,204,207,210,215,223,229,232,237,252-253,257,259,263,266,269,"
    "272-275,282,285,291,300-303,307,312,315,318,331,333"
)
VALIDATION_IDS = ranges("334-346,348-433")
TRAIN_IDS = ranges(
    "1-2,4-5,7-8,11-16,18-20,22,29-30,35,52-53,55-56,58-62,64-65,70-74,76-79,91-92,95,98-99,107,109-111,113-115,118-121,"
    "123-124,126-128,131-133,135-137,140,142-143,147,149,151,154-161,163-165,168-169,171,174-175,177-184,186,188-189,"
    "193-194,196-201,203,205-206,208-209,211-214,216-222,224-228,230-231,234-235,240,243-251,254-256,258,260-262,264-265,"
    "267-268,270-271,276-281,283-284,286-290,292-299,304-306,308-311,313-314,316-317,319-330,332,434-484,486-499,501-510,"
    "512-528,530-533"
)
MISSING = {
    1: ranges("9,17,21,24-26,31-46,48-51,76-90,93,105-106,116,129,166,176,192,196,210,275,303,333-533"),
    2: ranges("9,17,21,23-26,31-46,48-51,76-90,93,105-106,116,129,166,176,192,210,275,303,333-533"),
    3: ranges("9,13,21-23,26-27,33,38-39,46-48,56-57,67,94,96-97,146,242,257,347,485,500,511,529"),
    4: ranges("26,32-33,47,146,263,308-309,319-326,328,333,453-454"),
    5: ranges("26,31-33,47,146,394,424,431,455,495"),
    6: ranges("9,23,38-39,46-48,57,67,94,96-97,146,242,334-533"),
}
"""Identities a camera never saw."""

CELL_LENGTH = {1: 333, 2: 333, 3: 533, 4: 533, 5: 533, 6: 333}

SIZES = with_development(
    {
        "ci": TwinSize(train_ids=24, test_ids=24, train_images=2, gallery_images=10, query_images=3),
        "screen": TwinSize(train_ids=200, test_ids=48, train_images=4, gallery_images=10, query_images=4),
        "cpu": TwinSize(train_ids=395, test_ids=96, train_images=4, gallery_images=10, query_images=6),
        "gpu": TwinSize(train_ids=395, test_ids=96, train_images=8, gallery_images=10, query_images=6),
    },
    test_ids=96,
    gallery_images=3,
    query_images=3,
)


def plan(profile: str) -> TwinPlan:
    """Return the images and the `exp/` files of the twin in ``profile``."""
    size = SIZES[profile]
    train, validation, test = _chosen_ids(size)
    if profiles.is_development(profile):
        test = list(DEVELOPMENT_IDS[: size.test_ids])
    everyone, images, counts = sorted([*train, *validation, *test]), [], {}
    for pid in everyone:
        for camid, camera in SYSU_CAMERAS.items():
            if _seen_as(pid) in MISSING[camid]:
                continue
            test_count = size.query_images if camera.modality == INFRARED else size.gallery_images
            counts[camid, pid] = test_count if pid in set(test) else size.train_images
            images += [f"cam{camid}/{pid:04d}/{frame:04d}.jpg" for frame in range(1, counts[camid, pid] + 1)]
    files = {"exp/rand_perm_cam.mat": _permutations(counts)}
    for name, pids in {"train": train, "val": validation, "test": test, "available": everyone}.items():
        files[f"exp/{name}_id.txt"] = (",".join(map(str, pids)) + "\n").encode()
        files[f"exp/{name}_id.mat"] = _mat({"id": np.array([pids], np.float64)})
    return TwinPlan(images, files)


def describe(path: str) -> tuple[Identity, Scene]:
    """Who is on the image at ``path`` (relative to the root), and under which circumstances."""
    match = re.fullmatch(r"cam([1-6])/(\d{4})/(\d{4})\.jpg", PurePosixPath(path).as_posix())
    if match is None:
        raise no_image(path, "a SYSU-MM01", "camN/IIII/FFFF.jpg")
    camid, pid, frame = map(int, match.groups())
    population = DEVELOPMENT if pid in DEVELOPMENT_IDS else POPULATION
    return sample_identity(pid, population), sample_scene(SYSU_CAMERAS[camid], population, pid, frame)


def _seen_as(pid: int) -> int:
    """The identity whose cameras a person was seen by: of the development twin's people, those of a test identity."""
    return TEST_IDS[DEVELOPMENT_IDS.index(pid)] if pid in DEVELOPMENT_IDS else pid


def _chosen_ids(size: TwinSize) -> tuple[list[int], list[int], list[int]]:
    """Train, validation and test ids, thinned evenly to the profile's numbers (``train_ids`` counts both)."""
    share = size.train_ids / (len(TRAIN_IDS) + len(VALIDATION_IDS))
    validation_count = round(share * len(VALIDATION_IDS))
    train_count = size.train_ids - validation_count
    chosen = (TRAIN_IDS, train_count), (VALIDATION_IDS, validation_count), (TEST_IDS, size.test_ids)
    return tuple(thinned(*each) for each in chosen)


def _permutations(counts: dict[tuple[int, int], int]) -> bytes:
    """`rand_perm_cam.mat`: a 6×1 cell of n×1 cells of 10×n_i uint8, row t a permutation of 1…n_i."""
    outer = np.empty((len(SYSU_CAMERAS), 1), object)
    for camid in SYSU_CAMERAS:
        length = max(CELL_LENGTH[camid], *(pid for seen_by, pid in counts if seen_by == camid))
        cell = np.empty((length, 1), object)
        for pid in range(1, length + 1):
            draw = Draw(_SALT, camid, pid)
            rows = [_shuffled(counts.get((camid, pid), 0), draw) for _ in range(TRIALS)]
            cell[pid - 1, 0] = np.array(rows, np.uint8).reshape(TRIALS, -1)
        outer[camid - 1, 0] = cell
    return _mat({"rand_perm_cam": outer})


def _shuffled(count: int, draw: Draw) -> list[int]:
    numbers = list(range(1, count + 1))
    for i in range(count - 1, 0, -1):  # Fisher–Yates
        j = draw.integer(i + 1)
        numbers[i], numbers[j] = numbers[j], numbers[i]
    return numbers


def _mat(variables: dict[str, np.ndarray]) -> bytes:
    stream = io.BytesIO()
    savemat(stream, variables)
    header = b"MATLAB 5.0 MAT-file, written by reidlib"  # scipy's header holds the date: the twin's bytes must not
    return header.ljust(116) + stream.getvalue()[116:]
