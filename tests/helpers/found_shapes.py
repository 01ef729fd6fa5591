"""Results of drawn masks: what the writers of annotation formats are tried on."""

import json

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

from tfmaskrcnn.data import load_coco
from tfmaskrcnn.data.coco.segmentation import decode
from tfmaskrcnn.instances import Instances
from tfmaskrcnn.ops.paste import masks_to_rle
from tfmaskrcnn.results.image_result import ImageResult, ResultOptions

HEIGHT, WIDTH = 90, 120
NAMES = ("zebra & <co>", "Äpfel")
OPTIONS = ResultOptions(class_names=NAMES, category_ids=(7, 3))


def disc(y, x, radius, inner=0.0):
    """[H, W] bool, a disc or a ring."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    distance = np.hypot(rows - y, columns - x)
    return (distance < radius) & (distance >= inner)


def drawn_masks():
    """A disc, a ring, two parts, a ring with an island, a pixel, and what fills the image."""
    pixel = np.zeros((HEIGHT, WIDTH), bool)
    pixel[89, 119] = True
    parts = disc(20, 90, 14) | disc(60, 95, 12)
    return [
        *(disc(30, 40, 17.3), disc(60, 40, 25, 11), parts),
        *(disc(45, 60, 40, 30) | disc(45, 60, 12), pixel, ~pixel),
    ]


def box_of(mask):
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return [rows[0], columns[0], rows[-1] + 1, columns[-1] + 1]


def found_of(masks, **changes):
    count = len(masks)
    values = {
        "boxes": np.reshape([box_of(mask) for mask in masks], (-1, 4)),
        "scores": np.linspace(0.9, 0.5, count),
        "classes": np.arange(count) % 2 + 1,
        "size": (HEIGHT, WIDTH),
        "class_names": NAMES,
        "exact_rle": masks_to_rle(np.array(masks)) if count else [],
    }
    return Instances(**{**values, **changes})


def results(folder, found=None, names=("b/one.png", "b/empty.png", "two.png")):
    """`ImageResult`s of images that are written into `folder`/images; every second is empty."""
    found = found_of(drawn_masks()) if found is None else found
    made = []
    for i, name in enumerate(names):
        path = folder / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (WIDTH, HEIGHT), (50, 90, 130)).save(path)
        stem = name.rsplit(".", 1)[0]
        made.append(ImageResult(10 + i, name, stem, found[:0] if i % 2 else found, str(path)))
    return made


def read_back(coco):
    """file name -> [(class name, [H, W] mask)] of a COCO set."""
    sizes = {image["id"]: (image["height"], image["width"]) for image in coco["images"]}
    files = {image["id"]: image["file_name"] for image in coco["images"]}
    classes = {category["id"]: category["name"] for category in coco["categories"]}
    found = {name: [] for name in files.values()}
    for entry in coco["annotations"]:
        mask = decode(entry["segmentation"], *sizes[entry["image_id"]])
        found[files[entry["image_id"]]].append((classes[entry["category_id"]], mask))
    return found


def assert_same_objects(coco, made, least=0.97, exact=()):
    """Every object of `made` is in the set, in order, with its class.

    Args:
        coco: the set that was read.
        made: what was written.
        least: IoU of the masks.
        exact: indices of the objects whose masks are the same to the pixel.
    """
    found = read_back(coco)
    for result in made:
        objects = found.get(result.file_name, [])
        assert [name for name, _ in objects] == result.found.names
        masks = [coco_mask.decode(rle).astype(bool) for rle in result.found.rle()]
        ious = [np.sum(a & b) / np.sum(a | b) for (_, a), b in zip(objects, masks)]
        assert min(ious, default=1) > least, ious
        assert [ious[i] for i in exact if i < len(ious)] == [1] * len([i for i in exact if ious])


def trains(coco, folder, image_dir):
    """The reader of training sets takes what was imported."""
    path = folder / "imported.json"
    path.write_text(json.dumps(coco))
    return load_coco(str(path), str(image_dir))
