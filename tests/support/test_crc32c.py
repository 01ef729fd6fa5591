"""`support/crc32c.py`: checksums."""

import struct

import numpy as np
import pytest
import tensorflow as tf

from tfmaskrcnn.support.crc32c import crc32c, masked_crc32c


def test_the_checksums_of_its_definition():
    # RFC 3720, B.4, and the check value of catalogues of CRCs.
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(b"\0" * 32) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43
    assert crc32c(bytes(range(32))) == 0x46DD794E
    assert crc32c(b"") == 0


@pytest.mark.parametrize("size", [1, 3, 4, 5, 255, 256, 257, 511, 1024, 70_001])
def test_tensorflow_writes_the_same(size, tmp_path):
    content = np.random.default_rng(size).integers(0, 256, size, np.uint8).tobytes()
    path = str(tmp_path / "one.tfrecord")
    with tf.io.TFRecordWriter(path) as writer:
        writer.write(content)
    with open(path, "rb") as file:
        written = file.read()
    assert struct.unpack("<I", written[8:12])[0] == masked_crc32c(written[:8])
    assert struct.unpack("<I", written[-4:])[0] == masked_crc32c(content)
