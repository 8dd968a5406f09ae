"""Write the twin of a data set: the real tree, with rendered people.

A twin is written into a temporary folder beside its destination and renamed into place when complete, under a lock:
a build killed at any moment leaves nothing that could be mistaken for a twin, and two processes build it once. What it
leaves is removed by whoever opens the twin next and may. A complete twin is opened without a lock, so it can be shared.
"""

import errno
import glob
import json
import os
import secrets
import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock

from reidlib import paths, profiles
from reidlib.console.progress import bar
from reidlib.twins import chair, cufsf, llcm, market_sketch, pku_sketch, regdb, shoe, sysu
from reidlib.twins.identity import Identity
from reidlib.twins.people import Rendering
from reidlib.twins.plan import TwinPlan, thinned
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
* ``SIZES`` by profile, ``image_size(profile)`` → (height, width), and ``plan(profile)`` → ``TwinPlan``; twins of people
  have development twins, profiles such as ``cpu/development`` (`reidlib.profiles.DEVELOPMENT`), with other test people;
* ``describe(path)`` → who or what is on an image, and its circumstances; ``render(identity, scene, height, width)`` →
  a ``Picture``; ``encode(rendering, scene, path)`` → the bytes of the file.

What several twins do alike they import: ``encode`` and ``image_size`` from `plan` or `objects.catalogue`, ``render``
from the renderer.

An image depends on its path and size alone.
"""


_BLOCK = 4096  # bytes: a file takes whole blocks of the disk
_PROBES = 8  # images that are rendered to learn how large they are


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
        profile: ``ci``, ``screen``, ``cpu`` or ``gpu``; or ``screen/development``, … for the development twin.
        folder: where it lies; default `reidlib.paths.twin_folder`.
        workers: rendering threads; default one a core. The bytes written do not depend on it.
        progress: show a progress bar.

    Raises:
        ValueError: unknown name or profile (the message lists the known).
        FileExistsError: the folder exists and is not a twin; it is left alone.
        OSError: no room on the disk, or the folder cannot be read, or there is none and it cannot be written; the
            message says which, what is needed and what to do. Nothing half-made is left.
    """
    if name not in TWINS:
        raise ValueError(f"there is no twin of {name!r}; choose one of: {', '.join(TWINS)}")
    if profile not in TWINS[name].SIZES:
        raise ValueError(
            f"the twin of {name!r} has no profile {profile!r}; choose one of: {', '.join(TWINS[name].SIZES)}"
        )
    folder = Path(folder) if folder is not None else paths.twin_folder(name, profile)
    lock = FileLock(
        folder.with_name(f".{folder.name}.lock"), mode=0o666
    )  # others may build here too, if they may write
    if _is_current(name, profile, folder):
        if _left_over(folder):
            with suppress(OSError), lock.acquire(timeout=0):  # not ours to write in, or its builder is at work
                _clear(folder)
        return folder
    build = _Build(name, profile, TWINS[name].plan(profile), _siblings(name, profile))
    with paths.naming_unwritable(folder.parent, "REIDLIB_HOME"), paths.naming_full_disk(folder, build.needed):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with lock:
            _clear(folder)
            if not _is_current(name, profile, folder):  # another process may have built it while this one waited
                if folder.exists() and paths.read_manifest(folder) is None:
                    raise FileExistsError(
                        f"{folder} exists and holds no {paths.MANIFEST}: not a twin. Move it away or name another "
                        "folder."
                    )
                build(folder, workers, progress)
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


def _is_current(name: str, profile: str, folder: Path) -> bool:
    """Whether the twin lies there, in the version of this code; an error if that of something else does."""
    try:
        manifest = paths.read_manifest(folder)
    except PermissionError as error:
        raise PermissionError(
            error.errno,
            f"{folder} cannot be read by this user. Its owner can change that (chmod -R a+rX), or set REIDLIB_HOME to "
            "another folder",
        ) from error
    if manifest is None:
        return False
    if (manifest["dataset"], manifest["profile"]) != (name, profile):
        found = f"{manifest['dataset']!r} in profile {manifest['profile']!r}"
        raise FileExistsError(f"{folder} holds the twin of {found}, not {name!r} in {profile!r}; name another folder.")
    return manifest["twin_version"] == TWINS[name].VERSION


