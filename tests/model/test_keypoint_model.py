"""A model with keypoints: training, prediction, export, pictures, the command line."""

import json
import os

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import tfmaskrcnn as mr
from helpers.one_stack import on_stack_a, on_stack_b
from helpers.some_signatures import exported_with
from helpers.tiny import tiny_config
from tfmaskrcnn.cli.main import main
from tfmaskrcnn.config.keypoints import KeypointHeadConfig
from tfmaskrcnn.data import from_records, load_coco, write_shapes
from tfmaskrcnn.data.labels import with_classes_of
from tfmaskrcnn.drawing.drawing_style import DrawingStyle
from tfmaskrcnn.drawing.overlays import draw, draw_ground_truth
from tfmaskrcnn.inference.exported import saved_model_predictor
from tfmaskrcnn.instances import Instances
from tfmaskrcnn.model.losses import keypoint_losses
from tfmaskrcnn.model.roi_samples import RoiSample
from tfmaskrcnn.ops.structures import GroundTruth

KEYPOINTS = (
    "model.num_classes=1",
    "mask_head.enabled=false",
    "keypoint_head={enabled: true, channels: 16, num_convs: 1}",
    "box_head.score_threshold=0.01",
)


@pytest.fixture(scope="module")
def arrows(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("arrows"))
    return write_shapes(folder, num_images=4, height=96, width=128, classes=("arrow",), seed=3)


@pytest.fixture(scope="module")
def config(arrows):
    data = load_coco(*arrows, keypoint_head=KeypointHeadConfig(enabled=True))
    return with_classes_of(data, tiny_config(*KEYPOINTS))


@pytest.fixture(scope="module")
def model(config):
    return mr.MaskRCNN(config.model)


def random_images(*sizes):
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (h, w, 3), np.uint8) for h, w in sizes]


def loss_of(logits, keypoints, positive=(True, True), most=None, **options):
    """The keypoint loss of two RoIs of 8 x 8 pixels at the origin, one object, M = 4."""
    rois = RoiSample(
        tf.constant([[[0, 0, 8, 8.0]] * 2]),
        tf.constant([[1, 1]]),
        tf.constant([[0, 0]]),
        tf.constant([list(positive)]),
        tf.constant([[True, True]]),
    )
    truth = GroundTruth(*[None] * 5, keypoints=tf.constant([[keypoints]], tf.float32))
    head = KeypointHeadConfig(enabled=True, num_keypoints=2, **options)
    logits = tf.constant(logits, tf.float32)
    return keypoint_losses(logits, rois, truth, head, most)["keypoint_loss"]


def test_the_loss_is_the_cross_entropy_over_the_positions():
    logits = np.zeros([1, 2, 2, 4, 4])
    logits[0, 0, 0, 1, 3] = 2.0  # the first RoI's first keypoint is at (3, 7): row 1, column 3
    term = loss_of(logits, [[3, 7, 2], [1, 1, 0]])  # the second is not labelled
    first = -(2 - np.log(15 + np.exp(2)))
    np.testing.assert_allclose(term.total, first + np.log(16), rtol=1e-6)
    assert term.count == 2  # one keypoint in each of two RoIs


def test_negative_rois_and_hidden_keypoints_do_not_count():
    logits = np.random.default_rng(0).normal(size=[1, 2, 2, 4, 4])
    assert loss_of(logits, [[3, 7, 2], [1, 1, 2]], positive=(False, False)) == (0, 0)
    assert loss_of(logits, [[3, 9, 2], [1, 1, 0]]) == (0, 0)  # outside, and not labelled
    both, one = (loss_of(logits, [[3, 7, 2], [1, 1, v]]) for v in (1, 0))
    assert both.count == 4 and one.count == 2 and both.total > one.total


