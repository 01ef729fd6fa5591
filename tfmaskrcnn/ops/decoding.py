"""Encoded images to arrays inside a graph, where a bad one is a sentence and not an exception.

A batch of a server may hold images of several people; an exception names none of them. The pixels
are those of `data.coco.image_files.read_image`.
"""

from typing import NamedTuple, Tuple

import tensorflow as tf

from tfmaskrcnn.ops.exif import orientation_in, turned
from tfmaskrcnn.ops.image_headers import KINDS, WEBP, declared, first_frame, kind_of, number
from tfmaskrcnn.ops.limits import MAX_PIXELS

CHANNELS = (1, 3, 4)  # that an encoded image can have
_GIF = KINDS.index("GIF")


class Formats(NamedTuple):
    """Beyond JPEG, PNG and BMP, what is decoded."""

    gif: bool = False
    webp: bool = False  # needs `tf.io.decode_webp`

    def text(self) -> str:
        """For messages."""
        names = ["JPEG", "PNG", "BMP", *["GIF"] * self.gif, *["WebP"] * self.webp]
        return f"{', '.join(names[:-1])} or {names[-1]}"


PLAIN = Formats()


def decode_image(
    encoded: tf.Tensor,
    max_pixels: int = MAX_PIXELS,
    formats: Formats = PLAIN,
    channels: int = 3,
    exif: str = "apply",
) -> Tuple[tf.Tensor, tf.Tensor]:
    """The pixels of an image file, or what is wrong with it.

    For 3 channels grey is repeated and an alpha channel is dropped (not blended); for 1 channel
    colour becomes its luma, for 4 an image without alpha gets an opaque one (only that of PNG and
    WebP is read). 16-bit grey is divided by 257 and rounded, of 16-bit colours the high byte is
    taken.

    Args:
        encoded: scalar string: JPEG, PNG, BMP of 24 or 32 bits, or what `formats` says; of an
            animated GIF the first frame, which has to fill the screen.
        max_pixels: larger images are refused before they are decoded; no decoder gets more.
        formats: what is taken beside the three.
        channels: C, one of `CHANNELS`.
        exif: the model's `input.exif`: "apply" turns the image as its EXIF orientation asks,
            "ignore" gives the stored pixels.

    Returns:
        image: [H, W, C] uint8; [0, 0, C] if something is wrong.
        problem: scalar string that goes on from "Image 3 ...", empty if nothing is wrong.
    """
    kind = kind_of(encoded)
    damaged = tf.strings.join(["is a damaged ", tf.gather(KINDS, kind), " file"])
    problem = _problem(encoded, kind, max_pixels, formats, damaged)
    decoded = 4 if channels == 4 else 3
    nothing = tf.zeros([0, 0, decoded], tf.uint8)

    def pixels():
        stored = attempted(lambda text: _decoded(text, formats, decoded), encoded, nothing)
        return turned(stored, orientation_in(encoded, kind)) if exif == "apply" else stored

    image = tf.cond(tf.equal(problem, ""), pixels, lambda: nothing)
    failed = tf.equal(problem, "") & tf.equal(tf.size(image), 0)
    image = tf.ensure_shape(image, [None, None, decoded])
    return _luma(image) if channels == 1 else image, tf.where(failed, damaged, problem)


def _problem(encoded, kind, max_pixels, formats, damaged) -> tf.Tensor:
    """What is wrong with a file before it is decoded; scalar string, or empty."""
    unknown = f"is no {formats.text()} file"
    refused = [len(KINDS) - 1] + [_GIF] * (not formats.gif) + [WEBP] * (not formats.webp)
    sentence = ["is a ", tf.gather(KINDS, kind), " file, which this model cannot decode; send "]
    sentence = tf.strings.join([*sentence, "JPEG or PNG"])
    sentence = tf.where(tf.equal(kind, refused[0]), unknown, sentence)
    sentence = tf.where(tf.equal(tf.strings.length(encoded), 0), "is empty (0 bytes)", sentence)

    def of_header():
        unreadable = tf.constant([-1, -1]), tf.constant("")
        size, problem = attempted(lambda text: declared(text, kind_of(text)), encoded, unreadable)
        large = too_large(size, max_pixels)
        problem = tf.where(tf.equal(large, ""), problem, large)
        return tf.where(tf.reduce_any(size < 1), damaged, problem)

    return tf.cond(tf.reduce_any(tf.equal(kind, refused)), lambda: sentence, of_header)


def too_large(size: tf.Tensor, max_pixels: int) -> tf.Tensor:
    """What is wrong with an image of `size` [2] int32 (height, width); scalar string, or empty."""
    pixels = tf.reduce_prod(tf.cast(size, tf.int64))
    text = tf.strings.as_string(size)
    parts = ["has ", text[0], " x ", text[1], f" pixels (height x width); {max_pixels} at most"]
    return tf.where(pixels > max_pixels, tf.strings.join(parts), "")


def attempted(function, source: tf.Tensor, fallback):
    """`function(source)`, or `fallback` where it raises: a graph has no `try`, but tf.data has.

    Both are a tensor or a tuple of tensors.
    """
    tries = tf.data.Dataset.from_tensors(source).map(function).ignore_errors()
    result = tries.concatenate(tf.data.Dataset.from_tensors(fallback)).take(1)
    options = tf.data.Options()  # nothing to optimise; the rewriting takes longer than a decoding
    options.autotune.enabled = False
    options.experimental_optimization.apply_default_optimizations = False
    return result.with_options(options).get_single_element()


def _decoded(encoded: tf.Tensor, formats: Formats, channels: int) -> tf.Tensor:
    """[H, W, 3 or 4] uint8; raises what TensorFlow raises."""

    def jpeg():  # the accurate method gives Pillow's pixels, TensorFlow's default others
        return tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE")

    def gif():
        if not formats.gif:
            return tf.zeros([0, 0, 3], tf.uint8)
        return tf.ensure_shape(tf.io.decode_gif(first_frame(encoded)), [None, None, None, 3])[0]

    def bmp():
        return tf.ensure_shape(tf.io.decode_bmp(encoded)[..., :3], [None, None, 3])

    def opaque(image):
        image = tf.ensure_shape(image(), [None, None, 3])
        if channels == 3:
            return image
        return tf.pad(image, [[0, 0], [0, 0], [0, 1]], constant_values=255)

    def webp_frame():
        return _webp(encoded, channels) if formats.webp else tf.zeros([0, 0, channels], tf.uint8)

    branches = [
        lambda: opaque(jpeg),
        lambda: _png(encoded, channels),
        lambda: opaque(bmp),
        lambda: opaque(gif),
        webp_frame,
    ]
    return tf.ensure_shape(tf.switch_case(kind_of(encoded), branches), [None, None, channels])


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
    bits = number(encoded, 24, 1)
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
