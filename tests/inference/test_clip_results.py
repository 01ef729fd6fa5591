"""`inference/clip_results.py`: videos from one end of a prediction to the other."""

import contextlib
import csv
import json
import os
import sys

import numpy as np
import pytest

from helpers.stub_source import picture
from helpers.video_files import lossless
from tfmaskrcnn import InputError, Instances
from tfmaskrcnn.inference.opening import Source
from tfmaskrcnn.inference.prediction_files import predict_all, prepared_pictures
from tfmaskrcnn.inference.prediction_options import PredictionOptions
from tfmaskrcnn.inference.video import VideoFrames

COUNT, SIDE = 12, 12
NOTHING = PredictionOptions(save=("none",))


def moving(path):
    """Two bright squares that pass each other; the second is away in frames 4 and 5."""
    frames = np.full((COUNT, 48, 64, 3), 30, np.uint8)
    for t, frame in enumerate(frames):
        frame[4 : 4 + SIDE, 2 * t : 2 * t + SIDE] = 200
        if t not in (4, 5):
            frame[30 : 30 + SIDE, 50 - 2 * t : 50 - 2 * t + SIDE] = 150
    return lossless(path, frames, 10)


def squares_source(stop_at=None):
    """A `Source` that finds the squares, the brighter one second; stops at that picture."""
    seen = []

    def predict(images):
        seen.extend(images)
        if stop_at is not None and len(seen) > stop_at:
            raise KeyboardInterrupt
        return [_squares(image) for image in images]

    return Source(predict, ("square",), (7,))


def _squares(image):
    boxes = []
    for value in (150, 200):
        rows, columns = np.nonzero(image[..., 0] == value)
        if len(rows):
            boxes.append([rows.min(), columns.min(), rows.max() + 1, columns.max() + 1])
    return Instances(
        boxes=np.array(boxes).reshape(-1, 4),
        scores=np.linspace(0.9, 0.8, len(boxes)),
        classes=np.ones(len(boxes)),
        size=image.shape[:2],
        mask_probabilities=np.ones((len(boxes), 28, 28)),
    )


