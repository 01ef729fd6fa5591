"""`drawing/fitted_sizes.py`: images reduced and enlarged piece by piece."""

import numpy as np
import pytest
from PIL import Image

from tfmaskrcnn.drawing import fitted_sizes
from tfmaskrcnn.drawing.fitted_sizes import fitted, fitted_by_strips


@pytest.mark.parametrize("wanted", [(31, 43), (100, 140), (301, 417), (1, 1)])
def test_strips_give_what_the_whole_gives(wanted, monkeypatch):
    # No contrast that clipping between Pillow's two passes would show: it chooses their order.
    image = np.random.default_rng(0).integers(80, 170, (120, 170, 3), dtype=np.uint8)
    monkeypatch.setattr(fitted_sizes, "_STRIP_PIXELS", 2000)
    kernel = Image.Resampling.LANCZOS if wanted[0] < 120 else Image.Resampling.BICUBIC
    whole = np.asarray(Image.fromarray(image).resize(wanted[::-1], kernel)).astype(int)
    drawn = fitted(image, wanted)
    assert drawn.shape == (*wanted, 3) and np.abs(drawn - whole).max() <= 2


def test_an_image_that_fits_stays_and_grey_becomes_rgb():
    image = np.arange(12, dtype=np.uint8).reshape(3, 4)
    assert (fitted(image, (3, 4)) == image[..., None]).all()
    assert fitted(image, (6, 8)).shape == (6, 8, 3)
    colors = np.zeros((3, 4, 3), np.uint8)
    assert fitted(colors, (3, 4)) is colors


def test_only_strips_are_read(monkeypatch):
    monkeypatch.setattr(fitted_sizes, "_STRIP_PIXELS", 10_000)
    asked = []

    def read(y, x, height, width):
        asked.append((y, x, height, width))
        rows = np.arange(y, y + height)[:, None, None] // 4
        return np.broadcast_to(rows, (height, width, 4)).astype(np.uint8)

    drawn = fitted_by_strips(read, (1000, 500), (100, 50))
    assert max(h for _, _, h, _ in asked) < 150 and {x for _, x, _, _ in asked} == {0}
    assert np.abs(drawn[:, 0, 0].astype(int) - np.arange(100) * 10 // 4).max() <= 2
