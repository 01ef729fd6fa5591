"""`data/coco/segmentation.py` against an even-odd test of every sample point, written here."""

import itertools

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from tfmaskrcnn.data.coco import segmentation
from tfmaskrcnn.data.coco.segmentation import box_mask, decode, moved_box, visible_part
from tfmaskrcnn.errors import InputError

SEEDS = range(20)
IDENTITY = np.array([[1, 0, 0], [0, 1, 0]], np.float32)
HEIGHT, WIDTH = 90, 120
# A "C" that opens to the right: concave, with parallel arms. x, y pairs.
LETTER_C = np.float32([20, 20, 80, 20, 80, 35, 40, 35, 40, 55, 80, 55, 80, 70, 20, 70])
# The eight orientations: swap the axes or not, then reverse either.
ORIENTATIONS = list(itertools.product([False, True], repeat=3))


def inside(polygon, y, x):
    """Even-odd rule: whether points (y, x) lie in the flat xy `polygon`; any equal shapes."""
    found = np.zeros(np.broadcast(y, x).shape, bool)
    points = np.reshape(polygon, (-1, 2)).astype(np.float64)
    for (x1, y1), (x2, y2) in zip(points, np.roll(points, -1, axis=0)):
        if y1 != y2:
            at = x1 + (y - y1) * (x2 - x1) / (y2 - y1)
            found ^= ((y1 > y) != (y2 > y)) & (x < at)
    return found


def blob(seed, height=HEIGHT, width=WIDTH):
    """A star-shaped polygon of 12 to 30 points inside the image, flat xy float32."""
    rng = np.random.default_rng(seed)
    count = rng.integers(12, 31)
    angles = np.sort(rng.uniform(0, 2 * np.pi, count))
    radii = rng.uniform(0.15, 0.45, count) * min(height, width)
    x, y = width / 2 + radii * np.cos(angles), height / 2 + radii * np.sin(angles)
    return np.stack([x, y], axis=1).reshape(-1).astype(np.float32)


def bounds(polygon):
    x, y = np.reshape(polygon, (-1, 2)).T
    return np.float32([y.min(), x.min(), y.max(), x.max()])


def rle_of(mask):
    return coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))


def iou(a, b):
    return np.count_nonzero(a & b) / max(np.count_nonzero(a | b), 1)


def orientation(transpose, flip_y, flip_x, scale=1.5, height=HEIGHT, width=WIDTH):
    """The matrix of an orientation and a scale, by its action on the axes."""
    linear = np.eye(2)[::-1] if transpose else np.eye(2)
    sides = np.array([width, height] if transpose else [height, width])
    signs = np.where([flip_y, flip_x], -1, 1)
    shift = np.where([flip_y, flip_x], sides, 0)
    matrix = np.concatenate([signs[:, None] * linear, shift[:, None]], axis=1)
    return (scale * matrix).astype(np.float32)


def oriented(mask, transpose, flip_y, flip_x):
    """`mask` [H, W] moved as `orientation` says, without the scale."""
    mask = mask.T if transpose else mask
    return mask[:: -1 if flip_y else 1, :: -1 if flip_x else 1]


def test_decode_takes_all_forms_of_one_mask():
    mask = decode([LETTER_C], HEIGHT, WIDTH)
    assert mask.dtype == bool and mask.shape == (HEIGHT, WIDTH)
    packed = rle_of(mask)
    runs = np.flatnonzero(np.diff(np.concatenate([[False], mask.T.reshape(-1), [True]])))
    lengths = np.diff(np.concatenate([[0], runs, [mask.size]])).tolist()
    assert sum(lengths) == mask.size
    forms = [packed, {**packed, "counts": packed["counts"].decode()}]
    forms.append({"size": [HEIGHT, WIDTH], "counts": lengths})
    for form in forms:
        np.testing.assert_array_equal(decode(form, HEIGHT, WIDTH), mask)


