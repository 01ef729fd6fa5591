"""Find objects in many images with Apache Beam: on this machine, Dataflow, Flink or Spark.

    pip install 'tfmaskrcnn[beam]'
    python examples/beam_predict.py exported/1 'photos/*.jpg' --out found
    python examples/beam_predict.py exported/1 'shards/*.tfrecord' --tfrecord --out found

Writes `results.json` (all detections, COCO results), `objects` and `counts` (what is at or above
the thresholds; CSV or Parquet) as `tfmaskrcnn predict --measure` does, in no order, and
`failed.jsonl`, a line with the reason for each image that could not be read. All other options are
Beam's, such as `--direct_num_workers 2 --direct_running_mode multi_processing`.
docs/many_machines.md says more.
"""

import argparse
import dataclasses
import json
import logging
import sys

import apache_beam as beam
import pyarrow as pa
from apache_beam.coders import BytesCoder
from apache_beam.io.filebasedsink import FileBasedSink
from apache_beam.metrics import Metrics, MetricsFilter
from apache_beam.ml.inference.base import (
    KeyedModelHandler,
    ModelHandler,
    PredictionResult,
    RunInference,
)
from apache_beam.options.pipeline_options import PipelineOptions, WorkerOptions
from apache_beam.pvalue import TaggedOutput

from tfmaskrcnn.cli.arguments import tile_size
from tfmaskrcnn.data.coco.image_files import read_image
from tfmaskrcnn.errors import InputError, one_line
from tfmaskrcnn.inference.beam_inputs import (
    FAILED,
    content_of,
    numbered,
    numbered_records,
    paths_of,
    read_records,
    shard_records,
)
from tfmaskrcnn.inference.beam_model import About, LoadedModel
from tfmaskrcnn.inference.image_paths import why_nothing
from tfmaskrcnn.inference.journal_records import with_rle
from tfmaskrcnn.inference.tiling.tile_plan import TileOptions
from tfmaskrcnn.results.image_result import ImageResult
from tfmaskrcnn.results.measure_tables import count_columns, count_row, csv_line
from tfmaskrcnn.results.measuring import check_installed, measured
from tfmaskrcnn.support.pixel_size import read_pixel_size

OBJECTS, COUNTS = "objects", "counts"


class Reading(beam.DoFn):
    """(image, content or None) -> (image, [H, W, C] uint8), read as `predict` reads."""

    def __init__(self, channels, exif):
        self._how = channels, exif

    def process(self, element):
        """One image, or why it cannot be read."""
        image, content = element
        try:
            yield image, read_image(content or content_of(image[1]), None, *self._how)
        except (InputError, MemoryError, OSError) as error:
            yield TaggedOutput(FAILED, (image[1], one_line(error, 500)))


class SavedModelHandler(ModelHandler):
    """Runs an exported model for `RunInference`; TensorFlow's own handlers open Keras models.

    An image's inference is an `Instances`, or the reason why there is none.
    """

    def __init__(self, folder, batch_size, tiles):
        self._folder, self._batch_size, self._tiles = folder, batch_size, tiles
        super().__init__()

    def load_model(self):
        """The model, once for each process."""
        return LoadedModel(self._folder, self._tiles)

    def batch_elements_kwargs(self):
        """How many images go through the network together."""
        return {"min_batch_size": 1, "max_batch_size": self._batch_size}

    def get_num_bytes(self, batch):
        """Of a batch."""
        return sum(image.nbytes for image in batch)

    def run_inference(self, batch, model, inference_args=None):
        """[N] images [H, W, C] uint8 -> [N] `PredictionResult`s."""
        return [PredictionResult(image, f) for image, f in zip(batch, model.found(list(batch)))]


class Rows(beam.DoFn):
    """What was found -> a text of entries of `results.json` an image, and rows of the tables."""

    def __init__(self, about, threshold, pixel_size):
        self._about, self._threshold, self._pixel_size = about, threshold, pixel_size
        self._counters = {name: _counter(name) for name in ("images", "detections")}

    def process(self, element):
        """The rows of one image."""
        (image_id, name, file_name), result = element
        found = result.inference
        if isinstance(found, str):
            yield TaggedOutput(FAILED, (name, found))
            return
        found = dataclasses.replace(with_rle(found), class_names=self._about.names)
        self._counters["images"].inc()
        self._counters["detections"].inc(len(found))
        entries = found.coco_results(image_id, self._about.ids)
        if entries:
            yield ", ".join(json.dumps({**entry, "file_name": name}) for entry in entries)
        chosen = ImageResult(
            image_id,
            file_name,
            "",
            self._about.chosen(found, self._threshold),
            None,
            result.example,
        )
        for row in measured(chosen, self._pixel_size):
            yield TaggedOutput(OBJECTS, row)
        counts = count_row(chosen, len(self._about.names))
        yield TaggedOutput(COUNTS, dict(zip(count_columns(self._about.names), counts)))


def _counter(name):
    return Metrics.counter("tfmaskrcnn", name)


def write_table(rows, place, table, specimen, files):
    """Write dicts as CSV or Parquet; all have the keys and the types of `specimen`."""
    if table == "parquet":
        types = {int: pa.int64(), float: pa.float64(), str: pa.string()}
        schema = pa.schema([(name, types[type(value)]) for name, value in specimen.items()])
        return rows | f"{place}.parquet" >> beam.io.WriteToParquet(
            place, schema, codec="snappy", file_name_suffix=".parquet", **files
        )
    lines = rows | f"lines of {place}" >> beam.Map(
        lambda row: csv_line(row.get(name) for name in specimen) + "\r"
    )
    header = csv_line(specimen) + "\r"
    return lines | f"{place}.csv" >> beam.io.WriteToText(place, ".csv", header=header, **files)


