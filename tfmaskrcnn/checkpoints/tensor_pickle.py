"""What the pickles of PyTorch and NumPy may name, and what harmless things are made of it.

A `.pth` file is a pickle that names classes and functions to call; loaded as such it may run any
program. Here the handful of names that tensors need stand for the few lines below, and every other
name is an error.
"""

import math
import re
from typing import Any, Callable, Dict, NamedTuple, Tuple

import numpy as np

from tfmaskrcnn.checkpoints.pickle_reader import Budget, Rules, as_key, forbidden
from tfmaskrcnn.errors import quoted

BFLOAT16 = "bfloat16"  # no type of NumPy's: the upper half of a float32
_STORAGES = {
    "DoubleStorage": "f8",
    "FloatStorage": "f4",
    "HalfStorage": "f2",
    "BFloat16Storage": BFLOAT16,
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ShortStorage": "i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}
_NUMPY_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray")  # before and since NumPy 2
# What training scripts keep besides weights: their arguments and the milestones of a schedule.
_IGNORED = (("argparse", "Namespace"), ("collections", "Counter"))
_TYPE = re.compile(r"[<>=|]?(f[248]|[iu][1248]|b1|\?)")  # of NumPy's numbers
_ENTRY_BYTES = 128  # of a dictionary, about
_MAX_AXES = 32  # NumPy's own limit for long


class Storage(NamedTuple):
    """A run of numbers that tensors are views of; the numbers stand elsewhere in the file."""

    dtype: str
    key: str
    length: int

    @property
    def size(self) -> int:
        """Its bytes."""
        return self.length * (2 if self.dtype == BFLOAT16 else np.dtype(self.dtype).itemsize)


class Tensor(NamedTuple):
    """A view of a storage, in elements."""

    storage: Storage
    offset: int
    shape: Tuple[int, ...]
    strides: Tuple[int, ...]


class Array:
    """Stands for `numpy.ndarray`, whose numbers stand in the pickle."""

    def __init__(self):
        """Without numbers; a pickle gives them later."""
        self.array = None


class _Name(NamedTuple):
    """A function of the list below, or a class that one of them wants."""

    module: str
    name: str


class _DType:
    """Stands for `numpy.dtype`."""

    def __init__(self, code):
        if not isinstance(code, str) or not _TYPE.fullmatch(code):
            raise ValueError("an array of another type than numbers")
        self.code, self.order = code, "="


class _Ignored:
    """Stands for an object without weights, and holds nothing of it."""


class _Reader:
    """The rules of one file."""

    def __init__(self, budget: Budget):
        self._budget = budget
        self.storages: Dict[str, Storage] = {}
        self._calls: Dict[Tuple[str, str], Callable] = {
            ("collections", "OrderedDict"): self._dictionary,
            ("torch._utils", "_rebuild_tensor"): _tensor,
            ("torch._utils", "_rebuild_tensor_v2"): _tensor,
            ("torch._utils", "_rebuild_parameter"): lambda tensor, *_: tensor,
            ("torch._utils", "_rebuild_parameter_with_state"): lambda tensor, *_: tensor,
            ("torch", "Size"): _sizes,
            ("numpy", "dtype"): lambda code, *_: _DType(code),
            ("numpy", "ndarray"): None,  # an argument, not to be called
            ("_codecs", "encode"): self._encoded,
            **{(module, "_reconstruct"): lambda *_: Array() for module in _NUMPY_MODULES},
            **dict.fromkeys(_IGNORED, lambda *_: _Ignored()),
        }

    def named(self, module: str, name: str) -> Any:
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        if (module, name) not in self._calls:
            raise forbidden(module, name)
        return _Name(module, name)

    def call(self, what: Any, arguments: Tuple) -> Any:
        # Only of our own class: to look up a tuple of tuples that double takes for ever.
        function = self._calls[what] if isinstance(what, _Name) else None
        if function is None:
            raise ValueError("a call of something that is no function")
        return function(*arguments)

    def build(self, value: Any, state: Any) -> None:
        if isinstance(value, _DType):
            value.order = state[1] if state[1] in ("<", ">") else "="
        elif isinstance(value, Array):
            value.array = self._numbers(state)
        elif not isinstance(value, (_Ignored, dict)):  # dictionaries: PyTorch's `_metadata`
            raise ValueError("a state of something that has none")

    def storage(self, identifier: Any) -> Storage:
        """The storage that ("storage", type, key, device, length, view) names."""
        kind, dtype, key, _, length = identifier[:5]
        if kind != "storage" or dtype not in _STORAGES.values():
            raise ValueError("an unknown reference")
        if len(identifier) > 5 and identifier[5] is not None:
            raise ValueError("storages that are views of others are not supported")
        if not isinstance(key, (str, int)) or not isinstance(length, int) or length < 0:
            raise ValueError("a storage without name or length")
        storage = Storage(dtype, str(key), length)
        if self.storages.setdefault(storage.key, storage) != storage:
            raise ValueError(f"two kinds of storage {quoted(storage.key)}")
        return storage

    def _dictionary(self, pairs=()) -> Dict[Any, Any]:
        self._budget.spend(_ENTRY_BYTES * len(pairs))
        return {as_key(key): value for key, value in pairs}

    def _encoded(self, text: str, _) -> bytes:
        """How Python 3 writes bytes for Python 2."""
        self._budget.spend(len(text))
        return text.encode("latin1")

    def _numbers(self, state: Any) -> np.ndarray:
        _, shape, dtype, fortran, raw = state
        kind = np.dtype(dtype.code).newbyteorder(dtype.order)
        shape = _sizes(shape)
        raw = raw.encode("latin1") if isinstance(raw, str) else raw
        self._budget.spend(len(raw))
        if math.prod(shape) * kind.itemsize != len(raw):
            raise ValueError(f"an array of shape {shape} in {len(raw)} bytes")
        return np.frombuffer(raw, kind).reshape(shape, order="F" if fortran else "C").copy()


def tensor_rules(budget: Budget) -> Tuple[Rules, Dict[str, Storage]]:
    """The rules of one file, and a dictionary that fills with the storages it refers to."""
    reader = _Reader(budget)
    return Rules(reader.named, reader.call, reader.build, reader.storage), reader.storages


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_) -> Tensor:
    if not isinstance(storage, Storage) or not isinstance(offset, int):
        raise ValueError("a tensor without numbers")
    shape, strides = _sizes(shape), _sizes(strides)
    if len(shape) != len(strides) or offset < 0:
        raise ValueError(f"a tensor of shape {shape}, strides {strides}, offset {quoted(offset)}")
    return Tensor(storage, offset, shape, strides)


def _sizes(values: Any) -> Tuple[int, ...]:
    """Shape or strides."""
    few = isinstance(values, (tuple, list)) and len(values) <= _MAX_AXES
    if not few or not all(type(n) is int and 0 <= n < 1 << 62 for n in values):
        raise ValueError("a tensor whose shape or strides are no numbers from 0 on")
    return tuple(values)