def test_decode_of_a_rectangle_covers_whole_pixels():
    # Pixel i covers [i, i + 1): a polygon on pixel borders must fill exactly these pixels.
    mask = decode([np.float32([2, 3, 7, 3, 7, 5, 2, 5])], 8, 10)
    expected = np.zeros((8, 10), bool)
    expected[3:5, 2:7] = True
    np.testing.assert_array_equal(mask, expected)


def test_decode_is_the_union_of_polygons():
    parts = [np.float32([0, 0, 4, 0, 4, 4, 0, 4]), np.float32([2, 2, 6, 2, 6, 6, 2, 6])]
    assert np.count_nonzero(decode(parts, 8, 8)) == 16 + 16 - 4


@pytest.mark.parametrize("counts", ["zzzzzz", "0Pm2"])
def test_a_broken_rle_is_an_input_error(counts):
    with pytest.raises(InputError, match="RLE"):
        decode({"size": [4, 4], "counts": counts}, 4, 4)


def test_an_rle_of_another_size_is_an_input_error():
    with pytest.raises(InputError, match=r"size \(4, 6\), wanted \(6, 4\)"):
        decode(rle_of(np.ones((4, 6))), 6, 4)


@pytest.mark.parametrize("seed", SEEDS)
def test_box_mask_of_a_polygon_is_the_polygon_at_the_cells_centres(seed):
    polygon = blob(seed)
    box = bounds(polygon)
    found = box_mask([polygon], HEIGHT, WIDTH, IDENTITY, box)
    steps = (np.arange(112) + 0.5) / 112
    y, x = np.meshgrid(box[0] + steps * (box[2] - box[0]), box[1] + steps * (box[3] - box[1]))
    expected = inside(polygon, y.T, x.T)
    assert found.dtype == np.uint8 and iou(found > 0, expected) > 0.99
    # No half-cell slip: the centres of gravity agree to a fifth of a cell.
    centers = [np.mean(np.nonzero(m), axis=1) for m in (found, expected)]
    np.testing.assert_allclose(centers[0], centers[1], atol=0.2)


def test_box_mask_of_a_disc_has_the_area_of_a_disc():
    angles = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    disc = np.stack([60 + 30.3 * np.cos(angles), 45 + 30.3 * np.sin(angles)], axis=1)
    found = box_mask([disc.reshape(-1)], HEIGHT, WIDTH, IDENTITY, bounds(disc))
    assert found.mean() == pytest.approx(np.pi / 4, rel=0.005)


@pytest.mark.parametrize("seed", SEEDS)
def test_polygons_and_rle_of_one_object_give_one_mask(seed):
    polygon = blob(seed)
    matrix = orientation(*ORIENTATIONS[seed % 8])
    box = moved_box(bounds(polygon), matrix)
    rle = rle_of(decode([polygon], HEIGHT, WIDTH))
    masks = [box_mask(s, HEIGHT, WIDTH, matrix, box) > 0 for s in ([polygon], rle)]
    # The RLE knows whole pixels only: a border of about half a pixel differs.
    assert iou(*masks) > 0.93
    centers = [np.mean(np.nonzero(m), axis=1) for m in masks]
    np.testing.assert_allclose(centers[0], centers[1], atol=0.5)


@pytest.mark.parametrize("turn", ORIENTATIONS)
@pytest.mark.parametrize("form", ["polygon", "rle"])
def test_box_mask_follows_each_orientation(turn, form):
    # A box of 56 x 56 output pixels, so that two cells make one pixel of the oriented mask.
    polygon = blob(3)
    mask = decode([polygon], HEIGHT, WIDTH)
    matrix = orientation(*turn, scale=1.0)
    shown = oriented(mask, *turn)
    rows, cols = np.nonzero(shown)
    y, x = rows.min() + 3, cols.min() + 2
    window = shown[y : y + 56, x : x + 56]
    segment = [polygon] if form == "polygon" else rle_of(mask)
    found = box_mask(segment, HEIGHT, WIDTH, matrix, np.float32([y, x, y + 56, x + 56]))
    assert iou(found > 0, window.repeat(2, axis=0).repeat(2, axis=1)) > 0.95


