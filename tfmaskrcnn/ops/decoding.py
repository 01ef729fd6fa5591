"""Encoded images to arrays inside a graph, where a bad one is a sentence and not an exception.

A batch of a server may hold images of several people; an exception names none of them. The pixels
are those of `data.coco.image_files.read_image`.
"""

from typing import Tuple

import tensorflow as tf

# Peak memory is 15 bytes a pixel (uint8 and float32); 8064 x 6048 cameras fit.
MAX_PIXELS = 50_000_000
CHANNELS = (1, 3, 4)  # that an encoded image can have
_MAGIC = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"BM", "BMP"),
    (b"GIF8", "GIF"),
)
_WEBP = len(_MAGIC)  # its number among the kinds; one more is "none of these"
_KINDS = (*(name for _, name in _MAGIC), "WebP", "")


def decode_image(
    encoded: tf.Tensor, max_pixels: int = MAX_PIXELS, webp: bool = False, channels: int = 3
) -> Tuple[tf.Tensor, tf.Tensor]:
    """The stored pixels of an image file, or what is wrong with it.

    For 3 channels grey is repeated and an alpha channel is dropped (not blended); for 1 channel
    colour becomes its luma, for 4 an image without alpha gets an opaque one (only that of PNG and
    WebP is read). Of an animation the first frame is taken, EXIF orientation is not applied. 16-bit
    grey is divided by 257 and rounded, of 16-bit colours the high byte is taken.

    Args:
        encoded: scalar string: JPEG, PNG, GIF or BMP of 24 or 32 bits.
        max_pixels: larger images are refused before they are decoded.
        webp: take WebP as well, which needs `tf.io.decode_webp`.
        channels: C, one of `CHANNELS`.

    Returns:
        image: [H, W, C] uint8; [0, 0, C] if something is wrong.
        problem: scalar string that goes on from "Image 3 ...", empty if nothing is wrong.
    """
    kind = _kind(encoded)
    wanted = "JPEG, PNG, BMP, GIF or WebP" if webp else "JPEG, PNG, BMP or GIF"
    size = attempted(_declared_size, encoded, tf.constant([-1, -1, 0]))
    bits, size = size[2], size[:2]
    damaged = tf.strings.join(["is a damaged ", tf.gather(_KINDS, kind), " file"])
    problem = tf.where(tf.reduce_any(size < 1), damaged, "")
    odd_bmp = tf.equal(kind, _KINDS.index("BMP")) & ~tf.reduce_any(tf.equal(bits, [24, 32]))
    bits = tf.strings.as_string(bits)
    wrong_bits = tf.strings.join(["is a BMP file of ", bits, " bits a pixel; wanted 24 or 32"])
    problem = tf.where(tf.equal(problem, "") & odd_bmp, wrong_bits, problem)
    problem = tf.where(tf.equal(problem, ""), too_large(size, max_pixels), problem)
    problem = tf.where(tf.equal(kind, _WEBP), _webp_problem(encoded, problem, webp), problem)
    problem = tf.where(tf.equal(kind, _WEBP + 1), f"is no {wanted} file", problem)
    problem = tf.where(tf.equal(tf.strings.length(encoded), 0), "is empty (0 bytes)", problem)
    decoded = 4 if channels == 4 else 3
    nothing = tf.zeros([0, 0, decoded], tf.uint8)
    image = tf.cond(
        tf.equal(problem, ""),
        lambda: attempted(lambda text: _decoded(text, webp, decoded), encoded, nothing),
        lambda: nothing,
    )
    failed = tf.equal(problem, "") & tf.equal(tf.size(image), 0)
    image = tf.ensure_shape(image, [None, None, decoded])
    return _luma(image) if channels == 1 else image, tf.where(failed, damaged, problem)


