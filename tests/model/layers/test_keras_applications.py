"""Backbones out of `keras.applications`, without their weights, which a test cannot download."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmaskrcnn as mr
from helpers.one_stack import on_stack_b
from helpers.some_signatures import exported_with
from helpers.tiny import tiny_config, tiny_data
from tfmaskrcnn.checkpoints import load_backbone
from tfmaskrcnn.config.model import BackboneConfig, InputConfig
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.model.layers.backbones import make_backbone
from tfmaskrcnn.model.layers.keras_applications import KerasApplication
from tfmaskrcnn.model.weights import load_weights, named_weights, save_weights
from tfmaskrcnn.ops.images import normalize

RESNET50 = "conv2_block3_out", "conv3_block4_out", "conv4_block6_out", "conv5_block3_out"


def built(name="MobileNetV2", channels=3, **options):
    layer = KerasApplication(name, name="backbone", **options)
    layer.build((None, None, None, channels))
    return layer


@pytest.mark.parametrize("name", ["MobileNetV2", "EfficientNetB0"])
def test_outputs_have_the_strides_and_channels_it_tells(name):
    backbone = built(name)
    outputs = backbone(np.zeros((2, 96, 64, 3), np.float32))
    for key, stride in (("c2", 4), ("c3", 8), ("c4", 16), ("c5", 32)):
        expected = (2, 96 // stride, 64 // stride, backbone.out_channels[key])
        assert outputs[key].shape == expected


def test_the_last_layer_of_each_stride_of_resnet50_ends_a_stage():
    by_stride, by_name = built("ResNet50"), built("ResNet50", feature_layers=RESNET50)
    assert by_stride._taps == by_name._taps
    assert by_stride.out_channels == {"c2": 256, "c3": 512, "c4": 1024, "c5": 2048}


def test_names_of_weights_do_not_depend_on_what_was_built_before(tmp_path):
    first = built("MobileNetV3Small")
    second = built("MobileNetV3Small")
    assert list(named_weights(first)) == list(named_weights(second))
    path = str(tmp_path / "weights.npz")
    save_weights(first, path)
    load_weights(second, path)
    x = np.random.default_rng(0).uniform(0, 255, (1, 64, 64, 3)).astype(np.float32)
    np.testing.assert_allclose(first(x)["c5"], second(x)["c5"], atol=1e-5)


@on_stack_b
def test_frozen_statistics_stay_and_frozen_stages_do_not_train():
    x = np.random.default_rng(0).normal(size=(2, 64, 64, 3)).astype(np.float32)
    for norm in ("frozen_bn", "bn"):
        backbone = built(norm=norm, freeze_at=2)
        before = {n: v.numpy() for n, v in named_weights(backbone).items()}
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(backbone(x, training=True)["c5"])
        assert None not in tape.gradient(loss, backbone.trainable_weights)
        moved = {n for n, v in named_weights(backbone).items() if (v.numpy() != before[n]).any()}
        assert bool(moved) == (norm == "bn")
        trained = len(backbone.trainable_weights)
        assert 0 < trained < len(built(norm=norm).trainable_weights)


def test_get_config_round_trips():
    backbone = KerasApplication("ResNet50", feature_layers=RESNET50, norm="bn", freeze_at=3)
    again = KerasApplication.from_config(backbone.get_config())
    assert again.get_config() == backbone.get_config()


@pytest.mark.parametrize(
    "options, message",
    [
        ({"name": "keras.Nothing"}, "keras.applications has no 'Nothing'"),
        ({"name": "keras.ResNet50", "feature_layers": ["a", "b", "c", "d"]}, "no layer 'a'"),
        ({"name": "keras.ResNet50", "feature_layers": RESNET50[::-1]}, "is not of stride 4"),
        ({"name": "keras.Xception"}, "no layer of stride 4"),
    ],
)
@on_stack_b
def test_what_is_no_backbone_is_refused_in_a_sentence(options, message):
    with pytest.raises(InputError, match=message):
        make_backbone(BackboneConfig(**options))


@on_stack_b
def test_a_file_of_keras_gives_its_weights_also_to_other_channels(tmp_path):
    source, x = built(), np.random.default_rng(0).normal(size=(1, 64, 64, 1)).astype(np.float32)
    path = str(tmp_path / "notop.weights.h5")
    whole = source.make_network()
    whole.set_weights([w + 0.01 for w in whole.get_weights()])
    whole.save_weights(path)
    backbone, grey = built(), built(channels=1)
    for layer in (backbone, grey):
        load_backbone(layer, BackboneConfig(name="keras.MobileNetV2", weights=path))
    expected = backbone(np.repeat(x, 3, axis=-1))["c5"]
    np.testing.assert_allclose(grey(x)["c5"], expected, atol=1e-4)
    np.testing.assert_array_equal(backbone.network.get_weights()[0], whole.get_weights()[0])


@on_stack_b
def test_wrong_weights_are_refused_in_a_sentence(tmp_path):
    path = tmp_path / "broken.h5"
    path.write_bytes(b"nothing")
    config, backbone = {"name": "keras.MobileNetV2"}, built()
    with pytest.raises(InputError, match="holds no weights of keras.applications.MobileNetV2"):
        load_backbone(backbone, BackboneConfig(weights=str(path), **config))
    with pytest.raises(InputError, match="neither a file nor 'imagenet'"):
        load_backbone(backbone, BackboneConfig(weights="absent.h5", **config))


@pytest.mark.parametrize(
    "module, order, mean, std",
    [
        ("resnet", "bgr", (103.939, 116.779, 123.68), (1, 1, 1)),
        ("resnet_v2", "rgb", (127.5, 127.5, 127.5), (127.5, 127.5, 127.5)),
        ("mobilenet_v2", "rgb", (127.5, 127.5, 127.5), (127.5, 127.5, 127.5)),
        ("densenet", "rgb", (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
        ("efficientnet", "rgb", (0, 0, 0), (1, 1, 1)),
        ("convnext", "rgb", (0, 0, 0), (1, 1, 1)),
        ("mobilenet_v3", "rgb", (0, 0, 0), (1, 1, 1)),
    ],
)
def test_the_example_configuration_tells_the_preprocessing_of_keras(module, order, mean, std):
    image = np.random.default_rng(0).integers(0, 256, (5, 6, 3)).astype(np.float32)
    expected = getattr(keras.applications, module).preprocess_input(image.copy())
    found = normalize(image, InputConfig(order=order, mean=mean, std=std))
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.slow
def test_it_trains_and_is_exported(tmp_path):
    config = tiny_config("backbone={name: keras.MobileNetV2, freeze_at: 0, norm: bn}")
    model = mr.MaskRCNN(config.model)
    model.compile(mr.train.make_optimizer(config.train), run_eagerly=True)  # a graph takes longer
    history = model.fit(mr.data.from_coco(*tiny_data(tmp_path), config, training=True), verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    folder = exported_with(["serving_default"], model, tmp_path / "exported")
    image = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    served = tf.saved_model.load(folder).signatures["serving_default"](tf.constant(image[None]))
    found = model.predict_images([image])[0]
    assert found.masks.shape[1:] == (60, 80)
    np.testing.assert_allclose(served["detection_scores"][0, : len(found)], found.scores, atol=1e-5)
