"""What an encoded image says of itself, read in a graph before any of it is decoded.

Sizes are those that TensorFlow's decoders will take: where a file can state two, it is refused.
"""

from typing import Tuple

import tensorflow as tf

_MAGIC = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"BM", "BMP"),
    (b"GIF8", "GIF"),
)
WEBP = len(_MAGIC)  # its number among the kinds; one more is "none of these"
KINDS = (*(name for _, name in _MAGIC), "WebP", "")

# A scan of a progressive JPEG goes over the whole image, however few bytes it has: 0.1 s of a grey
# one of 7000 x 7000. Encoders write some ten.
MAX_JPEG_SCANS = 50
# libpng inflates each text of a PNG to 8 MB and keeps all.
MAX_PNG_TEXTS = 16
_COMPRESSED_TEXTS = (b"zTXt", b"iTXt", b"iCCP")
# Blocks before the first frame of a GIF, where encoders put two or three.
_MAX_GIF_EXTENSIONS = 100
_GIF_WINDOW = 2**16  # bytes that are looked at together
_GIF_EXTENSION, _GIF_FRAME = 0x21, 0x2C


def kind_of(encoded: tf.Tensor) -> tf.Tensor:
    """Index into `KINDS` by the first bytes; scalar int32."""
    kind = tf.constant(len(KINDS) - 1)
    for i, (magic, _) in enumerate(_MAGIC):
        kind = tf.where(has(encoded, 0, magic), i, kind)
    return tf.where(has(encoded, 0, b"RIFF") & has(encoded, 8, b"WEBP"), WEBP, kind)


def has(encoded: tf.Tensor, start: int, magic: bytes) -> tf.Tensor:
    """Whether the bytes from `start` are `magic`; scalar bool."""
    long_enough = tf.strings.length(encoded) >= start + len(magic)
    start = tf.where(long_enough, start, 0)  # `substr` raises beyond the end
    return long_enough & tf.equal(tf.strings.substr(encoded, start, len(magic)), magic)


def number(encoded: tf.Tensor, start: int, length: int, big_endian: bool = False) -> tf.Tensor:
    """The unsigned integer in `length` bytes from `start`; saturates at the largest int32."""
    values = tf.io.decode_raw(tf.strings.substr(encoded, start, length), tf.uint8)
    values = tf.cast(tf.ensure_shape(values, [length]), tf.int64)
    powers = [256**i for i in range(length)]
    total = tf.reduce_sum(values * tf.constant(powers[::-1] if big_endian else powers, tf.int64))
    return tf.cast(tf.minimum(total, tf.int32.max), tf.int32)


def declared(encoded: tf.Tensor, kind: tf.Tensor) -> Tuple[tf.Tensor, tf.Tensor]:
    """The size that will be decoded, and what else is wrong with a file of `kind`.

    Raises what TensorFlow raises for a file that ends too early.

    Returns:
        size: [2] int32 (height, width); a side below 1 is that of a damaged file.
        problem: scalar string that goes on from "Image 3 ...", empty if nothing is wrong.
    """
    of_kind = (_jpeg, _png, _bmp, _gif, _webp, lambda _: ([0, 0], ""))

    def facts(read):
        size, problem = read(encoded)
        return tf.convert_to_tensor(size, tf.int32), tf.convert_to_tensor(problem)

    return tf.switch_case(kind, [lambda read=read: facts(read) for read in of_kind])


def first_frame(encoded: tf.Tensor) -> tf.Tensor:
    """A GIF that holds the first frame of the GIF `encoded` and nothing else; scalar string.

    TensorFlow decompresses all frames, and what it takes for a frame depends on how it reads what
    lies between them.
    """
    data = _bytes(encoded)
    start = _gif_frame_start(data)
    codes = start + 10 + _palette_bytes(_at(data, start + 9))  # one byte, then the parts
    end = _gif_parts_end(data, codes + 1)
    head = tf.strings.substr(encoded, 0, _gif_palette_end(data))
    return tf.strings.join([head, tf.strings.substr(encoded, start, end - start), b";"])


def _jpeg(encoded):
    shape = tf.io.extract_jpeg_shape(encoded)
    data = _bytes(encoded)
    # FF DA, two bytes of length, the number of components: nothing else in a JPEG looks so.
    head = [data[i : tf.size(data) - 4 + i] for i in range(5)]
    starts = tf.equal(head[0], 0xFF) & tf.equal(head[1], 0xDA) & tf.equal(head[2], 0)
    starts &= tf.equal(head[3], 2 * head[4] + 6) & (head[4] >= 1) & (head[4] <= 4)
    scans = tf.math.count_nonzero(starts)
    text = ["is a JPEG file of ", tf.strings.as_string(scans), f" scans; {MAX_JPEG_SCANS} at most"]
    known = tf.reduce_any(tf.equal(shape[2], [1, 3, 4]))
    size = tf.where(known, shape[:2], 0)
    return size, tf.where(scans > MAX_JPEG_SCANS, tf.strings.join(text), "")


def _png(encoded):
    # Unknown chunks before the header would have their say here, and no other.
    first = has(encoded, 8, b"\0\0\0\rIHDR")
    size = [number(encoded, 20, 4, True), number(encoded, 16, 4, True)]
    data = _bytes(encoded)
    texts = tf.add_n([_occurrences(data, name) for name in _COMPRESSED_TEXTS])
    text = ["is a PNG file with ", tf.strings.as_string(texts), " compressed texts; "]
    text = tf.strings.join([*text, f"{MAX_PNG_TEXTS} at most"])
    return tf.where(first, size, 0), tf.where(texts > MAX_PNG_TEXTS, text, "")


