"""TensorFlow's graphs go with their model: whoever makes many models does not run out of memory."""

import gc

import numpy as np
import pytest
from tensorflow.python.framework.func_graph import FuncGraph
from tiny import tiny_config, tiny_data

import tfmaskrcnn as mr
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
        model.fit(from_records(data, config, training=True), epochs=1, verbose=0)
        model.predict_images([np.zeros((90, 120, 3), np.uint8)])

    use()  # what all models share is made once
    before = graphs()
    use()
    assert graphs() <= before
