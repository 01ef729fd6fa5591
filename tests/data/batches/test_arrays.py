"""`data/batches/arrays.py`: the batches of the same set as COCO JSON, and what is refused."""

import json
import logging
import re

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import tfmaskrcnn as mr
from helpers.paths import ROOT
from helpers.tiny import tiny_config
from tfmaskrcnn.data import from_arrays, from_coco, make_shapes
from tfmaskrcnn.data.coco.segmentation import decode
from tfmaskrcnn.errors import InputError

NAMES = ["circle", "square", "triangle"]
HEIGHT, WIDTH = 60, 80
AUGMENTED = (
    "data.augment.vertical_flip=0.5",
    "data.augment.scale=[0.8, 1.6]",
    "data.augment.rotation=20",
    "data.augment.crop=[64, 64]",
    "data.augment.contrast=0.2",
    "data.augment.copy_paste=0.5",
)


def drawn_set():
    """Images RGB, grey, with alpha and grey of 16 bits, and a COCO dictionary of their objects."""
    images, coco = make_shapes(4, HEIGHT, WIDTH, num_objects=(2, 5), seed=5)
    grey, deep = images[1][..., 0], np.uint16(images[3][..., 0]) * 257 + 100
    alpha = np.dstack([images[2], images[2][..., :1]])
    first, last = coco["annotations"][0], coco["annotations"][-1]
    first["iscrowd"] = 1
    mask = decode(last["segmentation"], HEIGHT, WIDTH)
    last["segmentation"] = {"size": [HEIGHT, WIDTH], "counts": runs(mask)}
    return [images[0], grey, alpha, deep], coco


def runs(mask):
    """Lengths of an uncompressed RLE, of zeros first."""
    flat = np.concatenate([[0], mask.T.reshape(-1)]).astype(int)  # COCO counts along columns
    edges = np.flatnonzero(np.diff(flat))
    return np.diff([0, *edges, mask.size]).tolist()


def objects_of(coco, image_id):
    """Boxes, classes, masks and crowd of an image; RLEs with texts become masks of full size."""
    mine = [a for a in coco["annotations"] if a["image_id"] == image_id]
    boxes = [[y, x, y + h, x + w] for x, y, w, h in (a["bbox"] for a in mine)]
    masks = [a["segmentation"] for a in mine]
    packed = [isinstance(m, dict) and isinstance(m["counts"], str) for m in masks]
    masks = [255 * np.uint8(decode(m, HEIGHT, WIDTH)) if p else m for p, m in zip(packed, masks)]
    classes = np.array([a["category_id"] for a in mine])
    return np.array(boxes).reshape(-1, 4), classes, masks, [a["iscrowd"] for a in mine]


def same_batches(first, second, epochs=2):
    for _ in range(epochs):
        pairs = list(zip(first.as_numpy_iterator(), second.as_numpy_iterator()))
        assert len(pairs) == len(first) == len(second)
        for a, b in pairs:
            assert set(a) == set(b)
            for key in a:
                np.testing.assert_array_equal(a[key], b[key], err_msg=key)


@pytest.mark.parametrize("training", [True, False])
def test_batches_are_those_of_the_same_data_as_coco_json_to_the_bit(tmp_path, training):
    images, coco = drawn_set()
    kinds = {type(m["counts"]) if isinstance(m, dict) else list for m in segmentations(coco)}
    assert kinds >= {str, list}
    for image, entry in zip(images, coco["images"]):
        Image.fromarray(image).save(tmp_path / entry["file_name"])
    columns = list(zip(*(objects_of(coco, entry["id"]) for entry in coco["images"])))
    for annotation in coco["annotations"]:
        if annotation["image_id"] == coco["images"][2]["id"]:
            del annotation["bbox"]
    boxes = [None if i == 2 else found for i, found in enumerate(columns[0])]
    (tmp_path / "set.json").write_text(json.dumps(coco))
    config = tiny_config(*AUGMENTED, "train.batch_size=3", "evaluation.batch_size=3")
    found = from_arrays(
        images, boxes, *columns[1:3], config, training, class_names=NAMES, crowd=columns[3]
    )
    expected = from_coco(str(tmp_path / "set.json"), str(tmp_path), config, training)
    same_batches(found, expected)
    assert found.image_names == {i + 1: f"images[{i}]" for i in range(4)}


def segmentations(coco):
    return [annotation["segmentation"] for annotation in coco["annotations"]]


def some_set(**changes):
    """Two images of two objects and one, and keywords of `from_arrays`; `changes` replace them."""
    masks = [np.zeros((n, *size), bool) for n, size in ((2, (40, 60)), (1, (50, 30)))]
    masks[0][0, 5:20, 10:40] = masks[0][1, 22:35, 4:50] = masks[1][0, 10:40, 3:25] = True
    parts = {
        "images": [np.zeros((40, 60, 3), np.uint8), np.ones((50, 30, 3), np.uint8)],
        "boxes": [np.array([[5, 10, 20, 40], [22, 4, 35, 50]]), np.array([[10, 3, 40, 25]])],
        "classes": [[1, 2], [3]],
        "masks": masks,
    }
    return {**parts, **changes}


