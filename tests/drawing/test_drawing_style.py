"""`drawing/drawing_style.py`: sizes of pictures, and values that cannot be drawn."""

import math

import pytest

from tfmaskrcnn.drawing.drawing_style import (
    MAX_PIXELS,
    DrawingStyle,
    checked_style,
    picture_size,
)
from tfmaskrcnn.errors import InputError


@pytest.mark.parametrize(
    "size, side, expected",
    [
        ((256, 300), None, (256, 300)),
        ((5000, 10000), None, (5000, 10000)),
        ((256, 512), 1024, (512, 1024)),
        ((3000, 10), 300, (300, 1)),
        ((9000, 1), 90, (90, 1)),
        ((12000, 12000), 12000, (12000, 12000)),
    ],
)
def test_a_picture_is_as_large_as_the_image_or_as_is_asked_for(size, side, expected):
    assert picture_size(size, DrawingStyle(side=side)) == expected


def test_too_large_pictures_are_reduced_below_the_limit():
    for size in ((10000, 10000), (5000, 10001), (100, 10_000_000), (12345, 54321)):
        height, width = picture_size(size, DrawingStyle())
        assert 0.97 * MAX_PIXELS < height * width <= MAX_PIXELS
        assert math.isclose(height / width, size[0] / size[1], rel_tol=0.05)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"look": "comic"}, "look of a picture is 'comic', wanted overlay, splash"),
        ({"color_by": "score"}, "color_by of a picture is 'score', wanted auto, class, object"),
        ({"line_width": 0}, "line width is 0 pixels, wanted above 0 to 200"),
        ({"line_width": float("nan")}, "line width is nan pixels"),
        ({"side": 0}, "side of the pictures is 0 pixels, wanted 1 to 30000"),
        ({"side": 10**9}, "side of the pictures is 1000000000"),
    ],
)
def test_what_cannot_be_drawn_is_told(changes, message):
    with pytest.raises(InputError, match=message):
        checked_style(DrawingStyle(**changes))


def test_a_style_of_defaults_is_fine():
    assert checked_style(DrawingStyle()) == DrawingStyle()