class JsonArray(FileBasedSink):
    """Texts of one or more JSON values each -> files that are one array each."""

    def __init__(self, place, **files):
        super().__init__(place, BytesCoder(), ".json", mime_type="application/json", **files)

    def open(self, temp_path):
        """A new file."""
        return {"file": super().open(temp_path), "before": b"["}

    def write_record(self, file_handle, value):
        """One text more."""
        file_handle["file"].write(file_handle["before"] + value.encode())
        file_handle["before"] = b", "

    def close(self, file_handle):
        """The end of a file."""
        if file_handle is not None:
            file_handle["file"].write(b"[]" if file_handle["before"] == b"[" else b"]")
            file_handle["file"].close()


def pictures(pipeline, inputs, is_tfrecord):
    """(image, what to read it from) of all inputs, and records that cannot be read."""
    listed = (
        pipeline
        | "inputs" >> beam.Create(list(enumerate(inputs)))
        | "paths" >> beam.FlatMap(paths_of)
    )
    if not is_tfrecord:
        together = listed | "all paths" >> beam.combiners.ToList()
        images = together | "image ids" >> beam.FlatMap(numbered, inputs) | beam.Reshuffle()
        return images | "no content" >> beam.Map(lambda image: (image, None)), []
    shards = (
        listed
        | "spread shards" >> beam.Reshuffle()
        | "records of shards" >> beam.FlatMap(shard_records).with_outputs(FAILED, main="shards")
    )
    records = (
        shards.shards
        | "all shards" >> beam.combiners.ToList()
        | "record ids" >> beam.FlatMap(numbered_records)
        | "spread records" >> beam.Reshuffle()
        | "records" >> beam.FlatMap(read_records).with_outputs(FAILED, main="images")
    )
    return records.images, [shards[FAILED], records[FAILED]]


def build(pipeline, options, about):
    """Everything from inputs to files."""
    pixel_size = options.pixel_size and read_pixel_size(options.pixel_size)
    handler = KeyedModelHandler(
        SavedModelHandler(options.model, options.batch_size, TileOptions(options.tile))
    )
    images, failed = pictures(pipeline, options.inputs, options.tfrecord)
    reading = beam.ParDo(Reading(about.channels, about.exif))
    read = images | "pixels" >> reading.with_outputs(FAILED, main="images")
    rows = (
        read.images
        | "objects" >> RunInference(handler)
        | "rows"
        >> beam.ParDo(Rows(about, options.threshold, pixel_size)).with_outputs(
            FAILED, OBJECTS, COUNTS, main="results"
        )
    )
    one = {"num_shards": 1, "shard_name_template": ""}
    files = one if options.files == 1 else {"num_shards": options.files}
    out = options.out.rstrip("/")
    rows.results | "results.json" >> beam.io.Write(JsonArray(f"{out}/results", **files))
    names = count_columns(about.names)
    counts = {name: "" if name == names[0] else 0 for name in names}
    for name, row in ((OBJECTS, about.specimen(pixel_size)), (COUNTS, counts)):
        write_table(rows[name], f"{out}/{name}", options.table, row, files)
    (
        [*failed, read[FAILED], rows[FAILED]]
        | "all failed" >> beam.Flatten()
        | "failed lines" >> beam.Map(_failed_line)
        | "failed.jsonl" >> beam.io.WriteToText(f"{out}/{FAILED}", ".jsonl", **one)
    )


def _failed_line(entry):
    _counter(FAILED).inc()
    return json.dumps({"file_name": entry[0], "reason": entry[1]})


def _parsed(arguments):
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0], allow_abbrev=False)
    parser.add_argument("model", metavar="MODEL", help="a SavedModel of `tfmaskrcnn export`")
    parser.add_argument("inputs", metavar="INPUT", nargs="+", help="file, folder or 'pattern'")
    parser.add_argument("--out", required=True, metavar="FOLDER")
    parser.add_argument("--tfrecord", action="store_true", help="inputs are TFRecord files")
    parser.add_argument("--table", choices=("csv", "parquet"), default="csv")
    parser.add_argument("--threshold", type=float, metavar="P", help="lowest score in the tables")
    parser.add_argument("--pixel-size", metavar="LENGTH", help="such as 0.32um")
    parser.add_argument("--batch-size", type=int, default=1, metavar="N", help="images at a time")
    parser.add_argument(
        "--tile", type=tile_size, default="auto", help="of large images, as predict"
    )
    parser.add_argument("--files", type=int, default=1, help="of each kind; 0 leaves it to Beam")
    return parser.parse_known_args(arguments)


def main(arguments=None):
    """Run the pipeline; 1 if there are images that failed, 2 after a wrong argument."""
    options, of_beam = _parsed(arguments)
    try:
        about = About(options.model)
        if about.masks:
            check_installed()
        for text in options.inputs:
            if not paths_of((0, text)):
                raise InputError(why_nothing(text))
        beam_options = PipelineOptions(of_beam)
        workers = beam_options.view_as(WorkerOptions)
        workers.default_sdk_harness_log_level = workers.default_sdk_harness_log_level or "WARNING"
        pipeline = beam.Pipeline(options=beam_options)
        build(pipeline, options, about)
    except InputError as error:
        print(f"beam_predict: {error}", file=sys.stderr)
        return 2
    result = pipeline.run()
    result.wait_until_finish()
    found = result.metrics().query(MetricsFilter().with_namespace("tfmaskrcnn"))["counters"]
    counts = {counter.key.metric.name: counter.result for counter in found}
    images, detections, failed = (counts.get(n, 0) for n in ("images", "detections", FAILED))
    print(f"{images} images, {detections} detections, {failed} failed: {options.out}")
    return 1 if failed else 0


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    sys.exit(main())
