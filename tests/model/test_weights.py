import hashlib
import os

import keras
import numpy as np
import pytest

from helpers.tiny import tiny_config
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.model.layers.efficientnet_lite import EfficientNetLite
from tfmaskrcnn.model.layers.norm import ConvNorm
from tfmaskrcnn.model.layers.resnet import ResNet
from tfmaskrcnn.model.mask_rcnn import MaskRCNN
from tfmaskrcnn.model.weights import (
    CLASS_LAYERS,
    load_weights,
    named_weights,
    read_weights,
    save_weights,
)


class Head(keras.layers.Layer):
    """The layers of a head that depend on the number of classes."""

    def __init__(self, num_classes, box):
        super().__init__()
        self.num_classes = num_classes
        if box:
            self.class_logits = keras.layers.Dense(num_classes + 1)
            self.box_deltas = keras.layers.Dense(4 * num_classes)
        else:
            self.logits = keras.layers.Conv2D(num_classes, 1)

    def build(self, input_shape):
        for name in ("class_logits", "box_deltas", "logits"):
            if hasattr(self, name):
                getattr(self, name).build(input_shape)
        self.built = True


class Toy(keras.Model):
    """A model with every way to hold a layer, metrics, a compiled loss and an optimizer."""

    def __init__(self, num_classes=2, width=3):
        super().__init__()
        self.late = None  # set in build
        self.width = width
        self.stem = ConvNorm(width, 1)
        self.blocks = [keras.layers.Dense(width), keras.layers.BatchNormalization()]
        self.lateral = {"p2": keras.layers.Conv2D(width, 1)}
        self.box_head, self.mask_head = Head(num_classes, True), Head(num_classes, False)
        self.again = self.stem
        self.mean = keras.metrics.Mean(name="mean")
        self.means = {"total": keras.metrics.Mean(name="total")}

    def build(self, input_shape=None):
        self.stem.build((None, None, None, 3))
        self.late = keras.layers.Dense(1, use_bias=False)
        for layer in (*self.blocks, self.late, self.box_head):
            layer.build((None, self.width))
        for layer in (self.lateral["p2"], self.mask_head):
            layer.build((None, None, None, self.width))
        self.built = True

    def call(self, x):
        return self.late(self.blocks[0](self.stem(x)[:, 0, 0]))


def toy(seed=0, **arguments):
    model = Toy(**arguments)
    model.build()
    rng = np.random.default_rng(seed)
    for weight in named_weights(model).values():
        weight.assign(rng.normal(size=weight.shape).astype(np.float32))
    return model


def values(model):
    return {name: weight.numpy() for name, weight in named_weights(model).items()}


def assert_same(found, expected):
    assert list(found) == list(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value)


def test_names_are_attribute_paths_without_metrics_and_optimizer():
    model = toy()
    model.compile(optimizer="adam", loss="mse", metrics=["mae"], jit_compile=False)
    model.fit(np.zeros((2, 1, 1, 3)), np.zeros((2, 1)), verbose=0)
    assert list(named_weights(model)) == [
        *("blocks/0/bias", "blocks/0/kernel"),
        *("blocks/1/beta", "blocks/1/gamma", "blocks/1/moving_mean", "blocks/1/moving_variance"),
        *("box_head/box_deltas/bias", "box_head/box_deltas/kernel"),
        *("box_head/class_logits/bias", "box_head/class_logits/kernel"),
        "late/kernel",
        *("lateral/p2/bias", "lateral/p2/kernel"),
        *("mask_head/logits/bias", "mask_head/logits/kernel"),
        *("stem/kernel", "stem/norm/beta", "stem/norm/gamma"),
        *("stem/norm/moving_mean", "stem/norm/moving_variance"),
    ]


