"""`results/measuring.py`: the rows of a picture."""

import json

import numpy as np

from tfmaskrcnn.instances import Instances
from tfmaskrcnn.results.image_result import ImageResult
from tfmaskrcnn.results.measuring import measured
from tfmaskrcnn.support.pixel_size import PixelSize


def two_squares(**changes):
    """Squares of 4 and 6 pixels, whose probabilities fill their boxes."""
    values = {
        "boxes": [[2, 3, 6, 7], [10, 20, 16, 26]],
        "scores": [0.9, 0.5],
        "classes": [2, 1],
        "size": (30, 40),
        "mask_probabilities": np.ones((2, 14, 14)),
        "class_names": ("cell", "=debris"),
        **changes,
    }
    return Instances(**values)


def test_a_row_holds_the_picture_the_object_and_its_measures_in_pixels_and_units():
    image = np.zeros((30, 40, 2), np.uint8)
    image[2:6, 3:7, 1] = 50
    result = ImageResult(7, "a/b.png", "a/b", two_squares(ids=[12, 4]), image=image)
    first, second = measured(result, PixelSize(0.5, "um"))
    assert list(first)[:10] == [
        *("picture", "image_id", "id", "class", "score", "x1", "y1", "x2", "y2", "area"),
    ]
    assert (first["picture"], first["image_id"], first["id"]) == ("a/b.png", 7, 12)
    assert (first["class"], second["class"]) == ("=debris", "cell")
    assert [first[k] for k in ("x1", "y1", "x2", "y2")] == [3, 2, 7, 6]
    assert (first["area"], second["area"]) == (16, 36)
    assert (first["area_um2"], second["area_um2"]) == (4.0, 9.0)
    assert (first["centroid_x"], first["centroid_y"], first["centroid_x_um"]) == (5, 4, 2.5)
    assert (first["mean_channel_1"], first["mean_channel_2"]) == (0, 50)
    assert measured(result, "0.5um") == [first, second]
    assert list(first) == list(second)
    assert json.loads(json.dumps([first, second])) == [first, second]


def test_boxes_alone_and_nothing_found_have_rows_too():
    boxes = ImageResult(1, "a", "a", two_squares(mask_probabilities=None))
    assert list(measured(boxes)[1]) == [
        *("picture", "image_id", "id", "class", "score", "x1", "y1", "x2", "y2"),
    ]
    nothing = ImageResult(1, "a", "a", two_squares()[[]], image=np.zeros((30, 40, 3), np.uint8))
    assert measured(nothing, PixelSize(1, "mm")) == []
