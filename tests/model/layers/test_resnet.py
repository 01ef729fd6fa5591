import inspect
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from helpers.one_stack import on_stack_a
from tfmaskrcnn.model.layers.resnet import RESNETS, BasicBlock, Bottleneck, ResNet


def built(depth=18, **arguments):
    layer = ResNet(depth, **arguments)
    layer.build((None, None, None, 3))
    return layer


def images(batch=1, height=32, width=32, seed=0):
    return np.random.default_rng(seed).normal(size=(batch, height, width, 3)).astype(np.float32)


def count(weights):
    return sum(int(np.prod(weight.shape)) for weight in weights)


@pytest.mark.parametrize(
    "depth, parameters",
    # torchvision's models without `fc`.
    [
        (18, 11176512),
        (34, 21284672),
        (50, 23508032),
        (101, 42500160),
        pytest.param(152, 58143808, marks=pytest.mark.slow),
    ],
)
def test_parameter_count_is_the_published_one(depth, parameters):
    assert count(built(depth, norm="bn").trainable_weights) == parameters


@pytest.mark.parametrize(
    "name, parameters",
    [
        ("resnext50_32x4d", 22979904),
        pytest.param("resnext101_32x8d", 86742336, marks=pytest.mark.slow),
        pytest.param("resnext101_64x4d", 81406272, marks=pytest.mark.slow),
        pytest.param("wide_resnet50_2", 66834240, marks=pytest.mark.slow),
        pytest.param("wide_resnet101_2", 124837696, marks=pytest.mark.slow),
    ],
)
@on_stack_a
def test_parameter_count_of_other_bottlenecks_is_torchvisions(name, parameters):
    layer = built(**RESNETS[name]._asdict(), norm="bn")
    assert count(layer.trainable_weights) == parameters
    assert list(layer.out_channels.values()) == [256, 512, 1024, 2048]


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("depth", [18, 50])
def test_outputs_have_strides_4_to_32_rounded_up(depth, batch):
    layer = built(depth)
    found = layer(images(batch, 65, 97))
    expected = {"c2": (17, 25), "c3": (9, 13), "c4": (5, 7), "c5": (3, 4)}
    channels = layer.out_channels
    assert {n: tuple(x.shape) for n, x in found.items()} == {
        n: (batch, *size, channels[n]) for n, size in expected.items()
    }
    assert list(channels.values()) == [c * (1 if depth == 18 else 4) for c in (64, 128, 256, 512)]


def test_an_impulse_comes_out_where_symmetric_padding_puts_it():
    layer = built(18)
    kernel = np.zeros((7, 7, 3, 64), np.float32)
    kernel[3, 3, 0, 0] = 1.0  # the stem passes channel 0 on
    layer.stem.kernel.assign(kernel)
    for block in layer.res2:  # and the blocks their input
        block.conv2.kernel.assign(np.zeros((3, 3, 64, 64)))
    x = np.zeros((1, 32, 32, 3), np.float32)
    x[0, 8, 20, 0] = 1.0
    found = np.argwhere(layer(x)["c2"][0, ..., 0].numpy() > 0)
    # Pixel (8, 20) is (4, 10) after the stem; a 3x3 pool centred at 2i holds it for i = 2 and 5.
    # TensorFlow's SAME would miss it in the stem, which then reads odd pixels.
    assert found.tolist() == [[2, 5]]


@pytest.mark.parametrize(
    # Of width 3 and stride 2: symmetric padding has the windows 2i - 1 to 2i + 1, TensorFlow's
    # 2i to 2i + 2 on even sides.
    "stem_pool, sees",
    [("symmetric", [[1, 0], [2, 0]]), ("same", [[1, 0]])],
)
def test_the_max_pool_window_is_centred_or_tensorflows(stem_pool, sees):
    layer = ResNet(18, stem_pool=stem_pool)
    layer.build((None, None, None, 3))
    kernel = np.zeros((7, 7, 3, 64), np.float32)
    kernel[3, 3, 0, 0] = 1.0
    layer.stem.kernel.assign(kernel)
    for block in layer.res2:
        block.conv2.kernel.assign(np.zeros((3, 3, 64, 64)))
    x = np.zeros((1, 32, 32, 3), np.float32)
    x[0, 6, 0, 0] = 1.0  # (3, 0) after the stem: between the windows of i = 1 and 2
    found = np.argwhere(layer(x)["c2"][0, ..., 0].numpy() > 0)
    assert found.tolist() == sees


