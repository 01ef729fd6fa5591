"""A model behind the stand-in server."""

import pytest

import tfmaskrcnn as mr
from helpers import stand_in
from helpers.tiny import tiny_config


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """A tiny model with everything that a client has to know about."""
    labels = "class_names=[circle, square, triangle]"
    config = tiny_config(
        "box_head.score_threshold=0.01", labels, "mask_head.paste_rule=torchvision"
    )
    folder = str(tmp_path_factory.mktemp("exported") / "1")
    return mr.export_saved_model(mr.MaskRCNN(config.model), folder)


@pytest.fixture(scope="session")
def exported_rle(tmp_path_factory):
    """A tiny model that reports errors, gives RLE and has names."""
    config = tiny_config("box_head.score_threshold=0.01")
    options = mr.ExportOptions(masks="rle", on_error="report")
    folder = str(tmp_path_factory.mktemp("exported") / "1")
    return mr.export_saved_model(mr.MaskRCNN(config.model), folder, options)


@pytest.fixture(scope="session")
def model(exported):
    """It behind the stand-in server."""
    return stand_in.Model(exported)


@pytest.fixture(scope="session")
def model_rle(exported_rle):
    """It behind the stand-in server."""
    return stand_in.Model(exported_rle)
