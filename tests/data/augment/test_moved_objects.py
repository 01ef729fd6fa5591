"""`data/augment/moved_objects.py`: which objects are kept, and their boxes and masks."""

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from tfmaskrcnn.data.augment.moved_objects import padded_instances
from tfmaskrcnn.data.coco.records import Record
from tfmaskrcnn.data.coco.segmentation import decode
from tfmaskrcnn.errors import InputError

IDENTITY = np.float32([[1, 0, 0], [0, 1, 0]])


def square(y, x, side):
    """Flat xy polygon of a square."""
    return np.float32([x, y, x + side, y, x + side, y + side, x, y + side])


def record(squares, crowd=(), rle=()):
    """A 100 x 100 image with (y, x, side) squares of classes 1, 2, ...; some of them as RLE."""
    segmentations = [[square(*s)] for s in squares]
    for i in rle:
        y, x, side = squares[i]
        mask = np.zeros((100, 100), np.uint8, order="F")
        mask[y : y + side, x : x + side] = 1
        segmentations[i] = coco_mask.encode(mask)
    boxes = np.float32([[y, x, y + side, x + side] for y, x, side in squares]).reshape(-1, 4)
    return Record(
        image_id=4,
        path="",
        file_name="four.png",
        height=100,
        width=100,
        boxes=boxes,
        classes=np.arange(1, len(squares) + 1, dtype=np.int32),
        crowd=np.isin(np.arange(len(squares)), crowd),
        segmentations=segmentations,
        annotation_ids=[40 + i for i in range(len(squares))],
    )


def padded(found, window=(100, 100), matrix=IDENTITY, order=None, rows=5, min_visible=0.1):
    order = np.arange(len(found.classes)) if order is None else np.array(order)
    return padded_instances(found, matrix, window, order, rows, min_visible)


def shifted(y, x):
    return np.float32([[1, 0, -y], [0, 1, -x]])


def test_whole_objects_keep_their_boxes_and_padding_is_zero():
    out = padded(record([(10, 20, 30), (50, 50, 40)], crowd=[1], rle=[1]))
    np.testing.assert_array_equal(out["boxes"][:2], [[10, 20, 40, 50], [50, 50, 90, 90]])
    np.testing.assert_array_equal(out["classes"], [1, 2, 0, 0, 0])
    np.testing.assert_array_equal(out["valid"], [1, 1, 0, 0, 0])
    np.testing.assert_array_equal(out["crowd"], [0, 1, 0, 0, 0])
    # Bilinear sampling rounds the corners of an RLE, by less than a thousandth of the area.
    np.testing.assert_allclose(out["masks"].mean(axis=(1, 2)), [1, 1, 0, 0, 0], atol=1e-3)
    dtypes = {name: array.dtype.name for name, array in out.items()}
    assert dtypes == {
        "boxes": "float32",
        "classes": "int32",
        "masks": "uint8",
        "valid": "bool",
        "crowd": "bool",
        "index": "int32",
    }


def test_an_image_without_objects_is_all_padding():
    out = padded(record([]))
    assert not any(array.any() for array in out.values())
    assert out["masks"].shape == (5, 112, 112)


@pytest.mark.parametrize("rle", [(), (0, 1)])
def test_a_cut_object_gets_the_tight_box_of_its_visible_part(rle):
    out = padded(record([(10, 20, 40), (70, 70, 10)], rle=rle), (50, 40), shifted(20, 40))
    np.testing.assert_allclose(out["boxes"][0], [0, 0, 30, 20], atol=1e-4)
    np.testing.assert_array_equal(out["valid"], [1, 0, 0, 0, 0])  # the other one is outside
    assert out["masks"][0].mean() > 0.999


@pytest.mark.parametrize("rle", [(), (0,)])
def test_an_object_is_left_out_below_min_visible_unless_it_is_a_crowd(rle):
    # 4 of 20 rows are visible: a share of 0.2.
    for crowd, min_visible, kept in (((), 0.19, 1), ((), 0.21, 0), ((0,), 0.21, 1)):
        found = record([(10, 10, 20)], crowd=crowd, rle=rle)
        out = padded(found, (60, 60), shifted(26, 0), min_visible=min_visible)
        assert out["valid"].sum() == kept


def test_a_thin_remainder_is_left_out_whatever_min_visible():
    out = padded(record([(10, 10, 20)]), (60, 60), shifted(29.7, 0), min_visible=0.0)
    assert not out["valid"].any()


def test_of_too_many_objects_the_first_of_the_order_are_kept_in_the_files_order():
    found = record([(i * 10, i * 10, 8) for i in range(9)])
    out = padded(found, order=[7, 2, 5, 0, 1, 3, 4, 6, 8], rows=3)
    np.testing.assert_array_equal(out["classes"], [3, 6, 8])
    out = padded(found, (40, 40), shifted(20, 20), order=[7, 2, 5, 0, 1, 3, 4, 6, 8], rows=3)
    np.testing.assert_array_equal(out["classes"], [3, 4, 6])  # what is invisible takes no row


