"""The command `export` of the command line."""

import dataclasses

# Nothing here may import TensorFlow before the command runs, see `main`.
from tfmaskrcnn.cli import export_checks as checks
from tfmaskrcnn.cli.arguments import add_model, add_set, command, count, share


def add_parser(commands) -> None:
    """`tfmaskrcnn export`."""
    parser = command(
        commands,
        "export",
        _export,
        "Write what is shipped: a run's best weights as a SavedModel that loads without Keras, as "
        "an ONNX or a TFLite file, or cut up for TensorRT by TF-TRT. The latter three are made of "
        "a SavedModel as well. --format file writes one file for this program, to hand on.",
    )
    add_model(parser)
    parser.add_argument(
        "out",
        metavar="OUT",
        help="new folder, such as exported/1; for onnx, tflite and file (.tfmaskrcnn) a file",
    )
    parser.add_argument(
        "--format", choices=checks.PRECISIONS, default="saved_model", help="(saved_model)"
    )
    _add_detection_options(parser.add_argument_group("what it finds"))
    _add_graph_options(parser.add_argument_group("how it computes"))
    _add_file_options(parser.add_argument_group("onnx and tflite"))
    _add_tf_trt_options(parser.add_argument_group("tf-trt"))
    add_set(parser)


def _add_detection_options(parser) -> None:
    parser.add_argument(
        "--masks",
        choices=("roi", "rle", "bitmaps"),
        help="probabilities inside the boxes, COCO RLE strings, or full-size bitmaps (roi)",
    )
    parser.add_argument(
        "--score-threshold", type=share, metavar="P", help="leave out scores up to this"
    )
    parser.add_argument(
        "--apply-thresholds",
        action="store_true",
        default=None,
        help="leave out detections below the run's own threshold of their class, which `evaluate "
        "--save-thresholds` has found",
    )
    parser.add_argument("--max-detections", type=count, metavar="N", help="an image")
    parser.add_argument(
        "--classes",
        nargs="+",
        metavar="CLASS",
        help="detect these only, by name or number; they are numbered anew from 1",
    )
    parser.add_argument(
        "--names", nargs="+", metavar="NAME", help="labels of the exported classes, in order"
    )


def _add_graph_options(parser) -> None:
    parser.add_argument(
        "--fixed-size",
        nargs=2,
        type=count,
        metavar=("HEIGHT", "WIDTH"),
        help="fit images into this; gives a network of static shape, which other formats need",
    )
    parser.add_argument("--min-side", type=count, metavar="N", help="short side of resized images")
    parser.add_argument("--max-side", type=count, metavar="N", help="their long side at most")
    parser.add_argument(
        "--precision",
        type=checks.precision_name,
        choices=("float32", "float16", "bfloat16", "int8"),
        help="saved_model and onnx: of the arithmetic (float32, float16, bfloat16 in a SavedModel "
        "and int8 in ONNX alone); tflite: of the weights (float32, float16, int8), and with "
        "--calibration-images of the arithmetic too; tf-trt: of the engines (float16, float32, "
        "int8). The first is the default",
    )
    parser.add_argument(
        "--network-batch",
        type=count,
        metavar="N",
        help="fixed batch of the signature network; of an ONNX or TFLite file (1)",
    )
    parser.add_argument("--max-pixels", type=count, metavar="N", help="refuse larger images")
    parser.add_argument("--max-batch", type=count, metavar="N", help="refuse larger requests (64)")
    parser.add_argument(
        "--on-error",
        choices=("fail", "report"),
        help="a bad image fails its request, or is reported in the output image_errors (fail)",
    )
    parser.add_argument(
        "--gif", action="store_true", default=None, help="take GIF too, of an animation one frame"
    )
    parser.add_argument(
        "--webp",
        action="store_true",
        default=None,
        help="take WebP too; needs a new TensorFlow here and in the server",
    )


def _add_file_options(parser) -> None:
    parser.add_argument(
        "--images",
        nargs="+",
        metavar="IMAGE",
        help="compare with the SavedModel on these images, folders or 'globs'",
    )
    parser.add_argument("--limit", type=count, metavar="N", help="on the first N of them only")
    parser.add_argument(
        "--calibration-images",
        metavar="FOLDER",
        help="images like those to come, for --precision int8",
    )
    parser.add_argument(
        "--nms",
        choices=("graph", "host"),
        help="onnx: suppress boxes in the file, or write three files, for runtimes without "
        "NonMaxSuppression such as TensorRT for RTX, with the suppression in NumPy between them "
        "(graph)",
    )


