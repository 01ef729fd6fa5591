"""`data/coco/lazy_entries.py`, `data/coco/surely_good.py`: the fast road agrees."""

import json
import random

import numpy as np
import pytest

from helpers.changed_entries import changed_entries
from tfmaskrcnn.data.coco import annotation_reader, records, surely_good
from tfmaskrcnn.data.coco.file import read_coco
from tfmaskrcnn.data.coco.lazy_entries import LazyEntries, read_coco_lazily
from tfmaskrcnn.data.coco.object_table import table_of
from tfmaskrcnn.data.coco.records import load_coco
from tfmaskrcnn.errors import InputError

SQUARE = [10, 10, 30.5, 10, 30.5, 25, 10, 25]
CROSSED = [0, 0, 8, 8, 8, 0, 0, 8]  # encloses nothing on the whole
RLE = {"size": [40, 60], "counts": [100, 20, 2280]}
# What an annotation may hold for a key; `...` takes the key away.
VALUES = {
    "id": [1.0, True, "3", None, 2**63, -(2**70), 2, ...],
    "image_id": [1.0, "1", 77, None, True, ...],
    "category_id": [1.0, "1", 77, None, 9, ...],
    "bbox": [
        [10, 10, 20.5, 15],
        [-5, -5, 20, 20],
        [55, 35, 20, 20],
        [1, 1, 0, 5],
        [1, 1, -3, 5],
        [1, 1, 1e-12, 5],
        [59.9999999, 1, 1e-7, 5],
        [70, 1, 5, 5],
        [-700, 1, 705, 5],
        [1e308, 1, 1e308, 5],
        [1, 2, 3],
        [1, 2, 3, "4"],
        [1, 2, 3, True],
        [1, 2, 3, 10**400],
        [1, 2, 3, float("inf")],
        [1, 2, 3, float("nan")],
        "box",
        None,
        ...,
    ],
    "segmentation": [
        [SQUARE, [1, 1, 9, 1, 1, 9]],
        [SQUARE, [1, 1]],
        [SQUARE, [1, 1, 9, 1, 1]],
        [[1, 1, 9, 1, 1, 9, 4]],
        [SQUARE, CROSSED],
        [CROSSED],
        [[5, 5, 5, 5, 5, 5]],
        [[1, 1, 1.001, 1, 1, 1.001]],
        [[-700, 1, 9, 1, 1, 9]],
        [[70, 1, 90, 1, 70, 9]],
        [[-9, 1, -1, 1, -9, 9], SQUARE],
        [[1e308, -1e308, 9, 1, 1, 9]],
        [[1, 1, 9, 1, 1, "9"]],
        [[1, 1, 9, 1, 1, False]],
        [[1, 1, 9, 1, 1, float("nan")]],
        [[0, 0, 60, 40] * 30_000],
        [[]],
        [],
        [5],
        SQUARE,
        RLE,
        {**RLE, "counts": "a"},
        "mask",
        None,
        ...,
    ],
    "iscrowd": [0, 1, 2, True, "0", 0.0, None, [], ...],
    "area": [3, 2.5, -1, True, "3", None, 10**400, float("inf"), ...],
    "attributes": [{"x": ["\ud800", {}]}],
}


def annotation(number):
    return {
        "id": number,
        "image_id": 1 + number % 2,
        "category_id": 2 + number % 3,
        "bbox": [10, 10, 20.5, 15],
        "segmentation": [SQUARE],
        "iscrowd": 0,
        "area": 307.5,
    }


@pytest.fixture
def both(tmp_path, monkeypatch):
    """A function that loads a set by the fast road and by the other: as texts.

    The fast one has to be the same from bytes and from values that Python has read.
    """
    for name in ("1.png", "2.png"):
        (tmp_path / name).write_bytes(b"")
    path = tmp_path / "set.json"
    images = [{"id": i, "file_name": f"{i}.png", "height": 40, "width": 60} for i in (1, 2)]
    categories = [{"id": i, "name": f"c{i}"} for i in (2, 3, 4)]
    monkeypatch.setattr(surely_good, "_TOGETHER", 3)

    def load(annotations, **options):
        content = {"images": images, "annotations": annotations, "categories": categories}
        path.write_text(annotations if isinstance(annotations, str) else json.dumps(content))
        found, clear = [], surely_good.clear_annotations
        for reader, road in ((read_coco_lazily, clear), (read_coco, clear), (read_coco, nothing)):
            monkeypatch.setattr(records, "read_coco_lazily", reader)
            monkeypatch.setattr(annotation_reader, "clear_annotations", road)
            try:
                found.append(as_text(load_coco(str(path), str(tmp_path), **options)))
            except InputError as error:
                found.append(str(error))
        assert found[0] == found[1]
        return found[1:]

    return load


def nothing(annotations, *_):
    """As `clear_annotations` where nothing is clear."""
    yield surely_good.Clear(len(annotations), table_of([]), np.zeros((0, 4)), np.zeros(0))


def as_text(data):
    """All that is in a data set, dtypes and bits included."""

    def plain(value):
        if isinstance(value, np.ndarray):
            return [value.dtype.str, value.shape, value.tobytes().hex()]
        if isinstance(value, (list, tuple)):
            return [plain(one) for one in value]
        return value

    return repr([plain(tuple(record)) for record in data.records] + [data.class_names])


@pytest.mark.parametrize("key", VALUES)
def test_every_value_reads_as_it_does_by_the_slow_road(both, key):
    for value in VALUES[key]:
        entries = [annotation(n) for n in range(1, 6)]
        entries[3][key] = value
        if value is ...:
            del entries[3][key]
        for options in ({}, {"skip_invalid": True}, {"masks": False}, {"classes": ["c2", "c4"]}):
            fast, slow = both(entries, **options)
            assert fast == slow, (key, value, options)


def test_several_changed_values_read_as_they_do_by_the_slow_road(both):
    draw = random.Random(5)
    for _ in range(150):
        entries = [annotation(n) for n in range(1, 9)]
        entries = changed_entries(draw, entries, VALUES, most=4)
        fast, slow = both(entries, skip_invalid=draw.random() < 0.7, masks=draw.random() < 0.7)
        assert fast == slow, entries


@pytest.mark.parametrize(
    "text",
    ["", "[", "{}", "[]", '{"images": {}}', '{"images": [], "annotations": [], "categories": 3}']
    + ["\ufeff{}", "[" * 100_000, '{"images": [1], "annotations": [NaN], "categories": []}'],
)
def test_other_files_are_refused_in_the_same_words(both, text):
    fast, slow = both(text)
    assert fast == slow


def test_the_fast_road_is_taken_by_what_is_usual(tmp_path):
    content = {"images": [], "categories": [], "annotations": [annotation(n) for n in range(7)]}
    content["annotations"][2]["segmentation"] = RLE
    (tmp_path / "set.json").write_text(json.dumps(content))
    entries = read_coco_lazily(str(tmp_path / "set.json"))["annotations"]
    assert isinstance(entries, LazyEntries)
    (clear,) = surely_good.clear_annotations(entries, {1: (40, 60), 2: (40, 60)})
    assert clear.looked_at == 7 and clear.table.positions.tolist() == [0, 1, 3, 4, 5, 6]


def test_an_entry_that_breaks_a_rule_of_json_is_told(tmp_path):
    path = tmp_path / "set.json"
    path.write_text('{"images": ["\\x"], "annotations": [], "categories": []}')
    with pytest.raises(InputError, match="set.json is not valid JSON"):
        list(read_coco_lazily(str(path))["images"])
