"""TensorFlow's graphs go with their model: whoever makes many models does not run out of memory."""

import gc

import numpy as np
import pytest
from tensorflow.python.framework.func_graph import FuncGraph
from tiny import tiny_config, tiny_data

import tfmaskrcnn as mr
from tfmaskrcnn.compat import KERAS3
from tfmaskrcnn.data import from_records, load_coco


def graphs():
    gc.collect()
    return sum(isinstance(each, FuncGraph) for each in gc.get_objects())


@pytest.mark.parametrize("method", ["roi_align", "roi_pool"])
def test_a_model_takes_its_graphs_along(tmp_path, method):
    config = tiny_config(f"roi.method={method}", "train.schedule.kind=constant")
    data = load_coco(*tiny_data(tmp_path / "data", num_images=2))

    def use():
        model = mr.MaskRCNN(config.model)
        model.compile(mr.train.make_optimizer(config.train))
        # Keras 3 sums gradients over replicas, also over one, by a custom gradient of its own,
        # which keeps the graph of the step. There the step is only called, not built.
        batches = from_records(data, config, training=True)
        if KERAS3:
            model.train_step(next(iter(batches)))
        else:
            model.fit(batches, epochs=1, verbose=0)
        model.predict_images([np.zeros((90, 120, 3), np.uint8)])

    use()  # what all models share is made once
    before = graphs()
    use()
    assert graphs() <= before
