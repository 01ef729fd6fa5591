"""Weights from torchvision, compared stage by stage with what torchvision computes from them."""

import json
import pickle
import re

import numpy as np
import pytest
import tensorflow as tf

import tfmaskrcnn as mr
from golden.relative_rms import relative_rms
from golden.weights_by_name import image, weight, with_statistics
from helpers.paths import GOLDEN
from helpers.thin_torchvision import THIN_HEADS, thin_state_dict
from tfmaskrcnn.checkpoints.torchvision import weights_only
from tfmaskrcnn.cli.main import main
from tfmaskrcnn.model.weights import CLASS_LAYERS, named_weights
from tfmaskrcnn.ops.images import pad_to, preprocess
from tfmaskrcnn.ops.roi_align import build_atlas
from tfmaskrcnn.ops.structures import PYRAMID_LEVELS

FILE = GOLDEN / "torchvision_maskrcnn.npz"
SMALL = ("input.min_side=256", "input.max_side=320")
THIN = (*SMALL, *THIN_HEADS)
YXYX = [1, 0, 3, 2]  # of torchvision's xyxy, and (dy, dx, dh, dw) of its (dx, dy, dw, dh)
# Every so many pixels of each level and every so many channels, see make_torchvision_*_golden.py.
STEPS, CHANNEL_STEP = (8, 4, 2, 2, 2), 32


@pytest.fixture(scope="module")
def golden():
    return np.load(FILE)


@pytest.fixture(scope="module")
def state_dict(golden):
    manifest = json.loads(str(golden["manifest"]))
    # torchvision ran with a mean of 0 and a variance of 1, which would not show if the two were
    # mixed up or left out.
    return with_statistics({name: weight(name, shape) for name, shape in manifest}, 1e-5)


@pytest.fixture(scope="module")
def images():
    return [image(213, 317, 0), image(256, 200, 1)]


@pytest.fixture(scope="module")
def model(state_dict):
    return mr.from_checkpoint(state_dict, source="torchvision", overrides=SMALL)


@pytest.fixture(scope="module")
def batch(model, images):
    ready = [preprocess(one, model.config.input)[0] for one in images]
    return tf.stack([pad_to(one, 320, 320, model.config.input) for one in ready])


@pytest.fixture(scope="module")
def rois(golden):
    """[2, 1000, 4] torchvision's proposals."""
    return tf.constant(np.stack([golden[f"proposals_{i}"] for i in range(2)])[..., YXYX])


def as_map(rows, level, pyramid):
    """[B, h*w*A, ...] of the RPN -> torchvision's [B, A * ..., h, w]."""
    height, width = pyramid[level].shape[1:3]
    rows = np.asarray(rows).reshape(2, height, width, -1)
    return rows.transpose(0, 3, 1, 2)


def test_the_input_is_resized_as_torchvision_does(golden, batch, model, images):
    sizes = [preprocess(one, model.config.input)[0].shape[:2] for one in images]
    np.testing.assert_array_equal(sizes, golden["image_sizes"])
    found = batch.numpy().transpose(0, 3, 1, 2)[:, :, ::16, ::16]
    np.testing.assert_allclose(found, golden["input"], atol=1e-4)


def test_pyramid_and_rpn_are_torchvisions(golden, pyramid, rpn):
    for i, (level, step) in enumerate(zip(PYRAMID_LEVELS, STEPS)):
        maps = pyramid[level].numpy().transpose(0, 3, 1, 2)
        thin = maps[:, ::CHANNEL_STEP, ::step, ::step]
        assert relative_rms(thin, golden[f"fpn_{i}"]) < 1e-5, level
        logits = as_map(rpn.logits[level], level, pyramid)[:, :, ::step, ::step]
        assert relative_rms(logits, golden[f"objectness_{i}"]) < 1e-5, level
        deltas = rpn.deltas[level].numpy()[..., YXYX]
        deltas = as_map(deltas, level, pyramid)[:, :, ::step, ::step]
        assert relative_rms(deltas, golden[f"deltas_{i}"]) < 1e-5, level


def test_anchors_are_torchvisions(golden, rpn):
    anchors = np.concatenate([rpn.anchors[level] for level in PYRAMID_LEVELS])
    np.testing.assert_array_equal(anchors[::97, YXYX], golden["anchors"])


def test_proposals_are_torchvisions_in_its_order(golden, model, rpn):
    proposals = model.propose(rpn, tf.constant(golden["image_sizes"], tf.float32))
    for i in range(2):
        expected = golden[f"proposals_{i}"][:, YXYX]
        found = proposals.boxes[i].numpy()[proposals.valid[i]]
        assert found.shape == expected.shape
        distances = np.abs(found[:, None] - expected).max(axis=-1)  # [R, R]
        np.testing.assert_array_less(distances.min(axis=0), 1e-2)
        place = distances.argmin(axis=0)  # our row of each of theirs
        moved = np.flatnonzero(place != np.arange(len(place)))
        # Logits differ in the last bit, so neighbours that are tied may change places.
        scores = proposals.scores[i].numpy()
        np.testing.assert_allclose(scores[place[moved]], scores[moved], atol=1e-6)
        assert len(moved) <= 10


