"""Write the twin of a data set: the real tree, with rendered people.

A twin is written into a temporary folder beside its destination and renamed into place when complete, under a lock:
a build killed at any moment leaves nothing that could be mistaken for a twin, and two processes build it once.
"""

import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock

from reidlib import paths
from reidlib.console.progress import bar
from reidlib.twins import chair, cufsf, llcm, market_sketch, pku_sketch, regdb, shoe, sysu
from reidlib.twins.identity import Identity
from reidlib.twins.people import Rendering
from reidlib.twins.scene import Scene

TWINS = {
    "sysu": sysu,
    "regdb": regdb,
    "llcm": llcm,
    "pku-sketch": pku_sketch,
    "market-sketch-1k": market_sketch,
    "cufsf": cufsf,
    "shoe": shoe,
    "chair": chair,
}
"""Twins by data set name. Each module offers

* ``VERSION``: bumped by any change that alters its pixels or identities;
* ``SIZES`` by profile, ``image_size(profile)`` → (height, width), and ``plan(profile)`` → ``TwinPlan``;
* ``describe(path)`` → who or what is on an image, and its circumstances; ``render(identity, scene, height, width)`` →
  a ``Picture``; ``encode(rendering, scene, path)`` → the bytes of the file.

What several twins do alike they import: ``encode`` and ``image_size`` from `plan` or `objects.catalogue`, ``render``
from the renderer.

An image depends on its path and size alone.
"""


@dataclass(frozen=True)
class Truth:
    """What is known about an image of a twin.

    ``person_mask`` bool (H, W): the person, object or head; ``part_mask`` uint8 (H, W) indexing the ``PARTS`` of the
    twin's module, for people `reidlib.twins.body.PARTS`; the person or object, the circumstances, and the rendering
    before compression.
    """

    person_mask: np.ndarray
    part_mask: np.ndarray
    identity: Identity
    scene: Scene
    rendering: Rendering

    @property
    def factors(self) -> dict[str, float | str | bool]:
        return self.identity.factors()


def ensure(
    name: str, profile: str, folder: Path | None = None, *, workers: int | None = None, progress: bool = True
) -> Path:
    """Return the folder of the twin of ``name`` in ``profile``, building it if it is absent or of another version.

    Args:
        name: a key of `TWINS`.
        profile: ``ci``, ``screen``, ``cpu`` or ``gpu``.
        folder: where it lies; default `reidlib.paths.twin_folder`.
        workers: rendering threads; default one a core. The bytes written do not depend on it.
        progress: show a progress bar.

    Raises:
        ValueError: unknown name or profile (the message lists the known).
        FileExistsError: the folder exists and is not a twin; it is left alone.
    """
    if name not in TWINS:
        raise ValueError(f"there is no twin of {name!r}; choose one of: {', '.join(TWINS)}")
    if profile not in TWINS[name].SIZES:
        raise ValueError(
            f"the twin of {name!r} has no profile {profile!r}; choose one of: {', '.join(TWINS[name].SIZES)}"
        )
    folder = Path(folder) if folder is not None else paths.twin_folder(name, profile)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f".{folder.name}.lock")):
        if folder.exists():
            manifest = paths.read_manifest(folder)
            if manifest is None:
                raise FileExistsError(
                    f"{folder} exists and holds no {paths.MANIFEST}: not a twin. Move it away or name another folder."
                )
            if (manifest["dataset"], manifest["profile"]) != (name, profile):
                found = f"{manifest['dataset']!r} in profile {manifest['profile']!r}"
                raise FileExistsError(
                    f"{folder} holds the twin of {found}, not {name!r} in {profile!r}; name another folder."
                )
            if manifest["twin_version"] == TWINS[name].VERSION:
                return folder
        _build(name, profile, folder, workers, progress)
    return folder


def truth(root: Path, path: str) -> Truth:
    """Render an image of the twin at ``root`` again (``path``: relative, posix); return all that is known about it."""
    manifest = paths.read_manifest(root)
    if manifest is None:
        raise ValueError(f"{root} is not a twin (no {paths.MANIFEST}): the truth behind its images is not known")
    twin = TWINS[manifest["dataset"]]
    if manifest["twin_version"] != twin.VERSION:
        raise ValueError(
            f"{root} is a twin of version {manifest['twin_version']}, this code renders version {twin.VERSION}: "
            "build it again"
        )
    identity, scene = twin.describe(path)
    height, width = manifest["image_size"]
    rendering = twin.render(identity, scene, height, width)
    return Truth(rendering.person_mask, rendering.part_mask, identity, scene, rendering)


def _build(name: str, profile: str, folder: Path, workers: int | None, progress: bool) -> None:
    for left_over in folder.parent.glob(f".{folder.name}.building-*"):  # we hold the lock: its builder is gone
        shutil.rmtree(left_over)
    twin = TWINS[name]
    plan = twin.plan(profile)
    height, width = twin.image_size(profile)
    building = folder.with_name(f".{folder.name}.building-{os.getpid()}")
    for directory in {*plan.folders, *(Path(path).parent for path in (*plan.files, *plan.images, *plan.copies))}:
        (building / directory).mkdir(parents=True, exist_ok=True)
    for path, content in plan.files.items():
        (building / path).write_bytes(content() if callable(content) else content)

    def draw(path: str) -> None:
        identity, scene = twin.describe(path)
        rendering = twin.render(identity, scene, height, width)
        (building / path).write_bytes(twin.encode(rendering, scene, path))

    if workers is None:
        workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    with ThreadPoolExecutor(workers) as pool:
        done = pool.map(draw, plan.images)
        label = f"rendering the {name} twin ({profile})"
        for _ in bar(done, total=len(plan.images), desc=label, shown=progress, unit="image"):
            pass
    for path, image in plan.copies.items():
        shutil.copyfile(building / image, building / path)
    manifest = {
        "twin_version": twin.VERSION,
        "dataset": name,
        "profile": profile,
        "image_size": [height, width],
        "images": len(plan.images) + len(plan.packed),
        "note": "rendered, no photographs",
    }
    (building / paths.MANIFEST).write_bytes((json.dumps(manifest, indent=2) + "\n").encode())
    if folder.exists():  # a twin of an older version, checked by the caller
        shutil.rmtree(folder)
    os.replace(building, folder)