def made(*overrides, class_names=NAMES, **changes):
    config = tiny_config("evaluation.batch_size=2", "data.augment.horizontal_flip=0", *overrides)
    return from_arrays(
        **some_set(**changes), config=config, training=False, class_names=class_names
    )


def test_one_array_of_images_is_the_list_of_them_and_is_neither_copied_nor_changed():
    whole = np.arange(2 * 40 * 60 * 3).astype(np.uint8).reshape(2, 40, 60, 3)
    nothing = {"boxes": [[], []], "classes": [[], []], "masks": [[], np.zeros((0, 40, 60))]}
    before = whole.copy()
    config = tiny_config("train.batch_size=2")

    def darker(image, seed, **others):
        image[:] = 0
        return {"image": image}

    masks = np.ones((2, 1, 40, 60), np.float32)
    parts = whole, None, np.ones((2, 1), np.int64), masks
    dark = from_arrays(*parts, config, training=True, transform=darker)
    image = next(iter(dark))["image"].numpy()
    assert np.ptp(image[:, :80, :, 0]) == 0  # without the padding
    np.testing.assert_array_equal(whole, before)
    listed = made(images=list(whole), **nothing)
    same_batches(made(images=whole, **nothing), listed, epochs=1)


def test_names_are_those_of_the_model_or_numbers():
    assert made(class_names=None).image_names[1] == "images[0]"
    with pytest.raises(InputError, match="class 1 is 'circle', but model.class_names says 'a'"):
        made("model.class_names=[a, b, c]")
    made("model.class_names=[a, b, c]", class_names=None)
    with pytest.raises(InputError, match="has 2 names, .*; set model.num_classes=2"):
        made(class_names=["a", "b"])


def test_boxes_alone_are_enough_without_a_mask_branch():
    batch = next(iter(made("mask_head.enabled=false", masks=None)))
    assert "gt_masks" not in batch and batch["gt_valid"].numpy().sum() == 3


