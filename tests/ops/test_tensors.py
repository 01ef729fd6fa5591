import numpy as np
import pytest
import tensorflow as tf

from tfmaskrcnn.ops.tensors import as_graph, at_most, one_hot, own_channel, pad_rows, side


def test_side_is_a_python_int_where_known_and_a_tensor_where_not():
    found = {}

    @tf.function(input_signature=[tf.TensorSpec([2, None, 3])])
    def trace(x):
        found.update(known=side(x, 2), unknown=side(x, 1))
        return found["unknown"]

    assert trace(np.zeros([2, 7, 3], np.float32)) == 7
    assert isinstance(found["known"], int) and found["known"] == 3
    assert tf.is_tensor(found["unknown"]) and found["unknown"].dtype == tf.int32


def test_at_most_keeps_ints_static_and_takes_tensors():
    assert at_most(5, 3) == 3 and isinstance(at_most(5, 3), int)
    assert at_most(3, 5) == 3
    assert at_most(5, tf.constant(3)).numpy() == 3
    assert at_most(3, tf.constant(5)).numpy() == 3


def test_pad_rows_adds_zeros_behind_and_a_known_row_count():
    x = tf.constant([[[1.0, 2.0]], [[3.0, 4.0]]])  # [2, 1, 2]
    np.testing.assert_array_equal(
        pad_rows(x, 3), [[[1, 2], [0, 0], [0, 0]], [[3, 4], [0, 0], [0, 0]]]
    )
    np.testing.assert_array_equal(pad_rows(tf.constant([[True, True]]), 3), [[True, True, False]])
    assert pad_rows(tf.zeros([2, 0, 4]), 3).shape == [2, 3, 4]

    @tf.function(input_signature=[tf.TensorSpec([None, None, 4])])
    def of_unknown(x):
        padded = pad_rows(x, 6)
        assert padded.shape.as_list() == [None, 6, 4]
        return padded

    assert of_unknown(np.ones([2, 5, 4], np.float32)).shape == [2, 6, 4]


def test_pad_rows_refuses_too_many_rows():
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError)):
        pad_rows(tf.zeros([1, 4, 2]), 3)


def test_one_hot_equals_tensorflows_on_whole_numbers():
    for seed in range(20):
        index = np.random.default_rng(seed).integers(0, 5, [3, 4])
        np.testing.assert_array_equal(
            one_hot(tf.constant(index, tf.float32), 5), tf.one_hot(index, 5)
        )
    assert one_hot(tf.zeros([0]), 5).shape == [0, 5]
    np.testing.assert_array_equal(one_hot(tf.constant([5.0, -1.0]), 5), np.zeros([2, 5]))


def test_own_channel_takes_each_rois_class_and_zeros_for_none():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        logits = rng.normal(size=[2, 3, 4, 4, 5]).astype(np.float32)
        index = rng.integers(0, 5, [2, 3])
        index[0, 0], index[1, 2] = -1, 5  # background and out of range
        with tf.GradientTape() as tape:
            watched = tf.constant(logits)
            tape.watch(watched)
            found = own_channel(watched, tf.constant(index, tf.int32))
        gradient = tape.gradient(found, watched).numpy()
        for b, r in np.ndindex(2, 3):
            exists = 0 <= index[b, r] < 5
            expected = logits[b, r, :, :, index[b, r]] if exists else np.zeros([4, 4])
            np.testing.assert_array_equal(found[b, r], expected)
            # Classes do not compete: no other channel has a gradient.
            assert gradient[b, r].sum() == (16 if exists else 0)
    assert own_channel(tf.zeros([1, 0, 4, 4, 5]), tf.zeros([1, 0], tf.int32)).shape == [1, 0, 4, 4]


def test_a_graph_is_made_without_autograph_also_in_what_it_calls():
    def inner(x):
        return 1.0 if x > 0 else 2.0  # what AutoGraph would make a condition of

    spec = [tf.TensorSpec([])]
    assert tf.function(lambda x: inner(x), input_signature=spec)(3.0) == 1
    with pytest.raises(tf.errors.OperatorNotAllowedInGraphError):
        as_graph(lambda x: inner(x), input_signature=spec)(3.0)
