"""`examples/overlays.py`: the picture of styles can be drawn again, and its captions are right."""

import importlib.util

import numpy as np
import pytest

from helpers.paths import EXAMPLES
from tfmaskrcnn.cli import predict
from tfmaskrcnn.cli.main import _parser
from tfmaskrcnn.drawing.drawing_style import DrawingStyle


@pytest.fixture(scope="module")
def overlays():
    spec = importlib.util.spec_from_file_location("overlays", EXAMPLES / "overlays.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_picture_of_all_styles_is_drawn(overlays):
    sheet = overlays.styles()
    assert sheet.dtype == np.uint8 and sheet.shape[1] > 3 * overlays.CELL


def test_the_captions_are_the_options_that_give_these_styles(overlays):
    for caption, style in overlays.STYLES.items():
        words = [] if caption == "as it comes" else caption.split()
        options = _parser().parse_args(["predict", "runs/mine", "a.png", "--out", "found", *words])
        assert predict._options(options).style == style
    assert overlays.STYLES["as it comes"] == DrawingStyle()
