"""What tidecv says of drawn sets of ellipses, for `tests/evaluation/analysis/test_error_costs.py`.

Usage: python make_tide_golden.py tide.npz
(tidecv 1.0.1, pycocotools 2.0.11, numpy 2.4.6)

Scores differ, so that no order of equals matters; every class has objects; fewer than 100
detections an image. Boxes are COCO's (x, y, width, height), of whole pixels.
"""

import sys

import numpy as np
from pycocotools import mask as coco_mask
from tidecv import TIDE, Data

HEIGHT, WIDTH, NUM_IMAGES, NUM_CLASSES = 96, 128, 12, 4
CROWDS = (0.0, 0.0, 0.0, 0.15, 0.3)  # share of crowd regions in each set
MAIN = ("Cls", "Loc", "Both", "Dupe", "Bkg", "Miss")
SPECIAL = ("FalsePos", "FalseNeg")


def draw(rng, crowds):
    """Rows (image, class, crowd or score, box yxyx) of objects and of detections."""
    objects, found = [], []
    for image in range(NUM_IMAGES):
        for _ in range(rng.integers(0, 14) if image else 0):  # the first image is empty
            k, box, crowd = rng.integers(1, NUM_CLASSES + 1), a_box(rng), rng.random() < crowds
            objects.append((image, k, crowd, *box))
            for _ in range(rng.choice(4, p=(0.15, 0.5, 0.25, 0.1)) + 3 * crowd):
                sides = np.tile(box[2:] - box[:2], 2)
                moved = box + rng.normal(0, rng.choice((0.02, 0.12, 0.25)), 4) * sides
                low = np.clip(np.round(moved[:2]), 0, [HEIGHT - 3, WIDTH - 3])
                high = np.clip(np.round(moved[2:]), low + 3, [HEIGHT, WIDTH])
                other = rng.integers(1, NUM_CLASSES + 1)
                found.append((image, k if rng.random() < 0.75 else other, 0, *low, *high))
        for _ in range(rng.integers(0, 4) if image != 1 else 0):
            found.append((image, rng.integers(1, NUM_CLASSES + 1), 0, *a_box(rng)))
    objects, found = np.array(objects, np.float64), np.array(found, np.float64)
    found[:, 2] = rng.permutation(len(found)) / len(found)
    return objects, found


def a_box(rng):
    sides = rng.integers(6, (HEIGHT // 2, WIDTH // 2))
    low = rng.integers(0, (HEIGHT, WIDTH) - sides)
    return np.concatenate([low, low + sides]).astype(np.float64)


def ellipse(box):
    """Compressed RLE of the ellipse in a yxyx box."""
    y1, x1, y2, x2 = box
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    inside = ((2 * y - y1 - y2) / (y2 - y1)) ** 2 + ((2 * x - x1 - x2) / (x2 - x1)) ** 2 <= 1
    return coco_mask.encode(np.asfortranarray(inside.astype(np.uint8)))


def judged(objects, found, mode):
    """AP and what each error costs, in [0, 1], and how often each of the main ones occurs."""
    truth, results = Data("truth"), Data("results")
    for image, k, crowd, *box in objects:
        add = truth.add_ignore_region if crowd else truth.add_ground_truth
        add(int(image), int(k), xywh(box), ellipse(box))
    for image in range(NUM_IMAGES):
        truth.add_image(image, str(image))
    for image, k, score, *box in found:
        results.add_detection(int(image), int(k), score, xywh(box), ellipse(box))
    tide = TIDE()
    run = tide.evaluate(truth, results, mode=mode, name="run")
    main, special = tide.get_main_errors()["run"], tide.get_special_errors()["run"]
    costs = [run.ap, *(main[name] for name in MAIN), *(special[name] for name in SPECIAL)]
    counts = list(run.count_errors().values())
    return np.array(costs) / 100, np.array(counts)


def xywh(box):
    y1, x1, y2, x2 = box
    return [x1, y1, x2 - x1, y2 - y1]


if __name__ == "__main__":
    out = {"size": (HEIGHT, WIDTH), "num_images": NUM_IMAGES, "num_classes": NUM_CLASSES}
    for i, crowds in enumerate(CROWDS):
        objects, found = draw(np.random.default_rng(i), crowds)
        out[f"objects_{i}"], out[f"found_{i}"] = objects, found
        for name, rows in (("objects", objects), ("found", found)):
            out[f"{name}_rles_{i}"] = np.array([ellipse(row[3:])["counts"] for row in rows])
        for mode, kind in ((TIDE.BOX, "box"), (TIDE.MASK, "mask")):
            out[f"{kind}_costs_{i}"], out[f"{kind}_counts_{i}"] = judged(objects, found, mode)
            print(i, kind, len(objects), len(found), out[f"{kind}_costs_{i}"].round(4))
            print(out[f"{kind}_counts_{i}"])
    np.savez_compressed(sys.argv[1], **out)
