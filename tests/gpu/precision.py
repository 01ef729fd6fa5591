"""Sixteen bits and TensorFloat-32: nearly the detections of float32."""

from typing import List

import tensorflow as tf

from gpu.agreement import found_by, share_found_again
from gpu.networks import detector
from gpu.rows import Given, Row, at_least

_PIXELS, _SCORE, _MASK = 4.0, 0.1, 0.7
# Least share of float32's detections, which drawn weights leave nearer to each other than trained
# ones do; bfloat16 has 8 bits of a number, float16 and TensorFloat-32 have 11.
_LEAST = {"float16": 0.9, "bfloat16": 0.7}


def rows(given: Given) -> List[Row]:
    """The share of float32's detections that each way of computing finds, at looser bounds."""
    expected, size = given.reference(), given.size
    table = []
    for precision, least in _LEAST.items():
        found = found_by(detector(size, precision), size)
        share = share_found_again(found, expected, _PIXELS, _SCORE, _MASK)
        table.append(at_least(f"{precision}: float32's detections found", share, least))
    tf.config.experimental.enable_tensor_float_32_execution(True)
    share = share_found_again(found_by(detector(size), size), expected, _PIXELS, _SCORE, _MASK)
    return [*table, at_least("TensorFloat-32: float32's detections found", share, 0.9)]
