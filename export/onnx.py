"""Write a SavedModel as ONNX: `python export/onnx.py SAVED_MODEL FILE.onnx --images FOLDER`.

For GPUs without TF-TRT: TensorRT 10 and ONNX Runtime read the file. With images it is compared with
the SavedModel in ONNX Runtime on the CPU. Needs the extra `onnx`.
"""

import os
import sys

if __name__ == "__main__":
    # Python puts a script's folder first, where this file would stand for the package `onnx`.
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path = [path for path in sys.path if os.path.abspath(path) != here]

import argparse

from tfmaskrcnn.cli_portable import add_arguments, convert_and_check
from tfmaskrcnn.command import run_command


def main(arguments=None) -> int:
    """Run the script; returns the exit codes of `tfmaskrcnn`."""
    parser = argparse.ArgumentParser(prog="export/onnx.py", description=__doc__.split("\n")[0])
    add_arguments(parser, "ONNX")
    parser.set_defaults(run=_run)
    return run_command(parser.parse_args(arguments))


def predictor(path):
    """The file as a function; see `tfmaskrcnn.portable.onnx.predictor`."""
    from tfmaskrcnn.portable import onnx

    return onnx.predictor(path)


def _run(options) -> None:
    from tfmaskrcnn.portable import onnx

    convert_and_check(options, onnx.convert, onnx.predictor)
    print("For TensorRT 10, on the machine that will run it (not run here):")
    print(f"  {onnx.trtexec_command(options.out)}")


if __name__ == "__main__":
    sys.exit(main())