def _left_over(folder: Path) -> list[Path]:
    """What killed builds of this twin left, and an outdated one that a kill kept from being deleted."""
    kinds = ("building", "outdated")
    return [each for kind in kinds for each in folder.parent.glob(f".{glob.escape(folder.name)}.{kind}-*")]


def _clear(folder: Path) -> None:
    for left_over in _left_over(folder):  # we hold the lock: its builder is gone
        shutil.rmtree(left_over, ignore_errors=True)  # of another user: it stays for its owner


class _Build:
    """A twin that is to be built; ``needed``: the bytes that it will take on the disk, estimated from a few images."""

    def __init__(self, name: str, profile: str, plan: TwinPlan, siblings: Path | None = None) -> None:
        self.name, self.profile, self.plan, self.twin, self.siblings = name, profile, plan, TWINS[name], siblings
        self.size = self.twin.image_size(profile)
        self.files = {path: content() if callable(content) else content for path, content in plan.files.items()}
        few = thinned(plan.images, min(_PROBES, len(plan.images)))
        self.drawn = {path: self.draw(path) for path in few}
        images = len(plan.images) + len(plan.copies)
        self.needed = _on_disk(self.files) + round(1.1 * images * _on_disk(self.drawn) / max(1, len(few)))

    def draw(self, path: str) -> bytes:
        if self.siblings and (self.siblings / path).is_file():
            return (self.siblings / path).read_bytes()
        identity, scene = self.twin.describe(path)
        return self.twin.encode(self.twin.render(identity, scene, *self.size), scene, path)

    def __call__(self, folder: Path, workers: int | None, progress: bool) -> None:
        """Write the twin beside its folder, then put it there. The caller holds the lock."""
        free = shutil.disk_usage(folder.parent).free
        if free < self.needed:
            raise OSError(errno.ENOSPC, f"{free / 1e6:.3g} MB are free")
        building = folder.with_name(f".{folder.name}.building-{secrets.token_hex(4)}")
        try:
            self.write(building, workers, progress)
            _put(building, folder)
        except BaseException:
            shutil.rmtree(building, ignore_errors=True)
            raise

    def write(self, building: Path, workers: int | None, progress: bool) -> None:
        plan = self.plan
        for directory in {*plan.folders, *(Path(path).parent for path in (*self.files, *plan.images, *plan.copies))}:
            (building / directory).mkdir(parents=True, exist_ok=True)
        for path, content in self.files.items():
            (building / path).write_bytes(content)

        def store(path: str) -> None:
            (building / path).write_bytes(self.drawn.get(path) or self.draw(path))

        _in_threads(store, plan.images, workers, f"rendering the {self.name} twin ({self.profile})", progress)
        for path, image in plan.copies.items():
            shutil.copyfile(building / image, building / path)
        manifest = {
            "twin_version": self.twin.VERSION,
            "dataset": self.name,
            "profile": self.profile,
            "image_size": list(self.size),
            "images": len(plan.images) + len(plan.packed) if plan.shown is None else plan.shown,
            "note": "rendered, no photographs",
        }
        (building / paths.MANIFEST).write_bytes((json.dumps(manifest, indent=2) + "\n").encode())


def _siblings(name: str, profile: str) -> Path | None:
    """Of a development twin: the folder of the twin whose training images it shares, if that lies there already."""
    base = profiles.of_twin(profile).name
    folder = paths.twin_folder(name, base)
    with suppress(OSError, ValueError):
        return folder if base != profile and _is_current(name, base, folder) else None
    return None


def _on_disk(files: Mapping[str, bytes]) -> int:
    return sum(-(-len(content) // _BLOCK) * _BLOCK for content in files.values())


def _in_threads(store: Callable[[str], None], images: list[str], workers: int | None, label: str, shown: bool) -> None:
    if workers is None:
        workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for _ in bar(pool.map(store, images), total=len(images), desc=label, shown=shown, unit="image"):
                pass
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _put(building: Path, folder: Path) -> None:
    """Put a complete twin in its place; an outdated one goes aside first, so that none is ever half deleted there."""
    outdated = folder.with_name(f".{folder.name}.outdated-{secrets.token_hex(4)}")
    if folder.exists():
        os.replace(folder, outdated)
    try:
        os.replace(building, folder)
    except BaseException:
        if outdated.exists():
            os.replace(outdated, folder)
        raise
    shutil.rmtree(outdated, ignore_errors=True)
