import argparse
import collections
import os
import pickle
import subprocess
import time
import zipfile

import numpy as np
import pytest

from helpers.memory import within
from helpers.one_stack import on_stack_a
from helpers.torch_files import (
    STORAGES,
    Call,
    Named,
    Stored,
    pickled,
    tensor,
    whole,
    write_legacy,
    write_zip,
)
from tfmaskrcnn.checkpoints.torch_reader import read_torch
from tfmaskrcnn.errors import InputError

WRITERS = pytest.mark.parametrize("write", [write_zip, write_legacy])


def arrays():
    rng = np.random.default_rng(0)
    return {
        "conv.weight": rng.normal(size=(4, 3, 2, 1)).astype(np.float32),
        "conv.bias": rng.normal(size=4).astype(np.float32),
        "empty": np.zeros((0, 3), np.float32),
        "scalar": np.array(7, np.int64),
    }


@WRITERS
def test_tensors_come_back_as_written(tmp_path, write):
    path = tmp_path / "weights.pth"
    wanted = arrays()
    write(
        path,
        collections.OrderedDict((n, whole(a, str(i))) for i, (n, a) in enumerate(wanted.items())),
    )
    found = read_torch(str(path))
    assert list(found) == list(wanted)
    for name, value in wanted.items():
        assert found[name].dtype == value.dtype
        np.testing.assert_array_equal(found[name], value)


@WRITERS
@pytest.mark.parametrize("dtype", sorted(STORAGES))
def test_every_storage_type_is_read(tmp_path, write, dtype):
    path = tmp_path / "weights.pth"
    wanted = np.array([0, 1, 1.5, -3.0])
    if dtype == "bfloat16":  # the upper halves of the float32 numbers, which these numbers fill
        upper = (wanted.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
        stored, result = Stored(upper, "0", dtype), wanted.astype(np.float32)
    else:
        result = np.abs(wanted).astype(dtype) if dtype == "uint8" else wanted.astype(dtype)
        stored = Stored(result, "0")
    write(path, {"x": tensor(stored, (4,), (1,))})
    found = read_torch(str(path))["x"]
    assert found.dtype == result.dtype
    np.testing.assert_array_equal(found, result)


@WRITERS
def test_views_of_one_storage_are_cut_out(tmp_path, write):
    path = tmp_path / "weights.pth"
    base = np.arange(24, dtype=np.float32)
    stored = Stored(base, "7")
    write(
        path,
        {"turned": tensor(stored, (4, 3), (1, 4), offset=12), "row": tensor(stored, (4,), (1,))},
    )
    found = read_torch(str(path))
    np.testing.assert_array_equal(found["turned"], base[12:].reshape(3, 4).T)
    np.testing.assert_array_equal(found["row"], base[:4])


@WRITERS
@pytest.mark.parametrize("key", ["model", "state_dict", "model_state_dict"])
def test_a_training_checkpoint_is_unwrapped(tmp_path, write, key):
    path = tmp_path / "weights.pth"
    value = np.ones(3, np.float32)
    parameter = Call(
        Named("torch._utils", "_rebuild_parameter"),
        whole(value, "0"),
        True,
        collections.OrderedDict(),
    )
    other = whole(np.zeros(2, np.float32), "1")
    write(path, {"epoch": 3, key: {"w": parameter, "note": "text"}, "optimizer": {"m": [other]}})
    found = read_torch(str(path))
    assert list(found) == ["w"]
    np.testing.assert_array_equal(found["w"], value)


@WRITERS
def test_what_a_training_script_keeps_beside_the_weights_is_left_out(tmp_path, write):
    # As torchvision's references/detection/train.py saves it, from several devices.
    path, value = tmp_path / "model_25.pth", whole(np.ones(3, np.float32), "0")
    schedule = {"milestones": collections.Counter([16, 22]), "gamma": 0.1}
    args = argparse.Namespace(lr=0.02, lr_steps=[16, 22], output_dir=".")
    write(path, {"model": {"module.w": value}, "lr_scheduler": schedule, "args": args, "epoch": 25})
    assert list(read_torch(str(path))) == ["w"]


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "model.", "module._orig_mod."])
def test_what_wrappers_put_before_all_names_is_taken_off(tmp_path, prefix):
    path, value = tmp_path / "weights.pth", whole(np.ones(3, np.float32), "0")
    write_zip(path, {f"{prefix}a.w": value, f"{prefix}module.w": value})
    assert list(read_torch(str(path))) == ["a.w", "module.w"]
    write_zip(path, {f"{prefix}a.w": value, "b.w": value})  # only some: names of the model itself
    assert list(read_torch(str(path))) == [f"{prefix}a.w", "b.w"]


