import math

import keras
import pytest

from helpers.tiny import tiny_config
from tfmaskrcnn.config.model import BackboneConfig
from tfmaskrcnn.config.yaml_files import load_config
from tfmaskrcnn.model.backbone_sizes import backbone_sizes
from tfmaskrcnn.model.layers import keras_applications
from tfmaskrcnn.model.mask_rcnn import MaskRCNN
from tfmaskrcnn.model.network_sizes import network_sizes
from tfmaskrcnn.model.weights import named_weights

SIZE = (256, 320)
PIXELS = 256 * 320


def backbone(**settings):
    """What a backbone holds for an image of `SIZE`."""
    return backbone_sizes(BackboneConfig(**settings), 3, PIXELS)[0]


@pytest.mark.parametrize(
    "overrides",
    [
        ("keypoint_head={enabled: true, channels: 16, num_convs: 2}",),
        (
            "backbone={name: efficientnet_lite1, freeze_at: 2}",
            "box_head={num_convs: 2, num_fcs: 1, conv_channels: 16}",
            "rpn.num_convs=2",
            "mask_head.class_agnostic=true",
        ),
        ("backbone={name: resnext50_32x4d, norm: frozen_bn}", "mask_head.enabled=false"),
    ],
)
def test_weights_are_those_of_the_network(overrides):
    config = tiny_config(*overrides).model
    model, sizes = MaskRCNN(config), network_sizes(config, SIZE)
    numbers = sum(math.prod(v.shape) for v in named_weights(model).values())
    assert sizes.weights == pytest.approx(numbers, rel=0.01)


def test_maps_of_a_resnet_18_by_hand():
    # Nothing of the stem and res2 but c2. Each later stage: two blocks of two maps of C channels
    # at stride s. c2 64 at 4, then 128 at 8, 256 at 16, 512 at 32.
    kept = 64 / 16 + 4 * (128 / 64 + 256 / 256 + 512 / 1024)
    assert backbone(name="resnet18", freeze_at=2).kept == pytest.approx(kept * PIXELS)
    # Blocks alone: half of the maps.
    again = backbone(name="resnet18", freeze_at=2, recompute=True).kept
    assert again == pytest.approx((64 / 16 + (kept - 64 / 16) / 2) * PIXELS)
    assert backbone(name="resnet18", freeze_at=5).kept == pytest.approx(512 / 1024 * PIXELS)


def test_a_bottleneck_keeps_two_narrow_maps_and_a_wide_one():
    found = backbone(name="resnet50", freeze_at=4)  # res5 alone: inputs of 1024 channels at 16
    assert found.kept == pytest.approx((1024 / 256 + 3 * (2 * 512 + 2048) / 1024) * PIXELS)
    assert found.trained / found.weights == pytest.approx(14.96 / 23.5, rel=0.01)


def test_a_trained_norm_keeps_what_goes_into_it():
    frozen, trained = (
        backbone(name="resnet18", norm=norm, freeze_at=0) for norm in ("frozen_bn", "bn")
    )
    # Each of the 17 maps and, of three shortcuts, those that a frozen norm has not to keep.
    shortcuts = (128 / 64 + 256 / 256 + 512 / 1024) * PIXELS
    assert trained.kept == pytest.approx(2 * frozen.kept + shortcuts)
    assert backbone(name="resnet18", norm="gn", freeze_at=0).kept == trained.kept


def test_maps_of_an_efficientnet_by_hand():
    # Up to c4 nothing is trained; the last stage is one block of 192 channels at stride 32, and
    # stage 6 four of them, of which the first begins with 112 channels at stride 16.
    inner = 6 * 112 / 256 + 6 * 112 / 1024 + 192 / 1024  # the first block of stage 6
    inner += 3 * (6 * 192 + 6 * 192 + 192) / 1024 + (6 * 192 + 6 * 192 + 320) / 1024
    found = backbone(name="efficientnet_lite0", freeze_at=4)
    assert found.kept == pytest.approx((112 / 256 + inner) * PIXELS)


def test_a_network_of_keras_is_counted_layer_by_layer(monkeypatch):
    def network(name, shape, weights=None):
        x = inputs = keras.Input(shape)
        for filters in (4, 8, 16, 32, 64):  # strides 2, 4, 8, 16, 32
            x = keras.layers.Conv2D(filters, 3, 2, "same", use_bias=False)(x)
            x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
        return keras.Model(inputs, x)

    monkeypatch.setattr(keras_applications, "_application", network)
    found = backbone(name="keras.Five", freeze_at=2)
    assert found.weights == 9 * (3 * 4 + 4 * 8 + 8 * 16 + 16 * 32 + 32 * 64) + 4 * 124
    assert found.trained == 9 * (8 * 16 + 16 * 32 + 32 * 64) + 4 * 112
    # The ReLUs' maps: c2 and what follows it.
    kept = (8 / 16 + 16 / 64 + 32 / 256 + 64 / 1024) * PIXELS
    assert found.kept == pytest.approx(kept)


def test_rois_cost_the_same_on_images_of_any_size():
    config = load_config(None, ["backbone.freeze_at=5"]).model
    small, large = network_sizes(config, (320, 320)), network_sizes(config, (640, 640))
    heads = 512 * (49 * 256 + 2 * 1024 + 81 + 320)  # the box head
    heads += 128 * (14**2 * 256 * 5 + 28**2 * (256 + 2 * 80))  # the mask head
    assert small.heads == large.heads == pytest.approx(heads, rel=0.01)
    assert large.pyramid == pytest.approx(4 * small.pyramid, rel=0.05)  # the atlas has margins
    assert large.samples == 1000 * 14**2 * 256
