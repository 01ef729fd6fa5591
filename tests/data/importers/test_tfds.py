"""`data/importers/tfds.py`: examples of arrays, tensors, encoded images."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfmaskrcnn.data import load_coco
from tfmaskrcnn.data.coco.segmentation import decode
from tfmaskrcnn.data.importers import from_tfds
from tfmaskrcnn.errors import InputError


def example(n=0, **objects):
    image = np.full((20, 40, 3), 50 + n, np.uint8)
    return {"image": image, "image/filename": f"{n}.jpg".encode(), "objects": objects}


BOXES = {"bbox": np.float32([[0.1, 0.25, 0.5, 0.75], [0, 0, 1, 1]]), "label": np.array([1, 0])}


def test_boxes_alone_make_a_set_for_a_model_without_masks(tmp_path):
    examples = [example(0, **BOXES, is_crowd=np.array([False, True])), example(1)]
    found = from_tfds(examples, ["dog", "cat"], str(tmp_path / "images"))
    assert [i["file_name"] for i in found.coco["images"]] == ["0.png", "1.png"]
    one, other = found.coco["annotations"]
    np.testing.assert_allclose(one["bbox"], [10, 2, 20, 8], atol=1e-5)
    assert (one["category_id"], one["iscrowd"], other["iscrowd"]) == (2, 0, 1)
    assert "segmentation" not in one
    found.write(str(tmp_path / "out.json"))
    assert len(load_coco(str(tmp_path / "out.json"), found.image_dir, masks=False).records) == 2


def test_tensors_masks_and_encoded_images_of_a_dataset(tmp_path):
    mask = np.zeros((2, 20, 40, 1), np.uint8)
    mask[0, 2:5, 2:5], mask[1, 9, 7:30] = 1, 1
    buffer = io.BytesIO()
    Image.new("RGB", (40, 20)).save(buffer, "jpeg")
    single = {"image": buffer.getvalue(), "objects": {**BOXES, "mask": mask}}
    dataset = tf.data.Dataset.from_tensors(single)
    found = from_tfds(dataset, ["dog", "cat"], str(tmp_path))
    assert found.coco["images"][0]["file_name"] == "000000.jpg"
    assert (tmp_path / "000000.jpg").read_bytes() == buffer.getvalue()
    for n, annotation in enumerate(found.coco["annotations"]):
        np.testing.assert_array_equal(
            decode(annotation["segmentation"], 20, 40), mask[n, ..., 0] > 0
        )


def test_objects_may_be_a_list_of_dictionaries(tmp_path):
    rows = [{key: BOXES[key][n] for key in BOXES} for n in range(2)]
    found = from_tfds([{**example(), "objects": rows}], ["dog", "cat"], str(tmp_path))
    assert [a["category_id"] for a in found.coco["annotations"]] == [2, 1]


@pytest.mark.parametrize(
    "change, said",
    [
        (
            {"objects": {**BOXES, "label": np.array([1, 5])}},
            "object 1: its label is 5, wanted 0 to 1",
        ),
        ({"objects": {**BOXES, "label": np.array([1])}}, "1 labels, but 2 of 'bbox'"),
        ({"objects": {"label": np.array([1])}}, "have neither 'bbox' nor 'mask'"),
        ({"objects": {"bbox": BOXES["bbox"]}}, "its objects have no 'label'"),
        ({"image": np.zeros((4, 4, 3))}, "float64 .*, wanted uint8"),
        ({"image": b"abc"}, "its 3 bytes are no image"),
        ({"image/filename": b"../../a.png"}, "leads out of the folder"),
        (
            {"objects": {"bbox": [[0.5, 0, 0.5, 1]], "label": [0]}},
            "object 0: its box .* has no area",
        ),
    ],
)
def test_what_is_wrong_names_the_example(tmp_path, change, said):
    with pytest.raises(InputError, match=f"example 0.*{said}"):
        from_tfds([{**example(0, **BOXES), **change}], ["dog", "cat"], str(tmp_path))
