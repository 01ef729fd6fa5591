"""Convert the `network` signature of a SavedModel to TensorRT engines with TF-TRT.

    python tf_trt.py SAVED_MODEL OUT --precision float16 --shape 1x832x1344 --build

`tfmaskrcnn export RUN OUT --format tf-trt` runs it where the package is installed. It needs only
TensorFlow (with TensorRT, so 2.17 at most) and NumPy; copy `tf_trt*.py` to the target. Each shape
becomes a SavedModel of its own, OUT/1x832x1344; OUT/report.json says what lies in engines and why
the rest does not, OUT/tf_trt.log is what TensorFlow logged.
"""

import argparse
import contextlib
import glob
import json
import os
import shutil
import sys
import tempfile

from tf_trt_preflight import Refusal, leave_wide_top_k, preflight

# In half precision a coordinate above 1024 has steps of a pixel and products overflow at 65504, so
# these stay in TensorFlow's float32. None of them occurs in backbone, FPN, RPN or the heads.
BOX_ARITHMETIC = (
    "Abs,CombinedNonMaxSuppression,Exp,Floor,GatherV2,Greater,GreaterEqual,LessEqual,Log,"
    "LogicalAnd,Maximum,Min,Minimum,Mul,RealDiv,SelectV2,Sqrt,Sub,Sum,TopKV2"
)
# Leftovers of box arithmetic make segments of up to 16 nodes, the smallest head has 24.
MIN_SEGMENT = {"inside": 3, "outside": 20}
PRECISIONS = {"float16": "FP16", "float32": "FP32", "int8": "INT8"}  # and TF-TRT's names
IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".gif")


def open_model(folder):
    """The SavedModel in `folder`, which has a signature `network`."""
    import tensorflow as tf

    if not os.path.isfile(os.path.join(folder, "saved_model.pb")):
        raise Refusal(f"{folder} is no SavedModel: it holds no saved_model.pb.")
    model = tf.saved_model.load(folder)
    if "network" not in model.signatures:
        raise Refusal(
            f"{folder} has no signature `network`, only {', '.join(model.signatures) or 'none'}; "
            "give a SavedModel of `tfmaskrcnn export`."
        )
    return model


def checked_shapes(signature, shapes):
    """`shapes`, or the one that the signature fixes; `Refusal` if they do not fit it."""
    fixed = signature.structured_input_signature[1]["images"].shape[1:3].as_list()
    if not shapes and None in fixed:
        raise Refusal("This network takes any size; give --shape BxHxW, such as 1x832x1344.")
    for shape in shapes:
        if None not in fixed and list(shape[1:]) != fixed:
            raise Refusal(
                f"The network was exported for {fixed[0]}x{fixed[1]} images, --shape says "
                f"{shape[1]}x{shape[2]}."
            )
    return shapes or [(1, *fixed)]


def calibration_batches(model, folder, shape):
    """A function that yields batches (images, sizes) of `shape` from the images in `folder`."""
    import tensorflow as tf

    batch, height, width = shape
    files = sorted(glob.glob(os.path.join(glob.escape(folder), "**", "*"), recursive=True))
    files = [file for file in files if file.lower().endswith(IMAGES)]
    if len(files) < batch:
        raise Refusal(f"{folder} holds {len(files)} images, a batch of {shape} needs {batch}.")

    def batches():
        for start in range(0, len(files) - batch + 1, batch):
            encoded = [tf.io.read_file(file) for file in files[start : start + batch]]
            ready = model.signatures["preprocess"](image_bytes=tf.stack(encoded))
            high, wide = ready["images"].shape[1:3]
            if high > height or wide > width:
                raise Refusal(
                    f"{files[start]} becomes {high}x{wide} pixels, more than the {height}x{width} "
                    "of --shape; export with input.fixed_size set to that."
                )
            padding = [[0, 0], [0, height - high], [0, width - wide], [0, 0]]
            yield tf.pad(ready["images"], padding), ready["sizes"]

    return batches


