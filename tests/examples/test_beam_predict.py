"""`examples/beam_predict.py` on the DirectRunner with two workers: the same rows as `predict`."""

import csv
import importlib.util
import json
import os
import pathlib

import pytest
import tensorflow as tf

from helpers.paths import EXAMPLES
from helpers.tiny import tiny_config, tiny_data
from tfmaskrcnn import compat
from tfmaskrcnn.cli.main import main
from tfmaskrcnn.data.tfrecord.writing import write_tfrecord

if importlib.util.find_spec("apache_beam") is None:
    # CI installs it on stack A (Makefile).
    if os.environ.get("CI") and not compat.KERAS3:
        pytest.fail("apache_beam is not installed")
    pytest.skip("apache_beam is not installed", allow_module_level=True)

WORKERS = ("--direct_num_workers", "2", "--direct_running_mode", "multi_threading")
TABLES = ("objects", "counts")
NUM_IMAGES = 5


class Finder(tf.Module):
    """Finds three objects in any image, whose places and scores depend on its pixels."""

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8, "images")])
    def serve(self, images):
        """The outputs of an exported model."""
        light = tf.reduce_mean(tf.cast(images, tf.float32), axis=[1, 2]) / 255  # [B, 3]
        ones = tf.ones_like(light)
        start, side = light * [0.3, 0.5, 0.7], ones * [0.1, 0.2, 0.3]
        side = tf.stack([side, side], axis=-1)  # [B, D, 2]
        start = tf.stack([start, start / 2], axis=-1)
        rows = tf.range(28.0)
        disc = tf.sigmoid(12 - tf.abs(rows[:, tf.newaxis] - 14) - tf.abs(rows - 14))
        return {
            "detection_boxes": tf.concat([start, start + side], axis=-1),
            "detection_scores": ones * [0.9, 0.6, 0.2] - light * 0.3,
            "detection_classes": ones * [1.0, 3.0, 2.0],
            "detection_masks": ones[..., tf.newaxis, tf.newaxis] * disc,
            "num_detections": ones[:, 0] * 3,
        }


