"""The command line: a thin shell over the package's public names."""

import argparse
import sys
from typing import List, Optional

# Nothing here may import TensorFlow: `--help` is to be there at once, and `run_command` has to
# quieten TensorFlow before it is imported.
from tfmaskrcnn import __version__
from tfmaskrcnn.cli import (
    benchmark,
    check_data,
    compare,
    configs,
    evaluate,
    export,
    find_rate,
    import_data,
    import_weights,
    info,
    predict,
    show_data,
    split,
    train,
    weights,
    write_tfrecord,
)
from tfmaskrcnn.cli.arguments import Parser, add_verbose
from tfmaskrcnn.cli.command import run_command

# In the order of the work: data, training, use, shipping, the rest.
_COMMANDS = (
    *(import_data, check_data, split, show_data, write_tfrecord),
    *(configs, weights, import_weights, find_rate, train),
    *(evaluate, predict),
    *(export, compare, benchmark, info),
)
_EXAMPLES = """\
examples:
  tfmaskrcnn split all.json --images images --val 0.2
  tfmaskrcnn check-data train.json images --html report.html
  tfmaskrcnn train finetune --out runs/cells \\
      --set data.train_json=train.json data.train_images=images \\
            data.val_json=val.json data.val_images=images
  tfmaskrcnn find-rate finetune --out runs/rate --set ...
  tfmaskrcnn predict maskrcnn_resnet50_fpn_v2_coco photos/ --out found
  tfmaskrcnn evaluate runs/cells
  tfmaskrcnn predict runs/cells photos/ 'more/*.jpg' --out found
  tfmaskrcnn export runs/cells exported/1
  tfmaskrcnn info exported/1
  tfmaskrcnn import-data via via.json train.json --images images --attribute kind
  tfmaskrcnn import-weights torchvision maskrcnn_resnet50_fpn_coco.pth runs/torchvision

`tfmaskrcnn COMMAND --help` tells more about each.
"""


def main(arguments: Optional[List[str]] = None) -> int:
    """Run the command line.

    Args:
        arguments: without the program's name; None takes the process's own.

    Returns:
        The exit code: 0, 1 if `check-data` finds something wrong or `predict` an image that it
        cannot use, 2 after a wrong input, 130 after Ctrl-C, 141 if nobody reads the output.
    """
    parser = _parser()
    if not (sys.argv[1:] if arguments is None else arguments):
        parser.print_help(sys.stderr)
    options = parser.parse_args(arguments)
    for name, value in vars(options).items():
        # Of a shell's variable that is not set: a name of nothing, or of the folder one is in.
        if value == "" or (isinstance(value, list) and "" in value):
            parser.error(f"argument {name}: an empty text")
    return run_command(options)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="tfmaskrcnn",
        description="Mask R-CNN for TensorFlow and Keras: train, evaluate, predict, export.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"tfmaskrcnn {__version__}")
    add_verbose(parser)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for module in _COMMANDS:
        module.add_parser(commands)
    return parser
