"""Reads PyTorch's weight files with NumPy alone, without running what a pickle asks for.

What a file asks for in memory is at most some times its size: no storage is read twice, and views
that repeat the numbers of a storage (of stride 0, or many of one storage) are counted first.
"""

import io
import math
import os
import re
import zipfile
from typing import Any, BinaryIO, Callable, Dict, List, NamedTuple, Tuple

import numpy as np

from tfmaskrcnn.checkpoints.pickle_reader import Budget, ForbiddenName, read_pickle
from tfmaskrcnn.checkpoints.tensor_pickle import (
    BFLOAT16,
    Array,
    Storage,
    Tensor,
    tensor_rules,
)
from tfmaskrcnn.errors import InputError, quoted
from tfmaskrcnn.support.archives import ROOM, SMALL, open_archive
from tfmaskrcnn.support.files import open_regular

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C  # opens a file of PyTorch before 1.6
# Keys that training scripts keep the weights under, beside their optimizer.
_WRAPPERS = ("model", "state_dict", "model_state_dict")
# What DataParallel, torch.compile and Lightning put before all names.
_PREFIXES = re.compile(r"((module|_orig_mod|model)\.)*")


def read_torch(path: str) -> Dict[str, np.ndarray]:
    """The tensors of a PyTorch state dict by name, in the file's order and PyTorch's axis order.

    Reads `.pth` files of the zip kind (PyTorch 1.6 and later) and of the older kind, and plain
    pickles of NumPy arrays (`.pkl` of Detectron2). A state dict under "model" or "state_dict" is
    unwrapped, and so are names that all begin with "module." or the like; entries that are no
    tensors are left out; bfloat16 becomes float32.

    Raises:
        InputError: the file is missing, damaged, something else, names anything but tensors, or
            asks for far more memory than it has bytes.
    """
    path = os.fspath(path)
    try:
        with open_regular(path) as file:
            tensors = _tensors(_contents(file))
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"There is no checkpoint file {path}.") from None
    except ForbiddenName as error:
        raise InputError(
            f"{path} asks to load {error}, which no weights need; it was not run. Save the model's "
            "state_dict() alone."
        ) from None
    except Exception as error:  # a broken pickle can raise anything
        reason = " ".join(str(error).split()) or type(error).__name__
        reason = reason.encode("utf-8", "backslashreplace").decode()[:200]
        raise InputError(
            f"{path} is damaged or is no PyTorch weights file: {reason.rstrip('.')}."
        ) from None
    if not tensors:
        raise InputError(f"{path} holds no tensors; a state_dict of a model is wanted.")
    prefix = _PREFIXES.match(next(iter(tensors))).group()
    if not all(name.startswith(prefix) for name in tensors):
        return tensors
    return {name[len(prefix) :]: tensor for name, tensor in tensors.items()}


class _Contents(NamedTuple):
    """What a file holds."""

    value: Any  # of its pickle
    read: Callable[[Storage], bytes]  # the bytes of a storage
    order: str  # of these, "<" or ">"
    budget: Budget  # bytes that the tensors may have


def _contents(file: BinaryIO) -> _Contents:
    size = os.fstat(file.fileno()).st_size
    budget = Budget(ROOM * size + SMALL)
    if zipfile.is_zipfile(file):
        return _zip_contents(file, budget)
    file.seek(0)
    return _stream_contents(_Stream(file, size), budget)


def _zip_contents(file: BinaryIO, budget: Budget) -> _Contents:
    archive = open_archive(file)
    names = archive.namelist()
    index = next((name for name in names if name.split("/", 1)[-1] == "data.pkl"), None)
    if index is None:
        raise ValueError("a zip archive without data.pkl")
    folder, order = index[: -len("data.pkl")], "<"
    if f"{folder}byteorder" in names:
        order = ">" if archive.read(f"{folder}byteorder").strip() == b"big" else "<"
    rules, _ = tensor_rules(budget)
    value = read_pickle(io.BytesIO(archive.read(index)), rules)

    def read(storage: Storage) -> bytes:
        return archive.read(f"{folder}data/{storage.key}")

    return _Contents(value, read, order, budget)


