"""Slow tests that run on one of the two stacks, which halves their share of CI's time.

What they show is the same arithmetic or the same files on any TensorFlow and Keras; whatever is
particular to one of them is shown by quicker tests on both.
"""

import pytest

from tfmaskrcnn.compat import KERAS3

on_stack_a = pytest.mark.skipif(KERAS3, reason="runs on stack A, for the sake of CI's time")
on_stack_b = pytest.mark.skipif(not KERAS3, reason="runs on stack B, for the sake of CI's time")
