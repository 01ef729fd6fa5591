"""`results/coco_set.py`: pycocotools, the reader of training sets and check-data take it."""

import json

import numpy as np
import pytest
from pycocotools.coco import COCO

from helpers.found_shapes import (
    NAMES,
    OPTIONS,
    assert_same_objects,
    found_of,
    read_back,
    results,
    trains,
)
from tfmaskrcnn.data.checking.checker import check
from tfmaskrcnn.instances import Instances
from tfmaskrcnn.results.coco_set import write


def saved(folder, made):
    write(iter(made), str(folder), OPTIONS)
    return json.loads((folder / "coco.json").read_text())


def test_objects_and_numbers_come_back(tmp_path):
    made = results(tmp_path)
    coco = saved(tmp_path, made)
    assert_same_objects(coco, made, exact=(1, 3))
    assert [(c["id"], c["name"]) for c in coco["categories"]] == list(zip((7, 3), NAMES))
    assert [image["id"] for image in coco["images"]] == [10, 11, 12]
    assert [a["id"] for a in coco["annotations"]] == list(range(1, 13))
    assert [a["score"] for a in coco["annotations"][:6]] == [0.9, 0.82, 0.74, 0.66, 0.58, 0.5]
    assert [a["object"] for a in coco["annotations"]] == [1, 2, 3, 4, 5, 6] * 2
    for (_, mask), entry in zip(read_back(coco)["b/one.png"], coco["annotations"]):
        x, y, w, h = entry["bbox"]
        rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
        ends = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
        assert np.abs(ends - [x, y, x + w, y + h]).max() <= 0.5
        assert abs(mask.sum() / entry["area"] - 1) < 0.03
    assert [a["area"] for a in coco["annotations"][:6]] == [
        int(mask.sum()) for mask in made[0].found.masks
    ]


def test_others_read_it(tmp_path):
    coco = saved(tmp_path, results(tmp_path))
    theirs = COCO(str(tmp_path / "coco.json"))
    assert len(theirs.getAnnIds(imgIds=[10], catIds=[3])) == 3
    assert theirs.annToMask(theirs.anns[2]).any()
    dataset = trains(coco, tmp_path, tmp_path / "images")
    assert dataset.class_names == (NAMES[1], NAMES[0])  # ascending ids, as everywhere


def test_check_data_finds_no_fault_of_the_writer(tmp_path):
    saved(tmp_path, results(tmp_path))
    result = check(str(tmp_path / "coco.json"), str(tmp_path / "images"))
    assert result.num_errors == 0, result.by_rule
    # The images are alike on purpose, one has no object, and one object is a single pixel.
    assert set(result.by_rule) == {"duplicate-image", "anchor", "rare-class", "empty"}


def test_an_empty_set_is_one(tmp_path):
    assert saved(tmp_path, [])["images"] == []
    assert saved(tmp_path, results(tmp_path, found_of([]), ["a.png"]))["annotations"] == []


def test_boxes_and_keypoints_are_cocos(tmp_path):
    points = np.array([[[10.5, 20.25, 0.9], [12, 22, 0.8]]])
    found = Instances([[5, 8, 30, 40]], [0.7], [2], (90, 120), keypoints=points, skeleton=[(0, 1)])
    coco = saved(tmp_path, results(tmp_path, found, ["a.png"]))
    (entry,) = coco["annotations"]
    assert (entry["bbox"], entry["area"]) == ([8, 5, 32, 25], 800)
    assert (entry["keypoints"], entry["num_keypoints"]) == ([19.75, 10, 2, 21.5, 11.5, 2], 2)
    assert "segmentation" not in entry
    assert coco["categories"][0]["keypoints"] == ["keypoint 1", "keypoint 2"]
    assert coco["categories"][0]["skeleton"] == [[1, 2]]


@pytest.mark.parametrize("kept", [None, b"{}"])
def test_a_set_is_replaced_whole_or_not_at_all(tmp_path, kept):
    if kept:
        (tmp_path / "coco.json").write_bytes(kept)

    def broken():
        yield from results(tmp_path)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(broken(), str(tmp_path), OPTIONS)
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["coco.json"] * bool(kept)
    assert not kept or (tmp_path / "coco.json").read_bytes() == kept
