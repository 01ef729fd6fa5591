"""A tiny model with something to find, its SavedModel, and the scripts as modules."""

import importlib.util
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image
from tiny import tiny_config

import tfmaskrcnn as mr
from tfmaskrcnn.weights import named_weights

ROOT = Path(__file__).resolve().parent.parent.parent
# Of the last layers: random ones start so small that all scores and masks are alike.
GAINS = {"box_head/class_logits": 60.0, "box_head/box_deltas": 60.0, "mask_head/logits": 900.0}


@pytest.fixture(scope="session")
def script():
    """A function from a name to the module `export/NAME.py`, under a name of its own."""

    def load(name):
        spec = importlib.util.spec_from_file_location(f"export_{name}", ROOT / f"export/{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


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
