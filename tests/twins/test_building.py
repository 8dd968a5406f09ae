"""Twins on disks that are full, read-only or shared, and builds that are killed at every point."""

import errno
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from reidlib import paths, twins
from reidlib.twins import build
from reidlib.twins.plan import TwinPlan

PLAN = TwinPlan(
    images=[f"people/{number}.jpg" for number in range(6)],
    files={"lists/all.txt": b"0 1 2", "lists/late.txt": lambda: b"made late"},
    copies={"again/0.jpg": "people/0.jpg"},
    folders=("empty",),
)
TINY = {
    "SIZES": {"ci": 1},
    "plan": lambda profile: PLAN,
    "image_size": lambda profile: (8, 4),
    "describe": lambda path: (path, None),
    "render": lambda identity, scene, height, width: identity,
    "encode": lambda rendering, scene, path: rendering.encode() * 1000,
}


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """The twin of Chair has six images, which take no time."""
    monkeypatch.setitem(build.TWINS, "chair", SimpleNamespace(VERSION="2", **TINY))


def ensure(folder: Path) -> Path:
    return twins.ensure("chair", "ci", folder, workers=1, progress=False)


def outdated(folder: Path) -> Path:
    manifest = json.loads((ensure(folder) / paths.MANIFEST).read_text())
    (folder / paths.MANIFEST).write_text(json.dumps(manifest | {"twin_version": "1"}))
    (folder / "old").write_text("of the old version")
    return folder


def beside(folder: Path) -> set[str]:
    return {each.name for each in folder.parent.iterdir()} - {f".{folder.name}.lock"}


def require_whole(folder: Path) -> None:
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert files == {*PLAN.images, *PLAN.files, *PLAN.copies, paths.MANIFEST}
    assert paths.read_manifest(folder)["twin_version"] == "2" and (folder / "empty").is_dir()
    assert (folder / "again/0.jpg").read_bytes() == b"people/0.jpg" * 1000
    assert (folder / "lists/late.txt").read_bytes() == b"made late"


# Every change of the file system is a point at which the process may be killed.
KILLS = """
import os, shutil, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from twins import test_building as test
from types import SimpleNamespace

test.build.TWINS["chair"] = SimpleNamespace(VERSION="2", **test.TINY)
root, is_outdated = Path(sys.argv[2]), sys.argv[3] == "outdated"
CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod", "shutil.rmtree", "shutil.copyfile"}

def killed_at(point, folder):
    reached = [0]
    def hook(event, arguments):
        if event in CHANGES or (event == "open" and "chair" in str(arguments[0])):
            reached[0] += 1
            if reached[0] == point:
                os._exit(9)
    sys.addaudithook(hook)
    test.ensure(folder)
    os._exit(0)

point, ended = 0, 9
while ended == 9:
    point += 1
    folder = root / str(point) / "chair"
    if is_outdated:
        test.outdated(folder)
    child = os.fork()
    if not child:
        killed_at(point, folder)
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    test.ensure(folder)
    test.require_whole(folder)
    assert test.beside(folder) == {"chair"}, (point, test.beside(folder))
print(point)
"""


@pytest.mark.parametrize("before", ["absent", "outdated"])
def test_killed_at_any_point_the_next_one_opens_and_nothing_is_left(tmp_path: Path, repository: Path, before) -> None:
    command = [sys.executable, "-c", KILLS, str(repository / "tests"), str(tmp_path), before]
    environment = os.environ | {"PYTHONPATH": str(repository)}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode == 0, ended.stderr
    assert int(ended.stdout) > 25, "points were reached"


def test_an_outdated_twin_stays_if_the_new_one_cannot_take_its_place(tmp_path: Path, monkeypatch) -> None:
    folder, real = outdated(tmp_path / "chair"), os.replace

    def refuse(source: Path, target: Path) -> None:
        if ".building-" in Path(source).name:
            raise PermissionError(errno.EACCES, "refused", str(target))
        real(source, target)

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(PermissionError, match="REIDLIB_HOME"):
        ensure(folder)
    assert (folder / "old").exists() and beside(folder) == {"chair"}


