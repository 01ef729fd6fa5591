"""TensorFlow's graphs go with their model: whoever makes many models does not run out of memory."""

import gc
import os
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from tensorflow.python.framework.func_graph import FuncGraph

import tfmaskrcnn as mr
from helpers.one_stack import on_stack_b
from helpers.paths import ROOT, TESTS
from helpers.tiny import tiny_config, tiny_data
from tfmaskrcnn.compat import KERAS3
from tfmaskrcnn.data import from_records, load_coco


def graphs():
    """How many graphs of each name are alive."""
    gc.collect()
    return Counter(each.name for each in gc.get_objects() if isinstance(each, FuncGraph))


def use(config, data):
    """Make a model, train it a little and predict."""
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


def main(method, folder):
    """Use two models; exit with the graphs that the second left."""
    config = tiny_config(f"roi.method={method}", "train.schedule.kind=constant")
    data = load_coco(*tiny_data(folder, num_images=2))
    use(config, data)  # what all models share is made once
    before = graphs()
    use(config, data)
    left = graphs() - before
    sys.exit(str(dict(left)) if left else 0)


@on_stack_b
@pytest.mark.parametrize("method", ["roi_align", "roi_pool"])
def test_a_model_takes_its_graphs_along(tmp_path, method):
    # In a process of its own: what other tests have done to TensorFlow does not count.
    command = [sys.executable, __file__, method, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-1000:]


if __name__ == "__main__":
    main(*sys.argv[1:])
