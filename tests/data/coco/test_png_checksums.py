"""`data/coco/png_checksums.py`: any flipped bit and any missing end is seen, by whoever reads."""

import io

import numpy as np
import pytest
from PIL import Image

from helpers.cases import case
from tfmaskrcnn.data import read_image
from tfmaskrcnn.data.coco.png_checksums import png_fault
from tfmaskrcnn.errors import InputError


def content(format="PNG"):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format)
    return file.getvalue()


def test_a_sound_file_and_no_png_are_fine():
    for format in ("PNG", "JPEG"):
        assert png_fault(io.BytesIO(content(format))) is None
    assert png_fault(io.BytesIO(b"")) is None


def test_any_flipped_bit_and_any_cut_is_seen(tmp_path):
    sound, rng = content(), np.random.default_rng(1)
    for _ in range(200):
        damaged = bytearray(sound)
        damaged[rng.integers(8, len(sound))] ^= 1 << int(rng.integers(8))
        assert png_fault(io.BytesIO(bytes(damaged)))
        (tmp_path / "a.png").write_bytes(bytes(damaged))
        with pytest.raises(InputError, match="a.png"):
            read_image(str(tmp_path / "a.png"))
        assert "ends before" in png_fault(io.BytesIO(sound[: rng.integers(8, len(sound))]))


def test_the_case_of_one_flipped_bit_is_refused():
    with pytest.raises(InputError, match="a.png is damaged: the checksum of its chunk IDAT"):
        read_image(str(case("hostile/damaged/a.png")))
