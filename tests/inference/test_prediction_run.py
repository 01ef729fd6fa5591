"""`inference/prediction_run.py`: whatever happens on the way, nothing is lost."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from helpers.one_stack import on_stack_a
from helpers.paths import ROOT
from helpers.stub_source import seen_source
from tfmaskrcnn import InputError
from tfmaskrcnn.inference.prediction_files import predict_all
from tfmaskrcnn.inference.prediction_options import PredictionOptions

# Imports once and forks for each of two runs, which predict slowly, three images at a time;
# arguments: the folder of images, the output folder.
SLOW = """
import os, sys, time
sys.path.insert(0, "tests")
from helpers.stub_source import seen_source
from inference.test_prediction_run import SAVED
from tfmaskrcnn.inference.prediction_files import predict_all
source = seen_source()
def predict(images):
    time.sleep(0.05)
    return source.predict(images)
for _ in range(2):
    child = os.fork()
    if not child:
        slow = source._replace(predict=predict)
        predict_all(slow, [sys.argv[1]], sys.argv[2], SAVED._replace(resume=True))
        os._exit(0)
    print(child, flush=True)
    os.waitpid(child, 0)
"""
SAVED = PredictionOptions(batch_size=3, save=("pictures", "coco", "labelme"))


@pytest.fixture
def images(tmp_path):
    """A folder of 30 images of noise in several sizes, two of them damaged."""
    folder, rng = tmp_path / "in", np.random.default_rng(0)
    folder.mkdir()
    for i in range(30):
        size = int(rng.integers(20, 24)), int(rng.integers(25, 40)), 3
        Image.fromarray(rng.integers(0, 255, size, np.uint8)).save(folder / f"{i:02}.png")
    (folder / "07.png").write_bytes((folder / "07.png").read_bytes()[:99])
    (folder / "20.png").write_bytes(b"")
    return folder


def contents(folder, without=()):
    """Name -> content of all files below a folder."""
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name not in without]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def test_damaged_files_are_named_and_the_rest_goes_on(images, tmp_path, caplog):
    outcome = predict_all(seen_source(), [str(images)], str(tmp_path / "out"), SAVED)
    assert outcome.images == 28 and [name[-6:] for name, _ in outcome.failed] == [
        "07.png",
        "20.png",
    ]
    assert "20.png is empty (0 bytes)" in outcome.failed[1][1]
    assert [r.message for r in caplog.records if r.levelname == "WARNING"] == [
        reason for _, reason in outcome.failed
    ]
    with open(outcome.results, encoding="utf-8") as file:
        results = json.load(file)
    assert len(results) == outcome.detections > 30
    assert {r["image_id"] for r in results}.isdisjoint({8, 21})
    assert not (tmp_path / "out" / "07.png").exists()


@on_stack_a
def test_a_killed_prediction_goes_on_and_gives_the_same_files(images, tmp_path):
    predict_all(seen_source(), [str(images)], str(tmp_path / "whole"), SAVED)
    out = tmp_path / "killed"
    done = 0
    command = [sys.executable, "-c", SLOW, str(images), str(out)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            until = time.monotonic() + 60
            while lines(out / "predictions.jsonl") < done + 6 and time.monotonic() < until:
                time.sleep(0.005)
            os.kill(int(line), signal.SIGKILL)
            done = lines(out / "predictions.jsonl")
            assert 6 <= done < 30
            with open(out / "results.json", encoding="utf-8") as file:  # whole at any moment
                assert isinstance(json.load(file), list)
    with pytest.raises(InputError, match="unfinished prediction"):
        predict_all(seen_source(), [str(images)], str(out), SAVED)
    log = []
    predict_all(seen_source(log), [str(images)], str(out), SAVED._replace(resume=True))
    assert sum(log) < 30 - done + 8  # what was done is not done again
    assert contents(out) == contents(tmp_path / "whole")


def lines(path):
    return path.read_bytes().count(b"\n") if path.exists() else 0


def test_ctrl_c_leaves_whole_results_and_says_how_to_go_on(images, tmp_path):
    source, seen = seen_source(), []

    def predict(images):
        seen.append(len(images))
        if len(seen) == 4:
            raise KeyboardInterrupt
        return source.predict(images)

    out = tmp_path / "out"
    with pytest.raises(
        KeyboardInterrupt, match=r"8 of 30 images are in .*results.json; .*--resume"
    ):
        predict_all(source._replace(predict=predict), [str(images)], str(out), SAVED)
    with open(out / "coco.json", encoding="utf-8") as file:
        assert len(json.load(file)["images"]) == 8
    predict_all(source, [str(images)], str(out), SAVED._replace(resume=True))
    predict_all(source, [str(images)], str(tmp_path / "whole"), SAVED)
    assert contents(out) == contents(tmp_path / "whole")


def test_half_files_of_one_killed_before_its_first_image_are_removed(images, tmp_path):
    out = tmp_path / "out"
    predict_all(seen_source(), [str(images / "01.png")], str(out), SAVED)
    (out / "labelme" / "00.json.123.tmp").write_text("{")
    journal = out / "predictions.jsonl"
    journal.write_bytes(journal.read_bytes().splitlines(keepends=True)[0])
    predict_all(seen_source(), [str(images / "01.png")], str(out), SAVED._replace(resume=True))
    assert os.listdir(out / "labelme") == ["01.json"]


def test_what_could_not_be_read_is_tried_again(images, tmp_path):
    out = str(tmp_path / "out")
    assert len(predict_all(seen_source(), [str(images)], out, SAVED).failed) == 2
    Image.new("RGB", (30, 20)).save(images / "20.png")
    log = []
    outcome = predict_all(seen_source(log), [str(images)], out, SAVED._replace(resume=True))
    assert outcome.images == 29 and len(outcome.failed) == 1 and len(log) == 2
    assert (tmp_path / "out" / "20.png").exists()


def test_other_settings_inputs_and_models_do_not_go_on(images, tmp_path):
    out = str(tmp_path / "out")
    options = PredictionOptions(resume=True, save=("none",), model="a")
    predict_all(seen_source(), [str(images / "00.png")], out, options)
    for changed, inputs, expected in (
        (options._replace(threshold=0.7), "00.png", "begun with threshold None, not 0.7"),
        (options._replace(model="b"), "00.png", "is of another model"),
        (options, "01.png", "is of other images"),
    ):
        with pytest.raises(InputError, match=expected):
            predict_all(seen_source(), [str(images / inputs)], out, changed)


def test_shards_are_the_whole_in_parts(images, tmp_path):
    options = PredictionOptions(save=("pictures",))
    predict_all(seen_source(), [str(images)], str(tmp_path / "whole"), options)
    joined, pictures = [], {}
    for i in (1, 2, 3):
        out = tmp_path / str(i)
        predict_all(seen_source(), [str(images)], str(out), options._replace(shard=(i, 3)))
        joined += json.loads((out / "results.json").read_text())
        pictures.update(contents(out, ["results.json", "predictions.jsonl"]))
    whole = json.loads((tmp_path / "whole" / "results.json").read_text())
    assert sorted(joined, key=lambda r: r["image_id"]) == whole
    assert pictures == contents(tmp_path / "whole", ["results.json", "predictions.jsonl"])


def test_an_image_that_the_model_refuses_does_not_stop_those_beside_it(images, tmp_path):
    source = seen_source()
    for error in (InputError("Image 1 of the batch is bad."), MemoryError()):

        def predict(images, error=error):
            if any(image.shape[0] == 22 for image in images):
                raise error
            return source.predict(images)

        out = str(tmp_path / type(error).__name__)
        outcome = predict_all(source._replace(predict=predict), [str(images)], out, SAVED)
        assert 5 < len(outcome.failed) < 25 and len(outcome.failed) + outcome.images == 30
        for name, reason in outcome.failed:
            assert os.path.basename(name) in reason


def test_an_error_of_the_program_leaves_what_was_found(images, tmp_path):
    source, seen = seen_source(), []

    def predict(images):
        seen.append(images)
        return source.predict(images) if len(seen) < 4 else 1 / 0

    with pytest.raises(ZeroDivisionError):
        predict_all(source._replace(predict=predict), [str(images)], str(tmp_path / "o"), SAVED)
    results = json.loads((tmp_path / "o" / "results.json").read_text())
    assert 0 < max(r["image_id"] for r in results) <= 9  # of three batches


@pytest.mark.parametrize("number", [errno.ENAMETOOLONG, errno.ENOSPC])
def test_a_file_that_cannot_be_made_is_named_and_a_full_disk_stops(
    number, images, tmp_path, monkeypatch
):
    made = os.makedirs

    def refusing(path, *args, **options):
        if path.endswith("sub"):
            raise OSError(number, os.strerror(number), path)
        return made(path, *args, **options)

    (images / "sub").mkdir()
    shutil.copy(images / "01.png", images / "sub")
    out, options = tmp_path / "out", SAVED._replace(recursive=True)
    monkeypatch.setattr(os, "makedirs", refusing)
    if number == errno.ENOSPC:
        with pytest.raises(OSError, match="No space left"):
            predict_all(seen_source(), [str(images)], str(out), options)
    else:
        done = predict_all(seen_source(), [str(images)], str(out), options)
        assert "sub/01.png: [Errno 36] File name too long" in done.failed[-1][1]
        assert done.images == 28
    assert len({entry["file_name"] for entry in json.loads((out / "results.json").read_text())}) > 9


def test_only_the_most_uncertain_images_are_saved(images, tmp_path):
    options = PredictionOptions(only_uncertain=3, save=("pictures", "coco"), measure=True)
    outcome = predict_all(seen_source(), [str(images)], str(tmp_path / "out"), options)
    assert outcome.images == 28
    chosen = (tmp_path / "out" / "uncertain.txt").read_text().splitlines()
    names = [os.path.basename(path) for path in chosen]
    assert sorted(path.name for path in (tmp_path / "out").glob("*.png")) == sorted(names)
    coco = json.loads((tmp_path / "out" / "coco.json").read_text())
    assert [image["file_name"] for image in coco["images"]] == names
    counts = (tmp_path / "out" / "counts.csv").read_text().splitlines()
    assert len(counts) == 29  # tables are of all images
    objects = (tmp_path / "out" / "objects.csv").read_text().splitlines()[1:]
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert (outcome.objects, outcome.detections) == (len(objects), len(results))
    assert len(objects) == sum(r["score"] >= 0.5 for r in results) < len(results)
    assert list(outcome.written) == [
        "results",
        "uncertain",
        "pictures",
        "coco",
        "objects",
        "counts",
    ]
