"""The twin of LLCM: its tree, file names and lists, with rendered people by day and by night.

What is real here: the folders, identity and camera numbers, the pattern of a file name (identity, camera, time, frame),
713 identities for training and 351 for testing in the profile ``gpu``, test images that lie in two places, and a night
camera 3 that saw nobody. What is not: the people, which identity is in which part, who was seen by which camera and
when, and the number of images, which the profile sets.
"""

import re
from pathlib import PurePosixPath

from reidlib import profiles
from reidlib.twins.identity import Identity, sample_identity
from reidlib.twins.people import render
from reidlib.twins.plan import TwinPlan, TwinSize, encode, image_size, no_image, with_development
from reidlib.twins.randomness import Draw, shuffled
from reidlib.twins.scene import INFRARED, VISIBLE, Camera, Scene, sample_scene

__all__ = ["SIZES", "VERSION", "describe", "encode", "image_size", "plan", "render"]

VERSION = "1"
POPULATION = 3  # the seed of this twin's people
DEVELOPMENT = 103  # the seed of the people of its development twins
DEVELOPMENT_IDS = range(2001, 2097)  # their numbers, which no person of the twin has
IDENTITIES, TRAIN_IDENTITIES = 1064, 713
MODALITIES = ("vis", "nir")
EMPTY = "test_nir/cam3"

# Nine cameras in five places, day and night. By day: colour cast, exposure, contrast, noise, blur, direction of the sun
# or the ceiling lamps; some places are dim. By night every camera lights the scene itself.
_PLACES = (
    ("gate", 0.12), ("garden", 0.18), ("passage", 0.15), ("gate", 0.26), ("laboratory", 0.24),
    ("garden", 0.10), ("office", 0.20), ("passage", 0.28), ("office", 0.30),
)  # fmt: skip
_DAY = (
    ((1.00, 1.01, 1.00), 1.10, 0.95, 0.018, 0.50, 1.1),
    ((0.97, 1.04, 0.97), 1.00, 1.05, 0.020, 0.60, -1.0),
    ((1.04, 1.00, 0.92), 0.66, 1.10, 0.035, 0.70, 0.4),
    ((1.03, 1.00, 0.96), 0.95, 1.00, 0.020, 0.55, -0.7),
    ((0.95, 1.00, 1.07), 0.75, 1.10, 0.030, 0.65, 0.6),
    ((0.99, 1.03, 1.02), 1.12, 0.95, 0.016, 0.50, 0.9),
    ((1.08, 1.00, 0.88), 0.72, 1.05, 0.032, 0.65, -0.5),
    ((1.00, 1.00, 1.03), 0.60, 1.15, 0.038, 0.75, -0.3),
    ((1.06, 1.00, 0.92), 0.85, 1.00, 0.026, 0.60, 0.8),
)
_NIGHT = (  # exposure, contrast, noise, blur
    (0.92, 0.95, 0.036, 0.95), (0.78, 1.00, 0.040, 1.05), (0.86, 0.95, 0.036, 1.00),
    (0.98, 0.88, 0.034, 0.90), (1.05, 0.85, 0.030, 0.85), (0.74, 1.05, 0.042, 1.10),
    (1.00, 0.90, 0.032, 0.90), (0.84, 1.00, 0.038, 1.05), (0.95, 0.90, 0.034, 0.95),
)  # fmt: skip
CAMERAS = {
    ("vis", camid): Camera(camid, VISIBLE, place, tilt, *habits)
    for camid, ((place, tilt), habits) in enumerate(zip(_PLACES, _DAY, strict=True), start=1)
} | {
    ("nir", camid): Camera(camid, INFRARED, place, tilt, (1.0, 1.0, 1.0), *habits, 0.0)
    for camid, ((place, tilt), habits) in enumerate(zip(_PLACES, _NIGHT, strict=True), start=1)
    if camid != 3
}
"""(modality, number) → camera; a number is the same place by day and by night."""

SIZES = with_development(
    {
        "ci": TwinSize(train_ids=24, test_ids=20, train_images=1, gallery_images=2, query_images=2),
        "screen": TwinSize(train_ids=120, test_ids=48, train_images=1, gallery_images=2, query_images=2),
        "cpu": TwinSize(train_ids=140, test_ids=84, train_images=1, gallery_images=2, query_images=2),
        "gpu": TwinSize(train_ids=713, test_ids=351, train_images=1, gallery_images=2, query_images=2),
    },
    test_ids=96,
)
"""Identities, and images per identity and camera: in training, by day and by night in the test."""

