"""Image, box and mask of an augmented batch, compared with each other."""

import json

import numpy as np
import pytest
from PIL import Image

from helpers.one_stack import on_stack_a
from tfmaskrcnn.config.yaml_files import parse_config
from tfmaskrcnn.data import from_coco
from tfmaskrcnn.data.coco.segmentation import decode

HEIGHT, WIDTH = 60, 80


def pasted(box, mask, height, width):
    """The box-cropped mask at the pixel centres of an image; nearest cell."""
    y, x = np.mgrid[0:height, 0:width] + 0.5
    row = np.floor((y - box[0]) / (box[2] - box[0]) * 112).astype(int)
    col = np.floor((x - box[1]) / (box[3] - box[1]) * 112).astype(int)
    inside = (row >= 0) & (row < 112) & (col >= 0) & (col < 112)
    return inside & (mask[row.clip(0, 111), col.clip(0, 111)] > 0)


def one_image(segmentation, bbox, name="a.png"):
    return {
        "images": [{"id": 1, "file_name": name, "height": HEIGHT, "width": WIDTH}],
        "categories": [{"id": 1, "name": "triangle"}],
        "annotations": [
            {"id": 5, "image_id": 1, "category_id": 1, "bbox": bbox, "segmentation": segmentation}
        ],
    }


@pytest.mark.parametrize("form", ["polygon", "rle"])
@on_stack_a
def test_boxes_and_masks_follow_the_augmented_image(tmp_path, form):
    """The image of a white triangle is its own mask, whatever is done to it."""
    corners = [18.0, 9.0, 70.0, 30.0, 25.0, 52.0]
    mask = decode([np.float32(corners)], HEIGHT, WIDTH)
    Image.fromarray(mask.astype(np.uint8) * 255).save(tmp_path / "a.png")
    runs = np.diff(np.flatnonzero(np.diff(np.r_[2, mask.T.reshape(-1), 2])))
    rle = {"size": [HEIGHT, WIDTH], "counts": runs.tolist()}
    coco = one_image([corners] if form == "polygon" else rle, [18, 9, 52, 43])
    (tmp_path / "set.json").write_text(json.dumps(coco))
    config = parse_config(
        {},
        [
            "data.augment.vertical_flip=0.5",
            "data.augment.quarter_turns=true",
            "data.augment.scale=[0.8, 1.6]",
            "data.augment.crop=[80, 64]",
            "train.batch_size=1",
            "model.num_classes=1",
            "model.input.mean=[0, 0, 0]",
            "model.input.std=[255, 255, 255]",
            "model.input.min_side=96",
            "model.input.max_side=160",
            "data.max_instances=2",
        ],
    )
    dataset = from_coco(str(tmp_path / "set.json"), str(tmp_path), config, training=True)
    checked = 0
    for _ in range(16):
        (batch,) = dataset.as_numpy_iterator()
        white = batch["image"][0, ..., 0] > 0.5
        if not batch["gt_valid"][0, 0]:
            assert np.count_nonzero(white) < 0.15 * 0.5 * 52 * 43 * batch["scale"][0].prod()
            continue
        shown = pasted(batch["gt_boxes"][0, 0], batch["gt_masks"][0, 0], *white.shape)
        iou = np.count_nonzero(shown & white) / np.count_nonzero(shown | white)
        assert iou > 0.95
        rows, cols = np.nonzero(white)
        tight = [rows.min(), cols.min(), rows.max() + 1, cols.max() + 1]
        np.testing.assert_allclose(batch["gt_boxes"][0, 0], tight, atol=3.5)
        checked += 1
    assert checked >= 10
