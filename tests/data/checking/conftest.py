"""A small data set that a test spoils in one place."""

import copy
import json

import numpy as np
import pytest
from PIL import Image

from helpers.tiny import tiny_config
from tfmaskrcnn.data.checking import check


class Draft:
    """A COCO set of 96 x 128 images that grows by calls; `check` writes the JSON and reads it."""

    def __init__(self, folder):
        self.folder = folder
        self.json = folder / "set.json"
        self.coco = {
            "images": [],
            "annotations": [],
            "categories": [{"id": 5, "name": "nut"}],
        }

    def image(self, name=None, size=(96, 128), pixels=None, save=None, **fields):
        """Add an image and, unless `pixels` is False, its file; its entry."""
        number = len(self.coco["images"]) + 1
        name = name or f"{number}.png"
        if pixels is None:
            rng = np.random.default_rng(number)
            pixels = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
        if pixels is not False:
            Image.fromarray(pixels).save(self.folder / name, **(save or {}))
        entry = {"id": number, "file_name": name, "height": size[0], "width": size[1], **fields}
        self.coco["images"].append(entry)
        return entry

    def object(self, image=1, box=(20, 30, 24, 20), **fields):
        """Add an annotation with the polygon of its xywh box; its entry."""
        x, y, w, h = box
        entry = {
            "id": 100 + len(self.coco["annotations"]),
            "image_id": image,
            "category_id": 5,
            "bbox": list(box),
            "segmentation": [[x, y, x + w, y, x + w, y + h, x, y + h]],
            "area": w * h,
            "iscrowd": 0,
            **fields,
        }
        self.coco["annotations"].append(entry)
        return entry

    def check(self, *overrides, **options):
        self.json.write_text(json.dumps(self.coco))
        config = tiny_config("model.num_classes=1", "data.max_instances=20", *overrides)
        return check(str(self.json), str(self.folder), config, **options)

    def copied(self):
        return copy.deepcopy(self.coco)


@pytest.fixture
def empty_draft(tmp_path):
    return Draft(tmp_path)


@pytest.fixture
def draft(empty_draft):
    """Two images with twelve objects that nothing is wrong or odd with."""
    for _ in range(2):
        image = empty_draft.image()["id"]
        for k in range(6):
            empty_draft.object(image, (4 + 40 * (k % 3), 10 + 40 * (k // 3), 24 + k, 26))
    return empty_draft
