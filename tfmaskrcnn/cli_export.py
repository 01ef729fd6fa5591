"""The commands `export` and `info` of the command line."""

import dataclasses

# Nothing here may import TensorFlow before a command runs, see `cli`.
from tfmaskrcnn.cli_arguments import add_set, command, count, share


def add_export(commands) -> None:
    """`tfmaskrcnn export`."""
    parser = command(
        commands,
        "export",
        _export,
        "Write a run's best weights as a SavedModel that loads without Keras.",
    )
    parser.add_argument("model", metavar="RUN", help="run folder")
    parser.add_argument("out", metavar="FOLDER", help="new folder, such as exported/1")
    _add_detection_options(parser)
    _add_graph_options(parser)
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
        help="fit images into this; gives a network of static shape",
    )
    parser.add_argument("--min-side", type=count, metavar="N", help="short side of resized images")
    parser.add_argument("--max-side", type=count, metavar="N", help="their long side at most")
    parser.add_argument(
        "--precision",
        choices=("float32", "float16", "bfloat16"),
        help="of the arithmetic; the weights in the file stay float32 (float32)",
    )
    parser.add_argument(
        "--network-batch", type=count, metavar="N", help="fixed batch of the signature network"
    )
    parser.add_argument("--max-pixels", type=count, metavar="N", help="refuse larger images")
    parser.add_argument(
        "--on-error",
        choices=("fail", "report"),
        help="a bad image fails its request, or is reported in the output image_errors (fail)",
    )
    parser.add_argument(
        "--webp",
        action="store_true",
        default=None,
        help="take WebP too; needs a new TensorFlow here and in the server",
    )


def add_info(commands) -> None:
    """`tfmaskrcnn info`."""
    parser = command(
        commands, "info", _info, "What a run folder or SavedModel holds, and the versions in use."
    )
    parser.add_argument("model", metavar="MODEL", nargs="?", help="run or SavedModel folder")


def _export(options) -> None:
    from tfmaskrcnn.serving import ExportOptions, export_saved_model
    from tfmaskrcnn.sources import load_run

    names = [field.name for field in dataclasses.fields(ExportOptions)]
    given = {name: getattr(options, name) for name in names}
    chosen = ExportOptions(**{name: value for name, value in given.items() if value is not None})
    model = load_run(options.model, options.set)
    print(f"SavedModel  {export_saved_model(model, options.out, chosen)}")


def _info(options) -> None:
    import yaml

    from tfmaskrcnn.sources import describe
    from tfmaskrcnn.versions import versions

    about = describe(options.model) if options.model else {}
    about["versions"] = versions()
    # Short lists on one line; the configuration can be pasted into a file.
    text = yaml.safe_dump(
        about, sort_keys=False, default_flow_style=None, width=100, allow_unicode=True
    )
    print(text, end="")
