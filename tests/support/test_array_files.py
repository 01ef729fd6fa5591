"""Archives and arrays that announce more than they have."""

import io
import struct
import zipfile

import numpy as np
import pytest

from helpers.memory import within
from tfmaskrcnn.support import array_files
from tfmaskrcnn.support.array_files import open_archive, read_arrays
from tfmaskrcnn.support.files import save_arrays

ARRAYS = {
    "a/kernel": np.arange(6, dtype=np.float32).reshape(2, 3),
    "empty": np.zeros((0, 3), np.int64),
    "scalar": np.array(7, np.uint8),
    "text": np.array("what it is"),
    "fortran": np.asfortranarray(np.arange(6.0).reshape(3, 2)),
    "big": np.array([1, 2], ">i4"),
}


def npy(array=None, shape=None, descr="<f4", data=b""):
    """The bytes of a `.npy` file: of an array, or of a header and what comes after it."""
    buffer = io.BytesIO()
    if array is not None:
        np.lib.format.write_array(buffer, array)
        return buffer.getvalue()
    header = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(buffer, header)
    return buffer.getvalue() + data


def write(path, members, method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", method, compresslevel=1) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return str(path)


@pytest.mark.parametrize("save", [save_arrays, lambda p, a: np.savez(p, **a)])
@pytest.mark.parametrize("compressed", [False, True])
def test_arrays_come_back_as_they_were_written(tmp_path, save, compressed):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, **ARRAYS) if compressed else save(path, ARRAYS)
    found = read_arrays(path)
    assert list(found) == list(ARRAYS)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype


def test_headers_are_shown_before_an_array_is_read(tmp_path, monkeypatch):
    save_arrays(tmp_path / "a.npz", ARRAYS)
    seen = []
    read_arrays(tmp_path / "a.npz", seen.append)
    assert {n: (h.shape, h.dtype) for n, h in seen[0].items()} == {
        n: (a.shape, a.dtype) for n, a in ARRAYS.items()
    }
    monkeypatch.setattr(array_files.np.lib.format, "read_array", None)  # not called
    with pytest.raises(ValueError, match="no, thanks"):
        read_arrays(tmp_path / "a.npz", refuse)


def refuse(headers):
    raise ValueError("no, thanks")


def inflating(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for i in range(3):
            data = npy(np.zeros(1 << 24, np.float32))
            archive.writestr(f"{i}.npy", data)


def sharing(path):
    """Members whose bytes overlap: each entry of the table points at one place."""
    write(path, [("a.npy", npy(np.zeros(1 << 16, np.uint8)))])
    data = path.read_bytes()
    end = data.rindex(b"PK\5\6")
    start = data.index(b"PK\1\2")
    entry = data[start:end]
    table = b"".join(entry.replace(b"a.npy", b"%05d" % i) for i in range(2000))
    tail = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 2000, 2000, len(table), start, 0)
    path.write_bytes(data[:start] + table + tail)


def of_many_members(path):
    write(path, [("a.npy", npy(np.zeros(1)))])
    data = path.read_bytes()
    start, end = data.index(b"PK\1\2"), data.rindex(b"PK\5\6")
    table = data[start:end] * 300_000
    tail = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, len(table), start, 0)
    path.write_bytes(data[:start] + table + tail)


def many_announced(path):
    write(path, [("a.npy", npy(np.zeros(1)))])
    data = bytearray(path.read_bytes())
    struct.pack_into("<L", data, len(data) - 10, (1 << 32) - 1)
    path.write_bytes(bytes(data))


BOMBS = [inflating, sharing, of_many_members, many_announced]


@pytest.mark.parametrize("bomb", BOMBS)
def test_an_archive_that_unpacks_into_far_more_is_refused_before_it_does(tmp_path, bomb):
    path = tmp_path / "a.npz"
    bomb(path)
    with within(60), pytest.raises(ValueError, match="bytes"):
        read_arrays(path)


LIES = {
    "a huge shape": npy(shape=(1 << 40,), data=b"abcd"),
    "a shape whose product is more than a number holds": npy(shape=(1 << 40,) * 4),
    "less than it has": npy(shape=(1,), data=bytes(8)),
    "a negative side": npy(shape=(-1, -4), data=bytes(16)),
    "objects": npy(shape=(1,), descr="|O", data=bytes(8)),
    "structures": npy(shape=(1,), descr=[("a", "<f4")], data=bytes(4)),
    "texts without letters": npy(shape=(1 << 40,), descr="<U0"),
    "no header": b"\x93NUMPY\1\0\xff\xff{",
    "a header of 4 GB": b"\x93NUMPY\2\0\xff\xff\xff\xff{",
    "format 3": b"\x93NUMPY\3\0\4\0\0\0{}  ",
    "a header that is nested deep": b"\x93NUMPY\1\0\x10\x27" + b"(" * 10000,
    "a header that is a program": b"\x93NUMPY\1\0\x10\0__import__('os')",
    "nothing": b"",
}


@pytest.mark.parametrize("data", LIES.values(), ids=LIES)
def test_an_array_whose_header_lies_is_refused(tmp_path, data):
    path = write(tmp_path / "a.npz", [("a.npy", data)])
    with within(20), pytest.raises(ValueError) as caught:
        read_arrays(path)
    assert type(caught.value) is ValueError and len(str(caught.value)) <= 250


@pytest.mark.parametrize(
    "members, words",
    [
        ([("a.npy", npy(np.zeros(1))), ("a.npy", npy(np.ones(1)))], "two members of one name"),
        ([("readme.txt", b"hello")], "'readme.txt' in it is no array"),
        ([("a" * 5000 + ".txt", b"hello")], "in it is no array"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_members_that_are_no_arrays_or_doubled_are_refused(tmp_path, members, words):
    with pytest.raises(ValueError, match=words) as caught:
        read_arrays(write(tmp_path / "a.npz", members))
    assert len(str(caught.value)) < 200


def test_a_flipped_bit_anywhere_is_noticed_or_harmless(tmp_path):
    path = tmp_path / "a.npz"
    save_arrays(path, {"a": np.arange(40, dtype=np.float32), "b": np.ones((2, 3))})
    data, wanted = path.read_bytes(), read_arrays(path)
    for position in range(0, len(data), 3):
        damaged = bytearray(data)
        damaged[position] ^= 1 << position % 8
        path.write_bytes(bytes(damaged))
        try:
            found = read_arrays(path)
        except ValueError as error:
            assert type(error) is ValueError
            continue
        for name, array in found.items():  # a name, or a date
            if name in wanted:
                np.testing.assert_array_equal(array, wanted[name])


def test_an_open_archive_may_be_compressed_within_bounds(tmp_path):
    path = write(tmp_path / "a.zip", [("x", bytes(1 << 20))], zipfile.ZIP_DEFLATED)
    with open(path, "rb") as file, open_archive(file) as archive:
        assert archive.read("x") == bytes(1 << 20)
