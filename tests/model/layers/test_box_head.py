import numpy as np
import pytest
import tensorflow as tf

from tfmaskrcnn.model.layers.box_head import BoxHead
from tfmaskrcnn.model.weights import named_weights


def built(num_classes=3, hidden=8, side=3, channels=2):
    head = BoxHead(num_classes, hidden, name="box_head")
    head.build((None, None, side, side, channels))
    return head


def features(batch=1, rois=5, side=3, channels=2, seed=0):
    x = np.random.default_rng(seed).normal(size=(batch, rois, side, side, channels))
    return x.astype(np.float32)


@pytest.mark.parametrize("batch", [1, 2])
def test_there_are_logits_with_background_and_deltas_without(batch):
    logits, deltas = built()(features(batch))
    assert logits.shape == [batch, 5, 4] and deltas.shape == [batch, 5, 3, 4]
    assert logits.dtype == deltas.dtype == tf.float32


def test_it_is_two_rectified_layers_and_two_linear_ones():
    head, x = built(), features(2)
    weights = {name: weight.numpy() for name, weight in named_weights(head).items()}

    def dense(x, name):
        return x @ weights[f"{name}/kernel"] + weights[f"{name}/bias"]

    # The features are flattened by row, column, channel; checkpoint importers rely on it.
    hidden = np.maximum(dense(x.reshape(10, 18), "fc1"), 0)
    hidden = np.maximum(dense(hidden, "fc2"), 0)
    logits, deltas = head(x)
    np.testing.assert_allclose(
        logits, dense(hidden, "class_logits").reshape(2, 5, 4), atol=1e-6, rtol=1e-4
    )
    np.testing.assert_allclose(
        deltas, dense(hidden, "box_deltas").reshape(2, 5, 3, 4), atol=1e-6, rtol=1e-4
    )


@pytest.mark.parametrize("norm", ["none", "gn"])
def test_with_four_convolutions_and_one_dense_layer_it_is_their_chain(norm):
    head = BoxHead(3, 8, num_fcs=1, num_convs=4, conv_channels=32, norm=norm)
    head.build((None, None, 3, 3, 2))
    rng = np.random.default_rng(1)
    for weight in head.weights:
        weight.assign(rng.normal(size=weight.shape).astype(np.float32) * 0.3)
    weights = {name: weight.numpy() for name, weight in named_weights(head).items()}
    assert "fc1/bias" in weights and "fc2/bias" not in weights
    x = features(2)
    y = x.reshape(10, 3, 3, 2)
    for i in range(4):
        y = tf.nn.conv2d(y, weights[f"convs/{i}/kernel"], 1, "SAME").numpy()
        if norm == "gn":  # 32 groups of 32 channels: each channel of a RoI by itself
            y = (y - y.mean((1, 2), keepdims=True)) / np.sqrt(y.var((1, 2), keepdims=True) + 1e-5)
            y = y * weights[f"convs/{i}/norm/gamma"] + weights[f"convs/{i}/norm/beta"]
        else:
            y = y + weights[f"convs/{i}/bias"]
        y = np.maximum(y, 0)
    y = np.maximum(y.reshape(10, 288) @ weights["fc1/kernel"] + weights["fc1/bias"], 0)
    y = y @ weights["class_logits/kernel"] + weights["class_logits/bias"]
    np.testing.assert_allclose(head(x)[0], y.reshape(2, 5, 4), atol=1e-3, rtol=1e-3)


def test_class_agnostic_deltas_are_one_box_a_roi():
    head = BoxHead(3, 8, class_agnostic=True)
    head.build((None, None, 3, 3, 2))
    logits, deltas = head(features(2))
    assert logits.shape == [2, 5, 4] and deltas.shape == [2, 5, 1, 4]


