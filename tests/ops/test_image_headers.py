"""What a file says of itself is true of what is decoded, or the file is refused."""

import functools
import io
import struct
import time

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from helpers import crafted_images as crafted
from helpers.cases import case
from helpers.one_stack import on_stack_a
from tfmaskrcnn.data.coco.image_files import read_image
from tfmaskrcnn.ops.decoding import Formats, decode_image
from tfmaskrcnn.ops.tensors import as_graph

HAS_WEBP = hasattr(tf.io, "decode_webp")
LIMIT = 10_000


@functools.partial(as_graph, input_signature=[tf.TensorSpec([], tf.string)])
def in_graph(encoded):
    return decode_image(encoded, LIMIT, Formats(gif=True, webp=HAS_WEBP))


def decoded(content):
    image, problem = in_graph(tf.constant(content))
    return image.numpy(), problem.numpy().decode()


def encoded(kind, height=30, width=20, **options):
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind, **options)
    return stream.getvalue()


def pixels_of(count):
    return crafted.gif_codes([i % 2 for i in range(count)])


@on_stack_a
def test_files_that_ask_for_more_than_they_say_take_neither_memory_nor_time(tmp_path):
    wanted = {
        "gif": "is a GIF file whose first frame, 16000 x 16000, does not fill its 10 x 10 pixels",
        "texts": "is a PNG file with 100 compressed texts; 16 at most",
        "headers": "is a damaged PNG file",
        "scans": "is a JPEG file of 1006 scans; 50 at most",
        "frames": "",
        "large": "has 7100 x 7100 pixels (height x width); 50000000 at most",
    }
    frame = (0, 0, 5000, 5000, b"\0" * 1000)
    content = {
        "texts": crafted.png_of_texts(100),
        "headers": crafted.png_with_two_headers(16000, 16000),
        "scans": crafted.jpeg_of_scans(3000, 1000),
        "frames": crafted.gif((8, 8), [(0, 0, 8, 8, pixels_of(64)), *[frame] * 50]),
        "large": crafted.gif((7100, 7100), [(0, 0, 7100, 7100, b"\0" * 1000)]),
    }
    paths = [case("hostile/screen10_frame16000.gif")]
    for name, each in content.items():
        paths.append(tmp_path / name)
        paths[-1].write_bytes(each)
    for (name, problem), found in zip(wanted.items(), crafted.taken(paths)):
        assert found.problem == problem, name
        assert found.megabytes < 150 and found.seconds < 60, (name, found)


@on_stack_a
def test_a_gif_of_the_smallest_parts_is_walked_through_in_seconds():
    decoded(b"no image")  # makes the graph
    for content in (
        crafted.gif((8, 8), [(0, 0, 8, 8, b"\1" * 2**21)], part=1),
        crafted.gif((8, 8), [(0, 0, 8, 8, pixels_of(64))], b"!\xfe\0" * 2**20),
    ):
        start = time.process_time()
        assert decoded(content)[1] == "is a damaged GIF file"
        assert time.process_time() - start < 30  # a step back for each part would take hours


@pytest.mark.parametrize("part", [1, 7, 255])
@pytest.mark.parametrize("extensions", [b"", b"!\xf9\4\1\0\0\0\0", b"!\xfe\5hello\2..\0" * 3])
def test_the_first_frame_is_the_same_whatever_lies_around_it(part, extensions, tmp_path):
    frames = [(0, 0, 6, 8, pixels_of(48)), (1, 1, 2, 2, crafted.gif_codes([1] * 4))]
    content = crafted.gif((6, 8), frames, extensions, part)
    image, problem = decoded(content)
    assert problem == "" and set(np.unique(image)) == {0, 255}
    (tmp_path / "image").write_bytes(content)
    np.testing.assert_array_equal(image, read_image(str(tmp_path / "image")))


@pytest.mark.parametrize("place", [(1, 0, 6, 8), (0, 1, 6, 8), (0, 0, 6, 7), (0, 0, 60, 80)])
def test_a_first_frame_that_is_not_the_screen_is_refused(place):
    content = crafted.gif((6, 8), [(*place, pixels_of(48))])
    assert decoded(content)[1] == (
        f"is a GIF file whose first frame, {place[2]} x {place[3]}, does not fill its 6 x 8 pixels"
    )


