import logging
import os
import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest
import tensorflow as tf

from helpers.paths import ROOT
from tfmaskrcnn import compat
from tfmaskrcnn.model.gradients import (
    GradientRules,
    apply_gradients,
    is_kernel,
    rate_factors,
    set_rules,
)

LossScaleOptimizer = (
    keras.optimizers.LossScaleOptimizer
    if compat.KERAS3
    else keras.mixed_precision.LossScaleOptimizer
)


def dense(kernel=((3.0,), (4.0,)), bias=(5.0,)):
    """The kernel and the bias of a small layer."""
    layer = keras.layers.Dense(len(bias))
    layer.build((None, len(kernel)))
    layer.set_weights([np.array(kernel), np.array(bias)])
    return list(layer.trainable_variables)


def sgd(rate=0.5, momentum=0.0, rules=None):
    optimizer = keras.optimizers.SGD(rate, momentum=momentum)
    return set_rules(optimizer, rules) if rules else optimizer


def values(variables):
    return [np.asarray(v) for v in variables]


def step(optimizer, variables, gradients):
    """Hand over gradients of the unscaled loss as a train step would."""
    optimizer.build(variables)
    scaled = [compat.scale_loss(optimizer, tf.constant(g, tf.float32)) for g in gradients]
    return float(apply_gradients(optimizer, scaled, variables))


def random_case(seed):
    rng = np.random.default_rng(seed)
    kernel, bias = rng.normal(size=(3, 2)), rng.normal(size=2)
    return (kernel, bias), [(rng.normal(size=(3, 2)), rng.normal(size=2)) for _ in range(4)]


def test_l2_is_added_to_the_gradient_of_kernels_alone():
    variables = dense()
    norm = step(sgd(0.5, rules=GradientRules(weight_decay=0.1)), variables, [[[1.0], [2.0]], [3.0]])
    kernel, bias = values(variables)
    np.testing.assert_allclose(kernel, [[3.0 - 0.5 * 1.3], [4.0 - 0.5 * 2.4]], rtol=1e-6)
    np.testing.assert_allclose(bias, [5.0 - 0.5 * 3.0], rtol=1e-6)
    np.testing.assert_allclose(norm, np.sqrt(1.3**2 + 2.4**2 + 3.0**2), rtol=1e-6)


def test_clipping_scales_all_gradients_together():
    variables = dense()
    norm = step(sgd(1.0, rules=GradientRules(clip_norm=1.0)), variables, [[[0.0], [3.0]], [4.0]])
    kernel, bias = values(variables)
    np.testing.assert_allclose(kernel, [[3.0], [4.0 - 0.6]], rtol=1e-6)
    np.testing.assert_allclose(bias, [5.0 - 0.8], rtol=1e-6)
    assert norm == pytest.approx(5.0)  # before clipping


@pytest.mark.parametrize("clip_norm", [5.0, 100.0])
def test_a_gradient_within_the_norm_is_left_alone(clip_norm):
    variables = dense()
    rules = GradientRules(clip_norm=clip_norm)
    step(sgd(1.0, rules=rules), variables, [[[0.0], [3.0]], [4.0]])
    kernel, bias = values(variables)
    np.testing.assert_allclose(kernel, [[3.0], [1.0]], rtol=1e-6)
    np.testing.assert_allclose(bias, [1.0], rtol=1e-6)


def test_a_gradient_of_zeros_is_not_divided_by():
    variables = dense()
    assert step(sgd(rules=GradientRules(clip_norm=1.0)), variables, [[[0.0], [0.0]], [0.0]]) == 0.0
    np.testing.assert_array_equal(values(variables)[1], [5.0])


def test_clipping_sees_the_gradient_with_its_l2():
    variables = dense(((10.0,),), (0.0,))
    rules = GradientRules(weight_decay=1.0, clip_norm=2.0)
    assert step(sgd(1.0, rules=rules), variables, [[[0.0]], [0.0]]) == pytest.approx(10.0)
    np.testing.assert_allclose(values(variables)[0], [[8.0]], rtol=1e-6)


