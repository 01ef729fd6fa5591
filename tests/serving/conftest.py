"""A model behind the stand-in server."""

import numpy as np
import pytest

import tfmaskrcnn as mr
from helpers import stand_in
from helpers.some_signatures import exported_with
from helpers.tiny import tiny_config
from tfmaskrcnn.serving import sending

ASKED = ("serving_default", "image_bytes", "preprocess")


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """A tiny model with everything that a client has to know about."""
    labels = "class_names=[circle, square, triangle]"
    config = tiny_config(
        "box_head.score_threshold=0.01", labels, "mask_head.paste_rule=torchvision"
    )
    folder = str(tmp_path_factory.mktemp("exported") / "1")
    return exported_with(ASKED, mr.MaskRCNN(config.model), folder)


@pytest.fixture(scope="session")
def exported_rle(tmp_path_factory):
    """A tiny model that reports errors, gives RLE and has names."""
    config = tiny_config("box_head.score_threshold=0.01")
    options = mr.ExportOptions(masks="rle", on_error="report")
    folder = str(tmp_path_factory.mktemp("exported") / "1")
    return exported_with(ASKED, mr.MaskRCNN(config.model), folder, options)


def warmed_up(model):
    """Called once: on a loaded machine the first call outlasts the clients' patience."""
    image = sending.png_of(np.zeros((40, 60, 3), np.uint8))
    model.predict(model.name, "image_bytes", {"image_bytes": [image]})
    return model


@pytest.fixture(scope="session")
def model(exported):
    """It behind the stand-in server."""
    return warmed_up(stand_in.Model(exported))


@pytest.fixture(scope="session")
def model_rle(exported_rle):
    """It behind the stand-in server."""
    return warmed_up(stand_in.Model(exported_rle))
