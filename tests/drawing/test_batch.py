"""`drawing/batch.py`: that the drawing lies on the image as the network is fed it."""

import numpy as np
import pytest

from helpers.tiny import tiny_config, tiny_data
from tfmaskrcnn.data import from_coco
from tfmaskrcnn.drawing.batch import contact_sheet, draw_batch, input_picture
from tfmaskrcnn.ops.images import normalize


def test_a_batch_is_drawn_where_its_ground_truth_lies(tmp_path):
    config = tiny_config("data.augment.crop=[64, 96]")
    batch = next(iter(from_coco(*tiny_data(tmp_path), config, training=True)))
    drawn = draw_batch(batch, config)
    bare = draw_batch({**batch, "gt_valid": np.zeros_like(batch["gt_valid"])}, config)
    assert len(drawn) == 2
    for i, (picture, without) in enumerate(zip(drawn, bare)):
        height, width = batch["image"].shape[1:3]
        scale = picture.shape[0] // height
        assert picture.shape == (scale * height, scale * width, 3)
        inside = np.zeros(picture.shape[:2], bool)
        changed = np.any(picture != without, axis=-1)
        for y1, x1, y2, x2 in np.asarray(batch["gt_boxes"][i])[np.asarray(batch["gt_valid"][i])]:
            part = tuple(slice(round(a * scale), round(b * scale)) for a, b in ((y1, y2), (x1, x2)))
            inside[part] = True
            assert changed[part].mean() > 0.4  # its mask and its box
        assert (changed & ~inside).mean() < 0.15  # labels alone


@pytest.mark.parametrize(
    "overrides, channels",
    [((), 3), (("input.order=bgr",), 3), (("input={channels: 1, mean: [9], std: [4]}",), 1)],
)
def test_a_normalised_input_becomes_the_picture_it_was(overrides, channels):
    config = tiny_config(*overrides).model.input
    image = np.random.default_rng(0).integers(0, 256, (8, 9, channels), np.uint8)
    shown = input_picture(np.asarray(normalize(image, config)), config)
    np.testing.assert_array_equal(shown, image if channels == 3 else image[..., 0])


def test_boxes_alone_and_images_without_objects_are_drawn():
    config = tiny_config("mask_head.enabled=false")
    batch = {
        "image": np.zeros((2, 64, 64, 3), np.float32),
        "gt_boxes": np.float32([[[8, 8, 40, 40]], [[0, 0, 0, 0]]]),
        "gt_classes": np.int32([[2], [0]]),
        "gt_valid": np.array([[True], [False]]),
        "gt_crowd": np.zeros((2, 1), bool),
    }
    one, none = draw_batch(batch, config)
    assert (one != none).any()
    assert len(np.unique(none.reshape(-1, 3), axis=0)) == 1


def test_a_sheet_shows_every_picture_once_whatever_their_sizes():
    sizes = [(300, 400), (900, 600), (50, 700), (80, 80), (640, 480)]
    pictures = [np.full((*size, 3), 100 + 10 * i, np.uint8) for i, size in enumerate(sizes)]
    sheet = contact_sheet(pictures, [f"image {i} " * 40 for i in range(5)], cell=200)
    for i, (height, width) in enumerate(sizes):
        scale = min(1, 200 / max(height, width))
        area = np.all(sheet == 100 + 10 * i, axis=-1).sum()
        assert abs(area - height * width * scale**2) < 0.05 * area + 200