@pytest.mark.parametrize("extension", [b"!\xfe\0", b"!\xfe"])
def test_an_extension_without_parts_hides_no_frame(extension):
    # A decoder that takes a length of 0 for a part finds another frame behind it.
    hidden = b"\x20" + b"," + struct.pack("<HHHHB", 0, 0, 300, 300, 0) + b"\2"
    content = crafted.gif((6, 8), [(0, 0, 6, 8, pixels_of(48))], extension + hidden)
    image, problem = decoded(content)
    assert problem or image.shape == (6, 8, 3)


GOOD = {
    "JPEG": encoded("JPEG"),
    "progressive": encoded("JPEG", progressive=True),
    "PNG": encoded("PNG"),
    "BMP": encoded("BMP"),
    "GIF": crafted.gif((6, 8), [(0, 0, 6, 8, pixels_of(48))] * 2, b"!\xf9\4\1\0\0\0\0"),
    **({"WEBP": encoded("WEBP", lossless=True)} if HAS_WEBP else {}),
}


@pytest.mark.parametrize("kind", GOOD)
def test_a_file_cut_anywhere_in_its_header_is_a_sentence(kind):
    assert decoded(GOOD[kind])[1] == ""
    name = {"progressive": "JPEG", "WEBP": "WebP"}.get(kind, kind)
    for length in range(1, 60):
        image, problem = decoded(GOOD[kind][:length])
        if kind == "GIF" and image.size:
            continue  # the first frame was whole
        wanted = f"is a damaged {name} file"
        short = length < 12  # of so few bytes nobody knows what they are
        assert problem == wanted or (short and problem.startswith("is no JPEG")), length


@pytest.mark.parametrize("kind", GOOD)
def test_any_byte_of_a_header_may_be_wrong(kind):
    good = GOOD[kind]
    for place in range(60):
        for byte in (0, 1, 127, 255):
            content = good[:place] + bytes([byte]) + good[place + 1 :]
            image, problem = decoded(content)
            assert bool(problem) != bool(image.size) and image.size <= 3 * LIMIT, (place, byte)


@pytest.mark.parametrize("side", [0, 101, 65535, 2**31 - 1, 2**31, 2**32 - 1])
@pytest.mark.parametrize("kind, place, form", [("PNG", 16, ">II"), ("BMP", 18, "<II")])
def test_any_size_of_a_header_is_a_sentence(kind, place, form, side):
    content = bytearray(GOOD[kind])
    content[place : place + 8] = struct.pack(form, side, side)
    image, problem = decoded(bytes(content))
    assert image.size == 0 and ("10000 at most" in problem or "damaged" in problem)


def test_a_bmp_that_begins_its_pixels_outside_of_itself_is_damaged():
    for start in (0, 25, 2000, 2**31 - 1, 2**32 - 1, 2**32 - 1000):
        content = bytearray(GOOD["BMP"])
        content[10:14] = struct.pack("<I", start)
        assert decoded(bytes(content))[1] == "is a damaged BMP file"


def test_many_scans_and_texts_that_encoders_write_are_taken():
    assert decoded(crafted.jpeg_of_scans(90, 40))[1] == ""
    text = crafted.chunk(b"zTXt", b"key\0\0" + crafted.zlib.compress(b"text"))
    assert decoded(crafted.png(8, 8, between=text * 16))[1] == ""
    assert "17 compressed texts" in decoded(crafted.png(8, 8, between=text * 17))[1]


@pytest.mark.skipif(not HAS_WEBP, reason="this TensorFlow has no WebP")
def test_a_webp_says_its_size_once():
    def riff(*parts):
        return b"RIFF" + struct.pack("<I", 4 + sum(map(len, parts))) + b"WEBP" + b"".join(parts)

    def extended(flags, side):
        return b"VP8X\n\0\0\0" + bytes([flags, 0, 0, 0]) + (side - 1).to_bytes(3, "little") * 2

    inner = encoded("WEBP", 300, 300, lossless=True)[12:]
    moving = b"ANMF" + struct.pack("<I", 16 + len(inner)) + bytes(16) + inner
    unknown = b"ABCD" + struct.pack("<I", 8) + bytes(8)
    for content in (
        riff(extended(0, 10), inner),
        riff(extended(16, 10), inner),
        riff(extended(0, 10), b"ANIM\6\0\0\0" + bytes(6), moving),
        riff(inner[8:]),
        riff(unknown, inner),
    ):
        assert decoded(content)[1] == "is a damaged WebP file"
    animated = "is an animated WebP file; send a single image"
    assert decoded(riff(extended(2, 10), moving))[1] == animated
