"""How much memory training and prediction take, beside what `model.memory_estimate` says.

    python examples/memory_table.py                    # all cells, a process each; some 40 minutes
    python examples/memory_table.py --cells r50        # those with this in their name

A cell trains two steps, or predicts twice, on drawn images of exactly the size that is named, with
the command line's own functions. What is printed is the peak of the process's resident memory.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from typing import NamedTuple, Tuple

# `ru_maxrss` counts these: kibibytes on Linux, bytes on macOS.
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024
_CLASSES = 80
_PLAIN = ("data.augment={min_sides: [], scale: [1, 1]}", "train.tensorboard=false")


class Cell(NamedTuple):
    """One row of the table."""

    name: str
    recipe: str
    size: Tuple[int, int]  # height and width of the images, which are not resized
    batch: int
    overrides: Tuple[str, ...] = ()
    predict: bool = False


_R50, _R101 = "maskrcnn_r50_fpn_1x_coco", "maskrcnn_r101_fpn_1x_coco"
_COCO, _HALF = (800, 1216), (512, 640)
CELLS = (
    Cell("finetune-384-b4", "finetune", (384, 384), 4),
    Cell("finetune-512x640-b1", "finetune", _HALF, 1),
    Cell("finetune-512x640-b4", "finetune", _HALF, 4),
    Cell("finetune-512x640-b8", "finetune", _HALF, 8),
    Cell("finetune-512x640-b8-frozen", "finetune", _HALF, 8, ("backbone.norm=frozen_bn",)),
    Cell("r50-800x1216-b1", _R50, _COCO, 1),
    Cell("r50-800x1216-b2", _R50, _COCO, 2),
    Cell("r50-800x1216-b1-bf16", _R50, _COCO, 1, ("train.precision=mixed_bfloat16",)),
    Cell("r50-512x640-b2", _R50, _HALF, 2),
    Cell("r50-512x640-b2-boxes", _R50, _HALF, 2, ("mask_head.enabled=false",)),
    Cell("r50-512x640-b2-adamw-ema", _R50, _HALF, 2, ("train={optimizer: adamw, ema: 0.99}",)),
    Cell("r50-512x640-b2-accumulate2", _R50, _HALF, 2, ("train.accumulate=2",)),
    Cell("r50-512x640-b2-recompute", _R50, _HALF, 2, ("backbone.recompute=true",)),
    Cell("r50-512x640-b2-all", _R50, _HALF, 2, ("backbone.freeze_at=0",)),
    Cell("r50-gn-512x640-b2", "maskrcnn_r50_fpn_gn_3x_coco", _HALF, 2),
    Cell("r101-800x1216-b1", _R101, _COCO, 1),
    Cell("keypoints-512x640-b2", "keypoint_rcnn_r50_fpn_1x_coco", _HALF, 2),
    Cell("keras-512x640-b2", "keras_resnet50", _HALF, 2),
    Cell("predict-finetune-512x640-b1", "finetune", _HALF, 1, predict=True),
    Cell("predict-finetune-512x640-b4", "finetune", _HALF, 4, predict=True),
    Cell("predict-r50-800x1216-b1", _R50, _COCO, 1, predict=True),
    Cell("predict-r50-800x1216-b4", _R50, _COCO, 4, predict=True),
    Cell("predict-r101-800x1216-b1", _R101, _COCO, 1, predict=True),
)


# GB that were measured, on stack A and on stack B.
MEASURED = {
    "finetune-384-b4": (1.83, None),
    "finetune-512x640-b1": (1.46, 1.63),
    "finetune-512x640-b4": (2.83, None),
    "finetune-512x640-b8": (4.50, None),
    "r50-800x1216-b1": (2.95, None),
    "r50-800x1216-b2": (4.06, None),
    "r50-512x640-b2": (2.69, 2.72),
    "r50-512x640-b2-adamw-ema": (3.46, None),
    "r50-512x640-b2-accumulate2": (2.60, None),
    "predict-finetune-512x640-b1": (0.80, None),
    "predict-finetune-512x640-b4": (1.20, None),
    "predict-r50-800x1216-b1": (1.27, 1.36),
    "predict-r50-800x1216-b4": (2.97, None),
}


def main() -> None:
    """Print the table, or measure one cell."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cells", default="", metavar="TEXT", help="those with it in their name")
    parser.add_argument("--measure", metavar="NAME", help=argparse.SUPPRESS)  # in this process
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if options.measure:
        print(json.dumps(measure(next(cell for cell in CELLS if cell.name == options.measure))))
        return
    print("| cell | measured GB | estimated GB | off |\n|---|---|---|---|", flush=True)
    for cell in CELLS:
        if options.cells in cell.name:
            print(_row(cell), flush=True)