POINTS = np.array([[10, 5], [40, 5], [40, 20], [10, 20]])  # x, y
FULL = some_set()["masks"]
WRONG = {
    "floats": ({"images": [np.zeros((40, 60, 3)), None]}, r"images\[0\] is float64 .*255 \* image"),
    "bytes as floats": ({"images": [np.full((40, 60, 3), 9.0), None]}, r"np.round\(image\)"),
    "normalised": ({"images": [np.full((40, 60, 3), -1.5), None]}, "before they were normalised"),
    "whole numbers": ({"images": [np.zeros((40, 60, 3), int), None]}, "int64 .* wanted uint8"),
    "channels first": ({"images": [np.zeros((3, 40, 60), np.uint8), None]}, "channels last"),
    "two channels": ({"images": [np.zeros((40, 60, 2), np.uint8), None]}, r"\(40, 60, 2\)"),
    "a path": ({"images": ["a.png", "b.png"]}, "read_image"),
    "one image": ({"images": np.zeros((40, 60, 3), np.uint8)}, "put the one image in a list"),
    "no image": ({"images": []}, "images is empty"),
    "no list": ({"images": iter([])}, "wanted a list with an entry for every image"),
    "fewer classes": ({"classes": [[1, 2]]}, "classes has 1 entries, but there are 2 images"),
    "no classes": ({"classes": None}, "classes is None"),
    "fewer boxes": ({"boxes": [[[5, 10, 20, 40]], []]}, r"images\[0\] has 1 boxes, but 2 classes"),
    "fewer masks": ({"masks": [FULL[0][:1], FULL[1]]}, r"images\[0\] has 1 masks, but 2 classes"),
    "neither": ({"boxes": None, "masks": None}, "neither boxes nor masks"),
    "no masks": ({"masks": None}, "mask_head.enabled=false"),
    "class 0": ({"classes": [[0, 1], [2]]}, r"images\[0\], object 0: its class is 0.*background"),
    "class 4": (
        {"classes": [[1, 2], [4]]},
        "object 0: its class is 4, wanted 1 to 3",
    ),
    "half a class": ({"classes": [[1.5, 2], [3]]}, "wanted a whole number"),
    "shares": ({"boxes": [[[0.1, 0.2, 0.5, 0.6]] * 2, [[0, 0, 1, 1]]]}, "lie in 0..1"),
    "nan": ({"boxes": [[[5, 10, np.nan, 40]] * 2, [[10, 3, 40, 25]]]}, "finite numbers"),
    "no area": ({"boxes": [[[5, 10, 5, 40]] * 2, [[10, 3, 40, 25]]]}, "no area"),
    "outside": ({"boxes": [[[5, 70, 20, 90]] * 2, [[10, 3, 40, 25]]]}, "outside the image of 40 x"),
    "three numbers": ({"boxes": [[[5, 10, 20]] * 2, [[10, 3, 40]]]}, r"wanted \[objects, 4\]"),
    "objects last": ({"masks": [np.moveaxis(m, 0, -1) for m in FULL]}, "puts the objects first"),
    "numbers": ({"masks": [np.zeros((40, 60), int), FULL[1]]}, "numbers == k"),
    "another size": ({"masks": [np.ones((2, 28, 28)), FULL[1]]}, r"wanted \[objects, 40, 60\]"),
    "of lists": ({"masks": [[np.ones((28, 28))] * 2, FULL[1]]}, r"its mask is \(28, 28\)"),
    "empty mask": ({"masks": [0 * FULL[0], FULL[1]]}, r"images\[0\], object 0: .*covers no pixel"),
    "levels": ({"masks": [7 * np.int32(FULL[0]), FULL[1]]}, "holds 0 to 7"),
    "a flat list": (
        {"masks": [[[5, 5, 9, 5, 9, 9]] * 2, FULL[1]]},
        "flat list .* of polygons",
    ),
    "an RLE": ({"masks": [{"size": [40, 60], "counts": [2400]}, FULL[1]]}, "one for every object"),
    "size of RLE": (
        {"masks": [[{"size": [60, 40], "counts": [9, 9, 2382]}] * 2, FULL[1]]},
        r"'size' of its RLE",
    ),
    "crowd": ({"crowd": [[2, 0], [0]]}, "wanted true or false"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_one_sentence(name):
    changes, message = WRONG[name]
    with pytest.raises(InputError, match=message) as caught:
        made(**changes)
    assert "\n" not in str(caught.value)


ORDERS = {
    "x1, y1, x2, y2": lambda b: b[:, [1, 0, 3, 2]],
    "COCO's": lambda b: np.stack([b[:, 1], b[:, 0], b[:, 3] - b[:, 1], b[:, 2] - b[:, 0]], axis=1),
    "y, x, height, width": lambda b: np.concatenate([b[:, :2], b[:, 2:] - b[:, :2]], axis=1),
}


@pytest.mark.parametrize("name", ORDERS)
@pytest.mark.parametrize("masks", [True, False])
def test_boxes_in_another_order_are_told_by_masks_or_by_their_images(name, masks):
    boxes = [ORDERS[name](b) for b in some_set()["boxes"]]
    overrides, changes = [], {"boxes": boxes}
    if not masks:
        overrides, changes = ["mask_head.enabled=false"], {"boxes": boxes, "masks": None}
    with pytest.raises(InputError, match=re.escape(name)):
        made(*overrides, **changes)


def test_masks_may_be_polygons_of_points_rle_of_numpy_numbers_or_soft():
    soft = np.zeros((40, 60), np.uint8)
    soft[5:20, 10:40], soft[4], soft[30, 0] = 255, 127, 128
    rle = {"size": np.array([50, 30]), "counts": np.array([3 * 50 + 10, 30, 1310])}
    batch = next(iter(made(boxes=None, masks=[[[POINTS], soft], [rle]])))
    scale = batch["scale"].numpy()[:, None, [0, 1, 0, 1]]
    boxes = batch["gt_boxes"].numpy() / scale
    expected = [[5, 10, 20, 40], [5, 0, 31, 40], [10, 3, 40, 4]]
    np.testing.assert_allclose(boxes[batch["gt_valid"].numpy()], expected, atol=1e-4)


def test_wrong_objects_are_left_out_where_the_settings_say_so(caplog):
    with caplog.at_level(logging.WARNING):
        batch = next(iter(made("data.skip_invalid=true", classes=[[7, 2], [3]])))
    assert batch["gt_classes"].numpy()[batch["gt_valid"].numpy()].tolist() == [2, 3]
    assert "left out 1 wrong objects, the first: images[0], object 0: its class is 7" in caplog.text
    with pytest.raises(InputError, match="All 3 objects are wrong"):
        made("data.skip_invalid=true", classes=[[7, 7], [7]])


def test_keypoints_are_refused():
    with pytest.raises(InputError, match="Arrays carry no keypoints"):
        made("keypoint_head={enabled: true, num_keypoints: 4}")


def test_the_example_of_the_page_makes_batches():
    text = (ROOT / "docs/data.md").read_text("utf-8").split("## Arrays")[1]
    names = {}
    exec(re.search(r"```python\n(.*?)```", text, re.DOTALL)[1], names)
    batch = next(iter(names["train"]))
    assert batch["gt_valid"].numpy().sum() == 3 and names["mr"] is mr
    assert isinstance(names["train"], tf.data.Dataset)
