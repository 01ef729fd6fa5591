"""Files that a server may be sent: right pixels, or a sentence."""

import functools
import io
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfmaskrcnn.data.coco.image_files import read_image
from tfmaskrcnn.ops.decoding import Formats, attempted, decode_image
from tfmaskrcnn.ops.tensors import as_graph

RNG = np.random.default_rng(0)
HAS_WEBP = hasattr(tf.io, "decode_webp")
needs_webp = pytest.mark.skipif(not HAS_WEBP, reason=f"TensorFlow {tf.__version__} has no WebP")

EXIF_TURNED = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"  # orientation 6


@functools.partial(as_graph, input_signature=[tf.TensorSpec([], tf.string)])
def in_graph(encoded):
    return decode_image(encoded, max_pixels=10_000, formats=Formats(gif=True), exif="ignore")


@functools.partial(as_graph, input_signature=[tf.TensorSpec([], tf.string)])
def in_graph_with_webp(encoded):
    return decode_image(encoded, max_pixels=10_000, formats=Formats(webp=True), exif="ignore")


def decoded(encoded, webp=False):
    image, problem = (in_graph_with_webp if webp else in_graph)(tf.constant(encoded))
    return image.numpy(), problem.numpy().decode()


def rgb(height=7, width=5):
    return RNG.integers(0, 256, (height, width, 3), np.uint8)


def encoded(image, kind="PNG", **options):
    stream = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(
        stream, kind, **options
    )
    return stream.getvalue()


def deep_png(channels):
    return tf.io.encode_png(RNG.integers(0, 65536, (6, 9, channels), np.uint16)).numpy()


def animation(kind, **options):
    frames = [Image.fromarray(rgb(8, 9)) for _ in range(3)]
    return encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)


def with_alpha(image):
    return np.dstack([image, RNG.integers(0, 256, image.shape[:2], np.uint8)])


def png_claiming(height, width):
    """A PNG whose header states a size that its few bytes of data do not fill."""

    def chunk(name, data):
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + data


GOOD = {
    "jpeg": lambda: encoded(rgb(), "JPEG"),
    "progressive jpeg": lambda: encoded(rgb(40, 30), "JPEG", progressive=True, quality=50),
    "grey jpeg": lambda: encoded(rgb()[..., 0], "JPEG"),
    "jpeg with another orientation": lambda: encoded(rgb(), "JPEG", exif=b"Exif\0\0" + EXIF_TURNED),
    "png": lambda: encoded(rgb()),
    "png of one pixel": lambda: encoded(rgb(1, 1)),
    "png with alpha": lambda: encoded(with_alpha(rgb())),
    "grey png": lambda: encoded(rgb()[..., 0]),
    "grey png with alpha": lambda: encoded(Image.fromarray(with_alpha(rgb())).convert("LA")),
    "png of one bit": lambda: encoded(Image.fromarray(rgb()).convert("1")),
    "png with a palette": lambda: encoded(Image.fromarray(rgb()).convert("P")),
    "16-bit grey png": lambda: deep_png(1),
    "16-bit grey png with alpha": lambda: deep_png(2),
    "16-bit rgb png": lambda: deep_png(3),
    "16-bit rgba png": lambda: deep_png(4),
    "bmp": lambda: encoded(rgb(), "BMP"),
    "bmp of 32 bits": lambda: encoded(with_alpha(rgb()), "BMP"),
    "gif": lambda: encoded(rgb()[..., 0], "GIF"),
    "animated gif": lambda: animation("GIF"),
    "9999 x 1": lambda: encoded(rgb(9999, 1)),
}


@pytest.mark.parametrize("name", GOOD)
def test_the_pixels_are_those_of_training(name, tmp_path):
    data = GOOD[name]()
    (tmp_path / "image").write_bytes(data)
    image, problem = decoded(data)
    assert problem == ""
    np.testing.assert_array_equal(image, read_image(str(tmp_path / "image"), exif="ignore"))


@pytest.mark.parametrize("channels", [1, 4])
def test_other_numbers_of_channels_are_those_of_training(channels, tmp_path):
    formats = Formats(gif=True)
    graph = as_graph(lambda text: decode_image(text, formats=formats, channels=channels))
    for name in GOOD:
        if channels == 4 and name == "bmp of 32 bits":
            continue  # whether its fourth byte is alpha is a matter of opinion
        (tmp_path / "image").write_bytes(GOOD[name]())
        data = (tmp_path / "image").read_bytes()
        image, problem = graph(tf.constant(data))
        assert problem.numpy() == b"", name
        expected = read_image(str(tmp_path / "image"), channels=channels)
        np.testing.assert_array_equal(image, expected, err_msg=name)


def test_cmyk_jpeg_is_taken():
    image, problem = decoded(encoded(Image.fromarray(rgb(16, 16)).convert("CMYK"), "JPEG"))
    assert problem == "" and image.shape == (16, 16, 3)