def test_weight_and_divisor_are_configuration():
    logits = np.zeros([1, 2, 2, 4, 4])
    points = [[3, 7, 2], [1, 1, 0]]
    plain, heavy = loss_of(logits, points), loss_of(logits, points, loss_weight=4)
    assert heavy.total == 4 * plain.total and heavy.count == plain.count
    assert loss_of(logits, points, normalize_by_visible=False).count == 4  # 2 RoIs x 2 keypoints
    # RoIs that can be positive count, whether they are among those that the head has seen or not.
    assert loss_of(logits, points, most=16, normalize_by_visible=False).count == 32
    assert loss_of(logits, points, most=16).count == plain.count


def test_fit_logs_the_keypoint_loss_and_all_of_the_head_learns(arrows, config, model):
    data = load_coco(*arrows, keypoint_head=config.model.keypoint_head)
    model.compile(mr.train.make_optimizer(config.train, 2))
    before = [v.numpy() for v in model.keypoint_head.trainable_variables]
    history = model.fit(from_records(data, config, training=True), epochs=1, verbose=0).history
    assert history["keypoint_loss"][0] > 0 and "mask_loss" not in history
    after = [v.numpy() for v in model.keypoint_head.trainable_variables]
    assert len(after) == 4 and all(not np.array_equal(a, b) for a, b in zip(before, after))


def test_masks_and_keypoints_can_be_learned_together(arrows, config):
    section = config.model.mask_head.model_copy(update={"enabled": True})
    with_masks = config.model.model_copy(update={"mask_head": section})
    both = config.model_copy(update={"model": with_masks})
    data = load_coco(*arrows, keypoint_head=config.model.keypoint_head)
    model = mr.MaskRCNN(both.model)
    batch = next(iter(from_records(data, both, training=True)))
    assert {"mask_loss", "keypoint_loss"} <= set(model.loss_terms(batch, training=True))
    found = model.detect(batch["image"], batch["size"])
    assert found.masks.shape == (2, 20, 28, 28) and found.keypoints.shape == (2, 20, 4, 3)


def test_keypoints_lie_in_their_boxes_in_pixels_of_the_image(model):
    for image in random_images((96, 128), (300, 200)):
        found = model.predict_images([image])[0]
        assert len(found) and found.keypoints.shape == (len(found), 4, 3)
        points, boxes = found.keypoints[..., :2], found.boxes[:, None]
        assert (points >= boxes[..., :2] - 0.5).all() and (points <= boxes[..., 2:] + 2).all()
        few = found[1:3]
        np.testing.assert_array_equal(few.keypoints, found.keypoints[1:3])


@on_stack_a
def test_the_saved_model_gives_the_same_keypoints(model, tmp_path):
    folder = exported_with(["serving_default"], model, tmp_path / "1")
    signature = tf.saved_model.load(folder).signatures["serving_default"]
    assert {"detection_keypoints", "detection_keypoint_scores"} <= set(signature.structured_outputs)
    assert "detection_masks" not in signature.structured_outputs
    images = random_images((96, 128), (150, 100))
    for found, expected in zip(saved_model_predictor(folder)(images), model.predict_images(images)):
        assert len(found) == len(expected) > 0
        # Of maxima that are as high in all but the last digit either may be found.
        distance = np.abs(found.keypoints - expected.keypoints).max(axis=-1)
        assert (distance < 0.05).mean() > 0.98
        assert found.keypoint_offset == expected.keypoint_offset


@on_stack_b
def test_evaluate_and_predict_know_keypoints(arrows, config, model, tmp_path, capsys):
    folder = exported_with(["serving_default"], model, tmp_path / "1")
    results, out = str(tmp_path / "results.json"), str(tmp_path / "out")
    command = ["evaluate", folder, "--json", arrows[0], "--images", arrows[1]]
    assert main([*command, "--results", results]) == 0
    assert "keypoint similarity" in capsys.readouterr().out
    with open(results, encoding="utf-8") as file:
        assert 0 <= json.load(file)["keypoints"]["AP"] <= 1
    assert main(["predict", folder, arrows[1], "--out", out, "--threshold", "0"]) == 0
    with open(os.path.join(out, "results.json"), encoding="utf-8") as file:
        assert all(len(entry["keypoints"]) == 12 for entry in json.load(file))