def test_an_rle_is_sampled_bilinearly_at_the_cells_centres():
    mask = np.zeros((4, 4), bool)
    mask[:, 2:] = True
    # 8 cells over 4 pixels: the step from 0 to 1 passes one half between cells 3 and 4.
    found = box_mask(rle_of(mask), 4, 4, IDENTITY, np.float32([0, 0, 4, 4]), (8, 8))
    np.testing.assert_array_equal(found, np.repeat([[0] * 4 + [1] * 4], 8, axis=0))


def test_box_mask_is_bounded_when_the_box_is_a_sliver_of_a_large_polygon():
    # Without clipping, the outline would have 10 ** 9 steps in the box's frame.
    large = np.float32([-1e4, -1e4, 1e4, -1e4, 1e4, 1e4, -1e4, 1e4])
    found = box_mask([large], HEIGHT, WIDTH, IDENTITY, np.float32([5, 5, 5.01, 5.01]))
    assert found.all()


def test_box_mask_of_a_box_beside_the_object_is_empty():
    for segment in ([LETTER_C], rle_of(decode([LETTER_C], HEIGHT, WIDTH))):
        assert not box_mask(segment, HEIGHT, WIDTH, IDENTITY, np.float32([0, 0, 9, 9])).any()


def test_moved_box_swaps_and_flips():
    matrix = orientation(True, False, True, scale=2.0)  # out_y = 2 x, out_x = 2 (90 - y)
    np.testing.assert_allclose(moved_box(np.float32([10, 20, 30, 50]), matrix), [40, 120, 100, 160])


def turned(degrees, scale=1.0, slant=0.0, height=HEIGHT, width=WIDTH):
    """The matrix of a rotation and a shear about the centre of the image."""
    a, tan = np.deg2rad(degrees), np.tan(np.deg2rad(slant))
    linear = scale * np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]])
    linear = linear @ np.array([[1, tan], [0, 1]])
    center = np.array([height, width]) / 2
    return np.concatenate([linear, (center - linear @ center)[:, None]], axis=1).astype(np.float32)


def test_which_matrices_make_boxes_something_else():
    assert not any(segmentation.oblique(orientation(*turn)) for turn in ORIENTATIONS)
    assert segmentation.oblique(turned(3)) and segmentation.oblique(turned(0, slant=1))


@pytest.mark.parametrize("form", ["polygon", "rle"])
def test_the_box_of_a_turned_object_is_that_of_its_outline_not_of_its_boxs_corners(form):
    angles = np.linspace(0, 2 * np.pi, 100, endpoint=False)
    disc = np.stack([60 + 30 * np.cos(angles), 45 + 30 * np.sin(angles)], axis=1).reshape(-1)
    segment = [disc] if form == "polygon" else rle_of(decode([disc], HEIGHT, WIDTH))
    for degrees in (10, 45, 100):
        part = visible_part(segment, HEIGHT, WIDTH, turned(degrees), (HEIGHT, WIDTH))
        np.testing.assert_allclose(part.box, [15, 30, 75, 90], atol=0.6)
        assert part.share == 1
        corners = moved_box(np.float32([15, 30, 75, 90]), turned(degrees))
        assert corners[3] - corners[1] > 69


