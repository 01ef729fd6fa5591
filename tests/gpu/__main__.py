"""What has to hold on a GPU, in one command and at most eight minutes; `make test-gpu` runs it.

    python -m tests.gpu [--json gpu.json] [--seconds 480] [--only kernels agreement]
    python -m tests.gpu --miniature        # everything in little, with or without a GPU

What is compared with a CPU is compared with a process of the same code that sees no GPU. The exit
code is 1 if a row is out of its bound or a part failed.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [path for path in map(str, (HERE.parent, HERE.parents[1])) if path not in sys.path]
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from gpu import agreement, kernels  # noqa: E402
from gpu.report import about, as_json, table  # noqa: E402
from gpu.rows import MINIATURE, WHOLE, Given, Size  # noqa: E402
from gpu.run import PARTS, run  # noqa: E402

_SECONDS = 480.0
_NO_GPU = "TensorFlow sees no GPU here; --miniature tries the run without one."
_ENDING = 20.0  # seconds that starting and ending take of them


def main(arguments=None) -> int:
    """Run the parts and print the table; 1 if something did not pass."""
    options = _parser().parse_args(arguments)
    size = MINIATURE if options.miniature else WHOLE
    if options.reference:
        np.savez(options.reference, **_reference(size))
        return 0
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus and not options.miniature:
        print(_NO_GPU, file=sys.stderr)
        return 2
    for gpu in gpus:  # torchvision needs some too
        tf.config.experimental.set_memory_growth(gpu, True)
    parts = [part for part in PARTS if not options.only or part.name in options.only]
    with tempfile.TemporaryDirectory() as folder:
        given = Given(size, _once(size, folder, bool(gpus)), folder)
        found = run(given, options.seconds - _ENDING, parts, told=_told)
    print(table(found))
    if options.json:
        options.json.write_text(json.dumps(as_json(found, about(gpus)), indent=1) + "\n")
    return 1 if any(row.passed is False for rows in found.values() for row in rows) else 0


def _reference(size: Size):
    """What parts are compared with, computed in this process."""
    return {**kernels.computed(size), **agreement.computed(size)}


def _once(size: Size, folder: str, gpu: bool):
    """A function that gives the reference, and makes it, in a process without a GPU, but once."""
    kept = {}

    def reference():
        if kept:
            return kept
        if not gpu:
            kept.update(_reference(size))
            return kept
        path = os.path.join(folder, "reference.npz")
        command = [sys.executable, str(HERE / "__main__.py"), "--reference", path]
        command += ["--miniature"] if size.miniature else []
        subprocess.run(command, check=True, env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1"})
        with np.load(path) as file:
            kept.update({name: file[name] for name in file.files})
        return kept

    return reference


def _told(name: str) -> None:
    print(f"{name} ...", file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.gpu",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = [part.name for part in PARTS]
    parser.add_argument("--miniature", action="store_true", help="in little; needs no GPU")
    parser.add_argument("--only", nargs="+", choices=names, metavar="PART", help=", ".join(names))
    most = "for all parts (%(default)s)"
    parser.add_argument("--seconds", type=float, default=_SECONDS, metavar="S", help=most)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all rows as JSON")
    parser.add_argument("--reference", metavar="FILE", help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
