import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfmaskrcnn.model.layers.norm import BN_MOMENTUM, ConvNorm, make_norm
from tfmaskrcnn.model.layers.trained_norms import GroupNorm
from tfmaskrcnn.model.weights import named_weights


def images(batch=2, height=5, width=4, channels=8, seed=0):
    x = np.random.default_rng(seed).normal(3.0, 2.0, (batch, height, width, channels))
    return x.astype(np.float32)


def built(kind, channels=8):
    norm = make_norm(kind, 1e-5, "norm")
    norm.build((None, None, None, channels))
    return norm


def test_group_norm_of_a_hand_checked_case():
    norm = GroupNorm(groups=2, epsilon=0.0)
    norm.build((None, None, None, 4))
    norm.gamma.assign([1.0, 1.0, 1.0, 10.0])
    norm.beta.assign([0.0, 0.0, 5.0, 5.0])
    x = np.array([[[[0.0, 2.0, 7.0, 9.0]]]], np.float32)  # each pair: a mean and 1 on both sides
    np.testing.assert_allclose(norm(x), [[[[-1.0, 1.0, 4.0, 15.0]]]], atol=1e-6)


@pytest.mark.parametrize("seed", range(20))
def test_each_group_of_each_image_comes_out_with_mean_0_and_variance_1(seed):
    norm = GroupNorm(groups=(1, 2, 4, 8)[seed % 4], epsilon=0.0)
    norm.build((None, None, None, 8))
    y = norm(images(seed=seed)).numpy().reshape(2, 20, norm.groups, -1)
    np.testing.assert_allclose(y.mean((1, 3)), 0.0, atol=1e-5)
    np.testing.assert_allclose(y.var((1, 3)), 1.0, atol=1e-4)


def test_group_norm_needs_a_whole_number_of_channels_a_group():
    with pytest.raises(ValueError, match="48 channels are not divisible into 32 groups"):
        built("gn", 48)


def test_group_norm_does_not_cancel_where_the_mean_is_large():
    norm = GroupNorm(groups=1)
    norm.build((None, None, None, 8))
    x = images() + 1000.0
    expected = (x - x.mean((1, 2, 3), keepdims=True)) / x.std((1, 2, 3), keepdims=True)
    np.testing.assert_allclose(norm(x), expected, atol=1e-3)


def test_group_norm_in_a_graph_uses_operations_that_tensorrt_converts():
    layer = ConvNorm(64, 3, norm="gn", activation="relu")
    layer.build((None, None, None, 3))
    call = tf.function(layer, input_signature=[tf.TensorSpec([1, 8, 8, 3])])
    graph = call.get_concrete_function().graph
    kinds = {op.type for op in graph.get_operations()}
    assert not kinds & {"DivNoNan", "FusedBatchNormV3", "BroadcastTo", "Shape", "Where"}, kinds


def test_group_norm_has_finite_gradients_where_all_is_equal():
    layer = ConvNorm(32, 3, norm="gn")
    layer.build((None, None, None, 3))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(np.zeros((1, 4, 4, 3), np.float32)) ** 2)
    assert all(np.isfinite(g).all() for g in tape.gradient(loss, layer.trainable_weights))


@pytest.mark.parametrize(
    "kind, short",
    [
        ("none", {"kernel", "bias"}),
        ("gn", {"kernel", "norm/gamma", "norm/beta"}),
        *(
            (
                kind,
                {
                    "kernel",
                    *(f"norm/{v}" for v in ("gamma", "beta", "moving_mean", "moving_variance")),
                },
            )
            for kind in ("frozen_bn", "bn", "sync_bn")
        ),
    ],
)
def test_weights_of_a_convolution_go_by_these_names(kind, short):
    layer = ConvNorm(32, 3, norm=kind)
    layer.build((None, None, None, 3))
    assert set(named_weights(layer)) == short


def test_without_a_norm_there_is_a_bias():
    layer = ConvNorm(2, 1, norm="none")
    layer.build((None, None, None, 1))
    layer.kernel.assign([[[[2.0, -1.0]]]])
    layer.bias.assign([0.5, 7.0])
    x = np.array([1.0, 3.0], np.float32).reshape(1, 1, 2, 1)
    np.testing.assert_allclose(layer(x)[0, 0], [[2.5, 6.0], [6.5, 4.0]])


@pytest.mark.parametrize("kind", ["bn", "sync_bn"])
def test_rows_of_padding_do_not_count_whatever_they_hold(kind):
    alone, among = built(kind), built(kind)
    x = images(3)
    padded = np.concatenate([x, np.full((2, 5, 4, 8), np.nan, np.float32)])
    valid = tf.constant([True, True, True, False, False])
    order = [3, 0, 4, 1, 2]
    found = among(padded[order], training=True, valid=tf.gather(valid, order)).numpy()
    expected = alone(x, training=True).numpy()
    np.testing.assert_allclose(found[[1, 3, 4]], expected, atol=1e-5)
    for name in ("moving_mean", "moving_variance"):
        # Keras 2 takes the unbiased variance of the batch where it fuses: 60 / 59 times ours.
        np.testing.assert_allclose(
            getattr(among, name).numpy(), getattr(alone, name).numpy(), rtol=0.01
        )
    assert np.abs(among.moving_mean.numpy()).min() > 0.1