@pytest.mark.parametrize("seed", SEEDS)
def test_a_turned_and_cut_object_is_the_samples_that_lie_in_it(seed):
    polygon, rng = blob(seed), np.random.default_rng(seed)
    matrix = turned(rng.uniform(-180, 180), rng.uniform(0.8, 1.5), rng.uniform(-20, 20))
    matrix[:, 2] -= rng.uniform(0, 20, 2)
    window = (80, 100)
    y, x = np.meshgrid(*((np.arange(n * 4) + 0.5) / 4 for n in window), indexing="ij")
    back = np.linalg.inv(matrix[:, :2].astype(np.float64))
    original = (np.stack([y, x], axis=-1) - matrix[:, 2]) @ back.T
    mask = decode([polygon], HEIGHT, WIDTH)
    row, col = np.floor(original).astype(int).transpose(2, 0, 1)
    on_image = (row >= 0) & (row < HEIGHT) & (col >= 0) & (col < WIDTH)
    pixels = on_image & mask[row.clip(0, HEIGHT - 1), col.clip(0, WIDTH - 1)]
    outline = inside(polygon, original[..., 0], original[..., 1])
    for segment, shown, least in (([polygon], outline, 0.97), (rle_of(mask), pixels, 0.95)):
        rows, cols = np.nonzero(shown)
        tight = np.array([rows.min(), cols.min(), rows.max() + 1, cols.max() + 1]) / 4
        part = visible_part(segment, HEIGHT, WIDTH, matrix, window)
        np.testing.assert_allclose(part.box, tight, atol=1.5)  # a tip lies between the samples
        area = np.linalg.det(matrix[:, :2]) * segmentation.polygon_area(polygon)
        assert part.share == pytest.approx(np.count_nonzero(shown) / 16 / area, abs=0.03)
        grid = np.float32([0, 0, *window])
        found = box_mask(segment, HEIGHT, WIDTH, matrix, grid, shown.shape)
        assert iou(found > 0, shown) > least


@pytest.mark.parametrize("form", ["polygon", "rle"])
def test_an_object_does_not_reach_beyond_the_border_of_a_turned_image(form):
    whole = np.float32([-30, -30, 150, -30, 150, 120, -30, 120])  # more than the image
    segment = [whole] if form == "polygon" else rle_of(np.ones((HEIGHT, WIDTH)))
    matrix, window = turned(45, 0.5), np.float32([0, 0, HEIGHT, WIDTH])
    found = box_mask(segment, HEIGHT, WIDTH, matrix, window, (HEIGHT, WIDTH))
    assert found.sum() == pytest.approx(HEIGHT * WIDTH / 4, rel=0.02)
    side = (HEIGHT + WIDTH) / 2 * np.sqrt(0.5)
    part = visible_part(segment, HEIGHT, WIDTH, matrix, (HEIGHT, WIDTH))
    np.testing.assert_allclose(part.box[2:] - part.box[:2], side, atol=1)
    assert part.share == 1


def shifted(y, x):
    """The matrix of a crop that starts at (y, x)."""
    return np.float32([[1, 0, -y], [0, 1, -x]])


@pytest.mark.parametrize("form", ["polygon", "rle"])
def test_the_visible_part_of_a_cut_letter(form):
    segment = [LETTER_C]
    if form == "rle":
        segment = rle_of(decode([LETTER_C], HEIGHT, WIDTH))
    # The window shows x 50..120, y 30..90: both arms, none of the stem.
    part = visible_part(segment, HEIGHT, WIDTH, shifted(30, 50), (60, 70))
    np.testing.assert_allclose(part.box, [0, 0, 40, 30], atol=1e-4)
    assert part.share == pytest.approx((5 * 30 + 15 * 30) / (60 * 50 - 40 * 20), abs=1e-6)
    # All of it, and nothing of it.
    part = visible_part(segment, HEIGHT, WIDTH, IDENTITY, (HEIGHT, WIDTH))
    np.testing.assert_allclose(part.box, [20, 20, 70, 80], atol=1e-4)
    assert part.share == pytest.approx(1.0)
    part = visible_part(segment, HEIGHT, WIDTH, shifted(36, 41), (18, 30))  # between the arms
    assert part.share == 0.0 and not part.box.any()


def test_a_corner_of_the_window_that_the_object_passes_by_is_not_part_of_it():
    arm = np.float32([-30, -30, 60, -30, 60, -20, -20, -20, -20, 30, 8, 30, 8, 40, -30, 40])
    part = visible_part([arm], HEIGHT, WIDTH, IDENTITY, (60, 60))
    # Only the foot at y 30..40, x 0..8 is visible; the corner (0, 0) is passed by.
    np.testing.assert_allclose(part.box, [30, 0, 40, 8], atol=1e-4)


