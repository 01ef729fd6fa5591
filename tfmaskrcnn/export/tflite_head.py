"""What is put before a TFLite file so that it holds another text as metadata.

A TFLite file is a FlatBuffer: tables whose fields are offsets forward, so what is put before a file
can refer to all of it, and nothing in it moves, nor loses its alignment.
"""

import struct
from typing import Dict, Sequence

_ALIGNED = 16  # bytes: TFLite's kernels want constants at multiples of it
_METADATA, _BUFFERS = 6, 4  # fields of TFLite's root table
_FIELDS = 8  # that a root table may have: version, operations, graphs, ..., signatures


def tflite_head(content: bytes, name: str, text: str) -> bytes:
    """What stands before a TFLite file's `content` for it to have `text` as metadata `name`.

    It is a new root table whose entries lie in the old file, but for the lists of buffers and of
    metadata, which are the old ones with an entry more each.
    """
    places = _root_places(content)
    buffers, metadata = (_entries(content, places.get(n, 0)) for n in (_BUFFERS, _METADATA))
    head = _Head(name.encode(), text.encode(), len(buffers), len(metadata))
    for at, place in zip(head.old_buffers, buffers):
        head.point(at, head.size + place)
    for at, place in zip(head.old_metadata, metadata):
        head.point(at, head.size + place)
    for number, place in places.items():
        if number == 0:  # the version, a number and no offset
            head.put(head.fields[0], content[place : place + 4])
        elif number not in (_BUFFERS, _METADATA):
            head.point(head.fields[number], head.size + _target(content, place))
    head.leave_out(set(range(1, _FIELDS)) - set(places) - {_BUFFERS, _METADATA})
    return bytes(head.content)


def _root_places(content: bytes) -> Dict[int, int]:
    """Number -> place of the fields that the root table has."""
    root = _target(content, 0)
    index = root - struct.unpack_from("<i", content, root)[0]
    length = struct.unpack_from("<H", content, index)[0]
    offsets = struct.unpack_from(f"<{(length - 4) // 2}H", content, index + 4)
    return {number: root + offset for number, offset in enumerate(offsets) if offset}


def _target(content: bytes, place: int) -> int:
    return place + struct.unpack_from("<I", content, place)[0]


def _entries(content: bytes, place: int) -> Sequence[int]:
    """Where the tables of a list are, whose offset is at `place`; none if that is 0."""
    if not place:
        return ()
    start = _target(content, place)
    count = struct.unpack_from("<I", content, start)[0]
    return [_target(content, start + 4 + 4 * i) for i in range(count)]


class _Head:
    """The new beginning of a TFLite file: every part has its place, offsets point forward."""

    def __init__(self, name: bytes, text: bytes, buffers: int, metadata: int):
        self.content = bytearray(b"\0\0\0\0TFL3")
        table = self._index(_FIELDS)
        root = self._room(4 + 4 * _FIELDS)
        self.fields = [root + 4 + 4 * i for i in range(_FIELDS)]
        self._index_place = table
        self._begin_table(root, table)
        self.point(0, root)
        self.old_buffers, new_buffer = self._list(self.fields[_BUFFERS], buffers)
        self.old_metadata, new_metadata = self._list(self.fields[_METADATA], metadata)
        pair = self._index(2)
        own = self._room(12)  # Metadata: its name and the number of its buffer
        self._begin_table(own, pair)
        self.point(new_metadata, own)
        self.put(own + 8, struct.pack("<I", buffers))
        self._bytes(own + 4, name)
        single = self._index(1)
        held = self._room(8)  # Buffer: its bytes
        self._begin_table(held, single)
        self.point(new_buffer, held)
        self._bytes(held + 4, text)
        self._room(-len(self.content) % _ALIGNED)
        self.size = len(self.content)

    def put(self, place: int, value: bytes) -> None:
        self.content[place : place + len(value)] = value

    def point(self, place: int, target: int) -> None:
        self.put(place, struct.pack("<I", target - place))

    def leave_out(self, numbers) -> None:
        """Fields that the old root has not."""
        for number in numbers:
            self.put(self._index_place + 4 + 2 * number, b"\0\0")

    def _room(self, size: int) -> int:
        place = len(self.content)
        self.content += bytes(size)
        return place

    def _index(self, count: int) -> int:
        """The list of where a table of `count` fields of 4 bytes has each ("vtable")."""
        offsets = [4 + 4 * i for i in range(count)]
        self._room(-len(self.content) % 4 + 4 + 2 * count)
        place = len(self.content) - 4 - 2 * count
        self.put(place, struct.pack(f"<{2 + count}H", 4 + 2 * count, 4 + 4 * count, *offsets))
        self._room(-len(self.content) % 4)
        return place

    def _begin_table(self, place: int, index: int) -> None:
        self.put(place, struct.pack("<i", place - index))

    def _list(self, field: int, old: int):
        """Where the offsets of `old` entries and of the new one are, of a list in `field`."""
        start = self._room(4 + 4 * (old + 1))
        self.point(field, start)
        self.put(start, struct.pack("<I", old + 1))
        places = [start + 4 + 4 * i for i in range(old + 1)]
        return places[:-1], places[-1]

    def _bytes(self, field: int, value: bytes) -> None:
        self._room(-(len(self.content) + 4) % _ALIGNED)
        start = self._room(4)
        self.point(field, start)
        self.put(start, struct.pack("<I", len(value)))
        # A zero behind it, as texts have, and up to the next multiple of 4.
        self.content += value + bytes(4 - len(value) % 4)
