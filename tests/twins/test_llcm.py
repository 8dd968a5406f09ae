"""The twin of LLCM: the real tree with rendered people, by day and by night."""

import dataclasses
import hashlib
import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

import reidlib.data
from reidlib import evaluation, twins
from reidlib.twins import llcm
from reidlib.twins.identity import sample_identity
from reidlib.twins.people import render
from reidlib.twins.plan import TwinSize

NIGHT = {1, 2, 4, 5, 6, 7, 8, 9}
FIRST = re.compile(r"(vis|nir)/(\d{4})/(\d{4})_c(0[1-9])_s([01]\d|2[0-3])[0-5]\d[0-5]\d_f\d+_(vis|nir)\.jpg")


def digest(records) -> str:
    text = json.dumps(json.loads(json.dumps(records), parse_float=lambda number: round(float(number), 9)))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def lines(plan, part: str, modality: str) -> list[tuple[str, int]]:
    listed = (line.split(" ") for line in plan.files[f"idx/{part}_{modality}.txt"].decode().splitlines())
    return [(path, int(label)) for path, label in listed]


def test_twin_version_1_people_scenes_and_lists_are_frozen():
    """If this fails, people, scenes or lists changed: bump `llcm.VERSION`, then renew the digests."""
    assert llcm.VERSION == "1"
    people = [sample_identity(pid, llcm.POPULATION).factors() for pid in range(1, 201)]
    plan = llcm.plan("cpu")
    scenes = [dataclasses.asdict(llcm.describe(path)[1]) for path in plan.images[::50]]
    files = {path: content.decode() for path, content in plan.files.items()}
    assert [digest(part) for part in (people, scenes, plan.images, files)] == [
        "86019d09989fa871",
        "5de5f006cedc0224",
        "556b3f6e0acaba2c",
        "a91443e52cc18eaa",
    ]


def test_twin_version_1_looks_as_it_did(repository):
    """If this fails, pixels changed: bump `llcm.VERSION`, then write the 8×4 thumbnails anew.

    Compared within two grey levels: compilers round differently, the look must not.
    """
    known = json.loads((repository / "tests" / "assets" / "llcm_twin_v1_thumbnails.json").read_text())
    for path, expected in known.items():
        image = render(*llcm.describe(path)).image.astype(float)
        thumbnail = image.reshape(8, 16, 4, 16, 3).mean((1, 3)).reshape(8, -1)
        np.testing.assert_allclose(thumbnail, expected, atol=2.0, err_msg=path)


@pytest.mark.parametrize("profile", llcm.SIZES)
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


def test_cpu_twin_has_a_size_a_laptop_renders():
    assert 1_000 <= len(llcm.plan("cpu").images) <= 2_500


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


@pytest.mark.parametrize(
    "path",
    ["vis/0020/0020_c04_s185535_f7010_nir.jpg", "nir/0020/0021_c04_s185535_f7010_nir.jpg", "idx/test_id.txt",
     "test_vis/cam5/0020/0020_c04_s185535_f7010_vis.jpg", "vis/0020/0020_c10_s185535_f7010_vis.jpg",
     "vis/../vis/0020/0020_c04_s185535_f7010_vis.jpg", "/vis/0020/0020_c04_s185535_f7010_vis.jpg",
     "test_nir/cam4/0020/0020_c04_s185535_f7010_vis.jpg"],
)  # fmt: skip
def test_other_paths_are_refused(path):
    with pytest.raises(ValueError, match="not an image of an LLCM twin; expected"):
        llcm.describe(path)


def test_night_camera_3_is_refused():
    with pytest.raises(ValueError, match="camera 3 of LLCM saw nobody by night"):
        llcm.describe("nir/0020/0020_c03_s205535_f7010_nir.jpg")
    llcm.describe("vis/0020/0020_c03_s105535_f7010_vis.jpg")


def test_bytes_do_not_depend_on_the_number_of_workers(tmp_path, monkeypatch):
    monkeypatch.setitem(llcm.SIZES, "ci", TwinSize(1, 1, 1, 1, 1))
    trees = []
    for workers in (1, 4):
        root = twins.ensure("llcm", "ci", tmp_path / str(workers), workers=workers, progress=False)
        trees.append({p.relative_to(root): p.read_bytes() for p in root.rglob("*") if p.is_file()})
    assert trees[0] == trees[1]


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


@pytest.mark.integration
@pytest.mark.parametrize(
    "options",
    [{"direction": "visible-infrared"}, {"direction": "infrared-visible"}, {"preset": "deen-transposed"},
     {"preset": "idkl"}, {"preset": "idkl", "direction": "infrared-visible"}],
    ids=lambda options: "-".join(options.values()),
)  # fmt: skip
def test_an_oracle_is_perfect_and_every_query_is_valid_on_the_twin(root, options):
    dataset = reidlib.data.open("llcm", root)
    embeddings = torch.nn.functional.one_hot(torch.from_numpy(dataset.frame["pid"].to_numpy(copy=True))).float()
    result = evaluation.score(embeddings, dataset, evaluation.protocols.get("llcm", **options))
    assert set(result.mean.values()) == {1.0}
    assert all(trial.ranking.valid.all() for trial in result.trials)


@pytest.mark.integration
def test_truth_belongs_to_the_image_on_disk(root):
    dataset = reidlib.data.open("llcm", root)
    for row in (0, len(dataset) // 2, len(dataset) - 1):
        truth = dataset.truth(row)
        on_disk = np.asarray(dataset.image(row)).astype(int)
        assert abs(on_disk - truth.rendering.image).mean() < 8
        assert truth.identity.pid == dataset.frame["pid"][row]
