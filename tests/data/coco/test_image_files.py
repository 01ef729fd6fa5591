"""`data/coco/image_files.py`: every kind of pixel that Pillow reads, and what is no image."""

import numpy as np
import pytest
from PIL import Image, ImageOps

from tfmaskrcnn.data import read_image
from tfmaskrcnn.data.coco.image_files import image_facts
from tfmaskrcnn.errors import InputError


@pytest.fixture
def save(tmp_path):
    def save_it(image, name="x.png", **options):
        path = str(tmp_path / name)
        image.save(path, **options)
        return path

    return save_it


def pixels(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def test_rgb_and_the_colours_of_rgba_are_read_as_stored(save):
    rgba = pixels(6, 9, 4)
    rgba[0, 0] = (250, 10, 20, 0)  # transparent, not blended with anything
    for image in (rgba, rgba[..., :3]):
        found = read_image(save(Image.fromarray(image)), expected_size=(6, 9))
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, rgba[..., :3])


@pytest.mark.parametrize("channels", [1, 2])
def test_grey_is_repeated_with_or_without_alpha(save, channels):
    image = pixels(6, 9, channels)
    path = save(Image.fromarray(image.squeeze()))
    np.testing.assert_array_equal(read_image(path), np.repeat(image[..., :1], 3, axis=-1))


def test_a_palette_is_looked_up(save):
    image = Image.fromarray(pixels(6, 9, 3)).quantize(16)
    found = read_image(save(image))
    np.testing.assert_array_equal(found, np.asarray(image.convert("RGB")))
    assert len(np.unique(found.reshape(-1, 3), axis=0)) > 4


def test_black_and_white_becomes_0_and_255(save):
    image = Image.fromarray(pixels(6, 9)).convert("1")
    found = read_image(save(image))
    np.testing.assert_array_equal(found[..., 0], np.asarray(image) * 255)


@pytest.mark.parametrize("name", ["x.png", "x.tif"])
def test_16_bit_grey_is_divided_by_257(save, name):
    deep = np.array([[0, 257, 385, 386, 65535, 65278]], np.uint16)
    found = read_image(save(Image.fromarray(deep), name))
    np.testing.assert_array_equal(found[0, :, 1], [0, 1, 1, 2, 255, 254])


def test_cmyk_becomes_rgb(save):
    image = Image.fromarray(np.full((20, 20, 4), (255, 0, 0, 0), np.uint8), "CMYK")
    found = read_image(save(image, "x.jpg"))
    assert found.shape == (20, 20, 3) and found[5, 5, 0] < 10 and found[5, 5, 2] > 245


def _with_orientation(save, orientation, name):
    exif = Image.Exif()
    exif[0x0112] = orientation
    # Blocks of one value, which JPEG keeps nearly as they are.
    image = Image.fromarray(np.repeat(np.repeat(BLOCKS, 8, axis=0), 8, axis=1))
    if name.endswith(".tif"):
        return save(image, name, tiffinfo={274: orientation})
    return save(image, name, exif=exif)


BLOCKS = (np.arange(12, dtype=np.uint8) * 20).reshape(3, 4)
# What Pillow's own `ImageOps.exif_transpose` makes of BLOCKS, by orientation.
SEEN = {
    1: BLOCKS,
    2: BLOCKS[:, ::-1],
    3: BLOCKS[::-1, ::-1],
    4: BLOCKS[::-1],
    5: BLOCKS.T,
    6: np.rot90(BLOCKS, -1),
    7: BLOCKS[::-1, ::-1].T,
    8: np.rot90(BLOCKS, 1),
}


@pytest.mark.parametrize("orientation", SEEN)
@pytest.mark.parametrize("name", ["x.jpg", "x.png", "x.tif", "x.webp"])
def test_an_exif_orientation_is_applied_or_ignored_as_asked(save, orientation, name):
    path = _with_orientation(save, orientation, name)
    with open(path, "rb") as file, Image.open(file) as image:
        seen = np.asarray(ImageOps.exif_transpose(image).convert("L"))[4::8, 4::8]
    np.testing.assert_allclose(seen, SEEN[orientation], atol=4)
    for exif, expected in (("apply", SEEN[orientation]), ("ignore", BLOCKS)):
        found = read_image(path, exif=exif)[4::8, 4::8, 0].astype(int)
        np.testing.assert_allclose(found, expected, atol=4)
        facts = image_facts(path, exif=exif)
        assert (facts.height, facts.width) == tuple(8 * n for n in expected.shape)
        assert facts.orientation == orientation


