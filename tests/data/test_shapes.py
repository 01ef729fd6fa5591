"""`data/shapes.py`: what is drawn and what is annotated must be the same."""

import json
import os

import numpy as np
import pytest
from PIL import Image

from tfmaskrcnn.data import load_coco, make_shapes, write_shapes
from tfmaskrcnn.data.coco.annotations import checked_segmentation
from tfmaskrcnn.data.coco.segmentation import decode
from tfmaskrcnn.data.shapes import SHAPES
from tfmaskrcnn.errors import InputError


def masks_of(coco, image_id):
    entry = coco["images"][image_id - 1]
    size = entry["height"], entry["width"]
    found = [a for a in coco["annotations"] if a["image_id"] == image_id]
    return found, [decode(checked_segmentation(a["segmentation"], *size), *size) for a in found]


def test_the_same_arguments_give_the_same_set_and_longer_sets_begin_alike():
    few, coco = make_shapes(2, 60, 80, seed=5)
    more, longer = make_shapes(4, 60, 80, seed=5)
    np.testing.assert_array_equal(few, more[:2])
    assert coco["annotations"] == longer["annotations"][: len(coco["annotations"])]
    other, _ = make_shapes(2, 60, 80, seed=6)
    assert not np.array_equal(few, other)


@pytest.mark.parametrize("seed", range(20))
def test_masks_do_not_overlap_and_fit_their_boxes_and_areas(seed):
    drawn, coco = make_shapes(1, 120, 140, num_objects=(3, 8), seed=seed, classes=SHAPES)
    assert drawn[0].shape == (120, 140, 3) and drawn[0].dtype == np.uint8
    annotations, masks = masks_of(coco, 1)
    assert np.max(np.sum(masks, axis=0)) == 1
    for annotation, mask in zip(annotations, masks):
        assert annotation["area"] == np.count_nonzero(mask) >= 16
        rows, cols = np.nonzero(mask)
        x, y, width, height = annotation["bbox"]
        tight = [cols.min(), rows.min(), cols.max() + 1, rows.max() + 1]
        # A polygon's box reaches to its corners, which may be thinner than a pixel.
        np.testing.assert_allclose([x, y, x + width, y + height], tight, atol=2.5)
        assert x >= 0 and y >= 0 and x + width <= 140 and y + height <= 120


def test_hidden_objects_are_rle_and_free_ones_polygons():
    _, coco = make_shapes(10, 120, 140, num_objects=(4, 8))
    kinds = {type(a["segmentation"]) for a in coco["annotations"]}
    assert kinds == {list, dict}
    # Corners are exact in float32: a reader rasterises the very pixels that were painted.
    for polygons in (a["segmentation"] for a in coco["annotations"]):
        if isinstance(polygons, list):
            assert np.float32(polygons[0]).tolist() == polygons[0]


def test_the_mask_is_where_the_object_was_painted():
    # Between an object's texture and the background the mean colour jumps.
    drawn, coco = make_shapes(8, 120, 140, num_objects=(1, 1), seed=1)
    contrasts = []
    for i, image in enumerate(drawn):
        (mask,) = masks_of(coco, i + 1)[1]
        inner, outer = image[mask].mean(axis=0), image[~mask].mean(axis=0)
        near = np.linalg.norm(image - inner, axis=-1) < np.linalg.norm(image - outer, axis=-1)
        contrasts.append(np.mean(near == mask))
    assert np.median(contrasts) > 0.97


def test_the_number_of_objects_and_the_classes_are_as_asked():
    _, coco = make_shapes(20, 200, 200, num_objects=(0, 0))
    assert coco["annotations"] == [] and len(coco["images"]) == 20
    _, coco = make_shapes(20, 400, 400, num_objects=(2, 3), classes=("star", "circle"))
    assert [c["name"] for c in coco["categories"]] == ["star", "circle"]
    assert {a["category_id"] for a in coco["annotations"]} == {1, 2}
    counts = np.bincount([a["image_id"] for a in coco["annotations"]])[1:]
    assert counts.max() == 3 and counts.min() >= 1


def test_wrong_arguments_are_named():
    with pytest.raises(InputError, match="hexagon.*choice of circle, square, triangle, star"):
        make_shapes(1, classes=("hexagon",))
    with pytest.raises(InputError, match=r"num_objects \(3, 2\)"):
        make_shapes(1, num_objects=(3, 2))


def test_the_written_set_is_the_made_one(tmp_path):
    json_path, image_dir = write_shapes(str(tmp_path), 3, height=50, width=70, seed=2)
    drawn, coco = make_shapes(3, 50, 70, seed=2)
    with open(json_path) as file:
        assert json.load(file) == coco
    for image, entry in zip(drawn, coco["images"]):
        stored = Image.open(os.path.join(image_dir, entry["file_name"]))
        np.testing.assert_array_equal(np.asarray(stored), image)
    data = load_coco(json_path, image_dir)
    assert sum(len(r.classes) for r in data.records) == len(coco["annotations"])
