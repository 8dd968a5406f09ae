import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import binary_dilation

from reidlib.twins import market_sketch, pku_sketch
from reidlib.twins import raycast as rc
from reidlib.twins.artists import TONES, Artist, Sitting, remember
from reidlib.twins.body import PARTS
from reidlib.twins.identity import TEXTURES, Cloth, luminance, sample_identity
from reidlib.twins.people import Rendering
from reidlib.twins.scene import SYSU_CAMERAS, sample_scene
from reidlib.twins.sketch import _Drawing, draw, pattern, render

ARTISTS = {**pku_sketch.ARTISTS, **market_sketch.ARTISTS}
CLOTHS = ("top", "outer", "bottom", "shoes", "bag_colour", "hat_colour", "hair_colour", "skin")


def sketch(pid: int, artist: Artist | str = "a", **changes) -> Rendering:
    artist = ARTISTS[artist] if isinstance(artist, str) else artist
    return draw(replace(sample_identity(pid), **changes), Sitting(artist, (0, pid)))


# --- memory ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ARTISTS)
def test_memory_is_a_little_wrong_and_always_the_same(name):
    artist = ARTISTS[name]
    for pid in range(40):
        person, sitting = sample_identity(pid), Sitting(artist, (0, pid))
        remembered, pose = remember(person, sitting)
        assert (remembered, pose) == remember(person, sitting)
        for factor, part in zip(artist.proportions, ("head", "shoulders", "build", "legs"), strict=True):
            assert 0.9 <= factor <= 1.1
            assert getattr(remembered, part) / getattr(person, part) == pytest.approx(factor, rel=0.1)
        assert remembered.hat <= person.hat
        assert remembered.bag in (person.bag, "none")
        assert remembered.top.texture in (person.top.texture, "plain")
        assert (remembered.hair, remembered.outerwear, remembered.boots) == (
            person.hair,
            person.outerwear,
            person.boots,
        )
        assert abs(pose.yaw) < 0.7, "everybody is drawn from the front"


def test_artists_forget_as_often_as_stated():
    people = [person for pid in range(1500) if (person := sample_identity(pid)).hat]
    for forgets in (0.0, 0.3):
        artist = Artist("a", forgets=forgets)
        hats = [remember(person, Sitting(artist, (0, person.pid)))[0].hat for person in people]
        assert 1 - np.mean(hats) == pytest.approx(forgets, abs=0.08)


def test_another_artist_or_key_remembers_otherwise():
    person = sample_identity(3)
    records = [
        remember(person, Sitting(replace(ARTISTS["a"], name=name), key))[0]
        for name, key in (("a", (0, 3)), ("b", (0, 3)), ("a", (1, 3)))
    ]
    assert len({record.build for record in records}) == 3


# --- what lies where -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("texture", TEXTURES)
def test_patterns_are_those_of_the_photos(texture):
    generator = np.random.default_rng(0)
    along, angle = generator.uniform(0, 0.8, 400), generator.uniform(-math.pi, math.pi, 400)
    radius = generator.choice([0.05, 0.12, 0.17], 400)
    cloth = Cloth((0, 0, 0), (1, 1, 1), 0.5, 0.5, texture, period=0.11, share=0.4)
    expected = [
        rc._pattern(TEXTURES.index(texture), *values, 0.11, 0.4) for values in zip(along, angle, radius, strict=True)
    ]
    np.testing.assert_array_equal(pattern(texture, along, angle, radius, cloth), np.array(expected, np.float32))


@pytest.mark.parametrize("pid", range(6))
def test_materials_are_those_of_the_photos(pid):
    person = sample_identity(pid)
    rendering = sketch(pid)
    drawing = _Drawing(rendering.gbuffer, 2.0, person, Sitting(ARTISTS["a"], (0, pid)))
    buffer = rendering.gbuffer
    for row, column in np.argwhere(buffer.owner >= 0)[::37]:
        expected = rc.material_at(
            buffer.body.covering, buffer.owner[row, column], buffer.along[row, column], buffer.angle[row, column]
        )
        assert drawing.material[row, column] == expected
    assert (drawing.material[buffer.owner < 0] == -1).all()


# --- the sketch ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ARTISTS)
def test_a_sketch_is_grey_on_white_and_reproducible(name):
    first, second = sketch(5, name), sketch(5, name)
    np.testing.assert_array_equal(first.image, second.image)
    assert first.image.shape == (128, 64, 3) and first.image.dtype == np.uint8
    assert (first.image == first.image[..., :1]).all()
    far = ~binary_dilation(first.person_mask, iterations=4)
    assert (first.image[far] == 255).all(), "nothing but the figure on the page"
    np.testing.assert_array_equal(first.part_mask > 0, first.person_mask)
    near = binary_dilation(first.person_mask, iterations=2)
    assert (first.image[near] < 200).mean() > 0.03, "and the figure is there"
    assert not first.person_mask[[0, -1]].any() and not first.person_mask[:, [0, -1]].any()


