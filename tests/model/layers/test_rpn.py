import numpy as np
import pytest
import tensorflow as tf

from tfmaskrcnn.config.model import RpnConfig
from tfmaskrcnn.model.layers.rpn import RpnHead
from tfmaskrcnn.model.losses import rpn_losses
from tfmaskrcnn.model.weights import named_weights
from tfmaskrcnn.ops.anchors import cell_anchors, level_anchors
from tfmaskrcnn.ops.structures import PYRAMID_LEVELS, RpnOutput, ground_truth_of


def built(num_anchors=3, channels=4, inputs=4):
    head = RpnHead(num_anchors, channels, name="rpn")
    head.build((None, None, None, inputs))
    return head


def features(batch, height=5, width=6, channels=4, seed=0):
    x = np.random.default_rng(seed).normal(size=(batch, height, width, channels))
    return tf.constant(x, tf.float32)


def only_anchor(anchor, num_anchors=3):
    """A head of one channel where `anchor` alone answers, with the input as its logit."""
    head = built(num_anchors, 1, 1)
    for name, weight in named_weights(head).items():
        value = np.zeros(weight.shape)
        if name == "convs/0/kernel":
            value[1, 1] = 1
        elif name == "objectness/kernel":
            value[..., anchor] = 1
        elif name == "deltas/kernel":
            value[..., 4 * anchor : 4 * anchor + 4] = [1, 2, 3, 4]
        weight.assign(value)
    return head


@pytest.mark.parametrize("batch", [1, 2])
def test_there_is_a_logit_and_four_deltas_an_anchor(batch):
    logits, deltas = built()(features(batch))
    assert logits.shape == [batch, 5 * 6 * 3] and deltas.shape == [batch, 5 * 6 * 3, 4]
    assert logits.dtype == deltas.dtype == tf.float32


@pytest.mark.parametrize("seed", range(20))
def test_rows_are_in_the_order_of_the_anchors(seed):
    rng = np.random.default_rng(seed)
    height, width, stride = *rng.integers(2, 8, 2), 16
    row, column, anchor = rng.integers(height), rng.integers(width), rng.integers(3)
    image = np.zeros((1, height, width, 1), np.float32)
    image[0, row, column] = 1.0
    logits, deltas = only_anchor(anchor)(image)
    index = int(np.argmax(logits[0]))
    cell = cell_anchors([32.0], [0.5, 1.0, 2.0])
    anchors = level_anchors(cell, int(height), int(width), stride, 0.5).numpy()
    center = np.array([row + 0.5, column + 0.5] * 2) * stride
    np.testing.assert_allclose(anchors[index], cell[anchor] + center, atol=1e-4)
    expected = np.zeros((height * width * 3, 4))
    expected[index] = [1, 2, 3, 4]
    np.testing.assert_allclose(deltas[0], expected, atol=1e-6)
    np.testing.assert_allclose(logits[0], expected[:, 0], atol=1e-6)


def test_the_hidden_convolution_is_3x3_and_rectified():
    head = only_anchor(0, num_anchors=1)
    head.convs[0].kernel.assign(np.ones((3, 3, 1, 1)))
    head.convs[0].bias.assign([-2.5])
    logits, _ = head(tf.ones([1, 3, 3, 1]))
    # 4, 6 or 9 neighbours, less 2.5.
    expected = [[1.5, 3.5, 1.5], [3.5, 6.5, 3.5], [1.5, 3.5, 1.5]]
    np.testing.assert_allclose(logits[0].numpy().reshape(3, 3), expected)
    assert not head(-tf.ones([1, 3, 3, 1]))[0].numpy().any()


def test_two_convolutions_reach_twice_as_far():
    head = RpnHead(1, 1, 2)
    head.build((None, None, None, 1))
    for weight in head.weights:
        weight.assign(np.ones(weight.shape) if len(weight.shape) == 4 else np.zeros(weight.shape))
    x = np.zeros((1, 7, 7, 1), np.float32)
    x[0, 3, 3] = 1.0
    hit = head(x)[0].numpy().reshape(7, 7) > 0
    assert hit[1:6, 1:6].all() and hit.sum() == 25


def test_unknown_shapes_give_the_same_rows():
    head = built()
    spec = tf.TensorSpec([None, None, None, 4])
    dynamic = tf.function(head, input_signature=[spec])
    for x in (features(1), features(2, 3, 7)):
        for found, expected in zip(dynamic(x), head(x)):
            assert found.shape == expected.shape
            np.testing.assert_allclose(found, expected, atol=1e-6)


def test_known_shapes_stay_known_in_a_graph():
    call = tf.function(built(), input_signature=[tf.TensorSpec([2, 5, 6, 4])])
    assert call.get_concrete_function().output_shapes == ([2, 90], [2, 90, 4])


def test_the_parameters_are_those_of_the_paper():
    assert built(3, 256, 256).count_params() == 593935  # also torchvision's


def test_weights_go_by_these_names():
    assert set(named_weights(built())) == {
        f"{layer}/{short}"
        for layer in ("convs/0", "objectness", "deltas")
        for short in ("kernel", "bias")
    }


