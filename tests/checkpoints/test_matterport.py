"""Weights from Matterport's Mask R-CNN, compared stage by stage with what it computes from them."""

import json

import h5py
import numpy as np
import pytest
import tensorflow as tf

import tfmaskrcnn as mr
from golden.relative_rms import relative_rms
from golden.weights_by_name import image, keras_weight
from helpers.one_stack import on_stack_a, on_stack_b
from helpers.paths import GOLDEN
from helpers.some_signatures import exported_with
from tfmaskrcnn.checkpoints import matterport
from tfmaskrcnn.checkpoints.presets import MATTERPORT
from tfmaskrcnn.checkpoints.weight_table import converted
from tfmaskrcnn.cli.main import main
from tfmaskrcnn.config.yaml_files import parse_config
from tfmaskrcnn.inference.exported import saved_model_predictor
from tfmaskrcnn.ops.images import pad_to, preprocess, target_size
from tfmaskrcnn.ops.placement import clip_sizes
from tfmaskrcnn.ops.roi_align import build_atlas
from tfmaskrcnn.ops.structures import PYRAMID_LEVELS

SQUARE = 320
SPAN = SQUARE - 1  # of Matterport's normalised boxes, in pixels
LAST = [0, 0, 1, 1]
WINDOW = [32, 0, 32, 0]  # where the 256 x 320 image starts in the square
OVERRIDES = ("input.min_side=256", "input.max_side=320", "box_head.score_threshold=0")
EPSILON = 1e-3


@pytest.fixture(scope="module")
def golden():
    return np.load(GOLDEN / "matterport_maskrcnn.npz")


def manifest():
    """[name, shape] of ResNet-101's weights with 81 classes."""
    return json.loads(str(np.load(GOLDEN / "matterport_maskrcnn.npz")["manifest"]))


def small_manifest(classes):
    """ResNet-50 with `classes` and thin heads: name -> shape."""
    sides = {1024: 24, 512: 20}  # of the heads; the backbone keeps its widths
    shapes = {}
    for name, shape in manifest():
        if name.startswith("res4") or name.startswith("bn4"):
            if name.split("4")[1][0] > "f":
                continue
        elif name.startswith("mrcnn_class") or name.startswith("mrcnn_bbox"):
            shape = [sides.get(side, side) for side in shape]
        elif name.startswith("rpn_"):
            shape = [20 if side == 512 else side for side in shape]
        if name.startswith(("mrcnn_class_logits", "mrcnn_bbox_fc", "mrcnn_mask/")):
            shape[-1] = shape[-1] // 81 * classes
        shapes[name] = shape
    return shapes


@pytest.fixture(scope="module")
def weights():
    return {name: keras_weight(name, shape) for name, shape in manifest()}


@pytest.fixture(scope="module")
def small_weights():
    return {name: keras_weight(name, shape) for name, shape in small_manifest(4).items()}


@pytest.fixture(scope="module")
def model(weights):
    return mr.from_checkpoint(weights, source="matterport", overrides=OVERRIDES)


@pytest.fixture(scope="module")
def batch(model):
    ready, _ = preprocess(image(256, 320, 0), model.config.input)
    return pad_to(ready, SQUARE, SQUARE, model.config.input)[tf.newaxis]


@pytest.fixture(scope="module")
def limits(model, batch):
    return clip_sizes(batch, tf.constant([[256.0, 320.0]]), model.config)


def joined(parts, axis):
    return np.concatenate([parts[level].numpy() for level in PYRAMID_LEVELS], axis)


def test_pyramid_and_rpn_are_matterports(golden, pyramid, rpn):
    for level in ("p2", "p3", "p4", "p5"):
        thin = pyramid[level][:, ::4, ::4, ::32]
        assert relative_rms(thin, golden[f"fpn_{level}"]) < 5e-5, level
    np.testing.assert_allclose(
        joined(rpn.anchors, 0)[::997] / SPAN, golden["anchors_every_997th"], atol=1e-6
    )
    scores = golden["rpn_class"].astype(np.float64)
    logits = np.log(scores[..., 1] / scores[..., 0])
    assert relative_rms(joined(rpn.logits, 1)[:, ::37], logits) < 5e-5
    assert relative_rms(joined(rpn.deltas, 1)[:, ::37], golden["rpn_bbox"]) < 5e-5


