import numpy as np
import pytest
import tensorflow as tf

import tfmaskrcnn
from tfmaskrcnn.errors import (
    InputError,
    NotFinite,
    assert_finite,
    explained,
    marked,
    one_line,
    quoted,
    short_path,
)

SENTENCE = "The image data/Zelle ä 'no. 3'.png cannot be decoded: 100 % damaged <at byte 7>."


def raised(run):
    """What `run` raises."""
    with pytest.raises(Exception) as caught:
        run()
    return caught.value


def failing_dataset(error):
    def fail(x):
        raise error

    def step(x):
        return tf.numpy_function(fail, [x], tf.int64)

    return tf.data.Dataset.range(4).map(step, num_parallel_calls=2).prefetch(1)


def not_finite(loss, ids, eagerly=False):
    """The error of a step whose loss is `loss`, in a graph or eagerly."""

    def step(loss, ids):
        with tf.control_dependencies([assert_finite(loss, ids)]):
            return tf.identity(loss)

    step = step if eagerly else tf.function(step)
    return raised(lambda: step(tf.constant(loss), tf.constant(ids, tf.int64)))


def test_an_input_error_is_a_value_error_of_the_public_package():
    assert issubclass(InputError, ValueError) and tfmaskrcnn.InputError is InputError


def test_the_sentence_survives_tf_data():
    error = raised(lambda: list(failing_dataset(marked(InputError(SENTENCE)))))
    assert isinstance(error, tf.errors.OpError) and "Traceback" in str(error)
    found = explained(error, {})
    assert type(found) is InputError and str(found) == SENTENCE


def test_the_sentence_survives_a_loop_over_the_data_in_a_graph():
    data = failing_dataset(marked(InputError(SENTENCE)))

    @tf.function
    def total():
        return data.reduce(tf.constant(0, tf.int64), lambda a, b: a + b)

    assert str(explained(raised(total), {})) == SENTENCE


def test_a_sentence_of_several_lines_stays_whole():
    text = "first line\n  second line"
    error = raised(lambda: list(failing_dataset(marked(InputError(text)))))
    assert str(explained(error, {})) == text


@pytest.mark.parametrize("eagerly", [True, False])
@pytest.mark.parametrize("loss", [np.nan, np.inf, -np.inf])
def test_a_loss_that_is_not_finite_names_its_images(loss, eagerly):
    found = explained(not_finite(loss, [7, 12], eagerly), {7: "a.png", 12: "b.png"})
    assert isinstance(found, NotFinite) and isinstance(found, InputError)
    assert "not finite in the batch of images a.png, b.png;" in str(found)
    assert "train.learning_rate" in str(found)


@pytest.mark.parametrize("eagerly", [True, False])
@pytest.mark.parametrize(
    "ids, names, expected",
    [
        ([7], {}, "7"),
        ([7, 12], {7: "a.png"}, "a.png, 12"),
        ([900000000000, 0], {}, "900000000000, 0"),
        ([-5, 3], {-5: "negative.png"}, "negative.png, 3"),
        (list(range(1, 301)), {}, ", ".join(map(str, range(1, 301)))),
    ],
)
def test_images_without_a_name_go_by_their_ids(ids, names, expected, eagerly):
    found = explained(not_finite(np.nan, ids, eagerly), names)
    assert f"batch of images {expected}; look" in str(found)


@pytest.mark.parametrize("eagerly", [True, False])
def test_a_finite_loss_passes(eagerly):
    def step(loss):
        with tf.control_dependencies([assert_finite(loss, tf.constant([1], tf.int64))]):
            return tf.identity(loss)

    step = step if eagerly else tf.function(step)
    assert float(step(tf.constant(3.0))) == 3.0


@pytest.mark.parametrize(
    "error",
    [
        ValueError("images [1 2] [end]"),
        RuntimeError("something else"),
        tf.errors.ResourceExhaustedError(None, None, "out of memory"),
        InputError("already a sentence"),
    ],
)
def test_an_unrelated_error_comes_back_as_it_is(error):
    assert explained(error, {1: "a.png"}) is error


def test_an_unmarked_error_of_tf_data_comes_back_as_it_is():
    error = raised(lambda: list(failing_dataset(KeyError("boxes"))))
    assert explained(error, {}) is error


@pytest.mark.parametrize(
    "value, expected",
    [
        ("nut", "'nut'"),
        ([1.5] * 99, "[" + "1.5, " * 11 + "1..."),
        ("a\ud800b", "'a\\ud800b'"),
    ],
)
def test_what_a_message_quotes_can_be_printed_and_is_short(value, expected):
    assert quoted(value) == expected
    quoted(value).encode()


def test_numbers_and_nestings_that_python_cannot_write_are_quoted_all_the_same():
    nested = []
    for _ in range(100_000):
        nested = [nested]
    for value in (10**9999, nested):
        assert 0 < len(quoted(value)) <= 60
    while nested:  # a deep nesting cannot be freed at once
        nested = nested[0]


def test_what_others_say_is_put_on_one_line_that_can_be_printed():
    assert one_line("two\nlines\t and \x1b[2J") == "two lines and [2J"
    assert one_line("half \ud800") == "half \\ud800" and one_line(ValueError("a")) == "a"
    assert one_line("x" * 500) == "x" * 197 + "..." and len(one_line("x" * 500, 20)) == 20


def test_a_path_in_a_message_is_printable_and_not_long():
    assert short_path("a b/é.png") == "a b/é.png"
    assert short_path("a\nb\ud800\x1b.png") == "a\\nb\\ud800\\x1b.png"
    assert short_path("x" * 300 + ".png") == "..." + "x" * 193 + ".png"
