import base64
import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tfmaskrcnn.errors import InputError
from tfmaskrcnn.serving.sending import checked_images

RGB = np.zeros((6, 9, 3), np.uint8)


def encoded(kind="PNG"):
    stream = io.BytesIO()
    Image.fromarray(RGB).save(stream, kind)
    return stream.getvalue()


def refusal(images, channels=None):
    with pytest.raises(InputError) as error:
        checked_images(images, channels)
    assert len(str(error.value)) < 300
    return str(error.value)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "GIF", "WEBP"])
def test_base64_text_is_told_from_the_bytes_of_an_image(kind):
    data = encoded(kind)
    assert checked_images([data, bytearray(data)]) == [data, data]
    for text in (base64.b64encode(data), b"data:image/png;base64," + base64.b64encode(data)):
        assert "Image 1 is base64 text; give the bytes of the file" in refusal([data, text])
        assert "Image 0 is base64 text (base64.b64decode" in refusal([text.decode()])
        assert "found base64 text" in refusal(text.decode())


def test_bytes_that_are_no_image_are_left_to_the_server():
    for data in (b"", b"x", b"abcd", b"no image", os.urandom(50)):
        assert checked_images([data]) == [data]


@pytest.mark.parametrize("path", ["photo.jpg", Path("photo.jpg"), "x" * 2000])
def test_a_path_is_told_how_to_become_bytes(path):
    assert "give the bytes of the file" in refusal([path])
    assert "put the one image in a list" in refusal(path)


@pytest.mark.parametrize("image", [b"file", RGB, RGB[..., 0]])
def test_a_single_image_is_told_to_go_into_a_list(image):
    assert "put the one image in a list" in refusal(image)


@pytest.mark.parametrize(
    "images, sentence",
    [
        ([], "found an empty one"),
        (np.zeros((0, 6, 9, 3), np.uint8), "found an empty one"),
        (None, "found a NoneType"),
        (7, "found a int"),
        ([None], "Image 0 is a NoneType"),
        ([RGB, object()], "Image 1 is a object"),
        ([[[1, 2], [3]]], "Image 0 is a list"),
        ([b"x", RGB], "found both in one list"),
        ([RGB[..., 0]], "shape (6, 9); wanted uint8 of [height, width, 3]: np.repeat(grey"),
        ([RGB[None]], "shape (1, 6, 9, 3); wanted uint8 of [height, width, 3]."),
        ([RGB.astype(np.float32)], "Image 0 is an array of float32; wanted uint8"),
        ([RGB.astype(np.int64)], "Image 0 is an array of int64; wanted uint8"),
        ([RGB > 0], "Image 0 is an array of bool; wanted uint8"),
        ([np.array(["a"])], "Image 0 is a ndarray"),
        ([RGB[:0]], "Image 0 has no pixels, its shape is (0, 9, 3)"),
        ([RGB[..., :2], RGB[:3, :, :2]], "found (3, 9, 2) and (6, 9, 2); call predict once for"),
    ],
)
def test_what_is_no_list_of_images_is_one_sentence(images, sentence):
    assert sentence in refusal(images)


def test_channels_are_those_of_the_model_where_they_are_known():
    rgba = np.zeros((6, 9, 4), np.uint8)
    assert "(6, 9, 4); wanted uint8 of [height, width, 3]: array[..., :3]" in refusal([rgba], 3)
    assert "(6, 9, 3); wanted uint8 of [height, width, 4]." in refusal([RGB], 4)
    assert all(image.startswith(b"\x89PNG") for image in checked_images([rgba], 4))
    two = RGB[..., :2]
    assert checked_images([two], 2)[0] is two and checked_images([two])[0] is two


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_arrays_of_any_sizes_become_files_of_the_same_pixels(channels):
    rng = np.random.default_rng(channels)
    arrays = [rng.integers(0, 256, (*size, channels), np.uint8) for size in ((1, 1), (7, 300))]
    arrays.append(arrays[1][::2, ::-3])  # a view
    for array, file in zip(arrays, checked_images(arrays)):
        with Image.open(io.BytesIO(file)) as image:
            np.testing.assert_array_equal(np.asarray(image).reshape(array.shape), array)


def test_a_batch_as_one_array_is_a_list_of_its_images():
    assert len(checked_images(np.zeros((5, 6, 9, 3), np.uint8))) == 5
    assert len(checked_images(image for image in [RGB, RGB])) == 2
