import numpy as np
import pytest
import tensorflow as tf

from tfmaskrcnn.export import tflite_ops
from tfmaskrcnn.export.frozen import FrozenNetwork
from tfmaskrcnn.ops.tensors import as_graph


@pytest.mark.parametrize("seed", range(20))
def test_crops_by_gather_are_those_of_crop_and_resize(seed):
    rng = np.random.default_rng(seed)
    canvas = tf.constant(rng.normal(size=(2, 9, 13, 3)), tf.float32)
    corners = rng.uniform(0, 1, (7, 2, 2))
    corners = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    corners[0] = [0, 0, 1, 1]  # both ends of the image
    corners[1] = corners[1, [0, 1, 0, 1]]  # an empty box
    arguments = tf.constant(corners, tf.float32), tf.constant(rng.integers(0, 2, 7), tf.int32)
    size = tf.constant([4, 6])
    (found,) = tflite_ops.crop_and_resize([canvas, *arguments, size])
    expected = tf.image.crop_and_resize(canvas, *arguments, size)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def random_boxes(rng, batch, count, own):
    low = rng.uniform(0, 80, (batch, count, own, 2))
    boxes = np.concatenate([low, low + rng.uniform(1, 40, low.shape)], axis=-1)
    return boxes.astype(np.float32)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("own", [1, 5])
def test_nms_of_tiles_is_combined_nms(seed, own):
    rng = np.random.default_rng(seed)
    boxes = random_boxes(rng, 2, 30, own)
    scores = rng.uniform(-1, 1, (2, 30, 5)).astype(np.float32)
    # More rows than can be kept, and fewer, and a threshold below 0 as the proposals have.
    limit, threshold = ((8, 0.05), (60, 0.7), (60, -0.5))[seed % 3]
    constants = [tf.constant(limit), tf.constant(limit), tf.constant(0.5), tf.constant(threshold)]
    found = tflite_ops.combined_nms([tf.constant(boxes), tf.constant(scores), *constants])
    expected = tf.image.combined_non_max_suppression(
        boxes, scores, limit, limit, 0.5, threshold, clip_boxes=False
    )
    np.testing.assert_array_equal(found[3], expected.valid_detections)
    np.testing.assert_array_equal(found[2], expected.nmsed_classes)
    np.testing.assert_array_equal(found[1], expected.nmsed_scores)
    np.testing.assert_array_equal(found[0], expected.nmsed_boxes)


@pytest.mark.parametrize("largest", [0.25, 900.0, 4096.0])
def test_a_table_of_whole_numbers_keeps_all_bits_of_float32(largest):
    rng = np.random.default_rng(0)
    table = rng.uniform(-largest, largest, (50, 4)).astype(np.float32)
    index = rng.integers(0, 50, (1, 9))
    found = tflite_ops.gather_table(table, tf.constant(index, tf.int32))
    np.testing.assert_allclose(found, table[index], atol=largest * 2**-24, rtol=0)


def test_a_rebuilt_graph_gives_the_same_and_holds_no_operation_of_tensorflow_alone():
    table = np.linspace(0, 300, 400).reshape(100, 4).astype(np.float32)

    def original(images, sizes):
        index = tf.cast(tf.reduce_sum(sizes, axis=1), tf.int32)  # [1]
        corners = tf.gather(tf.constant(table) / 300.0, index)  # [1, 4]
        crops = tf.image.crop_and_resize(images, corners, [0], [3, 3])
        return {"crops": crops, "corners": corners + 1.0}

    specs = [tf.TensorSpec([1, 8, 8, 2]), tf.TensorSpec([1, 2])]
    concrete = as_graph(original).get_concrete_function(*specs)
    names = sorted(concrete.structured_outputs)
    network = FrozenNetwork(
        concrete.graph.as_graph_def(),
        dict(zip(("images", "sizes"), (t.name for t in concrete.inputs))),
        dict(zip(names, (t.name for t in concrete.outputs))),
        (1, 8, 8, 2),
    )

    @as_graph
    def rebuilt(images, sizes):
        return tflite_ops.rebuild(network, {"images": images, "sizes": sizes})

    images = tf.random.stateless_normal([1, 8, 8, 2], [1, 2])
    sizes = tf.constant([[3.0, 4.0]])
    expected, found = original(images, sizes), rebuilt(images, sizes)
    for name in names:
        np.testing.assert_allclose(found[name], expected[name], atol=1e-5)
    graph = rebuilt.get_concrete_function(*specs).graph
    assert "CropAndResize" not in {op.type for op in graph.get_operations()}
    gathers = [op for op in graph.get_operations() if op.type == "GatherV2"]
    assert any(op.inputs[0].dtype == tf.int32 for op in gathers)  # the table
