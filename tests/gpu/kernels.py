"""Operations that have kernels of their own on a GPU: the same numbers as without one."""

import functools
from typing import Dict, List

import numpy as np
import tensorflow as tf

from gpu.rows import Arrays, Given, Row, Size, at_most, relative
from tfmaskrcnn.ops.nms import class_aware_nms, nms_by_offset, nms_combined
from tfmaskrcnn.ops.paste_graph import masks_to_bitmaps
from tfmaskrcnn.ops.roi_align import roi_align
from tfmaskrcnn.ops.roi_pool import roi_pool

_SIDE = 7  # bins of a RoI
# Sums of products in another order. Maxima of the same numbers are the same number.
_SUMMED, _ATOMIC, _SAME = 1e-5, 1e-4, 0.0
_IMAGES = 2


@functools.cache  # in miniature it is its own reference
def computed(size: Size) -> Dict[str, np.ndarray]:
    """What this process makes of inputs that are the same in all."""
    rng = np.random.default_rng(0)
    side = 16 if size.miniature else 200
    features = tf.constant(rng.normal(size=(_IMAGES, side, side, size.channels)), tf.float32)
    low = rng.uniform(-4, side - 4, (_IMAGES, size.rois, 2))
    extent = rng.uniform(0.5, side / 2, (_IMAGES, size.rois, 2))
    boxes = np.float32(np.concatenate([low, low + extent], axis=-1))
    shape = (_IMAGES, size.rois, _SIDE, _SIDE, size.channels)
    upstream = tf.constant(rng.normal(size=shape), tf.float32)
    found = {}
    for name, pooled in {"roi_align": roi_align, "roi_pool": roi_pool}.items():
        with tf.GradientTape() as tape:
            tape.watch(features)
            value = pooled(features, boxes, _SIDE)
            total = tf.reduce_sum(value * upstream)
        found[f"{name} forward"] = value.numpy()
        found[f"{name} gradient"] = tape.gradient(total, features).numpy()
    found.update({f"nms {key}": v for key, v in _kept(class_aware_nms, size).items()})
    found["mask paste"] = _pasted(rng, size)
    return found


def rows(given: Given) -> List[Row]:
    """Each operation beside what a process without a GPU makes of the same input."""
    found, expected = computed(given.size), given.reference()
    bounds = {
        "roi_align forward": _SUMMED,
        "roi_align gradient": _ATOMIC,
        "roi_pool forward": _SAME,
        "roi_pool gradient": _ATOMIC,
        "nms boxes": _SAME,
        "nms scores": _SAME,
        "nms classes": _SAME,
        "mask paste": _SAME,
    }
    table = [
        at_most(f"{name}, relative to a CPU's", relative(found[name], expected[name]), bound)
        for name, bound in bounds.items()
    ]
    one, other = _kept(nms_combined, given.size), _kept(nms_by_offset, given.size)
    worst = max(relative(other[key], one[key]) for key in one)
    return [*table, at_most("nms image by image, relative to the combined kernel's", worst, _SAME)]


def _kept(nms, size: Size) -> Arrays:
    """Boxes on a grid of quarters of a pixel, so that moving them apart by class is exact."""
    rng = np.random.default_rng(1)
    count, classes = (40, 3) if size.miniature else (1000, 20)
    low = rng.integers(-120, 40, (_IMAGES, count, 1, 2))
    boxes = np.concatenate([low, low + rng.integers(40, 160, low.shape)], axis=-1) / 4
    scores = rng.permutation(_IMAGES * count * classes).reshape(_IMAGES, count, classes) + 1
    scores = np.float32(scores / scores.size)
    kept = nms(tf.constant(boxes, tf.float32), tf.constant(scores), 0.5, 0.05, 100)
    names = ("boxes", "scores", "classes")
    return {name: getattr(kept, name).numpy() for name in names}


def _pasted(rng, size: Size) -> np.ndarray:
    count, height, width = (2, 30, 40) if size.miniature else (20, 400, 600)
    low = rng.uniform(0, [height / 2, width / 2], (1, count, 2))
    boxes = np.float32(np.concatenate([low, low + rng.uniform(4, height / 3, low.shape)], axis=-1))
    masks = rng.uniform(size=(1, count, 28, 28)).astype(np.float32)
    valid = tf.ones([1, count], tf.bool)
    return masks_to_bitmaps(masks, boxes, valid, tf.constant([[height, width]])).numpy()
