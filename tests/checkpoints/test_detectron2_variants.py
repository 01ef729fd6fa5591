"""Detectron2's other detectors: 4conv1fc, group norm, SyncBN, class-agnostic boxes, no masks.

No golden file has these, so the heads are compared with their definition written out in NumPy.
"""

import numpy as np
import pytest
import tensorflow as tf

import tfmaskrcnn as mr
from golden.weights_by_name import weight
from helpers.published_shapes import conv, dense
from tfmaskrcnn.checkpoints.detectron2 import architecture_of, weights_only
from tfmaskrcnn.checkpoints.resnet_names import Backbone, backbone_table
from tfmaskrcnn.config.model import BackboneConfig
from tfmaskrcnn.model.layers.backbones import make_backbone
from tfmaskrcnn.model.weights import named_weights

C, K = 32, 3  # channels of the pyramid and of the heads, foreground classes
ROI = 7


def backbone_shapes(name, norm):
    config = BackboneConfig(name=name, norm="gn" if norm == "gn" else "bn")
    backbone = make_backbone(config)
    backbone.build((None, None, None, 3))
    ours = {f"backbone/{key}": tuple(v.shape) for key, v in named_weights(backbone).items()}
    rows = backbone_table(Backbone(name, norm or "bn"), lambda n: f"backbone.bottom_up.{n}")
    shapes = {row.theirs: ours[row.ours] for row in rows}
    return {n: (*s[:1:-1], *s[:2]) if len(s) == 4 else s for n, s in shapes.items()}


def state_dict(norm="", convs=4, boxes=K, masks=True, backbone="resnet18", rpn_convs=1):
    """A thin Mask R-CNN under Detectron2's names."""
    heads, rpn = "roi_heads", "proposal_generator.rpn_head"
    shapes = backbone_shapes(backbone, norm)
    wide = 4 if backbone.startswith("resnext") else 1
    for i in range(4):
        shapes.update(conv(f"backbone.fpn_lateral{i + 2}", C, 64 * wide * 2**i, 1, norm))
        shapes.update(conv(f"backbone.fpn_output{i + 2}", C, C, 3, norm))
    for i in range(rpn_convs):
        shapes.update(conv(f"{rpn}.conv" + (f".conv{i}" if rpn_convs > 1 else ""), C, C))
    shapes.update(conv(f"{rpn}.objectness_logits", 3, C, 1))
    shapes.update(conv(f"{rpn}.anchor_deltas", 12, C, 1))
    for i in range(convs):
        shapes.update(conv(f"{heads}.box_head.conv{i + 1}", C, C, 3, norm))
    shapes.update(dense(f"{heads}.box_head.fc1", 16, C * ROI * ROI))
    if not convs:
        shapes.update(dense(f"{heads}.box_head.fc2", 16, 16))
    shapes.update(dense(f"{heads}.box_predictor.cls_score", K + 1, 16))
    shapes.update(dense(f"{heads}.box_predictor.bbox_pred", 4 * boxes, 16))
    if masks:
        for i in range(2):
            shapes.update(conv(f"{heads}.mask_head.mask_fcn{i + 1}", C, C, 3, norm))
        shapes.update(conv(f"{heads}.mask_head.deconv", C, C, 2))
        shapes.update(conv(f"{heads}.mask_head.predictor", K, C, 1))
    return {name: weight(name, shape) for name, shape in shapes.items()}


def convolved(x, tensors, name, norm, activate=True):
    """[n, c, h, w] through a convolution, group norm of 32 groups and a ReLU, in NumPy."""
    kernel = tensors[f"{name}.weight"].astype(np.float64)
    pad = kernel.shape[2] // 2
    padded = np.pad(x, [(0, 0), (0, 0), (pad, pad), (pad, pad)])
    height, width = x.shape[2:]
    y = sum(
        np.einsum("nchw,oc->nohw", padded[:, :, i : i + height, j : j + width], kernel[:, :, i, j])
        for i in range(kernel.shape[2])
        for j in range(kernel.shape[3])
    )
    if norm == "gn":
        groups = y.reshape(len(y), 32, -1)
        groups = groups - groups.mean(axis=2, keepdims=True)
        groups /= np.sqrt((groups**2).mean(axis=2, keepdims=True) + 1e-5)
        y = groups.reshape(y.shape) * tensors[f"{name}.norm.weight"][:, None, None]
        y = y + tensors[f"{name}.norm.bias"][:, None, None]
    else:
        y = y + tensors[f"{name}.bias"][:, None, None]
    return np.maximum(y, 0) if activate else y


def channels_last(x):
    return tf.constant(np.moveaxis(x, 1, -1), tf.float32)


