"""EXIF's orientation of an encoded image, read in a graph, and the view that it asks for.

The rules are those of `data.coco.orientation`, which reads without TensorFlow; what is damaged or
not there is orientation 1, and no bytes raise.
"""

from typing import NamedTuple

import tensorflow as tf

from tfmaskrcnn.ops.image_headers import KINDS

# Segments of a JPEG and chunks of the others that are looked at, 60 microseconds each. A colour
# profile may take 255.
MAX_PARTS = 1000
MAX_PIXEL_PARTS = 2**17  # of a PNG that has its EXIF behind the pixels; 1 GB of libpng's 8 kB
_WINDOW = 64  # bytes in which the next segment of a JPEG is looked for
_PREFIX = b"Exif\0\0"
_TAG = 0x0112
_BYTE, _SHORT, _LONG = 1, 3, 4
# Orientation -> the axes of [H, W, C] that are reversed, and whether H and W are then exchanged.
_TURNS = {
    1: ((), False),
    2: ((1,), False),
    3: ((0, 1), False),
    4: ((0,), False),
    5: ((), True),
    6: ((0,), True),
    7: ((0, 1), True),
    8: ((1,), True),
}


class _Walk(NamedTuple):
    """Through the segments or chunks of a file; each a scalar int64."""

    place: tf.Tensor  # of the next part
    start: tf.Tensor  # of the EXIF that was found
    end: tf.Tensor  # 0 as long as there is none
    more: tf.Tensor  # bool


def orientation_in(encoded: tf.Tensor, kind: tf.Tensor) -> tf.Tensor:
    """EXIF's orientation of a file.

    Args:
        encoded: scalar string, the file.
        kind: its index into `image_headers.KINDS`.

    Returns:
        Scalar int32, 1 to 8; 1 if there is none, or a damaged one.
    """
    data = tf.io.decode_raw(encoded, tf.uint8)
    by_kind = {"JPEG": _jpeg, "PNG": _png, "WebP": _webp}
    walks = [by_kind.get(name, _nowhere) for name in KINDS]
    branches = [lambda walk=walk: tuple(walk(data)) for walk in walks]
    return _of_block(data, _Walk(*tf.switch_case(kind, branches)))


