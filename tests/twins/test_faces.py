"""Drawn faces: who they are, what an artist makes of them, and where everything lies."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from reidlib.twins import fields
from reidlib.twins.anatomy import CENTRE, outline
from reidlib.twins.faces import (
    BEARDS,
    GARMENTS,
    GLASSES,
    HAIRSTYLES,
    LIMIT,
    PHOTO,
    SKETCH,
    TRAITS,
    sample_face,
    sample_face_scene,
)
from reidlib.twins.hair import STYLES
from reidlib.twins.portraits import PARTS, points, render

PLAIN = {"beard": "none", "glasses": "none", "hairstyle": "short", "fringe": False, "mole": None}


def part(name: str) -> int:
    return PARTS.index(name)


def still(modality: int, key: int = 1, **changes):
    """A scene without turn, roll and shift."""
    return replace(sample_face_scene(modality, key), **{"yaw": 0.0, "pitch": 0.0, "roll": 0.0, "scale": 5.0, **changes})


def test_a_face_is_its_number():
    assert sample_face(5) == sample_face(5) != sample_face(6)
    assert sample_face(5, seed=1) != sample_face(5, seed=2)
    assert sample_face_scene(PHOTO, 8, 5) != sample_face_scene(SKETCH, 8, 5)
    with pytest.raises(ValueError, match="pid"):
        sample_face(-1)


def test_faces_cover_every_option_and_both_sides_of_every_trait():
    faces = [sample_face(pid) for pid in range(800)]
    assert set(STYLES) == set(HAIRSTYLES)
    for options, values in (
        (HAIRSTYLES, [f.hairstyle for f in faces]),
        (BEARDS, [f.beard for f in faces]),
        (GLASSES, [f.glasses for f in faces]),
        (GARMENTS, [f.garment for f in faces]),
    ):
        assert set(options) == set(values)
        assert max(Counter(values).values()) < 0.8 * len(faces)
    traits = np.array([f.traits for f in faces])
    assert traits.shape == (800, len(TRAITS)) and abs(traits).max() <= LIMIT
    assert (abs(traits.mean(0)) < 0.15).all() and (traits.std(0) > 0.8).all()
    assert all(0 <= tone <= 1 for f in faces for tone in (f.skin, f.hair, f.garment_tone, f.frame_tone))


def test_factors_are_flat():
    factors = sample_face(3).factors()
    assert {"pid", "hairstyle", "glasses", "nose_width", "mole", "age"} <= factors.keys()
    assert all(isinstance(value, (int, float, str, bool)) for value in factors.values())


def test_exaggeration_moves_away_from_the_average_up_to_the_limit():
    face = sample_face(7)
    drawn = face.exaggerated(1.5)
    assert face.exaggerated(1.0) == face
    for before, after in zip(face.traits, drawn.traits, strict=True):
        assert after == pytest.approx(1.5 * before) or abs(after) == LIMIT > abs(before)
    assert replace(drawn, traits=face.traits) == face, "nothing but the shape is exaggerated"


def test_only_sketches_are_exaggerated():
    scenes = {modality: [sample_face_scene(modality, 8, pid) for pid in range(200)] for modality in (PHOTO, SKETCH)}
    assert {scene.exaggeration for scene in scenes[PHOTO]} == {1.0}
    assert min(scene.exaggeration for scene in scenes[SKETCH]) > 1.25


@pytest.mark.parametrize("pid", range(6))
def test_the_outline_passes_chin_jaw_cheek_and_crown(pid):
    face = sample_face(pid)
    radii, m = outline(face), face.measures
    assert radii[0] == pytest.approx(m["chin_height"] - CENTRE) and radii[-1] == pytest.approx(CENTRE - m["crown"])
    for x, y in ((m["jaw_width"], m["jaw_height"]), (m["face_width"], 0.08)):
        angle = np.degrees(np.arctan2(x, y - CENTRE))
        assert np.interp(angle, np.arange(181), radii) == pytest.approx(np.hypot(x, y - CENTRE), abs=0.01)


@pytest.mark.parametrize("modality", [PHOTO, SKETCH])
@pytest.mark.parametrize("pid", [1, 5, 22])
def test_rendering_is_reproducible_and_masks_agree(modality, pid):
    face, scene = sample_face(pid, 8), sample_face_scene(modality, 8, pid)
    first, second = render(face, scene), render(face, scene)
    np.testing.assert_array_equal(first.image, second.image)
    assert first.image.shape == (120, 96, 3) and first.image.dtype == np.uint8
    assert (first.image == first.image[..., :1]).all(), "FERET's photographs and pencil are grey"
    np.testing.assert_array_equal(first.part_mask > 0, first.person_mask)
    assert 0.25 < first.person_mask.mean() < 0.85


@pytest.mark.parametrize("modality", [PHOTO, SKETCH])
@pytest.mark.parametrize("pid", range(1, 13))
def test_points_are_eyes_and_mouth(modality, pid):
    """Known from geometry, checked against the drawn parts, with the head turned, tilted and moved."""
    face, scene = replace(sample_face(pid), **PLAIN), sample_face_scene(modality, 3, pid)
    rendering = render(face, scene, 240, 192)
    np.testing.assert_array_equal(rendering.points, points(face, scene, 240, 192))
    y, x = np.nonzero(rendering.part_mask == part("eyes"))
    middle = rendering.points[:2, 0].mean()
    left, right = ((x[side].mean(), y[side].mean()) for side in (x < middle, x >= middle))
    np.testing.assert_allclose([left, right], rendering.points[:2], atol=2.5)
    y, x = np.nonzero(rendering.part_mask == part("mouth"))
    np.testing.assert_allclose([x.mean(), y.mean()], rendering.points[2], atol=4)


def test_points_follow_the_size_of_the_picture():
    face, scene = sample_face(4), sample_face_scene(PHOTO, 4)
    small, large = points(face, scene, 60, 48), points(face, scene, 240, 192)
    np.testing.assert_allclose(4 * (small + 0.5), large + 0.5)


def test_parts_lie_where_they_belong():
    face = replace(sample_face(0), hairstyle="long", beard="goatee", glasses="round", fringe=False)
    parts = render(face, still(PHOTO, shift=(0.0, 0.2)), 240, 192).part_mask
    bald = render(replace(face, hairstyle="bald"), still(PHOTO, shift=(0.0, 0.2)), 240, 192).part_mask
    assert set(np.unique(parts)) == set(range(len(PARTS))) - {part("ears")}, "long hair hides the ears"
    assert part("ears") in bald
    rows = {name: np.nonzero(parts == part(name))[0].mean() for name in PARTS[1:] if name != "ears"}
    assert rows["brows"] < rows["eyes"] < rows["nose"] < rows["mouth"] < rows["neck"] < rows["garment"]
    assert rows["mouth"] < rows["beard"]
    assert (parts == part("hair")).sum() > 5 * (bald == part("hair")).sum()


def test_what_is_worn_and_grown_is_seen_in_both_pictures():
    face = replace(sample_face(2), **PLAIN)
    for modality in (PHOTO, SKETCH):
        plain = render(face, still(modality)).image.astype(int)
        for change in ({"glasses": "oblong"}, {"beard": "full"}, {"hairstyle": "bald"}, {"mole": (-0.4, 0.7)}):
            assert abs(render(replace(face, **change), still(modality)).image - plain).max() > 20, (modality, change)


def test_light_and_backdrop_belong_to_the_photograph():
    face = sample_face(3)
    for modality, same in ((PHOTO, False), (SKETCH, True)):
        a, b = (render(face, still(modality, backdrop=tone)).image for tone in (0.3, 0.8))
        assert np.array_equal(a, b) == same


def test_lamp_from_the_left_lights_the_left():
    face = replace(sample_face(3), **PLAIN)
    picture = render(face, still(PHOTO, light=(-0.5, 0.0, 0.4), shift=(0.0, 0.2), noise=0.0))
    skin = picture.part_mask == part("skin")
    left, right = (picture.image[:, side, 0][skin[:, side]].mean() for side in (slice(0, 48), slice(48, 96)))
    assert left > 1.2 * right


def test_noise_is_smooth_bounded_and_named_by_its_key():
    lattice = fields.noise_lattice(1, 2)
    np.testing.assert_array_equal(lattice, fields.noise_lattice(1, 2))
    assert (lattice != fields.noise_lattice(1, 3)).any()
    v, u = np.mgrid[-40:40:0.25, -40:40:0.25].astype(np.float32)
    values = fields.noise(lattice, u, v)
    assert abs(values).max() <= 1 and values.std() > 0.2
    whole = np.arange(64, dtype=np.float32)
    np.testing.assert_allclose(fields.noise(lattice, *np.meshgrid(whole, whole, indexing="ij")), lattice)
    assert abs(np.diff(values, axis=1)).max() < 0.8
