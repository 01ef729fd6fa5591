"""Draws the pages' pictures of found objects: `docs/drawing.jpg`, and `examples/nuclei/found.png`.

python examples/overlays.py              # docs/drawing.jpg, of drawn shapes and annotations
python examples/overlays.py runs/demo    # the nuclei that the run of `make demo` finds, as well
"""

import json
import os
import sys

import numpy as np
from PIL import Image

from tfmaskrcnn.data.coco.image_files import read_image
from tfmaskrcnn.data.coco.segmentation import as_rle
from tfmaskrcnn.data.shapes import make_shapes
from tfmaskrcnn.drawing.batch import contact_sheet
from tfmaskrcnn.drawing.drawing_style import DrawingStyle
from tfmaskrcnn.drawing.overlays import draw, side_by_side
from tfmaskrcnn.inference.opening import open_source
from tfmaskrcnn.instances import Instances

HERE = os.path.dirname(os.path.abspath(__file__))
STYLES = {
    "as it comes": DrawingStyle(),
    "--color-by class": DrawingStyle(color_by="class"),
    "--color-by object --numbers": DrawingStyle(color_by="object", numbers=True),
    "--no-boxes --no-labels --no-scores": DrawingStyle(boxes=False, labels=False, scores=False),
    "--no-masks --line-width 4": DrawingStyle(masks=False, line_width=4),
    "--style splash": DrawingStyle(look="splash"),
}
# Large and small fluorescence, and a stain of histology.
FOUND_IN = ("43cf6b2e", "4cbd6c37", "4948e3df")  # beginnings of file names
SIDE = 500  # pixels of a picture of nuclei
CELL = 470  # pixels of a style


def main() -> int:
    """Write the pictures, print their paths."""
    path = os.path.join(HERE, "..", "docs", "drawing.jpg")
    save(styles(), os.path.normpath(path))
    if len(sys.argv) > 1:
        save(nuclei(sys.argv[1]), os.path.join(HERE, "nuclei", "found.png"))
    return 0


def styles() -> np.ndarray:
    """One drawn image in all styles."""
    images, coco = make_shapes(1, 420, 560, (12, 12), seed=19, classes=("circle", "square", "star"))
    found = annotated(coco, images[0].shape[:2])
    pictures = [draw(images[0], found, 0.0, style=style) for style in STYLES.values()]
    return contact_sheet(pictures, list(STYLES), CELL)


def annotated(coco, size) -> Instances:
    """The annotations of a data set of one image, with scores that stand for a model's."""
    entries = coco["annotations"]
    x, y, width, height = np.array([entry["bbox"] for entry in entries]).T
    return Instances(
        boxes=np.stack([y, x, y + height, x + width], axis=1),
        scores=np.linspace(0.99, 0.6, len(entries)),
        classes=[entry["category_id"] for entry in entries],
        size=size,
        class_names=[category["name"] for category in coco["categories"]],
        exact_rle=[as_rle(entry["segmentation"], *size) for entry in entries],
    )


def nuclei(run: str) -> np.ndarray:
    """What a run finds in three images that it was not trained on, by its own thresholds."""
    source = open_source(run)
    pictures = []
    with open(os.path.join(HERE, "nuclei", "val.json"), encoding="utf-8") as file:
        names = [entry["file_name"] for entry in json.load(file)["images"]]
    for start in FOUND_IN:
        (name,) = [name for name in names if name.startswith(start)]
        image = read_image(os.path.join(HERE, "nuclei", "images", name))
        (found,) = source.predict([image])
        found = found[found.scores >= 0.5]
        if source.thresholds is not None:
            found = source.thresholds.selected(found)
        pictures.append(draw(image, found, 0.0, style=DrawingStyle(side=SIDE)))
    return side_by_side(pictures)


def save(picture: np.ndarray, path: str) -> None:
    """Write a picture and print its path."""
    Image.fromarray(picture).save(path, optimize=True, quality=80)
    print(path)


if __name__ == "__main__":
    sys.exit(main())
