"""`inference/prediction_outputs.py`; what is in the files is tested with `prediction_run`."""

import os

import pytest

from helpers.stub_source import picture, seen_source
from tfmaskrcnn import InputError
from tfmaskrcnn.inference import prediction_outputs
from tfmaskrcnn.inference.prediction_files import predict_all
from tfmaskrcnn.inference.prediction_options import PredictionOptions
from tfmaskrcnn.inference.prediction_outputs import Outputs


class Clock:
    """A time that goes by as it is told."""

    def __init__(self):
        self.now = 100.0

    def monotonic(self):
        return self.now


@pytest.mark.parametrize("each, seconds", [(0.0, 1.0), (0.01, 0.3), (2.0, 1.0)])
def test_files_of_all_images_take_a_twentieth_of_the_time(monkeypatch, each, seconds):
    clock, spent, written = Clock(), [0.0], []
    monkeypatch.setattr(prediction_outputs, "time", clock)
    outputs = Outputs("out", PredictionOptions(save=()), [])

    def write(journal):
        written.append(len(journal))
        took = each * len(journal)  # they take longer the more images there are
        clock.now, spent[0] = clock.now + took, spent[0] + took

    monkeypatch.setattr(outputs, "write_so_far", write)
    journal, begun = [], clock.now
    for _ in range(2000):
        journal.append(0)
        clock.now += seconds
        outputs.write_now_and_then(journal)
    assert written[0] == 1 and len(written) > 1  # soon, and again
    assert written[-1] > 1000 or each > 1
    assert spent[0] <= 0.06 * (clock.now - begun)


def test_folders_keep_their_names_and_images_of_one_name_apart(tmp_path):
    for name in ("a/x.png", "b/x.png", "b/masks/x.png"):
        picture(tmp_path / "in" / name, (25, 31), 7 + len(name))
    options = PredictionOptions(recursive=True, save=("pictures", "labels"), threshold=0.0)
    out = tmp_path / "in" / "b" / "found"
    for _ in range(2):  # a second time what was written is no input
        outcome = predict_all(seen_source(), [str(tmp_path / "in")], str(out), options)
        assert outcome.images == 3 and outcome.written["pictures"] == str(out / "**" / "*.png")
    found = {str(path.relative_to(out)) for path in out.rglob("*.png")}
    stems = {"a/x.png", "b/x.png", "b/masks/x.png"}
    assert found == stems | {f"labels/{stem}" for stem in stems}


def test_inputs_in_a_folder_that_is_written_are_refused(tmp_path):
    path = picture(tmp_path / "out" / "labels" / "x.png")
    options = PredictionOptions(save=("labels",))
    with pytest.raises(InputError, match="The inputs lie in .*labels/, where --save labels writes"):
        predict_all(seen_source(), [path], str(tmp_path / "out"), options)
    assert sorted(os.listdir(tmp_path / "out")) == ["labels"]


def test_a_writer_that_fails_on_one_image_does_not_stop_the_others(tmp_path, monkeypatch):
    for i in range(4):
        picture(tmp_path / "in" / f"{i}.png", (25, 31), i)

    def write(result, folder, options):
        if result.stem == bad:
            raise InputError(f"{result.stem} cannot be written.")

    monkeypatch.setattr(prediction_outputs, "writer", lambda name: write)
    options = PredictionOptions(save=("masks",))
    bad = "2"
    outcome = predict_all(seen_source(), [str(tmp_path / "in")], str(tmp_path / "out"), options)
    assert outcome.images == 3 and outcome.failed[0][1].endswith("2 cannot be written.")
    bad = "0"  # the first: it may be so with all
    with pytest.raises(InputError, match="0 cannot be written"):
        predict_all(seen_source(), [str(tmp_path / "in")], str(tmp_path / "other"), options)
