import numpy as np
import pytest
import tifffile
from PIL import Image

from tfmaskrcnn.data.coco.image_files import read_image
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.inference import image_windows
from tfmaskrcnn.inference.image_windows import ArrayWindows, open_windows, reduced_array

Y, X = np.mgrid[:151, :203]
COLOUR = np.stack([Y * 3 % 256, X * 2 % 256, (X + Y) % 256], axis=-1).astype(np.uint8)
DEEP = ((Y * 150 + X * 60) % 65536).astype(np.uint16)
TILED = {"tile": (64, 48), "photometric": "rgb"}
# How tifffile writes it: (pixels, options).
TIFFS = {
    "tiled": (COLOUR, TILED),
    "deflated": (COLOUR, {**TILED, "compression": "zlib", "predictor": True}),
    "striped": (COLOUR, {"photometric": "rgb", "rowsperstrip": 17}),
    "big": (COLOUR, {**TILED, "bigtiff": True}),
    "sixteen bits": (DEEP, {"tile": (64, 48), "byteorder": ">"}),
    "colours of sixteen bits": (np.repeat(DEEP[..., None], 3, axis=-1), TILED),
    "white is 0": (COLOUR[..., 0], {"tile": (64, 48), "photometric": "miniswhite"}),
    "planes": (np.moveaxis(COLOUR, -1, 0), {**TILED, "planarconfig": "separate"}),
    "pages": (np.stack([COLOUR, COLOUR[::-1]]), TILED),
}


@pytest.fixture
def windows_of_any(monkeypatch):
    """Small files are read in windows, as large ones are."""
    monkeypatch.setattr(image_windows, "SMALL", 0)


def check_windows(path, kind, channels=3, exif="apply"):
    wanted = read_image(path, None, channels, exif)
    found = open_windows(path, channels, exif)
    assert type(found).__name__ == kind
    assert found.size == wanted.shape[:2]
    np.testing.assert_array_equal(found.whole(), wanted)
    rng = np.random.default_rng(1)
    for _ in range(8):
        y, x = (int(rng.integers(side)) for side in found.size)
        part = found.read(y, x, 70, 90)  # cut off at the edge
        np.testing.assert_array_equal(part, wanted[y : y + 70, x : x + 90])
    np.testing.assert_array_equal(found.reduced(3), reduced_array(wanted, 3))


@pytest.mark.parametrize("name", TIFFS)
def test_windows_of_a_tiff_are_what_pillow_reads(name, tmp_path, windows_of_any):
    path, (pixels, options) = str(tmp_path / "a.tif"), TIFFS[name]
    tifffile.imwrite(path, pixels, **options)
    check_windows(path, "_TiffWindows")
    if name in ("tiled", "sixteen bits"):
        check_windows(path, "_TiffWindows", channels=1)


@pytest.mark.parametrize("compression", ("tiff_lzw", "jpeg", "packbits"))
def test_what_tifffile_alone_does_not_decode_is_decoded_strip_by_strip(
    compression, tmp_path, windows_of_any
):
    path = str(tmp_path / "a.tif")
    Image.fromarray(COLOUR).save(path, compression=compression)
    check_windows(path, "_TiffWindows")


def test_what_tifffile_lacks_a_package_for_is_decoded_by_pillow(
    tmp_path, windows_of_any, monkeypatch
):
    path = str(tmp_path / "a.tif")
    Image.fromarray(COLOUR).save(path, compression="tiff_adobe_deflate")
    check_windows(path, "_TiffWindows")

    def lacking(data, **_):
        raise ModuleNotFoundError("No module named 'compression'")

    monkeypatch.setattr(tifffile.TIFF, "DECOMPRESSORS", {8: lacking})
    check_windows(path, "_PillowWindows")


