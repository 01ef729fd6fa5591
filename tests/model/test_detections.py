import numpy as np
import pytest
import tensorflow as tf

from tfmaskrcnn.config.heads import BoxHeadConfig, MaskHeadConfig, mask_channels
from tfmaskrcnn.model.detections import mask_probabilities, select_detections
from tfmaskrcnn.ops.structures import Proposals
from tfmaskrcnn.ops.tensors import own_channel

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


CLASSES = 3
INDEX = tf.constant([[0, 2]])


class Head:
    """A mask head that hands its features through as logits."""

    def __call__(self, features):
        return features

    def own_logits(self, features, class_index):
        return own_channel(features, class_index)


def random_logits(config, seed=0):
    shape = (1, 2, 4, 4, mask_channels(config, CLASSES))
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize(
    "options, channels",
    [({}, 3), ({"loss": "softmax"}, 4), ({"class_agnostic": True}, 1)]
    + [({"loss": "softmax", "class_agnostic": True}, 2)],
)
def test_each_kind_of_mask_head_has_its_channels(options, channels):
    assert mask_channels(MaskHeadConfig(**options), CLASSES) == channels


def test_sigmoid_masks_are_those_of_the_own_class():
    config = MaskHeadConfig()
    logits = random_logits(config)
    found = mask_probabilities(Head(), logits, INDEX, config)
    expected = 1 / (1 + np.exp(-np.stack([logits[:, 0, ..., 0], logits[:, 1, ..., 2]], 1)))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_softmax_masks_are_the_own_classs_share_next_to_background_and_all_others():
    config = MaskHeadConfig(loss="softmax")
    logits = random_logits(config)
    share = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    found = mask_probabilities(Head(), logits, INDEX, config)
    expected = np.stack([share[:, 0, ..., 1], share[:, 1, ..., 3]], 1)  # channel 0: background
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("loss", ["sigmoid", "softmax"])
def test_class_agnostic_masks_do_not_depend_on_the_class(loss):
    config = MaskHeadConfig(loss=loss, class_agnostic=True)
    logits = random_logits(config)
    found = mask_probabilities(Head(), logits, INDEX, config)
    np.testing.assert_array_equal(found, mask_probabilities(Head(), logits, 2 - INDEX, config))
    difference = logits[..., -1] - (logits[..., 0] if loss == "softmax" else 0)
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-difference)), rtol=1e-5)


def test_an_empty_box_takes_the_place_of_another_and_is_dropped_where_it_is_not_left_out_before():
    # The first RoI lies outside the image and is clipped to nothing.
    rois = [[0, 200, 20, 220], [50, 50, 80, 80], [10, 10, 30, 30]]
    logits = np.log([[0.1, 0.9], [0.4, 0.6], [0.3, 0.7]])
    proposals = Proposals(
        tf.constant([rois], tf.float32), tf.ones([1, 3]), tf.constant([[True] * 3])
    )
    given = tf.constant(logits[None], tf.float32), tf.zeros([1, 3, 1, 4]), proposals, SIZES
    for min_side, expected in ((0.0, [0.7, 0.6]), (None, [0.7, 0.0])):
        changes = {"min_side": min_side, "drop_empty": min_side is None}
        found = select_detections(*given, BoxHeadConfig(max_detections=2, **changes))
        np.testing.assert_allclose(found.scores[0], expected, atol=1e-6)
        assert found.valid.numpy().tolist() == [[score > 0 for score in expected]]
        np.testing.assert_allclose(found.boxes[0, 0], rois[2], atol=1e-4)
        assert found.boxes[0, 1].numpy().any() == (min_side is not None)
