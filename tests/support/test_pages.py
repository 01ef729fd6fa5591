"""`support/pages.py`: what pages are made of."""

import base64

import numpy as np
from PIL import Image

from tfmaskrcnn.support.pages import encodable, jpeg_uri


def test_pictures_stay_small_whatever_they_show():
    noise = np.random.default_rng(0).integers(0, 256, (700, 900, 3), np.uint8)
    content = base64.b64decode(jpeg_uri(Image.fromarray(noise)).split(",")[1])
    assert len(content) < 400_000
    flat = jpeg_uri(Image.new("RGB", (700, 900)))
    assert flat.startswith("data:image/jpeg;base64,") and len(flat) < 20_000


def test_halves_of_characters_become_question_marks():
    assert encodable("a\ud800b \u00e9") == "a?b \u00e9"
