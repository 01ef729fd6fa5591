"""`data/importers/mask_images.py`: headers are compared before pixels are decoded."""

import io

import numpy as np
import pytest
from PIL import Image

from helpers.cases import case
from tfmaskrcnn.data.importers.mask_images import mask_pixels, mask_size
from tfmaskrcnn.errors import InputError


def saved(path, array, **options):
    Image.fromarray(array).save(path, **options)
    return str(path)


def test_a_mask_of_another_size_is_not_decoded(tmp_path, monkeypatch):
    path = saved(tmp_path / "a.png", np.zeros((5000, 5000), np.uint8))
    monkeypatch.setattr(Image.Image, "load", None)
    assert mask_size(path) == (5000, 5000)
    with pytest.raises(InputError, match=r"a.png is \(5000, 5000\) pixels, its image \(5, 5\)"):
        mask_pixels(path, (5, 5))


def test_a_gif_whose_frame_is_larger_than_its_screen_is_refused():
    with pytest.raises(InputError, match="screen10_frame16000.gif "):
        mask_pixels(str(case("hostile/screen10_frame16000.gif")), (10, 10))


def test_colours_are_one_number_each_and_bits_are_0_and_1(tmp_path):
    colours = np.array([[[1, 2, 3], [255, 255, 255]]], np.uint8)
    found = mask_pixels(saved(tmp_path / "a.png", colours), (1, 2))
    assert found.coloured and found.values.tolist() == [[0x010203, 0xFFFFFF]]
    found = mask_pixels(saved(tmp_path / "b.png", np.array([[True, False]])), (1, 2))
    assert not found.coloured and found.values.tolist() == [[1, 0]]


def test_a_damaged_mask_is_told(tmp_path):
    path = saved(tmp_path / "a.png", np.zeros((50, 50), np.uint8))
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:60])
    with pytest.raises(InputError, match="a.png cannot be read: "):
        mask_pixels(path, (50, 50))
    with pytest.raises(InputError, match=r"There is no .*none.png"):
        mask_pixels(str(tmp_path / "none.png"), (50, 50))
    with pytest.raises(InputError, match="its PNG cannot be read"):
        mask_pixels(io.BytesIO(b"abc"), (50, 50))
    assert mask_size(str(tmp_path / "none.png")) is None
