"""torchvision's other detectors, stage by stage; see golden/make_torchvision_variants_golden.py.

The environment variable GOLDEN_VARIANTS adds files made by that script, separated by colons.
"""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import tfmaskrcnn as mr
from golden.relative_rms import relative_rms
from golden.weights_by_name import image, torchvision_state
from helpers.one_stack import on_stack_a
from helpers.paths import GOLDEN
from tfmaskrcnn.ops.images import preprocess
from tfmaskrcnn.ops.paste import paste_masks
from tfmaskrcnn.ops.roi_align import build_atlas
from tfmaskrcnn.ops.structures import PYRAMID_LEVELS

SMALL = ("input.min_side=256", "input.max_side=320")
YXYX = [1, 0, 3, 2]
STEPS, CHANNEL_STEP = (8, 4, 2, 2, 2), 32
FILES = [
    "torchvision_maskrcnn_v2.npz",
    "torchvision_fasterrcnn.npz",
    "torchvision_fasterrcnn_v2.npz",
]
FILES += [path for path in os.environ.get("GOLDEN_VARIANTS", "").split(":") if path]


@pytest.fixture(scope="module", params=FILES, ids=lambda path: Path(path).stem)
def golden(request):
    return np.load(GOLDEN / request.param)


@pytest.fixture(scope="module")
def meta(golden):
    return json.loads(str(golden["meta"]))


@pytest.fixture(scope="module")
def model(golden, meta):
    manifest = json.loads(str(golden["manifest"]))
    return mr.from_checkpoint(torchvision_state(manifest, meta["seed"]), overrides=SMALL)


@pytest.fixture(scope="module")
def picture(meta):
    return image(213, 317, meta["seed"])


@pytest.fixture(scope="module")
def batch(model, picture, golden):
    ready, _ = preprocess(picture, model.config.input)
    height, width = golden["image_sizes"][0]
    assert ready.shape[:2] == (height, width)
    return tf.pad(ready, [[0, -height % 32], [0, -width % 32], [0, 0]])[tf.newaxis]


@pytest.fixture(scope="module")
def found(model, batch, golden):
    return model.detect(batch, tf.constant(golden["image_sizes"], tf.float32))


@on_stack_a
def test_the_architecture_is_read_from_the_checkpoint(model, meta):
    config, name = model.config, meta["model"]
    v2 = name.endswith("_v2")
    assert config.num_classes == meta["classes"]
    assert config.mask_head.enabled == ("mask" in name)
    assert config.rpn.num_convs == (2 if v2 else 1)
    assert (config.box_head.num_convs, config.box_head.num_fcs) == ((4, 1) if v2 else (0, 2))
    assert config.fpn.norm == config.box_head.norm == ("bn" if v2 else "none")
    assert config.backbone.norm == ("bn" if v2 else "frozen_bn")
    assert config.backbone.name == (name.partition(":")[2] or "resnet50")


def test_pyramid_and_rpn_are_torchvisions(golden, pyramid, rpn):
    for i, (level, step) in enumerate(zip(PYRAMID_LEVELS, STEPS)):
        maps = pyramid[level].numpy()
        thin = maps.transpose(0, 3, 1, 2)[:, ::CHANNEL_STEP, ::step, ::step]
        assert relative_rms(thin, golden[f"fpn_{i}"]) < 1e-4, level
        deltas = rpn.deltas[level].numpy()[..., YXYX]
        for rows, key in ((rpn.logits[level], "objectness"), (deltas, "deltas")):
            rows = np.reshape(rows, (*maps.shape[:3], -1)).transpose(0, 3, 1, 2)
            assert relative_rms(rows[:, :, ::step, ::step], golden[f"{key}_{i}"]) < 1e-4, level


def test_proposals_are_torchvisions_in_its_order(golden, model, rpn):
    proposals = model.propose(rpn, tf.constant(golden["image_sizes"], tf.float32))
    expected = golden["proposals"][:, YXYX]
    rows = proposals.boxes[0].numpy()[proposals.valid[0]]
    distances = np.abs(rows[:, None] - expected).max(axis=-1)
    assert rows.shape == expected.shape and distances.min(axis=0).max() < 1e-2
    place = distances.argmin(axis=0)
    moved = np.flatnonzero(place != np.arange(len(place)))
    # Logits differ in the last bits, so neighbours that are tied may change places.
    scores = proposals.scores[0].numpy()
    np.testing.assert_allclose(scores[place[moved]], scores[moved], atol=1e-5)
    assert len(moved) <= 20


def test_box_head_is_torchvisions_on_its_proposals(golden, model, pyramid):
    rows = len(golden["class_logits"])
    rois = tf.constant(golden["proposals"][None, :rows, YXYX])
    features = model.roi_features(build_atlas(pyramid), rois, 7)
    expected = golden["roi_features"]
    thin = features[0].numpy().transpose(0, 3, 1, 2)[: len(expected), :: 2 * CHANNEL_STEP]
    np.testing.assert_allclose(thin, expected, atol=3e-4)
    logits, deltas = model.box_head(features)
    np.testing.assert_allclose(logits[0], golden["class_logits"], atol=1e-3)
    expected = golden["box_deltas"].reshape(rows, -1, 4)[:, 1:, YXYX]  # no background
    np.testing.assert_allclose(deltas[0], expected, atol=1e-3)


def matches(golden, found):
    """Rows of ours and of theirs that are the same detection, in theirs' coordinates."""
    scale = np.array([213.0, 317.0] * 2) / np.tile(golden["image_sizes"][0], 2)
    boxes = found.boxes[0].numpy()[found.valid[0]] * scale
    distances = np.abs(boxes[:, None] - golden["boxes"][:, YXYX]).max(axis=-1)
    classes = found.classes[0].numpy()[found.valid[0]]
    distances += np.where(classes[:, None] == golden["labels"], 0, np.inf)
    matched = np.flatnonzero(distances.min(axis=0) < 0.05)
    return distances.argmin(axis=0)[matched], matched, boxes


def test_detections_are_torchvisions(golden, found):
    ours, theirs, _ = matches(golden, found)
    number = len(golden["boxes"])
    assert int(tf.reduce_sum(tf.cast(found.valid, tf.int32))) == number
    assert len(theirs) >= 0.98 * number
    scores = found.scores[0].numpy()[ours]
    np.testing.assert_allclose(scores, golden["scores"][theirs], atol=1e-3)


def test_pasted_masks_are_torchvisions(golden, found, model):
    if "mask_edges" not in golden:
        assert found.masks is None
        return
    ours, theirs, boxes = matches(golden, found)
    edges, number = np.cumsum(golden["mask_edges"]), len(golden["boxes"])
    flat = np.zeros(number * 213 * 317 + 1, np.int8)
    flat[edges[::2]], flat[edges[1::2]] = 1, -1
    expected = np.cumsum(flat[:-1]).reshape(number, 213, 317).astype(bool)[theirs]
    rule = model.config.mask_head.paste_rule
    pasted = paste_masks(found.masks[0].numpy()[ours], boxes[ours], 213, 317, rule=rule)
    union = (pasted | expected).sum(axis=(1, 2))
    iou = (pasted & expected).sum(axis=(1, 2)) / np.maximum(union, 1)
    assert union.max() > 100 and iou[union > 0].mean() > 0.99