def test_proposals_are_matterports_in_its_order(golden, model, rpn, limits):
    # 1286 anchors have a score of exactly 1 here, so that their order is the anchors' own.
    proposals = model.propose(rpn, limits.proposals)
    expected = golden["rpn_rois"][0] * SPAN
    found = proposals.boxes[0].numpy()
    assert proposals.valid.numpy().all() and found.shape == expected.shape
    close = np.abs(found - expected).max(axis=1) < 1e-2
    # Scores differ in the last bits, so neighbours that are nearly tied may change places.
    assert close.mean() > 0.98
    distances = np.abs(found[:, None] - expected).max(axis=-1)
    assert (distances.min(axis=0) < 1e-2).mean() > 0.99
    assert (np.diff(proposals.scores[0]) <= 0).all()
    # oneDNN's softmax rounds to 1; without it, on CPUs without AVX-512, to the float before.
    assert 1 - 2**-24 <= proposals.scores[0, 0] <= 1


def test_box_head_is_matterports_on_its_proposals(golden, model, pyramid):
    rois = tf.constant(golden["rpn_rois"][:, :60] * SPAN)
    logits, deltas = model.box_head(model.roi_features(build_atlas(pyramid), rois, 7))
    scores = golden["class_scores"].astype(np.float64)
    expected = np.log(scores) - np.log(scores[:, :1])
    found = logits[0].numpy().astype(np.float64)
    np.testing.assert_allclose(found - found[:, :1], expected, atol=1e-3)
    np.testing.assert_allclose(deltas[0, :, :11], golden["box_deltas"][:, 1:], atol=1e-4)


def in_pixels(detections):
    """[D, 4] boxes of the image from Matterport's normalised ones."""
    return detections[:, :4] * SPAN + LAST - WINDOW


def test_detections_are_matterports(golden, model, batch):
    found = tf.function(model.detect)(batch, tf.constant([[256.0, 320.0]]))
    expected = golden["detections"][0]
    distances = np.abs(found.boxes[0].numpy()[:, None] - in_pixels(expected)).max(axis=-1)
    distances += np.where(found.classes[0].numpy()[:, None] == expected[:, 4], 0, np.inf)
    matched, place = distances.min(axis=0) < 0.05, distances.argmin(axis=0)
    assert len(expected) == 100 and matched.sum() >= 98
    scores = found.scores[0].numpy()[place]
    np.testing.assert_allclose(scores[matched], expected[matched, 5], atol=1e-4)
    first = len(golden["masks"])
    masks = found.masks[0].numpy()[place[:first]][matched[:first]]
    # Stored in half precision: steps of 5e-4 below 1.
    np.testing.assert_allclose(masks, golden["masks"][matched[:first]], atol=5e-4)


@on_stack_a
def test_predicted_boxes_are_matterports_before_it_rounds_them(golden, model):
    found = model.predict_images([image(256, 320, 0)])[0]
    expected = golden["detections"][0]
    distances = np.abs(found.boxes[:, None] - in_pixels(expected)).max(axis=-1)
    distances += np.where(found.classes[:, None] == expected[:, 4], 0, np.inf)
    assert (distances.min(axis=0) < 0.05).sum() >= 98
    # Each mask keeps to its rounded box.
    for box, mask in zip(np.round(found.boxes).astype(int), found.masks):
        y1, x1, y2, x2 = box
        assert mask.sum() == mask[y1:y2, x1:x2].sum()