@pytest.mark.parametrize(
    "layer, count, digest",
    [
        (ResNet(18), 100, "4d9030864ad96c8b"),
        (ResNet(50, norm="bn"), 265, "8b9ffa1cec604f5f"),
        (EfficientNetLite(0), 240, "767e616454b1e6c3"),
    ],
)
def test_names_of_the_backbones_never_change(layer, count, digest):
    # Saved weights depend on them; both stacks compare with the same digest.
    layer.build((None, None, None, 3))
    names = list(named_weights(layer))
    assert len(names) == len(layer.weights) == count
    assert hashlib.sha256("\n".join(names).encode()).hexdigest()[:16] == digest


def test_two_variables_of_one_name_are_an_error():
    class Hidden(keras.Model):
        def __init__(self):
            super().__init__()
            self._first, self._second = keras.layers.Dense(1), keras.layers.Dense(1)

        def build(self, input_shape=None):
            self._first.build((None, 1))
            self._second.build((None, 1))
            self.built = True

    model = Hidden()
    model.build()
    with pytest.raises(ValueError, match="two variables are named kernel"):
        named_weights(model)


def test_saved_weights_load_into_another_model_exactly(tmp_path):
    path = str(tmp_path / "weights.npz")
    model, other = toy(0), toy(1)
    save_weights(model, path)
    load_weights(other, path)
    assert_same(values(other), values(model))
    assert {array.dtype for array in read_weights(path).values()} == {np.dtype(np.float32)}
    load_weights(other, values(toy(2)))  # a dictionary will do too
    assert_same(values(other), values(toy(2)))


def test_saving_replaces_a_file_as_a_whole_and_leaves_nothing_beside_it(tmp_path, monkeypatch):
    path = tmp_path / "weights.npz"
    save_weights(toy(0), str(path))
    before = path.read_bytes()

    def full_disk(file, array, **_):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(np.lib.format, "write_array", full_disk)
        with pytest.raises(InputError, match="weights.npz: the disk is full"):
            save_weights(toy(1), str(path))
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["weights.npz"]
    save_weights(toy(1), str(path))
    assert path.read_bytes() != before
    assert os.listdir(tmp_path) == ["weights.npz"]


def test_missing_unexpected_and_misshapen_weights_are_all_listed(tmp_path):
    path = str(tmp_path / "weights.npz")
    arrays = values(toy())
    for name in ("blocks/0/bias", "blocks/0/kernel", "late/kernel", "stem/kernel"):
        del arrays[name]
    arrays["extra/kernel"] = np.zeros(3, np.float32)
    arrays["blocks/1/beta"] = np.zeros(5, np.float32)
    np.savez(path, **arrays)
    model = toy(1)
    before = values(model)
    with pytest.raises(InputError) as caught:
        load_weights(model, path)
    message = str(caught.value)
    assert message.startswith(f"{path} does not fit the model: ")
    assert "4 missing (blocks/0/bias, blocks/0/kernel, late/kernel and 1 more)" in message
    assert "1 unexpected (extra/kernel)" in message
    assert "1 of another shape (blocks/1/beta is (5,), wanted (3,))" in message
    assert_same(values(model), before)  # nothing was set


def test_another_number_of_classes_has_its_own_sentence():
    with pytest.raises(
        InputError, match="holds 91 classes, the model has 3; set num_classes to 91"
    ):
        load_weights(toy(num_classes=3), values(toy(num_classes=91)))


def test_a_wrong_shape_elsewhere_is_not_taken_for_the_classes():
    with pytest.raises(InputError, match="of another shape"):
        load_weights(toy(num_classes=3, width=4), values(toy(num_classes=5)))
    arrays = values(toy(num_classes=5))  # of another number of classes, but a kernel is odd besides
    arrays["box_head/class_logits/kernel"] = np.zeros((4, 6), np.float32)
    with pytest.raises(InputError, match="6 of another shape"):
        load_weights(toy(num_classes=3), arrays)
    arrays = values(toy(num_classes=3))
    arrays["box_head/class_logits/bias"] = np.zeros(9, np.float32)  # 8 classes, the others say 3
    arrays["mask_head/logits/bias"] = np.zeros(7, np.float32)
    with pytest.raises(InputError, match="2 of another shape"):
        load_weights(toy(num_classes=3), arrays)


