"""Surfaces, photos, lines and strokes of the procedural shoes and chairs."""

import dataclasses
import io
import math
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from reidlib.compiled.strokes import CANVAS, ink
from reidlib.twins import chair, shoe
from reidlib.twins.objects import chair_surfaces, shoe_details
from reidlib.twins.objects.chairs import ARMS, BACKS, BASES, sample_chair
from reidlib.twins.objects.draughtsman import SHEET, sample_drawing, strokes
from reidlib.twins.objects.lines import BORDER, DETAIL, OUTLINE, lines
from reidlib.twins.objects.photo import TEXTURES, Finish, photograph, sample_studio
from reidlib.twins.objects.shoes import CLOSURES, KINDS, SIDES, TOES, TRIMS, sample_shoe
from reidlib.twins.objects.surfaces import Camera, Patch, curve, look, shell, spread, tube

FACING = Camera(yaw=0.0, pitch=0.0, distance=1000.0, fill=0.5)


def square(size: float = 1.0, z: float = 0.0) -> np.ndarray:
    """A square facing the viewer, (3, 3, 3)."""
    x, y = np.meshgrid(np.linspace(-size, size, 3) / 2, np.linspace(-size, size, 3) / 2, indexing="ij")
    return np.stack([x, y, np.full_like(x, z)], 2)


# --- surfaces ---------------------------------------------------------------------------------------------------------


def test_a_square_covers_the_share_of_the_picture_that_was_asked_for():
    view = look([Patch(square(), 1, 2)], FACING, 64, 64)
    assert (view.owner[16:48, 16:48] == 0).all() and (view.owner >= 0).sum() == 32 * 32
    assert (view.part[20, 20], view.material[20, 20], view.part[0, 0], view.material[0, 0]) == (1, 2, 0, -1)
    np.testing.assert_allclose(view.normal[32, 32], (0, 0, 1), atol=1e-6)
    np.testing.assert_allclose(view.along[47, 16], (1 / 64, 1 / 64), atol=1e-3)  # lower left: the first grid point


def test_what_is_nearer_hides_what_is_behind():
    near, far = square(0.5, 0.2), square(1.0, 0.0)
    for order in ((near, far), (far, near)):
        view = look([Patch(points, 1, index) for index, points in enumerate(order)], FACING, 64, 64)
        nearest = next(index for index, points in enumerate(order) if points is near)
        assert (view.owner[26:38, 26:38] == nearest).all() and view.owner[18, 18] == 1 - nearest
        assert view.depth[32, 32] > view.depth[18, 18]


def test_a_sphere_has_the_normals_and_depth_of_a_sphere():
    a, b = np.meshgrid(np.linspace(0, math.pi, 61), np.linspace(0, 2 * math.pi, 121), indexing="ij")
    ball = np.stack([np.sin(a) * np.cos(b), np.cos(a), np.sin(a) * np.sin(b)], 2)
    view = look([Patch(ball, 1, 0)], dataclasses.replace(FACING, yaw=0.7, pitch=0.3), 96, 96)
    y, x = (np.mgrid[0:96, 0:96] + 0.5 - 48) / 24
    inside = x**2 + y**2 < 0.9
    expected = np.stack([x, -y, np.sqrt(np.maximum(1 - x**2 - y**2, 0))], 2)
    np.testing.assert_allclose(view.normal[inside], expected[inside], atol=0.03)
    np.testing.assert_allclose(view.depth[inside], expected[inside][:, 2] / 2, atol=0.01)  # the diameter is 1


def test_both_sides_of_a_surface_may_differ():
    patch = Patch(square(), 1, 3, inside=4)
    front = look([patch], FACING, 32, 32)
    back = look([patch], dataclasses.replace(FACING, yaw=math.pi), 32, 32)
    assert {front.material[16, 16], back.material[16, 16]} == {3, 4}
    assert front.front[16, 16] != back.front[16, 16]
    assert front.normal[16, 16, 2] == back.normal[16, 16, 2] == pytest.approx(1), "both are lit from the viewer's side"


def test_yaw_turns_the_right_side_to_the_viewer():
    left, right = square(0.4) - (0.6, 0, 0), square(0.4) + (0.6, 0, 0)
    view = look([Patch(left, 1, 0), Patch(right, 1, 1)], dataclasses.replace(FACING, yaw=0.5), 64, 64)
    assert view.depth[view.owner == 0].mean() > view.depth[view.owner == 1].mean()


def test_tubes_shells_and_rounded_squares_have_their_measures():
    pipe = tube(np.array([(0, 0, 0), (0, 1, 0), (0, 2, 0)], float), 0.1, sides=16)
    assert pipe.shape == (5, 17, 3)
    np.testing.assert_allclose(np.hypot(pipe[1:-1, :, 0], pipe[1:-1, :, 2]), 0.1)
    _, back, rim = shell(square(), (0, 0, -0.2))
    assert np.unique(back[..., 2]) == -0.2 and rim.shape == (9, 2, 3)
    np.testing.assert_array_equal(rim[0], rim[-1])
    a, b = spread(9, 2.0)
    np.testing.assert_allclose((a**2 + b**2)[[0, -1]], 1.0)
    a, b = spread(9, 60.0)
    assert abs(a[0, 0]) > 0.98


