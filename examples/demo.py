"""The main job from data to a picture: train, report, export, predict without Keras.

`make demo` runs it: nuclei in 46 real microscope images (examples/nuclei), from ImageNet weights,
in a few minutes on 2 CPU cores. Each step is the command line as a user would type it.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
CONFIG = "nuclei_demo"
IMAGES = os.path.join("examples", "nuclei", "images")
VAL = os.path.join("examples", "nuclei", "val.json")
RUN = os.path.join("runs", "demo")
EXPORTED = os.path.join(RUN, "exported", "1")
NUMBERS = os.path.join(RUN, "evaluation.json")
REPORT = os.path.join(RUN, "report.html")
FOUND = os.path.join(RUN, "found")
# A module that is None in sys.modules cannot be imported: proof that the SavedModel needs no Keras.
WITHOUT_KERAS = (
    "import sys; sys.modules['keras'] = None; "
    "from tfmaskrcnn.cli.main import main; sys.exit(main(sys.argv[1:]))"
)


def main() -> int:
    """Run all steps; returns 0, or the exit code of the first that fails."""
    os.chdir(os.path.dirname(HERE))
    began = time.time()
    shutil.rmtree(RUN, ignore_errors=True)
    with open(VAL, encoding="utf-8") as file:
        names = [image["file_name"] for image in json.load(file)["images"]]
    pictures = [os.path.join(IMAGES, name) for name in names]
    cli = [sys.executable, "-m", "tfmaskrcnn"]
    bare = [sys.executable, "-c", WITHOUT_KERAS]
    steps = [
        [*cli, "train", CONFIG, "--out", RUN],
        [*cli, "evaluate", RUN, "--html", REPORT, "--save-thresholds"],
        [*cli, "export", RUN, EXPORTED],
        [*bare, "evaluate", EXPORTED, "--json", VAL, "--images", IMAGES]
        + ["--max-detections", "1", "100", "1000", "--results", NUMBERS],
        [*bare, "predict", EXPORTED, *pictures, "--out", FOUND],
    ]
    for step in steps:
        shown = ["tfmaskrcnn", *step[3:]]
        if len(shown) > 12:
            shown[4:-2] = ["..."]
        keras = "   # in a process without Keras" if step[1] == "-c" else ""
        print(f"\n$ {' '.join(shown)}{keras}", flush=True)
        code = subprocess.call(step)
        if code:
            return code
    with open(NUMBERS, encoding="utf-8") as file:
        numbers = json.load(file)
    overlay = os.path.join(FOUND, os.path.splitext(names[0])[0] + ".png")
    print(f"\nDone in {time.time() - began:.0f} s. COCO with at most 1000 detections an image:")
    for kind in ("boxes", "masks"):
        print(f"  {kind:<12}AP {numbers[kind]['AP']:.3f}   AP50 {numbers[kind]['AP50']:.3f}")
    for label, path in (
        ("report", REPORT),
        ("checkpoint", os.path.join(RUN, "weights.npz")),
        ("SavedModel", EXPORTED),
        ("overlay", overlay),
        ("curves", os.path.join(RUN, "curves.png")),
    ):
        print(f"  {label:<12}{path}")
    return 0


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()  # takes none
    sys.exit(main())
