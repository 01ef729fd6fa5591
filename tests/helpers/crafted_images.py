"""Image files that ask for more than they seem to, and what a process takes to look at them."""

import io
import struct
import subprocess
import sys
import zlib
from typing import NamedTuple

from PIL import Image

PNG = b"\x89PNG\r\n\x1a\n"


def chunk(name, data):
    """One of a PNG."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(height, width, before=b"", between=b""):
    """A black grey PNG of few bytes, with chunks before its header or behind it."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(bytes(width + 1) * height, 9))
    return PNG + before + header + between + pixels + chunk(b"IEND", b"")


def png_of_texts(count):
    """A PNG of 8 x 8 with texts of 7.9 MB each, 8 kB in the file."""
    text = chunk(b"zTXt", b"key\0\0" + zlib.compress(b"a" * 7_900_000, 9))
    return png(8, 8, between=text * count)


def png_with_two_headers(height, width):
    """A PNG with 8 x 8 where a header's size belongs, and its true header behind."""
    return png(height, width, before=chunk(b"abCd", struct.pack(">IIB", 8, 8, 8) + bytes(4)))


def jpeg_of_scans(side, count):
    """A grey progressive JPEG that goes over its pixels `count` times more, 15 bytes each."""
    stream = io.BytesIO()
    Image.new("L", (side, side), 128).save(stream, "JPEG", progressive=True)
    content = stream.getvalue()
    last = content[content.rfind(b"\xff\xda") : -2]
    return content[:-2] + last * count + content[-2:]


def gif(screen, frames, extensions=b"", part=255):
    """A GIF of two colours.

    Args:
        screen: (height, width).
        frames: (top, left, height, width, content) each, the content of codes.
        extensions: blocks before each frame.
        part: bytes of the parts that a content is cut into.
    """
    text = b"GIF89a" + struct.pack("<HHBBB", screen[1], screen[0], 0x80, 0, 0)
    text += bytes([0, 0, 0, 255, 255, 255])
    for top, left, height, width, content in frames:
        text += extensions + b"," + struct.pack("<HHHHB", left, top, width, height, 0) + b"\2"
        parts = [content[i : i + part] for i in range(0, len(content), part)]
        text += b"".join(bytes([len(each)]) + each for each in parts) + b"\0"
    return text + b";"


def gif_codes(pixels):
    """Of colours 0 and 1, each 4 bits of a code table that is cleared before every pixel."""
    codes = [code for pixel in pixels for code in (4, pixel)] + [5]
    bits = sum(code << (3 * i) for i, code in enumerate(codes))
    return bits.to_bytes(3 * len(codes) // 8 + 1, "little")


class Taken(NamedTuple):
    """By a process that decodes a file."""

    problem: str
    seconds: float
    megabytes: int  # at its peak, above what it had before


_CODE = """
import resource, sys, time
import tensorflow as tf
from tfmaskrcnn.ops.decoding import Formats, decode_image
spec = [tf.TensorSpec([], tf.string)]
decode = tf.function(lambda t: decode_image(t, formats=Formats(gif=True))[1], input_signature=spec)
decode(tf.constant("no image"))
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in sys.argv[1:]:
    data = open(path, "rb").read()
    before, start = peak(), time.monotonic()
    problem = decode(tf.constant(data)).numpy().decode()
    print(time.monotonic() - start, (peak() - before) // 1024, problem, sep="|")
"""


def taken(paths):
    """What one process takes to decode files, one after the other."""
    paths = [str(path) for path in paths]
    command = [sys.executable, "-c", _CODE, *paths]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    lines = [line.split("|") for line in done.stdout.splitlines()]
    assert done.returncode == 0 and len(lines) == len(paths), done.stderr
    return [Taken(text, float(seconds), int(peak)) for seconds, peak, text in lines]
