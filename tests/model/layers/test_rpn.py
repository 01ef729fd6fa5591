import numpy as np
import pytest
import tensorflow as tf

from tfmaskrcnn.model.layers.rpn import RpnHead
from tfmaskrcnn.model.weights import named_weights
from tfmaskrcnn.ops.anchors import cell_anchors, level_anchors


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
