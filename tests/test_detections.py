import numpy as np
import pytest
import tensorflow as tf

from tfmaskrcnn.detections import mask_probabilities
from tfmaskrcnn.model_config import MaskHeadConfig, mask_channels
from tfmaskrcnn.ops.tensors import own_channel

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
