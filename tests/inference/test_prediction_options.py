"""`inference/prediction_options.py`; what is told of wrong ones is in `cli/test_predict.py`."""

import json
import shutil

import numpy as np
import pytest

from helpers.tiny import tiny_config
from tfmaskrcnn import InputError
from tfmaskrcnn.inference import prediction_options
from tfmaskrcnn.inference.prediction_options import (
    PredictionOptions,
    checked_options,
    model_digest,
)


def test_settings_are_json_s_types_and_hold_what_decides_about_files():
    options = PredictionOptions(save=("coco", "coco", "pictures"), shard=(1, 2), resume=True)
    settings = options.settings()
    assert json.loads(json.dumps(settings)) == settings
    assert settings == options._replace(resume=False, model="x", recursive=True).settings()
    assert settings != options._replace(shard=(2, 2)).settings()
    assert settings["style"]["color_by"] == "auto" and options.formats == ("coco",)


@pytest.mark.parametrize(
    "wrong",
    [
        *({"shard": value} for value in ((3, 2), (0, 2), (1,), "1/2", (1.0, 2))),
        *({"tolerance": value} for value in (-1.0, "0.5", None, float("nan"))),
        *({"threshold": value} for value in (2.0, "0.5", float("nan"), True)),
        *({"only_uncertain": value} for value in (0, "3")),
        *({"every": value} for value in (0, -2, 1.5)),
        *({"save": value} for value in ("coco", None)),
        *({"style": "splash"}, {"ids_from": 5}, {"video": 5}, {"label_format": "bmp"}),
    ],
)
def test_values_from_python_are_checked(wrong):
    (name,) = wrong
    with pytest.raises(InputError, match=name.replace("_", "-")):
        checked_options(PredictionOptions(**wrong))


def test_values_of_numpy_and_paths_are_values(tmp_path):
    options = PredictionOptions(threshold=np.float32(0.5), every=np.int64(2), video=tmp_path)
    settings = checked_options(options).settings()
    assert settings["threshold"] == 0.5 and settings["video"] == str(tmp_path)


def test_the_digest_tells_models_settings_and_ways_of_looking_apart(tmp_path, monkeypatch):
    monkeypatch.setattr(prediction_options, "weights_digest", lambda path: "w")
    run, config = str(tmp_path), tiny_config()
    first = model_digest(run, config)
    assert first == model_digest(run, tiny_config("train.epochs=3"))  # nothing of the model
    (tmp_path / "thresholds.json").write_text("{}")
    digests = {first, model_digest(run, config), model_digest(run, config, ["hflip"])}
    digests.add(model_digest(run, tiny_config("box_head.nms_iou=0.4")))
    monkeypatch.setattr(prediction_options, "weights_digest", lambda path: "v")
    digests.add(model_digest(run, config))
    assert len(digests) == 5


def test_the_digest_of_a_saved_model_is_of_its_graph_and_weights(tmp_path):
    folder = tmp_path / "1"
    (folder / "variables").mkdir(parents=True)
    names = ("saved_model.pb", "variables/variables.index")
    for name in names:
        (folder / name).write_bytes(b"a")
    first = model_digest(str(folder), None)
    assert first == model_digest(str(shutil.copytree(folder, tmp_path / "2")), None)
    for name in names:
        (folder / name).write_bytes(b"b")
        assert model_digest(str(folder), None) != first
        (folder / name).write_bytes(b"a")