def test_a_curve_passes_through_its_points():
    points = [(0, 0), (1, 2), (3, 1), (4, 4)]
    np.testing.assert_allclose(curve(points, 7)[::2], points)


# --- lines and strokes ------------------------------------------------------------------------------------------------


def test_lines_run_around_objects_between_surfaces_and_along_patterns():
    def striped(u, v):
        return np.where(u > 0.7, 1, 0)

    left, right = square(0.5) - (0.25, 0, 0), square(0.5) + (0.25, 0, 0)
    view = look([Patch(left, 1, striped), Patch(right, 1, 0)], dataclasses.replace(FACING, fill=0.8), 100, 100)
    found = lines(view)
    kinds = Counter(kind for _, kind in found)
    assert kinds == {OUTLINE: 1, BORDER: 1, DETAIL: 1}
    by_kind = {kind: line for line, kind in found}
    np.testing.assert_allclose(by_kind[BORDER][3:-3, 0], 50, atol=0.3)
    np.testing.assert_allclose(by_kind[DETAIL][3:-3, 0], 10 + 0.7 * 40, atol=1.0)
    outline = by_kind[OUTLINE]
    np.testing.assert_allclose((outline.min(0), outline.max(0)), ((10, 30), (90, 70)), atol=1.0)
    assert len(found[0][0]) == max(len(line) for line, _ in found), "long ones first"


def test_patches_of_one_line_are_drawn_as_one_surface():
    halves = [square(0.5) - (0.25, 0, 0), square(0.5) + (0.25, 0, 0)]
    view = look([Patch(points, 1, 0, line=3) for points in halves], FACING, 100, 100)
    [(line, kind)] = lines(view)
    assert kind == OUTLINE
    np.testing.assert_array_equal(line[0], line[-1])


def test_a_surface_in_front_of_itself_shows_its_edge():
    bent = np.concatenate([square(1.0), square(0.5, 0.3)[::-1]])  # folded back over itself
    kinds = Counter(kind for _, kind in lines(look([Patch(bent, 1, 0)], FACING, 100, 100)))
    assert kinds[OUTLINE] == 1 and kinds[BORDER] >= 1


def test_every_border_is_walked_once():
    view = look(chair_surfaces.build(sample_chair(3, 0)), Camera(0.5, 0.3), 160, 160)
    label = np.pad(view.label, 1, constant_values=-1)
    outline = (np.diff(label < 0, axis=0)[:, 1:-1].sum(), np.diff(label < 0, axis=1)[1:-1].sum())
    walked = sum(len(line) - 1 for line, kind in lines(view) if kind == OUTLINE)
    assert 0.85 * sum(outline) < walked < 1.15 * sum(outline), "pieces shorter than six samples are dropped"


def test_ink_is_as_dark_as_the_line_is_wide():
    line = np.array([(40.0, 100.0), (200.0, 100.0)])
    for weight in (1.0, 3.0, 6.5):
        dark = ink([line], CANVAS, CANVAS, weight) / 255
        assert dark[:, 120].sum() == pytest.approx(weight, abs=0.55)
        assert dark[:90].sum() == dark[110:].sum() == 0
    small = ink([line], 64, 128, 6.0) / 255
    assert small.shape == (64, 128) and small[:, 60].sum() == pytest.approx(1.5, abs=0.3)
    np.testing.assert_array_equal(np.argwhere(ink([line[:1]], 256, 256, 1.0))[[0, -1]], [(99, 39), (100, 40)])
    assert ink([], 8, 8).max() == 0


def test_ink_agrees_with_a_slow_drawing():
    generator = np.random.default_rng(0)
    stroke = generator.uniform(-10, 50, (6, 2))
    expected = np.zeros((40, 40))
    for row in range(40):
        for column in range(40):
            place = np.array([column + 0.5, row + 0.5])
            distances = []
            for a, b in pairwise(stroke):
                t = np.clip((place - a) @ (b - a) / ((b - a) @ (b - a)), 0, 1)
                distances.append(np.linalg.norm(place - a - t * (b - a)))
            expected[row, column] = np.clip(1.25 + 0.5 - min(distances), 0, 1)
    drawn = ink([stroke * CANVAS / 40], 40, 40, 2.5 * CANVAS / 40) / 255
    np.testing.assert_allclose(drawn, expected, atol=0.003)


