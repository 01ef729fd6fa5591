"""Slow tests of what is the same with any TensorFlow and Keras run on stack A alone."""

from importlib.metadata import version

import pytest

on_stack_a = pytest.mark.skipif(
    int(version("keras").split(".")[0]) >= 3,
    reason="runs on stack A; what it shows does not depend on TensorFlow's version",
)
