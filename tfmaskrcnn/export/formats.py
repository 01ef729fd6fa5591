"""One way to every format: the model of a run or a SavedModel in, an artefact out."""

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from typing import Iterator, List, NamedTuple, Optional, Sequence, Tuple

from tfmaskrcnn.config.run import Config
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.export.check import differences, preprocessed, saved_network, table
from tfmaskrcnn.export.file_metadata import describe_file
from tfmaskrcnn.export.options import ExportOptions
from tfmaskrcnn.export.quantization.qdq import tensorrt_path
from tfmaskrcnn.export.saved_model import export_saved_model
from tfmaskrcnn.inference.opening import with_weights
from tfmaskrcnn.inference.runtimes import host_nms
from tfmaskrcnn.inference.runtimes.network_opening import open_network
from tfmaskrcnn.inference.score_thresholds import ScoreThresholds
from tfmaskrcnn.support.shipped import script, shipped


@contextlib.contextmanager
def saved_model_of(
    model: str,
    config: Optional[Config],
    options: ExportOptions,
    thresholds: Optional[ScoreThresholds] = None,
) -> Iterator[str]:
    """The folder of a SavedModel: `model` if it is one, else a temporary one of that run.

    `config` is what `check_model` says of `model`: that of a run, None of a SavedModel;
    `thresholds` are the run's.
    It is made as for a machine without a GPU: a graph with GPU kernels for non-maximum suppression
    converts to no other format.
    """
    if config is None:
        yield model
        return
    import tensorflow as tf

    with contextlib.suppress(RuntimeError):  # TensorFlow is in use already, with its GPUs
        tf.config.set_visible_devices([], "GPU")
    with tempfile.TemporaryDirectory() as temporary:
        folder = os.path.join(temporary, "saved_model")
        yield export_saved_model(with_weights(config, model), folder, options, thresholds)


class Written(NamedTuple):
    """A file for another runtime, or its parts, and how it was compared with its SavedModel."""

    paths: Sequence[str]
    seconds: float
    shape: Tuple[int, int, int, int]  # (B, H, W, C) of its input `images`
    differences: str  # a table; empty without images

    def text(self) -> str:
        """Lines for a terminal."""
        megabytes, batch = sum(map(os.path.getsize, self.paths)) / 1e6, self.shape[0]
        lines = [
            f"written     {', '.join(self.paths)} ({megabytes:.1f} MB, {self.seconds:.0f} s)",
            f"inputs      images float32 {list(self.shape)}, sizes float32 [{batch}, 2]",
            self.differences,
        ]
        return "\n".join(lines).rstrip()


def write_file(
    folder: str,
    path: str,
    runtime,
    size: Optional[Tuple[int, int]] = None,
    batch: int = 1,
    images: Sequence[str] = (),
    **options,
) -> Written:
    """Convert the signature `network` of a SavedModel for a runtime other than TensorFlow.

    Args:
        folder: of the SavedModel.
        path: the file to write, or the first of them.
        runtime: the module `export.onnx`, `export.tflite`, `export.quantization.onnx_int8` or
            `export.quantization.tflite_int8`.
        size: (height, width) of the network's input; None takes what it was exported with.
        batch: images at a time, fixed.
        images: files on which the file is compared with the SavedModel.
        options: of the runtime's `convert`.

    Raises:
        InputError: the conversion or an image fails.
    """
    began = time.time()
    shape = runtime.convert(folder, path, batch, size, **options)
    told = {name: options[name] for name in ("precision", "nms") if name in options}
    paths = _paths(path, options)
    for each in paths if told.get("nms") != "host" else paths[:1]:
        describe_file(each, folder, shape, **told)
    seconds, compared = time.time() - began, ""
    if images:
        pair = saved_network(folder), open_network(path)
        rows = differences(*pair, *preprocessed(folder, images, shape[1:3]), batch)
        compared = table([os.path.basename(each) for each in images], rows)
    return Written(paths, seconds, shape, compared)


def _paths(path: str, options) -> List[str]:
    """All files that a conversion with these options writes."""
    if options.get("nms") == "host":
        return list(host_nms.part_paths(path))
    for_tensorrt = path.endswith(".onnx") and options.get("precision") == "int8"
    return [path, tensorrt_path(path)] if for_tensorrt else [path]


def check_tf_trt(offline: bool) -> None:
    """Raise `InputError` unless TF-TRT can work on this machine."""
    preflight = script("tf_trt_preflight")
    try:
        preflight.preflight(offline)
    except preflight.Refusal as refusal:
        raise InputError(str(refusal)) from None


def tf_trt_arguments(
    folder: str,
    out: str,
    precision: str = "float16",
    shapes: Sequence[str] = (),
    calibration_images: Optional[str] = None,
    **options,
) -> List[str]:
    """The command line of `export/tf_trt.py`, whose options these are."""
    arguments = [folder, out, "--precision", precision]
    for shape in shapes:
        arguments += ["--shape", shape]
    if calibration_images:
        arguments += ["--calibration-images", calibration_images]
    for name, value in options.items():
        if value:
            arguments.append(f"--{name.replace('_', '-')}")
            arguments += [] if value is True else [str(value)]
    return arguments


def convert_tf_trt(arguments: Sequence[str]) -> int:
    """Run `export/tf_trt.py` in a process of its own, because it reads TensorFlow's log.

    Returns:
        Its exit code.
    """
    path = os.path.join(shipped("export"), "tf_trt.py")
    return subprocess.call([sys.executable, path, *arguments])
