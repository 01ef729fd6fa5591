"""Reads PyTorch's weight files with NumPy alone and without running what a pickle asks for.

A `.pth` file is a pickle that names classes and functions to call; loaded as such it may run any
program. Here the handful of names that tensors need stand for harmless stand-ins and every other
name is an error.
"""

import collections
import math
import os
import pickle
import re
import zipfile
from typing import Any, BinaryIO, Callable, Dict, List, NamedTuple, Optional, Tuple

import numpy as np

from tfmaskrcnn.errors import InputError

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C  # opens a file of PyTorch before 1.6
_BFLOAT16 = "bfloat16"  # no type of NumPy's: the upper half of a float32
_STORAGES = {
    "DoubleStorage": "f8",
    "FloatStorage": "f4",
    "HalfStorage": "f2",
    "BFloat16Storage": _BFLOAT16,
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ShortStorage": "i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}
_NUMPY_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray")  # before and since NumPy 2
# Keys that training scripts keep the weights under, beside their optimizer.
_WRAPPERS = ("model", "state_dict", "model_state_dict")
# What they keep there besides: their arguments and the milestones of a schedule.
_IGNORED = (("argparse", "Namespace"), ("collections", "Counter"))
# What DataParallel, torch.compile and Lightning put before all names.
_PREFIXES = re.compile(r"((module|_orig_mod|model)\.)*")


def read_torch(path: str) -> Dict[str, np.ndarray]:
    """The tensors of a PyTorch state dict by name, in the file's order and PyTorch's axis order.

    Reads `.pth` files of the zip kind (PyTorch 1.6 and later) and of the older kind, and plain
    pickles of NumPy arrays (`.pkl` of Detectron2). A state dict under "model" or "state_dict" is
    unwrapped, and so are names that all begin with "module." or the like; entries that are no
    tensors are left out; bfloat16 becomes float32.

    Raises:
        InputError: the file is missing, damaged, something else, or names anything but tensors.
    """
    path = os.fspath(path)
    try:
        with open(path, "rb") as file:
            contents, find = _read_zip(file) if zipfile.is_zipfile(file) else _read_stream(file)
            tensors = {
                str(name): _array(value, find)
                for name, value in _state_dict(contents).items()
                if isinstance(value, (_Tensor, _Array))
            }
    except FileNotFoundError:
        raise InputError(f"There is no checkpoint file {path}.") from None
    except _ForbiddenName as error:
        raise InputError(
            f"{path} asks to load {error}, which no weights need; it was not run. Save the model's "
            "state_dict() alone."
        ) from None
    except Exception as error:  # a broken pickle can raise anything
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"{path} is damaged or is no PyTorch weights file: {reason.rstrip('.')}."
        ) from None
    if not tensors:
        raise InputError(f"{path} holds no tensors; a state_dict of a model is wanted.")
    prefix = _PREFIXES.match(next(iter(tensors))).group()
    if not all(name.startswith(prefix) for name in tensors):
        return tensors
    return {name[len(prefix) :]: tensor for name, tensor in tensors.items()}


class _ForbiddenName(Exception):
    """A pickle names something outside the list."""


class _Storage(NamedTuple):
    """A run of numbers that tensors are views of; the numbers stand elsewhere in the file."""

    dtype: str
    key: str
    length: int


class _Tensor(NamedTuple):
    """A view of a storage, in elements."""

    storage: _Storage
    offset: int
    shape: Tuple[int, ...]
    strides: Tuple[int, ...]


class _DType:
    """Stands for `numpy.dtype` in a pickle."""

    def __init__(self, code, *_):
        self.code, self.order = str(code), "<"

    def __setstate__(self, state):
        self.order = str(state[1])


class _Array:
    """Stands for `numpy.ndarray` in a pickle."""

    def __init__(self, *_):
        self.array = None

    def __setstate__(self, state):
        _, shape, dtype, fortran, raw = state
        kind = np.dtype(dtype.code)
        if kind.kind not in "fiub":
            raise ValueError(f"an array of type {dtype.code}")
        kind = kind.newbyteorder(dtype.order if dtype.order in "<>" else "=")
        raw = raw.encode("latin1") if isinstance(raw, str) else raw
        self.array = np.frombuffer(raw, kind).reshape(shape, order="F" if fortran else "C").copy()


class _Ignored:
    """Stands for an object without weights, and holds nothing of it."""

    def __init__(self, *_):
        pass

    def __setstate__(self, _):
        pass