def test_rounding_of_the_matrix_does_not_cut_an_object_at_the_edge():
    # The box is larger than the polygon on purpose: cutting would shrink it to the polygon.
    found = record([(0, 0, 100)])
    found.segmentations[0] = [square(10, 10, 80)]
    scale = np.float32(1.0001)
    out = padded(found, (100, 100), IDENTITY * scale * np.float32(0.99995))
    np.testing.assert_allclose(out["boxes"][0], [0, 0, 100, 100], atol=0.01)
    assert out["boxes"].max() <= 100


def test_an_rle_that_cannot_be_decoded_is_named():
    found = record([(10, 20, 30)])
    found.segmentations[0] = {"size": [10, 10], "counts": [100]}
    with pytest.raises(
        InputError, match=r"annotation 40 of image 4 \(four.png\): the 'size' of its RLE"
    ):
        padded(found)
    with pytest.raises(InputError, match="annotation 40 of image 4"):
        padded(found, (20, 30), shifted(20, 20))


def test_an_object_of_a_box_alone_is_cut_as_its_box_is():
    found = record([(10, 20, 30), (70, 70, 30), (0, 90, 10)])
    found = found._replace(segmentations=[None] * 3)
    order = np.arange(3)
    out = padded_instances(found, shifted(20, 30), (60, 50), order, 5, 0.1, masks=False)
    assert "masks" not in out
    np.testing.assert_allclose(out["boxes"][:2], [[0, 0, 20, 20], [50, 40, 60, 50]], atol=1e-4)
    np.testing.assert_array_equal(out["classes"], [1, 2, 0, 0, 0])  # the third is outside
    # A ninth of the second box is visible.
    out = padded_instances(found, shifted(20, 30), (60, 50), order, 5, 0.2, masks=False)
    np.testing.assert_array_equal(out["classes"], [1, 0, 0, 0, 0])


def turned(degrees):
    """A rotation about the centre of the 100 x 100 image."""
    a = np.deg2rad(degrees)
    linear = np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]])
    center = np.array([50, 50])
    return np.concatenate([linear, (center - linear @ center)[:, None]], axis=1).astype(np.float32)


@pytest.mark.parametrize("rle", [(), (0,)])
def test_a_turned_object_has_the_tight_box_of_its_outline(rle):
    # A diamond inside its box: turned by 45 degrees it is smaller than it was, its box would grow.
    found = record([(30, 30, 40)], rle=rle)
    diamond = np.float32([50, 30, 70, 50, 50, 70, 30, 50])
    found.segmentations[0] = [diamond]
    if rle:
        mask = decode([diamond], 100, 100)
        found.segmentations[0] = coco_mask.encode(np.asfortranarray(mask, np.uint8))
    out = padded(found, matrix=turned(45))
    half = 20 * np.sqrt(0.5)
    expected = [50 - half, 50 - half, 50 + half, 50 + half]
    np.testing.assert_allclose(out["boxes"][0], expected, atol=0.7)
    assert out["masks"][0].mean() > 0.93


def test_an_object_of_a_box_alone_gets_the_bounds_of_its_turned_box():
    found = record([(30, 30, 40)])._replace(segmentations=[None])
    out = padded_instances(found, turned(45), (100, 100), np.arange(1), 5, 0.1, masks=False)
    half = 40 * np.sqrt(0.5)
    expected = [50 - half, 50 - half, 50 + half, 50 + half]
    np.testing.assert_allclose(out["boxes"][0], expected, atol=1e-3)


def test_a_hidden_part_is_taken_from_mask_and_box():
    found = record([(10, 20, 40), (70, 70, 10)])
    hidden = np.zeros((100, 100), bool)
    hidden[:, 40:60] = True  # the right half of the first
    order, size = np.arange(2), (100, 100)
    out = padded_instances(found, IDENTITY, size, order, 5, 0.1, hidden=hidden)
    np.testing.assert_allclose(out["boxes"][:2], [[10, 20, 50, 40], [70, 70, 80, 80]], atol=0.4)
    assert out["masks"][0].mean() > 0.98
    hidden[:30] = True  # and its upper half: a corner is left
    out = padded_instances(found, IDENTITY, size, order, 5, 0.1, hidden=hidden)
    np.testing.assert_allclose(out["boxes"][0], [30, 20, 50, 40], atol=0.4)
    hidden[:] = False
    hidden[20:40, 30:50] = True  # a hole alone
    out = padded_instances(found, IDENTITY, size, order, 5, 0.1, hidden=hidden)
    np.testing.assert_allclose(out["boxes"][0], [10, 20, 50, 60], atol=1e-4)
    assert out["masks"][0].mean() == pytest.approx(0.75, abs=0.01)


def test_an_object_of_which_too_little_is_left_goes_and_a_crowd_stays():
    hidden = np.zeros((100, 100), bool)
    hidden[10:47] = True  # leaves 3 of 40 rows of the first two, 7 hundredths
    objects = record([(10, 20, 40), (10, 30, 40), (12, 5, 10)], crowd=[1])
    for min_visible, kept in ((0.1, [2]), (0.05, [1, 2])):
        found = padded_instances(
            objects, IDENTITY, (100, 100), np.arange(3), 5, min_visible, hidden=hidden
        )
        assert found["classes"][found["valid"]].tolist() == kept
