"""Argument parsing that several commands of the command line share."""

import argparse
from typing import Sequence

_SET_HELP = (
    "change configuration values, such as train.batch_size=4 or box_head.score_threshold=0.3; "
    "values are YAML"
)
# Of the commands that only use a model.
USE_SET_HELP = (
    "change settings of a run for this time, such as box_head.score_threshold=0.3 "
    "box_head.nms_iou=0.6 input.min_side=640; what its weights do not fit is refused"
)


def command(commands, name: str, run, text: str) -> argparse.ArgumentParser:
    """A parser for the command `name`, whose help begins with the first sentence of `text`."""
    short = text[0].lower() + text[1:].split(".")[0]
    parser = commands.add_parser(name, help=short, description=text)
    parser.set_defaults(run=run)
    return parser


def add_config(parser) -> None:
    """The argument CONFIG."""
    text = "a name of `tfmaskrcnn configs`, a YAML file, or a run folder"
    parser.add_argument("config", metavar="CONFIG", help=text)


def add_model(parser) -> None:
    """The argument MODEL."""
    parser.add_argument("model", metavar="MODEL", help="run folder or SavedModel folder")


def add_data(parser) -> None:
    """The arguments JSON and IMAGES."""
    parser.add_argument("json", metavar="JSON", help="COCO instance annotations")
    parser.add_argument("images", metavar="IMAGES", help="the folder its file names start from")


def add_source(parser, sources: Sequence[str]) -> None:
    """The argument SOURCE, one of `sources`."""
    parser.add_argument("source", metavar="SOURCE", choices=sources, help=", ".join(sources))


def add_out(parser, text: str = "where to write") -> None:
    """The option --out; `text` is its help."""
    parser.add_argument("--out", required=True, metavar="FOLDER", help=text)


def add_skip_invalid(parser, text: str) -> None:
    """The option --skip-invalid; `text` is its help."""
    parser.add_argument("--skip-invalid", action="store_true", help=text)


def add_set(parser, text: str = _SET_HELP) -> None:
    """The option --set; `text` is its help."""
    parser.add_argument(
        "--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help=text
    )


def add_tta(parser) -> None:
    """The option --tta: None where it is not given, a list without words where it is alone."""
    parser.add_argument(
        "--tta",
        nargs="*",
        type=flip_or_scale,
        metavar="WAY",
        help="look at every image several times and merge what is found: hflip, vflip, transpose, "
        "scales such as 0.8 1.25, in all combinations (hflip alone); scales need a run folder",
    )


def flip_or_scale(text: str) -> str:
    """A flip's name or a scale, as the `type` of an argument."""
    from tfmaskrcnn.inference.variants import check_word

    try:
        return check_word(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def count(text: str) -> int:
    """A whole number above 0, as the `type` of an argument."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")
    return int(text)


def share(text: str) -> float:
    """A number from 0 to 1, as the `type` of an argument."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 to 1")
    return value
