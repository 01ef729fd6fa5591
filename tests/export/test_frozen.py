import json
import os

import numpy as np
import pytest
import tensorflow as tf

import tfmaskrcnn as mr
from tfmaskrcnn.export.frozen import OPTIONAL, OUTPUTS, freeze


def saved(folder, network=None, shape=(None, None, None, 3), config=None):
    """A SavedModel whose signature `network` is a variable times a few sums."""
    module = tf.Module()
    module.factor = tf.Variable(2.0)

    def sums(images, sizes):
        total = tf.reduce_sum(images, axis=[1, 2, 3]) * module.factor
        return {name: total + tf.reduce_sum(sizes, axis=1) for name in OUTPUTS}

    specs = [tf.TensorSpec(shape, tf.float32, "images"), tf.TensorSpec([None, 2], name="sizes")]
    function = tf.function(network or sums, input_signature=specs)
    tf.saved_model.save(module, str(folder), {"network": function})
    os.makedirs(folder / "assets", exist_ok=True)
    (folder / "assets" / "config.json").write_text(json.dumps(config or {}))
    return str(folder)


def test_a_frozen_network_has_static_shapes_constants_and_the_names(tmp_path):
    network = freeze(saved(tmp_path / "1"), batch=2, size=(32, 64))
    assert network.shape == (2, 32, 64, 3) and list(network.outputs) == list(OUTPUTS)
    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(network.graph_def, name="")
        with tf.compat.v1.Session() as session:
            feeds = {network.inputs["images"]: np.ones([2, 32, 64, 3], np.float32)}
            feeds[network.inputs["sizes"]] = np.float32([[1, 2], [3, 4]])
            found = session.run(network.outputs, feeds)
    np.testing.assert_allclose(found["num_detections"], [12291, 12295])
    assert graph.get_tensor_by_name(network.outputs["num_detections"]).shape == [2]


def test_masks_and_keypoints_stay_in_it_where_the_model_has_them(tmp_path):
    def network(images, sizes):
        total = tf.reduce_sum(images) + tf.reduce_sum(sizes)
        return dict.fromkeys((*OUTPUTS, *OPTIONAL, "something_else"), total)

    folder = saved(tmp_path / "1", network, shape=(None, 64, 32, 1))
    assert list(freeze(folder).outputs) == [*OUTPUTS, *OPTIONAL]


def test_the_size_may_come_from_the_model(tmp_path):
    assert freeze(saved(tmp_path / "1", shape=(None, 64, 32, 1))).shape == (1, 64, 32, 1)


@pytest.mark.parametrize(
    "shape, batch, size, message",
    [
        ((None, None, None, 3), 1, None, "give --fixed-size HEIGHT WIDTH"),
        ((None, None, None, 3), 1, (32, 50), "multiples of 32"),
        ((None, None, None, 3), 1, (0, 32), "multiples of 32"),
        ((None, 64, 64, 3), 1, (64, 32), "exported for a width of 64, not 32"),
        ((4, 64, 64, 3), 1, None, "exported for a batch of 4, not 1"),
    ],
)
def test_a_shape_that_does_not_fit_is_said(tmp_path, shape, batch, size, message):
    folder = saved(tmp_path / "1", shape=shape)
    with pytest.raises(mr.InputError, match=message):
        freeze(folder, batch, size)


@pytest.mark.parametrize(
    "config, message",
    [
        ({"roi": {"sampling_ratio": 0}}, "roi.sampling_ratio is 0"),
        ({"roi": {"sampling_ratio": 2}}, "CUDA_VISIBLE_DEVICES"),
    ],
)
def test_a_loop_is_refused_with_its_cause(tmp_path, config, message):
    def loop(images, sizes):
        total = tf.while_loop(
            lambda x: tf.reduce_sum(x) < 10, lambda x: [x + 1], [tf.reduce_sum(images)]
        )[0]
        return dict.fromkeys(OUTPUTS, total + sizes)

    folder = saved(tmp_path / "1", loop, config=config)
    with pytest.raises(mr.InputError, match=message):
        freeze(folder, size=(32, 32))


def test_what_is_no_saved_model_of_this_project_is_refused(tmp_path):
    with pytest.raises(mr.InputError, match="no saved_model.pb"):
        freeze(str(tmp_path / "missing"))
    (tmp_path / "saved_model.pb").write_bytes(b"nothing")
    with pytest.raises(mr.InputError, match="no SavedModel that TensorFlow can load"):
        freeze(str(tmp_path))
    other = saved(tmp_path / "2", lambda images, sizes: {"x": images})
    with pytest.raises(mr.InputError, match="no signature 'network'"):
        freeze(other)
