"""The command `predict` of the command line."""

import argparse
import sys
import warnings

# Nothing here may import TensorFlow before the command runs, see `main`.
from tfmaskrcnn.cli.arguments import (
    USE_SET_HELP,
    add_model,
    add_out,
    add_runtime,
    add_set,
    add_tiles,
    add_tta,
    command,
    count,
    share,
)
from tfmaskrcnn.errors import InputError, quoted

_DRAWN = {"boxes": "boxes", "labels": "names", "scores": "scores", "masks": "masks"}
_NAMED = 20  # pictures that could not be read, in the list at the end


def add_parser(commands) -> None:
    """`tfmaskrcnn predict`."""
    parser = command(
        commands,
        "predict",
        _predict,
        "Find objects in images. Writes a picture for each image and results.json (COCO results "
        "format, with each image's file name), and on request tables and data sets of what was "
        "found. Images that cannot be read are named at the end, and the exit code is 1.",
    )
    add_model(parser)
    parser.add_argument(
        "inputs",
        metavar="INPUT",
        nargs="+",
        help="image, folder, 'glob', http(s) address, video, or - for a list on stdin, one a line",
    )
    add_out(parser)
    parser.add_argument(
        "--threshold",
        type=share,
        metavar="P",
        help="lowest score drawn and saved (the model's own thresholds of its classes if it has "
        "any, else 0.5); results.json holds all",
    )
    parser.add_argument(
        "--batch-size",
        type=count,
        default=1,
        metavar="N",
        help="images that go through the network together (1)",
    )
    _add_inputs(parser.add_argument_group("inputs"))
    _add_looking(parser.add_argument_group("how it is looked at"))
    _add_saving(parser.add_argument_group("what is written"))
    _add_drawing(parser.add_argument_group("how it is drawn"))
    add_set(parser, USE_SET_HELP)


def _add_inputs(parser) -> None:
    parser.add_argument(
        "--recursive",
        action="store_true",
        help="look for images in folders within folders too",
    )
    parser.add_argument(
        "--ids-from", metavar="JSON", help="take image ids and file names from this COCO file"
    )
    parser.add_argument(
        "--shard",
        type=shard,
        metavar="I/N",
        help="look at the I-th of N parts of the images alone, such as 3/8: a part a machine",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on with the unfinished prediction that --out holds, by the same command",
    )
    parser.add_argument(
        "--every",
        type=count,
        default=1,
        metavar="N",
        help="look at every N-th frame of videos alone",
    )


def _add_looking(parser) -> None:
    add_tiles(parser)
    add_tta(parser)
    add_runtime(parser)


def _add_saving(parser) -> None:
    parser.add_argument(
        "--save",
        nargs="+",
        action="extend",
        metavar="FORMAT",
        help="one or several of: pictures (drawn, the default without --video), none, crops (an "
        "object a PNG), masks (an object a PNG), labels (an image a PNG whose pixels are the "
        "objects' numbers), coco (a data set), labelme, cvat, via, yolo, label-studio, geojson "
        "(QuPath), imagej (regions), kaggle (run lengths)",
    )
    parser.add_argument(
        "--measure",
        action="store_true",
        help="write objects.csv, a row an object with its size, shape and brightness, and "
        "counts.csv, a row an image",
    )
    parser.add_argument(
        "--pixel-size",
        metavar="SIZE",
        help="side of a pixel with its unit, such as 0.32um: --measure has lengths and areas in "
        "it too",
    )
    parser.add_argument(
        "--only-uncertain",
        type=count,
        metavar="N",
        help="save only the N images of which the most objects have to be corrected, as far as "
        "the scores tell; their names are in uncertain.txt",
    )
    parser.add_argument(
        "--video",
        metavar="FILE.mp4",
        help="write the drawn frames as a video (.mp4, .m4v, .mov, .mkv), and no picture a frame",
    )
    parser.add_argument(
        "--tolerance",
        type=pixels,
        default=0.5,
        metavar="PIXELS",
        help="of --save: how far polygons may leave the mask (0.5; 0 follows its pixels)",
    )
    parser.add_argument(
        "--label-format",
        choices=("png", "tiff"),
        default="png",
        help="of --save labels: the files' format (png)",
    )


