"""`evaluation/reporting/words.py`: how numbers are said."""

import pytest

from tfmaskrcnn.evaluation.analysis.bootstrap import NO_INTERVAL, Interval
from tfmaskrcnn.evaluation.reporting.words import between, many, number, percent


@pytest.mark.parametrize(
    "part, whole, text",
    [
        *((1, 2, "50 %"), (0, 5, "0 %"), (5, 5, "100 %"), (0, 0, "n/a"), (-1, 1, "n/a")),
        *((1, 1000, "under 1 %"), (999, 1000, "over 99 %"), (float("nan"), 1, "n/a")),
    ],
)
def test_shares_are_percent(part, whole, text):
    assert percent(part, whole) == text


def test_numbers_that_do_not_exist_are_not_shown():
    assert number(-1.0) == number(None) == number(float("nan")) == "n/a"
    assert number(0.0) == "0.000" and number(0.1256, 2) == "0.13"
    assert between(Interval(0.5, 0.25, 0.75)) == "0.250 to 0.750"
    assert between(NO_INTERVAL) == "n/a"
    assert many(1, "class", "classes") == "1 class" and many(1234, "object") == "1,234 objects"