def _webp_problem(encoded: tf.Tensor, problem: tf.Tensor, wanted: bool) -> tf.Tensor:
    if not wanted:
        return tf.constant("is a WebP file, which this model cannot decode; send JPEG or PNG")
    # On an animation TensorFlow 2.21 writes beyond its memory and the process dies.
    flags = tf.cond(
        _has(encoded, 12, b"VP8X") & (tf.strings.length(encoded) > 20),
        lambda: _number(encoded, 20, 1),
        lambda: 0,
    )
    return tf.where(flags // 2 % 2 == 1, "is an animated WebP file; send a single image", problem)


def too_large(size: tf.Tensor, max_pixels: int) -> tf.Tensor:
    """What is wrong with an image of `size` [2] int32 (height, width); scalar string, or empty."""
    pixels = tf.reduce_prod(tf.cast(size, tf.int64))
    text = tf.strings.as_string(size)
    parts = ["has ", text[0], " x ", text[1], f" pixels (height x width); {max_pixels} at most"]
    return tf.where(pixels > max_pixels, tf.strings.join(parts), "")


def attempted(function, source: tf.Tensor, fallback: tf.Tensor) -> tf.Tensor:
    """`function(source)`, or `fallback` where it raises: a graph has no `try`, but tf.data has."""
    tries = tf.data.Dataset.from_tensors(source).map(function).ignore_errors()
    result = tries.concatenate(tf.data.Dataset.from_tensors(fallback)).take(1)
    options = tf.data.Options()  # nothing to optimise; the rewriting takes longer than a decoding
    options.autotune.enabled = False
    options.experimental_optimization.apply_default_optimizations = False
    return result.with_options(options).get_single_element()


def _kind(encoded: tf.Tensor) -> tf.Tensor:
    """Index into `_KINDS` by the first bytes; scalar int32."""
    kind = tf.constant(len(_KINDS) - 1)
    for i, (magic, _) in enumerate(_MAGIC):
        kind = tf.where(_has(encoded, 0, magic), i, kind)
    return tf.where(_has(encoded, 0, b"RIFF") & _has(encoded, 8, b"WEBP"), _WEBP, kind)


def _has(encoded: tf.Tensor, start: int, magic: bytes) -> tf.Tensor:
    long_enough = tf.strings.length(encoded) >= start + len(magic)
    start = tf.where(long_enough, start, 0)  # `substr` raises beyond the end
    return long_enough & tf.equal(tf.strings.substr(encoded, start, len(magic)), magic)


def _declared_size(encoded: tf.Tensor) -> tf.Tensor:
    """[3] int32: height and width that the file's header states, and the bits a pixel of a BMP."""
    size_of = (_jpeg_size, _png_size, _bmp_size, _gif_size, _webp_size, lambda _: [0, 0, 0])
    branches = [lambda f=f: tf.convert_to_tensor(f(encoded), tf.int32) for f in size_of]
    return tf.switch_case(_kind(encoded), branches)


def _number(encoded: tf.Tensor, start: int, length: int, big_endian: bool = False) -> tf.Tensor:
    """The unsigned integer in `length` bytes from `start`; saturates at the largest int32."""
    values = tf.io.decode_raw(tf.strings.substr(encoded, start, length), tf.uint8)
    values = tf.cast(tf.ensure_shape(values, [length]), tf.int64)
    powers = [256**i for i in range(length)]
    number = tf.reduce_sum(values * tf.constant(powers[::-1] if big_endian else powers, tf.int64))
    return tf.cast(tf.minimum(number, tf.int32.max), tf.int32)


def _jpeg_size(encoded):
    shape = tf.io.extract_jpeg_shape(encoded)
    return [shape[0], shape[1], 0]


def _png_size(encoded):
    return [_number(encoded, 20, 4, True), _number(encoded, 16, 4, True), 0]


def _bmp_size(encoded):
    height = tf.bitcast(tf.io.decode_raw(tf.strings.substr(encoded, 22, 4), tf.uint8), tf.int32)
    # Rows from the top down have a negative height.
    return [tf.abs(height), _number(encoded, 18, 4), _number(encoded, 28, 2)]


def _gif_size(encoded):
    return [_number(encoded, 8, 2), _number(encoded, 6, 2), 0]


def _webp_size(encoded):
    """Of the three kinds of WebP: simple lossy, lossless, extended (RFC 9649, section 2)."""
    kind = tf.strings.substr(encoded, 12, 4)
    lossy = [_number(encoded, 28, 2) % 2**14, _number(encoded, 26, 2) % 2**14, 0]
    packed = tf.cast(_number(encoded, 21, 4), tf.int64)
    lossless = [packed // 2**14 % 2**14 + 1, packed % 2**14 + 1, 0]
    extended = [_number(encoded, 27, 3) + 1, _number(encoded, 24, 3) + 1, 0]
    size = tf.where(tf.equal(kind, b"VP8L"), tf.cast(tf.stack(lossless), tf.int32), lossy)
    return tf.where(tf.equal(kind, b"VP8X"), extended, size)


def _decoded(encoded: tf.Tensor, webp: bool, channels: int) -> tf.Tensor:
    """[H, W, 3 or 4] uint8; raises what TensorFlow raises."""

    def jpeg():  # the accurate method gives Pillow's pixels, TensorFlow's default others
        return tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE")

    def gif():
        return tf.io.decode_image(encoded, channels=3, expand_animations=False)

    def bmp():
        return tf.ensure_shape(tf.io.decode_bmp(encoded)[..., :3], [None, None, 3])

    def opaque(image):
        image = tf.ensure_shape(image(), [None, None, 3])
        if channels == 3:
            return image
        return tf.pad(image, [[0, 0], [0, 0], [0, 1]], constant_values=255)

    def webp_frame():
        return _webp(encoded, channels) if webp else tf.zeros([0, 0, channels], tf.uint8)

    branches = [
        lambda: opaque(jpeg),
        lambda: _png(encoded, channels),
        lambda: opaque(bmp),
        lambda: opaque(gif),
        webp_frame,
    ]
    return tf.ensure_shape(tf.switch_case(_kind(encoded), branches), [None, None, channels])


def _png(encoded: tf.Tensor, channels: int) -> tf.Tensor:
    def opaque(grey):
        rgb = tf.repeat(grey, 3, axis=-1)
        return tf.pad(rgb, [[0, 0], [0, 0], [0, channels - 3]], constant_values=255)

    def deep():
        grey = tf.cast(tf.io.decode_png(encoded, channels=1, dtype=tf.uint16), tf.int32)
        return opaque(tf.cast((grey + 128) // 257, tf.uint8))

    def as_stored():
        return tf.io.decode_png(encoded, channels=channels)

    grey = tf.equal(tf.strings.substr(encoded, 25, 1), b"\0")
    bits = _number(encoded, 24, 1)
    # To less than 8 bits TensorFlow adds an alpha of 1, 3 or 15 instead of 255.
    cases = [
        (grey & tf.equal(bits, 16), deep),
        (grey & (bits < 8), lambda: opaque(tf.io.decode_png(encoded, channels=1))),
    ]
    return tf.case(cases, default=as_stored)


def _webp(encoded: tf.Tensor, channels: int) -> tf.Tensor:
    """The op wants to be told whether there is alpha, and gives [1, H, W, 3 or 4]."""

    def frame(text, stored):
        frames = tf.io.decode_webp(text, channels=stored)
        frame = tf.ensure_shape(frames, [None, None, None, stored])[0, ..., :channels]
        missing = max(channels - stored, 0)
        return tf.pad(frame, [[0, 0], [0, 0], [0, missing]], constant_values=255)

    nothing = tf.zeros([0, 0, channels], tf.uint8)
    image = attempted(lambda text: frame(text, 3), encoded, nothing)
    return tf.cond(tf.size(image) > 0, lambda: image, lambda: frame(encoded, 4))


def _luma(image: tf.Tensor) -> tf.Tensor:
    """[H, W, 3] -> [H, W, 1] uint8 by Pillow's fixed-point weights of ITU-R 601-2."""
    weighted = tf.cast(image, tf.int32) * tf.constant([19595, 38470, 7471])
    return tf.cast((tf.reduce_sum(weighted, axis=-1, keepdims=True) + 2**15) // 2**16, tf.uint8)
