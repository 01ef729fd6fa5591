"""`data/augment/copy_paste.py`: what is pasted is seen, and what it hides is not."""

import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from helpers.one_stack import on_stack_b
from helpers.tiny import tiny_config, tiny_data
from tfmaskrcnn.data import from_coco
from tfmaskrcnn.data.augment.copy_paste import Layer, _placed, pasted_instances
from tfmaskrcnn.data.coco.records import Record
from tfmaskrcnn.errors import InputError

IDENTITY = np.float32([[1, 0, 0], [0, 1, 0]])


def record(squares, crowd=(), first_class=1):
    """A 100 x 100 image of (y, x, side) squares of classes `first_class`, ..."""
    boxes = np.float32([[y, x, y + side, x + side] for y, x, side in squares]).reshape(-1, 4)
    polygons = [[np.float32([x1, y1, x2, y1, x2, y2, x1, y2])] for y1, x1, y2, x2 in boxes]
    classes = np.arange(first_class, first_class + len(squares), dtype=np.int32)
    crowd = np.isin(np.arange(len(squares)), crowd)
    return Record(1, "", "", 100, 100, boxes, classes, crowd, polygons, list(range(len(squares))))


def pasted(base, other, seed=0, rows=8, matrix=IDENTITY, window=(100, 100)):
    order, rng = np.arange(len(base.classes)), np.random.default_rng(seed)
    layers = Layer(base, IDENTITY), Layer(other, matrix)
    return pasted_instances(*layers, window, order, rng, rows, 0.1)


def test_a_square_pasted_over_another_takes_its_part():
    hidden, out = pasted(record([(10, 10, 40), (60, 60, 20)]), record([(10, 30, 40)], (), 5))
    expected = np.zeros((100, 100), bool)
    expected[10:50, 30:70] = True
    np.testing.assert_array_equal(hidden, expected)
    assert out["classes"].tolist() == [1, 2, 5, 0, 0, 0, 0, 0]
    boxes = [[10, 10, 50, 30], [60, 60, 80, 80], [10, 30, 50, 70]]
    np.testing.assert_allclose(out["boxes"][:3], boxes, atol=0.4)
    assert out["masks"][:3].mean(axis=(1, 2)).min() > 0.98
    assert out["valid"].sum() == 3 and not out["crowd"].any()


def test_what_is_covered_disappears_and_crowds_are_neither_pasted_nor_dropped():
    base, other = record([(20, 20, 10), (22, 22, 30)], crowd=[1]), record([(10, 10, 80)], (), 5)
    _, out = pasted(base, other)
    assert out["classes"][out["valid"]].tolist() == [5]  # nothing of the crowd is left either
    base = record([(20, 20, 10), (0, 0, 100)], crowd=[1])
    _, out = pasted(base, record([(10, 10, 80), (0, 0, 5)], [1], 5))
    assert out["classes"][out["valid"]].tolist() == [2, 5]
    assert out["crowd"][:2].tolist() == [True, False]
    hidden, out = pasted(base, record([(10, 10, 80)], [0], 5))
    assert not hidden.any() and out["classes"][out["valid"]].tolist() == [1, 2]


def test_one_object_to_all_are_pasted():
    other = record([(10 * i, 10 * i, 8) for i in range(6)])
    counts = [pasted(record([]), other, seed)[1]["valid"].sum() for seed in range(60)]
    assert set(counts) == {1, 2, 3, 4, 5, 6}


def test_what_the_window_cuts_away_is_not_pasted():
    matrix = np.float32([[1, 0, -50], [0, 1, 0]])
    hidden, out = pasted(record([]), record([(45, 10, 20)]), matrix=matrix)
    np.testing.assert_allclose(out["boxes"][0], [0, 10, 15, 30], atol=1e-3)
    assert hidden.sum() == 15 * 20
    hidden, out = pasted(record([]), record([(32, 10, 19)]), matrix=matrix)  # 1 of 19 rows
    assert not hidden.any() and not out["valid"].any()


def test_of_too_many_objects_a_random_choice_is_kept():
    base, other = record([(0, 10 * i, 8) for i in range(6)]), record([(90, 0, 8)], (), 9)
    kept = [tuple(pasted(base, other, seed, rows=4)[1]["classes"]) for seed in range(20)]
    assert len(set(kept)) > 3 and all(len(set(k)) == 4 for k in kept)
    assert 5 < sum(9 in k for k in kept) < 20


