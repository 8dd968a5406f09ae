import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import reference

from reidlib.twins import raycast as rc
from reidlib.twins.body import PARTS, Pose, build_body
from reidlib.twins.identity import sample_identity
from reidlib.twins.people import cast_rays, render
from reidlib.twins.places import PLACES, WIDTH, crop, panorama
from reidlib.twins.scene import SYSU_CAMERAS, sample_scene


def scene_for(camid: int, key: int = 1, **changes):
    return replace(sample_scene(SYSU_CAMERAS[camid], key), **{"occluder": "none", **changes})


def one_primitive(a, b, radius, end_radius, **columns) -> np.ndarray:
    prim = np.zeros((1, rc.CAPPED + 1), np.float32)
    a, b = np.asarray(a, float), np.asarray(b, float)
    prim[0, 0:3], prim[0, 3:6] = a, b - a
    prim[0, rc.INVERSE_LENGTH2] = 1 / ((b - a) @ (b - a))
    prim[0, rc.RADIUS], prim[0, rc.TAPER], prim[0, rc.FLATNESS], prim[0, rc.BLEND] = (
        radius,
        end_radius - radius,
        1,
        0.03,
    )
    prim[0, 10:13], prim[0, 13:16], prim[0, rc.LENGTH] = (0, 0, 1), (1, 0, 0), np.linalg.norm(b - a)
    for name, value in columns.items():
        prim[0, getattr(rc, name)] = value
    return prim


def cast(prims, height=48, width=48, pixel=0.02):
    owner = np.empty((height, width), np.int16)
    normal = np.zeros((height, width, 3), np.float32)
    depth, along, angle = (np.zeros((height, width), np.float32) for _ in range(3))
    left, top = np.float32(-width * pixel / 2), np.float32(height * pixel / 2)
    rc.raycast(prims, height, width, left, top, np.float32(pixel), owner, normal, depth, along, angle)
    return owner, normal, depth, along, angle


def test_a_capsule_has_the_exact_depth_normal_and_surface_coordinates():
    owner, normal, depth, along, angle = cast(one_primitive((0, 0.3, 0), (0, -0.3, 0), 0.15, 0.15))
    y, x = np.mgrid[0:48, 0:48]
    x, y = -0.48 + (x + 0.5) * 0.02, 0.48 - (y + 0.5) * 0.02
    tube = (abs(y) < 0.29) & (abs(x) < 0.14)
    assert (owner[tube] == 0).all()
    z = np.sqrt(0.15**2 - x[tube] ** 2)
    np.testing.assert_allclose(depth[tube], z, atol=3e-3)
    np.testing.assert_allclose(normal[tube], np.stack([x[tube], 0 * z, z], -1) / 0.15, atol=0.03)
    np.testing.assert_allclose(along[tube], 0.3 - y[tube], atol=1e-5)
    np.testing.assert_allclose(angle[tube], np.arctan2(x[tube], z), atol=0.03)
    outside = (abs(x) > 0.16) | (abs(y) > 0.46)
    assert (owner[outside] == rc.NO_PRIMITIVE).all()


def test_a_capped_cone_ends_flat():
    skirt = {"FLATNESS": 1.0}
    rounded = cast(one_primitive((0, 0.3, 0), (0, -0.1, 0), 0.1, 0.2, **skirt))[0]
    capped = cast(one_primitive((0, 0.3, 0), (0, -0.1, 0), 0.1, 0.2, CAPPED=1, **skirt))[0]
    below = slice(round((0.48 + 0.1) / 0.02) + 1, None)  # rows below the hem
    assert (capped[below] == rc.NO_PRIMITIVE).all()
    assert (rounded[below] == 0).any()


@pytest.mark.parametrize("pid", range(8))
def test_rays_agree_with_a_slow_scan(pid):
    pose = Pose(phase=pid * 0.9, yaw=pid * 0.8 - 2, tilt=0.15)
    body = build_body(sample_identity(pid), pose)
    buffer = cast_rays(body, 64, 32, samples=1)
    pixel = 2.02 / 64
    expected = reference.depths(body.primitives.astype(float), 64, 32, -16 * pixel, 1.01 - 0.075, pixel)
    hit = buffer.owner >= 0
    assert (hit != ~np.isnan(expected)).mean() < 0.001  # a grazing ray may go either way
    both = hit & ~np.isnan(expected)
    assert (abs(buffer.depth - expected)[both] < 0.01).mean() > 0.995
    np.testing.assert_allclose(np.linalg.norm(buffer.normal[hit], axis=-1), 1, atol=1e-3)


