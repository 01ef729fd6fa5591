"""EXIF's orientation in the graph is what training reads of the same file, and Pillow's."""

import functools
import io
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from tfmaskrcnn.data.coco.image_files import PILLOW_FORMATS, ImageBytes, read_image
from tfmaskrcnn.data.coco.orientation import orientation_of
from tfmaskrcnn.ops.decoding import Formats, decode_image
from tfmaskrcnn.ops.exif import orientation_in, turned
from tfmaskrcnn.ops.image_headers import kind_of
from tfmaskrcnn.ops.tensors import as_graph

HAS_WEBP = hasattr(tf.io, "decode_webp")
KINDS = ["JPEG", "PNG", "WEBP"]
SHORT, LONG, BYTE, SIGNED, ASCII = 3, 4, 1, 8, 2


@functools.partial(as_graph, input_signature=[tf.TensorSpec([None], tf.string)])
def in_graph(files):
    return tf.map_fn(
        lambda file: orientation_in(file, kind_of(file)), files, fn_output_signature=tf.int32
    )


def of_pillow(content):
    with Image.open(io.BytesIO(content), formats=PILLOW_FORMATS) as image:
        return orientation_of(image)


def exif(value, order="<", kind=SHORT, count=1, before=2, tag=0x112):
    """A TIFF file of entries without pixels, the orientation behind `before` others."""
    packed = {SHORT: "HH", ASCII: "BBH"}.get(kind, "L")
    values = [value] + [0] * (len(packed) - 1)
    ours = struct.pack(f"{order}HHL{packed}", tag, kind, count, *values)
    others = [struct.pack(f"{order}HHLL", 0x100 + i, LONG, 1, 9) for i in range(before + 2)]
    entries = b"".join([*others[:before], ours, *others[before:]])
    head = b"II*\0" if order == "<" else b"MM\0*"
    return head + struct.pack(f"{order}LH", 8, before + 3) + entries + bytes(4)


def saved(kind="JPEG", block=b"", size=(24, 40)):
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    stream = io.BytesIO()
    options = {"exif": b"Exif\0\0" + block} if block else {}
    Image.fromarray(pixels).save(stream, kind, **options)
    return stream.getvalue()


def app1(content):
    return b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content


def jpeg(*parts):
    """A JPEG with these parts before all others."""
    plain = saved()
    return plain[:2] + b"".join(parts) + plain[2:]


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(before=b"", behind=b""):
    """A PNG with chunks before and behind its pixels, which are three chunks."""
    rows = zlib.compress(b"\0\1\2\3" * 5)
    pixels = b"".join(chunk(b"IDAT", part) for part in (rows[:4], rows[4:6], rows[6:]))
    head = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 3, 5, 8, 0, 0, 0, 0))
    return head + before + pixels + behind + chunk(b"IEND", b"")