def test_box_head_is_torchvisions_on_its_proposals(golden, model, pyramid, rois):
    features = model.roi_features(build_atlas(pyramid), rois[:1, :100], 7)
    expected = golden["roi_features"]
    thin = features[0].numpy().transpose(0, 3, 1, 2)[: len(expected), :: 2 * CHANNEL_STEP]
    np.testing.assert_allclose(thin, expected, atol=1e-4)
    logits, deltas = model.box_head(features)
    expected = golden["class_logits"]
    np.testing.assert_allclose(logits[0, : len(expected)], expected, atol=1e-4)
    expected = golden["box_deltas"].reshape(-1, 6, 4)[:, 1:, YXYX]  # no background
    np.testing.assert_allclose(deltas[0, : len(expected), :5], expected, atol=1e-4)


def test_detections_are_torchvisions(golden, model, images):
    for i, found in enumerate(model.predict_images(images, batch_size=2)):
        boxes, labels = golden[f"boxes_{i}"][:, YXYX], golden[f"labels_{i}"]
        assert len(found) == len(boxes) == 100
        assert found.paste_rule == "torchvision"
        distances = np.abs(found.boxes[:, None] - boxes).max(axis=-1)
        distances += np.where(found.classes[:, None] == labels, 0, np.inf)
        matched = distances.min(axis=0) < 0.05
        assert matched.sum() >= 98
        place = distances.argmin(axis=0)[matched]
        expected = golden[f"scores_{i}"][matched]
        np.testing.assert_allclose(found.scores[place], expected, atol=1e-4)
        masks = masks_of(golden, i, images[i].shape[:2])[matched]
        ours = found.masks[place]
        union = (masks | ours).sum(axis=(1, 2))
        iou = (masks & ours).sum(axis=(1, 2)) / np.maximum(union, 1)
        assert union.min() > 0 and iou.mean() > 0.999


def masks_of(golden, i, size):
    edges = np.cumsum(golden[f"mask_edges_{i}"])
    flat = np.zeros(100 * size[0] * size[1] + 1, np.int8)
    flat[edges[::2]], flat[edges[1::2]] = 1, -1
    return np.cumsum(flat[:-1]).reshape(100, *size).astype(bool)


def test_the_epsilon_of_the_norms_is_an_override(model, state_dict, batch):
    other = mr.from_checkpoint(state_dict, overrides=["backbone.norm_epsilon=0"])
    part = batch[:, :64, :64]
    assert relative_rms(other.features(part)["p5"], model.features(part)["p5"]) > 1e-2


def test_depth_and_classes_come_from_the_checkpoint_and_overrides_win():
    config = mr.from_checkpoint(thin_state_dict(), overrides=[*THIN, "rpn.min_side=2"]).config
    assert (config.backbone.name, config.num_classes) == ("resnet18", 4)
    assert config.mask_head.num_convs == 1
    assert config.rpn.min_side == 2 and config.box_head.min_side == 0.01


def test_another_number_of_classes_leaves_the_class_layers_random():
    tensors = thin_state_dict()
    model = mr.from_checkpoint(tensors, overrides=THIN)
    other = mr.from_checkpoint(tensors, num_classes=2, overrides=THIN)
    assert other.config.num_classes == 2
    theirs = named_weights(other)
    for name, value in named_weights(model).items():
        if not name.startswith(CLASS_LAYERS):
            np.testing.assert_array_equal(theirs[name].numpy(), value.numpy(), name)


def test_heads_are_left_at_random_on_request_and_reported(caplog):
    tensors = thin_state_dict()
    with caplog.at_level("INFO", logger="tfmaskrcnn"):
        other = mr.from_checkpoint(tensors, overrides=[*THIN, "num_classes=2"], skip=["heads"])
    assert other.config.num_classes == 2
    random = "box_head/box_deltas, box_head/class_logits, mask_head/logits"
    assert f"Not taken, at random instead: {random}." in caplog.text
    assert "weights loaded" in caplog.text
    same = mr.from_checkpoint(tensors, overrides=THIN, skip=["mask_head", "heads"])
    model = named_weights(mr.from_checkpoint(tensors, overrides=THIN))
    for name, value in named_weights(same).items():
        fresh = name.startswith((*CLASS_LAYERS, "mask_head"))
        assert fresh != np.array_equal(value.numpy(), model[name].numpy()), name


def test_another_number_of_classes_without_a_request_is_refused():
    with pytest.raises(mr.InputError, match="has 4 classes, num_classes is 2; skip 'heads'"):
        mr.from_checkpoint(thin_state_dict(), overrides=[*THIN, "num_classes=2"])
    with pytest.raises(mr.InputError, match="no layer 'masks' to skip"):
        mr.from_checkpoint(thin_state_dict(), overrides=THIN, skip=["masks"])


