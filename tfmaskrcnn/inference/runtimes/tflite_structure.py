"""Whether a file has the structure of a TFLite model, before the interpreter follows it.

TensorFlow's interpreter maps the file into memory and follows every offset in it without a look at
where it leads: one that is cut off ends the process. Here each offset of the format's schema (a
FlatBuffer) is followed once with a look, and each index into a list is compared with its length.
What the numbers of an operation mean stays the interpreter's business.
"""

import math
import os
import struct
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

from tfmaskrcnn.errors import InputError
from tfmaskrcnn.support.files import open_regular

_IDENTIFIER = b"TFL3"
_MAX_ELEMENTS = 1 << 31  # of one tensor
# The fields of each table that hold offsets, by number: "Name" a table, "[Name]" a list of tables,
# "[n]" a list of numbers of n bytes; "" is a table of which nothing is known.
_TABLES: Dict[str, Dict[int, str]] = {
    "Model": {
        **{1: "[OperatorCode]", 2: "[SubGraph]", 3: "[1]", 4: "[Buffer]", 5: "[4]"},
        **{6: "[Metadata]", 7: "[SignatureDef]"},
    },
    "OperatorCode": {1: "[1]"},
    "SubGraph": {0: "[Tensor]", 1: "[4]", 2: "[4]", 3: "[Operator]", 4: "[1]"},
    "Tensor": {0: "[4]", 3: "[1]", 4: "Quantization", 7: "[4]"},
    "Quantization": {0: "[4]", 1: "[4]", 2: "[4]", 3: "[8]", 5: ""},
    "Operator": {1: "[4]", 2: "[4]", 4: "", 5: "[1]", 7: "[1]", 8: "[4]", 12: ""},
    "Buffer": {0: "[1]"},
    "Metadata": {0: "[1]"},
    "SignatureDef": {0: "[TensorMap]", 1: "[TensorMap]", 2: "[1]"},
    "TensorMap": {0: "[1]"},
    "": {},
}


class _Broken(Exception):
    """An offset or index leads out of the file."""


class _Table(NamedTuple):
    """Where a table is, and where its fields are."""

    place: int
    fields: Tuple[int, ...]  # offsets from `place`; 0 of one that is left out


def check_tflite(path: str) -> None:
    """Refuse what is no TFLite model, or one that is cut off or damaged in its structure.

    Raises:
        InputError: it is; or it cannot be read.
    """
    _of_file(path, _Model.check)


def metadata_of(path: str, name: str) -> Optional[bytes]:
    """What a TFLite file holds as metadata of this name; None if there are none.

    Raises: see `check_tflite`.
    """
    return _of_file(path, lambda model: model.metadata(name.encode()))


def _of_file(path: str, use: Callable[["_Model"], Any]):
    """`use` of the file's content."""
    try:
        with open_regular(path) as file:
            content = file.read()
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}.") from None
    if content[4:8] != _IDENTIFIER:
        raise InputError(f"{path} is no model that TFLite can load: it does not begin as one.")
    try:
        return use(_Model(content))
    except _Broken as error:
        raise InputError(
            f"{path} is a damaged TFLite model of {os.path.getsize(path)} bytes: {error}; export "
            "it anew."
        ) from None