def test_pictures_show_points_and_the_lines_between_them():
    image = np.full((100, 100, 3), 120, np.uint8)
    points = [[[20, 20, 0.9], [20, 80, 0.9], [80, 50, 0.01]]]  # the third is too uncertain
    found = Instances([[10, 10, 90, 90]], [0.9], [1], (100, 100), keypoints=points)
    lines = Instances(
        [[10, 10, 90, 90]], [0.9], [1], (100, 100), keypoints=points, skeleton=[(0, 1), (1, 2)]
    )
    plain = Instances([[10, 10, 90, 90]], [0.9], [1], (100, 100))
    large = DrawingStyle(side=1000)
    plain, dots, lines = (draw(image, i, style=large).astype(int) for i in (plain, found, lines))

    def changed(picture, y, x):  # ten times as large as the image
        return np.abs(picture - plain)[10 * y - 5 : 10 * y + 5, 10 * x - 5 : 10 * x + 5].any()

    assert changed(dots, 20, 20) and changed(dots, 20, 80) and not changed(dots, 80, 50)
    assert changed(lines, 20, 50) and not changed(dots, 20, 50) and not changed(lines, 50, 65)


def test_pictures_of_annotations_show_keypoints(arrows, config):
    data = load_coco(*arrows, keypoint_head=config.model.keypoint_head)
    record = data.records[0]
    image = np.asarray(Image.open(record.path))
    picture = draw_ground_truth(image, record, ["arrow"], skeleton=data.keypoints.skeleton)
    plain = draw_ground_truth(image, record._replace(keypoints=None), ["arrow"])
    assert (picture != plain).any(axis=-1).mean() > 0.001


@on_stack_b
@pytest.mark.slow
def test_keypoints_of_a_few_images_are_learned(tmp_path):
    size = {"height": 64, "width": 64, "num_objects": (1, 1)}
    paths = write_shapes(str(tmp_path), num_images=4, classes=("arrow",), seed=1, **size)
    steps = 300
    config = tiny_config(
        *KEYPOINTS[:2],
        "keypoint_head={enabled: true, channels: 32, num_convs: 2}",
        "input={min_side: 64, max_side: 64}",
        "anchors.sizes=[[12], [24], [48], [64], [96]]",
        "backbone.freeze_at=5",  # the heads learn; the backbone's gradients are three quarters
        "box_head={hidden: 32, samples_per_image: 32, positive_fraction: 0.5, max_detections: 10}",
        "data.augment.horizontal_flip=0",
        "train={batch_size: 4, epochs: 1, optimizer: adamw, learning_rate: 0.003}",
        "train.schedule={kind: cosine, warmup_steps: 10}",
    )
    data = load_coco(*paths, keypoint_head=config.model.keypoint_head)
    config = with_classes_of(data, config)
    keras.utils.set_random_seed(0)
    model = mr.MaskRCNN(config.model)
    model.compile(mr.train.make_optimizer(config.train, steps))
    dataset = from_records(data, config, training=True).repeat()
    model.fit(dataset, steps_per_epoch=steps, epochs=1, verbose=0)
    result = mr.evaluation.evaluate(
        model, *paths, keypoint_sigmas=config.model.keypoint_head.sigmas
    )
    assert result.keypoints["AP75"] == 1 and result.keypoints["AP"] > 0.8, result.table()


@on_stack_a
def test_a_run_learns_the_keypoints_that_its_json_names(arrows, tmp_path):
    overrides = ("keypoint_head.channels=16", "keypoint_head.num_convs=1", "train.epochs=1")
    paths = (f"data.train_json={arrows[0]}", f"data.train_images={arrows[1]}")
    kept = tuple(o for o in KEYPOINTS if not o.startswith("keypoint_head"))
    config = tiny_config(*kept, "keypoint_head.enabled=true", *overrides, *paths)
    trained = mr.train.train(config, str(tmp_path / "run"))
    assert trained.config.keypoint_head.names == ("tip", "left", "tail", "right")
    assert (tmp_path / "run" / "history.csv").read_text().count("keypoint_loss") == 1
