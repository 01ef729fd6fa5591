"""`data/splitting/units.py`: what hangs together."""

import numpy as np
import pytest

from tfmaskrcnn.data.splitting.units import grouping, same_of, united
from tfmaskrcnn.errors import InputError

IMAGES = [
    {"id": 1, "file_name": "a/p1_01.png", "patient": "p1", "age": 40},
    {"id": 2, "file_name": "a/p2_01.png", "patient": "p2"},
    {"id": 3, "file_name": "b/p1_02.png", "patient": "p1", "age": None},
    {"id": 4, "file_name": "b\\x.png", "patient": 7, "age": 40},
]


@pytest.mark.parametrize(
    "way, groups",
    [
        ("patient", ['"p1"', '"p2"', '"p1"', "7"]),
        ("age", ["40", None, None, "40"]),
        ("folder", ["a", "a", "b", "b"]),
        ("file:p[0-9]", ["p1", "p2", "p1", None]),
        ("file:^(.)[/\\\\]", ["a", "a", "b", "b"]),
    ],
)
def test_groups_are_of_a_key_a_folder_or_a_part_of_the_name(way, groups):
    assert grouping(IMAGES, way).groups == groups


@pytest.mark.parametrize(
    "way, message",
    [
        ("patent", r"no image has this key; did you mean 'patient'\? They have id, file_name, pat"),
        ("file:(", "is no regular expression"),
        ("file:zzz", "no image has such a group, not even 'a/p1_01.png'"),
        ("file:png", "all 4 images are of one group, 'png'"),
    ],
)
def test_what_groups_nothing_is_told(way, message):
    with pytest.raises(InputError, match=message):
        grouping(IMAGES, way)


def test_what_is_called_as_a_way_is_a_key_all_the_same():
    assert grouping([{"folder": 1}, {"folder": 2}], "folder").groups == ["1", "2"]


@pytest.mark.parametrize("seed", range(20))
def test_united_are_the_parts_of_a_graph(seed):
    rng = np.random.default_rng(seed)
    edges = rng.integers(12, size=(6, 2))
    reach = np.eye(12, dtype=bool)
    reach[edges[:, 0], edges[:, 1]] = reach[edges[:, 1], edges[:, 0]] = True
    for _ in range(4):
        reach = (reach.astype(int) @ reach) > 0
    found = united(12, edges.tolist())
    assert sorted(i for unit in found for i in unit) == list(range(12))
    for unit in found:
        assert set(unit) == set(np.flatnonzero(reach[unit[0]]))
    assert united(0, []) == [] and united(2, []) == [[0], [1]]


def test_equal_keys_are_the_same_and_nothing_is_not():
    assert same_of(["a", None, "b", "a", None]) == [[0, 3], [2]]
