import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfmaskrcnn.model.layers.norm import BN_MOMENTUM, ConvNorm, FrozenBatchNorm, make_norm
from tfmaskrcnn.model.layers.trained_norms import GroupNorm

VECTORS = ("gamma", "beta", "moving_mean", "moving_variance")


def randomize(norm, rng):
    channels = norm.gamma.shape[0]
    values = (
        rng.uniform(0.5, 1.5, channels),
        rng.normal(size=channels),
        rng.normal(size=channels),
        rng.uniform(0.5, 2.0, channels),
    )
    for name, value in zip(VECTORS, values):
        getattr(norm, name).assign(value.astype(np.float32))


def built(channels=3, seed=0, **arguments):
    layer = ConvNorm(**{"filters": 4, "kernel_size": 3, **arguments})
    layer.build((None, None, None, channels))
    randomize(layer.norm, np.random.default_rng(seed))
    return layer


def pass_through(**arguments):
    """One channel, and a kernel that is 1 in its centre: the output is a shifted input."""
    layer = ConvNorm(filters=1, epsilon=0.0, **arguments)
    layer.build((None, None, None, 1))
    kernel = np.zeros(layer.kernel.shape, np.float32)
    kernel[layer.kernel_size // 2, layer.kernel_size // 2] = 1.0
    layer.kernel.assign(kernel)
    return layer


def test_frozen_norm_is_the_formula_on_a_hand_checked_case():
    norm = FrozenBatchNorm(epsilon=1.0)
    norm.build((None, 1))
    for name, value in zip(VECTORS, (6.0, 0.5, 10.0, 8.0)):  # 6 / sqrt(8 + 1) = 2
        getattr(norm, name).assign([value])
    np.testing.assert_allclose(norm(np.array([[10.0], [11.0]], np.float32)), [[0.5], [2.5]])


def test_frozen_norm_never_updates_nor_trains_its_vectors():
    norm = FrozenBatchNorm()
    norm.build((None, None, None, 4))
    randomize(norm, np.random.default_rng(0))
    before = [getattr(norm, name).numpy() for name in VECTORS]
    norm.trainable = True
    norm(np.random.default_rng(1).normal(5.0, 3.0, (2, 3, 3, 4)).astype(np.float32), training=True)
    for name, value in zip(VECTORS, before):
        np.testing.assert_array_equal(getattr(norm, name).numpy(), value)
    assert norm.trainable_weights == []


def test_both_kinds_of_norm_agree_on_names_shapes_and_inference():
    frozen, trained = make_norm("frozen_bn", 1e-3, "norm"), make_norm("bn", 1e-3, "norm")
    x = np.random.default_rng(0).normal(size=(2, 3, 5, 4)).astype(np.float32)
    for norm in (frozen, trained):
        norm.build((None, None, None, 4))
        randomize(norm, np.random.default_rng(1))
    short = [
        sorted(w.name.split("/")[-1].split(":")[0] for w in n.weights) for n in (frozen, trained)
    ]
    assert short[0] == short[1] == sorted(VECTORS)
    np.testing.assert_allclose(frozen(x), trained(x, training=False), atol=1e-5)


def test_unknown_arguments_are_named():
    with pytest.raises(ValueError, match="norm is 'layer'"):
        make_norm("layer")
    with pytest.raises(ValueError, match="padding is 'valid'"):
        ConvNorm(4, 3, padding="valid")
    with pytest.raises(ValueError, match="activation is 'swish'"):
        ConvNorm(4, 3, activation="swish")


@pytest.mark.parametrize("seed", range(20))
def test_folding_the_norm_equals_convolution_then_norm(seed):
    rng = np.random.default_rng(seed)
    depthwise, kernel_size, strides = bool(seed % 2), (1, 3, 5)[seed % 3], 1 + seed // 2 % 2
    kind = "bn" if seed % 4 < 2 else "frozen_bn"
    layer = built(
        seed=seed,
        kernel_size=kernel_size,
        strides=strides,
        depthwise=depthwise,
        norm=kind,
        padding="same",
        epsilon=0.01,
    )
    x = rng.normal(size=(2, 6, 7, 3)).astype(np.float32)
    convolve = tf.nn.depthwise_conv2d if depthwise else tf.nn.conv2d
    y = convolve(x, layer.kernel.numpy(), [1, strides, strides, 1], "SAME").numpy()
    gamma, beta, mean, variance = (getattr(layer.norm, name).numpy() for name in VECTORS)
    expected = (y - mean) / np.sqrt(variance + 0.01) * gamma + beta
    np.testing.assert_allclose(layer(x, training=False), expected, atol=2e-5)


def test_gradient_through_the_folded_norm_is_that_of_the_unfolded():
    layer = built(channels=2)
    x = np.random.default_rng(0).normal(size=(1, 4, 5, 2)).astype(np.float32)
    kernel = tf.Variable(layer.kernel.numpy())
    with tf.GradientTape() as tape:
        folded = tf.reduce_sum(tf.sin(layer(x, training=True)))
    found = tape.gradient(folded, layer.trainable_weights)
    with tf.GradientTape() as tape:
        plain = tf.reduce_sum(tf.sin(layer.norm(tf.nn.conv2d(x, kernel, 1, "SAME"))))
    assert len(found) == 1
    np.testing.assert_allclose(found[0], tape.gradient(plain, kernel), atol=1e-5)


@pytest.mark.parametrize("kernel_size", [3, 5, 7])
@pytest.mark.parametrize("size", [(8, 10), (9, 11)])
def test_symmetric_padding_puts_output_i_at_input_2i(kernel_size, size):
    x = np.arange(1, 1 + size[0] * size[1], dtype=np.float32).reshape(1, *size, 1)
    layer = pass_through(kernel_size=kernel_size, strides=2)
    np.testing.assert_allclose(layer(x), x[:, ::2, ::2])


def test_same_padding_puts_output_i_of_an_even_input_at_2i_plus_1():
    x = np.arange(1, 81, dtype=np.float32).reshape(1, 8, 10, 1)
    np.testing.assert_allclose(
        pass_through(kernel_size=3, strides=2, padding="same")(x), x[:, 1::2, 1::2]
    )


def test_strided_1x1_convolution_reads_every_second_pixel():
    x = np.random.default_rng(0).normal(size=(2, 5, 6, 3)).astype(np.float32)
    layer = built(kernel_size=1, strides=2)
    same = built(kernel_size=1, strides=1)
    same.set_weights(layer.get_weights())
    np.testing.assert_allclose(layer(x), same(x)[:, ::2, ::2], atol=1e-6)
    assert layer(x).shape == (2, 3, 3, 4)


@pytest.mark.parametrize("activation, top", [("relu", np.inf), ("relu6", 6.0)])
def test_activations_clip(activation, top):
    x = np.array([-3.0, 0.5, 9.0], np.float32).reshape(1, 1, 3, 1)
    layer = pass_through(kernel_size=1, activation=activation)
    np.testing.assert_allclose(layer(x).numpy().ravel(), [0.0, 0.5, min(9.0, top)])


def test_trained_norm_normalises_the_batch_and_moves_its_statistics():
    layer = built(norm="bn", filters=2, epsilon=1e-5)
    layer.norm.moving_mean.assign([7.0, 7.0])
    x = np.random.default_rng(0).normal(size=(4, 6, 6, 3)).astype(np.float32)
    y = layer(x, training=True).numpy().reshape(-1, 2)
    np.testing.assert_allclose(y.mean(0), layer.norm.beta.numpy(), atol=1e-4)
    np.testing.assert_allclose(y.std(0), layer.norm.gamma.numpy(), atol=1e-3)
    mean = tf.reduce_mean(tf.nn.conv2d(x, layer.kernel.numpy(), 1, "SAME"), [0, 1, 2])
    expected = BN_MOMENTUM * 7.0 + (1 - BN_MOMENTUM) * mean.numpy()
    np.testing.assert_allclose(layer.norm.moving_mean.numpy(), expected, atol=1e-4)


def test_a_frozen_layer_of_trained_norm_keeps_its_statistics():
    layer = built(norm="bn")
    layer.trainable = False
    before = layer.norm.moving_mean.numpy()
    x = np.random.default_rng(0).normal(5.0, 1.0, (2, 6, 6, 3)).astype(np.float32)
    np.testing.assert_array_equal(layer(x, training=True), layer(x, training=False))
    np.testing.assert_array_equal(layer.norm.moving_mean.numpy(), before)


@pytest.mark.parametrize("norm", ["frozen_bn", "bn"])
def test_statistics_are_read_in_float32_under_bfloat16(norm):
    # bfloat16 rounds 257 to 256: the shift 256 - 257 would vanish.
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        layer = pass_through(kernel_size=1, norm=norm)
        layer.norm.moving_mean.assign([257.0])
        layer.norm.beta.assign([256.0])
        y = layer(np.zeros((1, 2, 2, 1), np.float32))
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert y.dtype == tf.bfloat16
    np.testing.assert_array_equal(tf.cast(y, tf.float32), -np.ones((1, 2, 2, 1)))


@pytest.mark.parametrize(
    "layer_type, arguments",
    [
        (FrozenBatchNorm, {"epsilon": 0.25, "name": "x"}),
        (
            ConvNorm,
            {
                "filters": 7,
                "kernel_size": 5,
                "strides": 2,
                "activation": "relu6",
                "padding": "same",
                "depthwise": True,
                "norm": "bn",
                "epsilon": 0.25,
                "name": "x",
            },
        ),
        (ConvNorm, {"filters": 8, "kernel_size": 3, "groups": 4, "initializer": "xavier"}),
        (GroupNorm, {"groups": 4, "epsilon": 0.25, "name": "x"}),
    ],
)
def test_config_round_trip_keeps_non_default_arguments(layer_type, arguments):
    config = layer_type(**arguments).get_config()
    assert {name: config[name] for name in arguments} == arguments
    assert set(inspect.signature(layer_type).parameters) - {"kwargs"} <= set(config)
    assert layer_type.from_config(config).get_config() == config


@pytest.mark.parametrize("batch", [1, 2])
def test_shape_is_static_where_the_input_is(batch):
    layer = built(strides=2)
    call = tf.function(layer, input_signature=[tf.TensorSpec([batch, 9, 12, 3])])
    assert call.get_concrete_function().output_shapes == [batch, 5, 6, 4]
