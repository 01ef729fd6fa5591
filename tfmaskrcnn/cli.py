"""The command line: a thin shell over the package's public names."""

import argparse
import os
from typing import List, Optional

# Nothing here may import TensorFlow: `--help` is to be there at once, and `run_command` has to
# quieten TensorFlow before it is imported.
from tfmaskrcnn import __version__
from tfmaskrcnn.cli_arguments import USE_SET_HELP, add_set, command, count, share
from tfmaskrcnn.cli_check import add_check
from tfmaskrcnn.cli_data import add_import_data, add_write_tfrecord
from tfmaskrcnn.cli_export import add_export, add_info
from tfmaskrcnn.cli_rate import add_find_rate
from tfmaskrcnn.cli_show import add_show
from tfmaskrcnn.command import run_command

_EXAMPLES = """\
examples:
  tfmaskrcnn check-data train.json images --html report.html
  tfmaskrcnn train configs/finetune.yaml --out runs/cells \\
      --set data.train_json=train.json data.train_images=images \\
            data.val_json=val.json data.val_images=images
  tfmaskrcnn find-rate configs/finetune.yaml --out runs/rate --set ...
  tfmaskrcnn evaluate runs/cells
  tfmaskrcnn predict runs/cells photos/ 'more/*.jpg' --out found
  tfmaskrcnn export runs/cells exported/1
  tfmaskrcnn info exported/1
  tfmaskrcnn import-data via via.json train.json --images images --attribute kind
  tfmaskrcnn import-weights torchvision maskrcnn_resnet50_fpn_coco.pth runs/torchvision

`tfmaskrcnn COMMAND --help` tells more about each.
"""
_SOURCES = ("torchvision", "detectron2", "matterport")