def test_an_ignored_object_keeps_nothing_of_its_pickle(tmp_path):
    path, value = tmp_path / "weights.pth", whole(np.ones(3, np.float32), "0")
    inside = Call(Named("argparse", "Namespace"), Call(Named("os", "system"), "true"))
    write_zip(path, {"model": {"w": value}, "args": inside})
    with pytest.raises(InputError, match="asks to load os.system"):
        read_torch(str(path))


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("order", ["C", "F"])
def test_pickled_numpy_arrays_are_read(tmp_path, protocol, order):
    path = tmp_path / "weights.pkl"
    wanted = {"conv.w": np.arange(6, dtype=np.float32).reshape(2, 3), "n": np.array([1, 2], ">i8")}
    contents = {"model": {n: np.array(a, order=order) for n, a in wanted.items()}, "by": "me"}
    path.write_bytes(pickle.dumps(contents, protocol))
    found = read_torch(str(path))
    for name, value in wanted.items():
        np.testing.assert_array_equal(found[name], value)


@WRITERS
@pytest.mark.parametrize(
    "module, name", [("os", "system"), ("posix", "system"), ("builtins", "eval"), ("torch", "load")]
)
def test_a_pickle_that_runs_a_program_is_refused_and_does_not_run(tmp_path, write, module, name):
    path, mark = tmp_path / "evil.pth", tmp_path / "ran"
    code = f"touch {mark}" if name == "system" else f"open({str(mark)!r}, 'w')"
    write(path, {"w": whole(np.ones(2, np.float32), "0"), "x": Call(Named(module, name), code)})
    with pytest.raises(InputError, match=rf"evil.pth asks to load {module}\.{name}, .* not run"):
        read_torch(str(path))
    assert not mark.exists()


def test_that_pickle_does_run_when_it_is_trusted(tmp_path):
    mark = tmp_path / "ran"  # or else the test above proves nothing
    pickle.loads(pickled(Call(Named("os", "system"), f"touch {mark}"))[0])
    assert mark.exists()


def test_objects_and_attributes_cannot_be_smuggled_in(tmp_path):
    path = tmp_path / "evil.pkl"
    for contents in (subprocess.Popen, np.array([{}], object), os.system, np.float32(1.0)):
        path.write_bytes(pickle.dumps({"model": {"x": contents}}, 2))
        with pytest.raises(InputError, match="evil.pkl"):
            read_torch(str(path))


@WRITERS
@pytest.mark.parametrize(
    "shape, strides, offset",
    [((5,), (1,), 0), ((2,), (4,), 0), ((1,), (1,), 4), ((2,), (-1,), 1), ((4,), (1,), -1)]
    + [((-1,), (1,), 0), ((10**12,), (0,), 0), ((2, 2), (1,), 0)],
)
def test_a_view_outside_of_its_storage_is_refused(tmp_path, write, shape, strides, offset):
    path = tmp_path / "weights.pth"
    write(path, {"w": tensor(Stored(np.ones(4, np.float32), "0"), shape, strides, offset)})
    with pytest.raises(InputError, match="weights.pth is damaged or is no PyTorch weights file"):
        read_torch(str(path))


@WRITERS
def test_a_storage_of_another_length_than_announced_is_refused(tmp_path, write):
    path = tmp_path / "weights.pth"
    stored = Stored(np.ones(4, np.float32), "0", length=5)
    write(path, {"w": tensor(stored, (4,), (1,))})
    with pytest.raises(InputError, match="damaged"):
        read_torch(str(path))


@WRITERS
def test_a_truncated_file_is_an_input_error(tmp_path, write):
    path = tmp_path / "weights.pth"
    write(path, {name: whole(a, name) for name, a in arrays().items()})
    data = path.read_bytes()
    for length in range(0, len(data), 7):
        path.write_bytes(data[:length])
        with pytest.raises(
            InputError, match="weights.pth is damaged or is no PyTorch weights file"
        ):
            read_torch(str(path))


@WRITERS
def test_random_damage_ends_in_an_input_error_or_a_result(tmp_path, write):
    path = tmp_path / "weights.pth"
    write(path, {name: whole(a, name) for name, a in arrays().items()})
    data = path.read_bytes()
    refused = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        damaged = bytearray(data)
        for position in rng.integers(0, len(data), 4):
            damaged[position] = rng.integers(0, 256)
        path.write_bytes(bytes(damaged))
        try:
            read_torch(str(path))
        except InputError:
            refused += 1
    assert refused > 50


def test_foreign_files_are_input_errors(tmp_path):
    path = tmp_path / "foreign"
    for data in (b"", b"hello", b"\x89HDF\r\n\x1a\n" + bytes(64), pickle.dumps([1, 2])):
        path.write_bytes(data)
        with pytest.raises(InputError, match="foreign is damaged or is no PyTorch weights file"):
            read_torch(str(path))
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    with pytest.raises(InputError, match="other.npz is damaged .* without data.pkl"):
        read_torch(str(tmp_path / "other.npz"))
    path.write_bytes(pickle.dumps({"epoch": 3}))
    with pytest.raises(InputError, match="holds no tensors"):
        read_torch(str(path))
    with pytest.raises(InputError, match="There is no checkpoint file"):
        read_torch(str(tmp_path / "nothing.pth"))