def rows_of(folder, name):
    with open(os.path.join(folder, name), newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def content(folder):
    """What results and the video hold, to be compared."""
    found = {}
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if name.endswith(".mp4"):
            found[name] = np.array([image for _, _, image in VideoFrames(path)])
        elif name.endswith((".json", ".csv")):
            with open(path, encoding="utf-8") as file:
                found[name] = file.read()
    return found


def test_objects_keep_their_numbers_in_tables_journal_and_data_sets(tmp_path):
    still = picture(tmp_path / "in" / "a.png")
    clip = moving(tmp_path / "in" / "clip.mkv")
    out = str(tmp_path / "out")
    options = PredictionOptions(save=("none",), measure=True)
    assert predict_all(squares_source(), [still, clip], out, options).images == COUNT + 1
    objects = rows_of(out, "objects.csv")
    assert list(objects[0])[:5] == ["picture", "image_id", "frame", "seconds", "id"]
    by_number = {number: [r for r in objects if r["id"] == number] for number in "12"}
    assert len(by_number["1"]) + len(by_number["2"]) == len(objects)
    assert {r["y1"] for r in by_number["1"]} == {"30"} and {r["y1"] for r in by_number["2"]} == {
        "4"
    }
    assert [r["frame"] for r in by_number["1"]] == [str(t) for t in range(COUNT) if t not in (4, 5)]
    assert by_number["2"][3]["picture"] == "clip.mkv#000003"
    assert float(by_number["2"][3]["seconds"]) == pytest.approx(0.3)
    counts = rows_of(out, "counts.csv")
    assert (counts[0]["picture"], counts[0]["frame"], counts[0]["seconds"]) == ("a.png", "", "")
    assert [r["square"] for r in counts[1:]] == ["2"] * 4 + ["1"] * 2 + ["2"] * 6
    assert [r["frame"] for r in counts[1:]] == [str(t) for t in range(COUNT)]
    with open(os.path.join(out, "results.json"), encoding="utf-8") as file:
        results = json.load(file)
    assert {r["image_id"] for r in results} == set(range(2, COUNT + 2))
    assert results[-1]["file_name"].endswith("clip.mkv#000011")


@pytest.mark.parametrize("batch_size, stops", [(1, (0, 3, 5)), (4, (6,))])
def test_a_video_that_is_stopped_goes_on_to_the_same_results(tmp_path, batch_size, stops):
    clip = moving(tmp_path / "clip.mkv")
    folders = [str(tmp_path / name) for name in ("whole", "stopped")]
    for folder in folders:
        options = PredictionOptions(
            save=("none",), measure=True, batch_size=batch_size, resume=True
        )._replace(video=os.path.join(folder, "drawn.mp4"))
        for stop in stops if folder == folders[1] else ():
            with pytest.raises(KeyboardInterrupt):
                predict_all(squares_source(stop), [clip], folder, options)
        predict_all(squares_source(), [clip], folder, options)
    whole, other = map(content, folders)
    assert set(whole) == set(other) == {"results.json", "objects.csv", "counts.csv", "drawn.mp4"}
    assert len(whole["drawn.mp4"]) == COUNT
    for name in whole:
        np.testing.assert_array_equal(whole[name], other[name])


def test_every_nth_frame_is_drawn_at_that_rate_and_counted(tmp_path, monkeypatch):
    counted = []
    bars = contextlib.nullcontext((lambda *numbers: counted.append(numbers), None))
    monkeypatch.setattr("tfmaskrcnn.inference.prediction_run.progress_bars", lambda *_: bars)
    drawn = str(tmp_path / "drawn.mp4")
    options = NOTHING._replace(every=3, video=drawn)
    clip = moving(tmp_path / "clip.mkv")
    outcome = predict_all(squares_source(), [clip], str(tmp_path / "out"), options)
    assert outcome.written == {"results": str(tmp_path / "out" / "results.json"), "video": drawn}
    assert [done for done, _ in counted] == [0, 1, 2, 3, 4, 4]  # the video's end is no frame
    assert {total for _, total in counted} == {4}
    again = VideoFrames(drawn)
    assert (len(list(again)), again.size) == (4, (48, 64))
    assert again.fps == pytest.approx(10 / 3, abs=0.01)


def test_a_damaged_video_gives_its_whole_frames_and_is_named_once(tmp_path):
    rng = np.random.default_rng(0)
    lossless(tmp_path / "noise.mkv", rng.integers(0, 256, (30, 48, 64, 3), np.uint8))
    half = (tmp_path / "noise.mkv").read_bytes()
    (tmp_path / "cut.mkv").write_bytes(half[: len(half) // 2])
    (tmp_path / "text.mp4").write_bytes(b"no video")
    last = picture(tmp_path / "last.png")
    inputs = [str(tmp_path / "cut.mkv"), str(tmp_path / "text.mp4"), last]
    outcome = predict_all(squares_source(), inputs, str(tmp_path / "out"), NOTHING)
    (cut, why), (text, reason) = outcome.failed
    assert (cut, text) == tuple(inputs[:2])
    assert "damaged: only the first" in why and "cannot be read as a video" in reason
    assert 10 < outcome.images < 20


def test_what_cannot_be_done_with_videos_is_told_beforehand(tmp_path):
    clip, out = moving(tmp_path / "clip.mkv"), str(tmp_path / "out")
    still = picture(tmp_path / "a.png")
    for inputs, options, text in (
        ([still], {"video": "a.mp4"}, "is for the frames of one video; the inputs hold 0"),
        ([clip], {"video": clip}, "would replace an input"),
        ([clip], {"video": str(tmp_path / "a.gif")}, "wanted a name that ends in .mp4"),
        ([clip], {"shard": (1, 2)}, "give each machine its own videos"),
    ):
        with pytest.raises(InputError, match=text):
            predict_all(squares_source(), inputs, out, NOTHING._replace(**options))


def test_a_video_at_an_address_is_named_and_the_rest_goes_on(tmp_path):
    inputs = ["http://127.0.0.1:9/a.mp4?x=1", picture(tmp_path / "a.png")]
    outcome = predict_all(squares_source(), inputs, str(tmp_path / "out"), NOTHING)
    assert outcome.images == 1
    ((_, why),) = outcome.failed
    assert why == "http://127.0.0.1:9/a.mp4?x=1 is a video; download it before."


def test_a_missing_package_is_told_before_a_model_is_opened(tmp_path, monkeypatch):
    clip = moving(tmp_path / "clip.mkv")
    for name in ("scipy", "scipy.optimize"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InputError, match="needs the package scipy"):
        prepared_pictures([clip], str(tmp_path / "out"), NOTHING)
