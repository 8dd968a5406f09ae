"""The twin of CUFSF: its tree, its kinds of file names and its three points, with drawn faces.

What is real here: the number of identities in the larger profiles, the folders, the form of FERET's names
(``nnnnnxxfffq_yymmdd``, documented by NIST), one photograph and one sketch a person. What is not: the faces, the
identity numbers (1, 2, 3 …; FERET's have gaps) and the dates. No picture is aligned: that is the reader's task.
"""

import re
from pathlib import PurePosixPath

from reidlib import profiles
from reidlib.twins.faces import PHOTO, SKETCH, Face, FaceScene, sample_face, sample_face_scene
from reidlib.twins.plan import TwinPlan, encode, no_image
from reidlib.twins.portraits import PARTS, points, render
from reidlib.twins.randomness import Draw

__all__ = ["PARTS", "SIZES", "VERSION", "describe", "encode", "image_size", "plan", "render"]

VERSION = "1"
POPULATION = 8  # the seed of this twin's people: every data set shows other ones
NAMES = "names_of_photos_used_for_drawing_sketches.txt"
_SALT = 84
_IMAGE = re.compile(r"photo/((\d{5})\w*)\.jpg|original_sketch/(\d{5})\.jpg", re.ASCII)

SIZES = {"ci": 48, "screen": 400, "cpu": 1194, "gpu": 1194}
"""Pairs of a photograph and a sketch by profile; 500 of 1,194 train."""


def plan(profile: str) -> TwinPlan:
    """The images, the list of names and the points of the twin in ``profile``."""
    pids, (height, width) = range(1, SIZES[profile] + 1), image_size(profile)
    photos = [f"photo/{photo_name(pid)}.jpg" for pid in pids]
    sketches = [f"original_sketch/{pid:05d}.jpg" for pid in pids]
    files = {NAMES: "".join(f"{photo_name(pid)}\n" for pid in pids).encode()}
    for folder, images in (("photo_points", photos), ("sketch_points", sketches)):
        for path in images:
            lines = [f"{x:.2f} {y:.2f}\n" for x, y in points(*describe(path), height, width).tolist()]
            files[f"{folder}/{PurePosixPath(path).stem}.3pts"] = "".join(lines).encode()
    return TwinPlan(photos + sketches, files)


def photo_name(pid: int) -> str:
    """A name as FERET gives: identity, pose (frontal: fa or fb), three flags, sometimes a letter, date of the photo."""
    draw = Draw(_SALT, pid)
    pose, flags, letter = draw.choice(("fa", "fb")), draw.choice(("010", "001", "011")), draw.choice(("", "d"), (3, 1))
    return f"{pid:05d}{pose}{flags}{letter}_{93 + draw.integer(4)}{1 + draw.integer(12):02d}{1 + draw.integer(28):02d}"


def describe(path: str) -> tuple[Face, FaceScene]:
    """Whose face is at ``path`` (relative to the root), and under which circumstances."""
    match = _IMAGE.fullmatch(PurePosixPath(path).as_posix())
    pid = int(match[2] or match[3]) if match else 0
    if not pid or (match[1] and match[1] != photo_name(pid)):
        raise no_image(path, "a CUFSF", f"original_sketch/00001.jpg or photo/{photo_name(1)}.jpg")
    return sample_face(pid, POPULATION), sample_face_scene(PHOTO if match[2] else SKETCH, POPULATION, pid)


def image_size(profile: str) -> tuple[int, int]:
    """(height, width) of its images: five to four, like the crop that faces are aligned to."""
    return profiles.get(profile).size("face")