def test_the_first_convolution_is_spread_over_other_channels():
    tensors = thin_state_dict()
    rgb = mr.from_checkpoint(tensors, overrides=[*THIN, "input.mean=[0,0,0]", "input.std=[1,1,1]"])
    grey = mr.from_checkpoint(
        tensors, overrides=[*THIN, "input={channels: 1, mean: [0], std: [1]}"]
    )
    image = np.random.default_rng(0).normal(size=[1, 64, 64, 1]).astype(np.float32)
    expected = rgb.features(np.repeat(image, 3, axis=-1))["p3"]
    np.testing.assert_allclose(grey.features(image)["p3"], expected, atol=1e-3)
    deep = mr.from_checkpoint(
        tensors, overrides=[*THIN, "input={channels: 6, mean: [0,0,0,0,0,0], std: [1,1,1,1,1,1]}"]
    )
    twice = np.random.default_rng(1).normal(size=[1, 64, 64, 3]).astype(np.float32)
    expected = rgb.features(twice)["p3"]
    np.testing.assert_allclose(
        deep.features(np.tile(twice, [1, 1, 1, 2]))["p3"], expected, atol=1e-3
    )
    found = grey.predict_images([np.zeros([40, 50, 1], np.uint8)])
    assert found[0].masks.shape[1:] == (40, 50)
    with pytest.raises(mr.InputError, match="set channels, mean and std together"):
        mr.from_checkpoint(tensors, overrides=[*THIN, "input.channels=4"])


def test_cocos_classes_have_names_and_category_ids(model):
    names = model.config.class_names
    assert len(names) == 90 and names[0] == "person" and names[89] == "toothbrush"
    assert model.config.category_ids == tuple(range(1, 91))
    assert mr.from_checkpoint(thin_state_dict(), overrides=THIN).config.class_names == ()


def test_names_before_torchvision_0_13_are_taken():
    tensors = thin_state_dict()
    old = {}
    for name, array in tensors.items():
        name = re.sub(r"(fpn\.\w+_blocks\.\d)\.0\.", r"\1.", name)
        name = name.replace("rpn.head.conv.0.0.", "rpn.head.conv.")
        old[name.replace("mask_head.0.0.", "mask_head.mask_fcn1.")] = array
    assert len(set(old) - set(tensors)) == 20
    assert set(weights_only(old)) == set(weights_only(tensors))


def test_another_number_of_anchors_is_named_and_two_sizes_a_level_go_by_ratio():
    tensors = thin_state_dict()
    for name, rows in (("cls_logits", 6), ("bbox_pred", 24)):
        name = f"rpn.head.{name}"
        tensors[f"{name}.weight"] = weight(f"{name}.weight", (rows, 16, 1, 1))
        tensors[f"{name}.bias"] = weight(f"{name}.bias", (rows,))
    with pytest.raises(mr.InputError, match="has 6 anchors at each place, .* make 3; set them"):
        mr.from_checkpoint(tensors, overrides=THIN)
    sizes = "anchors.sizes=[[16, 25], [32, 50], [64, 100], [128, 200], [256, 400]]"
    model = mr.from_checkpoint(tensors, overrides=[*THIN, sizes])
    anchors = model.rpn_output(model.features(np.zeros([1, 64, 64, 3], np.float32))).anchors["p2"]
    heights = (anchors[:6, 2] - anchors[:6, 0]).numpy()  # as torchvision has them
    np.testing.assert_array_equal(heights, [12, 18, 16, 24, 22, 36])


def test_missing_and_superfluous_weights_are_named():
    tensors = thin_state_dict()
    del tensors["rpn.head.cls_logits.bias"]
    tensors["rpn.head.other.weight"] = np.zeros([16, 16, 3, 3], np.float32)
    with pytest.raises(mr.InputError) as caught:
        mr.from_checkpoint(tensors, overrides=THIN)
    assert "1 missing (rpn.head.cls_logits.bias)" in str(caught.value)
    assert "1 not used (rpn.head.other.weight)" in str(caught.value)


def test_something_else_is_refused():
    with pytest.raises(mr.InputError, match="no Mask R-CNN of torchvision"):
        mr.from_checkpoint({"features.0.weight": np.zeros([64, 3, 7, 7], np.float32)})
    with pytest.raises(mr.InputError, match="no source 'caffe'"):
        mr.from_checkpoint({}, source="caffe")


def test_a_file_becomes_a_run_of_the_same_model(tmp_path, capsys):
    tensors = thin_state_dict()
    path, run = tmp_path / "thin.pkl", str(tmp_path / "run")
    path.write_bytes(pickle.dumps(tensors, protocol=2))
    command = ["import-weights", "torchvision", str(path), run, "--set", *THIN]
    assert main(command) == 0 and run in capsys.readouterr().out
    again, model = mr.load(run), mr.from_checkpoint(tensors, overrides=THIN)
    assert again.config == model.config
    found = named_weights(again)
    for name, value in named_weights(model).items():
        np.testing.assert_array_equal(found[name].numpy(), value.numpy(), name)
    assert main(command) == 2 and "not empty" in capsys.readouterr().err
