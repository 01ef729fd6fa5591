"""Mosaics: one large picture of many small ones, and the ground truth of both.

    python tests/helpers/mosaics.py MODEL [--seed 0]

prints the AP of a model of the nuclei (`make demo`) on 20 parts of the val pictures one by one, on
the mosaic of them in tiles, and on the mosaic as a whole.
"""

import argparse
import json
import os
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

ROOT = Path(__file__).resolve().parents[2]
SIDE = 256  # of a part, pixels
_LEAST = 10  # pixels of an object that a part shows


def write_mosaic(json_path, image_dir, folder, rows=4, columns=5, seed=0):
    """Write `mosaic.json` and `parts.json` of rows x columns parts, with their PNGs, in `folder`.

    A part is a square of a picture at a place, turned and flipped, by chance.
    """
    rng = np.random.default_rng(seed)
    data = json.loads(Path(json_path).read_text(encoding="utf-8"))
    images = list(data["images"])
    mosaic = np.zeros((rows * SIDE, columns * SIDE, 3), np.uint8)
    whole, parts, part_images = [], [], []
    for number in range(rows * columns):
        if number % len(images) == 0:
            rng.shuffle(images)
        entry = images[number % len(images)]
        y, x = (number // columns) * SIDE, (number % columns) * SIDE
        pixels, masks = _part(entry, data["annotations"], image_dir, rng)
        mosaic[y : y + SIDE, x : x + SIDE] = pixels
        name = f"part_{number:02d}.png"
        Image.fromarray(pixels).save(os.path.join(folder, name))
        part_images.append(_image(number + 1, name, pixels))
        for mask in masks:
            parts.append(_annotation(len(parts) + 1, number + 1, mask))
            canvas = np.zeros(mosaic.shape[:2], bool)
            canvas[y : y + SIDE, x : x + SIDE] = mask
            whole.append(_annotation(len(whole) + 1, 1, canvas))
    Image.fromarray(mosaic).save(os.path.join(folder, "mosaic.png"))
    for name, found, objects in (
        ("mosaic", [_image(1, "mosaic.png", mosaic)], whole),
        ("parts", part_images, parts),
    ):
        content = {"images": found, "annotations": objects, "categories": data["categories"]}
        Path(folder, f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    return mosaic.shape[:2], len(whole)


def _part(entry, annotations, image_dir, rng):
    """[SIDE, SIDE, 3] uint8 of a picture, and the masks of its objects."""
    with Image.open(os.path.join(image_dir, entry["file_name"])) as image:
        pixels = np.asarray(image.convert("RGB"))
    size = pixels.shape[:2]
    y, x = (int(rng.integers(0, side - SIDE + 1)) for side in size)
    turns, flip = int(rng.integers(4)), bool(rng.integers(2))

    def part(array):
        array = np.rot90(array[y : y + SIDE, x : x + SIDE], turns)
        return array[::-1] if flip else array

    masks = []
    for annotation in annotations:
        if annotation["image_id"] == entry["id"]:
            rle = annotation["segmentation"]
            if isinstance(rle, list):
                rle = coco_mask.merge(coco_mask.frPyObjects(rle, *size))
            elif isinstance(rle["counts"], list):
                rle = coco_mask.frPyObjects(rle, *size)
            mask = part(coco_mask.decode(rle).astype(bool))
            if mask.sum() >= _LEAST:
                masks.append(mask)
    return part(pixels), masks


def _image(number, name, pixels):
    return {"id": number, "file_name": name, "height": pixels.shape[0], "width": pixels.shape[1]}


def _annotation(number, image_id, mask):
    rle = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
    box = coco_mask.toBbox(rle).tolist()
    return {
        "id": number,
        "image_id": image_id,
        "category_id": 1,
        "iscrowd": 0,
        "bbox": box,
        "area": float(mask.sum()),
        "segmentation": {"size": list(mask.shape), "counts": rle["counts"].decode()},
    }


def main():
    """Print the three APs."""
    from tfmaskrcnn.evaluation.runner import evaluate
    from tfmaskrcnn.inference.opening import open_source
    from tfmaskrcnn.inference.tiling.tile_plan import TileOptions
    from tfmaskrcnn.inference.tiling.tiled_prediction import PicturePredictor, tiled

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tile", default="auto", help="auto or pixels")
    parser.add_argument("--overlap", type=int)
    options = parser.parse_args()
    nuclei = ROOT / "examples" / "nuclei"
    size = options.tile if options.tile == "auto" else int(options.tile)
    source = open_source(options.model)
    cut = TileOptions(size, options.overlap)
    with tempfile.TemporaryDirectory() as folder:
        shape, count = write_mosaic(
            nuclei / "val.json", nuclei / "images", folder, seed=options.seed
        )
        print(f"{count} nuclei; {PicturePredictor(source, cut).plan(shape)}")
        for name, file, used in (
            ("one by one", "parts", source),
            ("in tiles", "mosaic", tiled(source, cut)),
            ("as a whole", "mosaic", source),
        ):
            found = evaluate(
                used.predict, f"{folder}/{file}.json", folder, max_detections=(1, 100, 1000)
            )
            masks, boxes = found.masks, found.boxes
            print(
                f"{name:<11} masks AP {masks['AP']:.3f} AP50 {masks['AP50']:.3f}   "
                f"boxes AP {boxes['AP']:.3f}   {found.num_detections} found"
            )


if __name__ == "__main__":
    main()