OURS = b"Exif\0\0"
SIX, THREE = exif(6), exif(3, ">")
XMP = b"http://ns.adobe.com/xap/1.0/\0<x tiff:Orientation='6' tiff:Orientation=\"6\"/>"
# What a file is -> its orientation.
FILES = {
    "none": (saved(), 1),
    "a long": (saved(block=exif(8, ">", LONG)), 8),
    "a byte": (saved(block=exif(5, ">", BYTE)), 1),  # 0 0 0 5 begins with 0
    "a byte of the other order": (saved(block=exif(5, "<", BYTE)), 5),
    "two numbers": (saved(block=exif(6, count=2)), 1),
    "no numbers": (saved(block=exif(6, count=0)), 1),
    "a signed number": (saved(block=exif(6, kind=SIGNED)), 1),
    "a text": (saved(block=exif(ord("6"), kind=ASCII)), 1),
    "0": (saved(block=exif(0)), 1),
    "9": (saved(block=exif(9)), 1),
    "60000": (saved(block=exif(60000, ">")), 1),
    "another tag": (saved(block=exif(6, tag=0x113)), 1),
    "the tag in the other order": (saved(block=exif(6, "<", tag=0x1201)), 1),
    "the first entry": (saved(block=exif(7, before=0)), 7),
    "a segment that is shorter than its name": (jpeg(b"\xff\xe1\0\6" + OURS, app1(OURS + SIX)), 6),
    "a list that is cut off behind it": (jpeg(app1(OURS + SIX[: 10 + 36])), 6),
    "a list that is cut off in it": (jpeg(app1(OURS + SIX[: 10 + 35])), 1),
    "a list without an end": (jpeg(app1(OURS + SIX[:8] + b"\xff\xff" + SIX[10:])), 6),
    "a list beyond the end": (jpeg(app1(OURS + SIX[:4] + b"\xff" * 4 + SIX[8:])), 1),
    "a list elsewhere": (jpeg(app1(OURS + b"II*\0\x0b\0\0\0..." + SIX[8:])), 6),
    "no TIFF": (jpeg(app1(OURS + b"II\0*" + SIX[4:])), 1),
    "nothing but a name": (jpeg(app1(OURS)), 1),
    "its name twice": (jpeg(app1(OURS * 2 + SIX)), 6),
    "the first of two": (jpeg(app1(OURS + THREE), app1(OURS + SIX)), 3),
    "the first of two, damaged": (jpeg(app1(OURS + b"MM"), app1(OURS + SIX)), 1),
    "XMP alone": (jpeg(app1(XMP)), 1),
    "behind XMP": (jpeg(app1(XMP), app1(OURS + SIX)), 6),
    "in a comment": (jpeg(b"\xff\xfe" + app1(OURS + SIX)[2:]), 1),
    "inside a comment": (jpeg(b"\xff\xfe\0\x60" + app1(OURS + SIX) + bytes(200)), 1),
    "behind filling bytes": (jpeg(b"\xff" * 9, app1(OURS + SIX)), 6),
    "behind junk": (jpeg(b"\xff\xfe\0\2", b"junk\xff\0" * 30, app1(OURS + SIX)), 6),
    "behind the start of the pixels": (saved() + app1(OURS + SIX), 1),
    "png": (png(chunk(b"eXIf", SIX)), 6),
    "png, the last of two": (png(chunk(b"eXIf", SIX) + chunk(b"eXIf", THREE)), 3),
    "png, behind the pixels": (png(behind=chunk(b"tIME", bytes(7)) + chunk(b"eXIf", SIX)), 6),
    "png, on both sides": (png(chunk(b"eXIf", THREE), chunk(b"eXIf", SIX)), 3),
    "png, in a text": (png(chunk(b"tEXt", b"a\0" + chunk(b"eXIf", SIX))), 1),
    "png, in a text behind": (png(behind=chunk(b"tEXt", b"a\0IDAT" + chunk(b"eXIf", SIX))), 1),
    "bmp": (saved("BMP"), 1),
}