def convert_offline(network, precision, min_segment):
    """`network` with its segments replaced by TensorRT nodes whose engines are not built yet.

    The passes of TrtGraphConverterV2.convert(), which asks for a GPU though none of them uses it.
    """
    import tensorflow as tf
    from tensorflow.core.protobuf.rewriter_config_pb2 import RewriterConfig
    from tensorflow.python.grappler import tf_optimizer

    config = tf.compat.v1.ConfigProto()
    rewrite = config.graph_options.rewrite_options
    rewrite.min_graph_nodes = -1
    rewrite.meta_optimizer_iterations = RewriterConfig.ONE
    rewrite.remapping = RewriterConfig.OFF  # fused convolutions do not convert
    rewrite.optimizers.extend(
        ["pruning", "debug_stripper", "layout", "dependency", "constfold"]
        + ["common_subgraph_elimination"]
    )
    trt = rewrite.custom_optimizers.add()
    trt.name = "TensorRTOptimizer"
    parameters = trt.parameter_map
    parameters["precision_mode"].s = PRECISIONS[precision].encode()
    parameters["minimum_segment_size"].i = min_segment
    parameters["max_workspace_size_bytes"].i = 1 << 30
    parameters["maximum_cached_engines"].i = 1
    parameters["is_dynamic_op"].b = True
    parameters["allow_build_at_runtime"].b = True
    parameters["use_calibration"].b = False
    parameters["use_implicit_batch"].b = False
    parameters["profile_strategy"].s = b"optimal"
    with tf.Graph().as_default() as graph:
        tf.graph_util.import_graph_def(network.graph_def, name="")
        meta_graph = tf.compat.v1.train.export_meta_graph(graph=graph)
    kept = meta_graph.collection_def["train_op"].node_list.value
    kept.extend([*network.inputs, *network.outputs.values()])
    # The pass crashes on a graph by any other name.
    return network._replace(
        graph_def=tf_optimizer.OptimizeGraph(config, meta_graph, graph_id=b"tf_graph")
    )


def convert_online(pinned, out, options, batches):
    """TF-TRT's own way from the SavedModel `pinned` to `out`, on a GPU; the graph it started from.

    Args:
        options: the command line's.
        batches: calibration data, see `calibration_batches`; None without INT8.
    """
    import tensorflow as tf
    from tf_trt_graph import freeze

    converter = tf.experimental.tensorrt.Converter(
        input_saved_model_dir=pinned,
        input_saved_model_signature_key="network",
        use_dynamic_shape=True,  # explicit batch; with implicit batch NMS does not convert
        dynamic_shape_profile_strategy="Optimal",  # one profile: the shape is fixed
        precision_mode=PRECISIONS[options.precision],
        minimum_segment_size=options.minimum_segment_size,
        use_calibration=batches is not None,
    )
    converter.convert(calibration_input_fn=batches)
    model = tf.saved_model.load(pinned)
    signature = model.signatures["network"]
    if options.build:
        shape = signature.structured_input_signature[1]["images"].shape

        def inputs():
            images = tf.random.stateless_normal(shape, seed=(0, 0))
            height, width = images.shape[1:3]
            yield images, tf.tile([[float(height), float(width)]], [images.shape[0], 1])

        converter.build(batches or inputs)
    converter.save(out)
    return freeze(signature).graph.as_graph_def()  # by the converter's names


def convert(options, shape, model, log):
    """Convert one shape; the report."""
    import tf_trt_graph as graphs

    name = "x".join(str(side) for side in shape)
    out = os.path.join(options.out, name)
    network = graphs.pin(model.signatures["network"], shape)
    if any(node.op in ("NonMaxSuppressionV4", "While") for node in network.graph_def.node):
        raise Refusal(
            f"{options.saved_model} was exported where a GPU was in sight and holds GPU kernels in "
            "place of what converts; export it again with CUDA_VISIBLE_DEVICES=-1."
        )
    leave_wide_top_k(network.graph_def)
    start, before = log.tell(), network.graph_def
    if options.offline:
        converted = convert_offline(network, options.precision, options.minimum_segment_size)
        graphs.save(converted, out)
    else:
        folder = options.calibration_images
        batches = calibration_batches(model, folder, shape) if folder else None
        with tempfile.TemporaryDirectory() as pinned:
            graphs.save(network, pinned)
            before = convert_online(pinned, out, options, batches)
    assets = os.path.join(options.saved_model, "assets")
    if os.path.isdir(assets):  # the configuration and names
        shutil.copytree(assets, os.path.join(out, "assets"), dirs_exist_ok=True)
    log.seek(start)
    why = graphs.reasons(log.read().decode(errors="replace"))
    report = graphs.coverage(*graphs.saved_program(out), graphs.flops(before), why)
    print(f"\n{out}  {options.precision}, {len(report['engines'])} engines\n{graphs.table(report)}")
    return {"shape": name, "precision": options.precision, **report}