def test_two_steps_with_momentum_by_hand():
    variables = dense(((2.0,),), (0.0,))
    optimizer = sgd(0.1, 0.9, GradientRules(weight_decay=0.5))
    step(optimizer, variables, [[[1.0]], [1.0]])
    # gradient 1 + 0.5 * 2 = 2, velocity -0.2
    np.testing.assert_allclose(values(variables)[0], [[1.8]], rtol=1e-6)
    step(optimizer, variables, [[[1.0]], [1.0]])
    # gradient 1 + 0.5 * 1.8 = 1.9, velocity 0.9 * -0.2 - 0.19 = -0.37
    np.testing.assert_allclose(values(variables)[0], [[1.43]], rtol=1e-6)
    np.testing.assert_allclose(values(variables)[1], [-0.1 - 0.19], rtol=1e-6)


@pytest.mark.parametrize("seed", range(20))
def test_rules_are_plain_arithmetic_before_keras_own_step(seed):
    start, gradients = random_case(seed)
    make = (lambda: sgd(0.1, 0.9)) if seed % 2 else (lambda: keras.optimizers.Adam(0.01))
    decay, clip = (0.0, 0.03)[seed // 2 % 2], (None, 0.8)[seed // 4 % 2]
    ours, plain = dense(*start), dense(*start)
    optimizer, reference = set_rules(make(), GradientRules(decay, clip)), make()
    for kernel, bias in gradients:
        norm = step(optimizer, ours, (kernel, bias))
        kernel = kernel + decay * values(plain)[0]
        expected = np.sqrt((kernel**2).sum() + (bias**2).sum())
        factor = min(1.0, clip / expected) if clip else 1.0
        update = [tf.constant(g * factor, tf.float32) for g in (kernel, bias)]
        reference.apply_gradients(zip(update, plain))
        assert norm == pytest.approx(expected, rel=1e-5)
    for found, expected in zip(values(ours), values(plain)):
        np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop"])
def test_a_keras_optimizer_without_rules_steps_as_it_always_does(name):
    start, gradients = random_case(3)
    ours, plain = dense(*start), dense(*start)
    optimizer, reference = (getattr(keras.optimizers, name)(0.01) for _ in range(2))
    for pair in gradients:
        step(optimizer, ours, pair)
        reference.apply_gradients(zip([tf.constant(g, tf.float32) for g in pair], plain))
    for found, expected, first in zip(values(ours), values(plain), start):
        np.testing.assert_array_equal(found, expected)
        assert (found != first).all()


def test_kernels_are_told_from_biases_and_norms():
    layers = keras.layers
    found = {}
    for layer in (
        layers.Conv2D(2, 3),
        layers.DepthwiseConv2D(3),
        layers.Conv2DTranspose(2, 2),
        layers.BatchNormalization(),
    ):
        layer.build((None, 8, 8, 2))
        found[type(layer).__name__] = [is_kernel(v) for v in layer.trainable_variables]
    assert found == {
        "Conv2D": [True, False],
        "DepthwiseConv2D": [True, False],
        "Conv2DTranspose": [True, False],
        "BatchNormalization": [False, False],
    }


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW"])
def test_a_factor_of_the_rate_is_another_learning_rate(name):
    start, gradients = random_case(5)
    ours, other = dense(*start), dense(*start)
    make = getattr(keras.optimizers, name)
    more = {"momentum": 0.9} if name == "SGD" else {}
    more = {"weight_decay": 0.3} if name == "AdamW" else more
    optimizer = make(0.1, **more)
    # The same with a rate of its own for each of the two.
    alone = [make(0.1 * factor, **more) for factor in (0.25, 1.0)]
    optimizer.build(ours)
    for pair in gradients:
        pair = [tf.constant(g, tf.float32) for g in pair]
        apply_gradients(optimizer, pair, ours, factors=(0.25, 1.0))
        for each, gradient, variable in zip(alone, pair, other):
            each.apply_gradients([(gradient, variable)])
    for found, expected in zip(values(ours), values(other)):
        np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_no_number_of_the_networks_size_is_made_before_the_gradient(optimizer):
    """Else it lies there, as large as the network, while memory is fullest."""
    kernel = dense(np.ones((300, 7)), np.ones(7))[0]
    made = {
        "sgd": lambda: sgd(0.1, 0.9, GradientRules(weight_decay=0.1, clip_norm=1.0)),
        "adamw": lambda: keras.optimizers.AdamW(0.1),
    }[optimizer]()
    made.build([kernel])

    @tf.function(input_signature=[tf.TensorSpec([300, 7])])
    def update(gradient):
        return apply_gradients(made, [tf.exp(gradient)], [kernel], [0.5])

    graph = update.get_concrete_function().graph
    after_it = set()
    for op in graph.get_operations():
        before = {*(t.op.name for t in op.inputs), *(c.name for c in op.control_inputs)}
        if op.type == "Exp" or before & after_it:
            after_it.add(op.name)
    large = [op for op in graph.get_operations() if any(300 in (t.shape or ()) for t in op.outputs)]
    made_early = [op.name for op in large if op.name not in after_it and op.type != "Placeholder"]
    assert len(large) > 5 and not made_early


def test_the_longest_beginning_of_a_path_gives_the_factor():
    names = ["backbone/stem/kernel", "backbone/res5/0/kernel", "backbone2/kernel", "fpn/bias"]
    rates = {"backbone/res5": 1.0, "backbone": 0.1, "fpn/bias": 2.0}
    assert rate_factors(names, rates) == {"backbone/stem/kernel": 0.1, "fpn/bias": 2.0}
    assert rate_factors(names, {}) == {}


# Loss scaling, of another name on each of the two versions of Keras.


@pytest.mark.parametrize("rules_on", ["inner", "outer", "nothing"])
def test_loss_scaling_leaves_the_update_as_it_is(rules_on):
    start, gradients = random_case(0)
    rules = GradientRules(0.05, 0.8)
    scaled, plain = dense(*start), dense(*start)
    inner, reference = sgd(0.1, 0.9), sgd(0.1, 0.9)
    if rules_on != "nothing":
        set_rules(reference, rules)
    if rules_on == "inner":
        set_rules(inner, rules)
    optimizer = LossScaleOptimizer(inner)
    if rules_on == "outer":
        set_rules(optimizer, rules)
    for pair in gradients:
        norm = step(optimizer, scaled, pair)
        assert norm == pytest.approx(step(reference, plain, pair), rel=1e-5)
    assert float(compat.loss_scale(optimizer)) == 2.0**15
    for found, expected in zip(values(scaled), values(plain)):
        np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("rules", [GradientRules(), GradientRules(0.1, 1.0)])
@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_a_gradient_that_overflows_skips_the_update_and_halves_the_scale(rules, bad):
    variables = dense()
    optimizer = set_rules(LossScaleOptimizer(sgd(0.5, 0.9)), rules)
    step(optimizer, variables, [[[1.0], [1.0]], [1.0]])
    before, scale = values(variables), float(compat.loss_scale(optimizer))
    step(optimizer, variables, [[[1.0], [bad]], [1.0]])
    for found, expected in zip(values(variables), before):
        np.testing.assert_array_equal(found, expected)
    assert float(compat.loss_scale(optimizer)) == scale / 2
    step(optimizer, variables, [[[1.0], [1.0]], [1.0]])
    assert all(np.isfinite(v).all() and (v != b).all() for v, b in zip(values(variables), before))


def test_loss_scaling_works_inside_a_graph():
    start, gradients = random_case(1)
    variables, plain = dense(*start), dense(*start)
    rules = GradientRules(0.05, 0.8)
    optimizer = LossScaleOptimizer(sgd(0.1, 0.9, rules))
    optimizer.build(variables)

    @tf.function
    def update(kernel, bias):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(variables[0] * kernel) + tf.reduce_sum(variables[1] * bias)
            scaled = compat.scale_loss(optimizer, loss)
        return apply_gradients(optimizer, tape.gradient(scaled, variables), variables)

    reference = sgd(0.1, 0.9, rules)
    for pair in gradients:
        update(*(tf.constant(g, tf.float32) for g in pair))
        step(reference, plain, pair)
    for found, expected in zip(values(variables), values(plain)):
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_keras_2_has_no_reason_to_warn_of_scaling(caplog):
    # It warns where a loss was scaled and its own division of the gradients is not used.
    with caplog.at_level(logging.WARNING):
        variables = dense()
        step(LossScaleOptimizer(sgd()), variables, [[[1.0], [1.0]], [1.0]])
    assert not caplog.records


@pytest.mark.skipif(not compat.KERAS3, reason="an argument of Keras 3")
def test_a_fixed_loss_scale_leaves_the_update_as_it_is():
    start, gradients = random_case(2)
    rules = GradientRules(0.05, 0.8)
    scaled, plain = dense(*start), dense(*start)
    optimizer = set_rules(keras.optimizers.SGD(0.1, loss_scale_factor=64.0), rules)
    for pair in gradients:
        norm = step(optimizer, scaled, pair)
        assert norm == pytest.approx(step(sgd(0.1, rules=rules), plain, pair), rel=1e-5)
    for found, expected in zip(values(scaled), values(plain)):
        np.testing.assert_allclose(found, expected, atol=1e-6)


REPLICAS = """
    import keras, numpy as np, tensorflow as tf
    from tfmaskrcnn import compat
    from tfmaskrcnn.model.ema import WeightAverage
    from tfmaskrcnn.model.gradients import GradientRules, all_reduce_sum, apply_gradients, set_rules

    one = tf.config.LogicalDeviceConfiguration()
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [one, one])
    devices = ["/cpu:0", "/cpu:1"]
    strategy = tf.distribute.MirroredStrategy(devices, tf.distribute.ReductionToOneDevice())

    def run(strategy, shares, replicas):
        with strategy.scope():
            layer = keras.layers.Dense(1)
            layer.build((None, 2))
            layer.set_weights([np.array([[3.0], [4.0]]), np.array([5.0])])
            optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
            set_rules(optimizer, GradientRules(weight_decay=0.5, clip_norm=1.0))
            variables = list(layer.trainable_variables)
            optimizer.build(variables)

        def step():
            context = tf.distribute.get_replica_context()
            mine = tf.gather(tf.constant(shares), context.replica_id_in_sync_group)
            gradients = [tf.ones([2, 1]) * mine, tf.ones([1]) * mine]
            norm = apply_gradients(optimizer, gradients, variables)
            return norm, all_reduce_sum(mine)

        graph = tf.function(lambda: strategy.run(step))
        for _ in range(3):
            norm, total = (strategy.experimental_local_results(x) for x in graph())
        assert [float(t) for t in total] == [sum(shares)] * replicas, total
        return [np.asarray(v) for v in layer.get_weights()], [float(n) for n in norm]

    # The parts pull in opposite directions: clipped before the sum they would come out otherwise.
    alone, norm = run(tf.distribute.get_strategy(), [2.0], 1)
    mirrored, norms = run(strategy, [9.0, -7.0], 2)
    for a, b in zip(alone, mirrored):
        np.testing.assert_allclose(a, b, atol=1e-6)
    np.testing.assert_allclose(norms, norm * 2, rtol=1e-6)

    # Factors of the rate, an average of the weights, and a gradient that overflows on one replica.
    with strategy.scope():
        model = keras.Sequential([keras.layers.Dense(1)])
        model.build((None, 2))
        layer = model.layers[0]
        layer.set_weights([np.array([[3.0], [4.0]]), np.array([5.0])])
        optimizer = compat.loss_scaling(keras.optimizers.SGD(1.0))
        variables = list(layer.trainable_variables)
        optimizer.build(variables)
        average = WeightAverage(model, 0.5)

    def step(shares):
        mine = tf.gather(shares, tf.distribute.get_replica_context().replica_id_in_sync_group)
        gradients = [tf.ones([2, 1]) * mine, tf.ones([1]) * mine]
        gradients = [compat.scale_loss(optimizer, g) for g in gradients]
        apply_gradients(optimizer, gradients, variables, (0.25, 1.0))
        average.update()
        return compat.loss_scale(optimizer)

    graph = tf.function(lambda shares: strategy.run(step, args=(shares,)))
    for shares, kernel, scale in (([1.0, np.inf], 3.0, 2**14), ([1.0, 1.0], 2.5, 2**14)):
        scales = strategy.experimental_local_results(graph(tf.constant(shares)))
        assert [float(s) for s in scales] == [scale] * 2, scales
        for copy in strategy.experimental_local_results(compat.tensor_variable(layer.kernel)):
            np.testing.assert_allclose(copy, [[kernel], [kernel + 1]])
    np.testing.assert_allclose(layer.get_weights()[1], [3.0])
    for copy in strategy.experimental_local_results(list(average.averages.values())[-1]):
        np.testing.assert_allclose(copy, [[2.55], [3.55]], rtol=1e-6)  # 0.1 of the first
"""


@pytest.mark.slow
def test_two_replicas_make_the_update_of_one():
    # Its own process: logical devices must be made before TensorFlow first runs.
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(REPLICAS)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