def turned(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Stored pixels [H, W, C] as a viewer shows them, by an `orientation` of 1 to 8."""

    def turn(axes, exchanged):
        seen = tf.reverse(image, axes) if axes else image
        return tf.transpose(seen, [1, 0, 2]) if exchanged else seen

    branches = [lambda turns=turns: turn(*turns) for turns in _TURNS.values()]
    seen = tf.switch_case(orientation - 1, branches)
    return tf.ensure_shape(seen, [None, None, image.shape[2]])


def _walk(data: tf.Tensor, first, part) -> _Walk:
    """From `first` from part to part of a file, [n] uint8, until `part` says that it is enough."""
    size, nothing = tf.size(data, tf.int64), tf.constant(0, tf.int64)

    def more(walk):
        return walk.more & (walk.place < size)

    start = _Walk(tf.cast(first, tf.int64), nothing, nothing, tf.constant(True))
    limit = {"maximum_iterations": MAX_PARTS}
    return tf.while_loop(more, lambda walk: [part(data, walk)], [start], **limit)[0]


def _nowhere(data: tf.Tensor) -> _Walk:
    nothing = tf.constant(0, tf.int64)
    return _Walk(nothing, nothing, nothing, tf.constant(False))


def _jpeg(data: tf.Tensor) -> _Walk:
    return _walk(data, 2, _jpeg_segment)


def _jpeg_segment(data: tf.Tensor, walk: _Walk) -> _Walk:
    """Up to the first APP1 of EXIF, or the pixels. What is between segments is passed over."""
    window = _bytes_at(data, walk.place, _WINDOW)
    marks = (window[:-1] == 0xFF) & (window[1:] != 0) & (window[1:] != 0xFF)
    known = tf.reduce_any(marks)
    at = tf.argmax(tf.cast(marks, tf.int32))
    marker, here = window[at + 1], walk.place + at
    head = _bytes_at(data, here + 2, 8)
    length = tf.maximum(_unsigned(head, 2, True), 2)
    alone = (marker >= 0xD0) & (marker <= 0xD8)  # such have no length
    behind = here + 2 + tf.where(alone, tf.zeros_like(length), length)
    ended = known & ((marker == 0xD9) | (marker == 0xDA))  # end of image, start of a scan
    ours = known & (marker == 0xE1) & _is(head[2:], _PREFIX)
    ours &= length >= 2 + len(_PREFIX)
    onward = tf.where(known, behind, walk.place + _WINDOW - 1)
    return _further(walk, onward, ours, (here + 4, behind), ended | ours)


def _png(data: tf.Tensor) -> _Walk:
    """EXIF stands before the pixels, or else behind them."""
    name = b"eXIf"  # most files do not have it, and that is seen at once

    def behind():
        return _walk(data, _pixels_end(data, before.place), _png_chunk)

    before = _walk(data, 8, lambda *args: _png_chunk(*args, last=b"IDAT"))
    elsewhere = (before.end == 0) & tf.reduce_any(_places(data, name))
    return tf.cond(elsewhere, behind, lambda: before)


def _png_chunk(data: tf.Tensor, walk: _Walk, last: bytes = b"IEND") -> _Walk:
    """Up to the chunk `last`; of several EXIFs the last counts."""
    head, content = _bytes_at(data, walk.place, 8), walk.place + 8
    end = content + _unsigned(head, 4, True)
    ended = _is(head[4:], last) | _is(head[4:], b"IEND")
    onward = tf.where(ended, walk.place, end + 4)
    return _further(walk, onward, _is(head[4:], b"eXIf"), (content, end), ended)


def _pixels_end(data: tf.Tensor, first: tf.Tensor) -> tf.Tensor:
    """Where the row of IDAT chunks ends that begins at `first`; a file may have thousands.

    All of them jump 1, 2, 4, ... chunks ahead at once.
    """

    def jump():
        lengths = [tf.cast(tf.gather(data, chunks + i), tf.int64) for i in range(4)]
        ends = chunks + 12 + tf.add_n([part * 256**i for i, part in enumerate(lengths[::-1])])
        ahead = tf.searchsorted(chunks, ends)
        ahead = tf.minimum(ahead, tf.size(chunks) - 1)
        here = tf.range(tf.size(chunks))
        ahead = tf.where(tf.gather(chunks, ahead) == ends, ahead, here)
        for _ in range(MAX_PIXEL_PARTS.bit_length()):
            ahead = tf.gather(ahead, ahead)
        return tf.gather(ends, ahead)[tf.searchsorted(chunks, first[tf.newaxis])[0]]

    chunks = tf.where(_places(data, b"IDAT"))[:, 0] - 4
    known = _is(_bytes_at(data, first + 4, 4), b"IDAT") & (tf.size(chunks) <= MAX_PIXEL_PARTS)
    return tf.cond(known, jump, lambda: tf.size(data, tf.int64))


def _webp(data: tf.Tensor) -> _Walk:
    """Nothing, unless the header says that there is EXIF."""
    head = _bytes_at(data, 12, 9)
    extended = _is(head, b"VP8X") & (head[8] // 8 % 2 == 1)
    return _walk(data, tf.where(extended, 12, tf.size(data)), _webp_chunk)


def _webp_chunk(data: tf.Tensor, walk: _Walk) -> _Walk:
    """Up to the first EXIF."""
    head, content = _bytes_at(data, walk.place, 8), walk.place + 8
    length = _unsigned(head[4:], 4, False)
    ours = _is(head, b"EXIF")
    part = (content, content + length)
    return _further(walk, content + length + length % 2, ours, part, ours)


def _further(walk: _Walk, place, ours, part, ended) -> _Walk:
    """On to `place`, unless it `ended`; with `part` (start, end) if it is `ours`."""
    start, end = (tf.where(ours, new, old) for new, old in zip(part, (walk.start, walk.end)))
    return _Walk(place, start, end, ~ended)


def _of_block(data: tf.Tensor, walk: _Walk) -> tf.Tensor:
    """The orientation in EXIF, which is a TIFF file without pixels, in [n] uint8; scalar int32."""
    block = data[walk.start : walk.end]
    for _ in range(2):  # some programs write it twice
        twice = _is(_bytes_at(block, 0, len(_PREFIX)), _PREFIX)
        block = block[tf.where(twice, len(_PREFIX), 0) :]
    head = _bytes_at(block, 0, 8)
    big = _is(head, b"MM\0*")
    known = big | _is(head, b"II*\0")
    entries = _unsigned(head[4:], 4, big) + 2  # the first of its list of entries of 12 bytes
    count = _unsigned(_bytes_at(block, entries - 2, 2), 2, big)
    count = tf.minimum(count, tf.maximum(tf.size(block, tf.int64) - entries, 0) // 12)
    table = tf.reshape(block[entries : entries + 12 * count], [-1, 12])
    tag = tf.where(big, [0x01, 0x12], [0x12, 0x01])
    places = tf.where(tf.reduce_all(tf.cast(table[:, :2], tf.int32) == tag, axis=1))[:, 0]
    found = tf.size(places) > 0
    entry = tf.concat([tf.gather(table, places[:1]), tf.zeros([1, 12], tf.uint8)], 0)[0]
    entry = tf.cast(entry, tf.int32)
    kind, values = _unsigned(entry[2:], 2, big), _unsigned(entry[4:], 4, big)
    value = tf.where(kind == _SHORT, _unsigned(entry[8:], 2, big), 0)
    value = tf.where(kind == _BYTE, _unsigned(entry[8:], 1, big), value)
    value = tf.where(kind == _LONG, _unsigned(entry[8:], 4, big), value)
    good = known & found & (values == 1) & (value >= 1) & (value <= 8)
    return tf.cast(tf.where(good, value, 1), tf.int32)


def _bytes_at(data: tf.Tensor, place, length: int) -> tf.Tensor:
    """[length] int32 from `place` of [n] uint8, 0 beyond the end."""
    place = tf.cast(place, tf.int64)
    part = tf.cast(data[place : place + length], tf.int32)
    return tf.ensure_shape(tf.pad(part, [[0, length - tf.size(part)]]), [length])


def _places(data: tf.Tensor, name: bytes) -> tf.Tensor:
    """Whether `name` of 4 bytes stands at a byte of [n] uint8; [n - 3] bool."""
    last = tf.maximum(tf.size(data) - 3, 0)
    found = data[:last] == name[0]
    for i, byte in enumerate(name[1:], start=1):
        found &= data[i : last + i] == byte
    return found


def _is(values: tf.Tensor, wanted: bytes) -> tf.Tensor:
    """Whether [n] int32 begin with the bytes `wanted`; scalar bool."""
    return tf.reduce_all(values[: len(wanted)] == tf.constant(list(wanted)))


def _unsigned(values: tf.Tensor, length: int, big_endian) -> tf.Tensor:
    """The whole number in the first `length` of [n] int32 bytes; scalar int64."""
    powers = tf.constant([256**i for i in range(length)], tf.int64)
    powers = tf.where(big_endian, powers[::-1], powers)
    return tf.reduce_sum(tf.cast(values[:length], tf.int64) * powers)