@pytest.mark.parametrize(
    "data, sentence",
    [
        (b"", "is empty (0 bytes)"),
        (b"x", "is no JPEG, PNG, BMP or GIF file"),
        (b"BN" * 100, "is no JPEG, PNG, BMP or GIF file"),
        (b"\xff\xd8\xff", "is a damaged JPEG file"),
        (b"\x89PNG\r\n\x1a\n", "is a damaged PNG file"),
        (b"GIF8", "is a damaged GIF file"),
        (b"BM", "is a damaged BMP file"),
        (encoded(rgb(50, 50), "JPEG")[:200], "is a damaged JPEG file"),
        (encoded(rgb(50, 50), "JPEG")[:-900], "is a damaged JPEG file"),
        (encoded(rgb(50, 50))[:900], "is a damaged PNG file"),
        (encoded(rgb(50, 50), "BMP")[:900], "is a damaged BMP file"),
        (encoded(rgb(50, 50)[..., 0], "GIF")[:900], "is a damaged GIF file"),
        (png_claiming(0, 5), "is a damaged PNG file"),
        (encoded(rgb()[..., 0], "BMP"), "is a BMP file of 8 bits a pixel; wanted 24 or 32"),
        (encoded(rgb(), "TIFF"), "is no JPEG, PNG, BMP or GIF file"),
        (
            encoded(rgb(101, 100)),
            "has 101 x 100 pixels (height x width); 10000 at most",
        ),
        (
            encoded(rgb(1, 20_000), "JPEG"),
            "has 1 x 20000 pixels (height x width); 10000 at most",
        ),
        (encoded(rgb(101, 100), "BMP"), "has 101 x 100 pixels (height x width); 10000 at most"),
        (
            encoded(rgb(101, 100)[..., 0], "GIF"),
            "has 101 x 100 pixels (height x width); 10000 at most",
        ),
    ],
)
def test_a_bad_file_is_a_sentence_and_no_exception(data, sentence):
    image, problem = decoded(data)
    assert problem == sentence
    assert image.shape == (0, 0, 3)


def test_a_header_that_lies_about_a_gigantic_size_takes_no_memory():
    for side in (2**16, 2**31 - 1, 2**32 - 1):
        _, problem = decoded(png_claiming(side, side))
        assert "10000 at most" in problem or "damaged" in problem


def test_webp_without_the_option_is_named():
    _, problem = decoded(encoded(rgb(), "WEBP"))
    assert problem == "is a WebP file, which this model cannot decode; send JPEG or PNG"


@needs_webp
@pytest.mark.parametrize(
    "options",
    [{"quality": 80}, {"lossless": True}, {"lossless": True, "exif": b"Exif\0\0" + EXIF_TURNED}],
    ids=["lossy", "lossless", "extended"],
)
@pytest.mark.parametrize("alpha", [False, True], ids=["opaque", "with alpha"])
def test_webp_with_the_option(options, alpha):
    picture = with_alpha(rgb(30, 20)) if alpha else rgb(30, 20)
    data = encoded(picture, "WEBP", **options)
    image, problem = decoded(data, webp=True)
    assert problem == ""
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    np.testing.assert_array_equal(image, expected)


@needs_webp
def test_webp_sizes_are_read_before_decoding():
    for options in ({"quality": 80}, {"lossless": True}, {"exif": b"Exif\0\0" + EXIF_TURNED}):
        _, problem = decoded(encoded(rgb(120, 130), "WEBP", **options), webp=True)
        assert problem == "has 120 x 130 pixels (height x width); 10000 at most"


@needs_webp
def test_an_animated_webp_is_refused_before_it_ends_the_process():
    for options in ({"lossless": True}, {"quality": 50}):
        _, problem = decoded(animation("WEBP", **options), webp=True)
        assert problem == "is an animated WebP file; send a single image"


def test_a_batch_of_good_and_bad_is_sorted_out():
    data = [encoded(rgb()), b"", encoded(rgb(), "JPEG")[:100], encoded(rgb(3, 4), "GIF")]
    problems = tf.map_fn(
        lambda text: decode_image(text, formats=Formats(gif=True))[1],
        tf.constant(data),
        fn_output_signature=tf.TensorSpec([], tf.string),
    )
    assert problems.numpy().tolist() == [
        b"",
        b"is empty (0 bytes)",
        b"is a damaged JPEG file",
        b"",
    ]


def test_random_bytes_behind_a_true_beginning_never_raise():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        for start in (b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"RIFF0000WEBP"):
            image, problem = decoded(start + rng.bytes(int(rng.integers(0, 200))))
            assert problem or image.size


def test_flipped_bytes_never_raise():
    good = encoded(rgb(20, 20), "JPEG")
    for seed in range(20):
        rng = np.random.default_rng(seed)
        data = bytearray(good)
        for place in rng.integers(0, len(data), 5):
            data[place] = rng.integers(0, 256)
        image, problem = decoded(bytes(data))
        assert problem or image.size


def test_attempted_returns_the_fallback_only_after_an_error():
    parsed = as_graph(
        lambda text: attempted(lambda t: tf.strings.to_number(t, tf.int32), text, tf.constant(-1))
    )
    assert parsed(tf.constant("7")).numpy() == 7
    assert parsed(tf.constant("seven")).numpy() == -1
