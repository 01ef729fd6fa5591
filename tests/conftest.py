"""What all tests share: the environment, set before TensorFlow is first imported."""

import gc
import os
import time

import pytest

# Every CropAndResize in a graph logs a harmless "Error in PredictCost()" (tensorflow#56904).
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

if "PYTEST_XDIST_WORKER_COUNT" in os.environ:
    # More threads than cores would only wait, and that with all their might.
    _SHARE = (os.cpu_count() or 1) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(max(1, _SHARE)))
# A graph is thousands of objects that stay; Python's look through them is a tenth of all time.
gc.set_threshold(20_000, 10, 10)


def pytest_collection_finish():
    """What all tests need to the end is not looked through again after each module."""
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items):
    """Files with slow tests first: one that came last would keep a worker busy alone."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="module")
def eagerly():
    """Steps of training without graphs, which take many times as long to make as a few steps."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="module", autouse=True)
def _models_of_a_module_are_freed():
    # They hang in cycles, and Python does not see the gigabytes that TensorFlow keeps for them.
    began = time.monotonic()
    yield
    if time.monotonic() - began > 2:  # seconds; else there was hardly a model
        gc.collect()
