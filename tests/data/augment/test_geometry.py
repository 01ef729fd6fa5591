"""`data/augment/geometry.py`: the image must go where the matrix says."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from tfmaskrcnn.config.model import InputConfig
from tfmaskrcnn.config.run import AugmentConfig
from tfmaskrcnn.data.augment import geometry as transforms
from tfmaskrcnn.data.augment.geometry import apply_geometry, make_geometry, random_geometry
from tfmaskrcnn.ops import images
from tfmaskrcnn.ops.resize import resize

SEEDS = range(20)
HEIGHT, WIDTH = 60, 84
NO_BOXES = np.zeros((0, 4), np.float32)
EVERYTHING = AugmentConfig(
    horizontal_flip=0.5,
    vertical_flip=0.5,
    quarter_turns=True,
    min_sides=(50, 64, 80),
    scale=(0.6, 1.8),
    crop=(48, 56),
)
INPUT = InputConfig(min_side=64, max_side=100)


def blob(y, x, height=HEIGHT, width=WIDTH):
    """[H, W, 3] float32, a bright Gaussian about the point (y, x)."""
    rows, cols = np.mgrid[0:height, 0:width] + 0.5
    bump = 255.0 * np.exp(-((rows - y) ** 2 + (cols - x) ** 2) / (2 * 3.0**2))
    return np.repeat(bump[..., None], 3, axis=-1).astype(np.float32)


def center_of(image):
    """(y, x) of the centre of gravity of an image."""
    weights = np.float64(image[..., 0])
    rows, cols = np.mgrid[0 : weights.shape[0], 0 : weights.shape[1]] + 0.5
    return np.array([np.sum(weights * rows), np.sum(weights * cols)]) / weights.sum()


def drawn(seed, boxes=NO_BOXES, input=INPUT, augment=EVERYTHING, height=HEIGHT, width=WIDTH):
    return random_geometry(
        tf.stack([seed, 5]), tf.constant(height), tf.constant(width), boxes, input, augment
    )


def drawn_many(count, *args, **kwargs):
    """`drawn` for the seeds 0 to `count`, from one graph; NumPy in the fields."""
    dataset = tf.data.Dataset.range(count)

    def fields(seed):  # NumPy's iterator knows no None
        return tuple(v for v in drawn(tf.cast(seed, tf.int32), *args, **kwargs) if v is not None)

    return [transforms.Geometry(*g) for g in dataset.map(fields).as_numpy_iterator()]


def test_the_matrix_of_a_flip_and_a_crop_by_hand():
    original, resized = tf.constant([10, 20]), tf.constant([20, 40])
    found = make_geometry(original, False, [False, True], resized, tf.constant([3, 5]), [9, 9])
    # x: 20 pixels become 40, are reversed (40 - 2 x), then lose the first 5.
    np.testing.assert_allclose(found.matrix, [[2, 0, -3], [0, -2, 35]])
    np.testing.assert_allclose(found.scale, [2, 2])


def test_the_matrix_of_a_transposition_by_hand():
    original, resized = tf.constant([10, 20]), tf.constant([40, 30])  # turned: 20 x 10
    zero = tf.constant([0, 0])
    found = make_geometry(original, True, [True, False], resized, zero, resized)
    np.testing.assert_allclose(found.matrix, [[0, -2, 40], [3, 0, 0]])
    np.testing.assert_allclose(found.scale, [2, 3])


@pytest.mark.parametrize("flags", list(itertools.product([False, True], repeat=3)))
@pytest.mark.parametrize(
    "resized, size, offset",
    [
        ((90, 100), (90, 100), (0, 0)),
        ((120, 110), (70, 80), (20, 12)),
        ((40, 44), (40, 44), (0, 0)),
        ((41, 37), (36, 32), (3, 4)),
    ],
)
def test_a_spot_lands_where_the_matrix_sends_it(flags, resized, size, offset):
    point = np.array([27.3, 44.8])
    sizes = (tf.constant(v) for v in (resized, offset, size))
    resized, offset, size = sizes
    geometry = make_geometry(
        tf.constant([HEIGHT, WIDTH]),
        tf.constant(flags[0]),
        tf.constant(flags[1:]),
        resized,
        offset,
        size,
    )
    image = apply_geometry(blob(*point), geometry).numpy()
    assert image.dtype == np.float32 and image.shape == (*size.numpy(), 3)
    matrix = geometry.matrix.numpy()
    np.testing.assert_allclose(center_of(image), matrix[:, :2] @ point + matrix[:, 2], atol=0.05)


def test_a_crop_is_a_slice_of_the_whole_resized_image():
    image = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    for resized in ((123, 150), (33, 40), (33, 150)):
        geometry = make_geometry(
            tf.constant([HEIGHT, WIDTH]),
            tf.constant(False),
            tf.constant([False, False]),
            tf.constant(resized),
            tf.constant([7, 4]),
            tf.constant([20, 30]),
        )
        for rule in ("tensorflow", "torch", "pillow"):
            whole = resize(image, resized, rule).numpy()
            cut = apply_geometry(image, geometry, rule)
            np.testing.assert_allclose(cut, whole[7:27, 4:34], atol=0.01)


@pytest.mark.parametrize("seed", SEEDS)
def test_random_geometry_moves_the_image_as_its_matrix_says(seed):
    rng = np.random.default_rng(seed)
    point = np.array([rng.uniform(20, HEIGHT - 20), rng.uniform(20, WIDTH - 20)])
    boxes = np.float32([[point[0] - 4, point[1] - 4, point[0] + 4, point[1] + 4]])
    geometry = drawn(seed, boxes)
    image = apply_geometry(blob(*point), geometry).numpy()
    assert image.shape[0] <= 48 and image.shape[1] <= 56
    matrix = geometry.matrix.numpy()
    expected = matrix[:, :2] @ point + matrix[:, 2]
    reach = 4 * 3.0 * geometry.scale.numpy().max()  # beyond it the spot is below 1 of 255
    if np.all(expected > reach) and np.all(expected < np.array(image.shape[:2]) - reach):
        np.testing.assert_allclose(center_of(image), expected, atol=0.1)
    else:  # the spot is cut: its brightest pixel, if it is inside, must be near
        inside = np.all(expected > 1) and np.all(expected < np.array(image.shape[:2]) - 1)
        assert not inside or image[tuple(expected.astype(int))][0] > 200
    window = np.array(geometry.offset) + np.array(geometry.size)
    assert np.all(window <= geometry.resized) and np.all(np.array(geometry.offset) >= 0)


@pytest.mark.parametrize("seed", SEEDS[:5])
def test_random_geometry_is_the_same_eagerly_and_in_tf_data(seed):
    boxes = np.float32([[1, 2, 30, 40], [20, 20, 50, 70]])
    eager = drawn(seed, boxes)
    image = blob(30, 40)

    def mapped(_):
        geometry = drawn(seed, boxes)
        return geometry.matrix, apply_geometry(image, geometry)

    matrix, moved = next(iter(tf.data.Dataset.range(1).map(mapped)))
    np.testing.assert_allclose(matrix, eager.matrix, atol=1e-4)
    np.testing.assert_allclose(moved, apply_geometry(image, eager), atol=1e-2)


def test_each_option_is_drawn_in_its_range():
    geometries = drawn_many(150)
    turns = {(bool(g.transpose), *g.flip.tolist()) for g in geometries}
    assert len(turns) == 8  # all orientations
    assert 0.35 < np.mean([bool(g.transpose) for g in geometries]) < 0.65
    sides = np.array([min(g.resized) for g in geometries])
    assert sides.min() >= 50 * 0.6 - 1 and sides.max() <= 80 * 1.8 + 1
    assert sides.min() < 45 and sides.max() > 100


def test_quarter_turns_without_flips_are_the_four_rotations():
    augment = AugmentConfig(horizontal_flip=0, quarter_turns=True)
    geometries = drawn_many(60, augment=augment)
    assert len({(bool(g.transpose), *g.flip.tolist()) for g in geometries}) == 4
    assert all(np.linalg.det(g.matrix[:, :2]) > 0 for g in geometries)  # no mirror image


def test_min_sides_are_used_each():
    augment = AugmentConfig(min_sides=(50, 64, 70), horizontal_flip=0)
    found = {tuple(g.resized.tolist()) for g in drawn_many(40, augment=augment)}
    assert found == {(50, 70), (64, 90), (70, 98)}


def test_without_options_nothing_is_changed_but_the_size():
    still = drawn(3, augment=AugmentConfig(horizontal_flip=0))
    plain = transforms.plain_geometry(tf.constant(HEIGHT), tf.constant(WIDTH), INPUT)
    for found, expected in zip(still, plain):
        np.testing.assert_array_equal(found, expected)
    image = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    expected, scale = images.preprocess(image, INPUT)
    found = images.normalize(apply_geometry(image, plain), INPUT)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_array_equal(plain.scale, scale)


def test_the_default_flip_happens_half_the_time():
    flips = [g.flip for g in drawn_many(200, augment=AugmentConfig())]
    assert not np.any(flips, axis=0)[0] and 0.4 < np.mean(flips, axis=0)[1] < 0.6


def test_vertical_flips_have_their_own_probability():
    augment = AugmentConfig(horizontal_flip=0.0, vertical_flip=1.0)
    flips = [g.flip.tolist() for g in drawn_many(10, augment=augment)]
    assert flips == [[True, False]] * 10


def test_most_crops_show_the_centre_of_an_object():
    # A crop of a sixteenth of the image seldom holds a given point by chance.
    augment = AugmentConfig(crop=(25, 25), horizontal_flip=0.5, quarter_turns=True)
    input = InputConfig(min_side=100, max_side=100)
    corner = np.float32([[2, 2, 6.4, 6.4]])
    hits = 0
    for geometry in drawn_many(200, corner, input, augment, 50, 50):
        center = geometry.matrix @ np.array([4.2, 4.2, 1])
        hits += np.all(center > 0) and np.all(center < geometry.size)
    assert 0.72 < hits / 200 < 0.9


def test_crops_without_objects_lie_everywhere():
    augment = AugmentConfig(crop=(25, 25))
    input = InputConfig(min_side=100, max_side=100)
    starts = np.array([g.offset for g in drawn_many(200, NO_BOXES, input, augment, 50, 50)])
    assert starts.min() == 0 and starts.max() == 75
    np.testing.assert_allclose(starts.mean(axis=0), 37.5, atol=6)


def test_a_turned_image_is_fitted_into_the_fixed_size():
    augment = AugmentConfig(quarter_turns=True)
    input = InputConfig(fixed_size=(64, 128))
    sizes = {tuple(g.size.tolist()) for g in drawn_many(20, NO_BOXES, input, augment)}
    assert sizes == {(64, 90), (64, 46)}  # 60 x 84 and 84 x 60, both in 64 x 128


def test_an_image_scaled_beyond_the_fixed_size_is_cut_to_it():
    augment = AugmentConfig(scale=(2.0, 2.0))
    found = drawn(1, input=InputConfig(fixed_size=(64, 128)), augment=augment)
    assert found.resized.numpy().tolist() == [128, 180]
    assert found.size.numpy().tolist() == [64, 128]


def test_a_rotation_by_hand_keeps_the_centre_and_the_size():
    # A quarter turn counter-clockwise about the centre of a square: the top left goes down.
    warp = tf.constant([[0.0, -1.0, 40.0], [1.0, 0.0, 0.0]])
    zero, side = tf.constant([0, 0]), tf.constant([40, 40])
    found = make_geometry(tf.constant([20, 20]), False, [False, False], side, zero, side, warp)
    np.testing.assert_allclose(found.matrix, [[0, -2, 40], [2, 0, 0]])
    image = np.random.default_rng(0).uniform(0, 255, (20, 20, 3)).astype(np.float32)
    moved = apply_geometry(image, found)
    whole = make_geometry(tf.constant([20, 20]), False, [False, False], side, zero, side)
    np.testing.assert_allclose(moved, np.rot90(apply_geometry(image, whole)), atol=1e-2)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_turned_and_sheared_image_goes_where_its_matrix_says(seed):
    point = np.random.default_rng(seed).uniform(24, 36, 2) + [0, 12]
    augment = AugmentConfig(
        rotation=180,
        shear=20,
        scale=(0.7, 1.5),
        crop=(70, 90),
        vertical_flip=0.5,
        quarter_turns=True,
    )
    boxes = np.float32([[*point, *point]])
    geometry = drawn(seed, boxes, augment=augment)
    image = apply_geometry(blob(*point), geometry).numpy()
    assert image.shape == (*geometry.size.numpy(), 3)
    matrix = geometry.matrix.numpy()
    expected = matrix[:, :2] @ point + matrix[:, 2]
    reach = 4 * 3.0 * np.linalg.norm(matrix[:, :2], axis=1)
    if np.all(expected > reach) and np.all(expected < np.array(image.shape[:2]) - reach):
        np.testing.assert_allclose(center_of(image), expected, atol=0.1)
    # The scale is the resizing's: it goes into no box.
    area = abs(np.linalg.det(matrix[:, :2])) / np.prod(geometry.scale)
    assert 1 - np.tan(np.deg2rad(20)) ** 2 < area < 1 + np.tan(np.deg2rad(20)) ** 2


def test_rotations_and_shears_fill_their_ranges():
    linear = [g.matrix[:, :2] for g in drawn_many(100, augment=AugmentConfig(rotation=30))]
    # Half of them are mirrored: the second column tells the angle of both alike.
    angles = np.rad2deg([np.arctan2(m[1, 0], m[0, 0]) for m in linear])
    assert angles.min() < -25 and angles.max() > 25 and np.abs(angles).max() <= 30
    still = AugmentConfig(shear=20, horizontal_flip=0)
    linear = np.array([g.matrix[:, :2] / g.scale for g in drawn_many(100, augment=still)])
    np.testing.assert_allclose(linear[:, 0, 0], 1, atol=1e-5)
    slants = np.rad2deg(np.arctan(linear[:, 0, 1]))
    assert slants.min() < -16 and slants.max() > 16 and np.abs(slants).max() <= 20


def test_what_a_turn_uncovers_has_the_colour_of_the_padding():
    augment = AugmentConfig(rotation=180)
    image = np.full((HEIGHT, WIDTH, 3), 200, np.float32)
    geometry = drawn(4, augment=augment)
    moved = apply_geometry(image, geometry, fill=np.float32([10, 20, 30])).numpy()
    np.testing.assert_allclose(moved[0, 0], [10, 20, 30], atol=1e-3)
    np.testing.assert_allclose(moved[32, 50], 200, atol=1e-3)


def test_large_scale_jitter_is_that_of_detectron2():
    """ResizeScale(0.1, 2, 64, 64) and FixedSizeCrop((64, 64)): written here once more."""
    augment = AugmentConfig(scale=(0.1, 2.0), scale_law="uniform", object_crops=0)
    input = InputConfig(fixed_size=(64, 64))
    found = drawn_many(300, np.float32([[0, 0, 4, 4]]), input, augment)
    factors = np.array([g.resized[1] / 64 for g in found])  # the long side of 60 x 84
    assert factors.min() < 0.13 and factors.max() > 1.97
    assert np.histogram(factors, 4, (0.1, 2.0))[0].min() > 50  # each factor as likely
    for geometry in found:
        np.testing.assert_allclose(geometry.resized[0], geometry.resized[1] * 60 / 84, atol=1.5)
        np.testing.assert_array_equal(geometry.size, np.minimum(geometry.resized, 64))
    # Where there is room, the window is as likely anywhere, whatever the objects.
    rooms = np.array([(g.offset[1], g.resized[1] - 64) for g in found if g.resized[1] > 70])
    shares = rooms[:, 0] / rooms[:, 1]
    assert np.histogram(shares, 4, (0, 1))[0].min() > 20