def test_skipped_layers_stay_as_they_are():
    model, source = toy(0, num_classes=3), toy(1, num_classes=5)
    before = values(model)
    load_weights(model, values(source), skip=CLASS_LAYERS)
    for name, value in values(model).items():
        kept = name.startswith(CLASS_LAYERS)
        np.testing.assert_array_equal(value, before[name] if kept else values(source)[name])
    with pytest.raises(InputError, match="of another shape|classes"):  # "box" is no layer's name
        load_weights(model, values(source), skip=("box", "mask_head"))


def test_weights_that_are_no_floats_are_refused():
    arrays = values(toy())
    arrays["late/kernel"] = arrays["late/kernel"].astype(np.int32)
    with pytest.raises(InputError, match="late/kernel is of type int32"):
        load_weights(toy(), arrays)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_an_input_error(tmp_path, share):
    path = tmp_path / "weights.npz"
    save_weights(toy(), str(path))
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(InputError, match="weights.npz is damaged or is no weights file"):
        load_weights(toy(), str(path))


def test_foreign_and_missing_files_are_input_errors(tmp_path):
    path = tmp_path / "foreign"
    np.save(tmp_path / "one.npy", np.zeros(3))
    np.savez(tmp_path / "objects.npz", a=np.array([{}], object))
    (tmp_path / "text").write_text("hello")
    for name in ("one.npy", "objects.npz", "text"):
        with pytest.raises(InputError, match=f"{name} is damaged or is no weights file"):
            read_weights(str(tmp_path / name))
    with pytest.raises(InputError, match="There is no weights file"):
        load_weights(toy(), str(path))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused_before_any_is_set(tmp_path, value):
    model, path = toy(), str(tmp_path / "weights.npz")
    before = {name: variable.numpy() for name, variable in named_weights(model).items()}
    arrays = {name: array + 1 for name, array in before.items()}
    name = list(arrays)[-1]
    arrays[name].reshape(-1)[0] = value
    np.savez(path, **arrays)
    for source in (path, arrays):
        with pytest.raises(InputError, match=f"{name} holds numbers that are infinite or NaN"):
            load_weights(model, source)
    for name, variable in named_weights(model).items():
        np.testing.assert_array_equal(variable.numpy(), before[name])


def test_a_model_that_is_not_built_is_an_error():
    with pytest.raises(ValueError, match="build it"):
        load_weights(ResNet(18), {})


@pytest.mark.parametrize("loss", ["sigmoid", "softmax"])
def test_another_number_of_classes_is_named_for_each_kind_of_mask(loss):
    mask_head = f"mask_head={{channels: 8, num_convs: 1, loss: {loss}}}"
    model, other = (
        MaskRCNN(tiny_config(mask_head, f"model.num_classes={k}").model) for k in (3, 5)
    )
    arrays = {name: v.numpy() for name, v in named_weights(other).items()}
    with pytest.raises(InputError, match="holds 5 classes, the model has 3"):
        load_weights(model, arrays)


def test_a_mask_head_with_another_loss_is_no_question_of_classes():
    softmax = "mask_head={channels: 16, num_convs: 1, loss: softmax}"
    model, other = MaskRCNN(tiny_config().model), MaskRCNN(tiny_config(softmax).model)
    arrays = {name: v.numpy() for name, v in named_weights(other).items()}
    with pytest.raises(InputError, match=r"mask_head/logits/bias is \(4,\), wanted \(3,\)"):
        load_weights(model, arrays)


def test_a_file_of_another_kind_is_no_archive_and_a_folder_is_named(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(InputError, match=r"\(.npz\): it is no zip archive\.$"):
        read_weights(tmp_path / "notes.txt")
    with pytest.raises(InputError, match="Is a directory"):
        read_weights(tmp_path)