def test_a_set_drawn_on_the_other_view_is_told_which_it_is(save):
    path = _with_orientation(save, 6, "x.jpg")
    with pytest.raises(InputError, match="32 x 24 .* say 24 x 32; .* set input.exif=ignore"):
        read_image(path, expected_size=(24, 32))
    with pytest.raises(InputError, match="24 x 32 .* say 32 x 24; .* set input.exif=apply"):
        read_image(path, expected_size=(32, 24), exif="ignore")
    upright = _with_orientation(save, 1, "y.jpg")
    with pytest.raises(InputError, match="say 32 x 24; height and width are exchanged") as caught:
        read_image(upright, expected_size=(32, 24))
    assert "EXIF" not in str(caught.value)


def test_a_damaged_or_senseless_orientation_is_none(save):
    for orientation in (0, 9, 60000):
        path = _with_orientation(save, orientation, "x.jpg")
        assert read_image(path).shape == (24, 32, 3)


def test_no_file_is_handed_to_ghostscript(save, tmp_path):
    (tmp_path / "x.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EOF\n")
    with pytest.raises(InputError, match="not an image that Pillow can read"):
        read_image(str(tmp_path / "x.png"))


def test_another_size_than_expected_is_named(save):
    path = save(Image.fromarray(pixels(6, 9, 3)))
    with pytest.raises(InputError, match=r"x.png is 6 x 9 pixels .* annotations say 6 x 10\.$"):
        read_image(path, expected_size=(6, 10))


def test_floats_and_32_bit_integers_are_refused(save):
    with pytest.raises(InputError, match="x.tif holds 32-bit floats; wanted 8 or 16 bits"):
        read_image(save(Image.fromarray(np.zeros((4, 4), np.float32)), "x.tif"))
    with pytest.raises(InputError, match="values from 0 to 70000; wanted 8 or 16 bits"):
        read_image(save(Image.fromarray(np.array([[0, 70000]], np.int32)), "x.tif"))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="gone.jpg does not exist"):
        read_image(str(tmp_path / "gone.jpg"))


def test_an_empty_file_and_a_text_are_named(tmp_path):
    path = tmp_path / "x.jpg"
    path.write_bytes(b"")
    with pytest.raises(InputError, match=r"x.jpg is empty \(0 bytes\)"):
        read_image(str(path))
    path.write_text("<html>404</html>")
    with pytest.raises(InputError, match="x.jpg is not an image that Pillow can read"):
        read_image(str(path))


@pytest.mark.parametrize("name", ["x.jpg", "x.png", "x.tif"])
@pytest.mark.parametrize("share", [0.3, 0.8])
def test_a_truncated_file_is_named(save, name, share):
    path = save(Image.fromarray(pixels(64, 64, 3)), name)
    with open(path, "rb") as file:
        content = file.read()
    with open(path, "wb") as file:
        file.write(content[: int(len(content) * share)])
    with pytest.raises(InputError, match=f"{name} (cannot be decoded|is not an image)"):
        read_image(path)


def test_a_folder_is_named(tmp_path):
    with pytest.raises(InputError, match="cannot be decoded: .*directory"):
        read_image(str(tmp_path))


def test_one_and_four_channels_are_read(save):
    rgb = pixels(6, 9, 3)
    path = save(Image.fromarray(rgb), "colour.png")
    grey = read_image(path, channels=1)
    np.testing.assert_array_equal(grey[..., 0], np.asarray(Image.fromarray(rgb).convert("L")))
    found = read_image(path, channels=4)
    np.testing.assert_array_equal(found[..., :3], rgb)
    assert (found[..., 3] == 255).all()


def test_npy_files_hold_any_number_of_channels(tmp_path):
    array = np.random.default_rng(0).integers(0, 256, (5, 7, 6), dtype=np.uint8)
    path = str(tmp_path / "six.npy")
    np.save(path, array)
    np.testing.assert_array_equal(read_image(path, (5, 7), channels=6), array)
    with pytest.raises(InputError, match=r"uint8 \(5, 7, 6\); wanted uint8 \[height, width, 3\]"):
        read_image(path)
    with open(path, "wb") as file:
        file.write(b"nothing")
    with pytest.raises(InputError, match="no array that NumPy can read"):
        read_image(path, channels=6)
    with pytest.raises(InputError, match="must be an .npy file"):
        read_image("six.png", channels=6)