def _add_drawing(parser) -> None:
    parser.add_argument(
        "--style",
        choices=("overlay", "splash"),
        default="overlay",
        help="overlay (the default): coloured objects on the image; splash: objects keep their "
        "colours, all else is grey",
    )
    parser.add_argument(
        "--color-by",
        choices=("auto", "class", "object"),
        default="auto",
        help="class: a colour a class; object: neighbours in different colours; auto (the "
        "default): by object where there is one class, else by class",
    )
    for name, text in _DRAWN.items():
        parser.add_argument(f"--no-{name}", action="store_true", help=f"draw no {text}")
    for name in ("boxes", "labels", "scores"):
        text = f"draw {_DRAWN[name]} in any case, not only where there is room"
        parser.add_argument(f"--{name}", action="store_true", help=text)
    parser.add_argument(
        "--numbers",
        action="store_true",
        help="draw each object's number: its id in objects.csv, in a video its track",
    )
    parser.add_argument(
        "--line-width", type=pixels, metavar="PIXELS", help="of outlines (by the picture's size)"
    )
    parser.add_argument(
        "--picture-side",
        type=count,
        metavar="N",
        help="pixels of the longer side of what is drawn (as large as the image)",
    )


def shard(text: str):
    """(I, N) of "I/N", as the `type` of an argument."""
    first, slash, second = text.partition("/")
    if not slash:
        raise argparse.ArgumentTypeError(f"{quoted(text)} is not I/N, such as 1/4")
    number, total = count(first), count(second)
    if number > total:
        raise argparse.ArgumentTypeError(f"{quoted(text)}: there is no part {number} of {total}")
    return number, total


def pixels(text: str) -> float:
    """A finite number from 0 on, as the `type` of an argument."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e6:
        raise argparse.ArgumentTypeError(f"{quoted(text)} is no number of pixels from 0 on")
    return value


def _predict(options) -> int:
    from tfmaskrcnn.checkpoints.named_runs import model_folder
    from tfmaskrcnn.inference.augmented import check_augmentation, open_augmented
    from tfmaskrcnn.inference.opening import check_model
    from tfmaskrcnn.inference.prediction_options import checked_options, model_digest

    # First what takes no time.
    wanted = checked_options(_options(options))
    model = model_folder(options.model)
    config = check_model(model, overrides=options.set, runtime=options.runtime)
    check_augmentation(model, config, options.tta)

    from tfmaskrcnn.inference.prediction_files import prepared_pictures
    from tfmaskrcnn.inference.prediction_run import run
    from tfmaskrcnn.support.files import writable_folder

    # Pillow takes pictures of more than 89 megapixels for an attack; they are what tiles are for.
    warnings.filterwarnings("ignore", "Image size .* could be decompression bomb")
    pictures = prepared_pictures(options.inputs, options.out, wanted)
    writable_folder(options.out)
    source = open_augmented(model, config, options.tta, options.runtime)
    wanted = wanted._replace(model=model_digest(model, config, options.tta, options.runtime))
    outcome = run(source, pictures, options.out, wanted)
    for name, place in outcome.written.items():
        print(f"{name:<11} {place}")
    return _tell_failed(outcome.failed)


def _options(options):
    """`PredictionOptions` of what was typed."""
    from tfmaskrcnn.drawing.drawing_style import DrawingStyle
    from tfmaskrcnn.inference.prediction_options import PredictionOptions

    style = DrawingStyle(
        options.style,
        options.color_by,
        masks=not options.no_masks,
        boxes=_switch(options, "boxes"),
        labels=_switch(options, "labels"),
        scores=_switch(options, "scores"),
        numbers=options.numbers,
        line_width=options.line_width,
        side=options.picture_side,
    )
    own = {name: value for name, value in vars(options).items() if name in _own_names()}
    own.update(
        save=tuple(options.save or (("none",) if options.video else ("pictures",))), style=style
    )
    return PredictionOptions(**own)


def _own_names():
    from tfmaskrcnn.inference.prediction_options import PredictionOptions

    return set(PredictionOptions._fields) - {"model", "style", "save"}


def _switch(options, name: str):
    """True, False, or None where neither `--NAME` nor `--no-NAME` was typed."""
    wanted, refused = getattr(options, name), getattr(options, f"no_{name}")
    if wanted and refused:
        raise InputError(f"--{name} and --no-{name} are both given; wanted one of the two.")
    return False if refused else wanted or None


def _tell_failed(failed) -> int:
    """The exit code; names on stderr what could not be read."""
    if not failed:
        return 0
    print(f"{len(failed)} could not be used:", file=sys.stderr)
    for _, reason in failed[:_NAMED]:
        print(f"  {reason}", file=sys.stderr)
    if len(failed) > _NAMED:
        print(f"  and {len(failed) - _NAMED} more, see predictions.jsonl", file=sys.stderr)
    return 1
