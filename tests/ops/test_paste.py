"""`ops/paste.py` against plain loops in float64 that follow each rule's own wording."""

import math

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from helpers.paths import GOLDEN
from tfmaskrcnn.ops.paste import (
    masks_to_rle,
    paste_masks,
    paste_to_rle,
    paste_windows,
    rle_to_masks,
    rle_windows,
)

# A pixel whose float64 value is this close to the threshold may fall on either side in float32.
TIE = 1e-6


def bilinear(mask, y, x):
    """`mask` at the cell-centre coordinates (y, x), zeros outside: the textbook four corners."""
    top, left = math.floor(y), math.floor(x)
    total = 0.0
    for row, row_weight in ((top, top + 1 - y), (top + 1, y - top)):
        for column, column_weight in ((left, left + 1 - x), (left + 1, x - left)):
            if 0 <= row < mask.shape[0] and 0 <= column < mask.shape[1]:
                total += row_weight * column_weight * float(mask[row, column])
    return total


def aligned_values(mask, box, height, width):
    """Detectron2: pixel centres mapped into the mask, as grid_sample(align_corners=False) does."""
    y1, x1, y2, x2 = (float(v) for v in box)
    values = np.zeros((height, width))
    for i in range(height):
        for j in range(width):
            grid_y = (i + 0.5 - y1) / (y2 - y1) * 2 - 1  # [-1, 1] is the box
            grid_x = (j + 0.5 - x1) / (x2 - x1) * 2 - 1
            y = ((grid_y + 1) * mask.shape[0] - 1) / 2
            x = ((grid_x + 1) * mask.shape[1] - 1) / 2
            values[i, j] = bilinear(mask, y, x)
    return values


def torchvision_values(mask, box, height, width):
    """torchvision: pad, expand and truncate the box, resize to its size + 1, copy what fits."""
    padded = np.pad(mask, 1)
    scale = padded.shape[0] / mask.shape[0]
    # The box is float32 there until it is truncated, which a reference must not change.
    y1, x1, y2, x2 = np.asarray(box, np.float32)
    half_h, half_w = (y2 - y1) * np.float32(0.5), (x2 - x1) * np.float32(0.5)
    center_y, center_x = (y2 + y1) * np.float32(0.5), (x2 + x1) * np.float32(0.5)
    half_h, half_w = half_h * np.float32(scale), half_w * np.float32(scale)
    top, left = int(center_y - half_h), int(center_x - half_w)
    bottom, right = int(center_y + half_h), int(center_x + half_w)
    h, w = max(bottom - top + 1, 1), max(right - left + 1, 1)
    values = np.zeros((height, width))
    for i in range(h):
        for j in range(w):
            if 0 <= top + i < height and 0 <= left + j < width:
                y = max(
                    (i + 0.5) * padded.shape[0] / h - 0.5, 0.0
                )  # torch clamps at the first cell
                x = max((j + 0.5) * padded.shape[1] / w - 0.5, 0.0)
                values[top + i, left + j] = bilinear(padded, y, x)
    return values


REFERENCES = {"aligned": aligned_values, "torchvision": torchvision_values}


