"""The texts in an ONNX file's `metadata_props`, without a runtime and without reading the weights.

An ONNX file is a protocol buffer: fields one after another, each with its number, the kind of its
value and, for all that is long, its length. Only the outermost fields are walked through.
"""

import os
from typing import BinaryIO, Dict, Tuple

from tfmaskrcnn.errors import InputError
from tfmaskrcnn.support.files import open_regular

_GRAPH = 7  # ModelProto.graph: the network
_METADATA = 14  # ModelProto.metadata_props, a StringStringEntryProto each: 1 is the key, 2 its text
_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5  # kinds of values
_MOST = 1 << 24  # bytes of an entry


class _Broken(Exception):
    """The file is no protocol buffer, or ends too early."""


def metadata_of(path: str) -> Dict[str, str]:
    """Key -> text; of a key that is there twice the last one, as protocol buffers have it.

    Raises:
        InputError: it cannot be read, is cut off or no ONNX file.
    """
    try:
        with open_regular(path) as file:
            return dict(_entries(file, os.fstat(file.fileno()).st_size))
    except _Broken as error:
        raise InputError(f"{path} is damaged or no ONNX model: {error}.") from None
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}.") from None


def entry(key: str, text: str) -> bytes:
    """What has to stand behind an ONNX file for it to say `text` under `key`."""
    parts = [_field(number, part.encode()) for number, part in ((1, key), (2, text))]
    return _field(_METADATA, b"".join(parts))


def _entries(file: BinaryIO, size: int):
    has_graph = False
    while file.tell() < size:
        number, kind = divmod(_varint(file), 8)
        has_graph = has_graph or number == _GRAPH
        if kind == _LENGTH:
            length = _varint(file)
            end = file.tell() + length
            if end > size:
                raise _Broken("it ends too early")
            if number == _METADATA and length <= _MOST:
                yield _pair(file, end)
            file.seek(end)
        elif kind == _VARINT:
            _varint(file)
        elif kind in (_EIGHT_BYTES, _FOUR_BYTES):
            file.seek(8 if kind == _EIGHT_BYTES else 4, os.SEEK_CUR)
        else:
            raise _Broken("it does not begin as one")
    if not has_graph:
        raise _Broken("it holds no network")


def _pair(file: BinaryIO, end: int) -> Tuple[str, str]:
    texts = {1: "", 2: ""}
    while file.tell() < end:
        number, kind = divmod(_varint(file), 8)
        length = _varint(file)
        if kind != _LENGTH or file.tell() + length > end:
            raise _Broken("its metadata are no texts")
        texts[number] = file.read(length).decode("utf-8", errors="replace")
    return texts[1], texts[2]


def _varint(file: BinaryIO) -> int:
    """A whole number, 7 bits a byte, the lowest first."""
    value = 0
    for place in range(10):
        byte = file.read(1)
        if not byte:
            raise _Broken("it ends too early")
        value |= (byte[0] & 127) << (7 * place)
        if byte[0] < 128:
            return value
    raise _Broken("it does not begin as one")


def _field(number: int, content: bytes) -> bytes:
    """A field of a length."""
    return bytes([number * 8 + _LENGTH]) + _of_number(len(content)) + content


def _of_number(value: int) -> bytes:
    """The bytes that `_varint` reads."""
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])