@contextlib.contextmanager
def native_log():
    """A file that gets what native code writes to stderr; Python's own stderr stays as it is."""
    direct, python = os.dup(2), sys.stderr
    with tempfile.TemporaryFile(buffering=0) as log:
        sys.stderr = os.fdopen(os.dup(direct), "w", buffering=1)
        os.dup2(log.fileno(), 2)
        try:
            yield log
        finally:
            os.dup2(direct, 2)
            sys.stderr = python


def run(options, log) -> None:
    """Do what the command line asks for; `log` is from `native_log`."""
    remark = preflight(options.offline)
    if remark:
        print(f"tf_trt: {remark}", file=sys.stderr)
    model = open_model(options.saved_model)
    shapes = checked_shapes(model.signatures["network"], options.shape)
    os.makedirs(options.out, exist_ok=True)
    # All in one process: engines are numbered in it, so those of two shapes never share a name.
    reports = [convert(options, shape, model, log) for shape in shapes]
    with open(os.path.join(options.out, "report.json"), "w", encoding="utf-8") as file:
        json.dump(reports, file, indent=2)
    if not options.build:
        print("\nThe engines are not built: the first run of each shape does it and takes minutes.")


def _shape(text):
    sides = text.split("x")
    if len(sides) != 3 or not all(side.isdecimal() and int(side) for side in sides):
        raise argparse.ArgumentTypeError(f"{text!r} is not BxHxW, such as 1x832x1344")
    if int(sides[1]) % 32 or int(sides[2]) % 32:
        raise argparse.ArgumentTypeError(f"{text!r}: H and W must be multiples of 32")
    return tuple(int(side) for side in sides)


def parse(arguments):
    """The command line's options, complete and without contradictions."""
    parser = argparse.ArgumentParser(prog="tf_trt.py", description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("saved_model", metavar="SAVED_MODEL", help="folder of `tfmaskrcnn export`")
    add("out", metavar="OUT", help="new folder: one SavedModel a shape, report.json, tf_trt.log")
    add("--precision", choices=[*PRECISIONS, "fp16", "fp32"], default="float16", help="(float16)")
    add(
        "--shape",
        type=_shape,
        action="append",
        default=[],
        metavar="BxHxW",
        help="batch, height and width of the network's input; may be given several times",
    )
    add("--calibration-images", metavar="DIR", help="images like those to come, for int8")
    add("--build", action="store_true", help="build the engines now, for this very GPU")
    add("--offline", action="store_true", help="only cut the graph, which needs no GPU")
    add(
        "--box-arithmetic",
        choices=["inside", "outside"],
        help="of the engines; default: inside in float32, outside in float16 and int8, whose "
        "numbers are too coarse for coordinates",
    )
    add("--minimum-segment-size", type=int, metavar="N", help="nodes of the smallest engine")
    options = parser.parse_args(arguments)
    options.precision = options.precision.replace("fp", "float")
    int8 = options.precision == "int8"
    if int8 != bool(options.calibration_images):
        parser.error("--precision int8 and --calibration-images DIR belong together")
    if options.offline and (int8 or options.build):
        parser.error("--offline cannot build engines nor calibrate int8: both need the GPU")
    options.box_arithmetic = options.box_arithmetic or (
        "inside" if options.precision == "float32" else "outside"
    )
    if options.minimum_segment_size is None:
        options.minimum_segment_size = MIN_SEGMENT[options.box_arithmetic]
    if os.path.isdir(options.out) and os.listdir(options.out):
        parser.error(f"{options.out} is not empty")
    return options


def main(arguments=None) -> int:
    """Run the command line; 0, or 2 where this cannot be done."""
    options = parse(arguments)
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "0"  # the reasons in the report come out of the log
    os.environ["TF_TRT_SHOW_DETAILED_REPORT"] = "1"
    os.environ["TF_TRT_OP_DENYLIST"] = BOX_ARITHMETIC if options.box_arithmetic == "outside" else ""
    with native_log() as log:
        try:
            run(options, log)
        except Refusal as refusal:
            print(f"tf_trt: {refusal}", file=sys.stderr)
            return 2
        finally:
            if os.path.isdir(options.out):
                log.seek(0)
                with open(os.path.join(options.out, "tf_trt.log"), "wb") as file:
                    shutil.copyfileobj(log, file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
