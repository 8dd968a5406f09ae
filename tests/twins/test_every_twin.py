"""What holds for every twin: frozen people and looks, paths that say all, bytes that depend on nothing else."""

import dataclasses
import hashlib
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import reidlib.data
from reidlib import evaluation, twins
from reidlib.twins import cufsf, people, portraits, thermal
from reidlib.twins.artists import Sitting
from reidlib.twins.faces import SKETCH, sample_face, sample_face_scene
from reidlib.twins.identity import sample_identity
from reidlib.twins.picture import Picture
from reidlib.twins.scene import SYSU_CAMERAS, sample_scene

TWINS = twins.TWINS
ASSETS = {
    "sysu": "twin", "regdb": "regdb_twin", "llcm": "llcm_twin", "cufsf": "cufsf_twin",
    "pku-sketch": "sketch_twins", "market-sketch-1k": "sketch_twins", "shoe": "qmul_twins", "chair": "qmul_twins",
}  # fmt: skip
FROZEN = {
    "chair": ["351e710ab2a87811", "edf0c817295c392c", "f87896dbf2f2c6e6"],
    "cufsf": ["e02f12076bbee786", "0495e71fe9eb15f6"],
    "llcm": ["86019d09989fa871", "5de5f006cedc0224", "556b3f6e0acaba2c", "a91443e52cc18eaa"],
    "market-sketch-1k": ["410b3a86a4edbc12", "9621714e98ff8e13"],
    "pku-sketch": ["cccbb47acffaddee", "c2c5978dc24d849c"],
    "regdb": ["3f5dad4c199fa3a9", "db3c75ee40313157", "94c56428b6dc24c4", "2843d4b58ca8a24c", "4db0c499aa81c556"],
    "shoe": ["1e2b492325e0bc63", "486d1e0cf81fca5b", "e8560e00aa9eec81"],
}
"""Digests of `records`; those of SYSU-MM01 stand in `test_identity`."""


def digest(records) -> str:
    text = json.dumps(json.loads(json.dumps(records), parse_float=lambda number: round(float(number), 9)))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def records(name: str) -> list:
    """What is frozen beside pixels: people, circumstances, images, lists, and how warm people are."""
    twin = TWINS[name]
    if name == "cufsf":
        scenes = [sample_face_scene(modality, twin.POPULATION, pid) for modality in (0, 1) for pid in range(1, 50)]
        faces = [sample_face(pid, twin.POPULATION).factors() for pid in range(1, 200)]
        return [faces, [dataclasses.asdict(scene) for scene in scenes]]
    if name in ("shoe", "chair"):
        plan = twin.plan("ci")
        things, scenes = zip(*map(twin.describe, (listed := [*plan.images, *plan.packed])[::5]), strict=True)
        return [[thing.factors() for thing in things], [dataclasses.asdict(scene) for scene in scenes], listed]
    sketches = "sketch" in name
    persons = [sample_identity(pid, twin.POPULATION) for pid in range(1, 101 if sketches else 201)]
    factors = [person.factors() for person in persons]
    plan = twin.plan("ci" if sketches else "cpu")
    paths = plan.images[:40] if sketches else plan.images[:: 50 if name == "llcm" else 100]
    scenes = [dataclasses.asdict(twin.describe(path)[1]) for path in paths]
    if sketches:
        return [factors, [paths, scenes]]
    files = {path: content.decode() for path, content in plan.files.items()}
    warm = [[thermal.warmth(person) for person in persons]] if name == "regdb" else []
    return [factors, scenes, plan.images, files, *warm]


@pytest.mark.parametrize("name", FROZEN)
def test_version_1_people_circumstances_and_lists_are_frozen(name):
    """If this fails, people, scenes, artists or lists changed: bump the twin's `VERSION`, then renew the digests."""
    assert [digest(part) for part in records(name)] == FROZEN[name]