def random_case(seed, count=6, height=40, width=56, side=28):
    """Smooth masks in boxes of all kinds: inside, across the border, outside, tiny, huge."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(size=(count, 4, 4))
    masks = np.clip(np.kron(coarse, np.ones((side // 4, side // 4))) * 1.2 - 0.1, 0, 1)
    masks = (masks + rng.uniform(size=masks.shape)) / 2
    center = rng.uniform([-10, -10], [height + 10, width + 10], size=(count, 2))
    size = np.exp(rng.uniform(np.log(0.4), np.log(90.0), size=(count, 2)))
    boxes = np.concatenate([center - size / 2, center + size / 2], axis=1)
    return masks.astype(np.float32), boxes.astype(np.float32), height, width


@pytest.mark.parametrize("rule", ["aligned", "torchvision"])
@pytest.mark.parametrize("seed", range(20))
def test_every_pixel_equals_the_plain_loop_but_for_ties(rule, seed):
    masks, boxes, height, width = random_case(seed)
    pasted = paste_masks(masks, boxes, height, width, rule=rule)
    values = np.stack([REFERENCES[rule](m, b, height, width) for m, b in zip(masks, boxes)])
    tie = np.abs(values - 0.5) < TIE
    assert tie.mean() < 1e-3
    assert np.sum((pasted != (values >= 0.5)) & ~tie) == 0


def test_the_random_cases_hold_on_and_off_pixels():
    on = [paste_masks(*random_case(seed)).any(axis=(1, 2)) for seed in range(20)]
    assert 0.3 < np.mean(on) < 0.95  # some boxes are outside, most are not


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("rule", ["aligned", "torchvision"])
def test_rle_decodes_to_the_pasted_bitmaps(rule, seed):
    masks, boxes, height, width = random_case(seed)
    rles = paste_to_rle(masks, boxes, height, width, rule=rule)
    pasted = paste_masks(masks, boxes, height, width, rule=rule)
    np.testing.assert_array_equal(rle_to_masks(rles, height, width), pasted)
    assert rles == masks_to_rle(pasted)  # and is the very string that pycocotools writes
    assert all(isinstance(rle["counts"], str) for rle in rles)


def test_a_half_on_mask_in_a_whole_pixel_box_fills_the_expected_pixels():
    # Left half on; the value falls from 1 to 0 over one cell, 2 pixels, about the middle x = 6.
    mask = np.zeros((1, 4, 4), np.float32)
    mask[:, :, :2] = 1.0
    pasted = paste_masks(mask, np.array([[1.0, 2.0, 9.0, 10.0]], np.float32), 12, 12)
    expected = np.zeros((12, 12), bool)
    expected[1:9, 2:6] = True
    np.testing.assert_array_equal(pasted[0], expected)


def test_exactly_the_threshold_is_on():
    # One mask cell a pixel: each pixel's value is its cell's.
    halves = np.full((1, 4, 4), 0.5, np.float32)
    halves[0, 0] -= 1e-3
    expected = np.zeros((8, 8), bool)
    expected[3:6, 1:5] = True
    box = np.array([[2, 1, 6, 5]], np.float32)
    np.testing.assert_array_equal(paste_masks(halves, box, 8, 8)[0], expected)


def test_under_one_half_pixels_beyond_the_box_are_on():
    # Cells of 4 pixels: the value falls from 0.5 at the box's edge to 0.375 and 0.125 beyond.
    ones, box = np.ones((1, 2, 2), np.float32), np.array([[4, 4, 12, 12]], np.float32)
    rows = np.flatnonzero(paste_masks(ones, box, 16, 16, threshold=0.2)[0, :, 8])
    np.testing.assert_array_equal(rows, np.arange(3, 13))


def test_the_torchvision_rule_keeps_the_legacy_plus_one():
    # M = 2: the box 4..8 is scaled by 2 to 2..10 and the padded mask [0, 1, 1, 0] resized to
    # 10 - 2 + 1 = 9 pixels: 0, .17, .61, 1, 1, 1, .61, .17, 0 on each axis from pixel 2 on. Their
    # products are at least 0.5 on 5 x 5 pixels but for the corners, .61 * .61 = .37.
    ones, box = np.ones((1, 2, 2), np.float32), np.array([[4, 4, 8, 8]], np.float32)
    expected = np.zeros((12, 12), bool)
    expected[4:9, 4:9] = True
    expected[[4, 4, 8, 8], [4, 8, 4, 8]] = False
    np.testing.assert_array_equal(paste_masks(ones, box, 12, 12, rule="torchvision")[0], expected)
    assert paste_masks(ones, box, 12, 12, rule="aligned").sum() == 16  # the box's 4 x 4


def test_a_box_outside_the_image_gives_an_empty_mask():
    boxes = np.array([[-30, -30, -10, -10], [50, 5, 60, 15], [5, 70, 9, 90]], np.float32)
    for rule in REFERENCES:
        assert not paste_masks(np.ones((3, 7, 7), np.float32), boxes, 40, 60, rule=rule).any()
        rles = paste_to_rle(np.ones((3, 7, 7), np.float32), boxes, 40, 60, rule=rule)
        assert [coco_mask.area(rle) for rle in rles] == [0, 0, 0]


def test_a_box_of_no_size_or_not_finite_is_empty_and_one_pixel_at_most_for_torchvision():
    boxes = np.array([[5, 5, 5, 9], [7, 7, 7, 7], [9, 3, 4, 8]], np.float32)
    ones = np.ones((3, 6, 6), np.float32)
    assert not paste_masks(ones, boxes, 20, 20).any()
    assert paste_masks(ones, boxes, 20, 20, rule="torchvision")[1].sum() == 1  # max(0 + 1, 1)
    broken = np.array([[np.nan, 0, 5, 5], [0, 0, np.inf, 5], [-np.inf, 0, 5, 5]], np.float32)
    with np.errstate(invalid="ignore"):
        for rule in REFERENCES:
            assert not paste_masks(ones, broken, 20, 20, rule=rule).any()


def test_no_detections_give_no_masks():
    none = np.zeros((0, 28, 28), np.float32), np.zeros((0, 4), np.float32)
    assert paste_masks(*none, 30, 40).shape == (0, 30, 40)
    assert paste_to_rle(*none, 30, 40) == []
    assert rle_to_masks([], 30, 40).shape == (0, 30, 40)


def test_a_mask_over_the_whole_image_is_one_run():
    # Runs of full columns meet at the image's last row and have to be joined.
    boxes = np.array([[-8.0, -8.0, 24.0, 30.0]], np.float32)
    rle = paste_to_rle(np.ones((1, 4, 4), np.float32), boxes, 16, 20)[0]
    assert rle == masks_to_rle(np.ones((1, 16, 20), bool))[0]


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.8])
def test_windows_hold_all_pixels_that_reach_the_threshold(threshold):
    # Under 0.5, pixels outside the box (up to half a mask cell) are on as well.
    masks, boxes, height, width = random_case(3)
    pasted = paste_masks(masks, boxes, height, width, threshold=threshold)
    for mask, box, got in zip(masks, boxes, pasted):
        values = aligned_values(mask, box, height, width)
        assert np.sum((got != (values >= threshold)) & (np.abs(values - threshold) > TIE)) == 0
    assert sum(w.bitmap.size for w in paste_windows(masks, boxes, height, width)) < pasted.size


@pytest.mark.parametrize(
    "change, message",
    [
        ({"rule": "detectron"}, "aligned.*torchvision.*'detectron'"),
        ({"threshold": 0.0}, "positive, found 0.0"),
        ({"boxes": np.zeros((3, 4), np.float32)}, r"\(2, 28, 28\) and \(3, 4\)"),
    ],
)
def test_wrong_arguments_are_refused_by_name(change, message):
    arguments = {"probabilities": np.zeros((2, 28, 28), np.float32), "boxes": np.zeros((2, 4))}
    with pytest.raises(ValueError, match=message):
        paste_masks(**{**arguments, **change}, height=10, width=10)


def test_matterports_rule_is_skimages_resize_to_the_rounded_box():
    golden = np.load(GOLDEN / "skimage.npz")
    boxes, masks = golden["boxes"], golden["masks"]
    expected = np.unpackbits(golden["pasted"])[: len(boxes) * 60 * 80].astype(bool)
    found = paste_masks(masks, boxes, 60, 80, rule="matterport")
    assert found.any() and (found != expected.reshape(found.shape)).sum() <= 2  # ties


def test_matterports_rule_fills_a_box_whose_mask_is_on_everywhere():
    # The aligned rule, with zeros around, rounds the corners off.
    ones, box = np.ones((1, 2, 2), np.float32), np.array([[3.4, 3.6, 7.5, 8.5]], np.float32)
    expected = np.zeros((12, 12), bool)
    expected[3:8, 4:8] = True  # 7.5 and 8.5 are both rounded to 8
    np.testing.assert_array_equal(paste_masks(ones, box, 12, 12, rule="matterport")[0], expected)


@pytest.mark.parametrize("seed", range(20))
def test_windows_of_rle_are_the_masks_and_as_small_as_can_be(seed):
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 30, 2)
    masks = rng.uniform(size=(6, height, width)) < rng.choice([0, 0.01, 0.1, 0.9, 1], (6, 1, 1))
    masks[0, rng.integers(height) :, rng.integers(width) :] = True  # runs up to the last row
    for mask, window in zip(masks, rle_windows(masks_to_rle(masks), height, width)):
        (top, left, bitmap), canvas = window, np.zeros_like(mask)
        canvas[top : top + bitmap.shape[0], left : left + bitmap.shape[1]] = bitmap
        np.testing.assert_array_equal(canvas, mask)
        sides = [int(np.ptp(np.flatnonzero(mask.any(axis=i)))) + 1 for i in (1, 0) if mask.any()]
        assert list(bitmap.shape) == (sides or [0, 0])


@pytest.mark.parametrize("size, counts", [([8, 9], "0"), ([9, 8], "0"), ([9, 8], "")])
def test_an_rle_that_does_not_fit_its_image_is_an_error(size, counts):
    with pytest.raises(ValueError, match="9x8"):
        list(rle_windows([{"size": size, "counts": counts}], 9, 8))
