"""A tiny model with something to find, its SavedModel, and images."""

import keras
import numpy as np
import pytest
from PIL import Image

import tfmaskrcnn as mr
from helpers.tiny import tiny_config
from tfmaskrcnn.model.weights import named_weights

# Of the last layers: random ones start so small that all scores and masks are alike.
GAINS = {"box_head/class_logits": 60.0, "box_head/box_deltas": 60.0, "mask_head/logits": 900.0}


@pytest.fixture(scope="session")
def saved_model(tmp_path_factory):
    """Folder of a SavedModel for images of any size."""
    keras.utils.set_random_seed(0)
    model = mr.MaskRCNN(tiny_config("box_head.score_threshold=0.05").model)
    for name, variable in named_weights(model).items():
        gain = next((g for part, g in GAINS.items() if name.startswith(f"{part}/kernel")), None)
        if gain:
            variable.assign(variable * gain)
    return mr.export_saved_model(model, str(tmp_path_factory.mktemp("exported") / "1"))


@pytest.fixture(scope="session")
def image_folder(tmp_path_factory):
    """Three images of different sizes."""
    folder, rng = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for i, size in enumerate([(96, 128), (50, 40), (120, 90)]):
        small = rng.integers(0, 256, (size[0] // 8, size[1] // 8, 3), np.uint8)
        Image.fromarray(small).resize(size[::-1]).save(folder / f"{i}.png")
    return str(folder)
