import numpy as np
import tensorflow as tf

from tfmaskrcnn.model.layers.keypoint_head import KeypointHead
from tfmaskrcnn.model.weights import named_weights


def made(**options):
    head = KeypointHead(5, channels=8, num_convs=2, **options)
    head.build((None, None, 14, 14, 6))
    return head


def test_maps_have_four_times_the_side_of_the_features():
    head = made()
    for batch in (1, 2):
        assert head(tf.zeros([batch, 3, 14, 14, 6])).shape == (batch, 3, 5, 56, 56)


def test_a_roi_does_not_see_the_others():
    head, features = made(), tf.random.stateless_normal([1, 3, 14, 14, 6], (0, 1))
    garbage = tf.concat([features[:, :2], 1e3 * features[:, 2:]], axis=1)
    np.testing.assert_allclose(head(features)[:, :2], head(garbage)[:, :2], atol=1e-4)


def test_the_last_step_is_bilinear_with_half_pixel_centres():
    head, features = made(), tf.random.stateless_normal([1, 1, 14, 14, 6], (0, 2))
    x = features[0]
    for conv in head.convs:
        x = conv(x)
    expected = tf.image.resize(head.logits(x), [56, 56])[0]  # [56, 56, J]
    found = tf.transpose(head(features)[0, 0], [1, 2, 0])
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_weights_have_stable_names_and_the_configuration_makes_the_same_layer():
    head = KeypointHead.from_config(made(name="keypoint_head").get_config())
    head.build((None, None, 14, 14, 6))
    assert {name: tuple(v.shape) for name, v in named_weights(head).items()} == {
        "convs/0/bias": (8,),
        "convs/0/kernel": (3, 3, 6, 8),
        "convs/1/bias": (8,),
        "convs/1/kernel": (3, 3, 8, 8),
        "logits/bias": (5,),
        "logits/kernel": (4, 4, 5, 8),
    }


def test_logits_are_float32_under_a_half_precision_policy():
    head = made(dtype="mixed_bfloat16")
    assert head(tf.zeros([1, 1, 14, 14, 6])).dtype == tf.float32
