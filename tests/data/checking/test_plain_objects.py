"""`data/checking/plain_objects.py`: nothing is odd about what it calls plain."""

import numpy as np
import pytest

from tfmaskrcnn.data.checking.object_checks import check_objects
from tfmaskrcnn.data.checking.plain_objects import plain_objects
from tfmaskrcnn.data.coco import surely_good
from tfmaskrcnn.data.coco.meaning import clear_segmentation
from tfmaskrcnn.data.coco.records import Record

HEIGHT, WIDTH = 300, 400
IMAGES = [{"id": 1, "height": HEIGHT, "width": WIDTH, "file_name": "1.png"}]
SQUARE = [10, 10, 30, 10, 30, 40, 10, 40]
GOOD = {"id": 7, "image_id": 1, "category_id": 1, "bbox": [10, 10, 20, 30], "area": 600}
GOOD["segmentation"] = [SQUARE]


def star(draw, number):
    """An object of the JSON around a random place; something about many of them is odd."""
    count = draw.integers(3, 30)
    angles = np.sort(draw.uniform(0, 2 * np.pi, count))
    if draw.random() < 0.2:
        draw.shuffle(angles)
    radii = draw.lognormal(3.3, 0.8) * draw.uniform(0.5, 1, count)
    points = np.stack([np.cos(angles), np.sin(angles)], axis=1) * radii[:, None]
    points = (points + draw.uniform(0, (WIDTH, HEIGHT))).round(2)
    if draw.random() < 0.8:
        points = points.clip(0, (WIDTH, HEIGHT))
    low, side = points.min(axis=0), np.ptp(points, axis=0)
    after = np.roll(points, -1, axis=0)
    area = abs(np.sum(points[:, 0] * after[:, 1] - points[:, 1] * after[:, 0])) / 2
    noise = draw.normal(0, draw.choice([0, 0.5, 3]), 4)
    box = (np.concatenate([low, side]) + noise).tolist()
    area = float(area * draw.choice([1, 0.93, 1.07, 1.2]))
    parts = [points.reshape(-1).tolist()]
    if draw.random() < 0.3:  # another within its box, which may be a hole
        inner = low + side * draw.uniform(0, 1, (draw.integers(3, 9), 2))
        parts.append(inner.round(2).reshape(-1).tolist())
    return {"id": number, "image_id": 1, "bbox": box, "area": area, "segmentation": parts}


def record_of(entries):
    x, y, w, h = np.array([e["bbox"] for e in entries]).T
    boxes = np.stack([y, x, y + h, x + w], axis=1).clip(0, [HEIGHT, WIDTH, HEIGHT, WIDTH])
    return Record(
        image_id=1,
        path="1.png",
        file_name="1.png",
        height=HEIGHT,
        width=WIDTH,
        boxes=boxes.astype(np.float32),
        classes=np.arange(1, len(entries) + 1, dtype=np.int32),  # none repeats another
        crowd=np.zeros(len(entries), bool),
        segmentations=[[np.float32(p) for p in e["segmentation"]] for e in entries],
        annotation_ids=[e["id"] for e in entries],
    )


@pytest.mark.parametrize("seed", range(20))
def test_nothing_is_odd_about_what_is_plain(seed, monkeypatch):
    monkeypatch.setattr(surely_good, "_TOGETHER", 17)
    draw = np.random.default_rng(seed)
    entries = [{**star(draw, n), "category_id": 1} for n in range(50)]
    plain, record = plain_objects(entries, IMAGES), record_of(entries)
    by_id = {e["id"]: e for e in entries}
    findings = check_objects(record, by_id)
    odd = {f.annotation_id for f in findings if f.rule != "area"}
    wrong = {f.annotation_id for f in findings if f.rule == "area"}
    assert not plain.shapes & odd and not plain.areas & wrong
    assert plain.areas <= plain.shapes and len(plain.shapes) >= 10
    assert {repr(f) for f in check_objects(record, by_id, plain)} == {repr(f) for f in findings}
    for number in plain.shapes:  # nothing to mend either
        shape, box = by_id[number]["segmentation"], by_id[number]["bbox"]
        assert clear_segmentation(shape, box, HEIGHT, WIDTH) is None


def test_parts_beside_each_other_are_plain_but_their_area_is_looked_at():
    parts = [[10, 10, 18, 10, 18, 40, 10, 40], [19, 10, 30, 10, 30, 40, 19, 40]]
    assert plain_objects([{**GOOD, "segmentation": parts}], IMAGES)[:2] == ({7}, set())
    rows = [{**IMAGES[0], "height": 2}]  # as many as a mask of zeros and ones would have
    assert plain_objects([{**GOOD, "segmentation": parts}], rows)[:2] == (set(), set())


def test_a_square_is_plain_with_or_without_an_area():
    for area in (600, 605, None, ...):
        entry = {**GOOD, "area": area}
        if area is ...:
            del entry["area"]
        assert plain_objects([entry], IMAGES)[:2] == ({7}, {7})
    assert plain_objects([{**GOOD, "area": 800}], IMAGES)[:2] == ({7}, set())


@pytest.mark.parametrize(
    "change",
    [
        {"segmentation": [SQUARE, [15, 15, 20, 15, 20, 20]]},  # a hole
        {"segmentation": [SQUARE] * 17},
        {"segmentation": [SQUARE, [10, 10]]},
        {"segmentation": [[10, 10, 30, 40, 30, 10, 10, 40]]},  # crosses itself
        {"segmentation": [SQUARE[:6] + ["10", 40]]},
        {"segmentation": [SQUARE[:4]]},
        {"segmentation": [SQUARE + [4]]},
        {"segmentation": [[np.nan, *SQUARE[1:]]]},
        {"segmentation": [[1e308, *SQUARE[1:]]]},
        {"segmentation": [[-3, *SQUARE[1:]]]},
        {"segmentation": [SQUARE * 50]},  # more points than are compared here
        {"segmentation": SQUARE},
        {"segmentation": {"size": [300, 400], "counts": "a"}},
        {"segmentation": None},
        {"bbox": [10, 10, 30, 40]},  # corners
        {"bbox": ["10", 10, 20, 30]},
        {"bbox": [10, 10, np.inf, 30]},
        {"bbox": None},
        {"bbox": [0.1, 0.1, 0.2, 0.2], "segmentation": [[0.1, 0.1, 0.3, 0.1, 0.3, 0.3]]},
        {"iscrowd": 1},
        {"iscrowd": "0"},
        {"id": 7.0},
        {"id": 2**70},
        {"id": True},
        {"image_id": 3},
        {"image_id": "1"},
        {"area": "600"},
    ],
)
def test_what_is_not_clear_is_not_plain(change):
    assert plain_objects([{**GOOD, **change}], IMAGES)[:2] == (set(), set())


@pytest.mark.parametrize("entry", [None, 5, [], {}, {"id": 1}])
def test_entries_of_any_kind_are_none(entry):
    assert plain_objects([entry, GOOD], IMAGES).shapes == {7}
    assert plain_objects([GOOD], [entry, *IMAGES]).shapes == {7}
    assert plain_objects([GOOD], [{**IMAGES[0], "height": "300"}]).shapes == set()
