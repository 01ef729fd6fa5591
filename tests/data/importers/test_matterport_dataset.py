"""`data/importers/matterport_dataset.py`: a class as Matterport's users write it."""

import numpy as np
import pytest
from PIL import Image

from tfmaskrcnn.data.coco.segmentation import decode
from tfmaskrcnn.data.importers import from_matterport
from tfmaskrcnn.errors import InputError


class Dataset:
    """What Matterport's base class does, in few words, and a user's `load_mask`."""

    def __init__(self, masks, classes, paths):
        self._given, self.masks, self.classes = paths, masks, classes
        self.image_ids = []
        self.class_info = [
            {"source": "", "id": k, "name": n} for k, n in enumerate(("BG", "a", "b"))
        ]

    def prepare(self):
        self.image_info = [
            {"id": f"i{n}", "source": "mine", "path": path} for n, path in enumerate(self._given)
        ]
        self.image_ids = np.arange(len(self._given))

    def load_image(self, image_id):
        return np.full((20, 30, 3), 7 * image_id, np.uint8)

    def load_mask(self, image_id):
        return self.masks[image_id], self.classes[image_id]


@pytest.fixture
def masks():
    masks = np.zeros((20, 30, 2), bool)
    masks[2:5, 3:9, 0] = masks[10:15, 1:4, 1] = masks[18, 29, 1] = True
    return masks


def test_masks_are_kept_exactly_and_negative_classes_are_crowds(tmp_path, masks):
    paths = [str(tmp_path / name) for name in ("x.png", "y.png")]
    for path in paths:
        Image.new("RGB", (30, 20)).save(path)
    none = np.zeros((20, 30, 0)), np.zeros(0)
    dataset = Dataset([masks, none[0]], [np.array([2.0, -1.0]), none[1]], paths)
    found = from_matterport(dataset)
    assert found.image_dir == str(tmp_path)
    assert [i["file_name"] for i in found.coco["images"]] == ["x.png", "y.png"]
    assert [c["name"] for c in found.coco["categories"]] == ["a", "b"]
    one, other = found.coco["annotations"]
    assert (one["category_id"], one["iscrowd"]) == (2, 0)
    assert (other["category_id"], other["iscrowd"]) == (1, 1)
    for n, annotation in enumerate((one, other)):
        np.testing.assert_array_equal(decode(annotation["segmentation"], 20, 30), masks[..., n])


def test_images_without_a_file_are_written(tmp_path, masks):
    dataset = Dataset([masks, masks], [[1, 1], [2, 2]], [None, "gone.png"])
    with pytest.raises(InputError, match="image 0 has no file; give the folder to write it to"):
        from_matterport(dataset)
    found = from_matterport(dataset, str(tmp_path / "new"))
    assert [i["file_name"] for i in found.coco["images"]] == ["000000.png", "000001.png"]
    with Image.open(tmp_path / "new" / "000001.png") as image:
        assert (np.asarray(image) == 7).all()


@pytest.mark.parametrize(
    "shape, classes, said",
    [
        ((20, 30, 2), [1, 3], r"image 0 \(i0\): object 1: its class is 3, wanted 1 to 2"),
        ((20, 30, 2), [1], r"masks \(20, 30, 2\) for 1 classes"),
        ((30, 20, 1), [1], r"object 0: its mask is \(30, 20\), wanted the image's \(20, 30\)"),
        ((20, 30, 1), [1], "object 0: its mask has no pixel"),
    ],
)
def test_what_is_wrong_names_the_image_and_the_object(tmp_path, shape, classes, said):
    dataset = Dataset([np.zeros(shape, bool)], [classes], [None])
    with pytest.raises(InputError, match=said):
        from_matterport(dataset, str(tmp_path))