_SALT = 95
_IMAGE = re.compile(
    r"(?P<test>test_)?(?P<modality>vis|nir)/(?(test)cam(?P<camera>[1-9])/)(?P<pid>\d{4})/"
    r"(?P=pid)_c0(?P<camid>[1-9])_s(?P<time>\d{6})_f(?P<frame>\d{1,6})_(?P=modality)\.jpg"
)


def plan(profile: str) -> TwinPlan:
    """Return the images and lists of the twin in ``profile``; test images lie in ``test_*``, their copies elsewhere."""
    size = SIZES[profile]
    order = shuffled(range(1, IDENTITIES + 1), _SALT, 0)
    train, test = order[:TRAIN_IDENTITIES][: size.train_ids], order[TRAIN_IDENTITIES:][: size.test_ids]
    if profiles.is_development(profile):
        test = DEVELOPMENT_IDS[: size.test_ids]
    parts = {"train": sorted(train), "test": sorted(test)}
    images, copies = [], {}
    files = {"idx/test_id.txt": (",".join(map(str, parts["test"])) + "\n").encode()}
    for part, pids in parts.items():
        for modality, test_images in zip(MODALITIES, (size.gallery_images, size.query_images), strict=True):
            lines = []
            for label, pid in enumerate(pids):
                for camid in _seen_by(pid, modality):
                    for name in _names(pid, modality, camid, size.train_images if part == "train" else test_images):
                        first = f"{modality}/{pid:04d}/{name}"
                        lines.append(f"{first} {label}\n")
                        if part == "train":
                            images.append(first)
                        else:
                            images.append(f"test_{modality}/cam{camid}/{pid:04d}/{name}")
                            copies[first] = images[-1]
            files[f"idx/{part}_{modality}.txt"] = "".join(lines).encode()
    return TwinPlan(images, files, copies, folders=(EMPTY,))


def describe(path: str) -> tuple[Identity, Scene]:
    """Who is on the image at ``path`` (relative to the root, either copy), and under which circumstances."""
    match = _IMAGE.fullmatch(PurePosixPath(path).as_posix())
    if match is None or match["camera"] not in (None, match["camid"]):
        first = "{vis|nir}/IIII/IIII_cCC_sHHMMSS_fFRAME_{vis|nir}.jpg"
        raise no_image(path, "an LLCM", first + " or test_{vis|nir}/camC/IIII/…")
    camera = CAMERAS.get((match["modality"], int(match["camid"])))
    if camera is None:
        raise ValueError(f"{path!r}: camera 3 of LLCM saw nobody by night")
    pid, time, frame = int(match["pid"]), int(match["time"]), int(match["frame"])
    population = DEVELOPMENT if pid in DEVELOPMENT_IDS else POPULATION
    key = (population, pid, time, frame, MODALITIES.index(match["modality"]))
    return sample_identity(pid, population), sample_scene(camera, *key)


def _seen_by(pid: int, modality: str) -> list[int]:
    """Cameras that saw a person: three to five by day; by night as many, of which at least one by day as well.

    With three or more, a query keeps a match in another camera than its own.
    """
    known = [camid for name, camid in CAMERAS if name == modality]
    order = shuffled(known, _SALT, 1, pid)  # the same preference day and night
    draw = Draw(_SALT, 2, pid, MODALITIES.index(modality))
    return sorted(order[: 3 + draw.integer(3)])


def _names(pid: int, modality: str, camid: int, count: int) -> list[str]:
    """File names of the first ``count`` images: a person passes a camera within minutes, by day or by night."""
    draw = Draw(_SALT, 3, pid, camid, MODALITIES.index(modality))
    hour = 8 + draw.integer(11) if modality == "vis" else 19 + draw.integer(4)
    minute, frame, names = draw.integer(40), draw.integer(9_000), []
    for _ in range(count):
        minute, frame = minute + draw.integer(4), frame + 1 + draw.integer(60)
        time = f"{hour:02d}{minute:02d}{draw.integer(60):02d}"
        names.append(f"{pid:04d}_c{camid:02d}_s{time}_f{frame}_{modality}.jpg")
    return names