def _stream_contents(stream: "_Stream", budget: Budget) -> _Contents:
    """Of the older kind of file, and of a plain pickle (no storages)."""
    rules, storages = tensor_rules(budget)
    value = read_pickle(stream, rules)
    if not isinstance(value, int):
        return _Contents(value, _no_storage, "<", budget)
    if value != _LEGACY_MAGIC:
        raise ValueError("an unknown first number")
    read_pickle(stream, rules)  # the protocol's version
    system = read_pickle(stream, rules)
    order = "<" if system.get("little_endian", True) else ">"
    value = read_pickle(stream, rules)
    keys, places = read_pickle(stream, rules), {}
    if not isinstance(keys, list):
        raise ValueError("no list of storages")
    for key in map(_storage_key, keys):  # each: its length as int64, then the numbers
        length = int(np.frombuffer(stream.read(8), f"{order}i8")[0])
        if key not in storages or storages[key].length != length or key in places:
            raise ValueError(f"storage {quoted(key)} is not the one that was announced")
        places[key] = stream.skip(storages[key].size)
    return _Contents(
        value, lambda storage: stream.at(places[storage.key], storage.size), *(order, budget)
    )


class _Stream:
    """A file that reads no further than its end, and reserves no memory for more."""

    def __init__(self, file: BinaryIO, size: int):
        self._file, self._size = file, size
        self.readline = file.readline

    def read(self, size: int) -> bytes:
        return self._file.read(min(size, self._size - self._file.tell()))

    def skip(self, size: int) -> int:
        """Go on by `size` bytes; where they begin."""
        place = self._file.tell()
        if place + size > self._size:
            raise ValueError("the file ends within its numbers")
        self._file.seek(place + size)
        return place

    def at(self, place: int, size: int) -> bytes:
        self._file.seek(place)
        return self.read(size)


def _no_storage(storage: Storage) -> bytes:
    raise ValueError("a tensor without numbers")


def _storage_key(key: Any) -> str:
    if not isinstance(key, (str, int)):
        raise ValueError("a storage without a name")
    return str(key)


def _tensors(contents: _Contents) -> Dict[str, np.ndarray]:
    """The arrays of the state dict by name, each storage read once."""
    found = {
        str(name): value
        for name, value in _state_dict(contents.value).items()
        if isinstance(name, (str, int)) and isinstance(value, (Tensor, Array))
    }
    arrays = {n: value.array for n, value in found.items() if isinstance(value, Array)}
    views: Dict[Storage, List[Tuple[str, Tensor]]] = {}
    for name, value in found.items():
        if isinstance(value, Tensor):
            views.setdefault(value.storage, []).append((name, value))
            itemsize = max(4, value.storage.size // max(1, value.storage.length))
            contents.budget.spend(math.prod(value.shape) * itemsize)
    for storage, tensors in views.items():
        numbers = _numbers(contents.read(storage), storage, contents.order)
        arrays.update((name, _view(numbers, tensor)) for name, tensor in tensors)
    if any(array is None for array in arrays.values()):
        raise ValueError("an array without numbers")
    return {name: arrays[name] for name in found}


def _state_dict(contents: Any) -> Dict[Any, Any]:
    if not isinstance(contents, dict):
        raise ValueError(f"it holds a {type(contents).__name__}, not a dictionary")
    for key in _WRAPPERS:
        if isinstance(contents.get(key), dict):
            return contents[key]
    return contents


def _view(numbers: np.ndarray, tensor: Tensor) -> np.ndarray:
    """A copy of a part of a storage."""
    _, offset, shape, strides = tensor
    # A wrong view would read memory outside of the storage.
    last = offset + sum((side - 1) * stride for side, stride in zip(shape, strides))
    size = math.prod(shape)
    if size and (last >= len(numbers) or size > len(numbers)):
        raise ValueError(f"a tensor of shape {shape} in a storage of {len(numbers)} numbers")
    if not size:
        return np.zeros(shape, numbers.dtype)
    step = numbers.itemsize
    view = np.lib.stride_tricks.as_strided(numbers[offset:], shape, [step * s for s in strides])
    return view.copy()


def _numbers(raw: bytes, storage: Storage, order: str) -> np.ndarray:
    if len(raw) != storage.size:
        raise ValueError(
            f"storage {quoted(storage.key)} has {len(raw)} bytes of {quoted(storage.size)}"
        )
    if storage.dtype == BFLOAT16:
        upper = np.frombuffer(raw, f"{order}u2").astype(np.uint32)
        return (upper << 16).view(np.float32)
    if storage.dtype == "?":
        return np.frombuffer(raw, np.uint8) != 0
    numbers = np.frombuffer(raw, f"{order}{storage.dtype}")
    return numbers.astype(numbers.dtype.newbyteorder("="))