class _Model:
    """The content of a file."""

    def __init__(self, content: bytes):
        self._content, self._seen = content, set()  # type: bytes, Set[Tuple[int, str]]

    def check(self) -> None:
        self._walk(self._number(0, "<I"), "Model")
        root = self._table(self._number(0, "<I"))
        buffers, codes = (self._length(root, field) for field in (4, 1))
        graphs = self._tables(root, 2)
        counts = [self._length(graph, 0) for graph in graphs]
        if not graphs:
            raise _Broken("it has no graph")
        for graph, count in zip(graphs, counts):
            for tensor in self._tables(graph, 0):
                self._check_tensor(tensor, buffers)
            for operator in self._tables(graph, 3):
                self._check_index(self._scalar(operator, 0, "<I"), codes, "an operation")
                self._check_list(operator, (1, 2, 8), count)
            self._check_list(graph, (1, 2), count)
        for signature in self._tables(root, 7):
            number = self._scalar(signature, 4, "<I")
            self._check_index(number, len(graphs), "a graph")
            for field in (0, 1):
                for named in self._tables(signature, field):
                    index = self._scalar(named, 1, "<I")
                    self._check_index(index, counts[number], "a tensor")

    def metadata(self, name: bytes) -> Optional[bytes]:
        root = self._table(self._number(0, "<I"))
        buffers = self._tables(root, 4)
        for entry in self._tables(root, 6):
            if self._bytes(entry, 0) == name:
                index = self._scalar(entry, 1, "<I")
                self._check_index(index, len(buffers), "a buffer")
                return self._bytes(buffers[index], 0)
        return None

    def _bytes(self, table: _Table, number: int) -> bytes:
        place, count = self._list(table, number, 1)
        return self._content[place : place + count]

    def _check_tensor(self, tensor: _Table, buffers: int) -> None:
        self._check_index(self._scalar(tensor, 2, "<I"), buffers, "a buffer")
        if math.prod(max(side, 1) for side in self._numbers(tensor, 0)) > _MAX_ELEMENTS:
            raise _Broken(f"it has a tensor of more than {_MAX_ELEMENTS} numbers")

    def _check_list(self, table: _Table, fields, count: int) -> None:
        for field in fields:
            for index in self._numbers(table, field):
                if index != -1:  # an input that is left out
                    self._check_index(index, count, "a tensor")

    @staticmethod
    def _check_index(index: int, count: int, what: str) -> None:
        if not 0 <= index < count:
            raise _Broken(f"it asks for {what} of number {index} of {count}")

    def _number(self, place: int, form: str) -> int:
        if place < 0 or place + struct.calcsize(form) > len(self._content):
            raise _Broken("it ends too early")
        return struct.unpack_from(form, self._content, place)[0]

    def _table(self, place: int) -> _Table:
        index = place - self._number(place, "<i")
        length, size = self._number(index, "<H"), self._number(index + 2, "<H")
        if length < 4 or length % 2 or size < 4 or place + size > len(self._content):
            raise _Broken("a table in it has no end")
        fields = tuple(self._number(index + at, "<H") for at in range(4, length, 2))
        if any(field and not 4 <= field < size for field in fields):
            raise _Broken("a field in it is outside of its table")
        return _Table(place, fields)

    def _field(self, table: _Table, number: int) -> int:
        """Where a field is; 0 if it is left out."""
        offset = table.fields[number] if number < len(table.fields) else 0
        return table.place + offset if offset else 0

    def _scalar(self, table: _Table, number: int, form: str) -> int:
        place = self._field(table, number)
        return self._number(place, form) if place else 0

    def _target(self, place: int) -> int:
        return place + self._number(place, "<I")

    def _list(self, table: _Table, number: int, width: int) -> Tuple[int, int]:
        """Where the entries of a list begin, and their number."""
        place = self._field(table, number)
        if not place:
            return 0, 0
        place = self._target(place)
        count = self._number(place, "<I")
        if place + 4 + count * width > len(self._content):
            raise _Broken("a list in it goes on behind its end")
        return place + 4, count

    def _length(self, table: _Table, number: int) -> int:
        return self._list(table, number, 4)[1]

    def _numbers(self, table: _Table, number: int) -> Tuple[int, ...]:
        place, count = self._list(table, number, 4)
        return struct.unpack_from(f"<{count}i", self._content, place)

    def _tables(self, table: _Table, number: int) -> List[_Table]:
        place, count = self._list(table, number, 4)
        return [self._table(self._target(place + 4 * i)) for i in range(count)]

    def _walk(self, place: int, kind: str) -> None:
        """Follow all offsets of a table of this kind, once."""
        if (place, kind) in self._seen:
            return
        self._seen.add((place, kind))
        table = self._table(place)
        for number, what in _TABLES[kind].items():
            at = self._field(table, number)
            if not at:
                continue
            name = what.strip("[]")
            if what == name:
                self._walk(self._target(at), name)
            elif name.isdigit():
                self._list(table, number, int(name))
            else:
                start, count = self._list(table, number, 4)
                for i in range(count):
                    self._walk(self._target(start + 4 * i), name)