def _bmp(encoded):
    def signed(start):
        return tf.bitcast(
            tf.io.decode_raw(tf.strings.substr(encoded, start, 4), tf.uint8), tf.int32
        )

    width, height, bits = signed(18), tf.abs(signed(22)), number(encoded, 28, 2)
    # Rows from the top down have a negative height; there is none for the lowest integer.
    row = (tf.cast(width, tf.int64) * tf.cast(bits, tf.int64) + 31) // 32 * 4
    start = tf.cast(signed(10), tf.int64)
    end = start + row * tf.cast(height, tf.int64)
    inside = (start >= 26) & (end <= tf.cast(tf.strings.length(encoded), tf.int64))
    text = ["is a BMP file of ", tf.strings.as_string(bits), " bits a pixel; wanted 24 or 32"]
    known = tf.reduce_any(tf.equal(bits, [24, 32]))
    # A wrong size is told before a file that is too short for it.
    short = tf.where(inside, "", "is a damaged BMP file")
    return [height, width], tf.where(known, short, tf.strings.join(text))


def _gif(encoded):
    data = _bytes(encoded)
    start = _gif_frame_start(data)
    screen = [number(encoded, 8, 2), number(encoded, 6, 2)]
    left, top, width, height = (number(encoded, start + i, 2) for i in (1, 3, 5, 7))
    frame = tf.strings.as_string(tf.stack([height, width, *screen]))
    text = ["is a GIF file whose first frame, ", frame[0], " x ", frame[1], ", does not fill its "]
    text = tf.strings.join([*text, frame[2], " x ", frame[3], " pixels"])
    fills = tf.reduce_all(tf.equal([top, left, height, width], [0, 0, *screen]))
    found = tf.equal(_at(data, start), _GIF_FRAME)
    return tf.where(found, screen, 0), tf.where(found & ~fills, text, "")


def _webp(encoded):
    """Of the three kinds of WebP: simple lossy, lossless, extended (RFC 9649, section 2)."""
    kind = tf.strings.substr(encoded, 12, 4)
    lossy = [number(encoded, 28, 2) % 2**14, number(encoded, 26, 2) % 2**14]
    packed = tf.cast(number(encoded, 21, 4), tf.int64)
    lossless = [packed // 2**14 % 2**14 + 1, packed % 2**14 + 1]
    extended = [number(encoded, 27, 3) + 1, number(encoded, 24, 3) + 1]
    size = tf.where(tf.equal(kind, b"VP8L"), tf.cast(tf.stack(lossless), tf.int32), lossy)
    size = tf.where(tf.equal(kind, b"VP8X"), extended, size)
    known = tf.reduce_any(tf.equal(kind, [b"VP8 ", b"VP8L", b"VP8X"]))
    # On an animation TensorFlow 2.21 writes beyond its memory and the process dies.
    flags = tf.where(tf.equal(kind, b"VP8X"), number(encoded, 20, 1), 0)
    moving = tf.equal(flags // 2 % 2, 1)
    animated = "is an animated WebP file; send a single image"
    return tf.where(known, size, 0), tf.where(moving, animated, "")


def _bytes(encoded: tf.Tensor) -> tf.Tensor:
    """[n] uint8."""
    return tf.io.decode_raw(encoded, tf.uint8)


def _at(data: tf.Tensor, place: tf.Tensor) -> tf.Tensor:
    """The byte at `place` of [n] uint8, 0 beyond the end; scalar int32."""
    inside = place < tf.size(data)
    return tf.where(inside, tf.cast(tf.gather(data, tf.where(inside, place, 0)), tf.int32), 0)


def _occurrences(data: tf.Tensor, pattern: bytes) -> tf.Tensor:
    """How often `pattern` stands in [n] uint8; scalar int64."""
    last = tf.size(data) - len(pattern) + 1
    same = [tf.equal(data[i : last + i], byte) for i, byte in enumerate(pattern)]
    return tf.math.count_nonzero(tf.reduce_all(same, axis=0))


def _palette_bytes(flags: tf.Tensor) -> tf.Tensor:
    """Of a table of 2 to 256 colours, if there is one."""
    return tf.where(flags >= 128, 3 * tf.bitwise.left_shift(2, flags % 8), 0)


def _gif_palette_end(data: tf.Tensor) -> tf.Tensor:
    return 13 + _palette_bytes(_at(data, 10))


def _gif_frame_start(data: tf.Tensor) -> tf.Tensor:
    """Where in [n] uint8 the first block behind the palette is that is no extension, or the end."""

    def more(place):
        return tf.equal(_at(data, place), _GIF_EXTENSION)

    start = _gif_palette_end(data)
    limit = {"maximum_iterations": _MAX_GIF_EXTENSIONS}
    return tf.while_loop(more, lambda at: [_gif_parts_end(data, at + 2)], [start], **limit)[0]


def _gif_parts_end(data: tf.Tensor, start: tf.Tensor) -> tf.Tensor:
    """Where the parts end that begin at `start`, or where [n] uint8 does; scalar int32.

    A part is a byte of length and so many bytes; the last one has a length of 0. In each window the
    ends are found by going 1, 2, 4, ... parts ahead from all bytes at once: a loop over parts takes
    60 microseconds for each.
    """
    size = tf.size(data)

    def step(place):
        lengths = tf.cast(data[place : place + _GIF_WINDOW], tf.int32)
        here = tf.range(tf.size(lengths))
        ahead = tf.where(lengths > 0, here + 1 + lengths, here)
        # What is beyond the window stays where it is.
        ahead = tf.concat([ahead, tf.size(lengths) + tf.range(256)], axis=0)
        for _ in range(_GIF_WINDOW.bit_length() - 1):
            ahead = tf.gather(ahead, ahead)
        return [place + ahead[0]]

    last = tf.while_loop(lambda place: _at(data, place) > 0, step, [start])[0]
    return tf.minimum(last + 1, size)