def test_strokes_stay_on_the_canvas_and_differ_from_hand_to_hand():
    camera = Camera(0.5, 0.3)
    view = look(chair_surfaces.build(sample_chair(5, 0)), camera, SHEET, SHEET)
    drawn = [strokes(view, sample_drawing(camera, 1, hand)) for hand in range(3)]
    again = strokes(view, sample_drawing(camera, 1, 0))
    assert all((a == b).all() for a, b in zip(drawn[0], again, strict=True))
    for sketch in drawn:
        assert len(sketch) > 4
        assert all(len(s) > 1 and s.min() >= 0 and s.max() <= CANVAS for s in sketch)
        np.testing.assert_array_equal(np.concatenate(sketch), np.concatenate(sketch).round(2))
    assert len({len(np.concatenate(sketch)) for sketch in drawn}) == 3


def test_a_careful_hand_draws_what_there_is():
    camera = Camera(0.3, 0.25, fill=0.9)
    view = look(chair_surfaces.build(sample_chair(2, 0)), camera, SHEET, SHEET)
    drawing = sample_drawing(camera, 0)
    careful = dataclasses.replace(
        drawing.hand, wobble=0.0, step=3.0, drops=(0.0, 0.0, 0.0), breaks=0.0, overshoot=0.0, twice=0.0
    )
    dark = ink(strokes(view, dataclasses.replace(drawing, hand=careful)), SHEET, SHEET, 3.0) > 100
    edge = np.zeros((SHEET, SHEET), bool)
    solid = view.owner >= 0
    edge[1:-1, 1:-1] = solid[1:-1, 1:-1] & ~(solid[:-2, 1:-1] & solid[2:, 1:-1] & solid[1:-1, :-2] & solid[1:-1, 2:])
    rows, columns = np.nonzero(edge)
    near = np.array([dark[r - 3 : r + 4, c - 3 : c + 4].any() for r, c in zip(rows, columns, strict=True)])
    assert near.mean() > 0.97


# --- identities and photos --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sample", "options"),
    [
        (sample_chair, {"base": BASES, "back": BACKS, "arms": ARMS, "tufts": ("none", "channels", "grid")}),
        (sample_shoe, {"kind": KINDS, "toe": TOES, "trim": TRIMS, "side": SIDES, "closure": CLOSURES}),
    ],
)
def test_identities_are_their_numbers_and_cover_every_option(sample, options):
    assert sample(5, 1) == sample(5, 1) != sample(6, 1)
    assert sample(5, 1) != sample(5, 2)
    with pytest.raises(ValueError, match="pid"):
        sample(-1, 1)
    things = [sample(pid, 1) for pid in range(400)]
    for name, known in options.items():
        assert {getattr(thing, name) for thing in things} == set(known), name
    finishes = [finish for thing in things for finish in thing.finishes]
    assert {finish.texture for finish in finishes} <= {"plain", *TEXTURES}
    assert all(0 <= channel <= 1 for finish in finishes for channel in (*finish.colour, *finish.second, finish.gloss))
    assert len({tuple(thing.factors().items()) for thing in things}) == 400
    assert all(isinstance(value, (int, float, str, bool)) for value in things[0].factors().values())


@pytest.mark.parametrize(
    ("sample", "build", "parts"),
    [(sample_chair, chair_surfaces.build, chair.PARTS), (sample_shoe, shoe_details.build, shoe.PARTS)],
)
def test_everything_that_can_be_drawn_is_whole(sample, build, parts):
    seen = set()
    for pid in range(120):
        thing = sample(pid, 3)
        patches = build(thing)
        points = np.concatenate([patch.points.reshape(-1, 3) for patch in patches])
        assert np.isfinite(points).all(), pid
        assert -0.02 < points[:, 1].min() < 0.02, "it stands on the floor"
        assert np.ptp(points, axis=0).max() < 1.7
        view = look(patches, Camera(0.4, 0.3), 48, 48)
        assert view.material.max() < len(thing.finishes) and view.part.max() < len(parts)
        assert 0.05 < (view.owner >= 0).mean() < 0.7
        seen |= set(np.unique(view.part).tolist())
    assert seen == set(range(len(parts)))


def test_photos_are_reproducible_and_masks_agree():
    thing, camera = sample_chair(8, 0), Camera(0.5, 0.3)
    studio = sample_studio(camera, 8)
    first, second = (photograph(chair_surfaces.build(thing), thing.finishes, studio, 64, 64) for _ in range(2))
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.part_mask > 0, first.person_mask)
    assert first.image.shape == (64, 64, 3) and first.image.dtype == np.uint8
    assert 0.05 < first.person_mask.mean() < 0.6
    corner = first.image[:6, :6].reshape(-1, 3).mean(0)
    assert corner.min() > 190, "on a light ground"
    assert Image.open(io.BytesIO(first.png())).mode == "RGB"


def test_colour_shows_in_photos_and_not_in_sketches():
    thing = sample_chair(11, 0)
    other = dataclasses.replace(thing, seat=Finish((0.9, 0.1, 0.1), (0.9, 0.1, 0.1)), frame=thing.soft)
    for scene, same in (
        (sample_studio(Camera(0.4, 0.3), 1), False),
        (sample_drawing(Camera(0.4, 0.3), 1), True),
    ):
        a, b = (chair.render(which, scene, 64, 64).image for which in (thing, other))
        assert np.array_equal(a, b) == same
