"""Argument parsing that several commands of the command line share."""

import argparse
import sys
from typing import Sequence

from tfmaskrcnn.errors import quoted
from tfmaskrcnn.inference.runtimes import RUNTIMES
from tfmaskrcnn.support.suggestions import did_you_mean

_MOST_DIGITS = 9  # of a count
_SET_HELP = (
    "change configuration values, such as train.batch_size=4 or box_head.score_threshold=0.3; "
    "values are YAML"
)
# Of the commands that only use a model.
USE_SET_HELP = (
    "change settings of a run for this time, such as box_head.score_threshold=0.3 "
    "box_head.nms_iou=0.6 input.min_side=640; what its weights do not fit is refused"
)

MODEL_HELP = (
    "run or SavedModel folder, .tfmaskrcnn, .onnx or .tflite file, or a name of `tfmaskrcnn "
    "weights`"
)


class Parser(argparse.ArgumentParser):
    """A parser that says what is wrong in a sentence, without the list of all options."""

    def parse_known_args(self, args=None, namespace=None):
        """As argparse's; a command refuses by its own name what it does not know."""
        self._words = sys.argv[1:] if args is None else list(args)
        options, unknown = super().parse_known_args(args, namespace)
        if unknown and not self._subparsers:
            hint = did_you_mean(unknown[0], self._option_string_actions)
            text = f"unrecognized arguments: {' '.join(unknown)}"
            self.error(f"{text}; {hint}" if hint else text)
        return options, unknown

    def error(self, message: str):
        """Exit with 2 after a sentence."""
        missing = message.partition("arguments are required: ")[2].split(", ")
        lists = (action for action in self._actions if action.nargs in ("+", "*"))
        takers = [name for a in lists for name in a.option_strings if name in self._words]
        if takers and any(name[0].isupper() for name in missing if name):
            message += f" (what follows {takers[0]} belongs to it: the others come before)"
        end = "" if message.endswith("?") else "."
        self.exit(2, f"{self.prog}: {message}{end} `{self.prog} --help` has all options.\n")


def command(commands, name: str, run, text: str) -> argparse.ArgumentParser:
    """A parser for the command `name`, whose help begins with the first sentence of `text`."""
    short = text[0].lower() + text[1:].split(".")[0]
    parser = commands.add_parser(name, help=short, description=text)
    add_verbose(parser, argparse.SUPPRESS)
    parser.set_defaults(run=run)
    return parser


def add_verbose(parser, default=False) -> None:
    """The option --verbose, before the command and after it."""
    text = "more log lines, and tracebacks"
    parser.add_argument("--verbose", action="store_true", default=default, help=text)


def add_config(parser) -> None:
    """The argument CONFIG."""
    text = "a name of `tfmaskrcnn configs`, a YAML file, or a run folder"
    parser.add_argument("config", metavar="CONFIG", help=text)


def add_trust_code(parser) -> None:
    """The option --trust-code."""
    parser.add_argument(
        "--trust-code",
        action="store_true",
        help="run the code that a run's config.json names (data.augment.function)",
    )


def add_model(parser) -> None:
    """The argument MODEL."""
    parser.add_argument("model", metavar="MODEL", help=MODEL_HELP)


def add_runtime(parser, nargs=None, more: str = "") -> None:
    """The option --runtime."""
    text = f"what runs an .onnx file (onnxruntime){more}"
    parser.add_argument("--runtime", choices=RUNTIMES, nargs=nargs, help=text)


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


def add_tiles(parser: argparse.ArgumentParser) -> None:
    """How large pictures are seen in tiles."""
    parser.add_argument(
        "--tile",
        type=tile_size,
        default="auto",
        metavar="SIZE",
        help="look at large pictures in tiles of SIZE pixels; auto (the default) decides by what "
        "the model was trained on, none never does",
    )
    parser.add_argument(
        "--overlap",
        type=count,
        metavar="N",
        help="pixels that neighbouring tiles share (by the objects' size)",
    )


def tile_size(text: str):
    """A side in pixels, "auto" or "none", as the `type` of an argument."""
    if text in ("auto", "none"):
        return text
    try:
        return count(text)
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(
            f"{quoted(text)} is neither auto, none nor a number of pixels"
        ) from None


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
    if not text.isdecimal() or len(text) > _MOST_DIGITS or int(text) < 1:
        raise argparse.ArgumentTypeError(
            f"{quoted(text)} is no whole number above 0, of 9 digits at most"
        )
    return int(text)


def share(text: str) -> float:
    """A number from 0 to 1, as the `type` of an argument."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{quoted(text)} is no number from 0 to 1")
    return value


def class_pair(text: str) -> str:
    """CLASS or CLASS=CATEGORY, as the `type` of an argument."""
    own, equal, other = text.partition("=")
    if not own or (equal and not other):
        raise argparse.ArgumentTypeError(f"{text!r} is neither a name nor CLASS=CATEGORY")
    return text
