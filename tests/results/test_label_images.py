"""`results/label_images.py`: numbers as pixels, in 16 or 32 bits."""

import os

import numpy as np
import pytest
import tifffile
from PIL import Image
from pycocotools import mask as coco_mask

from helpers.some_results import OPTIONS, result_of, some_masks
from tfmaskrcnn.data.importers.png_masks import from_png_masks
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.results.label_images import write

TIFF = OPTIONS._replace(label_format="tiff")


def wanted_labels(masks, numbers):
    """Painted from the worst to the best."""
    labels = np.zeros(masks.shape[1:], int)
    for mask, number in list(zip(masks, numbers))[::-1]:
        labels[mask] = number
    return labels


@pytest.mark.parametrize("numbers", [[1, 2, 3, 4, 5], [300, 65535, 7, 1, 2]])
def test_a_pixel_is_the_number_of_its_best_object_in_16_bits(tmp_path, numbers):
    result = result_of(name="sub/a.jpg", ids=numbers)
    wanted = wanted_labels(some_masks(), numbers)
    write(result, str(tmp_path), TIFF)
    read = tifffile.imread(tmp_path / "sub" / "a.tif")
    assert read.dtype == np.uint16
    np.testing.assert_array_equal(read, wanted)
    write(result, str(tmp_path), OPTIONS)
    assert os.listdir(tmp_path / "sub") == ["a.png"]  # nothing is left of the other format
    with Image.open(tmp_path / "sub" / "a.png") as image:
        assert image.mode.startswith("I;16")
        np.testing.assert_array_equal(np.asarray(image), wanted)


@pytest.mark.parametrize("options", [OPTIONS, TIFF])
def test_larger_numbers_are_a_tiff_of_32_bits_which_is_told(tmp_path, caplog, options):
    numbers = [70000, 1, 2, 3, 2**31 - 1]
    write(result_of(ids=numbers), str(tmp_path), options)
    assert os.listdir(tmp_path) == ["a.tif"]
    read = tifffile.imread(tmp_path / "a.tif")
    assert read.dtype == np.int32
    np.testing.assert_array_equal(read, wanted_labels(some_masks(), numbers))
    write(result_of(name="b.png", ids=numbers), str(tmp_path), options)
    assert caplog.text.count("which no PNG holds") == (options is OPTIONS)  # once


def test_nothing_found_is_an_image_of_zeros(tmp_path):
    write(result_of(some_masks()[:0], exact_rle=None), str(tmp_path), OPTIONS)
    assert not np.asarray(Image.open(tmp_path / "a.png")).any()


@pytest.mark.parametrize("options", [OPTIONS, TIFF])
def test_the_importer_reads_the_same_pixels(tmp_path, options):
    images, written = tmp_path / "images", tmp_path / "labels"
    images.mkdir()
    result = result_of(ids=[9, 2, 300, 4, 5])
    Image.fromarray(result.image).save(images / "a.png")
    write(result, str(written), options)
    read = from_png_masks(str(written), str(images)).coco
    labels = wanted_labels(some_masks(), [9, 2, 300, 4, 5])
    assert len(read["annotations"]) == 5
    for annotation, number in zip(read["annotations"], [2, 4, 5, 9, 300]):
        read_mask = coco_mask.decode(annotation["segmentation"])
        np.testing.assert_array_equal(read_mask, labels == number)


def test_a_place_that_cannot_be_written_is_a_sentence(tmp_path):
    (tmp_path / "sub").write_text("a file")
    with pytest.raises(InputError, match="Cannot write into the folder"):
        write(result_of(name="sub/a.png"), str(tmp_path), OPTIONS)