@pytest.mark.parametrize("shift", [(0, 0), (2, 3), (-3, -1), (-2, 3)])
def test_an_image_is_placed_where_the_shift_says(shift):
    image = np.random.default_rng(0).uniform(1, 2, (6, 7, 3)).astype(np.float32)
    found = _placed(tf.constant(image), tf.constant(shift), tf.constant([5, 9])).numpy()
    assert found.shape == (5, 9, 3)
    for y in range(5):
        for x in range(9):
            row, col = y - shift[0], x - shift[1]
            inside = 0 <= row < 6 and 0 <= col < 7
            np.testing.assert_array_equal(found[y, x], image[row, col] if inside else 0)


def coloured_set(folder):
    """Two images whose objects, one a class, have a colour that nothing else has."""
    annotations, colours = [], {1: (255, 0, 0), 2: (0, 255, 0)}
    for k, colour in colours.items():
        image = np.zeros((60, 80, 3), np.uint8)
        y, x = 10 * k, 15 * k
        image[y : y + 24, x : x + 30] = colour
        Image.fromarray(image).save(folder / f"{k}.png")
        corners = [x, y, x + 30, y, x + 30, y + 24, x, y + 24]
        entry = {"id": k, "image_id": k, "category_id": k, "segmentation": [corners]}
        annotations.append({**entry, "bbox": [x, y, 30, 24]})
    coco = {
        "images": [{"id": k, "file_name": f"{k}.png", "height": 60, "width": 80} for k in colours],
        "annotations": annotations,
        "categories": [{"id": k, "name": f"c{k}"} for k in colours],
    }
    (folder / "set.json").write_text(json.dumps(coco))
    return str(folder / "set.json"), str(folder)


def test_image_boxes_and_masks_of_a_pasted_batch_agree(tmp_path):
    """The colour of a pixel tells whose mask it must be in."""
    config = tiny_config(
        "num_classes=2",
        "input={min_side: 96, max_side: 160, mean: [0, 0, 0], std: [255, 255, 255]}",
        "data.augment={copy_paste: 0.8, scale: [0.6, 1.5], crop: [90, 100], rotation: 20}",
        "train.batch_size=1",
    )
    dataset = from_coco(*coloured_set(tmp_path), config, training=True)
    both = 0
    for batch in dataset.repeat(10).as_numpy_iterator():
        image, masks, boxes = (batch[n][0] for n in ("image", "gt_masks", "gt_boxes"))
        valid, classes = batch["gt_valid"][0], batch["gt_classes"][0]
        seen = np.zeros((2, *image.shape[:2]), bool)
        for box, mask, k in zip(boxes[valid], masks[valid], classes[valid]):
            y, x = np.mgrid[0 : image.shape[0], 0 : image.shape[1]] + 0.5
            row = np.floor((y - box[0]) / (box[2] - box[0]) * 112).astype(int)
            col = np.floor((x - box[1]) / (box[3] - box[1]) * 112).astype(int)
            inside = (row >= 0) & (row < 112) & (col >= 0) & (col < 112)
            seen[k - 1] |= inside & (mask[row.clip(0, 111), col.clip(0, 111)] > 0)
        for k in (1, 2):
            painted = image[..., k - 1] > 0.5
            union = np.count_nonzero(painted | seen[k - 1])
            if k in classes[valid]:
                assert np.count_nonzero(painted & seen[k - 1]) > 0.93 * union
            else:
                assert union < 150  # less than a tenth of an object
        both += len(set(classes[valid])) == 2
    assert both >= 5


@on_stack_b
def test_a_run_with_all_of_it_is_a_function_of_seed_and_epoch(tmp_path):
    config = tiny_config(
        "data.augment={copy_paste: 0.5, rotation: 30, shear: 10, hue: 0.1, saturation: 0.3}",
        "data.augment={scale: [0.1, 2], scale_law: uniform, vertical_flip: 0.5}",
        "input={fixed_size: [96, 128], padding: centred, max_side: 128}",
    )
    given = tiny_data(tmp_path, num_images=6)

    def batches(config, epoch=0):
        return list(from_coco(*given, config, True, start_epoch=epoch).as_numpy_iterator())

    def same(one, two):
        return all(np.array_equal(a[key], b[key]) for a, b in zip(one, two) for key in a)

    first, again = batches(config), batches(config)
    next_epoch = batches(config, epoch=1)
    assert same(first, again) and not same(first, next_epoch)


@pytest.mark.parametrize(
    "setting, said",
    [
        ("mask_head.enabled=false", "mask_head.enabled is false"),
        ("keypoint_head.enabled=true", "keypoint_head.enabled is true"),
    ],
)
def test_copy_paste_wants_masks_and_no_keypoints(setting, said):
    with pytest.raises(InputError, match=f"augment.copy_paste moves masks .*{said}"):
        tiny_config("data.augment.copy_paste=0.5", setting)
