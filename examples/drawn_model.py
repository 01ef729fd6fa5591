"""R50-FPN with weights drawn by name, as SavedModel and as torchvision's state dict.

`python examples/drawn_model.py FOLDER` writes FOLDER/saved_model/1 and FOLDER/torchvision.npz, the
pair that `latency.py --against torchvision` compares, and FOLDER/torchvision.pth for
`tfmaskrcnn import-weights`: anyone can rebuild them, without a download and without PyTorch.
"""

import argparse
import json
import os
import sys

import numpy as np

import tfmaskrcnn as mr

TESTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests")
sys.path.insert(0, TESTS)

from golden.weights_by_name import weight, with_statistics  # noqa: E402
from helpers.torch_files import whole, write_zip  # noqa: E402


def drawn_state_dict():
    """All of torchvision's maskrcnn_resnet50_fpn, 91 classes: {name: array}."""
    golden = np.load(os.path.join(TESTS, "golden", "torchvision_maskrcnn.npz"))
    manifest = json.loads(str(golden["manifest"]))
    return with_statistics({name: weight(name, shape) for name, shape in manifest}, 1e-5)


def main(folder: str) -> None:
    """Write all forms."""
    tensors = drawn_state_dict()
    model = mr.from_checkpoint(tensors, source="torchvision")
    exported = mr.export_saved_model(model, os.path.join(folder, "saved_model", "1"))
    path = os.path.join(folder, "torchvision.npz")
    np.savez(path, **tensors)
    file = os.path.join(folder, "torchvision.pth")
    write_zip(file, {name: whole(array, str(i)) for i, (name, array) in enumerate(tensors.items())})
    print(f"SavedModel  {exported}\nstate dict  {path}\ncheckpoint  {file}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", metavar="FOLDER", help="where to write")
    try:
        main(parser.parse_args().folder)
    except mr.InputError as error:
        sys.exit(f"error: {error}")