def save_model(folder):
    """A SavedModel with the configuration that an export has."""
    module = Finder()
    tf.saved_model.save(module, str(folder), {"serving_default": module.serve})
    config = tiny_config('model.class_names=[circle, "=square", "a, b"]').model
    (folder / "assets").mkdir(exist_ok=True)
    (folder / "assets/config.json").write_text(config.model_dump_json())


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with `model`, `data/images` of which one is damaged, and what `predict` finds."""
    folder = tmp_path_factory.mktemp("beam")
    save_model(folder / "model")
    tiny_data(folder / "data", num_images=NUM_IMAGES)
    (folder / "data/images/00bad.png").write_bytes(b"no image")
    arguments = ["--threshold", "0.1", "--save", "none", "--measure"]
    images, out = str(folder / "data/images"), str(folder / "predicted")
    assert main(["predict", str(folder / "model"), images, "--out", out, *arguments]) == 1
    return folder


@pytest.fixture(scope="module")
def beam_predict():
    spec = importlib.util.spec_from_file_location("beam_predict", EXAMPLES / "beam_predict.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def results(folder):
    return json.loads((folder / "results.json").read_text())


def as_set(entries):
    return sorted(json.dumps(entry, sort_keys=True) for entry in entries)


def table(folder, name):
    with open(folder / f"{name}.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_files_give_the_rows_of_predict_and_a_bad_one_is_told(beam_predict, place, capsys):
    out = place / "files"
    arguments = [str(place / "model"), str(place / "data/images"), "--out", str(out)]
    assert beam_predict.main([*arguments, "--threshold", "0.1", *WORKERS]) == 1
    assert f"{NUM_IMAGES} images, " in capsys.readouterr().out
    assert sorted(os.listdir(out)) == [
        *("counts.csv", "failed.jsonl", "objects.csv", "results.json"),
    ]
    predicted = place / "predicted"
    assert results(predicted) and as_set(results(out)) == as_set(results(predicted))
    for name in TABLES:
        header, *lines = (predicted / f"{name}.csv").read_bytes().splitlines(keepends=True)
        found_header, *found = (out / f"{name}.csv").read_bytes().splitlines(keepends=True)
        assert found_header == header and sorted(found) == sorted(lines) and lines
    [failed] = map(json.loads, (out / "failed.jsonl").read_text().splitlines())
    assert failed["file_name"].endswith("00bad.png") and "Pillow" in failed["reason"]


def test_records_give_the_same_as_parquet(beam_predict, place):
    parquet = pytest.importorskip("pyarrow.parquet")  # Beam brings it
    json_path, images = place / "data/instances.json", place / "data/images"
    write_tfrecord(str(json_path), str(images), str(place / "set"), 2, workers=1)
    damaged = pathlib.Path(f"{place}/set-00001-of-00002.tfrecord")
    damaged.write_bytes(damaged.read_bytes()[:-1])  # of its last record
    out = place / "records"
    arguments = [str(place / "model"), f"{place}/set-*.tfrecord", "--out", str(out), "--tfrecord"]
    arguments += ["--threshold", "0.1", "--table", "parquet", "--files", "2"]
    assert beam_predict.main([*arguments, *WORKERS]) == 1
    # Ids and names are those of the records; without the picture that is cut off.
    known = {i["file_name"]: i["id"] for i in json.loads(json_path.read_text())["images"]}
    last = max(known)
    wanted = [
        {**entry, "image_id": known[name], "file_name": name}
        for entry in results(place / "predicted")
        for name in [os.path.basename(entry["file_name"])]
        if name != last
    ]
    parts = [json.loads(path.read_text()) for path in out.glob("results-*-of-00002.json")]
    assert len(parts) == 2 and as_set(sum(parts, [])) == as_set(wanted)
    for name in TABLES:
        files = list(out.glob(f"{name}-*-of-00002.parquet"))
        rows = [row for path in files for row in parquet.read_table(path).to_pylist()]
        lines = [row for row in table(place / "predicted", name) if row["picture"] != last]
        assert len(files) == 2 and len(rows) == len(lines) > 0
        for row in lines:
            row["image_id"] = known[row["picture"]]
        key = ["picture", *(["id"] if name == "objects" else [])]
        rows.sort(key=lambda row: [str(row[k]) for k in key])
        lines.sort(key=lambda row: [str(row[k]) for k in key])
        for row, line in zip(rows, lines):
            values = line.values()  # a spreadsheet's formulas are quoted in the CSV alone
            for value, text in zip(row.values(), values):
                if isinstance(value, float):
                    assert value == pytest.approx(float(text), rel=1e-5)
                else:
                    assert str(value) == str(text).lstrip("'")
    assert "is cut off" in (out / "failed.jsonl").read_text()


def test_what_cannot_be_is_told_before_workers_start(beam_predict, place, capsys):
    model, out = str(place / "model"), str(place / "never")
    for arguments, said in (
        ([model, str(place / "none*.png")], "none*.png matches no file"),
        ([str(place / "data"), str(place / "data/images")], "is no SavedModel"),
        ([model, str(place / "data/images"), "--pixel-size", "3"], "no unit"),
    ):
        assert beam_predict.main([*arguments, "--out", out]) == 2
        assert said in capsys.readouterr().err
    assert not os.path.exists(out)


def test_a_model_on_another_file_system_is_copied(place, monkeypatch, tmp_path):
    from apache_beam.io.localfilesystem import LocalFileSystem

    from tfmaskrcnn.inference.beam_model import About, on_this_disk

    class Bucket(LocalFileSystem):
        """`bucket://` is the folder of this test."""

        @classmethod
        def scheme(cls):
            return "bucket"

        def match(self, patterns, limits=None):
            found = super().match([p.replace("bucket:/", str(place)) for p in patterns], limits)
            for result in found:
                for file in result.metadata_list:
                    file.path = file.path.replace(str(place), "bucket:/")
            return found

        def open(self, path, *more, **others):
            return super().open(path.replace("bucket:/", str(place)), *more, **others)

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    copy = on_this_disk("bucket://model/")
    wanted = sorted(p.relative_to(place / "model") for p in (place / "model").rglob("*"))
    assert sorted(p.relative_to(copy) for p in pathlib.Path(copy).rglob("*")) == wanted
    about = About("bucket://model")
    assert about.names == ("circle", "=square", "a, b") and about.masks