def test_a_batch_of_padding_alone_leaves_the_statistics():
    norm = built("bn")
    y = norm(images(), training=True, valid=tf.constant([False, False]))
    np.testing.assert_array_equal(norm.moving_mean.numpy(), np.zeros(8))
    np.testing.assert_array_equal(norm.moving_variance.numpy(), np.ones(8))
    assert np.isfinite(y).all()


def test_synchronised_norm_on_one_device_is_plain_batch_normalisation():
    plain, sync, x = built("bn"), built("sync_bn"), images(4)
    np.testing.assert_allclose(sync(x, training=True), plain(x, training=True), atol=1e-5)
    mean = x.mean((0, 1, 2)) * (1 - BN_MOMENTUM)
    np.testing.assert_allclose(sync.moving_mean.numpy(), mean, rtol=1e-4)
    # Keras 2 takes the unbiased variance: 80 / 79 times ours.
    variances = (norm.moving_variance.numpy() for norm in (sync, plain))
    np.testing.assert_allclose(*variances, rtol=0.01)


@pytest.mark.parametrize("kind", ["none", "gn", "bn", "sync_bn", "frozen_bn"])
def test_every_kind_computes_in_bfloat16_under_that_policy(kind):
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        layer = ConvNorm(32, 3, norm=kind)
        layer.build((None, None, None, 8))
        y = layer(images(), training=True)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert y.dtype == tf.bfloat16
    assert {tf.as_dtype(w.dtype) for w in layer.weights} == {tf.float32}


REPLICAS = """
import sys
import numpy as np, tensorflow as tf
from tfmaskrcnn.model.layers.norm import ConvNorm
from tfmaskrcnn.model.weights import named_weights

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
rng = np.random.default_rng(0)
x = rng.normal(2.0, 3.0, (4, 6, 5, 3)).astype(np.float32)
x[2:] += 5.0  # the second replica's images are quite different
valid = np.array([True, False, True, True])
start = {"kernel": rng.normal(size=(3, 3, 3, 4)), "norm/gamma": rng.uniform(0.5, 2, 4),
         "norm/beta": rng.normal(size=4), "norm/moving_mean": np.zeros(4),
         "norm/moving_variance": np.ones(4)}

def made():
    layer = ConvNorm(4, 3, norm="sync_bn")
    layer.build((None, None, None, 3))
    for name, variable in named_weights(layer).items():
        variable.assign(start[name].astype(np.float32))
    return layer

def step(layer, x, valid):
    with tf.GradientTape() as tape:
        y = layer(x, training=True, valid=valid)
        rows = tf.cast(valid, tf.float32)[:, None, None, None]
        loss = tf.reduce_sum(tf.sin(y * rows) ** 2)
    gradients = tape.gradient(loss, layer.trainable_weights)
    context = tf.distribute.get_replica_context()
    return y, context.all_reduce("SUM", gradients)

def statistics(layer):
    return [np.asarray(v.numpy()) for n, v in named_weights(layer).items() if "moving" in n]

for mask in (None, valid):
    rows = np.ones(4, bool) if mask is None else mask
    one = made()
    y, gradients = step(one, x, rows)
    strategy = tf.distribute.MirroredStrategy(
        ["CPU:0", "CPU:1"], tf.distribute.ReductionToOneDevice()
    )
    with strategy.scope():
        many = made()
    pick = lambda array: strategy.experimental_distribute_values_from_function(
        lambda c: tf.constant(array[2 * c.replica_id_in_sync_group:][:2]))
    run = tf.function(lambda x, v: strategy.run(step, (many, x, v)))
    found, summed = run(pick(x), pick(rows))
    found = np.concatenate([np.asarray(y) for y in strategy.experimental_local_results(found)])
    assert np.abs(found - y)[rows].max() < 1e-4
    for a, b in zip(summed, gradients):
        a = strategy.experimental_local_results(a)[0]
        assert np.abs(a - b).max() < 1e-3 * np.abs(b).max(), (a, b)
    for a, b in zip(statistics(many), statistics(one)):
        assert np.abs(a / b - 1).max() < 1e-5 and np.abs(a).min() > 0.01, (a, b)
print("equal")
"""


@pytest.mark.slow
def test_two_replicas_normalise_like_one_device_on_the_whole_batch():
    # In a process of its own: the logical devices must be made before any other operation.
    command = [sys.executable, "-c", REPLICAS]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0 and "equal" in done.stdout, done.stderr[-2000:]
