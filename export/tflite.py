"""Write a SavedModel as TFLite: `python export/tflite.py SAVED_MODEL FILE.tflite --images FOLDER`.

For phones: operations of the plain TFLite (LiteRT) runtime alone, no Select TF ops. With images it
is compared with the SavedModel in the interpreter.
"""

import argparse
import functools
import sys

from tfmaskrcnn.cli_portable import add_arguments, convert_and_check
from tfmaskrcnn.command import run_command

PRECISIONS = ("float32", "float16", "int8")


def main(arguments=None) -> int:
    """Run the script; returns the exit codes of `tfmaskrcnn`."""
    parser = argparse.ArgumentParser(prog="export/tflite.py", description=__doc__.split("\n")[0])
    add_arguments(parser, "TFLite")
    parser.add_argument(
        "--precision", choices=PRECISIONS, default="float32", help="of the weights (float32)"
    )
    parser.set_defaults(run=_run)
    return run_command(parser.parse_args(arguments))


def predictor(path):
    """The file as a function; see `tfmaskrcnn.portable.tflite.predictor`."""
    from tfmaskrcnn.portable import tflite

    return tflite.predictor(path)


def _run(options) -> None:
    from tfmaskrcnn.portable import tflite

    convert = functools.partial(tflite.convert, precision=options.precision)
    convert_and_check(options, convert, tflite.predictor)


if __name__ == "__main__":
    sys.exit(main())
