"""Weights from Detectron2, compared stage by stage with what Detectron2 computes from them."""

import json

import numpy as np
import pytest
import tensorflow as tf

import tfmaskrcnn as mr
from golden.relative_rms import relative_rms
from golden.weights_by_name import image, weight
from helpers.one_stack import on_stack_a
from helpers.paths import GOLDEN
from tfmaskrcnn.ops.images import normalize
from tfmaskrcnn.ops.roi_align import build_atlas
from tfmaskrcnn.ops.structures import PYRAMID_LEVELS
from tfmaskrcnn.ops.tensors import as_graph

YXYX = [1, 0, 3, 2]  # of Detectron2's xyxy, and (dy, dx, dh, dw) of its (dx, dy, dw, dh)
# Every so many pixels of each level and every so many channels, see make_detectron2_*_golden.py.
STEPS, CHANNEL_STEP = (8, 4, 2, 2, 2), 32
# Golden files, and the sizes of the images that they are of.
SIZES = {"detectron2": (256, 320), "detectron2_x101": (192, 256)}


@pytest.fixture(
    scope="module",
    params=["detectron2", pytest.param("detectron2_x101", marks=[pytest.mark.slow, on_stack_a])],
)
def case(request):
    return request.param


@pytest.fixture(scope="module")
def golden(case):
    return np.load(GOLDEN / f"{case}_maskrcnn.npz")


@pytest.fixture(scope="module")
def size(case):
    return tf.constant([SIZES[case]], tf.float32)


@pytest.fixture(scope="module")
def state_dict(case, golden):
    tensors = {name: weight(name, shape) for name, shape in json.loads(str(golden["manifest"]))}
    for path in GOLDEN.glob(f"{case}_running_*.npz"):
        tensors.update(np.load(path))
    return tensors


@pytest.fixture(scope="module")
def model(state_dict):
    return mr.from_checkpoint(state_dict, source="detectron2")


@pytest.fixture(scope="module")
def batch(case, model):
    return normalize(image(*SIZES[case], 0)[None], model.config.input)


def test_pyramid_and_rpn_are_detectron2s(golden, pyramid, rpn):
    for i, (level, step) in enumerate(zip(PYRAMID_LEVELS, STEPS)):
        maps = pyramid[level].numpy()
        thin = maps[:, ::step, ::step, ::CHANNEL_STEP].transpose(0, 3, 1, 2)
        assert relative_rms(thin, golden[f"fpn_{i}"]) < 5e-5, level
        deltas = rpn.deltas[level].numpy()[..., YXYX]
        for rows, key in ((rpn.logits[level], "objectness"), (deltas, "deltas")):
            rows = np.reshape(rows, (*maps.shape[:3], -1)).transpose(0, 3, 1, 2)
            assert relative_rms(rows[:, :, ::step, ::step], golden[f"{key}_{i}"]) < 5e-5, level


def test_proposals_are_detectron2s_in_its_order(golden, model, rpn, size):
    proposals = model.propose(rpn, size)
    expected = golden["proposals"][:, YXYX]
    found = proposals.boxes[0].numpy()[proposals.valid[0]]
    distances = np.abs(found[:, None] - expected).max(axis=-1)  # [R, R]
    assert found.shape == expected.shape and distances.min(axis=0).max() < 1e-2
    place = distances.argmin(axis=0)
    moved = np.flatnonzero(place != np.arange(len(place)))
    # Logits differ in the last bits, so neighbours that are tied may change places.
    scores = proposals.scores[0].numpy()
    np.testing.assert_allclose(scores[place[moved]], scores[moved], atol=1e-5)
    assert len(moved) <= 20


def test_box_head_is_detectron2s_on_its_proposals(golden, model, pyramid):
    rois = tf.constant(golden["proposals"][None, :100, YXYX])
    features = model.roi_features(build_atlas(pyramid, inference=True), rois, 7)
    expected = golden["roi_features"]  # with as many samples as the bins cover pixels
    thin = features[0].numpy().transpose(0, 3, 1, 2)[: len(expected), :: 2 * CHANNEL_STEP]
    np.testing.assert_allclose(thin, expected, atol=3e-4)
    logits, deltas = model.box_head(features)
    expected = np.roll(golden["class_logits"], 1, axis=1)  # the background is its last class
    np.testing.assert_allclose(logits[0, : len(expected)], expected, atol=3e-4)
    expected = golden["box_deltas"].reshape(-1, 6, 4)[..., YXYX]
    np.testing.assert_allclose(deltas[0, : len(expected), :6], expected, atol=3e-4)


def test_detections_are_detectron2s(golden, model, batch, size):
    found = as_graph(model.detect)(batch, size)
    boxes, labels = golden["boxes"][:, YXYX], golden["labels"]
    distances = np.abs(found.boxes[0].numpy()[:, None] - boxes).max(axis=-1)
    distances += np.where(found.classes[0].numpy()[:, None] == labels + 1, 0, np.inf)
    matched, place = distances.min(axis=0) < 0.05, distances.argmin(axis=0)
    assert len(boxes) == 100 and matched.sum() >= 98
    scores = found.scores[0].numpy()[place]
    np.testing.assert_allclose(scores[matched], golden["scores"][matched], atol=1e-4)
    first = len(golden["masks"])
    masks = found.masks[0].numpy()[place[:first]][matched[:first]]
    # Stored in half precision: steps of 5e-4 below 1.
    np.testing.assert_allclose(masks, golden["masks"][matched[:first]], atol=5e-4)


def test_training_with_adaptive_sampling_is_refused(model, pyramid):
    for train in (
        lambda: model.compile("sgd"),
        lambda: model.roi_features(build_atlas(pyramid), tf.zeros([1, 1, 4]), 7),
    ):
        with pytest.raises(mr.InputError, match="sampling_ratio 0 is for inference"):
            train()


def test_something_else_is_refused(state_dict):
    with pytest.raises(mr.InputError, match="no Mask R-CNN of Detectron2"):
        mr.from_checkpoint({"features.0.weight": np.zeros([64, 3, 7, 7])}, source="detectron2")
    other = {**state_dict, "roi_heads.mask_refiner.weight": np.zeros([1])}
    with pytest.raises(mr.InputError, match=r"1 not used \(roi_heads\.mask_refiner"):
        mr.from_checkpoint(other, source="detectron2")
