"""What training says at its start, of sets that are wrong and of good ones."""

import json
import logging
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers.cases import CASES, case
from helpers.paths import EXAMPLES
from tfmaskrcnn.config.yaml_files import load_config
from tfmaskrcnn.data import load_coco, load_tfrecord, write_tfrecord
from tfmaskrcnn.data.checking.first_look import first_look
from tfmaskrcnn.data.coco.records import CocoData, Record
from tfmaskrcnn.errors import InputError

DATA = CASES.parent / "data"
FIX = "tfmaskrcnn check-data {0}/train.json {0}/images --fix FILE"


def looked(folder, *overrides, json_name="train.json", masks=True, skip=False):
    images = Path(folder) / "images"
    data = load_coco(Path(folder) / json_name, images, skip, masks=masks)
    return first_look(data, load_config(None, [f"data.train_images={images}", *overrides]))


def only(lines):
    assert len(lines) == 1, lines
    return lines[0]


def copied(name, tmp_path, change):
    """A copy of a case whose JSON `change` edits in place."""
    source = case(f"data/{name}")
    raw = json.loads((source / "train.json").read_text())
    change(raw)
    (tmp_path / "train.json").write_text(json.dumps(raw))
    (tmp_path / "images").symlink_to(source / "images")
    return tmp_path


def test_d14b_boxes_of_corners():
    folder = case("data/d14b_all_xyxy")
    line = only(looked(folder))
    assert "8 of 8 boxes looked at fit their masks only as [x1, y1, x2, y2]" in line
    assert FIX.format(folder) in line


def test_d14b_without_masks(tmp_path):
    def bare(raw):
        boxes = [(x + 7 * k, y + 5 * k, w, h) for k in range(2) for x, y, w, h in BOXES]
        template = raw["annotations"][0]
        raw["annotations"] = [
            {**template, "id": i, "bbox": [x, y, x + w, y + h], "segmentation": None}
            for i, (x, y, w, h) in enumerate(boxes)
        ]

    folder = copied("d14b_all_xyxy", tmp_path, bare)
    lines = looked(folder, "mask_head.enabled=false", masks=False)
    assert "boxes are inside their images as [x1, y1, x2, y2]" in lines[0]


BOXES = [(40, 30, 30, 20), (60, 20, 20, 40), (20, 50, 40, 20), (70, 10, 30, 30), (30, 30, 50, 40)]


def test_d14_what_is_left_of_odd_boxes_misses_its_masks():
    lines = looked(case("data/d14_boxes"), skip=True)
    assert any("boxes looked at miss most of their masks" in line for line in lines), lines


def _turned(raw):
    for entry in raw["annotations"]:
        (flat,) = entry["segmentation"]
        entry["segmentation"] = [[flat[n ^ 1] for n in range(len(flat))]]


def _shares(raw):
    sides = (128, 96)
    for entry in raw["annotations"]:
        entry["bbox"] = [v / sides[n % 2] for n, v in enumerate(entry["bbox"])]
        (flat,) = entry["segmentation"]
        entry["segmentation"] = [[v / sides[n % 2] for n, v in enumerate(flat)]]


@pytest.mark.parametrize(
    ("change", "said"),
    [(_turned, "masks looked at are polygons of y, x"), (_shares, "are between 0 and 1")],
)
def test_polygons_in_another_order_or_unit(tmp_path, change, said):
    def plain(raw):  # the boxes of the case are corners
        for entry in raw["annotations"]:
            x1, y1, x2, y2 = entry["bbox"]
            entry["bbox"] = [x1, y1, x2 - x1, y2 - y1]
        change(raw)

    folder = copied("d14b_all_xyxy", tmp_path, plain)
    line = only(looked(folder))
    assert said in line and FIX.format(folder) in line


@pytest.mark.parametrize("box", [[70, 20, 42, 40], [18, 61, 42, 30]], ids=["beside", "below"])
def test_boxes_that_miss_their_polygon(tmp_path, box):
    def change(raw):
        raw["annotations"][0]["bbox"] = box

    line = only(looked(copied("d14b_all_xyxy", tmp_path, lambda raw: _right(raw, change))))
    assert "1 of 8 boxes looked at miss most of their masks, 1 nearly all" in line


def _right(raw, change):
    """Boxes that are right, then changed."""
    for entry in raw["annotations"]:
        x1, y1, x2, y2 = entry["bbox"]
        entry["bbox"] = [x1, y1, x2 - x1, y2 - y1]
    change(raw)


def test_d13d_masks_counted_along_rows():
    line = only(looked(case("data/d13d_rle_row_major")))
    assert "8 of 8 masks looked at are an RLE counted along rows" in line and "--fix FILE" in line


@pytest.mark.parametrize("name", ["d10_exif_90", "d10b_exif_180"])
def test_images_that_exif_turns(name):
    line = only(looked(case(f"data/{name}")))
    assert "4 of 4 images looked at are turned by EXIF for viewers, and for training" in line


def test_d10b_with_the_stored_pixels():
    line = only(looked(case("data/d10b_exif_180"), "input.exif=ignore"))
    assert "but not for training" in line and "--set input.exif=apply" in line