def test_an_edge_that_only_touches_the_window_is_not_part_of_it():
    # An angle whose upright ends where the window begins, and whose bar reaches into it.
    letter = np.float32([-10, -10, 50, -10, 50, 5, 0, 5, 0, 60, -10, 60])
    part = visible_part([letter], HEIGHT, WIDTH, IDENTITY, (60, 40))
    np.testing.assert_allclose(part.box, [0, 0, 5, 40])
    square = np.float32([0, 10, 10, 10, 10, 20, 0, 20])  # but a square beside it is
    part = visible_part([square], HEIGHT, WIDTH, IDENTITY, (60, 40))
    np.testing.assert_allclose(part.box, [10, 0, 20, 10])


def test_a_window_inside_the_object_shows_it_all_over():
    square = np.float32([0, 0, 90, 0, 90, 90, 0, 90])
    part = visible_part([square], HEIGHT, WIDTH, shifted(10, 20), (30, 40))
    np.testing.assert_allclose(part.box, [0, 0, 30, 40])


def test_a_corner_of_the_window_that_the_object_covers_is_part_of_it():
    square = np.float32([-10, -10, 20, -10, 20, 20, -10, 20])
    part = visible_part([square], HEIGHT, WIDTH, IDENTITY, (60, 60))
    np.testing.assert_allclose(part.box, [0, 0, 20, 20])
    assert part.share == pytest.approx(400 / 900)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_visible_box_is_the_tight_box_of_the_visible_samples(seed):
    polygon = blob(seed)
    rng = np.random.default_rng(100 + seed)
    matrix = orientation(*ORIENTATIONS[seed % 8])
    # Borders at half pixels of the original: no strip of it is thinner than the samples.
    matrix[:, 2] -= 0.75 * rng.integers(0, 54, 2)
    window = tuple((3 * rng.integers(17, 31, 2)).tolist())
    y, x = np.meshgrid(*((np.arange(n * 4) + 0.5) / 4 for n in window), indexing="ij")
    back = np.linalg.inv(matrix[:, :2].astype(np.float64))
    points = np.stack([y, x], axis=-1) - matrix[:, 2]
    original = points @ back.T
    visible = inside(polygon, original[..., 0], original[..., 1])
    part = visible_part([polygon], HEIGHT, WIDTH, matrix, window)
    area = segmentation.polygon_area(polygon) * 1.5**2
    assert part.share == pytest.approx(np.count_nonzero(visible) / 16 / area, abs=0.01)
    rows, cols = np.nonzero(visible)
    tight = np.array([rows.min(), cols.min(), rows.max() + 1, cols.max() + 1]) / 4
    # A sharp tip may pass between the samples.
    np.testing.assert_allclose(part.box, tight, atol=1.5)
    assert np.all(part.box[:2] <= tight[:2] + 0.26) and np.all(part.box[2:] >= tight[2:] - 0.26)
    # The same from an RLE, whose visible samples are those in pixels of the mask.
    mask = decode([polygon], HEIGHT, WIDTH)
    row, col = np.floor(original).astype(int).transpose(2, 0, 1)
    on_image = (row >= 0) & (row < HEIGHT) & (col >= 0) & (col < WIDTH)
    visible = on_image & mask[row.clip(0, HEIGHT - 1), col.clip(0, WIDTH - 1)]
    rows, cols = np.nonzero(visible)
    tight = np.array([rows.min(), cols.min(), rows.max() + 1, cols.max() + 1]) / 4
    part = visible_part(rle_of(mask), HEIGHT, WIDTH, matrix, window)
    np.testing.assert_allclose(part.box, tight, atol=0.26)
    # Pixels cut by the window's edge count as a whole.
    assert part.share == pytest.approx(np.count_nonzero(visible) / 36 / mask.sum(), abs=0.05)
