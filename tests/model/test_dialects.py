"""Matterport's dialect on a tiny network: it trains, predicts, and exports like the default."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmaskrcnn as mr
from helpers.one_stack import on_stack_a, on_stack_b
from helpers.some_signatures import exported_with
from helpers.tiny import tiny_config, tiny_data
from tfmaskrcnn.checkpoints.presets import MATTERPORT
from tfmaskrcnn.data import from_coco
from tfmaskrcnn.inference.exported import saved_model_predictor
from tfmaskrcnn.model.losses import BOX_LOSS_NAMES, MASK_LOSS_NAMES
from tfmaskrcnn.model.weights import named_weights
from tfmaskrcnn.ops.placement import clip_sizes
from tfmaskrcnn.train import make_optimizer

NAMES = BOX_LOSS_NAMES + MASK_LOSS_NAMES

# After the preset, what makes it tiny.
SMALL = (
    "input.min_side=96",
    "input.max_side=128",
    "rpn={channels: 24, post_nms_top_k_training: 60, post_nms_top_k: 60, samples_per_image: 64}",
    "rpn={pre_nms_top_k: 500, pre_nms_top_k_training: 500}",
    "box_head={samples_per_image: 16, max_detections: 20}",
)
# Parts of it alone: each must work with the rest of the default.
PARTS = (
    ["input.padding=centred", "input.max_side=128"],
    ["model.inclusive_boxes=true"],
    ["roi.method=crop_and_resize", "roi.level_rounding=round"],
    ["rpn.scope=all", "rpn.min_side=null", "rpn.clip_to=input"],
    ["box_head.detection_rule=argmax", "box_head.min_side=null", "box_head.whole_pixels=true"],
    ["backbone.stem_pool=same", "rpn.delta_weights=[10, 10, 5, 5]", "rpn.channels=24"],
)


def dialect(*overrides):
    return tiny_config(*MATTERPORT, *SMALL, *overrides)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tiny_data(tmp_path_factory.mktemp("shapes"), num_images=6)


@on_stack_b
@pytest.mark.parametrize(
    "part",
    [*(pytest.param(p, marks=pytest.mark.slow, id=p[0]) for p in PARTS), [*MATTERPORT, *SMALL]],
)
def test_every_part_of_it_trains_and_so_does_the_whole(data, part):
    config = tiny_config(*part)
    model = mr.MaskRCNN(config.model)
    before = {name: v.numpy() for name, v in named_weights(model).items()}
    # A graph takes many times as long to make as these steps; the whole dialect has one.
    model.compile(make_optimizer(config.train, 2), run_eagerly=tuple(part) in map(tuple, PARTS))
    history = model.fit(from_coco(*data, config, training=True), epochs=1, verbose=0).history
    assert np.isfinite([history[name] for name in NAMES]).all()
    changed = [n for n, v in named_weights(model).items() if not np.array_equal(v, before[n])]
    assert len(changed) == len(before)


@on_stack_a
@pytest.mark.slow
def test_one_image_is_overfitted_in_it(tmp_path):
    # Its boxes, masks and offsets must mean the same in training and prediction.
    folder = tiny_data(tmp_path / "one", num_images=1, num_objects=(3, 3))
    config = dialect(
        "train={batch_size: 1, optimizer: adamw, learning_rate: 0.002, schedule: {kind: constant}}",
        "data.augment.horizontal_flip=0",
        "box_head.score_threshold=0.3",
    )
    keras.utils.set_random_seed(0)
    model = mr.MaskRCNN(config.model)
    model.compile(make_optimizer(config.train, 1))
    model.fit(from_coco(*folder, config, training=True).repeat(150), epochs=1, verbose=0)
    found = mr.evaluation.evaluate(model, *folder)
    assert found.masks["AP50"] > 0.6 and found.boxes["AP75"] > 0.3


def test_ground_truth_lies_where_the_centred_image_lies(data):
    corner = tiny_config("input.max_side=128", "input.min_side=64", "train.seed=3")
    centred = tiny_config("input={max_side: 128, min_side: 64, padding: centred}", "train.seed=3")
    for training in (True, False):
        usual, moved = (next(iter(from_coco(*data, c, training))) for c in (corner, centred))
        assert moved["image"].shape[1:3] == [128, 128]
        valid = usual["gt_valid"].numpy()
        height, width = usual["size"][0].numpy()
        offset = np.floor([(128 - height) / 2, (128 - width) / 2])
        assert valid.any() and offset.min() > 0
        expected = usual["gt_boxes"].numpy() + np.where(valid[..., None], np.tile(offset, 2), 0)
        np.testing.assert_allclose(moved["gt_boxes"], expected, atol=1e-4)
        y, x = offset.astype(int)
        there = moved["image"][:, y : y + int(height), x : x + int(width)]
        np.testing.assert_array_equal(there, usual["image"][:, : int(height), : int(width)])


def test_a_crop_larger_than_the_square_is_refused(data):
    config = dialect("data.augment.crop=[64, 160]")
    with pytest.raises(mr.InputError, match=r"crop \(64, 160\) is larger than the square of input"):
        from_coco(*data, config, training=True)


def random_images(*sizes):
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (h, w, 3), np.uint8) for h, w in sizes]


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    overrides = "box_head.score_threshold=0.01", "box_head.whole_pixels=true"
    model = mr.MaskRCNN(dialect(*overrides).model)
    # Logits that differ between the RoIs, or the background wins everywhere.
    kernel = model.box_head.class_logits.kernel
    kernel.assign(np.random.default_rng(0).normal(0, 2.0, kernel.shape))
    return model


def test_predictions_lie_in_the_image_and_not_in_its_padding(model):
    images = random_images((96, 128), (64, 40), (300, 200), (30, 128), (1, 1))
    found = model.predict_images(images, batch_size=2)
    assert sum(map(len, found)) > 20
    for image, instances in zip(images, found):
        limit = [*image.shape[:2]] * 2
        assert (instances.boxes >= 0).all() and (instances.boxes <= limit).all()
        np.testing.assert_array_equal(instances.boxes, np.round(instances.boxes))
        assert instances.masks.shape[1:] == image.shape[:2]


def test_detections_are_counted_from_the_images_first_pixel(model):
    sizes = tf.constant([[96.0, 128.0]])
    batch = tf.random.stateless_normal([1, 128, 128, 3], [0, 1])
    limits = clip_sizes(batch, sizes, model.config)
    np.testing.assert_array_equal(limits.detections, [[16, 0, 111, 127]])
    found = model.detect(batch, sizes)
    valid = found.valid[0].numpy()
    boxes = found.boxes[0].numpy()[valid]
    assert len(boxes) and (boxes >= 0).all() and (boxes <= [96, 128, 96, 128]).all()


@on_stack_b
def test_the_saved_model_finds_what_the_keras_model_finds(model, tmp_path):
    folder = exported_with(["network", "serving_default"], model, tmp_path / "1")
    images = random_images((96, 128), (64, 40), (300, 200))
    loaded = tf.saved_model.load(folder)
    assert loaded.signatures["network"].structured_input_signature[1]["images"].shape[1:] == [
        *(128, 128, 3)
    ]
    for found, expected in zip(saved_model_predictor(folder)(images), model.predict_images(images)):
        assert len(found) == len(expected) > 0 and found.paste_rule == "matterport"
        np.testing.assert_allclose(found.boxes, expected.boxes, atol=1e-3)
        np.testing.assert_allclose(found.scores, expected.scores, atol=1e-4)
        np.testing.assert_array_equal(found.classes, expected.classes)