@pytest.mark.parametrize("name", TWINS)
def test_version_1_looks_as_it_did(repository, name):
    """If this fails, pixels changed: bump the twin's `VERSION`, then write the thumbnails anew.

    Compared within two grey levels: compilers round differently, the look must not.
    """
    known = json.loads((repository / "tests" / "assets" / f"{ASSETS[name]}_v1_thumbnails.json").read_text())
    known, twin = known.get(name, known), TWINS[name]
    drawn = {scene.artist.name for path in known if isinstance(scene := twin.describe(path)[1], Sitting)}
    assert drawn == set(getattr(twin, "ARTISTS", ())) and len(known) > len(drawn), "a sketch by every artist"
    assert twin.VERSION == "1" and len(known) >= 6
    height, width = twin.image_size("cpu")
    cell = 16 if height == 128 else 12
    for path, expected in known.items():
        image = twin.render(*twin.describe(path), height, width).image.astype(float)
        thumbnail = image.reshape(height // cell, cell, width // cell, cell, 3).mean((1, 3))
        thumbnail = thumbnail[..., 0] if name == "cufsf" else thumbnail.reshape(height // cell, -1)
        np.testing.assert_allclose(thumbnail, expected, atol=2.0, err_msg=path)


@pytest.mark.parametrize("name", TWINS)
def test_path_and_size_alone_decide(name):
    twin = TWINS[name]
    plan = twin.plan("ci")
    listed = [*plan.images, *plan.packed]
    for path in (listed[0], listed[-1]):
        assert twin.describe(path) == twin.describe(path)
        first, second = (twin.render(*twin.describe(path), 64, 48) for _ in range(2))
        assert isinstance(first, Picture) and first.image.shape == (64, 48, 3) and first.image.dtype == np.uint8
        np.testing.assert_array_equal(first.image, second.image)
        np.testing.assert_array_equal(first.part_mask > 0, first.person_mask)
        assert first.person_mask.any()
    assert len({twin.render(*twin.describe(path), 48, 48).image.tobytes() for path in listed[:12]}) == 12


@pytest.mark.parametrize("name", [name for name in TWINS if name != "sysu"])
def test_cpu_twins_have_a_size_a_laptop_renders(name):
    plan = TWINS[name].plan("cpu")
    count = len(plan.images) + len(plan.packed)
    assert count == 600 if name == "pku-sketch" else 1000 <= count <= 2500


def test_jpeg_decodes_to_the_picture():
    person = people.render(sample_identity(1), dataclasses.replace(sample_scene(SYSU_CAMERAS[5], 1), noise=0.0))
    face = portraits.render(sample_face(1), sample_face_scene(SKETCH, 1))
    for picture in (person, face):
        decoded = np.asarray(Image.open(io.BytesIO(picture.jpeg(95))))
        assert abs(decoded.astype(int) - picture.image).mean() < 4


def files(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", TWINS)
def test_bytes_do_not_depend_on_the_number_of_workers_and_the_truth_belongs_to_them(tmp_path, monkeypatch, name):
    twin = TWINS[name]
    plan = twin.plan("ci")
    images = plan.images[:12] + plan.images[-6:]
    copies = {copy: image for copy, image in plan.copies.items() if image in images}
    listed = {path: content for path, content in plan.files.items() if not callable(content)}
    few = dataclasses.replace(plan, images=images, copies=copies, files=listed)
    monkeypatch.setattr(twin, "plan", lambda profile: few)
    roots = [twins.ensure(name, "ci", tmp_path / str(n), workers=n, progress=False) for n in (1, 4)]
    trees = [files(root) for root in roots]
    assert trees[0] == trees[1] and len(trees[0]) == 18 + len(listed) + len(copies) + 1
    assert all((roots[0] / folder).is_dir() for folder in plan.folders)
    assert all(trees[0][copy] == trees[0][image] for copy, image in copies.items())
    for path in images:
        truth = twins.truth(roots[0], path)
        on_disk = np.asarray(Image.open(roots[0] / path)).astype(int)
        if name == "shoe" and on_disk.shape[2] == 4:
            on_disk = 255 - on_disk[..., 3:]
        error = abs(on_disk - (truth.rendering.image if on_disk.ndim == 3 else truth.rendering.image[..., 0])).mean()
        assert error < 11 if path.endswith(".jpg") else error == 0  # JPEG loses some of the sensor's noise
        assert truth.person_mask.shape == on_disk.shape[:2]
        assert truth.person_mask.mean() > (0.1 if "sketch" in name else 0)
        assert truth.factors["pid"] == truth.identity.pid
        assert re.search(rf"(?<!\d)(2429)?0*{truth.identity.pid}(?!\d)", path)
        assert twin.encode(truth.rendering, twin.describe(path)[1], path) == trees[0][path]


@pytest.mark.parametrize(
    ("name", "path"),
    [(name, path) for name, paths in {
        "sysu": ("cam1/../cam2/0001/0001.jpg", "/cam1/0001/0001.jpg", "cam7/0001/0001.jpg", "exp/x"),
        "regdb": (
            "Visible/285/male_back_t_05528_285.bmp", "Thermal/285/male_back_v_05528_285.bmp", "Visible/2/x.bmp",
            "Visible/285/male_back_v_05528_286.bmp", "Visible/413/male_back_v_05528_413.bmp",
            "Visible/../Visible/285/male_back_v_05528_285.bmp", "/Visible/285/male_back_v_05528_285.bmp",
            "idx/train_visible_1.txt",
        ),
        "llcm": (
            "vis/0020/0020_c04_s185535_f7010_nir.jpg", "nir/0020/0021_c04_s185535_f7010_nir.jpg", "idx/test_id.txt",
            "test_vis/cam5/0020/0020_c04_s185535_f7010_vis.jpg", "vis/0020/0020_c10_s185535_f7010_vis.jpg",
            "vis/../vis/0020/0020_c04_s185535_f7010_vis.jpg", "/vis/0020/0020_c04_s185535_f7010_vis.jpg",
            "test_nir/cam4/0020/0020_c04_s185535_f7010_vis.jpg", "vis/cam4/0020/0020_c04_s185535_f7010_vis.jpg",
            "test_vis/0020/0020_c04_s185535_f7010_vis.jpg",
        ),
        "pku-sketch": (
            "photo/1_08_356.jpg", "photo/201_03_1.jpg", "sketch/0.jpg", "sketch/../sketch/1.jpg",
            "styleAnnotation/a_46.txt",
        ),
        "market-sketch-1k": (
            "photo/test/0002_c1s1_000451_03.jpg", "photo/train/0002_c7s1_000451_03.jpg", "sketch/G/train/0002.jpg",
            "/sketch/A/train/0002.jpg",
        ),
        "cufsf": (
            "original_sketch/00000.jpg", "original_sketch/1.jpg", "original_sketch/00001.png", cufsf.NAMES,
            "original_sketch/../photo/00001.jpg", "photo/00001.jpg", "photo/00001fa000_930101.jpg",
            f"/photo/{cufsf.photo_name(1)}.jpg",
        ),
        "shoe": (
            "trainB/2429000009.png", "testB/2429000008.png", "trainB/2429002000.png", "trainB/2428999999.png",
            "trainA/2429000000_5.png", "trainA/2429000000_0.png", "../trainB/2429000000.png", "twin.json",
        ),
        "chair": (
            "photo/0000.png", "photo/0400FOU-UK_v1_slats.png", "photo/x.png", "photo/../photo/a-b.png",
            "ChairV2_Coordinate", "ChairV2_Coordinate/train/x-y_1", "twin.json",
        ),
    }.items() for path in paths],
)  # fmt: skip
def test_other_paths_are_refused(name, path):
    title = reidlib.data.registry.READERS[name].title
    with pytest.raises(ValueError, match=rf"^'{re.escape(path)}' is not an image of an? {title} twin; expected "):
        TWINS[name].describe(path)


@pytest.mark.integration
@pytest.mark.parametrize("name", ["regdb", "llcm", "pku-sketch", "market-sketch-1k"])
def test_the_reader_gives_what_was_rendered(twin, name):
    dataset = reidlib.data.open(name, twin(name), **({"split": 1} if name in ("regdb", "pku-sketch") else {}))
    for row in (0, len(dataset) // 2, len(dataset) - 1):
        truth = dataset.truth(row)
        error = abs(np.asarray(dataset.image(row)).astype(int) - truth.rendering.image).mean()
        assert error < 8 if name != "regdb" else error == 0
        assert truth.identity.pid == dataset.frame["pid"][row] and truth.person_mask.any()


@pytest.mark.integration
@pytest.mark.parametrize(
    ("name", "split", "options"),
    [("regdb", {"split": 3}, {"direction": direction}) for direction in ("visible-infrared", "infrared-visible")]
    + [("llcm", {}, options) for options in (
        {"direction": "visible-infrared"}, {"direction": "infrared-visible"}, {"preset": "deen-transposed"},
        {"preset": "idkl"}, {"preset": "idkl", "direction": "infrared-visible"},
    )],
)  # fmt: skip
def test_an_oracle_is_perfect_and_every_query_is_valid(twin, name, split, options):
    dataset = reidlib.data.open(name, twin(name), **split)
    embeddings = torch.nn.functional.one_hot(torch.from_numpy(dataset.frame["pid"].to_numpy(copy=True))).float()
    result = evaluation.score(embeddings, dataset, evaluation.protocols.get(name, **options))
    assert set(result.mean.values()) == {1.0}
    assert all(trial.ranking.valid.all() for trial in result.trials)
    assert ("split 3 " if split else "llcm ") + "(synthetic twin 1 ci)" in result.source.replace(",", "")