@pytest.mark.parametrize("stride_in_1x1, sees", [(True, False), (False, True)])
def test_the_stride_is_in_the_1x1_or_in_the_3x3(stride_in_1x1, sees):
    # A strided 1x1 drops the odd pixels; a strided 3x3 after it sees them all.
    block = Bottleneck(2, strides=2, stride_in_1x1=stride_in_1x1)
    block.build((None, None, None, 4))
    x = np.random.default_rng(0).normal(size=(1, 8, 8, 4)).astype(np.float32)
    changed = x.copy()
    changed[:, 1::2, 1::2] += 1.0
    assert bool(np.any(block(x).numpy() != block(changed).numpy())) == sees


@pytest.mark.parametrize(
    "depth, norm, stride_in_1x1",
    [(18, "bn", True), (50, "frozen_bn", True), (50, "frozen_bn", False), (18, "gn", False)],
)
def test_gradient_of_one_image_is_finite(depth, norm, stride_in_1x1):
    layer = built(depth, norm=norm, stride_in_1x1=stride_in_1x1)
    with tf.GradientTape() as tape:
        loss = sum(tf.reduce_mean(x**2) for x in layer(images(1, 64, 64), training=True).values())
    gradients = tape.gradient(loss, layer.trainable_weights)
    assert gradients and all(np.isfinite(g.numpy()).all() for g in gradients)
    assert all(np.any(g.numpy() != 0) for g in gradients)


HEAP_CHECK = """
import numpy as np, tensorflow as tf
from tfmaskrcnn.model.layers.resnet import Bottleneck
blocks = [Bottleneck(8, 2, stride_in_1x1=flag) for flag in (True, False)]
for block in blocks:
    block.build((None, None, None, 8))
x = np.ones((1, 16, 16, 8), np.float32)
for _ in range(200):
    for block in blocks:
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(block(x) ** 2)
        tape.gradient(loss, block.trainable_weights)
"""


@on_stack_a
@pytest.mark.slow
def test_200_gradients_of_one_image_leave_the_heap_whole():
    # In a process of its own: the fault is a crash (a strided 1x1 convolution in oneDNN).
    command = [sys.executable, "-c", HEAP_CHECK]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-500:]


@pytest.mark.parametrize("norm", ["frozen_bn", "bn"])
@pytest.mark.parametrize("freeze_at", range(6))
def test_frozen_stages_have_no_trainable_weights(norm, freeze_at):
    layer = built(18, norm=norm, freeze_at=freeze_at)
    stages = [[layer.stem], layer.res2, layer.res3, layer.res4, layer.res5]
    trainable = [any(part.trainable_weights for part in stage) for stage in stages]
    assert trainable == [i >= freeze_at for i in range(5)]
    inside = {
        id(w) for stage in stages[freeze_at:] for part in stage for w in part.trainable_weights
    }
    assert {id(w) for w in layer.trainable_weights} == inside


def test_training_moves_the_statistics_of_unfrozen_stages_only():
    layer = built(18, norm="bn", freeze_at=2)
    before = {id(w): w.numpy() for w in layer.weights}
    layer(images(2), training=True)
    changed = {id(w) for w in layer.weights if np.any(w.numpy() != before[id(w)])}
    frozen = {id(w) for part in (layer.stem, *layer.res2) for w in part.weights}
    assert changed and not changed & frozen


def test_training_leaves_a_frozen_norm_network_as_it_is():
    layer = built(18)
    before = [w.numpy() for w in layer.weights]
    x = images(2)
    trained, inferred = layer(x, training=True), layer(x, training=False)
    np.testing.assert_array_equal(trained["c5"], inferred["c5"])
    for weight, value in zip(layer.weights, before):
        np.testing.assert_array_equal(weight.numpy(), value)


def test_images_of_a_batch_do_not_touch_each_other():
    layer = built(18)
    pair = images(2)
    alone = layer(pair[:1])
    for name, found in layer(pair).items():
        np.testing.assert_allclose(found[:1], alone[name], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    "layer_type, arguments",
    [
        (
            ResNet,
            {
                "depth": 101,
                "stride_in_1x1": False,
                "freeze_at": 3,
                "norm": "bn",
                "epsilon": 0.25,
                "stem_pool": "same",
                "name": "x",
            },
        ),
        (
            Bottleneck,
            {
                "filters": 8,
                "strides": 2,
                "stride_in_1x1": False,
                "norm": "bn",
                "epsilon": 0.25,
                "name": "x",
            },
        ),
        (BasicBlock, {"filters": 8, "strides": 2, "norm": "bn", "epsilon": 0.25, "name": "x"}),
    ],
)
def test_config_round_trip_keeps_non_default_arguments(layer_type, arguments):
    config = layer_type(**arguments).get_config()
    assert {name: config[name] for name in arguments} == arguments
    assert set(inspect.signature(layer_type).parameters) - {"kwargs"} <= set(config)
    assert layer_type.from_config(config).get_config() == config


def test_an_unknown_depth_is_named():
    with pytest.raises(ValueError, match="depth is 51"):
        ResNet(51)
