import json
import os

from helpers.tiny import tiny_config
from tfmaskrcnn.export.assets import write_assets
from tfmaskrcnn.export.options import ExportOptions
from tfmaskrcnn.inference.opening import Source, about_exported
from tfmaskrcnn.inference.trained_sizes import NetworkInput, TrainedSizes

SIZES = TrainedSizes(0.5, 1.0, 1.25, 58.0, 0.2, 46, 1059)


def exported(folder, sizes, max_pixels):
    """What is read of the assets of an export."""
    os.makedirs(os.path.join(folder, "assets"))
    options = ExportOptions(max_pixels=max_pixels)
    write_assets(tiny_config().model, options, os.path.join(folder, "assets"), None, sizes)
    return about_exported(str(folder), Source(None, (), ()))


def test_an_export_tells_the_sizes_of_its_training(tmp_path):
    found = exported(tmp_path, SIZES, 1000)
    assert found.sizes == SIZES and found.trained and found.max_pixels == 1000
    assert found.input == NetworkInput(96, 128)


def test_an_export_of_imported_weights_is_not_taken_for_an_older_one(tmp_path):
    found = exported(tmp_path, None, 1000)
    assert found.sizes is None and not found.trained
    path = tmp_path / "assets" / "export.json"
    about = json.loads(path.read_text())
    del about["trained"]  # of before
    path.write_text(json.dumps(about))
    assert about_exported(str(tmp_path), Source(None, (), ())).trained
