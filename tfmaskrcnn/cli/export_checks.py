"""What `export` refuses before TensorFlow is imported."""

import dataclasses

# Nothing here may import TensorFlow, or what takes long: `--help` needs the formats.
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.export.options import ExportOptions
from tfmaskrcnn.support.single_file import SUFFIX

PRECISIONS = {  # of each format; the first one is the default
    "saved_model": ("float32", "float16", "bfloat16"),
    "onnx": ("float32", "float16", "int8"),
    "tflite": ("float32", "float16", "int8"),
    "tf-trt": ("float16", "float32", "int8"),
    "file": (),  # the weights as they are
}
# Other tools' names of the same.
_SHORT = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}
FILES = ("onnx", "tflite")
# Options that only some formats have.
_COMPARING = ("images", "limit")
TF_TRT = ("shape", "build", "offline", "box_arithmetic", "minimum_segment_size")
_CALIBRATED = ("calibration_images",)
# Of the signatures that take images, which only a SavedModel has.
_OF_IMAGES = ("masks", "max_pixels", "max_batch", "on_error", "gif", "webp")


def precision_name(text: str) -> str:
    """A precision by the name that it has here: "fp16" is "float16"."""
    return _SHORT.get(text, text)


def check_options(options) -> None:
    """Refuse what the format has no use for."""
    if options.format == "file":
        from tfmaskrcnn.inference.packing import check_name

        _check_plain(options)
        check_name(options.out)
    elif options.out.endswith(SUFFIX):
        raise InputError(f"{options.out}: a {SUFFIX} file is written with --format file.")
    for names, formats in (
        *((_COMPARING, FILES), (("nms",), ("onnx",)), (TF_TRT, ("tf-trt",))),
        *((_OF_IMAGES, ("saved_model",)), (_CALIBRATED, ("onnx", "tflite", "tf-trt"))),
    ):
        wrong = [name for name in names if getattr(options, name) is not None]
        if wrong and options.format not in formats:
            raise InputError(f"{_typed(wrong[0])} is for --format {' or '.join(formats)}.")
    if options.nms == "host" and options.precision == "int8":
        raise InputError("--nms host writes float32 and float16; leave --precision int8 out.")
    known = PRECISIONS[options.format]
    if options.precision and options.precision not in known:
        raise InputError(
            f"--precision {options.precision} is not for --format {options.format}; wanted one of "
            f"{', '.join(known)}."
        )
    if options.format in FILES:
        _check_calibration(options)


def _check_calibration(options) -> None:
    """Refuse images that nothing is calibrated on, and ONNX in int8 without them."""
    if options.calibration_images and options.precision != "int8":
        raise InputError("--calibration-images is for --precision int8.")
    if options.precision != "int8":
        return
    if options.calibration_images and options.format == "tflite":
        from tfmaskrcnn.export.quantization.tflite_quantizer import check_packages

        check_packages()
    if options.format == "onnx" and not options.calibration_images:
        raise InputError(
            "--precision int8 wants --calibration-images FOLDER, with images like those to come."
        )


def _check_plain(options) -> None:
    """Refuse what changes a graph: a single file holds the run as it is, or as --set has it."""
    names = [field.name for field in dataclasses.fields(ExportOptions)]
    wrong = [name for name in names if getattr(options, name) is not None]
    if wrong:
        raise InputError(
            f"{_typed(wrong[0])} is not for --format file, which keeps the run as it is; --set "
            "changes its settings."
        )


def check_saved_model(options) -> None:
    """Refuse what was fixed when the SavedModel, that is there already, was exported."""
    from tfmaskrcnn.inference.runtimes.file_about import is_model_file

    if is_model_file(options.model):
        raise InputError(
            f"{options.model} is exported already; name the run or SavedModel that it was made of."
        )
    if options.format in ("saved_model", "file"):
        raise InputError(
            f"{options.model} is a SavedModel; wanted the folder of a training run, or another "
            "--format."
        )
    fixed = ["score_threshold", "apply_thresholds", "max_detections", "classes", "names"]
    fixed += ["min_side", "max_side"]
    fixed += ["precision"] if options.format == "onnx" and options.precision != "int8" else []
    wrong = [name for name in fixed if getattr(options, name) is not None]
    if wrong:
        raise InputError(
            f"{options.model} is a SavedModel, whose settings were fixed when it was exported; "
            f"{_typed(wrong[0])} is for run folders."
        )


def run_thresholds_of(options, config):
    """The score thresholds of a run, if it has any; None of a SavedModel, which holds its own."""
    from tfmaskrcnn.inference.score_thresholds import NO_THRESHOLDS, run_thresholds

    found = run_thresholds(options.model, config.model.num_classes) if config else None
    if options.apply_thresholds and found is None:
        raise InputError(NO_THRESHOLDS)
    return found


def check_size(options, config) -> None:
    """Refuse a network of any size; `config` is None of a SavedModel, which knows its own."""
    given = options.fixed_size or options.shape
    if config is not None and not given and not config.model.input.static_size:
        text = "--fixed-size HEIGHT WIDTH" + " or --shape BxHxW" * (options.format == "tf-trt")
        raise InputError(
            f"{options.model} takes images of any size, --format {options.format} needs one: give "
            f"{text}."
        )


def check_file(options) -> None:
    """Refuse a file that cannot be written, or that other commands would not know."""
    from tfmaskrcnn.support.files import writable_file

    writable_file(options.out)
    if not options.out.endswith(f".{options.format}"):
        raise InputError(f"{options.out}: the file's name has to end in .{options.format}.")


def _typed(name: str) -> str:
    return f"--{name.replace('_', '-')}"
