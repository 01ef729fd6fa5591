"""What the scripts `export/onnx.py` and `export/tflite.py` share: arguments, and the check."""

import argparse
import os
import time


def add_arguments(parser: argparse.ArgumentParser, kind: str) -> None:
    """The arguments of a script that turns a SavedModel into a file of `kind` ("ONNX")."""
    parser.add_argument("saved_model", metavar="SAVED_MODEL", help="folder, of tfmaskrcnn export")
    parser.add_argument("out", metavar="FILE", help=f"the {kind} file to write")
    parser.add_argument(
        "--size",
        type=int,
        nargs=2,
        metavar=("HEIGHT", "WIDTH"),
        help="of the network's input; default: the input.fixed_size that it was exported with",
    )
    parser.add_argument(
        "--batch", type=int, default=1, metavar="N", help="images at a time, fixed (1)"
    )
    parser.add_argument(
        "--images",
        nargs="+",
        default=[],
        metavar="IMAGE",
        help="images, folders or 'globs' on which FILE is compared with SAVED_MODEL",
    )
    parser.add_argument(
        "--limit", type=int, metavar="N", help="compare on the first N of the images only"
    )
    parser.add_argument("--verbose", action="store_true", help="more log lines, and tracebacks")


def convert_and_check(options, convert, predictor) -> tuple:
    """Convert, say what was written, and print the table of differences if there are images.

    Args:
        options: of `add_arguments`.
        convert: called with (saved_model, out, batch, size).
        predictor: of the module that `convert` is from.

    Returns:
        The shape (B, H, W, C) of the file's input `images`.
    """
    from tfmaskrcnn.errors import InputError
    from tfmaskrcnn.files import writable_file
    from tfmaskrcnn.portable.check import differences, preprocessed, saved_network, table
    from tfmaskrcnn.sources import find_images

    # First what takes no time.
    if options.batch < 1:
        raise InputError(f"--batch {options.batch} must be at least 1.")
    writable_file(options.out)
    paths = find_images(options.images)[: options.limit] if options.images else []
    size = tuple(options.size) if options.size else None

    began = time.time()
    shape = convert(options.saved_model, options.out, options.batch, size)
    megabytes = os.path.getsize(options.out) / 1e6
    print(f"written     {options.out} ({megabytes:.1f} MB, {time.time() - began:.0f} s)")
    batch, height, width, channels = shape
    print(f"inputs      images float32 {list(shape)}, sizes float32 [{batch}, 2]", flush=True)
    if paths:
        images, sizes = preprocessed(options.saved_model, paths, (height, width))
        pair = saved_network(options.saved_model), predictor(options.out)
        rows = differences(*pair, images, sizes, batch)
        print(table([os.path.basename(path) for path in paths], rows))
    return shape