@on_stack_b
@pytest.mark.slow
def test_an_image_of_another_size_is_exported_as_it_is_predicted(model, tmp_path):
    exported_with(["serving_default"], model, tmp_path / "1")
    predict = saved_model_predictor(str(tmp_path / "1"))
    for picture in (image(100, 90, 1), image(256, 320, 0)):
        expected, found = model.predict_images([picture])[0], predict([picture])[0]
        assert len(found) == len(expected) > 50
        np.testing.assert_allclose(found.boxes, expected.boxes, atol=1e-3)
        np.testing.assert_allclose(found.scores, expected.scores, atol=1e-4)
        assert (found.masks == expected.masks).mean() > 0.999


@on_stack_a
def test_a_resnet50_of_any_classes_and_widths_is_recognised(small_weights):
    sizes = ("input.min_side=64", "input.max_side=128")
    small = mr.from_checkpoint(small_weights, source="matterport", overrides=sizes)
    config = small.config
    assert (config.backbone.name, config.num_classes) == ("resnet50", 3)
    assert (config.rpn.channels, config.box_head.hidden, config.fpn.channels) == (20, 24, 256)
    found = small.predict_images([image(40, 60, 0)], score_threshold=0.0)[0]
    assert len(found) and set(found.classes) <= {1, 2, 3}


def test_the_input_is_matterports_square():
    config = parse_config({}, MATTERPORT).model.input
    assert config.static_size == (1024, 1024)
    sizes = {(480, 640): (768, 1024), (300, 300): (800, 800), (900, 1000): (900, 1000)}
    sizes[2731, 4096] = (683, 1024)  # 682.75
    sizes[1365, 2048] = (682, 1024)  # 682.5: Python rounds halves to the even side
    for given, wanted in sizes.items():
        assert tuple(map(int, target_size(*given, config))) == wanted


@on_stack_a
def test_a_file_becomes_a_run_folder(small_weights, tmp_path):
    path = str(tmp_path / "mask_rcnn_own.h5")
    with h5py.File(path, "w") as file:
        for name, array in small_weights.items():
            group = "rpn_model" if name.startswith("rpn_") else name.split("/")[0]
            file[f"{group}/{name}"] = array
    assert main(["import-weights", "matterport", path, str(tmp_path / "run")]) == 0
    expected = mr.weights.named_weights(mr.from_checkpoint(small_weights, source="matterport"))
    loaded = mr.load(str(tmp_path / "run"))
    assert loaded.config.mask_head.paste_rule == "matterport"
    for name, variable in mr.weights.named_weights(loaded).items():
        np.testing.assert_array_equal(variable.numpy(), expected[name].numpy())


def test_other_classes_start_at_random(small_weights):
    small = mr.from_checkpoint(small_weights, source="matterport", num_classes=7)
    named = mr.weights.named_weights(small)
    assert named["mask_head/logits/kernel"].shape[-1] == 7
    kernel = small_weights["rpn_bbox_pred/kernel:0"]
    np.testing.assert_array_equal(named["rpn/deltas/kernel"].numpy(), kernel)


def with_random_statistics(weights):
    """`weights` with means and variances that make the norms' epsilon and biases visible."""
    rng = np.random.default_rng(0)
    changed = dict(weights)
    for name, array in weights.items():
        if name.endswith("moving_mean:0"):
            changed[name] = rng.normal(0, 0.2, array.shape).astype(np.float32)
        if name.endswith("moving_variance:0"):
            changed[name] = rng.uniform(1e-3, 1e-2, array.shape).astype(np.float32)
    return changed


