"""RoIs of which some are clipped to nothing, and their detections, to compare runtimes on."""

import numpy as np
import tensorflow as tf

from tfmaskrcnn.config.heads import BoxHeadConfig
from tfmaskrcnn.model.detections import select_detections
from tfmaskrcnn.ops.structures import Proposals

SIDE = 100.0  # of the image, pixels


def clipped_rois(rois=30, classes=3):
    """Logits [1, R, K + 1], deltas [1, R, K, 4] and boxes [1, R, 4]; every third is outside."""
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 80, (1, rois, 2))
    low[:, ::3] += SIDE
    boxes = np.concatenate([low, low + rng.uniform(5, 40, low.shape)], axis=-1)
    logits = rng.normal(0, 2, (1, rois, classes + 1))
    deltas = rng.normal(0, 0.3, (1, rois, classes, 4))
    return [array.astype(np.float32) for array in (logits, deltas, boxes)]


def without_empty(logits, deltas, boxes, limit=20):
    """What Detectron2 would keep of `limit` detections: scores [1, D], boxes and classes."""
    config = BoxHeadConfig(min_side=None, drop_empty=True, max_detections=limit)
    proposals = Proposals(boxes, tf.ones_like(boxes[..., 0]), tf.ones_like(boxes[..., 0]) > 0)
    found = select_detections(logits, deltas, proposals, tf.constant([[SIDE, SIDE]]), config)
    return found.scores, found.boxes, found.classes
