"""`data/coco/kept_sets.py`: what is kept of a file is what reading the file gives, or nothing."""

import json
import logging
import os
from pathlib import Path

import numpy as np
import pytest

from tfmaskrcnn.config.keypoints import KeypointHeadConfig
from tfmaskrcnn.data.coco import kept_sets, records
from tfmaskrcnn.data.coco.records import load_coco
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.support import cache_folder
from tfmaskrcnn.support.array_files import read_arrays
from tfmaskrcnn.support.files import save_arrays

SQUARE = [10, 10, 30.5, 10, 30.5, 25, 10, 25]
RLE = {"size": [40, 60], "counts": [100, 20, 2280]}


class Set:
    """A small set that is taken for a large one, and the cache."""

    def __init__(self, folder):
        self.json, self.images = folder / "set.json", folder / "images"
        self.images.mkdir()
        self.cache = folder / "home" / "sets"
        self.coco = {"images": [], "annotations": [], "categories": []}
        self.coco["categories"] = [{"id": i, "name": f"c{i}"} for i in (2, 5)]
        for i, name in enumerate(("b.png", "ä/a.png", "empty.png"), start=1):
            path = self.images / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"")
            self.coco["images"].append({"id": i, "file_name": name, "height": 40, "width": 60})
        for shape in ([SQUARE], [SQUARE, [1, 1, 9, 1, 1, 9]], RLE):
            self.add(segmentation=shape)

    def add(self, **fields):
        number = len(self.coco["annotations"])
        entry = {"id": 100 + number, "image_id": 1 + number % 2, "category_id": (2, 5)[number // 2]}
        self.coco["annotations"].append({**entry, "bbox": [10, 10, 20.5, 15], **fields})

    def load(self, **options):
        self.json.write_text(json.dumps(self.coco))
        return load_coco(str(self.json), str(self.images), **options)

    def kept(self):
        return sorted(os.listdir(self.cache)) if self.cache.exists() else []


@pytest.fixture
def large(tmp_path, monkeypatch):
    monkeypatch.setenv(cache_folder.HOME, str(tmp_path / "home"))
    monkeypatch.setattr(kept_sets, "LEAST", 10)
    return Set(tmp_path)


@pytest.fixture
def unread(monkeypatch):
    """Reading the JSON fails."""

    def start():
        monkeypatch.setattr(records, "read_coco_lazily", lambda path: pytest.fail("read again"))

    return start


def same(one, other):
    assert one[1:] == other[1:] and len(one.records) == len(other.records)
    for a, b in zip(one.records, other.records):
        assert list(map(type, a)) == list(map(type, b))
        for x, y in zip(flat(a), flat(b)):
            if isinstance(x, np.ndarray):
                assert x.dtype == y.dtype
                np.testing.assert_array_equal(x, y)
            else:
                assert x == y


def flat(value):
    if isinstance(value, (list, tuple)):
        return [len(value), *(leaf for one in value for leaf in flat(one))]
    return [value]


@pytest.mark.parametrize(
    "options", [{}, {"masks": False}, {"classes": ["c5"]}, {"classes": {"x": ["c5", "c2"]}}]
)
def test_what_is_kept_is_what_was_read(large, unread, options, caplog):
    caplog.set_level(logging.INFO)
    if options.get("masks") is False:
        large.add(category_id=2)
    read = large.load(**options)
    assert "kept for the next time in" in caplog.text and len(large.kept()) == 1
    told = caplog.text.count("have no object"), caplog.text.count("leaves out")
    unread()
    same(read, large.load(**options))
    assert "taken from what was read of it before" in caplog.text
    again = caplog.text.count("have no object"), caplog.text.count("leaves out")
    assert again == tuple(2 * count for count in told)


def test_small_files_and_sets_with_keypoints_are_not_kept(large, monkeypatch):
    large.coco["categories"][0].update(keypoints=["nose"], skeleton=[])
    large.coco["categories"][1].update(keypoints=["nose"], skeleton=[])
    large.load(keypoint_head=KeypointHeadConfig(enabled=True, num_keypoints=1, names=("nose",)))
    monkeypatch.setattr(kept_sets, "LEAST", 20_000_000)
    large.load()
    assert large.kept() == []


def test_another_file_or_other_rules_are_another_set(large):
    for options in ({}, {"masks": False}, {"classes": ["c2"]}, {"classes": ["c5"]}):
        large.load(**options)
    assert len(large.kept()) == 4
    large.coco["annotations"][0]["bbox"] = [11, 10, 19, 15]
    assert large.load().records[0].boxes[0].tolist() == [10, 11, 25, 30]
    assert len(large.kept()) == kept_sets.KEPT  # the oldest is gone


def test_a_set_with_faults_is_read_each_time(large, caplog):
    large.add(category_id=2, bbox=[1, 1, 0, 5], segmentation=[SQUARE])
    for count in (1, 2):
        large.load(skip_invalid=True)
        assert caplog.text.count("left out 1 wrong annotations") == count
    assert large.kept() == []


def test_an_image_that_is_gone_is_told_as_before(large):
    large.load()
    (large.images / "b.png").unlink()
    with pytest.raises(InputError, match="image 1: the file .*b.png does not exist"):
        large.load()


def test_images_may_lie_elsewhere(large, unread):
    large.load()
    moved = large.images.with_name("moved")
    large.images.rename(moved)
    large.images = moved
    unread()
    assert large.load().records[0].path == str(moved / "b.png")


def spoil(path, change):
    arrays = read_arrays(path)
    change(arrays)
    save_arrays(path, arrays)


@pytest.mark.parametrize(
    "how",
    [
        lambda path: os.truncate(path, 0),
        lambda path: os.truncate(path, 700),
        lambda path: Path(path).write_bytes(b"PK no archive"),
        lambda path: spoil(path, lambda a: a.update(heads=a["heads"][:-1])),
        lambda path: spoil(path, lambda a: a.update(points=a["points"][2:])),
        lambda path: spoil(path, lambda a: a.update(parts=a["parts"] + 1)),
        lambda path: spoil(path, lambda a: a.update(boxes=a["boxes"][1:])),
        lambda path: spoil(path, lambda a: a.update(about=np.frombuffer(b"[]", np.uint8))),
        lambda path: spoil(path, lambda a: a.pop("crowd")),
        lambda path: spoil(path, lambda a: a.update(image_ids=a["image_ids"] + 5)),
        lambda path: spoil(path, lambda a: a.update(sizes=a["sizes"][:, :1])),
    ],
)
def test_what_is_damaged_is_read_and_kept_anew(large, unread, how):
    read = large.load()
    (name,) = large.kept()
    how(str(large.cache / name))
    same(read, large.load())
    unread()
    same(read, large.load())


def test_a_cache_that_cannot_be_written_stops_nothing(large, caplog):
    large.cache.parent.mkdir()
    large.cache.write_text("a file")
    large.load()
    assert "The run goes on without it" in caplog.text