@pytest.mark.parametrize("camid", SYSU_CAMERAS)
def test_rendering_is_reproducible_and_masks_agree(camid):
    identity, scene = sample_identity(11), sample_scene(SYSU_CAMERAS[camid], 0, 11, 4)
    first, second = render(identity, scene), render(identity, scene)
    np.testing.assert_array_equal(first.image, second.image)
    assert first.image.shape == (128, 64, 3)
    assert first.image.dtype == np.uint8
    np.testing.assert_array_equal(first.part_mask > 0, first.person_mask)
    assert 0.1 < first.person_mask.mean() < 0.6
    grey = (first.image == first.image[..., :1]).all()
    assert grey == (camid in (3, 6))


def test_scenes_differ_in_what_a_camera_sees_and_not_in_who():
    identity = sample_identity(2)
    images = [render(identity, sample_scene(SYSU_CAMERAS[1], 0, 2, frame)).image for frame in range(4)]
    assert all((a != b).mean() > 0.5 for a, b in pairwise(images))


def test_every_part_is_found_where_it_belongs():
    identity = replace(sample_identity(0), hair="bob", hat=True, bag="handbag", sleeve=0.3, outerwear="none", skirt=0.0)
    scene = scene_for(1, pose=Pose(phase=0.6, yaw=0.0, tilt=0.1), scale=1.0, shift=(0.0, 0.0))
    parts = render(identity, scene, 256, 128).part_mask
    assert set(np.unique(parts)) == set(range(len(PARTS)))
    rows = {name: np.nonzero(parts == index)[0].mean() for index, name in enumerate(PARTS) if name != "background"}
    assert rows["hat"] < rows["head"] < rows["torso"] < rows["leg"] < rows["foot"]
    columns = np.nonzero(parts == PARTS.index("head"))[1]
    assert abs(columns.mean() - 64) < 6


def test_the_back_shows_no_face_and_the_backpack():
    identity = replace(sample_identity(0), hair="long", hat=False, bag="backpack")
    front, back = (
        render(identity, scene_for(1, pose=Pose(phase=0.6, yaw=yaw, tilt=0.1))).part_mask for yaw in (0.0, math.pi)
    )
    head, bag = PARTS.index("head"), PARTS.index("bag")
    assert (front == head).sum() > 3 * (back == head).sum()
    assert (back == bag).sum() > 3 * (front == bag).sum()


@pytest.mark.parametrize(
    ("occluder", "rows", "columns"),
    [
        ("low", slice(128 - 38, None), slice(None)),
        ("left", slice(None), slice(0, 27)),
        ("right", slice(None), slice(64 - 27, None)),
    ],
)
def test_what_is_occluded_is_not_person(occluder, rows, columns):
    scene = scene_for(4, occluder=occluder, occluded=0.3, scale=1.05)
    free = render(sample_identity(4), replace(scene, occluder="none"))
    covered = render(sample_identity(4), scene)
    assert free.person_mask[rows, columns].any()
    assert not covered.person_mask[rows, columns].any()
    keep = np.ones((128, 64), bool)
    keep[rows, columns] = False
    np.testing.assert_array_equal(covered.person_mask[keep], free.person_mask[keep])


def test_hue_is_invisible_to_infrared():
    identity = sample_identity(9)
    top = identity.top
    other = replace(identity, top=replace(top, colour=top.colour[::-1], second=top.second[::-1]))
    assert identity.top.colour != other.top.colour
    for camid, same in ((1, False), (3, True)):
        a, b = (render(who, scene_for(camid)).image for who in (identity, other))
        assert np.array_equal(a, b) == same


def test_near_infrared_albedo_is_invisible_to_visible_cameras():
    identity = sample_identity(9)
    other = replace(identity, top=replace(identity.top, nir=0.9, nir_second=0.1))
    for camid, same in ((1, True), (6, False)):
        a, b = (render(who, scene_for(camid)).image for who in (identity, other))
        assert np.array_equal(a, b) == same


@pytest.mark.parametrize("place", PLACES)
def test_a_place_wraps_around_and_has_both_layers(place):
    layers = panorama(place)
    assert layers.visible.shape[:2] == layers.infrared.shape
    np.testing.assert_array_equal(
        crop(layers.visible, 1.0, 0.0, 2.0, 32, 16), crop(layers.visible, 1.0 + WIDTH, 0.0, 2.0, 32, 16)
    )
    assert layers.visible.std() > 0.05
    assert layers.infrared.std() > 0.05