def main(arguments: Optional[List[str]] = None) -> int:
    """Run the command line.

    Args:
        arguments: without the program's name; None takes the process's own.

    Returns:
        The exit code: 0, 1 if `check-data` finds something wrong, 2 after a wrong input, 130 after
        Ctrl-C, 141 if nobody reads the output.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    for name, value in vars(options).items():
        # Of a shell's variable that is not set: a name of nothing, or of the folder one is in.
        if value == "" or (isinstance(value, list) and "" in value):
            parser.error(f"argument {name}: an empty text")
    return run_command(options)


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
    add_check(commands)
    add_show(commands)
    _add_train(commands)
    add_find_rate(commands)
    _add_evaluate(commands)
    _add_predict(commands)
    add_export(commands)
    _add_import(commands)
    add_import_data(commands)
    add_write_tfrecord(commands)
    add_info(commands)
    return parser


def _add_train(commands) -> None:
    parser = command(
        commands,
        "train",
        _train,
        "Train a model. CONFIG is a YAML file; the folder gets config.json, weights.npz (the best "
        "epoch by AP), states/ (to resume), history.csv, curves.png, first_batch.png (what the "
        "network is fed) and tensorboard/.",
    )
    parser.add_argument("config", metavar="CONFIG", help="YAML file, see configs/")
    parser.add_argument("--out", required=True, metavar="FOLDER", help="the run's folder")
    parser.add_argument("--resume", action="store_true", help="go on with the run in FOLDER")
    parser.add_argument(
        "--limit",
        type=count,
        metavar="N",
        help="a trial before a long run: two epochs, evaluated, on N images of each split (at "
        "least one batch)",
    )
    add_set(parser)


def _add_evaluate(commands) -> None:
    parser = command(
        commands,
        "evaluate",
        _evaluate,
        "Box, mask and keypoint AP of a model. MODEL is a run folder or an exported SavedModel; "
        "without --json and --images a run's own val split is taken.",
    )
    parser.add_argument("model", metavar="MODEL", help="run folder or SavedModel folder")
    parser.add_argument("--json", metavar="FILE", help="COCO instance annotations")
    parser.add_argument("--images", metavar="FOLDER", help="the folder their file names start from")
    parser.add_argument("--limit", type=count, metavar="N", help="only the first N images")
    parser.add_argument("--results", metavar="FILE", help="also write the numbers as JSON")
    parser.add_argument(
        "--max-detections",
        type=count,
        nargs=3,
        metavar="N",
        help="COCO's maxDets (default: the run's, else 1 10 100); AP uses the last",
    )
    parser.add_argument(
        "--kaggle",
        type=share,
        nargs="?",
        const=0.5,
        metavar="P",
        help="also the Data Science Bowl's score, of detections with a score from P (0.5) on",
    )
    add_set(parser, USE_SET_HELP)


def _add_predict(commands) -> None:
    parser = command(
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
        "--threshold", type=share, default=0.5, metavar="P", help="lowest score drawn (0.5)"
    )
    parser.add_argument("--batch-size", type=count, default=1, metavar="N", help="images at a time")
    add_set(parser, USE_SET_HELP)


def _add_import(commands) -> None:
    parser = command(
        commands,
        "import-weights",
        _import,
        "Make a run folder of another framework's weights. Its config.json sets all that makes the "
        "detections equal to that framework's.",
    )
    parser.add_argument("source", metavar="SOURCE", choices=_SOURCES, help=" or ".join(_SOURCES))
    parser.add_argument("file", metavar="FILE", help="its checkpoint: .pth, .pkl or .h5")
    parser.add_argument("out", metavar="FOLDER", help="new run folder")
    parser.add_argument(
        "--skip",
        nargs="+",
        default=[],
        metavar="LAYER",
        help="leave at random: 'heads' for all layers that depend on the classes, or a path",
    )
    add_set(parser)


def _train(options) -> None:
    from tfmaskrcnn.config_files import load_config
    from tfmaskrcnn.data.annotations import Fault
    from tfmaskrcnn.errors import InputError
    from tfmaskrcnn.files import DiskFull
    from tfmaskrcnn.train import Run, train

    config, run = load_config(options.config, options.set), Run(options.out)
    if options.limit:
        config = load_config(options.config, [*options.set, *_trial(config, options.limit)])
    try:
        train(config, options.out, options.resume)
    except Fault as fault:
        raise InputError(f"{fault} tfmaskrcnn check-data lists all that is wrong.") from None
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            "Add --resume to go on." if os.path.exists(run.states) else ""
        ) from None
    except DiskFull as error:
        if not os.path.exists(run.states):
            raise
        raise DiskFull(
            f"{error} The states in {run.states} are whole: make room and go on with --resume."
        ) from None
    print(f"checkpoint  {run.weights}\ncurves      {run.curves}\nhistory     {run.history}")


def _trial(config, limit: int) -> List[str]:
    """Overrides that make a run short, but leave out nothing that a long one does."""
    images = max(limit, config.train.batch_size)
    epochs = min(2, config.train.epochs)
    return [f"data.limit={images}", f"train.epochs={epochs}", "train.evaluate_every=1"]


def _evaluate(options) -> None:
    from tfmaskrcnn.evaluation import evaluate
    from tfmaskrcnn.evaluation.run import progress_bar
    from tfmaskrcnn.files import replaced, writable_file
    from tfmaskrcnn.sources import open_source

    if options.results:
        writable_file(options.results)
    source = open_source(options.model, not (options.json and options.images), options.set)
    with progress_bar() as progress:
        result = evaluate(
            source.predict,
            options.json or source.val_json,
            options.images or source.val_images,
            options.max_detections or source.max_detections,
            limit=options.limit,
            progress=progress,
            channels=source.channels,
            keypoint_sigmas=source.keypoint_sigmas,
            kaggle_threshold=options.kaggle,
        )
    print(result.table())
    if options.results:
        with replaced(options.results, "w") as file:
            file.write(result.to_json())
        print(f"results     {options.results}")


def _predict(options) -> None:
    from tfmaskrcnn.files import writable_folder
    from tfmaskrcnn.sources import find_images, open_source, predict_files

    # First what takes no time.
    paths, folder = find_images(options.inputs), writable_folder(options.out)
    source = open_source(options.model, overrides=options.set)
    results = predict_files(source, paths, folder, options.threshold, options.batch_size)
    print(f"results     {results}")


def _import(options) -> None:
    from tfmaskrcnn.checkpoints.importing import import_weights

    files = options.file, options.source, options.out
    print(f"run         {import_weights(*files, options.set, options.skip)}")