def _row(cell: Cell) -> str:
    command = [sys.executable, __file__, "--measure", cell.name]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        return f"| {cell.name} | failed: {done.stderr.splitlines()[-1:]} | | |"
    peak, estimate = json.loads(done.stdout.splitlines()[-1]) / 1e9, estimated(cell) / 1e9
    return f"| {cell.name} | {peak:.2f} | {estimate:.2f} | {100 * (estimate / peak - 1):+.0f} % |"


def estimated(cell: Cell) -> int:
    """Bytes of a cell by the estimate."""
    from tfmaskrcnn.model.memory_estimate import prediction_bytes, training_bytes

    count = prediction_bytes if cell.predict else training_bytes
    keypoints = "keypoint" in cell.recipe
    drawn = "keypoint_head.num_keypoints=4" if keypoints else f"num_classes={_CLASSES}"
    return count(configured(cell, f"model.{drawn}"), cell.batch, cell.size)


def configured(cell: Cell, *more: str):
    """The configuration of a cell: its recipe without the augmentation that changes sizes."""
    from tfmaskrcnn.config.yaml_files import load_config

    sizes = (f"input.min_side={min(cell.size)}", f"input.max_side={max(cell.size)}")
    train = (f"train.batch_size={cell.batch}", "train.epochs=1", "model.backbone.weights=null")
    return load_config(cell.recipe, [*_PLAIN, *sizes, *train, *cell.overrides, *more])


def measure(cell: Cell) -> int:
    """Peak bytes of this process, which has done nothing else before."""
    with tempfile.TemporaryDirectory() as folder:
        (_predict if cell.predict else _train)(cell, folder)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT


def _train(cell: Cell, folder: str) -> None:
    """Two steps of a run."""
    import tfmaskrcnn as mr

    config = configured(cell)
    data = _written(cell, config, os.path.join(folder, "data"))
    config = config.model_copy(update={"data": config.data.model_copy(update=data)})
    mr.train.train(config, os.path.join(folder, "run"))


def _written(cell: Cell, config, folder: str):
    """The `data` settings of two batches of drawn images, with so many classes as COCO has."""
    from tfmaskrcnn.data import write_shapes

    keypoints = {"classes": ("arrow",)} if config.model.keypoint_head.enabled else {}
    height, width = cell.size
    count = 2 * cell.batch
    path, images = write_shapes(folder, num_images=count, height=height, width=width, **keypoints)
    if not keypoints:
        with open(path, encoding="utf-8") as file:
            coco = json.load(file)
        names = [each["name"] for each in coco["categories"]]
        names += [f"class {k}" for k in range(len(names), _CLASSES)]
        coco["categories"] = [{"id": k, "name": name} for k, name in enumerate(names, start=1)]
        with open(path, "w", encoding="utf-8") as file:
            json.dump(coco, file)
    return {"train_json": path, "train_images": images, "val_json": None, "val_images": None}


def _predict(cell: Cell, folder: str) -> None:
    """Two batches of pictures."""
    import numpy as np

    import tfmaskrcnn as mr

    model = mr.MaskRCNN(configured(cell).model)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (2 * cell.batch, *cell.size, 3), np.uint8)
    model.predict_images(list(images), batch_size=cell.batch)


if __name__ == "__main__":
    main()
