"""`results/crops.py`: objects cut out."""

import os

import numpy as np
import pytest
from PIL import Image

from helpers.some_results import OPTIONS, boxes_alone, result_of, some_masks
from tfmaskrcnn.results.crops import write


def test_crops_hold_the_pixels_and_the_mask_as_alpha(tmp_path):
    masks = np.concatenate([some_masks(), np.zeros((1, 60, 80), bool)])  # and one without a pixel
    result = result_of(masks, name="sub/a.png", ids=[1, 2, 3, 40, 5, 6])
    write(result, str(tmp_path), OPTIONS)
    folder = tmp_path / "sub" / "a"
    assert sorted(os.listdir(folder)) == [
        "0001_nucleus.png",
        "0002_two-words--1.png",
        "0003_nucleus.png",
        "0005_nucleus.png",
        "0040_two-words--1.png",
    ]
    for number, mask in zip(("0001_nucleus", "0002_two-words--1"), masks):
        crop = np.asarray(Image.open(folder / f"{number}.png"))
        rows, columns = np.nonzero(mask)
        part = slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)
        assert Image.open(folder / f"{number}.png").mode == "RGBA"
        np.testing.assert_array_equal(crop[..., 3], mask[part] * 255)
        np.testing.assert_array_equal(crop[..., :3], result.image[part])
    assert np.asarray(Image.open(folder / "0040_two-words--1.png")).shape == (1, 1, 4)


@pytest.mark.parametrize(("channels", "shown"), [(1, [0] * 3), (2, [0] * 3), (5, [0, 1, 2])])
def test_what_no_picture_can_show_is_left_out(tmp_path, channels, shown):
    image = np.random.default_rng(0).integers(0, 256, (60, 80, channels)).astype(np.uint8)
    result = result_of()._replace(image=image)
    write(result, str(tmp_path), OPTIONS)
    crop = np.asarray(Image.open(tmp_path / "a" / "0004_two-words--1.png"))
    np.testing.assert_array_equal(crop[0, 0], [*image[55, 77, shown], 255])


def test_boxes_alone_are_cut_out_whole_as_far_as_they_are_in_the_image(tmp_path):
    result = boxes_alone()
    result.found.boxes[0] = [-5.2, -3.0, 9.6, 10.4]
    result.found.boxes[1] = [50.0, 70.0, 80.0, 90.0]
    result.found.boxes[2] = [70.0, 90.0, 80.0, 95.0]
    write(result, str(tmp_path), OPTIONS)
    names = sorted(os.listdir(tmp_path / "a"))
    crops = {name[:4]: np.asarray(Image.open(tmp_path / "a" / name)) for name in names}
    assert list(crops) == ["0001", "0002", "0004", "0005"]  # the third is outside
    assert crops["0001"].shape == (10, 10, 4)
    assert crops["0002"].shape == (10, 10, 4)
    np.testing.assert_array_equal(crops["0002"][..., :3], result.image[50:, 70:])
    assert (crops["0001"][..., 3] == 255).all()