def test_config_round_trip_keeps_non_default_arguments():
    copy = RpnHead.from_config(RpnHead(5, 7, 2, name="head").get_config())
    assert (copy.num_anchors, copy.channels, copy.name) == (5, 7, "head")
    assert (copy.convs[1].filters, copy.objectness.filters, copy.deltas.filters) == (7, 5, 20)


def test_outputs_are_float32_under_bfloat16(mixed_bfloat16):
    head, x = built(), tf.cast(features(2), tf.bfloat16)
    logits, deltas = head(x)
    assert logits.dtype == deltas.dtype == tf.float32
    assert head.convs[0](x).dtype == tf.bfloat16
    # The last layers multiply in float32 too: the logits are not multiples of bfloat16's steps.
    assert (tf.cast(tf.cast(logits, tf.bfloat16), tf.float32) != logits).numpy().mean() > 0.5


def test_every_weight_has_a_finite_gradient():
    head = built()
    with tf.GradientTape() as tape:
        logits, deltas = head(features(2))
        total = tf.reduce_sum(tf.square(logits - 1.0)) + tf.reduce_sum(tf.square(deltas - 1.0))
    for gradient in tape.gradient(total, head.trainable_variables):
        assert np.isfinite(gradient).all() and np.abs(gradient).sum() > 0


def drawn_pyramid(channels=4, batch=2):
    """Levels of 8 x 10 to 1 x 1, in none of which a 5 x 5 neighbourhood of a corner is whole."""
    sizes = [(8, 10), (4, 5), (2, 3), (1, 2), (1, 1)]
    return {
        level: tf.Variable(features(batch, *size, channels, seed))
        for seed, (level, size) in enumerate(zip(PYRAMID_LEVELS, sizes))
    }


@pytest.mark.parametrize("num_convs", [1, 2])
def test_some_anchors_by_themselves_are_those_of_the_whole_with_their_gradient(num_convs):
    head = RpnHead(3, 4, num_convs, name="rpn")
    head.build((None, None, None, 4))
    rng = np.random.default_rng(1)
    for weight in head.trainable_variables:
        weight.assign(rng.normal(size=weight.shape))
    pyramid = drawn_pyramid()
    total = 3 * (80 + 20 + 6 + 2 + 1)
    index = tf.constant([rng.permutation(total)[:200], rng.permutation(total)[:200]], tf.int32)
    weigh = tf.constant(rng.normal(size=[2, 200, 5]), tf.float32)
    watched = [*pyramid.values(), *head.trainable_variables]

    def gradients(function):
        with tf.GradientTape() as tape:
            logits, deltas = function()
            loss = tf.reduce_sum(weigh * tf.concat([logits[..., tf.newaxis], deltas], -1))
        found = tape.gradient(loss, watched)
        return logits, deltas, [tf.convert_to_tensor(g) for g in found]

    def whole():
        parts = zip(*(head(tf.convert_to_tensor(pyramid[level])) for level in PYRAMID_LEVELS))
        return [tf.gather(tf.concat(part, 1), index, batch_dims=1) for part in parts]

    *expected, slow = gradients(whole)
    *found, fast = gradients(lambda: head.at(pyramid, index))
    for one, other in zip([*expected, *slow], [*found, *fast]):
        np.testing.assert_allclose(other, one, rtol=1e-4, atol=2e-5 * np.abs(one).max())


def test_the_rpns_gradient_takes_the_short_way_and_its_loss_stays_to_the_bit():
    head = built()
    pyramid = drawn_pyramid()
    logits, deltas, anchors = {}, {}, {}
    for k, level in enumerate(PYRAMID_LEVELS):
        logits[level], deltas[level] = head(tf.convert_to_tensor(pyramid[level]))
        cell = cell_anchors([2.0**k], [0.5, 1.0, 2.0])
        anchors[level] = level_anchors(cell, *pyramid[level].shape[1:3], 2**k, 0.5)
    rpn = RpnOutput(logits, deltas, anchors)
    truth = ground_truth_of(
        {
            "gt_boxes": tf.constant([[[1.0, 1, 4, 4]]] * 2),
            "gt_classes": tf.ones([2, 1], tf.int32),
            "gt_valid": tf.ones([2, 1], tf.bool),
            "gt_crowd": tf.zeros([2, 1], tf.bool),
        }
    )
    seeds, config = tf.constant([[0, 1], [0, 2]]), RpnConfig(samples_per_image=16)
    asked = []

    def at(index):
        asked.append(index)
        return head.at(pyramid, index)

    plain = rpn_losses(rpn, truth, seeds, config)
    with tf.GradientTape() as tape:
        short = rpn_losses(rpn, truth, seeds, config, at)
        total = short["rpn_cls_loss"].total + short["rpn_box_loss"].total
    for name, term in plain.items():
        assert float(short[name].total) == float(term.total) > 0
    assert asked[0].shape == [2, 16]
    assert all(np.any(tf.convert_to_tensor(g)) for g in tape.gradient(total, head.convs[0].weights))
