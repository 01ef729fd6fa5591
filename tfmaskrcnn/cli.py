"""The command line: a thin shell over the package's public names."""

import argparse
import json
import logging
import os
import sys
from typing import List, Optional

# Before TensorFlow is imported: its C++ log is for its own developers.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from tfmaskrcnn import __version__  # noqa: E402
from tfmaskrcnn.errors import InputError  # noqa: E402
from tfmaskrcnn.quiet import hide_remarks  # noqa: E402

_EXAMPLES = """\
examples:
  tfmaskrcnn train configs/finetune.yaml --out runs/cells \\
      --set data.train_json=train.json data.train_images=images \\
            data.val_json=val.json data.val_images=images
  tfmaskrcnn evaluate runs/cells
  tfmaskrcnn predict runs/cells photos/ 'more/*.jpg' --out found
  tfmaskrcnn export runs/cells exported/1
  tfmaskrcnn info exported/1

`tfmaskrcnn COMMAND --help` tells more about each.
"""
_SET_HELP = (
    "change configuration values, such as train.batch_size=4 or box_head.score_threshold=0.3; "
    "values are YAML"
)


def main(arguments: Optional[List[str]] = None) -> int:
    """Run the command line; returns the exit code: 0, or 2 after a wrong input, 130 on Ctrl-C."""
    options = _parser().parse_args(arguments)
    if not options.verbose:
        hide_remarks()
    level = logging.DEBUG if options.verbose else logging.INFO
    logging.basicConfig(level=level, format="%(message)s", stream=sys.stderr)
    for noisy in ("tensorflow", "absl", "matplotlib", "PIL", "h5py"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    try:
        options.run(options)
    except InputError as error:
        if options.verbose:
            raise
        print(f"tfmaskrcnn: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("tfmaskrcnn: stopped.", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tfmaskrcnn",
        description="Mask R-CNN for TensorFlow and Keras: train, evaluate, predict, export.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"tfmaskrcnn {__version__}")
    parser.add_argument("--verbose", action="store_true", help="more log lines, and tracebacks")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _add_train(commands)
    _add_evaluate(commands)
    _add_predict(commands)
    _add_export(commands)
    _add_info(commands)
    return parser


def _command(commands, name: str, run, text: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text.split(".")[0].lower(), description=text)
    parser.set_defaults(run=run)
    return parser


def _add_train(commands) -> None:
    parser = _command(
        commands,
        "train",
        _train,
        "Train a model. CONFIG is a YAML file; the folder gets config.json, weights.npz (the best "
        "epoch by mask AP), state.npz (to resume), history.csv and curves.png.",
    )
    parser.add_argument("config", metavar="CONFIG", help="YAML file, see configs/")
    parser.add_argument("--out", required=True, metavar="FOLDER", help="the run's folder")
    parser.add_argument("--resume", action="store_true", help="go on with the run in FOLDER")
    _add_set(parser)


def _add_evaluate(commands) -> None:
    parser = _command(
        commands,
        "evaluate",
        _evaluate,
        "Box and mask AP of a model. MODEL is a run folder or an exported SavedModel; without "
        "--json and --images a run's own val split is taken.",
    )
    parser.add_argument("model", metavar="MODEL", help="run folder or SavedModel folder")
    parser.add_argument("--json", metavar="FILE", help="COCO instance annotations")
    parser.add_argument("--images", metavar="FOLDER", help="the folder their file names start from")
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N images")
    parser.add_argument("--results", metavar="FILE", help="also write the numbers as JSON")
    parser.add_argument(
        "--max-detections",
        type=int,
        nargs=3,
        metavar="N",
        help="COCO's maxDets (default: the run's, else 1 10 100); AP uses the last",
    )


def _add_predict(commands) -> None:
    parser = _command(
        commands,
        "predict",
        _predict,
        "Find objects in images. Writes a picture for each image and results.json (COCO results "
        "format, with each image's file name).",
    )
    parser.add_argument("model", metavar="MODEL", help="run folder or SavedModel folder")
    parser.add_argument("inputs", metavar="INPUT", nargs="+", help="image, folder or 'glob'")
    parser.add_argument("--out", required=True, metavar="FOLDER", help="where to write")
    parser.add_argument(
        "--threshold", type=float, default=0.5, metavar="P", help="lowest score drawn (0.5)"
    )
    parser.add_argument("--batch-size", type=int, default=1, metavar="N", help="images at a time")


def _add_export(commands) -> None:
    parser = _command(
        commands,
        "export",
        _export,
        "Write a run's best weights as a SavedModel that loads without Keras.",
    )
    parser.add_argument("model", metavar="RUN", help="run folder")
    parser.add_argument("out", metavar="FOLDER", help="new folder, such as exported/1")
    _add_set(parser)


def _add_info(commands) -> None:
    parser = _command(
        commands, "info", _info, "What a run folder or SavedModel holds, and the versions in use."
    )
    parser.add_argument("model", metavar="MODEL", nargs="?", help="run or SavedModel folder")


def _add_set(parser) -> None:
    parser.add_argument(
        "--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help=_SET_HELP
    )


def _train(options) -> None:
    from tfmaskrcnn.config_files import load_config
    from tfmaskrcnn.train.loop import Run, train

    config = load_config(options.config, options.set)
    train(config, options.out, options.resume, verbose=1 if sys.stdout.isatty() else 2)
    run = Run(options.out)
    print(f"checkpoint  {run.weights}\ncurves      {run.curves}\nhistory     {run.history}")


def _evaluate(options) -> None:
    from tfmaskrcnn.evaluation import evaluate
    from tfmaskrcnn.evaluation.run import progress_bar
    from tfmaskrcnn.files import replaced
    from tfmaskrcnn.sources import open_source

    source = open_source(options.model)
    json_path = options.json or source.val_json
    images = options.images or source.val_images
    if not json_path or not images:
        raise InputError("evaluate needs --json FILE and --images FOLDER.")
    with progress_bar() as progress:
        result = evaluate(
            source.predict,
            json_path,
            images,
            options.max_detections or source.max_detections,
            limit=options.limit,
            progress=progress,
        )
    print(result.table())
    if options.results:
        with replaced(options.results, "w") as file:
            file.write(result.to_json())


def _predict(options) -> None:
    from tfmaskrcnn.sources import open_source, predict_files

    source = open_source(options.model)
    results = predict_files(
        source, options.inputs, options.out, options.threshold, options.batch_size
    )
    print(f"results     {results}")


def _export(options) -> None:
    from tfmaskrcnn.config_files import override
    from tfmaskrcnn.model import MaskRCNN
    from tfmaskrcnn.serving import export_saved_model
    from tfmaskrcnn.train.loop import Run, load
    from tfmaskrcnn.weights import load_weights

    model = load(options.model)
    if options.set:
        from tfmaskrcnn.config_files import load_config

        config = override(load_config(Run(options.model).config), options.set)
        model = MaskRCNN(config.model)
        load_weights(model, Run(options.model).weights)
    print(f"SavedModel  {export_saved_model(model, options.out)}")


def _info(options) -> None:
    from tfmaskrcnn.sources import describe, versions

    if options.model:
        print(json.dumps(describe(options.model), indent=2))
    print(json.dumps(versions(), indent=2))
