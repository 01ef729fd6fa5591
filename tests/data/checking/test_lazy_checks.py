"""A set that is read lazily is checked as one of which all is parsed."""

import json
import random

import pytest
from PIL import Image

from helpers.changed_entries import changed_entries
from tfmaskrcnn.config.run import Config
from tfmaskrcnn.data.checking import clearing
from tfmaskrcnn.data.checking.checker import examined
from tfmaskrcnn.data.checking.clearing import read_lists
from tfmaskrcnn.data.coco import surely_good
from tfmaskrcnn.data.coco.file import read_coco
from tfmaskrcnn.data.coco.lazy_entries import LazyEntries
from tfmaskrcnn.data.coco.surely_good import LookedThrough, clear_annotations
from tfmaskrcnn.errors import InputError

SQUARE = [10, 10, 30, 10, 30, 25, 10, 25]
# What an annotation may hold for a key; `...` takes the key away.
VALUES = {
    "id": [1.0, "3", None, 2**63, 2, "x", True, ...],
    "image_id": ["1", 77, "1.png", None, 2.0, ...],
    "category_id": ["2", 77, "c2", None, 2**70, ...],
    "bbox": [[10, 10, 30, 25], "[10, 10, 20, 15]", [-2, 10, 20, 15], [1, 1, 0, 5], [1], None, ...],
    "segmentation": [
        SQUARE,
        [SQUARE, [12, 12, 20, 12, 20, 20]],
        [[10, 10, 30, 25, 30, 10, 10, 25]],
        [[10, 10], SQUARE],
        [[10, 10, 90, 10, 90, 25]],
        [[1, 1, 9, 1, 1, 1e30]],
        {"size": [40, 60], "counts": [100, 20, 2280]},
        {"size": [60, 40], "counts": [100, 20, 2280]},
        [],
        None,
    ],
    "iscrowd": [1, "0", None, 2],
    "area": [3, None, "3", 2.5, ...],
}


def annotation(number):
    x = 2.0 * (number // 3)
    return {
        "id": number,
        "image_id": 1 + number % 2,
        "category_id": 2 + number % 3,
        "bbox": [10 + x, 10, 20, 15],
        "segmentation": [[v + x * (n % 2 == 0) for n, v in enumerate(SQUARE)]],
        "area": 300,
    }


@pytest.fixture
def both(tmp_path, monkeypatch):
    """A function that looks at a set both ways: what is found, changed and left."""
    for name in ("1.png", "2.png"):
        Image.new("RGB", (60, 40)).save(tmp_path / name)
    path = tmp_path / "set.json"
    categories = [{"id": i, "name": f"c{i}"} for i in (2, 3, 4)]
    monkeypatch.setattr(surely_good, "_TOGETHER", 3)

    def look(annotations, size=(40, 60)):
        sizes = dict(zip(("height", "width"), size))
        images = [{"id": i, "file_name": f"{i}.png", **sizes} for i in (1, 2)]
        content = {"images": images, "annotations": annotations, "categories": categories}
        path.write_text(json.dumps(content))
        lazily, found = clearing.read_coco_lazily, []
        for reader in (lazily, read_coco):
            monkeypatch.setattr(clearing, "read_coco_lazily", reader)
            raw = read_lists(str(path)).raw
            assert isinstance(raw["annotations"], LazyEntries) == (reader is lazily)
            try:
                seen = examined(raw, str(path), str(tmp_path), Config())
                left = {**seen.raw, "annotations": list(seen.raw["annotations"])}
                found.append((repr(seen.findings), seen.changes, repr(left)))
            except InputError as error:
                found.append(str(error))
        monkeypatch.setattr(clearing, "read_coco_lazily", lazily)
        return found

    return look


@pytest.mark.parametrize("key", VALUES)
def test_every_value_is_judged_alike(both, key):
    for value in VALUES[key]:
        entries = [annotation(n) for n in range(1, 9)]
        entries[4][key] = value
        if value is ...:
            del entries[4][key]
        lazily, parsed = both(entries)
        assert lazily == parsed, (key, value)


def test_several_values_are_judged_alike(both):
    draw = random.Random(3)
    for _ in range(60):
        entries = [annotation(n) for n in range(1, 12)]
        entries = changed_entries(draw, entries, VALUES, most=5)
        lazily, parsed = both(entries, draw.choice([(40, 60), (60, 40), (41, 60), ("40", 60)]))
        assert lazily == parsed, entries


def test_what_is_known_holds_for_the_sizes_it_was_found_by(tmp_path):
    content = {"images": [], "categories": [], "annotations": [annotation(n) for n in range(6)]}
    (tmp_path / "set.json").write_text(json.dumps(content))
    entries = clearing.read_coco_lazily(str(tmp_path / "set.json"))["annotations"]
    known = LookedThrough(entries, {1: (40, 60), 2: (40, 60)})

    def positions(some, sizes):
        found = [one.table.positions.tolist() for one in clear_annotations(some, sizes)]
        return [n for places in found for n in places]

    assert positions(known, {1: (40, 60), 2: (40, 60), 3: (5, 5)}) == [0, 1, 2, 3, 4, 5]
    assert positions(known, {1: (40, 60)}) == [0, 2, 4]
    assert positions(known, {1: (40, 60), 2: (60, 40)}) == [0, 2, 4]
    changed = known.with_changes({2: {"id": 2}})
    assert positions(changed, {1: (40, 60), 2: (40, 60)}) == [0, 1, 3, 4, 5]
    assert list(changed)[2] == changed[2] == {"id": 2} and len(list(changed)) == 6
    assert known[2] == annotation(2) and list(known)[2] == annotation(2)
