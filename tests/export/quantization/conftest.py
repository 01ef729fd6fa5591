"""Images to calibrate on."""

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="session")
def ten_images(tmp_path_factory):
    """Ten images of coarse noise."""
    folder, rng = tmp_path_factory.mktemp("calibration"), np.random.default_rng(3)
    for i in range(10):
        small = rng.integers(0, 256, (12, 16, 3), np.uint8)
        Image.fromarray(small).resize((128, 96)).save(folder / f"{i}.png")
    return str(folder)
