"""`results/mask_files.py`: a PNG an object, which the importer reads back."""

import os

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from helpers.some_results import OPTIONS, boxes_alone, result_of, some_masks
from tfmaskrcnn.data.importers.png_masks import from_png_masks
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.results.mask_files import write


def test_each_file_is_a_mask_of_the_images_size(tmp_path):
    masks = some_masks()
    write(result_of(masks), str(tmp_path), OPTIONS)
    files = sorted(os.listdir(tmp_path / "a"))
    assert files[:2] == ["0001_nucleus.png", "0002_two-words--1.png"]
    for name, mask in zip(files, masks):
        with Image.open(tmp_path / "a" / name) as image:
            assert image.mode == "L"
            np.testing.assert_array_equal(np.asarray(image), mask * 255)


def test_the_importer_reads_the_same_masks(tmp_path):
    images, written = tmp_path / "images", tmp_path / "masks"
    images.mkdir()
    written.mkdir()
    masks = some_masks()
    results = [result_of(masks), result_of(masks[:0], name="b.png"), result_of(masks[:2], "c.png")]
    for result in results:
        Image.fromarray(result.image).save(images / result.file_name)
        write(result, str(written), OPTIONS)
    read = from_png_masks(str(written), str(images)).coco
    names = {image["id"]: image["file_name"] for image in read["images"]}
    assert sorted(names.values()) == ["a.png", "b.png", "c.png"]
    for name, wanted in (("a.png", masks), ("b.png", masks[:0]), ("c.png", masks[:2])):
        found = [a for a in read["annotations"] if names[a["image_id"]] == name]
        assert len(found) == len(wanted)
        for annotation, mask in zip(found, wanted):
            np.testing.assert_array_equal(coco_mask.decode(annotation["segmentation"]), mask)


def test_boxes_alone_are_refused(tmp_path):
    with pytest.raises(InputError, match="--save masks wants masks"):
        write(boxes_alone(), str(tmp_path), OPTIONS)
    assert not os.listdir(tmp_path)
