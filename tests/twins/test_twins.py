import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from scipy.io import loadmat

from reidlib import paths, twins
from reidlib.twins import sysu
from reidlib.twins.plan import TwinSize

TINY = TwinSize(train_ids=4, test_ids=3, train_images=1, gallery_images=2, query_images=1)


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setitem(sysu.SIZES, "ci", TINY)


def pids_per_camera(plan, pids) -> list[int]:
    folders = {tuple(path.split("/")[:2]) for path in plan.images}
    return [len({f for f in folders if f[0] == f"cam{c}" and int(f[1]) in pids}) for c in range(1, 7)]


@pytest.mark.parametrize("profile", ["cpu", "gpu"])
def test_full_twins_have_the_real_identities_and_gaps(profile):
    plan = sysu.plan(profile)
    train = {int(pid) for name in ("train", "val") for pid in plan.files[f"exp/{name}_id.txt"].split(b",")}
    test = {int(pid) for pid in plan.files["exp/test_id.txt"].split(b",")}
    assert (len(train), len(test), len(train & test)) == (395, 96, 0)
    # per camera, as counted on the official permutation and split files
    assert pids_per_camera(plan, train) == [194, 195, 392, 382, 390, 200]
    assert pids_per_camera(plan, test) == [56, 56, 93, 94, 95, 96]


@pytest.mark.parametrize("profile", ("ci", "screen", "cpu", "gpu"))
def test_ten_shot_galleries_are_possible_and_small_tests_have_twenty_ids(profile):
    plan = sysu.plan(profile)
    test = [int(pid) for pid in plan.files["exp/test_id.txt"].split(b",")]
    assert len(test) >= 20
    names = set(plan.images)
    for pid in test:
        for camid in (1, 2, 4, 5):
            if pid not in sysu.MISSING[camid]:
                assert f"cam{camid}/{pid:04d}/0010.jpg" in names


def test_permutations_have_the_official_shape(tmp_path):
    plan = sysu.plan("ci")
    (tmp_path / "perm.mat").write_bytes(plan.files["exp/rand_perm_cam.mat"])
    cells = loadmat(tmp_path / "perm.mat")["rand_perm_cam"]
    assert cells.shape == (6, 1)
    assert [cells[c, 0].shape for c in range(6)] == [(n, 1) for n in (333, 333, 533, 533, 533, 333)]
    counts = {}
    for path in plan.images:
        camera, pid, _ = path.split("/")
        counts[camera, int(pid)] = counts.get((camera, int(pid)), 0) + 1
    for c in range(6):
        for index, cell in enumerate(cells[c, 0].ravel()):
            expected = counts.get((f"cam{c + 1}", index + 1), 0)
            assert cell.shape == (10, expected)
            np.testing.assert_array_equal(np.sort(cell, axis=1), np.tile(np.arange(1, expected + 1), (10, 1)))


def test_an_existing_twin_is_left_as_it_is(tmp_path, tiny):
    folder = twins.ensure("sysu", "ci", tmp_path / "sysu", progress=False)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert twins.ensure("sysu", "ci", folder, progress=False) == folder
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_a_twin_of_another_version_is_built_again(tmp_path, tiny):
    folder = twins.ensure("sysu", "ci", tmp_path / "sysu", progress=False)
    manifest = json.loads((folder / paths.MANIFEST).read_text())
    (folder / paths.MANIFEST).write_text(json.dumps(manifest | {"twin_version": "0"}))
    with pytest.raises(ValueError, match="version 0"):
        twins.truth(folder, sysu.plan("ci").images[0])
    twins.ensure("sysu", "ci", folder, progress=False)
    assert paths.read_manifest(folder)["twin_version"] == sysu.VERSION


def test_what_is_not_a_twin_is_not_touched(tmp_path, tiny):
    folder = tmp_path / "sysu"
    folder.mkdir()
    (folder / "precious.txt").write_text("data")
    with pytest.raises(FileExistsError, match=r"twin\.json"):
        twins.ensure("sysu", "ci", folder)
    assert (folder / "precious.txt").read_text() == "data"


def test_a_folder_with_another_profile_is_refused(tmp_path, tiny):
    folder = twins.ensure("sysu", "ci", tmp_path / "sysu", progress=False)
    with pytest.raises(FileExistsError, match=r"'ci'.*'cpu'"):
        twins.ensure("sysu", "cpu", folder)


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"twin_version": 1}', "\xff"])
def test_a_damaged_manifest_is_named(tmp_path, text):
    (tmp_path / paths.MANIFEST).write_text(text, encoding="latin-1")
    with pytest.raises(ValueError, match=r"twin\.json"):
        paths.read_manifest(tmp_path)


def test_unknown_names_list_the_known(tmp_path):
    with pytest.raises(ValueError, match="choose one of: sysu"):
        twins.ensure("market", "ci", tmp_path / "x")
    with pytest.raises(ValueError, match="ci, screen, cpu, gpu"):
        twins.ensure("sysu", "paper", tmp_path / "x")


def test_truth_of_a_photograph_is_not_known(tmp_path):
    with pytest.raises(ValueError, match="not a twin"):
        twins.truth(tmp_path, "cam1/0001/0001.jpg")


BUILD = """
import sys
from reidlib import twins
twins.ensure("sysu", "ci", sys.argv[1], workers=1, progress=False)
"""


@pytest.mark.slow
def test_a_killed_build_leaves_no_twin_and_the_next_one_succeeds(tmp_path, repository):
    folder = tmp_path / "sysu"
    process = subprocess.Popen([sys.executable, "-c", BUILD, str(folder)], cwd=repository)
    deadline = time.monotonic() + 120
    while len(list(tmp_path.glob(".sysu.building-*/cam*/*/*.jpg"))) < 20:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not folder.exists()
    twins.ensure("sysu", "ci", folder, progress=False)
    assert len(list(folder.glob("cam*/*/*.jpg"))) == len(sysu.plan("ci").images)
    assert not list(tmp_path.glob(".sysu.building-*"))


@pytest.mark.slow
def test_two_processes_build_one_twin(tmp_path, repository):
    folder = tmp_path / "sysu"
    command = [sys.executable, "-c", BUILD, str(folder)]
    assert [p.wait() for p in [subprocess.Popen(command, cwd=repository) for _ in range(2)]] == [0, 0]
    assert paths.read_manifest(folder)["images"] == len(list(folder.glob("cam*/*/*.jpg")))