@pytest.mark.parametrize("norm", ["bn", "sync_bn"])
def test_padding_among_the_rois_changes_nothing_in_training_either(norm):
    head = BoxHead(3, 8, num_convs=1, conv_channels=4, norm=norm)
    head.build((None, None, 3, 3, 2))
    x, valid = features(2), tf.constant([[True] * 3 + [False] * 2, [True] * 5])
    garbage = x.copy()
    garbage[0, 3:] = 1e3
    for clean, dirty in zip(*(head(y, training=True, valid=valid) for y in (x, garbage))):
        np.testing.assert_allclose(dirty[0, :3], clean[0, :3], atol=1e-5)
        np.testing.assert_allclose(dirty[1], clean[1], atol=1e-5)


def test_the_four_deltas_of_a_class_lie_together():
    head = built()
    head.box_deltas.kernel.assign(np.zeros((8, 12)))
    head.box_deltas.bias.assign(np.arange(12.0))
    _, deltas = head(features(1, 2))
    np.testing.assert_array_equal(deltas[0, 1], np.arange(12.0).reshape(3, 4))


def test_garbage_in_some_rois_changes_no_other():
    head, x = built(), features(2)
    garbage = x.copy()
    garbage[:, 3:] = np.nan
    for clean, dirty in zip(head(x), head(garbage)):
        np.testing.assert_allclose(dirty[:, :3], clean[:, :3], atol=1e-6)


def test_a_roi_gives_the_same_alone_and_among_others():
    head, x = built(), features(2)
    for whole, alone in zip(head(x), head(x[1:, 2:3])):
        np.testing.assert_allclose(alone[0, 0], whole[1, 2], atol=1e-6)


def test_unknown_numbers_of_images_and_rois_give_the_same():
    head = built()
    dynamic = tf.function(head, input_signature=[tf.TensorSpec([None, None, 3, 3, 2])])
    for x in (features(1, 1), features(2, 7)):
        for found, expected in zip(dynamic(x), head(x)):
            assert found.shape == expected.shape
            np.testing.assert_allclose(found, expected, atol=1e-6)


def test_known_shapes_stay_known_in_a_graph():
    call = tf.function(built(), input_signature=[tf.TensorSpec([2, 5, 3, 3, 2])])
    logits, deltas = call.get_concrete_function().output_shapes
    assert logits == [2, 5, 4] and deltas == [2, 5, 3, 4]


def test_the_parameters_are_those_of_the_paper():
    shared = (7 * 7 * 256 * 1024 + 1024) + (1024 * 1024 + 1024)
    assert built(80, 1024, 7, 256).count_params() == shared + 1025 * (81 + 320)


def test_weights_go_by_these_names():
    assert set(named_weights(built())) == {
        f"{layer}/{short}"
        for layer in ("fc1", "fc2", "class_logits", "box_deltas")
        for short in ("kernel", "bias")
    }


def test_config_round_trip_keeps_non_default_arguments():
    copy = BoxHead.from_config(BoxHead(5, 7, 1, 2, 64, "gn", True, name="head").get_config())
    assert (copy.num_classes, copy.hidden, copy.name) == (5, 7, "head")
    assert (copy.fc1.units, copy.class_logits.units, copy.box_deltas.units) == (7, 6, 4)
    assert copy.fc2 is None and [c.filters for c in copy.convs] == [64, 64]
    assert copy.convs[0].norm_kind == "gn"


def test_outputs_are_float32_under_bfloat16(mixed_bfloat16):
    head, x = built(), features(2)
    logits, deltas = head(tf.cast(x, tf.bfloat16))
    assert logits.dtype == deltas.dtype == tf.float32
    assert head.fc1(tf.zeros([1, 18])).dtype == tf.bfloat16
    assert (tf.cast(tf.cast(logits, tf.bfloat16), tf.float32) != logits).numpy().mean() > 0.5


def test_every_weight_has_a_finite_gradient():
    head = built()
    with tf.GradientTape() as tape:
        logits, deltas = head(features(2))
        total = tf.reduce_sum(tf.square(logits - 1.0)) + tf.reduce_sum(tf.square(deltas - 1.0))
    for gradient in tape.gradient(total, head.trainable_variables):
        assert np.isfinite(gradient).all() and np.abs(gradient).sum() > 0
