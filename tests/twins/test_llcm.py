"""The twin of LLCM: the real tree with rendered people, by day and by night."""

import re
from collections import Counter
from pathlib import Path

import pytest

import reidlib.data
from reidlib.twins import llcm
from reidlib.twins.identity import sample_identity

NIGHT = {1, 2, 4, 5, 6, 7, 8, 9}
FIRST = re.compile(r"(vis|nir)/(\d{4})/(\d{4})_c(0[1-9])_s([01]\d|2[0-3])[0-5]\d[0-5]\d_f\d+_(vis|nir)\.jpg")


def lines(plan, part: str, modality: str) -> list[tuple[str, int]]:
    listed = (line.split(" ") for line in plan.files[f"idx/{part}_{modality}.txt"].decode().splitlines())
    return [(path, int(label)) for path, label in listed]


@pytest.mark.parametrize("profile", ("ci", "screen", "cpu", "gpu"))
def test_lists_and_folders_have_the_real_structure(profile):
    plan, size = llcm.plan(profile), llcm.SIZES[profile]
    test_ids = [int(pid) for pid in plan.files["idx/test_id.txt"].split(b",")]
    assert test_ids == sorted(set(test_ids)) and len(test_ids) == size.test_ids >= 20
    assert plan.folders == ("test_nir/cam3",) and not any("cam3" in path for path in plan.images if "nir" in path)
    for modality, cameras in (("vis", set(range(1, 10))), ("nir", NIGHT)):
        train, test = lines(plan, "train", modality), lines(plan, "test", modality)
        for path, _ in train + test:
            match = FIRST.fullmatch(path)
            assert match and match[1] == match[6] == modality and match[2] == match[3] and int(match[4]) in cameras
            assert (8 <= int(match[5]) <= 18) == (modality == "vis"), "by day visible, by night near-infrared"
        labels = {int(path.split("/")[1]): label for path, label in train}
        assert list(labels.values()) == list(range(size.train_ids))
        assert not set(labels) & set(test_ids) and {int(path.split("/")[1]) for path, _ in test} == set(test_ids)
        copies = {path.split("/")[-1] for path in plan.images if path.startswith(f"test_{modality}/")}
        assert copies == {path.split("/")[-1] for path, _ in test}
        assert {path for path, _ in test} == {path for path in plan.copies if path.startswith(modality)}
        assert {path for path, _ in train} == {path for path in plan.images if path.startswith(f"{modality}/")}
    assert len(plan.images) == len(set(plan.images))


def test_gpu_twin_has_the_real_identities():
    plan = llcm.plan("gpu")
    train = {path.split("/")[1] for path, _ in lines(plan, "train", "vis")}
    test = plan.files["idx/test_id.txt"].decode().split(",")
    assert (len(train), len(test)) == (713, 351)
    assert {int(pid) for pid in (*train, *test)} == set(range(1, 1065))


def test_every_query_keeps_a_match_in_another_camera():
    cameras = {}
    for path in llcm.plan("cpu").images:
        if path.startswith("test_"):
            modality, camera, pid, _ = path.split("/")
            cameras.setdefault((pid, modality), set()).add(camera)
    sizes = Counter(len(seen) for seen in cameras.values())
    assert set(sizes) == {3, 4, 5}
    shared = [cameras[pid, "test_vis"] & cameras[pid, "test_nir"] for pid, _ in cameras]
    assert all(shared), "day and night cameras overlap: the camera rule has something to ignore"


def test_both_copies_of_an_image_are_one_scene():
    plan = llcm.plan("ci")
    for copy, image in list(plan.copies.items())[::40]:
        assert llcm.describe(copy) == llcm.describe(image)
    identity, scene = llcm.describe("test_vis/cam4/0020/0020_c04_s185535_f7010_vis.jpg")
    assert identity == sample_identity(20, llcm.POPULATION) and scene.camera is llcm.CAMERAS["vis", 4]


def test_day_and_night_of_one_second_differ_in_everything_but_the_place():
    day, night = (llcm.describe(f"{m}/0020/0020_c04_s185535_f7010_{m}.jpg")[1] for m in ("vis", "nir"))
    assert day.camera.place == night.camera.place and day.pose != night.pose
    assert day.camera.modality == 0 and night.camera.modality == 1


def test_night_camera_3_is_refused():
    with pytest.raises(ValueError, match="camera 3 of LLCM saw nobody by night"):
        llcm.describe("nir/0020/0020_c03_s205535_f7010_nir.jpg")
    llcm.describe("vis/0020/0020_c03_s105535_f7010_vis.jpg")


@pytest.fixture(scope="module")
def root(twin) -> Path:
    return twin("llcm")


@pytest.mark.integration
def test_the_reader_accepts_the_twin(root):
    dataset = reidlib.data.open("llcm", root)
    assert dataset.check(decode=True).problems == []
    assert dataset.title == "LLCM (synthetic twin 1, ci)" and len(dataset) == len(llcm.plan("ci").images)
    assert (root / "test_nir/cam3").is_dir() and not any((root / "test_nir/cam3").iterdir())
    for copy, image in llcm.plan("ci").copies.items():
        assert (root / copy).read_bytes() == (root / image).read_bytes()