def many_views(write, path):
    """The kind of a file of 20 kB that asks for 4.8 GB."""
    stored = Stored(np.zeros(1 << 20, np.uint8), "0")
    view = tensor(stored, (1 << 20,), (1,))
    write(path, {f"w{i}": view for i in range(400)})


def bytes_of_float32(write, path):
    # In one storage's bytes each tensor is small; bfloat16 doubles them.
    stored = Stored(np.zeros(1 << 22, np.uint16), "0", "bfloat16")
    view = tensor(stored, (1 << 22,), (1,))
    write(path, {f"w{i}": view for i in range(40)})


def repeated_arrays(write, path):
    array = np.zeros(1 << 20, np.uint8)
    state = pickle.dumps((1, array.shape, array.dtype, False, array.tobytes()), 4)[2:-1]
    call = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tC\x01bt"
    once = call + b"R" + b"h\xff" + b"b"
    many = b"".join(b"X\x04\x00\x00\x00%04d" % i + once for i in range(200))
    path.write_bytes(b"\x80\x04" + state + b"q\xff0}(" + many + b"u.")


def repeated_shapes(write, path):
    sizes = [1] * 100_000
    rebuilt = Call(Named("torch", "Size"), sizes)
    write(path, {"w": whole(np.ones(2, np.float32), "0"), "x": [rebuilt]})


def repeated_pairs(write, path):
    pairs = [(str(i), i) for i in range(50_000)]
    copies = [Call(Named("collections", "OrderedDict"), pairs) for _ in range(4000)]
    write(path, {"w": whole(np.ones(2, np.float32), "0"), "x": copies})


def announced_storage(write, path):
    stored = Stored(np.zeros(4, np.float32), "0", length=1 << 40)
    write(path, {"w": tensor(stored, (1 << 40,), (1,))})


def of_stride_0(write, path):
    stored = Stored(np.zeros(1 << 10, np.float32), "0")
    write(path, {"w": tensor(stored, (1 << 10, 1 << 20), (1, 0))})


BOMBS = [many_views, bytes_of_float32, repeated_arrays, repeated_shapes, repeated_pairs]
BOMBS += [announced_storage, of_stride_0]


@on_stack_a
@WRITERS
@pytest.mark.parametrize("bomb", BOMBS)
def test_a_small_file_that_asks_for_much_memory_is_refused_before_it_is_taken(
    tmp_path, write, bomb
):
    path = tmp_path / "weights.pth"
    bomb(write, path)
    with within(200), pytest.raises(InputError, match="weights.pth is damaged") as caught:
        read_torch(str(path))
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("member", ["data/0", "data.pkl"])
def test_an_archive_that_inflates_is_refused(tmp_path, member):
    path, stored = tmp_path / "weights.pth", Stored(np.zeros(4, np.float32), "0", length=1 << 25)
    data, _ = pickled({"w": tensor(stored, (4,), (1,))})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("archive/data.pkl", data + bytes((member == "data.pkl") << 27))
        if member == "data/0":
            archive.writestr("archive/data/0", bytes(1 << 27))
    with within(20), pytest.raises(InputError, match="would unpack into"):
        read_torch(str(path))


def test_an_archive_whose_storages_are_compressed_is_read_if_they_are_small(tmp_path):
    path, value = tmp_path / "weights.pth", np.arange(1000, dtype=np.float32)
    write_zip(path, {"w": whole(value, "0")})
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(tmp_path / "b.pth", "w", 8) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    np.testing.assert_array_equal(read_torch(str(tmp_path / "b.pth"))["w"], value)


@WRITERS
def test_a_storage_of_many_views_is_read_once(tmp_path, write):
    path = tmp_path / "weights.pth"
    stored = Stored(np.arange(1 << 22, dtype=np.float32), "0")
    write(path, {f"w{i}": tensor(stored, (1,), (1,), offset=i) for i in range(2000)})
    began = time.process_time()
    found = read_torch(str(path))
    assert time.process_time() - began < 5  # 2000 times 16 MB would take longer
    assert [found[f"w{i}"][0] for i in (0, 7, 1999)] == [0, 7, 1999]


def test_a_message_shows_a_long_name_in_part(tmp_path):
    path = tmp_path / "evil.pth"
    write_zip(path, {"x": Call(Named("os" * 10_000, "system"), "true")})
    with pytest.raises(InputError, match="asks to load osos") as caught:
        read_torch(str(path))
    assert len(str(caught.value)) < 400