def _add_tf_trt_options(parser) -> None:
    parser.add_argument(
        "--shape",
        action="append",
        metavar="BxHxW",
        help="batch, height and width of the network's input; may be given several times",
    )
    parser.add_argument(
        "--build", action="store_true", default=None, help="build the engines now, for this GPU"
    )
    parser.add_argument(
        "--offline", action="store_true", default=None, help="only cut the graph: needs no GPU"
    )
    parser.add_argument(
        "--box-arithmetic",
        choices=("inside", "outside"),
        help="of the engines (inside in float32, else outside)",
    )
    parser.add_argument(
        "--minimum-segment-size", type=count, metavar="N", help="nodes of the smallest engine"
    )


def _export(options) -> int:
    from tfmaskrcnn.checkpoints.named_runs import model_folder
    from tfmaskrcnn.inference.opening import check_model, with_weights
    from tfmaskrcnn.support.files import refuse_full

    # Before TensorFlow is imported.
    checks.check_options(options)
    if options.format == "saved_model":
        refuse_full(options.out)
    options.model = model_folder(options.model)
    config = check_model(options.model, overrides=options.set)
    if config is None:
        checks.check_saved_model(options)
    if options.format == "file":
        from tfmaskrcnn.inference.packing import save

        print(f"model       {save(with_weights(config, options.model), options.out)}")
        return 0
    thresholds = checks.run_thresholds_of(options, config)
    if options.format != "saved_model":
        checks.check_size(options, config)
    if options.format in checks.FILES:
        checks.check_file(options)

    chosen = _chosen(options)

    from tfmaskrcnn.export import ExportOptions, export_saved_model
    from tfmaskrcnn.export.formats import saved_model_of

    if options.format == "saved_model":
        model = with_weights(config, options.model)
        done = export_saved_model(model, options.out, ExportOptions(**chosen), thresholds)
        print(f"SavedModel  {done}")
        return 0
    write = _write_file if options.format in checks.FILES else _write_tf_trt
    made = saved_model_of(options.model, config, ExportOptions(**chosen), thresholds)
    return write(options, made)


def _chosen(options):
    """The values of `ExportOptions` that are given, checked."""
    from tfmaskrcnn.export.options import ExportOptions

    names = [field.name for field in dataclasses.fields(ExportOptions)]
    given = {name: getattr(options, name) for name in names}
    chosen = {name: value for name, value in given.items() if value is not None}
    if options.format in ("tflite", "tf-trt") or options.precision == "int8":
        chosen.pop("precision", None)  # they choose one of their own
    ExportOptions(**chosen)
    return chosen


def _write_file(options, opened) -> int:
    import importlib

    from tfmaskrcnn.export.formats import write_file
    from tfmaskrcnn.inference.prediction_files import find_images

    images = find_images(options.images)[: options.limit] if options.images else []
    more = {"precision": options.precision or "float32"}
    if options.format == "onnx" and options.precision != "int8":
        more = {"nms": options.nms or "graph"}
    if options.calibration_images:
        from tfmaskrcnn.export.quantization.calibration_images import calibration_images

        more["calibration"] = calibration_images(options.calibration_images)
    runtime = importlib.import_module(_runtime(options))
    size = tuple(options.fixed_size) if options.fixed_size else None
    batch = options.network_batch or 1
    with opened as folder:
        written = write_file(folder, options.out, runtime, size, batch, images, **more)
    print(written.text())
    if options.calibration_images:
        print(runtime.summary(options.out))
    if options.format == "onnx":
        _tell_of_tensorrt(options, runtime, written.paths)
    return 0


def _runtime(options) -> str:
    """The module that converts."""
    if options.calibration_images:
        return f"tfmaskrcnn.export.quantization.{options.format}_int8"
    return f"tfmaskrcnn.export.{options.format}"


def _tell_of_tensorrt(options, runtime, paths) -> None:
    if options.precision == "int8":
        paths = paths[1:]  # the first is for ONNX Runtime
    print("For TensorRT 10 and 11, on the machine that will run it (not run here):")
    for path in paths:
        print(f"  {runtime.trtexec_command(path)}")


def _write_tf_trt(options, opened) -> int:
    from tfmaskrcnn.export.formats import check_tf_trt, convert_tf_trt, tf_trt_arguments

    check_tf_trt(bool(options.offline))
    given = {name: getattr(options, name) for name in checks.TF_TRT if name != "shape"}
    given["calibration_images"] = options.calibration_images
    with opened as folder:
        precision, shapes = options.precision or "float16", options.shape or ()
        return convert_tf_trt(tf_trt_arguments(folder, options.out, precision, shapes, **given))
