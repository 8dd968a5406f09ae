"""The twin of RegDB: its tree, file names, ten splits, with rendered people in visible and thermal light.

What is real here: the folders, the numbers 1 to 412, the pattern of a file name, and lists that split the identities
in halves, label them anew in each half and name the same identities line by line. What is not: the people, which of
them are in which half, the words ``male`` and ``female`` (drawn, as rendered people are neither), and, below the
profile ``gpu``, the number of identities and images.
"""

import math
import re
from dataclasses import replace
from pathlib import PurePosixPath

from reidlib import profiles
from reidlib.twins import people, thermal
from reidlib.twins.identity import Identity, sample_identity
from reidlib.twins.people import Rendering
from reidlib.twins.picture import saved
from reidlib.twins.plan import TwinPlan, TwinSize, image_size, no_image, thinned, with_development
from reidlib.twins.randomness import Draw, shuffled
from reidlib.twins.scene import INFRARED, VISIBLE, Camera, Scene, sample_scene

__all__ = ["SIZES", "VERSION", "describe", "encode", "image_size", "plan", "render"]

VERSION = "1"
POPULATION = 2  # the seed of this twin's people
DEVELOPMENT = 102  # the seed of the people of its development twins
DEVELOPMENT_IDS = range(501, 597)  # their numbers, which no person of the twin has
IDENTITIES, SPLITS = 412, range(1, 11)
FOLDERS = {"visible": "Visible", "thermal": "Thermal"}
CAMERAS = {
    "Visible": Camera(1, VISIBLE, "gate", 0.30, (1.02, 1.00, 0.97), 1.10, 0.95, 0.016, 0.65, 0.9),
    "Thermal": Camera(2, INFRARED, "gate", 0.30, (1.0, 1.0, 1.0), 0.62, 1.00, 0.014, 1.15, 0.0),
}
"""One pair of cameras looking down at one place."""

SIZES = with_development(
    {
        "ci": TwinSize(24, 24, 2, 2, 2),
        "screen": TwinSize(100, 100, 4, 4, 4),
        "cpu": TwinSize(150, 150, 4, 4, 4),
        "gpu": TwinSize(206, 206, 10, 10, 10),
    },
)
"""Identities of each half, and images per identity and modality."""

_SALT = 94
_IMAGE = re.compile(
    r"(?P<folder>Visible|Thermal)/(?P<pid>[1-9]\d{0,2})/(?:male|female)_(?P<view>front|back)_(?P<letter>[vt])_"
    r"(?P<frame>\d{5})_(?P=pid)\.bmp"
)


def plan(profile: str) -> TwinPlan:
    """Return the images and the forty lists of the twin in ``profile``."""
    size = SIZES[profile]
    pids = thinned(range(1, IDENTITIES + 1), size.train_ids + size.test_ids)
    developed = DEVELOPMENT_IDS[: min(len(DEVELOPMENT_IDS), size.test_ids)] if profiles.is_development(profile) else []
    orders = {split: shuffled(pids, _SALT, 0, split) for split in SPLITS}
    trained = {pid for order in orders.values() for pid in order[: size.train_ids]}
    everyone = [*(pid for pid in pids if pid in trained), *developed] if developed else pids
    images = {(pid, folder): _images(pid, folder, size.train_images) for pid in everyone for folder in CAMERAS}
    files = {}
    for split, order in orders.items():
        for part, chosen in (("train", order[: size.train_ids]), ("test", developed or order[size.train_ids :])):
            for modality, folder in FOLDERS.items():
                lines = [f"{path} {label}\n" for label, pid in enumerate(chosen) for path in images[pid, folder]]
                files[f"idx/{part}_{modality}_{split}.txt"] = "".join(lines).encode()
    shown = len(FOLDERS) * size.train_images * (size.train_ids + len(developed)) if developed else None
    return TwinPlan([path for paths in images.values() for path in paths], files, shown=shown)


def describe(path: str) -> tuple[Identity, Scene]:
    """Who is on the image at ``path`` (relative to the root), and under which circumstances."""
    match = _IMAGE.fullmatch(PurePosixPath(path).as_posix())
    pid = int(match["pid"]) if match else 0
    is_developed = pid in DEVELOPMENT_IDS
    if match is None or match["letter"] != match["folder"][0].lower() or not (pid <= IDENTITIES or is_developed):
        name = f"<1…{IDENTITIES}>/{{male|female}}_{{front|back}}_{{v|t}}_<frame>_<1…{IDENTITIES}>.bmp"
        raise no_image(path, "a RegDB", f"{{Visible|Thermal}}/{name}")
    frame, population = int(match["frame"]), DEVELOPMENT if is_developed else POPULATION
    scene = sample_scene(CAMERAS[match["folder"]], population, pid, frame)
    return sample_identity(pid, population), _on_the_walk(scene, match["view"], pid, frame)


def _on_the_walk(scene: Scene, view: str, pid: int, frame: int) -> Scene:
    """The scene with what stays the same on the one walk on which both cameras filmed a person, side by side.

    Reconstructed from the structure of the data set (one front or back view a person, a few seconds of film): angle,
    distance and the tilt of the cameras change little from frame to frame, and nobody is occluded.
    """
    walk, moment = Draw(_SALT, 1, pid), Draw(_SALT, 1, pid, scene.camera.camid, frame)
    yaw = (0.0 if view == "front" else math.pi) + walk.bell(0.0, 0.35) + moment.bell(0.0, 0.08)
    tilt = scene.camera.tilt + walk.bell(0.0, 0.05) + moment.bell(0.0, 0.01)
    scale = walk.uniform(0.92, 1.06) + moment.bell(0.0, 0.012)
    return replace(scene, pose=replace(scene.pose, yaw=yaw, tilt=tilt), scale=scale, occluder="none")


def render(identity: Identity, scene: Scene, height: int = 128, width: int = 64) -> Rendering:
    """Render an image in the light of its camera."""
    module = thermal if scene.camera.modality == INFRARED else people
    return module.render(identity, scene, height, width)


def encode(rendering: Rendering, scene: Scene, path: str) -> bytes:
    """The image as the file at ``path`` holds it: an uncompressed bitmap."""
    return saved(rendering.image, "BMP")


def _images(pid: int, folder: str, count: int) -> list[str]:
    """Paths of the first ``count`` images of an identity; frames of the two cameras do not coincide."""
    who = Draw(_SALT, 2, pid)
    words = f"{who.choice(('male', 'female'))}_{who.choice(('front', 'back'))}"
    draw = Draw(_SALT, 3, pid, CAMERAS[folder].camid)
    frame, paths = draw.integer(60_000), []
    for _ in range(count):
        paths.append(f"{folder}/{pid}/{words}_{folder[0].lower()}_{frame:05d}_{pid}.bmp")
        frame += 1 + draw.integer(40)
    return paths