@pytest.mark.parametrize("norm", ["", "gn"])
def test_4conv1fc_and_mask_head_are_their_definition(norm):
    tensors = state_dict(norm)
    model = mr.from_checkpoint(tensors, source="detectron2")
    config = model.config
    wanted = norm or "none"
    assert config.fpn.norm == config.box_head.norm == config.mask_head.norm == wanted
    assert config.backbone.norm == ("gn" if norm else "frozen_bn")
    assert (config.box_head.num_convs, config.box_head.num_fcs) == (4, 1)
    assert config.backbone.stride_in_1x1 is (False if norm else None)
    x = np.random.default_rng(0).normal(size=(5, C, ROI, ROI))
    y = x
    for i in range(4):
        y = convolved(y, tensors, f"roi_heads.box_head.conv{i + 1}", norm)

    def fully(y, name):
        return y @ tensors[f"{name}.weight"].T + tensors[f"{name}.bias"]

    y = np.maximum(fully(y.reshape(5, -1), "roi_heads.box_head.fc1"), 0)
    logits, deltas = model.box_head(channels_last(x)[tf.newaxis])
    expected = np.roll(fully(y, "roi_heads.box_predictor.cls_score"), 1, axis=1)
    np.testing.assert_allclose(logits[0], expected, atol=1e-4)
    expected = fully(y, "roi_heads.box_predictor.bbox_pred").reshape(5, K, 4)[..., [1, 0, 3, 2]]
    np.testing.assert_allclose(deltas[0], expected, atol=1e-4)
    y = convolved(x, tensors, "roi_heads.mask_head.mask_fcn1", norm)
    np.testing.assert_allclose(
        model.mask_head.convs[0](channels_last(x)), np.moveaxis(y, 1, -1), atol=1e-4
    )


def test_the_pyramid_with_group_norm_is_its_definition():
    tensors = state_dict("gn")
    model = mr.from_checkpoint(tensors, source="detectron2")
    rng = np.random.default_rng(0)
    maps = [rng.normal(size=(1, 64 * 2**i, 64 >> i, 32 >> i)) for i in range(4)]
    found = model.fpn({f"c{i + 2}": channels_last(x) for i, x in enumerate(maps)})
    top = None
    for i in reversed(range(4)):
        merged = convolved(maps[i], tensors, f"backbone.fpn_lateral{i + 2}", "gn", activate=False)
        if top is not None:
            merged = merged + np.kron(top, np.ones((2, 2)))
        out = convolved(merged, tensors, f"backbone.fpn_output{i + 2}", "gn", activate=False)
        np.testing.assert_allclose(found[f"p{i + 2}"], np.moveaxis(out, 1, -1), atol=2e-4)
        top = merged


def test_syncbn_is_trained_everywhere_and_counters_are_dropped():
    tensors = state_dict("bn")
    tensors["backbone.fpn_lateral2.norm.num_batches_tracked"] = np.zeros([], np.int64)
    config = mr.from_checkpoint(tensors, source="detectron2").config
    parts = config.backbone, config.fpn, config.box_head, config.mask_head
    assert {part.norm for part in parts} == {"sync_bn"}


def test_faster_rcnn_and_class_agnostic_boxes():
    tensors = state_dict(convs=0, boxes=1, masks=False)
    model = mr.from_checkpoint(tensors, source="detectron2")
    assert not model.config.mask_head.enabled and model.config.box_head.class_agnostic
    assert (model.config.box_head.num_convs, model.config.box_head.num_fcs) == (0, 2)
    x = np.zeros([1, 2, ROI, ROI, C], np.float32)
    assert model.box_head(x)[1].shape == [1, 2, 1, 4]
    found = model.detect(tf.zeros([1, 64, 64, 3]), tf.constant([[64.0, 64.0]]))
    assert found.masks is None


def test_the_dialect_follows_the_backbone():
    found = architecture_of(state_dict(convs=0, backbone="resnext50_32x4d"), "it")
    assert found.backbone == ("resnext50_32x4d", "bn")
    assert "backbone.stride_in_1x1=false" in found.settings
    assert "input.std=[58.395, 57.12, 57.375]" in found.settings
    assert not [s for s in architecture_of(state_dict(), "it").settings if "stride" in s]


def test_a_saved_mean_and_std_say_how_images_enter():
    tensors = state_dict()
    mean = np.array([103.53, 116.28, 123.675], np.float32).reshape(3, 1, 1)
    std = np.array([57.375, 57.12, 58.395], np.float32).reshape(3, 1, 1)
    stem = "backbone.bottom_up.stem.conv1.weight"
    bgr = {**tensors, "pixel_mean": mean, "pixel_std": std}
    rgb = {**tensors, "pixel_mean": mean[::-1], "pixel_std": std[::-1]}
    np.testing.assert_array_equal(weights_only(bgr)[stem], tensors[stem][:, ::-1])
    np.testing.assert_array_equal(weights_only(rgb)[stem], tensors[stem])
    for state in (bgr, rgb):
        config = mr.from_checkpoint(state, source="detectron2").config.input
        np.testing.assert_allclose(config.mean, (123.675, 116.28, 103.53), rtol=1e-5)
        np.testing.assert_allclose(config.std, (58.395, 57.12, 57.375), rtol=1e-5)


def test_two_rpn_convolutions_are_read():
    model = mr.from_checkpoint(state_dict(rpn_convs=2), source="detectron2")
    assert len(model.rpn.convs) == 2