def test_colours_that_no_model_takes_are_a_sentence(tmp_path, windows_of_any):
    path = str(tmp_path / "a.tif")
    Image.fromarray(COLOUR).convert("LAB").save(path)
    with pytest.raises(InputError, match="cannot be decoded: conversion from LAB"):
        open_windows(path, channels=1)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_windows_are_turned_as_exif_asks(orientation, tmp_path, windows_of_any):
    tiff, jpeg = str(tmp_path / "a.tif"), str(tmp_path / "a.jpg")
    tifffile.imwrite(tiff, COLOUR, **TILED, extratags=[(274, 3, 1, orientation, True)])
    image = Image.fromarray(COLOUR)
    exif = image.getexif()
    exif[274] = orientation
    image.save(jpeg, exif=exif)
    for way in ("apply", "ignore"):
        check_windows(tiff, "_TiffWindows", exif=way)
        check_windows(jpeg, "_PillowWindows", exif=way)


def test_small_files_and_arrays_are_in_memory(tmp_path):
    path = str(tmp_path / "a.png")
    Image.fromarray(COLOUR).save(path)
    for picture in (path, COLOUR):
        found = open_windows(picture)
        assert isinstance(found, ArrayWindows)
        np.testing.assert_array_equal(found.whole(), COLOUR)


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_picture_is_sliced_as_its_array_is(orientation, tmp_path, windows_of_any):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (70, 90, 3), np.uint8))
    exif = image.getexif()
    exif[274] = orientation
    path = str(tmp_path / "a.jpg")
    image.save(path, exif=exif)
    picture, array = open_windows(path), read_image(path)
    assert picture.shape == array.shape
    for place in (np.s_[3:20, 5:40], np.s_[60:400, 30:400], np.s_[:9, -9:], np.s_[8:8, 4:2]):
        np.testing.assert_array_equal(picture[place], array[place])


def test_a_reduced_picture_has_the_means_of_squares():
    pixels = np.array([[0, 2, 9], [4, 6, 9], [8, 8, 7]], np.uint8)[..., None]
    assert reduced_array(pixels, 2)[..., 0].tolist() == [[3, 9], [8, 7]]


def test_pillow_s_limit_of_size_is_the_machine_s_memory_instead(
    tmp_path, windows_of_any, monkeypatch
):
    path = str(tmp_path / "a.png")
    Image.fromarray(COLOUR).save(path)
    pixels = COLOUR.shape[0] * COLOUR.shape[1]
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", pixels // 3)
    with pytest.raises(InputError, match=r"decompression bomb DOS attack\.$"):
        read_image(path)
    np.testing.assert_array_equal(open_windows(path).read(2, 3, 20, 30), COLOUR[2:22, 3:33])
    limit = Image.MAX_IMAGE_PIXELS
    assert limit == pixels // 3
    monkeypatch.setattr(image_windows, "most_bytes", lambda: 4 * pixels - 1)
    with pytest.raises(InputError, match="a quarter of this machine's memory; save it as a TIFF"):
        open_windows(path)


def test_a_damaged_part_is_found_when_it_is_read(tmp_path, windows_of_any):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, COLOUR, **TILED, compression="zlib")
    with tifffile.TiffFile(path) as file:
        offset = file.pages[0].dataoffsets[-1]
    content = bytearray(path.read_bytes())
    content[offset : offset + 40] = b"\xff" * 40
    path.write_bytes(content)
    found = open_windows(str(path))
    np.testing.assert_array_equal(found.read(0, 0, 20, 20), COLOUR[:20, :20])
    with pytest.raises(InputError, match=r"a\.tif cannot be decoded"):
        found.whole()


def test_what_is_no_picture_is_a_sentence(tmp_path, windows_of_any):
    path = tmp_path / "a.tif"
    path.write_bytes(b"II*\0 no picture")
    with pytest.raises(InputError, match="wanted a JPEG, PNG, TIFF or BMP"):
        open_windows(str(path))
    with pytest.raises(InputError, match=r"found float64 \(2, 3, 3\)"):
        open_windows(np.zeros((2, 3, 3)))
    with pytest.raises(InputError, match="does not exist"):
        open_windows(str(tmp_path / "b.png"))
