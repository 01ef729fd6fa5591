"""`inference/looking.py`: pictures whole and in tiles, and what goes wrong with one of them."""

import numpy as np
import pytest
from PIL import Image

from helpers.stub_source import seen_source
from tfmaskrcnn.drawing.drawing_style import DrawingStyle
from tfmaskrcnn.inference.image_sources import list_pictures
from tfmaskrcnn.inference.image_windows import ArrayWindows, ImageWindows
from tfmaskrcnn.inference.looking import Looker, Pixels
from tfmaskrcnn.inference.tiling.tile_plan import TileOptions


def images(*sizes):
    rng = np.random.default_rng(0)
    return [rng.integers(0, 255, (*size, 3), np.uint8) for size in sizes]


def test_small_pictures_go_together_and_large_ones_in_tiles():
    log, ticks = [], []
    looker = Looker(
        seen_source(log), TileOptions(64, 16, 2), lambda done, total: ticks.append((done, total))
    )
    pictures = list_pictures(images((40, 50), (100, 60), (30, 60)))
    looks = list(looker.look(pictures))
    assert [look.picture.index for look in looks] == [0, 1, 2]
    assert [look.found.size for look in looks] == [(40, 50), (100, 60), (30, 60)]
    assert log[0] == 2 and len(log) > 1 and ticks[-1][0] == ticks[-1][1] > 1
    assert looks[1].found.exact_rle is not None and looks[0].found.exact_rle is None


def test_a_damaged_part_of_a_large_tiff_is_a_failure(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    path = tmp_path / "large.tif"
    smooth = np.repeat(np.arange(2304 * 2304, dtype=np.uint8).reshape(2304, 2304, 1), 3, axis=2)
    tifffile.imwrite(path, smooth, tile=(256, 256), photometric="rgb", compression="zlib")
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 200] = bytes(200)
    path.write_bytes(content)
    Image.new("RGB", (30, 20)).save(tmp_path / "small.png")
    looker = Looker(seen_source(), TileOptions(1024, 64, 1))
    damaged, good = looker.look(list_pictures([str(path), str(tmp_path / "small.png")]))
    assert damaged.found is None and "large.tif" in damaged.failure
    assert good.failure is None and good.found.size == (20, 30)


def test_other_errors_are_not_taken_for_the_picture_s():
    source = seen_source()._replace(predict=lambda images: 1 / 0)
    for tiles in (TileOptions(32, 8), TileOptions("none")):
        with pytest.raises(ZeroDivisionError):
            list(Looker(source, tiles).look(list_pictures(images((40, 50)))))


def test_a_large_picture_is_read_in_strips(monkeypatch):
    (image,) = images((300, 200))
    monkeypatch.setattr("tfmaskrcnn.inference.image_windows._STRIP", 200 * 70)

    class Stored(ImageWindows):
        def read(self, y, x, h, w):
            assert h <= 70
            return image[y : y + h, x : x + w]

    np.testing.assert_array_equal(Pixels(Stored((300, 200), 3)).whole(), image)


def test_of_a_reduced_picture_no_more_is_read_than_a_strip():
    (image,) = images((300, 200))
    asked = []

    class Watched(ArrayWindows):
        def read(self, *window):
            asked.append(window)
            return super().read(*window)

        def whole(self):
            raise AssertionError("the whole picture was read")

    pixels = Pixels(Watched(image))
    assert pixels.fitted(DrawingStyle(side=30)).shape == (30, 20, 3) and asked
    with pytest.raises(AssertionError):
        pixels.fitted(DrawingStyle())