def test_biases_and_norms_are_folded_exactly(small_weights):
    weights = with_random_statistics(small_weights)
    table = list(matterport.table_of(matterport.architecture_of(weights, "it")))
    ours = converted(weights, table, "it")

    def normed(norm, x):
        gamma, beta, mean, variance = (
            weights[f"{norm}/{n}:0"].astype(np.float64)
            for n in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        return gamma * (x - mean) / np.sqrt(variance + EPSILON) + beta

    rng = np.random.default_rng(1)
    # In the backbone the norm stays, so the convolution's output without its bias goes into it.
    for layer, conv, norm in (
        ("stem", "conv1", "bn_conv1"),
        ("res3/0/shortcut", "res3a_branch1", "bn3a_branch1"),
        ("res4/5/conv3", "res4f_branch2c", "bn4f_branch2c"),
    ):
        x = rng.normal(size=weights[f"{conv}/bias:0"].shape)
        part = {n: ours[f"backbone/{layer}/norm/{n}"] for n in ("gamma", "beta", "moving_mean")}
        scale = part["gamma"] / np.sqrt(ours[f"backbone/{layer}/norm/moving_variance"] + EPSILON)
        found = (x - part["moving_mean"]) * scale + part["beta"]
        np.testing.assert_allclose(found, normed(norm, x + weights[f"{conv}/bias:0"]), rtol=1e-4)
    # In the heads it goes into kernel and bias.
    x = rng.normal(size=(7, 7, 256))
    kernel = weights["mrcnn_class_conv1/kernel:0"]
    y = np.einsum("hwc,hwco->o", x, kernel) + weights["mrcnn_class_conv1/bias:0"]
    found = x.ravel() @ ours["box_head/fc1/kernel"] + ours["box_head/fc1/bias"]
    np.testing.assert_allclose(found, normed("mrcnn_class_bn1", y), rtol=1e-3, atol=1e-3)
    x = rng.normal(size=(3, 3, 256))
    y = np.einsum("hwc,hwco->o", x, weights["mrcnn_mask_conv3/kernel:0"])
    y += weights["mrcnn_mask_conv3/bias:0"]
    found = np.einsum("hwc,hwco->o", x, ours["mask_head/convs/2/kernel"])
    found += ours["mask_head/convs/2/bias"]
    np.testing.assert_allclose(found, normed("mrcnn_mask_bn3", y), rtol=1e-3, atol=1e-3)


def test_missing_and_superfluous_weights_are_named(small_weights):
    lacking = {n: w for n, w in small_weights.items() if n != "bn3b_branch2a/moving_mean:0"}
    with pytest.raises(mr.InputError, match=r"1 missing \(bn3b_branch2a/moving_mean:0\); 0 not"):
        mr.from_checkpoint(lacking, source="matterport")
    more = {**small_weights, "mrcnn_keypoint/kernel:0": np.zeros(1, np.float32)}
    with pytest.raises(mr.InputError, match=r"1 not used \(mrcnn_keypoint/kernel:0\)"):
        mr.from_checkpoint(more, source="matterport")
    wrong = {**small_weights, "fpn_p3/kernel:0": np.zeros((1, 1, 256, 256), np.float32)}
    with pytest.raises(mr.InputError, match="fpn/output_convs/1/kernel is"):
        mr.from_checkpoint(wrong, source="matterport")


def test_something_else_is_refused(small_weights):
    with pytest.raises(mr.InputError, match=r"no Mask R-CNN of Matterport: \(0, 0, 0, 0\) blocks"):
        mr.from_checkpoint({"conv1/kernel:0": np.zeros([7, 7, 3, 64])}, source="matterport")
    headless = {n: w for n, w in small_weights.items() if not n.startswith("mrcnn_class_logits")}
    with pytest.raises(mr.InputError, match=r"mrcnn_class_logits/kernel:0 \(\)"):
        mr.from_checkpoint(headless, source="matterport")
    flat = {**small_weights, "rpn_conv_shared/kernel:0": np.zeros(3)}
    with pytest.raises(mr.InputError, match=r"rpn_conv_shared/kernel:0 \(3,\)"):
        mr.from_checkpoint(flat, source="matterport")


def test_constants_that_some_versions_save_are_left_out(small_weights):
    more = {**small_weights, "anchors/Variable:0": np.zeros((1, 9, 4), np.float32)}
    assert "anchors/Variable:0" not in matterport.weights_only(more)