def test_d10_drawn_on_the_other_view_is_refused_at_once():
    with pytest.raises(InputError, match="96 x 128.*input.exif=apply"):
        looked(case("data/d10_exif_90"), "input.exif=ignore")


def test_d12_sizes_that_are_not_the_files_are_refused_at_once():
    with pytest.raises(InputError, match="but its annotations say"):
        looked(case("data/d12_size_swapped"))


def test_a_turned_png_whose_exif_comes_after_its_pixels_is_no_fault(tmp_path):
    import zlib

    path = tmp_path / "images" / "a.png"
    path.parent.mkdir()
    Image.new("RGB", (20, 10)).save(path)
    exif = Image.Exif()
    exif[0x0112] = 6
    body = b"eXIf" + exif.tobytes()[6:]
    chunk = (len(body) - 4).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")
    content = path.read_bytes()
    path.write_bytes(content[:-12] + chunk + content[-12:])
    assert "1 of 1 images" in only(first_look(_data(tmp_path, 20, 10, "a.png"), load_config(None)))


def _data(folder, height, width, name):
    record = Record(
        image_id=1,
        path=str(folder / "images" / name),
        file_name=name,
        height=height,
        width=width,
        boxes=np.array([[2.0, 2, 8, 8]], np.float32),
        classes=np.array([1], np.int32),
        crowd=np.array([False]),
        segmentations=[None],
        annotation_ids=[1],
    )
    return CocoData([record], ("leaf",), (1,), str(folder / "train.json"))


def test_d09_all_objects_are_crowds():
    line = looked(case("data/d09_cvat_all_crowd"))[0]
    assert "8 of 8 objects are crowd regions (iscrowd 1)" in line and "CVAT" in line
    assert "--no-crowds --fix FILE" in line


def test_f04_half_of_the_objects_are_crowds():
    assert "4 of 8 objects are crowd regions" in only(looked(case("data/f04_half_crowd")))


def test_d02_a_class_without_objects():
    folder = case("data/d02_roboflow_parent")
    line = only(looked(folder))
    assert "1 of 3 classes have no object and are never found: 'plants'; take" in line
    assert not looked(folder, "data.limit=2")


def test_objects_that_vanish(tmp_path):
    folder = case("data/d02_roboflow_parent")
    small = looked(folder, "input.min_side=8", "input.max_side=32")[-1]
    assert "images are shrunk to 0.085 of their size" in small
    settings = small.split("--set ")[1].split(" keeps")[0].split()
    assert not [line for line in looked(folder, *settings) if "shrunk" in line]
    fixed = load_config(None, ["input.fixed_size=[32, 32]"])
    line = only(first_look(_data(tmp_path, 2000, 2000, "none.png"), fixed))
    assert "1 of 1 vanish; --set 'input.fixed_size=[2016, 2016]' keeps" in line


def test_val_images_that_are_trained_on():
    folder = case("data/d02_roboflow_parent")
    data = load_coco(folder / "train.json", folder / "images")
    config = load_config(None)
    found = first_look(data, config, data.records[:3])
    assert "3 of 3 images of the val split are in the train split too" in found[-1]
    others = [r._replace(path=f"/elsewhere/{r.file_name}") for r in data.records]
    assert len(first_look(data, config, others)) == len(found) - 1


GOOD = [(EXAMPLES / "nuclei", "train.json"), (EXAMPLES / "nuclei", "val.json")]
GOOD += [
    (DATA / name, f"annotations/instances_{split}.json")
    for name in ("coco_mini", "dsb2018", "fruits_nuts")
    for split in ("train", "val")
]


@pytest.mark.parametrize("folder, name", GOOD, ids=lambda part: getattr(part, "name", part))
def test_good_sets_give_no_line(folder, name):
    if not folder.exists():
        pytest.skip(f"no {folder}")
    assert looked(folder, json_name=name) == []
    assert looked(folder, "mask_head.enabled=false", json_name=name, masks=False) == []


def test_shards_are_looked_at_too(tmp_path):
    folder = case("data/d14b_all_xyxy")
    write_tfrecord(folder / "train.json", folder / "images", tmp_path / "set", 1, workers=1)
    found = first_look(load_tfrecord(str(tmp_path / "set-*.tfrecord")), load_config(None))
    assert "8 of 8 boxes looked at" in only(found) and "of the shards' JSON" in found[0]


def test_it_takes_little_time_for_5000_images(tmp_path):
    source = case("data/d02_roboflow_parent")
    data = load_coco(source / "train.json", source / "images")
    shape = [np.tile(data.records[0].segmentations[0][0], 10)]
    twenty = data.records[0]._replace(
        boxes=np.repeat(data.records[0].boxes[:1], 20, axis=0),
        classes=np.arange(20, dtype=np.int32) % 3 + 1,
        crowd=np.zeros(20, bool),
        segmentations=[shape] * 20,
        annotation_ids=list(range(20)),
    )
    data = data._replace(records=[twenty._replace(image_id=i) for i in range(5000)])
    first_look(data._replace(records=data.records[:1]), load_config(None))  # imports
    begun = time.process_time()
    first_look(data, load_config(None), data.records)
    logging.getLogger(__name__).info("%.2f s", time.process_time() - begun)
    assert time.process_time() - begun < 2.0
