"""The command line of `latency.py`, which `tfmaskrcnn benchmark` has too."""

import argparse
import sys

# What runs .onnx files, the default first; of several each file has a row of each.
RUNTIMES = ["onnxruntime", "openvino"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to time, and how."""
    add = parser.add_argument
    add(
        "paths",
        nargs="+",
        metavar="ARTEFACT",
        help="run or SavedModel folder, .onnx or .tflite file",
    )
    add("--runtime", nargs="+", choices=RUNTIMES, default=RUNTIMES[:1], help="of .onnx files")
    add("--against", choices=["torchvision"], help="time this program's model too")
    add("--weights", metavar="NPZ", help="torchvision's state dict, of examples/drawn_model.py")
    add("--python", default=sys.executable, metavar="PYTHON", help="one that has torchvision")
    add("--size", default="800x1216", metavar="HxW", help="of the images (800x1216)")
    add("--batch", default="1", metavar="N[,N...]", help="images a call (1)")
    add("--repeats", type=int, default=5, metavar="N", help="timed calls of each (5)")
    add("--warmup", type=int, default=2, metavar="N", help="calls before these (2)")
    add("--threads", type=int, default=0, metavar="N", help="of the CPU; 0 lets each choose")
    add("--masks", choices=["pasted", "raw"], default="pasted", help="(pasted)")
    add("--score-threshold", type=float, default=0.05, metavar="P", help="of torchvision (0.05)")
    add("--bfloat16", action="store_true", help="SavedModels in bfloat16 as well")
    add("--profile", action="store_true", help="where a SavedModel's time goes")
    add("--json", metavar="FILE", help="write all numbers here")
