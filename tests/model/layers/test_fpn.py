import numpy as np
import pytest
import tensorflow as tf

from tfmaskrcnn.model.layers.fpn import Fpn
from tfmaskrcnn.model.weights import named_weights

WIDTHS = {"c2": 3, "c3": 4, "c4": 5, "c5": 6}
STRIDES = {"c2": 4, "c3": 8, "c4": 16, "c5": 32}


def built(channels=2, widths=WIDTHS):
    fpn = Fpn(channels, name="fpn")
    fpn.build({name: (None, None, None, width) for name, width in widths.items()})
    return fpn


def backbone_maps(batch=1, height=64, width=96, widths=WIDTHS, seed=0):
    rng = np.random.default_rng(seed)
    return {
        name: tf.constant(
            rng.normal(size=(batch, height // stride, width // stride, widths[name])), tf.float32
        )
        for name, stride in STRIDES.items()
    }


def plain_sum():
    """One channel, all kernels pass it through: each level is the sum of those above."""
    fpn = built(1, dict.fromkeys(WIDTHS, 1))
    for lateral in fpn.laterals:
        lateral.kernel.assign(np.ones((1, 1, 1, 1)))
    for conv in fpn.output_convs:
        kernel = np.zeros((3, 3, 1, 1))
        kernel[1, 1] = 1
        conv.kernel.assign(kernel)
    return fpn


def doubled(image):
    return np.kron(image, np.ones((2, 2)))


@pytest.mark.parametrize("batch", [1, 2])
def test_every_level_has_half_the_size_of_the_one_below(batch):
    pyramid = built()(backbone_maps(batch))
    shapes = {name: level.shape.as_list() for name, level in pyramid.items()}
    assert shapes == {
        "p2": [batch, 16, 24, 2],
        "p3": [batch, 8, 12, 2],
        "p4": [batch, 4, 6, 2],
        "p5": [batch, 2, 3, 2],
        "p6": [batch, 1, 2, 2],
    }


def test_each_level_adds_the_one_above_by_nearest_neighbour():
    maps = backbone_maps(widths=dict.fromkeys(WIDTHS, 1))
    c2, c3, c4, c5 = (maps[name].numpy()[0, ..., 0] for name in WIDTHS)
    pyramid = {k: v.numpy()[0, ..., 0] for k, v in plain_sum()(maps).items()}
    p4 = c4 + doubled(c5)
    p3 = c3 + doubled(p4)
    np.testing.assert_allclose(pyramid["p5"], c5, atol=1e-6)
    np.testing.assert_allclose(pyramid["p4"], p4, atol=1e-6)
    np.testing.assert_allclose(pyramid["p3"], p3, atol=1e-6)
    np.testing.assert_allclose(pyramid["p2"], c2 + doubled(p3), atol=1e-6)


def test_the_output_convolution_is_not_passed_down():
    fpn, maps = plain_sum(), backbone_maps(widths=dict.fromkeys(WIDTHS, 1))
    before = fpn(maps)
    fpn.output_convs[3].bias.assign([100.0])  # of p5
    after = fpn(maps)
    np.testing.assert_allclose(after["p5"], before["p5"] + 100.0, atol=1e-4)
    for level in ("p2", "p3", "p4"):
        np.testing.assert_array_equal(after[level], before[level])


def test_the_lateral_bias_is_passed_down():
    fpn, maps = plain_sum(), backbone_maps(widths=dict.fromkeys(WIDTHS, 1))
    before = fpn(maps)
    fpn.laterals[2].bias.assign([10.0])  # of p4
    after = fpn(maps)
    for level, shift in (("p2", 10.0), ("p3", 10.0), ("p4", 10.0), ("p5", 0.0)):
        np.testing.assert_allclose(after[level], before[level] + shift, atol=1e-5)


@pytest.mark.parametrize("height, width", [(64, 96), (96, 160)])
def test_p6_is_every_second_pixel_of_p5(height, width):
    pyramid = built()(backbone_maps(1, height, width))
    np.testing.assert_array_equal(pyramid["p6"], pyramid["p5"].numpy()[:, ::2, ::2])


def test_unknown_shapes_give_the_same_pyramid():
    fpn, maps = built(), backbone_maps(2)
    spec = {name: tf.TensorSpec([None, None, None, width]) for name, width in WIDTHS.items()}
    found = tf.function(fpn, input_signature=[spec])(maps)
    for level, expected in fpn(maps).items():
        np.testing.assert_allclose(found[level], expected, atol=1e-5)


def test_known_shapes_stay_known_in_a_graph():
    specs = {k: tf.TensorSpec(v.shape) for k, v in backbone_maps(2).items()}
    shapes = tf.function(built(), input_signature=[specs]).get_concrete_function().output_shapes
    assert shapes["p2"] == [2, 16, 24, 2] and shapes["p6"] == [2, 1, 2, 2]


def test_the_parameters_are_those_of_the_paper():
    fpn = built(256, {"c2": 256, "c3": 512, "c4": 1024, "c5": 2048})
    assert fpn.count_params() == 3344384  # also torchvision's


def test_weights_go_by_these_names():
    expected = {
        f"{kind}/{i}/{short}"
        for kind in ("laterals", "output_convs")
        for i in range(4)
        for short in ("kernel", "bias")
    }
    named = named_weights(built())
    assert set(named) == expected
    assert named["laterals/0/kernel"].shape == (1, 1, 3, 2)  # position 0 is c2
    assert named["output_convs/3/kernel"].shape == (3, 3, 2, 2)


def test_config_round_trip_keeps_non_default_arguments():
    copy = Fpn.from_config(Fpn(7, "bn", name="neck").get_config())
    assert copy.channels == 7 and copy.name == "neck"
    assert copy.laterals[0].filters == copy.output_convs[0].filters == 7
    assert copy.laterals[3].norm_kind == copy.output_convs[0].norm_kind == "bn"


def test_it_computes_in_bfloat16_under_that_policy(mixed_bfloat16):
    fpn, maps = built(), backbone_maps()
    pyramid = fpn(maps)
    assert {level.dtype for level in pyramid.values()} == {tf.bfloat16}
    assert {w.dtype for w in fpn.trainable_variables} <= {tf.float32, "float32"}
    p5 = maps["c5"] @ tf.convert_to_tensor(fpn.laterals[3].kernel)[0, 0]
    p5 = tf.nn.conv2d(p5, tf.convert_to_tensor(fpn.output_convs[3].kernel), 1, "SAME")
    np.testing.assert_allclose(tf.cast(pyramid["p5"], tf.float32), p5, atol=0.05)


def test_every_weight_has_a_finite_gradient():
    fpn, maps = built(), backbone_maps()
    with tf.GradientTape() as tape:
        total = tf.add_n([tf.reduce_sum(tf.square(level)) for level in fpn(maps).values()])
    for gradient in tape.gradient(total, fpn.trainable_variables):
        assert np.isfinite(gradient).all() and np.abs(gradient).sum() > 0
