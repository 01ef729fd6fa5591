"""`drawing/notebook.py`: what a notebook shows of `Instances`."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from tfmaskrcnn.instances import Instances


def some(count, size=(100, 200), **changes):
    boxes = [[10 + 2 * i, 20, 40 + 2 * i, 90] for i in range(count)]
    values = {"scores": np.linspace(0.9, 0.5, count), "classes": [1] * count, "size": size}
    values["mask_probabilities"] = np.ones((count, 28, 28))
    return Instances(**{"boxes": np.reshape(boxes, (-1, 4)), **values, **changes})


def picture_of(text):
    (encoded,) = re.findall('src="data:image/png;base64,([^"]*)"', text)
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded))))


def test_a_notebook_shows_a_picture_and_the_first_rows():
    found = some(12, ids=np.arange(101, 113), class_names=("a < b",))
    text = found._repr_html_()
    assert "12 Instances in 100x200" in text and "... and 2 more" in text
    assert text.count("<tr>") == 11 and "<td>110</td>" in text and "<td>111</td>" not in text
    assert "a &lt; b" in text and "a < b" not in text
    picture = picture_of(text)
    assert picture.shape == (160, 320, 3)
    assert np.ptp(picture[40, 80].astype(int)) > 20 and np.ptp(picture[150, 300]) == 0
    with Image.open(io.BytesIO(found._repr_png_())) as image:
        assert image.format == "PNG" and image.size == (320, 160)


@pytest.mark.parametrize(
    "found",
    [
        some(0, mask_probabilities=None),
        some(3, mask_probabilities=None),
        some(2, size=(30_000, 40_000)),
        some(1, size=(1, 1)),
    ],
    ids=["none", "boxes", "large", "tiny"],
)
def test_nothing_boxes_alone_and_any_size_are_shown(found):
    text = found._repr_html_()
    assert text.count("<tr>") == (len(found) + 1 if len(found) else 0)
    assert max(picture_of(text).shape) in (320, 640)
