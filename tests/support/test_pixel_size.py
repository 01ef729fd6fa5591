"""`support/pixel_size.py`: lengths as people write them."""

import pytest

from tfmaskrcnn.errors import InputError
from tfmaskrcnn.support.pixel_size import PixelSize, read_pixel_size


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("0.32um", (0.32, "um")),
        (" 0.32 µm ", (0.32, "um")),
        ("0.32μm", (0.32, "um")),
        ("2micron", (2.0, "um")),
        ("1e-3mm", (0.001, "mm")),
        ("5E2 nm", (500.0, "nm")),
        (".5m", (0.5, "m")),
        ("30inches", (30.0, "in")),
        ((0.5, "mm"), (0.5, "mm")),
        (PixelSize(3, "cm"), (3.0, "cm")),
    ],
)
def test_a_number_and_a_unit_are_read(given, wanted):
    assert read_pixel_size(given) == wanted


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("0.32", "has no unit"),
        ("um", "such as 0.32um"),
        ("", "such as 0.32um"),
        ("0,32um", "with a point"),
        ("0um", "above 0"),
        ("-1um", "above 0"),
        ("nan um", "such as 0.32um"),
        ("1_0um", "such as 0.32um"),
        ("1e999um", "above 0"),
        ("3px", "units are nm, um"),
        ("3um2", "such as 0.32um"),
        ("1 2 um", "such as 0.32um"),
        (None, "such as 0.32um"),
        (0.32, "such as 0.32um"),
        ((None, "um"), "such as 0.32um"),
        ((float("nan"), "um"), "above 0"),
    ],
)
def test_what_is_no_length_is_refused_in_a_sentence(given, message):
    with pytest.raises(InputError, match=message):
        read_pixel_size(given)


def test_it_is_told_as_it_is_read():
    assert read_pixel_size(str(read_pixel_size("0.32um"))) == (0.32, "um")
