import inspect

import numpy as np
import pytest
import tensorflow as tf

from tfmaskrcnn.model.layers.efficientnet_lite import EfficientNetLite, InvertedResidual


def built(variant=0, **arguments):
    layer = EfficientNetLite(variant, **arguments)
    layer.build((None, None, None, 3))
    return layer


def images(batch=1, height=32, width=32, seed=0):
    return np.random.default_rng(seed).normal(size=(batch, height, width, 3)).astype(np.float32)


@pytest.mark.parametrize(
    "variant, parameters",
    [(0, 4652008), (1, 5416680), (2, 6092072)],  # published, with classifier
)
def test_parameter_count_is_the_published_one(variant, parameters):
    layer = built(variant, norm="bn")
    body = sum(int(np.prod(weight.shape)) for weight in layer.trainable_weights)
    # conv_head to 1280 channels, its norm, and 1000 classes.
    classifier = layer.out_channels["c5"] * 1280 + 2 * 1280 + 1281 * 1000
    assert body + classifier == parameters


@pytest.mark.parametrize("batch", [1, 2])
def test_outputs_have_strides_4_to_32_rounded_up(batch):
    found = built()(images(batch, 65, 97))
    assert {name: tuple(x.shape) for name, x in found.items()} == {
        "c2": (batch, 17, 25, 24),
        "c3": (batch, 9, 13, 40),
        "c4": (batch, 5, 7, 112),
        "c5": (batch, 3, 4, 320),
    }


def test_the_largest_variant_is_wider():
    assert built(2).out_channels == {"c2": 24, "c3": 48, "c4": 120, "c5": 352}


@pytest.mark.parametrize("norm", ["frozen_bn", "bn"])
@pytest.mark.parametrize("freeze_at", range(6))
def test_frozen_stages_have_no_trainable_weights(norm, freeze_at):
    layer = built(norm=norm, freeze_at=freeze_at)
    parts = [("stem", layer.stem), *layer.named_blocks()]
    trainable = {path.split("/")[0] for path, part in parts if part.trainable_weights}
    frozen = {0: [], 1: ["stem"], 2: ["stem", 1, 2], 3: ["stem", 1, 2, 3]}
    frozen.update({4: ["stem", 1, 2, 3, 4, 5], 5: ["stem", 1, 2, 3, 4, 5, 6, 7]})
    every = ["stem", 1, 2, 3, 4, 5, 6, 7]
    expected = {f"stage{n}" if n != "stem" else n for n in every if n not in frozen[freeze_at]}
    assert trainable == expected
    inside = {id(w) for _, part in parts for w in part.trainable_weights}
    assert {id(w) for w in layer.trainable_weights} == inside


@pytest.mark.parametrize("strides, filters, residual", [(1, 8, True), (2, 8, False), (1, 9, False)])
def test_a_block_adds_its_input_only_where_the_shape_allows(strides, filters, residual):
    block = InvertedResidual(filters, 3, strides)
    block.build((None, None, None, 8))
    block.project.kernel.assign(np.zeros(block.project.kernel.shape))
    x = np.random.default_rng(0).normal(size=(1, 4, 6, 8)).astype(np.float32)
    found = block(x).numpy()
    assert found.shape == (1, 4 // strides, 6 // strides, filters)
    np.testing.assert_array_equal(found, x if residual else np.zeros_like(found))


@pytest.mark.parametrize("norm", ["frozen_bn", "bn"])
def test_gradient_of_one_image_is_finite(norm):
    layer = built(norm=norm)
    with tf.GradientTape() as tape:
        loss = sum(tf.reduce_mean(x**2) for x in layer(images(1, 64, 64), training=True).values())
    gradients = tape.gradient(loss, layer.trainable_weights)
    assert gradients and all(np.isfinite(g.numpy()).all() for g in gradients)


def test_training_leaves_a_frozen_norm_network_as_it_is():
    layer = built()
    before = [w.numpy() for w in layer.weights]
    layer(images(2), training=True)
    for weight, value in zip(layer.weights, before):
        np.testing.assert_array_equal(weight.numpy(), value)


@pytest.mark.parametrize(
    "layer_type, arguments",
    [
        (
            EfficientNetLite,
            {"variant": 2, "freeze_at": 3, "norm": "bn", "epsilon": 0.25, "name": "x"},
        ),
        (
            InvertedResidual,
            {
                "filters": 8,
                "kernel_size": 5,
                "strides": 2,
                "expansion": 1,
                "norm": "bn",
                "epsilon": 0.25,
                "name": "x",
            },
        ),
    ],
)
def test_config_round_trip_keeps_non_default_arguments(layer_type, arguments):
    config = layer_type(**arguments).get_config()
    assert {name: config[name] for name in arguments} == arguments
    assert set(inspect.signature(layer_type).parameters) - {"kwargs"} <= set(config)
    assert layer_type.from_config(config).get_config() == config


def test_an_unknown_variant_is_named():
    with pytest.raises(ValueError, match="variant is 7"):
        EfficientNetLite(7)
