"""Reading Keras 2's HDF5 weights: every layout it writes, and files that are none."""

import h5py
import keras
import numpy as np
import pytest

import tfmaskrcnn as mr
from helpers.memory import within
from tfmaskrcnn.checkpoints.keras_h5 import read_keras_h5
from tfmaskrcnn.compat import KERAS3

ARRAYS = {
    "conv1/kernel:0": np.arange(6, dtype=np.float32).reshape(2, 3),
    "conv1/bias:0": np.float32([7, 8]),
    "rpn_class_raw/kernel:0": np.ones((1, 2), np.float32),
    "rpn_bbox_pred/kernel:0": np.zeros((2, 2), np.float32),
}


def write(path, arrays=ARRAYS, prefix="", submodel="rpn_model"):
    """The file that `save_weights` of Keras 2 makes; `submodel` holds the layers named rpn_..."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [b"conv1", submodel.encode()]
        file.create_group(f"{prefix}input_image")  # a layer without weights
        for name, array in arrays.items():
            layer = name.split("/")[0]
            group = submodel if layer.startswith("rpn_") else layer
            file[f"{prefix}{group}/{name}"] = array
    return str(path)


def assert_arrays(found):
    assert sorted(found) == sorted(ARRAYS)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == np.float32


def test_layers_and_layers_of_submodels_are_named_alike(tmp_path):
    assert_arrays(read_keras_h5(write(tmp_path / "a.h5")))


def test_a_model_that_was_saved_whole_is_read_without_its_optimizer(tmp_path):
    path = write(tmp_path / "a.h5", prefix="model_weights/")
    with h5py.File(path, "a") as file:
        file["optimizer_weights/SGD/iter:0"] = np.int64(7)
    assert_arrays(read_keras_h5(path))


def test_all_layers_in_one_submodel_are_read(tmp_path):
    # Matterport's ParallelModel of several GPUs holds the network as one layer, "mask_rcnn".
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name, array in ARRAYS.items():
            file[f"mask_rcnn/{name}"] = array
    assert_arrays(read_keras_h5(str(tmp_path / "a.h5")))


def test_a_number_that_keras_added_to_a_name_is_not_part_of_it(tmp_path):
    arrays = {name.replace("conv1/", "conv1_2/"): array for name, array in ARRAYS.items()}
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name, array in arrays.items():
            group = "rpn_model" if name.startswith("rpn_") else "conv1"
            file[f"{group}/{name}"] = array
    assert_arrays(read_keras_h5(str(tmp_path / "a.h5")))


@pytest.mark.skipif(KERAS3, reason="Keras 3 writes another format")
def test_what_keras_2_writes_is_read(tmp_path):
    inner = keras.Sequential(
        [keras.layers.Conv2D(2, 1, name="rpn_a"), keras.layers.Conv2D(1, 1, name="rpn_b")],
        name="rpn_model",
    )
    image = keras.Input((4, 4, 3))
    x = keras.layers.Conv2D(5, 3, name="conv1")(image)
    x = keras.layers.BatchNormalization(name="bn_conv1")(x)
    whole = keras.Model(image, inner(x))
    path = str(tmp_path / "a.h5")
    whole.save_weights(path)
    found = read_keras_h5(path)
    assert len(found) == 2 + 4 + 2 + 2
    np.testing.assert_array_equal(found["conv1/kernel:0"], whole.get_layer("conv1").kernel)
    np.testing.assert_array_equal(found["rpn_b/bias:0"], inner.get_layer("rpn_b").bias)
    assert "bn_conv1/moving_variance:0" in found


def external(path):
    (path.parent / "secret").write_bytes(bytes(64))
    with h5py.File(path, "w") as file:
        place = [(str(path.parent / "secret"), 0, 64)]
        file.create_dataset("conv1/conv1/bias:0", (16,), "f4", external=place)


def virtual(path):
    with h5py.File(path.parent / "other.h5", "w") as file:
        file["x"] = np.zeros(4, np.float32)
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource(str(path.parent / "other.h5"), "x", shape=(4,))
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("conv1/conv1/bias:0", layout)


def linked(path):
    with h5py.File(path.parent / "other.h5", "w") as file:
        file["x"] = np.zeros(4, np.float32)
    with h5py.File(path, "w") as file:
        file["conv1"] = h5py.ExternalLink(str(path.parent / "other.h5"), "/")


def linked_whole(path):
    with h5py.File(path.parent / "other.h5", "w") as file:
        file["model_weights/conv1/conv1/bias:0"] = np.zeros(4, np.float32)
    with h5py.File(path, "w") as file:
        file["model_weights"] = h5py.ExternalLink(str(path.parent / "other.h5"), "/model_weights")


def softly_linked(path):
    with h5py.File(path, "w") as file:
        file["conv1"] = h5py.SoftLink("/conv1")
        file["model_weights"] = h5py.SoftLink("/")


def a_number_for_all(path):
    with h5py.File(path, "w") as file:
        file["model_weights"] = np.float32(3)


def inflating(path):
    with h5py.File(path, "w") as file:
        options = {"compression": "gzip", "chunks": (1 << 20,)}
        file.create_dataset("a/a/bias:0", data=np.zeros(1 << 24, np.float32), **options)


def of_one_huge_chunk(path):
    with h5py.File(path, "w") as file:
        options = {"compression": "gzip", "chunks": (1 << 24,), "maxshape": (None,)}
        dataset = file.create_dataset("a/a/bias:0", (1 << 24,), "f4", **options)
        dataset[:] = 0
        dataset.resize((4,))


def packed_by_another_program(path):
    with h5py.File(path, "w") as file:
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_chunk((4,))
        properties.set_filter(h5py.h5z.FILTER_NBIT)
        space = h5py.h5s.create_simple((4,))
        h5py.h5d.create(file.id, b"bias", h5py.h5t.IEEE_F32LE, space, properties)


def a_long_name(path):
    with h5py.File(path, "w") as file:
        file["/".join(["a" * 9000] * 3)] = np.zeros(4, np.int32)


def bloated(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("conv1/conv1/bias:0", (2**40,), "f4", chunks=(1024,))


def of_integers(path):
    with h5py.File(path, "w") as file:
        file["conv1/conv1/bias:0"] = np.zeros(4, np.int32)


def doubled(path):
    with h5py.File(path, "w") as file:
        for model in ("a", "b"):
            for layer in ("x", "y"):
                file[f"{model}/{layer}/bias:0"] = np.zeros(4, np.float32)


def truncated(path):
    write(path, {**ARRAYS, "conv2/kernel:0": np.ones((300, 300), np.float32)})
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda path: None, "no checkpoint file"),
        (lambda path: path.mkdir(), "damaged or is no Keras weights file"),
        (lambda path: path.write_bytes(b""), "damaged or is no Keras weights file"),
        (lambda path: path.write_text("weights"), "damaged or is no Keras weights file"),
        (truncated, "damaged or is no Keras weights file .*truncated"),
        (external, "conv1/conv1/bias:0 lies in another file"),
        (virtual, "conv1/conv1/bias:0 lies in another file"),
        (linked, "holds no weights"),
        (linked_whole, "holds no weights"),
        (softly_linked, "holds no weights"),
        (a_number_for_all, "model_weights in it is no group"),
        (inflating, "announces 67108864 bytes"),
        (of_one_huge_chunk, "announces 67108864 bytes"),
        (packed_by_another_program, "packed by a program that is not HDF5's own"),
        (a_long_name, "aaa... is of type int32, weights are floats"),
        (bloated, "announces 4398046511104 bytes"),
        (of_integers, "is of type int32, weights are floats"),
        (doubled, "x/bias:0 twice"),
    ],
)
def test_a_file_that_is_none_is_refused_with_one_sentence(tmp_path, make, message):
    path = tmp_path / "weights.h5"
    make(path)
    with within(30), pytest.raises(mr.InputError, match=message) as caught:
        read_keras_h5(str(path))
    assert len(str(caught.value)) < len(str(path)) + 400
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