@pytest.mark.parametrize("before", ["absent", "outdated"])
@pytest.mark.parametrize("when", ["before", "at a file", "at an image", "at the end", "interrupted"])
def test_a_full_disk_is_named_and_nothing_half_made_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str, before: str
) -> None:
    folder, real = tmp_path / "chair", Path.write_bytes
    if before == "outdated":
        outdated(folder)
    there = sorted(folder.rglob("*"))
    if when == "before":
        usage = shutil.disk_usage(tmp_path)._replace(free=25_000)  # the images and lists take nine blocks
        monkeypatch.setattr(shutil, "disk_usage", lambda place: usage)
        monkeypatch.setattr(Path, "write_bytes", lambda *_: pytest.fail("written"))
    else:
        name = {"at a file": "all.txt", "at an image": "3.jpg", "at the end": paths.MANIFEST}.get(when, "2.jpg")

        def full(path: Path, content: bytes) -> int:
            if path.name == name and when == "interrupted":
                raise KeyboardInterrupt
            if path.name == name:
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(path, content)

        monkeypatch.setattr(Path, "write_bytes", full)
    error = KeyboardInterrupt if when == "interrupted" else OSError
    reason = None if when == "interrupted" else r"no space left for .*chair: it takes 0\.\d+ MB.*REIDLIB_HOME"
    with pytest.raises(error, match=reason):
        ensure(folder)
    assert sorted(folder.rglob("*")) == there
    assert beside(folder) == ({"chair"} if before == "outdated" else set())


def test_the_need_is_known_beforehand(tmp_path: Path) -> None:
    needed = build._Build("chair", "ci", PLAN).needed
    blocks = sum(-(-file.stat().st_size // 4096) * 4096 for file in ensure(tmp_path / "chair").rglob("*.*"))
    assert blocks <= 1.2 * needed and needed <= 1.2 * blocks


def test_leftovers_go_when_a_whole_twin_is_opened_unless_they_are_in_use(tmp_path: Path) -> None:
    folder = ensure(tmp_path / "chair")
    left = [tmp_path / name for name in (".chair.building-1", ".chair.outdated-2", ".other.building-3")]
    for each in left:
        (each / "sub").mkdir(parents=True)
    with build.FileLock(tmp_path / ".chair.lock", mode=0o666):  # another process builds another version
        ensure(folder)
        assert all(each.exists() for each in left)
    ensure(folder)
    assert [each.exists() for each in left] == [False, False, True]


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that every user may enter."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    yield folder
    for each in (folder / "read-only", folder / "all" / "hidden"):
        each.chmod(0o755)
    shutil.rmtree(folder)


OTHER = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from twins import test_building as test
from types import SimpleNamespace

test.build.TWINS["chair"] = SimpleNamespace(VERSION="2", **test.TINY)
for _ in range(2):  # imports what another user may not read
    test.ensure(Path(sys.argv[2]).parent.parent / "first")
if os.getuid() == 0:  # whom no permissions bind
    os.setgid(65534), os.setuid(65534)
try:
    test.require_whole(test.ensure(Path(sys.argv[2])))
except OSError as error:
    print(error)
"""


def as_another_user(folder: Path, repository: Path) -> str:
    command = [sys.executable, "-c", OTHER, str(repository / "tests"), str(folder)]
    environment = os.environ | {"PYTHONPATH": str(repository)}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_homes_of_other_users(shared: Path, repository: Path) -> None:
    whole = ensure(shared / "read-only" / "chair")
    whole.parent.chmod(0o555)
    assert as_another_user(whole, repository) == "", "opened without a lock"
    assert "read-only" in (said := as_another_user(shared / "read-only" / "other", repository))
    assert "cannot write in" in said and "REIDLIB_HOME" in said
    old = outdated(shared / "all" / "chair")
    old.parent.chmod(0o777)
    assert stat.S_IMODE((old.parent / ".chair.lock").stat().st_mode) == 0o666
    assert as_another_user(old, repository) == "", "whoever may write there builds it anew"
    hidden = ensure(shared / "all" / "hidden")
    hidden.chmod(0)
    assert "chmod -R a+rX" in as_another_user(hidden, repository)


@pytest.mark.parametrize("call", ["mkdir", "open"])
def test_a_read_only_home_without_a_twin_names_the_variable(tmp_path: Path, monkeypatch, call: str) -> None:
    real = getattr(os, call)

    def refuse(path: str, *arguments: object, **options: object) -> object:
        if call == "mkdir" or str(path).endswith(".lock"):
            raise OSError(errno.EROFS, "Read-only file system", str(path))
        return real(path, *arguments, **options)

    monkeypatch.setattr(os, call, refuse)
    with pytest.raises(OSError, match=r"cannot write in .*Read-only file system.*REIDLIB_HOME"):
        ensure(tmp_path / "new" / "chair" if call == "mkdir" else tmp_path / "chair")


def test_a_file_in_the_place_of_the_home_is_named(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    with pytest.raises(OSError, match=r"cannot write in .*home.*REIDLIB_HOME"):
        ensure(tmp_path / "home" / "chair")
