"""A functional model of one's own below the pyramid."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmaskrcnn as mr
from helpers.one_stack import on_stack_a
from helpers.some_signatures import exported_with
from helpers.tiny import tiny_config, tiny_data
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.inference.packing import save
from tfmaskrcnn.model.weights import named_weights

NAMES = ["two", "three", "four", "five"]
layers = keras.layers


def small(side=None, channels=3, padding="same"):
    """A few convolutions, a branch, and a norm in the stem."""
    image = keras.Input((side, side, channels), name="picture")
    x = layers.Conv2D(4, 3, 2, padding, name="stem")(image)
    x = layers.BatchNormalization(name="norm")(x)
    for width, name in zip((5, 6, 7, 8), NAMES):
        branch = layers.DepthwiseConv2D(3, 2, padding)(x)
        x = layers.Conv2D(width, 3, 2, padding)(x)
        x = layers.Concatenate(name=name)([x, branch])
    top = layers.Dense(2, name="top")(layers.GlobalAveragePooling2D(name="pool")(x))
    return keras.Model(image, top, name="small")


def values(model):
    return {name: variable.numpy() for name, variable in named_weights(model).items()}


def model_of(*overrides, backbone=None, names=NAMES):
    keras.utils.set_random_seed(2)
    config = tiny_config("backbone={norm: bn, freeze_at: 0}", *overrides)
    return mr.MaskRCNN(config.model, backbone=backbone or small(), feature_layers=names)


def picture():
    return np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)


def test_outputs_are_those_of_the_layers():
    given = small()
    model = model_of(backbone=given)
    assert model.backbone.out_channels == {"c2": 9, "c3": 15, "c4": 22, "c5": 30}
    image = np.random.default_rng(0).normal(size=(2, 64, 96, 3)).astype(np.float32)
    found = model.backbone(image)
    wanted = keras.Model(given.inputs[0], [given.get_layer(name).output for name in NAMES])(image)
    for (key, value), expected in zip(found.items(), wanted):
        assert value.shape[1:3] == (64 // 2 ** int(key[1]), 96 // 2 ** int(key[1]))
        np.testing.assert_allclose(value, expected, atol=1e-6)


@pytest.mark.parametrize(
    "part, trained",
    [("all", {"c1", "c2", "c4", "c5"}), ("4+", {"c4", "c5"}), ("5+", {"c5"}), ("heads", set())],
)
def test_parts_are_what_each_output_is_made_of(part, trained):
    model = model_of()
    model.set_trainable(part)
    names = {id(v): name for name, v in named_weights(model).items()}
    found = {names[id(v)].split("/")[2] for v in model.trainable_variables if is_own(names, v)}
    of = {"stem": "c1", "norm": "c1", "conv2d_0": "c2", "conv2d_2": "c4", "conv2d_3": "c5"}
    assert {of[name] for name in found & set(of)} == trained


def is_own(names, variable):
    return names[id(variable)].startswith("backbone/")


def test_freeze_at_and_frozen_norms_hold_for_it():
    model = model_of("backbone={norm: frozen_bn, freeze_at: 2}")
    names = {id(v): name for name, v in named_weights(model).items()}
    found = {names[id(v)].split("/")[2] for v in model.trainable_variables if is_own(names, v)}
    assert found and not found & {"stem", "norm", "conv2d_0", "depthwise_conv2d_0"}
    assert not model_of("backbone={norm: frozen_bn}").backbone.network.get_layer("norm").trainable


@pytest.mark.parametrize(
    "given, names, told",
    [
        (lambda: "resnet50", NAMES, "'resnet50': a backbone is a functional keras.Model"),
        (lambda: layers.Conv2D(3, 3), NAMES, "a backbone is a functional keras.Model"),
        (lambda: small(side=64), NAMES, r"images of 64 x 64 alone.*input_shape=\(None, None, 3\)"),
        (lambda: small(channels=4), NAMES, "images of 4 channels, model.input.channels is 3"),
        (lambda: keras.Model(*[keras.Input((None, 3))] * 2), NAMES, "one batch of images"),
        (small, None, r"must name four layers of small.*such as \['two', 'three', 'four', 'five'"),
        (small, NAMES[:3], "must name four layers"),
        (small, ["two", "thre", "four", "five"], "no layer 'thre'.*did you mean 'three'"),
        (small, ["zwei", *NAMES[1:]], "no layer 'zwei' .*such as .'two'"),
        (small, NAMES[::-1], "layer 'five' makes 4 x 4 x 30 .*wanted 32 x 32 x channels"),
        (small, [*NAMES[:3], "pool"], "layer 'pool' makes 30 of an image"),
        (lambda: small(padding="valid"), NAMES, "'two' makes 31 x 31 x 9"),
    ],
)
def test_what_no_pyramid_can_stand_on_is_told(given, names, told):
    with pytest.raises(InputError, match=told):
        mr.MaskRCNN(tiny_config().model, backbone=given(), feature_layers=names)


def test_other_settings_that_do_not_fit_are_told():
    with pytest.raises(InputError, match="norm is 'gn'; a model of Keras takes 'frozen_bn'"):
        model_of("backbone={norm: gn}")
    with pytest.raises(InputError, match="backbone=..., a functional keras.Model"):
        mr.MaskRCNN(tiny_config().model, feature_layers=NAMES)
    with pytest.raises(InputError, match="'own' stands for a keras.Model .*command line has none"):
        mr.MaskRCNN(tiny_config("backbone={name: own}").model)


@pytest.mark.usefixtures("eagerly")
@pytest.mark.filterwarnings("ignore:Even though the:UserWarning")  # of tf.data
def test_it_is_trained_saved_and_read_again(tmp_path):
    given, config = small(), tiny_config()
    before = given.get_weights()
    model = model_of(backbone=given)
    model.compile(mr.train.make_optimizer(config.train, 2))
    start = values(model)
    data = mr.data.from_coco(*tiny_data(tmp_path, 2), config, training=True)
    model.fit(data, verbose=0)
    moved = {name for name, value in values(model).items() if (value != start[name]).any()}
    assert {n for n in moved if n.startswith("backbone/")} >= {"backbone/network/stem/kernel"}
    for value, former in zip(given.get_weights(), before):  # the given one stays as it is
        np.testing.assert_array_equal(value, former)
    found = model.predict_images([picture()], score_threshold=0.0)[0]
    assert len(found)
    model.save(str(tmp_path / "own.keras"))
    model.save_weights(str(tmp_path / "own.npz"))
    again = keras.models.load_model(str(tmp_path / "own.keras"))
    assert again.config == model.config and again.config.backbone.name == "own"
    same = again.predict_images([picture()], score_threshold=0.0)[0]
    np.testing.assert_array_equal(same.boxes, found.boxes)
    np.testing.assert_array_equal(same.scores, found.scores)
    other = model_of()
    other.load_weights(str(tmp_path / "own.npz"))
    read = values(other)
    for name, value in values(model).items():
        np.testing.assert_array_equal(read[name], value, err_msg=name)


@on_stack_a
@pytest.mark.slow
def test_it_is_exported(tmp_path):
    model = model_of()
    folder = exported_with(["serving_default"], model, tmp_path / "exported")
    served = tf.saved_model.load(folder).signatures["serving_default"](tf.constant(picture()[None]))
    found = model.predict_images([picture()])[0]
    np.testing.assert_allclose(served["detection_scores"][0, : len(found)], found.scores, atol=1e-5)


def test_a_single_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="no backbone of your own; save a .keras file"):
        save(model_of(), str(tmp_path / "x.tfmaskrcnn"))