def test_the_graph_and_training_read_the_same_of_every_header():
    found = in_graph(tf.constant([content for content, _ in FILES.values()])).numpy()
    for (name, (content, expected)), ours in zip(FILES.items(), found):
        assert (name, of_pillow(content), ours) == (name, expected, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_orientations_of_both_byte_orders_are_those_of_pillow(kind):
    files = [saved(kind, exif(value, order)) for order in "<>" for value in range(10)]
    expected = []
    for content in files:
        with Image.open(io.BytesIO(content)) as image:
            value = image.getexif()[0x112]
        expected.append(value if 1 <= value <= 8 else 1)
    assert in_graph(tf.constant(files)).numpy().tolist() == expected
    assert [of_pillow(content) for content in files] == expected


def test_a_webp_that_does_not_announce_its_exif_has_none():
    content = bytearray(saved("WEBP", SIX))
    content[20] &= ~8
    files = [bytes(content), saved("WEBP")]
    assert in_graph(tf.constant(files)).numpy().tolist() == [1, 1]
    assert [of_pillow(file) for file in files] == [1, 1]


def damaged(content, rng):
    """A file of which some bytes near its beginning are others, more or fewer."""
    content = bytearray(content)
    for place in rng.integers(2, 130, rng.integers(1, 5)):
        value = int(rng.choice([0, 1, 3, 6, 8, 0xFF, 0xE1, 0xD8, rng.integers(256)]))
        kind = rng.integers(3)
        if kind == 0:
            content[place : place + 1] = bytes([value])
        elif kind == 1:
            del content[place : place + int(rng.integers(1, 4))]
        else:
            content[place:place] = bytes([value] * int(rng.integers(1, 4)))
    return bytes(content)


def test_of_damaged_headers_both_read_the_same_and_nothing_raises():
    rng = np.random.default_rng(0)
    good = [
        saved(kind, exif(value, order)) for kind in KINDS for value, order in ((6, "<"), (3, ">"))
    ]
    good += [FILES[name][0] for name in ("behind XMP", "behind junk", "the first of two")]
    files = [damaged(good[i % len(good)], rng) for i in range(1500)]
    # A PNG's chunks have sums, which Pillow asks for.
    blocks = [damaged(bytes(2) + exif(6, order) + bytes(100), rng)[2:] for order in "<>" * 250]
    files += [png(chunk(b"eXIf", block)) for block in blocks]
    turns = 0
    for content, ours in zip(files, in_graph(tf.constant(files)).numpy()):
        assert 1 <= ours <= 8
        try:
            theirs = of_pillow(content)
        except Exception:  # no image for Pillow
            continue
        turns += theirs != 1
        if ours != theirs:
            decoded = Image.open(io.BytesIO(content))
            with pytest.raises(OSError):
                decoded.load()
    assert turns > 300


def stored(pixels, orientation):
    """Pixels that a viewer shows as `pixels`, by Pillow's own words."""
    moves = Image.Transpose
    ways = [None, moves.FLIP_LEFT_RIGHT, moves.ROTATE_180, moves.FLIP_TOP_BOTTOM, moves.TRANSPOSE]
    ways += [moves.ROTATE_90, moves.TRANSVERSE, moves.ROTATE_270]  # back, of 6, 7, 8
    way, image = ways[orientation - 1], Image.fromarray(pixels)
    return np.asarray(image if way is None else image.transpose(way))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_image_is_what_viewers_show(orientation):
    seen = np.random.default_rng(0).integers(0, 256, (3, 5, 4), np.uint8)
    image = tf.constant(stored(seen, orientation))
    np.testing.assert_array_equal(turned(image, tf.constant(orientation)), seen)


@pytest.fixture(scope="module")
def graphs():
    """`decode_image` by its `exif`."""
    formats = Formats(webp=HAS_WEBP)
    return {
        how: as_graph(lambda file, how=how: decode_image(file, 10_000, formats, 3, how))
        for how in ("apply", "ignore")
    }


def test_decoded_pixels_are_those_of_training_and_of_pillow(graphs):
    for kind in KINDS[: 3 if HAS_WEBP else 2]:
        for orientation in range(1, 9):
            content = saved(kind, exif(orientation, ">"))
            for how, graph in graphs.items():
                image, problem = graph(tf.constant(content))
                assert problem.numpy() == b""
                expected = read_image(ImageBytes("x", content), exif=how)
                np.testing.assert_array_equal(image, expected, err_msg=f"{kind} {orientation}")
            image, _ = graphs["apply"](tf.constant(content))
            with Image.open(io.BytesIO(content)) as picture:
                np.testing.assert_array_equal(image, ImageOps.exif_transpose(picture))


def test_refused_and_damaged_files_are_not_turned(graphs):
    for size, sentence in (((200, 100), "has 200 x 100 pixels"), ((90, 100), "is a damaged JPEG")):
        content = saved("JPEG", SIX, size)[:-900]
        image, problem = graphs["apply"](tf.constant(content))
        assert problem.numpy().decode().startswith(sentence)  # the stored size
        assert image.shape == (0, 0, 3)