class _Unpickler(pickle.Unpickler):
    """An unpickler that knows tensors, arrays and ordered dictionaries, and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        """The stand-in for a name, made anew so that a pickle can change nothing that lasts."""
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        if module == "torch._utils":
            if name in ("_rebuild_tensor", "_rebuild_tensor_v2"):
                return lambda storage, offset, shape, strides, *_: _Tensor(
                    storage, offset, tuple(shape), tuple(strides)
                )
            if name in ("_rebuild_parameter", "_rebuild_parameter_with_state"):
                return lambda tensor, *_: tensor
        if (module, name) == ("torch", "Size"):
            return lambda sizes: tuple(sizes)
        if name == "_reconstruct" and module in _NUMPY_MODULES:
            return lambda *_: _Array()
        if (module, name) == ("numpy", "ndarray"):
            return "ndarray"
        if (module, name) == ("numpy", "dtype"):
            return lambda *arguments: _DType(*arguments)
        if (module, name) == ("_codecs", "encode"):
            return lambda text, _: text.encode("latin1")  # how Python 3 writes bytes for Python 2
        if (module, name) in _IGNORED:
            return _Ignored
        raise _ForbiddenName(f"{module}.{name}")

    def persistent_load(self, identifier: Any) -> _Storage:
        """The storage that ("storage", type, key, device, length, view) names."""
        kind, dtype, key, _, length = identifier[:5]
        if kind != "storage" or dtype not in _STORAGES.values():
            raise ValueError(f"unknown reference {identifier!r}")
        if len(identifier) > 5 and identifier[5] is not None:
            raise ValueError("storages that are views of others are not supported")
        return _Storage(dtype, str(key), int(length))


_Find = Callable[[_Storage], np.ndarray]


def _read_zip(file: BinaryIO) -> Tuple[Any, _Find]:
    """The unpickled contents, and a function that reads a storage from the archive."""
    archive = zipfile.ZipFile(file)
    names = archive.namelist()
    index = next((name for name in names if name.split("/", 1)[-1] == "data.pkl"), None)
    if index is None:
        raise ValueError("a zip archive without data.pkl")
    folder = index[: -len("data.pkl")]
    order = "<"
    if f"{folder}byteorder" in names:
        order = ">" if archive.read(f"{folder}byteorder").strip() == b"big" else "<"
    with archive.open(index) as stream:
        contents = _Unpickler(stream).load()

    def find(storage: _Storage) -> np.ndarray:
        return _numbers(archive.read(f"{folder}data/{storage.key}"), storage, order)

    return contents, find


def _read_stream(file: BinaryIO) -> Tuple[Any, Optional[_Find]]:
    """Like `_read_zip` for the older kind of file, and for a plain pickle (no storages)."""
    file.seek(0)
    contents = _Unpickler(file, encoding="latin1").load()
    if not isinstance(contents, int):
        return contents, None
    if contents != _LEGACY_MAGIC:
        raise ValueError("an unknown first number")
    _Unpickler(file).load()  # the protocol's version
    system = _Unpickler(file).load()
    order = "<" if system.get("little_endian", True) else ">"
    contents = _Unpickler(file, encoding="latin1").load()
    keys: List[str] = _Unpickler(file).load()
    lengths = {t.storage.key: t.storage for t in _all_tensors(contents)}
    raw = {}
    for key in map(str, keys):  # each: its length as int64, then the numbers
        length = int(np.frombuffer(file.read(8), f"{order}i8")[0])
        if key not in lengths or lengths[key].length != length:
            raise ValueError(f"storage {key} is not the one that was announced")
        raw[key] = file.read(length * _item_size(lengths[key].dtype))
    return contents, lambda storage: _numbers(raw[storage.key], storage, order)


def _all_tensors(value: Any) -> List[_Tensor]:
    if isinstance(value, _Tensor):
        return [value]
    items = value.values() if isinstance(value, dict) else value
    if not isinstance(value, (dict, list, tuple)):
        return []
    return [tensor for item in items for tensor in _all_tensors(item)]


def _state_dict(contents: Any) -> Dict[Any, Any]:
    if not isinstance(contents, dict):
        raise ValueError(f"it holds a {type(contents).__name__}, not a dictionary")
    for key in _WRAPPERS:
        if isinstance(contents.get(key), dict):
            return contents[key]
    return contents


def _array(value: Any, find: Optional[_Find]) -> np.ndarray:
    if isinstance(value, _Array):
        return value.array
    storage, offset, shape, strides = value
    numbers = find(storage)
    # A wrong view would read memory outside of the storage, or blow a small file up.
    last = offset + sum((side - 1) * stride for side, stride in zip(shape, strides))
    if len(shape) != len(strides) or min((offset, *shape, *strides)) < 0:
        raise ValueError(f"a tensor of shape {shape}, strides {strides}, offset {offset}")
    size = math.prod(shape)
    if size and (last >= len(numbers) or size > len(numbers)):
        raise ValueError(f"a tensor of shape {shape} in a storage of {len(numbers)} numbers")
    if not size:
        return np.zeros(shape, numbers.dtype)
    step = numbers.itemsize
    view = np.lib.stride_tricks.as_strided(numbers[offset:], shape, [step * s for s in strides])
    return view.copy()


def _numbers(raw: bytes, storage: _Storage, order: str) -> np.ndarray:
    wanted = storage.length * _item_size(storage.dtype)
    if len(raw) != wanted:
        raise ValueError(f"storage {storage.key} has {len(raw)} bytes of {wanted}")
    if storage.dtype == _BFLOAT16:
        upper = np.frombuffer(raw, f"{order}u2").astype(np.uint32)
        return (upper << 16).view(np.float32)
    numbers = np.frombuffer(raw, f"{order}{storage.dtype}" if storage.dtype != "?" else "?")
    return numbers.astype(numbers.dtype.newbyteorder("="))


def _item_size(dtype: str) -> int:
    return 2 if dtype == _BFLOAT16 else np.dtype(dtype).itemsize
