"""`data/importers/fields.py`: what is a number, and what a message may hold."""

import math

import pytest

from tfmaskrcnn.data.importers.fields import fault_of_name, grouped, number, shown, whole


@pytest.mark.parametrize("value", [5, 5.0, "5", " 5.0 ", "5e0"])
def test_numbers_may_be_texts(value):
    assert number(value, "x") == 5 and whole(value, "x") == 5


@pytest.mark.parametrize(
    "value", [None, True, "", "a", "nan", math.inf, math.nan, [5], {}, 10**400, "9" * 9999]
)
def test_what_is_no_finite_number_is_named(value):
    with pytest.raises(ValueError, match="^x is .*, wanted a finite number$") as caught:
        number(value, "x")
    assert len(str(caught.value)) < 120


@pytest.mark.parametrize("value", ["50.5", 1e300, -(2**40)])
def test_what_counts_pixels_is_whole_and_not_huge(value):
    with pytest.raises(ValueError, match="wanted a whole number"):
        whole(value, "x")


def test_a_message_holds_short_printable_texts():
    assert shown("blatt 1é.png") == "blatt 1é.png"
    assert shown("a" * 500) == "a" * 97 + "..."
    assert shown("a\nb\x1b\ud800") == "a\\x0ab\\x1b\\ud800"
    assert shown(["a"]) == "['a']"


def test_names_have_no_control_characters_halves_of_pairs_or_great_length():
    assert fault_of_name("Blatt, grün 🌿") is None
    for name in ("a\x07", "a\nb", "\ud800", "a" * 201, " "):
        assert fault_of_name(name)


def test_groups_of_any_kind_are_keys():
    assert grouped(None) is None and grouped("") is None and grouped(0) == 0
    assert {grouped([1]), grouped({"a": []}), grouped("a"), grouped(1.5)}