@pytest.mark.parametrize("size", [(64, 32), (96, 48), (256, 128)])
def test_a_sketch_looks_alike_at_every_size(size):
    large, other = sketch(8).image, draw(sample_identity(8), Sitting(ARTISTS["a"], (0, 8)), *size).image
    assert other.shape == (*size, 3)
    blocks = [image[..., 0].reshape(8, len(image) // 8, 4, -1).mean((1, 3)) for image in (large, other)]
    assert np.corrcoef(blocks[0].ravel(), blocks[1].ravel())[0, 1] > 0.85


@pytest.mark.parametrize("name", ARTISTS)
def test_hue_does_not_show(name):
    for pid in (1, 6):
        person = sample_identity(pid)
        grey = {}
        for cloth in CLOTHS:
            material = getattr(person, cloth)
            colours = ((luminance(tone),) * 3 for tone in (material.colour, material.second))
            grey[cloth] = replace(material, **dict(zip(("colour", "second"), colours, strict=True)))
        np.testing.assert_array_equal(sketch(pid, name).image, sketch(pid, name, **grey).image)


@pytest.mark.parametrize("tone", TONES)
def test_dark_cloth_is_shaded_as_the_artist_does(tone):
    artist = Artist("a", tone=tone, drops=0.0, folds=0)
    plain = {"outerwear": "none", "bag": "none", "sleeve": 1.0}
    pages = {}
    for shade in (0.05, 0.95):
        cloth = Cloth((shade,) * 3, (shade,) * 3, 0.5, 0.5)
        rendering = sketch(2, artist, top=cloth, **plain)
        pages[shade] = rendering.image[rendering.part_mask == PARTS.index("torso")].mean()
    assert (pages[0.95] - pages[0.05] > 25) == (tone != "none")
    assert pages[0.95] > 190


def test_what_is_remembered_is_drawn():
    artist = Artist("a", forgets=0.0)
    bare = {"hat": False, "bag": "none", "skirt": 0.0, "hair": "short"}
    before = sketch(4, artist, **bare).part_mask
    for change, part in (({"hat": True}, "hat"), ({"bag": "handbag"}, "bag")):
        after = sketch(4, artist, **(bare | change)).part_mask
        assert (after == PARTS.index(part)).sum() > 20 > (before == PARTS.index(part)).sum()
    striped = Cloth((0.9,) * 3, (0.6,) * 3, 0.5, 0.5, "hoops", 0.12, 0.4)
    ink = {}
    for cloth in (striped, replace(striped, texture="plain")):
        rendering = sketch(4, artist, top=cloth, outerwear="none", **bare)
        ink[cloth.texture] = (255 - rendering.image[rendering.part_mask == PARTS.index("torso")].astype(float)).mean()
    assert ink["hoops"] > 1.4 * ink["plain"], "stripes are strokes"


def features(image: np.ndarray) -> np.ndarray:
    """What tells a hand: how much ink, how black, how much grey, how much of it changes from pixel to pixel."""
    grey = image[..., 0].astype(float)
    inked = grey < 235
    return np.array(
        [
            inked.mean() * 4,
            (grey < 60).mean() * 8,
            ((grey > 110) & (grey < 215)).mean() * 4,
            grey[inked].mean() / 100,
            abs(np.diff(grey, axis=1)).mean() / 20,
            abs(np.diff(grey, n=2, axis=0)).mean() / 30,
        ]
    )


@pytest.mark.parametrize("twin", [pku_sketch, market_sketch])
def test_hands_differ_and_stay_themselves(twin):
    """The artist of a sketch is told by plain statistics of the image far more often than by chance."""
    names, people = list(twin.ARTISTS), range(20)
    table = np.array([[features(sketch(pid, name).image) for pid in people] for name in names])
    centres, probes = table[:, ::2].mean(1), table[:, 1::2]
    nearest = np.linalg.norm(probes[:, :, None] - centres, axis=-1).argmin(-1)
    assert (nearest == np.arange(len(names))[:, None]).mean() > 0.6


def test_photo_or_sketch_as_the_scene_says():
    person, scene = sample_identity(3), sample_scene(SYSU_CAMERAS[1], 3)
    assert (render(person, scene, 64, 32).image[..., 0] != render(person, scene, 64, 32).image[..., 2]).any()
    page = render(person, Sitting(ARTISTS["A"], (0, 3)), 64, 32).image
    assert (page[..., 0] == page[..., 2]).all()
