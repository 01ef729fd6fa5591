"""`inference/beam_model.py`: an exported model in a pipeline, without Beam."""

import numpy as np
import pytest

from helpers.stub_source import found_in
from helpers.tiny import tiny_config
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.inference.beam_model import About, LoadedModel
from tfmaskrcnn.inference.opening import Source
from tfmaskrcnn.inference.score_thresholds import ScoreThresholds
from tfmaskrcnn.inference.tiling.tile_plan import TileOptions


def saved(folder, *overrides):
    """A folder with what `About` reads of a SavedModel."""
    (folder / "assets").mkdir()
    (folder / "saved_model.pb").touch()
    config = tiny_config("class_names=[a, b, c]", "category_ids=[5, 9, 7]", *overrides).model
    (folder / "assets/config.json").write_text(config.model_dump_json())
    return str(folder)


def test_an_image_that_cannot_be_looked_at_does_not_stop_the_others(monkeypatch):
    def predict(images):
        if any(image.max() == 0 for image in images):
            raise InputError("It is black.")
        return [found_in(image) for image in images]

    monkeypatch.setattr(
        "tfmaskrcnn.inference.beam_model.open_source", lambda _: Source(predict, (), ())
    )
    model = LoadedModel("model", TileOptions("none"))
    images = [np.full((20, 30, 3), value, np.uint8) for value in (9, 0, 7)]
    first, black, last = model.found(images)
    assert len(first) == len(last) == 1 and black == "It is black."


def test_what_a_saved_model_says_of_itself(tmp_path):
    about = About(saved(tmp_path))
    assert (about.names, about.ids, about.channels) == (("a", "b", "c"), (5, 9, 7), 3)
    row = about.specimen()
    assert list(row)[:4] == ["picture", "image_id", "id", "class"] and "solidity" in row
    assert not any(value is None for value in row.values())
    found = found_in(np.zeros((20, 30, 3)), (1, 2, 3))  # scores 0.9, 0.6, 0.3
    assert [len(about.chosen(found, t)) for t in (None, 0.3, 0.95)] == [2, 3, 0]
    about.thresholds = ScoreThresholds((0.95, 0.6, 0.2), 0.5, 0.5, "mask", 7)
    assert about.chosen(found).classes.tolist() == [2, 3]


def test_a_model_of_boxes_has_no_columns_of_masks(tmp_path):
    about = About(saved(tmp_path, "mask_head={enabled: false}"))
    assert not about.masks and list(about.specimen())[-1] == "y2"


def test_what_is_no_saved_model_is_told(tmp_path):
    with pytest.raises(InputError, match="no SavedModel"):
        About(str(tmp_path))
