"""`results/polygons_of_masks.py`: few points, the same pixels."""

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from helpers.found_shapes import HEIGHT, WIDTH, disc, drawn_masks
from tfmaskrcnn.ops.paste import Window
from tfmaskrcnn.results.pixel_outlines import pixel_outlines
from tfmaskrcnn.results.polygons_of_masks import (
    polygons_of,
    ring_area,
    simplified,
    without_stairs,
)


def drawn(polygons, height, width):
    """[H, W] bool, as COCO's tools draw the polygons and cut their holes."""
    total = np.zeros((height, width), bool)
    for part in polygons:
        rings = [ring.reshape(-1).tolist() for ring in (part.outer, *part.holes)]
        masks = coco_mask.decode(coco_mask.frPyObjects(rings, height, width)).astype(bool)
        total |= masks[..., 0] & ~masks[..., 1:].any(axis=-1)
    return total


def iou(polygons, mask):
    other = drawn(polygons, *mask.shape)
    return np.sum(other & mask) / np.sum(other | mask)


def blob(rng, size):
    """A lobed ellipse about `size` pixels across, in a bitmap that is a little larger."""
    side = size + 6
    y, x = np.mgrid[:side, :side] + 0.5 - side / 2 - rng.uniform(-0.5, 0.5, (2, 1, 1))
    turn, angle = rng.uniform(0, 3), np.arctan2(y, x)
    lobes = sum(rng.uniform(-0.1, 0.1) * np.cos(k * angle + rng.uniform(0, 6)) for k in (2, 3, 4))
    across = (y * np.cos(turn) - x * np.sin(turn)) / rng.uniform(0.6, 1)
    return np.hypot(y * np.sin(turn) + x * np.cos(turn), across) < size / 2 * (1 + lobes)


@pytest.mark.parametrize("seed", range(20))
def test_without_a_tolerance_the_pixels_are_exactly_the_same(seed):
    rng = np.random.default_rng(seed)
    mask = rng.random(rng.integers(1, 20, 2)) < rng.uniform(0.2, 0.95)
    polygons = polygons_of(Window(0, 0, mask), 0.0)
    np.testing.assert_array_equal(drawn(polygons, *mask.shape), mask)
    assert sum(ring_area(r) for p in polygons for r in (p.outer, *p.holes)) == mask.sum()


@pytest.mark.parametrize("size, points", [(20, 18), (40, 20), (100, 28), (300, 55)])
def test_few_points_are_nearly_the_same_pixels(size, points):
    masks = [blob(np.random.default_rng(seed), size) for seed in range(20)]
    found = [polygons_of(Window(0, 0, mask), 0.5) for mask in masks]
    assert min(map(iou, found, masks)) > 0.97
    assert np.mean([sum(len(part.outer) for part in polygons) for polygons in found]) < points
    # Neither larger nor smaller than the mask.
    areas = [sum(ring_area(p.outer) for p in f) / m.sum() for f, m in zip(found, masks)]
    assert abs(np.mean(areas) - 1) < 0.02


@pytest.mark.parametrize("tolerance", [0.5, 2.0, 50.0])
@pytest.mark.parametrize("size", [2, 3, 5, 8, 13])
def test_tiny_objects_do_not_vanish(tolerance, size):
    for seed in range(20):
        mask = blob(np.random.default_rng(seed), size)
        mask[-1, -1] = True  # and a pixel of its own
        polygons = polygons_of(Window(0, 0, mask), tolerance)
        assert len(polygons) == 2
        assert min(len(part.outer) for part in polygons) >= 3
        assert iou(polygons, mask) >= max(0.5, 1 - 0.05 * tolerance)


@pytest.mark.parametrize("tolerance", [0.5, 1.0, 3.0])
def test_thin_lines_neither_cross_themselves_nor_vanish(tolerance):
    for seed in range(10):
        rng = np.random.default_rng(seed)
        mask = np.zeros((60, 60), bool)
        for x in range(60):
            mask[int(30 + 20 * np.sin(x / rng.uniform(5, 9))), x] = True
        polygons = polygons_of(Window(0, 0, mask), tolerance)
        assert iou(polygons, mask) >= 1 - 0.05 * tolerance


def test_many_specks_stay_what_they_are():
    for seed in range(3):
        mask = np.random.default_rng(seed).random((HEIGHT, WIDTH)) < 0.02
        assert iou(polygons_of(Window(0, 0, mask), 0.5), mask) > 0.97


def test_holes_and_parts_stay_and_lie_where_the_window_does():
    for mask in drawn_masks():
        part, top, left = mask[5:, 7:], 5, 7
        whole = np.zeros_like(mask)
        whole[5:, 7:] = part
        polygons = polygons_of(Window(top, left, part), 0.5)
        assert iou(polygons, whole) > 0.97
    ring = polygons_of(Window(0, 0, disc(45, 60, 40, 30)), 0.5)
    assert [len(part.holes) for part in ring] == [1]
    both = polygons_of(Window(0, 0, disc(45, 60, 40, 30) | disc(45, 60, 12)), 0.5)
    assert [len(part.holes) for part in both] == [1, 0]  # the largest part first


@pytest.mark.parametrize("shape", [(0, 0), (3, 0), (4, 5)])
def test_no_pixel_is_no_polygon(shape):
    assert polygons_of(Window(2, 3, np.zeros(shape, bool)), 0.5) == []


def test_slopes_lie_on_the_middles_of_their_steps_and_rectangles_keep_their_corners():
    ((stairs,),) = pixel_outlines(np.tri(9, dtype=bool))
    smooth = without_stairs(stairs)
    assert abs(ring_area(smooth) - 45) < 0.3  # 9 * 10 / 2 pixels, but for the two ends
    assert len(simplified(smooth, 0.1)) <= 5
    ((rectangle,),) = pixel_outlines(np.ones((3, 7), bool))
    np.testing.assert_array_equal(without_stairs(rectangle), rectangle)


@pytest.mark.parametrize("seed", range(20))
def test_no_point_is_further_from_fewer_points_than_the_tolerance(seed):
    rng = np.random.default_rng(seed)
    ((ring, *_), *_) = pixel_outlines(blob(rng, 60))
    ring, tolerance = without_stairs(ring), rng.uniform(0.2, 3)
    fewer = simplified(ring, tolerance)
    start, along = fewer, np.roll(fewer, -1, axis=0) - fewer
    share = np.sum((ring[:, None] - start) * along, axis=-1) / np.sum(along**2, axis=-1)
    nearest = start + np.clip(share, 0, 1)[..., None] * along
    assert np.hypot(*(ring[:, None] - nearest).T).min(axis=0).max() <= tolerance + 1e-9


def test_an_object_of_the_whole_image_is_four_points():
    (part,) = polygons_of(Window(0, 0, np.ones((HEIGHT, WIDTH), bool)), 0.5)
    assert len(part.outer) == 4
