"""Boundary IoU against OpenCV and hand cases, and the numbers that follow from it."""

import numpy as np
import pytest

from helpers.drawn_sets import drawn, random_set
from helpers.paths import GOLDEN
from tfmaskrcnn.evaluation.analysis.boundaries import (
    boundary,
    boundary_depth,
    boundary_overlap,
    outlines,
)
from tfmaskrcnn.evaluation.analysis.examined import ExaminedImage, Found, Objects
from tfmaskrcnn.evaluation.analysis.verdicts import judge
from tfmaskrcnn.ops.paste import masks_to_rle


@pytest.mark.parametrize("number", range(4))
def test_boundaries_and_their_iou_are_those_of_opencv(number):
    golden = np.load(GOLDEN / "boundary.npz")
    size = tuple(golden[f"size_{number}"])
    masks, edges = (
        np.unpackbits(golden[f"{name}_{number}"])[: 6 * size[0] * size[1]]
        .reshape(6, *size)
        .astype(bool)
        for name in ("masks", "boundaries")
    )
    depth = boundary_depth(size)
    np.testing.assert_array_equal([boundary(mask, depth) for mask in masks], edges)

    image = image_of(masks, size)
    expected = np.where(image.overlap("mask") >= 0.5, golden[f"iou_{number}"], 0.0)
    assert np.count_nonzero((expected > 0) & (expected < 1)) >= 2
    np.testing.assert_allclose(boundary_overlap(image), expected, rtol=1e-12)


def image_of(masks, size):
    """All masks are there, and all are found."""
    rles, boxes, ones = masks_to_rle(masks), np.zeros((len(masks), 4)), np.ones(len(masks))
    classes = ones.astype(int)
    objects = Objects(classes, boxes, ones, ones > 1, tuple(range(len(masks))), rles)
    return ExaminedImage(1, "1.png", size, objects, Found(classes, ones, boxes, rles))


def test_the_depth_is_2_percent_of_the_diagonal_at_least_1():
    # Diagonals of 500, 125.6, 125 (2.5 goes to the even side, as in the authors' code) and 10.
    sizes = ((300, 400), (76, 100), (75, 100), (6, 8))
    assert list(map(boundary_depth, sizes)) == [10, 3, 2, 1]


def test_the_hand_case_of_a_shifted_square():
    # 40 x 40 pixels, the diagonal of 300 x 400 is 500: the boundary is 10 deep and has 1600 - 400
    # pixels. Shifted by 2, the masks share 40 * 38; the holes lose 2 rows of either side to the
    # other's boundary: 20 * 18 of the shared pixels lie in both holes, 2 * 40 in one.
    there, seen = (100, 100, 140, 140), (102, 100, 142, 140)
    examined = drawn([([(1, there)], [(1, seen, 0.9)])], size=(300, 400))
    shared = 40 * 38 - 20 * 18 - 2 * 40
    expected = shared / (2 * 1200 - shared)
    result = outlines(examined, judge(examined, "mask"))
    iou = 1520 / 1680
    assert result.mean_boundary_iou == pytest.approx(expected)
    assert result.mean_iou == pytest.approx(iou)
    assert result.mean_dice == pytest.approx(2 * 1520 / 3200)
    # 0.905 passes 9 of the 10 thresholds up to 0.90, 0.818 the 7 up to 0.80.
    assert result.mask_ap == pytest.approx(0.9) and result.boundary_ap == pytest.approx(0.7)
    assert result.areas.tolist() == [1600.0]


def test_what_is_nowhere_thicker_than_two_boundaries_is_all_boundary():
    box = (10, 10, 14, 60)  # 4 pixels high, 2 * 2 are boundary at a diagonal of 100
    examined = drawn([([(1, box)], [(1, (11, 10, 15, 60), 0.9)])], size=(60, 80))
    assert boundary_overlap(examined.images[0])[0, 0] == pytest.approx(3 / 5)


@pytest.mark.parametrize("seed", range(5))
def test_a_shortcut_for_thin_masks_changes_nothing(seed, monkeypatch):
    examined = random_set(seed, num_images=3, size=(100, 300))
    quick = [boundary_overlap(image) for image in examined.images]
    monkeypatch.setattr(
        "tfmaskrcnn.evaluation.analysis.boundaries._thin",
        lambda rles, depth: np.zeros(len(rles), bool),
    )
    for image, overlap in zip(examined.images, quick):
        np.testing.assert_allclose(boundary_overlap(image), overlap, rtol=1e-12)


def test_a_perfect_predictor_has_perfect_outlines():
    objects = [(1, (0, 0, 40, 40)), (2, (50, 50, 99, 99))]
    examined = drawn([(objects, [(*entry, 0.9) for entry in objects])])
    result = outlines(examined, judge(examined, "mask"))
    assert result[:5] == pytest.approx((1.0,) * 5)
    assert result.areas.tolist() == [1600.0, 49.0 * 49.0]


def test_only_what_is_found_at_the_threshold_is_averaged():
    objects = [(1, (0, 0, 40, 40)), (1, (50, 50, 90, 90))]
    examined = drawn([(objects, [(*objects[0], 0.9), (1, (50, 50, 90, 80), 0.2)])])
    assert len(outlines(examined, judge(examined, "mask", [0.5])).ious) == 1
    both = outlines(examined, judge(examined, "mask", [0.1]))
    np.testing.assert_allclose(both.ious, [1.0, 0.75])
    assert both.mean_iou == pytest.approx(0.875)


def test_in_a_crowd_region_the_outline_does_not_matter():
    crowd, inside = (1, (0, 0, 80, 80), True), (1, (10, 10, 70, 70), 0.9)
    examined = drawn([([crowd, (1, (82, 82, 99, 99))], [inside, (1, (82, 82, 99, 99), 0.8)])])
    assert boundary_overlap(examined.images[0])[0, 0] == 1.0
    result = outlines(examined, judge(examined, "mask"))
    assert result.boundary_ap == pytest.approx(1.0) and len(result.ious) == 1


@pytest.mark.parametrize("images", ([], [([], [])], [([], [(1, (0, 0, 9, 9), 0.9)])]))
def test_without_objects_there_are_no_numbers(images):
    examined = drawn(images)
    result = outlines(examined, judge(examined, "mask"))
    assert result[:5] == (-1.0,) * 5
    assert result.ious.shape == result.boundary_ious.shape == result.areas.shape == (0,)
