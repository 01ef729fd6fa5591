"""The scripts of export/serving as modules, and a model behind the stand-in server."""

import importlib.util
import sys
from pathlib import Path

import pytest
from tiny import tiny_config

import tfmaskrcnn as mr

HERE = Path(__file__).resolve().parent
SCRIPTS = HERE.parents[2] / "export" / "serving"


def script(path):
    spec = importlib.util.spec_from_file_location(f"serving_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def client():
    return script(SCRIPTS / "client.py")


@pytest.fixture(scope="session")
def publish():
    return script(SCRIPTS / "publish.py")


@pytest.fixture(scope="session")
def stand_in():
    return script(HERE / "stand_in.py")


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
