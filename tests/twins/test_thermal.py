"""Thermal images show warmth: of parts, of layers, never of colour."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import binary_dilation, binary_erosion

from reidlib.twins import people, regdb, thermal
from reidlib.twins.body import MATERIALS, PARTS, Pose
from reidlib.twins.identity import OUTERWEAR, sample_identity
from reidlib.twins.scene import sample_scene

CAMERA = regdb.CAMERAS["Thermal"]
FRONT = Pose(phase=0.6, yaw=0.0, tilt=0.1)


def scene_for(key: int = 1, **changes):
    return replace(sample_scene(CAMERA, key), **{"occluder": "none", "noise": 0.0, "pose": FRONT, **changes})


def levels(rendering) -> dict[str, float]:
    """Mean grey level of every part that is seen."""
    grey = rendering.image[..., 0].astype(float)
    return {PARTS[i]: grey[rendering.part_mask == i].mean() for i in np.unique(rendering.part_mask)}


@pytest.mark.parametrize("pid", range(3))
def test_rendering_is_reproducible_grey_and_shares_its_masks_with_the_visible_image(pid):
    identity, scene = sample_identity(pid), sample_scene(CAMERA, 0, pid, 4)
    first, second = (thermal.render(identity, scene) for _ in range(2))
    np.testing.assert_array_equal(first.image, second.image)
    assert first.image.dtype == np.uint8 and first.image.shape == (128, 64, 3)
    assert (first.image == first.image[..., :1]).all()
    visible = people.render(identity, scene)
    np.testing.assert_array_equal(first.person_mask, visible.person_mask)
    np.testing.assert_array_equal(first.part_mask, visible.part_mask)


def test_colour_and_near_infrared_albedo_are_invisible():
    identity = sample_identity(9)
    top = replace(identity.top, colour=(0.9, 0.1, 0.2), second=(0.0, 0.5, 1.0), nir=0.9, nir_second=0.1)
    other = replace(identity, top=top, skin=replace(identity.skin, colour=(0.2, 0.1, 0.1)))
    assert identity != other
    np.testing.assert_array_equal(*(thermal.render(who, scene_for()).image for who in (identity, other)))


def test_a_pattern_shows_by_its_thickness():
    identity = replace(sample_identity(9), outerwear="none", bag="none")
    plain, hoops = (replace(identity, top=replace(identity.top, texture=t, period=0.2)) for t in ("plain", "hoops"))
    first, second = (thermal.render(who, scene_for(blur=0.5)) for who in (plain, hoops))
    torso = first.part_mask == PARTS.index("torso")
    rows = [image.image[..., 0].astype(float)[:, 28:36][torso[:, 28:36].all(1)].mean(1) for image in (first, second)]
    assert np.ptp(rows[1]) > np.ptp(rows[0]) + 8


def test_a_face_is_warm_shoes_and_a_bag_are_cold():
    for pid in range(4):
        identity = replace(sample_identity(pid), bag="handbag", sleeve=0.3, outerwear="none", hat=True, hair="bob")
        grey = levels(thermal.render(identity, scene_for(blur=0.3), 256, 128))
        assert grey["head"] > grey["torso"] > grey["bag"]
        assert grey["head"] > grey["hair"] > grey["background"]
        assert grey["head"] > grey["hand"] > grey["background"]
        assert grey["head"] > grey["hat"]
        assert grey["leg"] > grey["foot"] > grey["background"]


def test_every_layer_is_colder():
    identity = sample_identity(2)
    trunk = []
    for outerwear in OUTERWEAR:
        dressed = replace(identity, outerwear=outerwear, outer_open=False, bag="none", hem=0.9)
        trunk.append(levels(thermal.render(dressed, scene_for()))["torso"])
    assert trunk[0] > trunk[1] + 5 > trunk[2]
    assert OUTERWEAR == ("none", "jacket", "coat")


def test_warmth_is_a_share_and_ordered_by_resistance():
    for pid in range(200):
        identity = sample_identity(pid)
        pairs = thermal.warmth(identity)
        assert all(0 < value <= 1 for pair in pairs for value in pair)
        clothes = [pairs[MATERIALS.index(name)] for name in ("top", "outer", "bottom")]
        assert all(abs(first - second) > 0.015 for first, second in clothes), "a pattern can be seen"
        warm = {name: first for name, (first, _) in zip(MATERIALS, pairs, strict=True)}
        assert warm["face"] == 1 > warm["skin"] > warm["top"] > warm["outer"] > warm["bag"]
        assert warm["skin"] > max(warm["hair"], warm["bottom"]) and warm["bottom"] > warm["shoes"]
        longer = thermal.warmth(replace(identity, sleeve=1.0))[MATERIALS.index("top")][0]
        assert longer <= warm["top"], "long sleeves, thick cloth"


def test_silhouettes_fade():
    """Without any blur of the camera: edges emit less towards it than what faces it."""
    identity = replace(sample_identity(4), bag="none", hair="bald", hat=False)
    rendering = thermal.render(identity, scene_for(blur=0.0), 256, 128)
    head = rendering.part_mask == PARTS.index("head")
    inside = binary_erosion(head, iterations=4)
    rim = binary_erosion(head) & ~binary_erosion(head, iterations=2)
    grey = rendering.image[..., 0].astype(float)
    assert grey[inside].mean() > grey[rim].mean() + 10


def test_surroundings_are_flat_and_cold():
    for key in range(6):
        rendering = thermal.render(sample_identity(key), scene_for(key, blur=1.5))
        grey = rendering.image[..., 0].astype(float)
        behind = ~binary_dilation(rendering.person_mask, iterations=6)
        assert grey[behind].std() < 12
        assert grey[rendering.person_mask].mean() > grey[behind].mean() + 20


def test_gain_and_level_change_from_image_to_image():
    images = [thermal.render(sample_identity(3), scene_for(key)) for key in range(8)]
    assert np.std([image.image[~image.person_mask].mean() for image in images]) > 5
    assert np.std([image.image[image.person_mask].mean() for image in images]) > 5


@pytest.mark.parametrize("occluder", ["low", "left", "right"])
def test_what_is_occluded_is_not_person_and_cold(occluder):
    scene = scene_for(4, occluded=0.4, blur=0.0)
    free, covered = (thermal.render(sample_identity(4), replace(scene, occluder=o)) for o in ("none", occluder))
    hidden = free.person_mask & ~covered.person_mask
    assert hidden.any() and not (covered.person_mask & ~free.person_mask).any()
    assert free.image[hidden].mean() > covered.image[hidden].mean() + 10


def test_brightness_of_a_person_tells_nothing_across_modalities():
    means = []
    for pid in range(1, 121):
        identity = sample_identity(pid, regdb.POPULATION)
        scenes = [replace(sample_scene(camera, pid), occluder="none") for camera in regdb.CAMERAS.values()]
        pair = [regdb.render(identity, scene, 64, 32) for scene in scenes]
        means.append([image.image[image.person_mask].mean() for image in pair])
    assert abs(np.corrcoef(np.array(means).T)[0, 1]) < 0.25
