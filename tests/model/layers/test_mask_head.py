import numpy as np
import pytest
import tensorflow as tf

from tfmaskrcnn.model.layers.mask_head import MaskHead
from tfmaskrcnn.model.weights import named_weights


def built(num_classes=3, channels=4, num_convs=2, side=5, inputs=2):
    head = MaskHead(num_classes, channels, num_convs, name="mask_head")
    head.build((None, None, side, side, inputs))
    return head


def features(batch=1, rois=4, side=5, channels=2, seed=0):
    x = np.random.default_rng(seed).normal(size=(batch, rois, side, side, channels))
    return x.astype(np.float32)


@pytest.mark.parametrize("batch", [1, 2])
def test_masks_have_twice_the_side_of_the_features(batch):
    logits = built()(features(batch))
    assert logits.shape == [batch, 4, 10, 10, 3] and logits.dtype == tf.float32


def test_each_feature_pixel_becomes_two_by_two_by_the_transposed_kernel():
    head = built(num_classes=2, channels=1, num_convs=0, inputs=1)
    head.upsample.kernel.assign(np.array([[1.0, 2.0], [3.0, 4.0]])[..., None, None])
    head.logits.kernel.assign(np.array([1.0, -10.0]).reshape(1, 1, 1, 2))
    x = np.abs(features(2, channels=1))
    logits = head(x)
    for b, r in ((0, 0), (1, 3)):
        expected = np.kron(x[b, r, ..., 0], [[1.0, 2.0], [3.0, 4.0]])
        np.testing.assert_allclose(logits[b, r, ..., 0], expected, rtol=1e-5)
        np.testing.assert_allclose(logits[b, r, ..., 1], -10.0 * expected, rtol=1e-5)
    assert not head(-x).numpy().any()  # rectified between the two


@pytest.mark.parametrize("num_convs", [0, 1, 4])
def test_convolutions_are_3x3_rectified_and_as_many_as_asked_for(num_convs):
    head = built(num_classes=1, channels=1, num_convs=num_convs, inputs=1)
    for conv in head.convs:
        kernel = np.zeros((3, 3, 1, 1))
        kernel[1, 0] = 1.0  # shifts by a pixel to the right, padding with zeros
        conv.kernel.assign(kernel)
    head.upsample.kernel.assign(np.ones((2, 2, 1, 1)))
    head.logits.kernel.assign(np.ones((1, 1, 1, 1)))
    x = np.abs(features(1, 1, channels=1))
    shifted = np.zeros((5, 5))
    shifted[:, num_convs:] = x[0, 0, :, : 5 - num_convs, 0]
    np.testing.assert_allclose(head(x)[0, 0, ..., 0], np.kron(shifted, np.ones((2, 2))), rtol=1e-5)
    for conv in head.convs:
        conv.bias.assign([-100.0])
    head.upsample.kernel.assign(-np.ones((2, 2, 1, 1)))  # would show what is below 0
    assert not head(x).numpy().any()


def test_own_logits_are_the_channel_of_the_roi_s_class():
    head, x = built(), features(2, seed=3)
    for layer in (head.upsample, head.logits):
        layer.bias.assign(np.random.default_rng(0).normal(size=layer.bias.shape))
    classes = np.array([[0, 1, 2, 1], [2, 2, 0, 5]], np.int32)  # no class 5: a row of padding
    found, logits = head.own_logits(x, classes).numpy(), head(x).numpy()
    assert found.shape == (2, 4, 10, 10)
    for b, r in np.ndindex(2, 4):
        expected = logits[b, r, ..., classes[b, r]] if classes[b, r] < 3 else np.zeros((10, 10))
        np.testing.assert_allclose(found[b, r], expected, atol=1e-5)


def test_garbage_in_some_rois_changes_no_other():
    head, x = built(), features(2)
    garbage = x.copy()
    garbage[:, 2:] = np.nan
    np.testing.assert_allclose(head(garbage)[:, :2], head(x)[:, :2], atol=1e-6)


@pytest.mark.parametrize("norm", ["bn", "sync_bn"])
def test_padding_among_the_rois_changes_nothing_in_training_either(norm):
    head = MaskHead(3, 4, 1, norm)
    head.build((None, None, 5, 5, 2))
    x, valid = features(2), tf.constant([[True, False, False, False], [True] * 4])
    garbage = x.copy()
    garbage[0, 1:] = 1e3
    clean, dirty = (head(y, training=True, valid=valid) for y in (x, garbage))
    np.testing.assert_allclose(dirty[0, 0], clean[0, 0], atol=1e-5)
    np.testing.assert_allclose(dirty[1], clean[1], atol=1e-5)


def test_a_roi_gives_the_same_alone_and_among_others():
    head, x = built(), features(2)
    np.testing.assert_allclose(head(x[1:, 2:3])[0, 0], head(x)[1, 2], atol=1e-6)


def test_unknown_numbers_of_images_and_rois_give_the_same():
    head = built()
    dynamic = tf.function(head, input_signature=[tf.TensorSpec([None, None, 5, 5, 2])])
    for x in (features(1, 1), features(2, 7)):
        found, expected = dynamic(x), head(x)
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_known_shapes_stay_known_in_a_graph():
    call = tf.function(built(), input_signature=[tf.TensorSpec([2, 4, 5, 5, 2])])
    assert call.get_concrete_function().output_shapes == [2, 4, 10, 10, 3]


def test_the_parameters_are_those_of_the_paper():
    convs = 4 * (9 * 256 * 256 + 256)
    upsample = 4 * 256 * 256 + 256
    assert built(80, 256, 4, 14, 256).count_params() == convs + upsample + 257 * 80


def test_weights_go_by_these_names():
    layers = ("convs/0", "convs/1", "upsample", "logits")
    assert set(named_weights(built())) == {
        f"{layer}/{short}" for layer in layers for short in ("kernel", "bias")
    }


def test_config_round_trip_keeps_non_default_arguments():
    copy = MaskHead.from_config(MaskHead(5, 7, 2, "bn", name="head").get_config())
    assert (copy.num_classes, copy.channels, copy.num_convs, copy.name) == (5, 7, 2, "head")
    assert copy.convs[1].norm_kind == "bn"
    assert len(copy.convs) == 2 and copy.upsample.filters == 7 and copy.logits.filters == 5


def test_outputs_are_float32_under_bfloat16(mixed_bfloat16):
    head = built()
    logits = head(tf.cast(features(2), tf.bfloat16))
    assert logits.dtype == tf.float32
    assert head.convs[0](tf.zeros([1, 5, 5, 2])).dtype == tf.bfloat16
    assert (tf.cast(tf.cast(logits, tf.bfloat16), tf.float32) != logits).numpy().mean() > 0.5


def test_every_weight_has_a_finite_gradient():
    head = built()
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(tf.square(head(features(2)) - 1.0))
    for gradient in tape.gradient(total, head.trainable_variables):
        assert np.isfinite(gradient).all() and np.abs(gradient).sum() > 0
