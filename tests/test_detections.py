import numpy as np
import tensorflow as tf

from tfmaskrcnn.detections import select_detections
from tfmaskrcnn.model_config import BoxHeadConfig
from tfmaskrcnn.structures import Proposals

SIZES = tf.constant([[100.0, 100.0]])
BOXES = [[0, 0, 20, 20], [50, 50, 80, 80], [0, 0, 0, 0]]
LOGITS = np.log([[0.1, 0.5, 0.4], [0.6, 0.1, 0.3], [0.0001, 0.9, 0.1]])  # background first


def detected(**changes):
    changes = {"max_detections": 6, "score_threshold": 0.05, **changes}
    proposals = Proposals(
        tf.constant([BOXES], tf.float32),
        tf.constant([[0.9, 0.8, 0.0]]),
        tf.constant([[True, True, False]]),
    )
    found = select_detections(
        tf.constant(LOGITS[None], tf.float32),
        tf.zeros([1, 3, 2, 4]),
        proposals,
        SIZES,
        BoxHeadConfig(**changes),
    )
    rows = zip(found.classes[0].numpy().tolist(), found.scores[0].numpy())
    return [(k, round(float(score), 3)) for (k, score), ok in zip(rows, found.valid[0]) if ok]


def test_a_roi_is_found_as_every_class_above_the_threshold():
    assert detected() == [(0, 0.5), (1, 0.4), (1, 0.3), (0, 0.1)]


def test_under_argmax_a_roi_is_found_as_its_best_class_and_not_at_all_as_background():
    assert detected(detection_rule="argmax") == [(0, 0.5)]
    assert detected(detection_rule="argmax", score_threshold=0.6) == []


def test_a_row_of_padding_is_no_detection_where_empty_boxes_are_kept():
    assert detected(detection_rule="argmax", min_side=None) == [(0, 0.5)]
