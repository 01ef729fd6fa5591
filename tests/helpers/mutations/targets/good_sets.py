"""Good data sets, and what is wrong with them on purpose."""

import json
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

from helpers.mutations.texts import nested
from helpers.mutations.values import PATHS, strange

HEIGHT, WIDTH = 48, 64
NAMES = ("a.png", "b.jpg", "deep/c.png", "d.bmp")


def write_images(folder: Path, names=NAMES) -> None:
    """Pictures of 48 x 64 pixels, a few of each format."""
    rng = np.random.default_rng(0)
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        small = rng.integers(0, 256, (HEIGHT // 8, WIDTH // 8, 3), np.uint8)
        Image.fromarray(small).resize((WIDTH, HEIGHT)).save(folder / name)


def coco_set() -> dict:
    """Four images, nine objects: polygons, both kinds of RLE, a crowd, an image without any."""
    images = [
        {"id": 10 + n, "file_name": name, "height": HEIGHT, "width": WIDTH}
        for n, name in enumerate(NAMES)
    ]
    categories = [
        {"id": 1, "name": "leaf", "supercategory": "plant"},
        {"id": 3, "name": "fruit", "supercategory": "plant"},
        {"id": 7, "name": "stem"},
    ]
    shapes = [_polygon(4, 6, 20, 24), _polygon(30, 10, 58, 40), _two_parts(), _rle(8, 8, 30, 30)]
    shapes += [_rle(20, 12, 50, 44), _counted(5, 5, 25, 41), _polygon(0, 0, 64, 48)]
    shapes += [_polygon(40.5, 20.25, 60.75, 33.5), _counted(0, 30, 64, 48)]
    annotations = [
        {
            "id": n + 1,
            "image_id": 10 + n % 3,
            "category_id": (1, 3, 7)[n % 3],
            "bbox": box,
            "area": float(area),
            "iscrowd": int(n == 8),
            "segmentation": shape,
        }
        for n, (shape, box, area) in enumerate(shapes)
    ]
    info = {"description": "good", "year": 2024}
    return {
        "info": info,
        "licenses": [{"id": 1, "name": "none"}],
        "images": images,
        "annotations": annotations,
        "categories": categories,
    }


def _polygon(x1, y1, x2, y2):
    outline = [x1, y1, x2, y1, x2, y2, x1, y2]
    return [outline], [x1, y1, x2 - x1, y2 - y1], (x2 - x1) * (y2 - y1)


def _two_parts():
    (one,), _, area = _polygon(2, 2, 12, 12)
    (other,), _, more = _polygon(20, 20, 30, 36)
    return [one, other], [2, 2, 28, 34], area + more


def _mask(x1, y1, x2, y2):
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[y1:y2, x1:x2] = 1
    return mask


def _rle(*corners):
    mask = _mask(*corners)
    found = coco_mask.encode(np.asfortranarray(mask))
    shape = {"size": [HEIGHT, WIDTH], "counts": found["counts"].decode()}
    x1, y1, x2, y2 = corners
    return shape, [x1, y1, x2 - x1, y2 - y1], int(mask.sum())


def _counted(*corners):
    flat = _mask(*corners).reshape(-1, order="F")
    edges = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff(np.concatenate([[0], edges, [flat.size]])).tolist()
    counts = [0, *counts] if flat[0] else counts
    x1, y1, x2, y2 = corners
    shape = {"size": [HEIGHT, WIDTH], "counts": counts}
    return shape, [x1, y1, x2 - x1, y2 - y1], int(flat.sum())


def keypoint_set() -> dict:
    """The same with four keypoints an object, some of them not labelled."""
    raw = coco_set()
    names = ["head", "left_hand", "right_hand", "tail"]
    for category in raw["categories"]:
        category.update(keypoints=names, skeleton=[[1, 2], [2, 4]])
    for n, entry in enumerate(raw["annotations"]):
        x, y, w, h = entry["bbox"]
        places = [(x, y, 2), (x + w - 1, y, 1), (x, y + h - 1, 2), (0, 0, 0)]
        entry["keypoints"] = [v for place in places for v in place]
        entry["num_keypoints"] = 3 if n % 3 else 0
    return raw


def write_coco(folder: Path, raw=None) -> None:
    """`good.json` with `images/`."""
    write_images(folder / "images")
    (folder / "good.json").write_text(json.dumps(raw or coco_set()))


# Mutations of what a COCO set means; each changes the set in place and says what it did.


def _annotation(raw: dict, rng: Random) -> dict:
    return rng.choice(raw["annotations"])


def far_coordinate(raw, rng):
    """One coordinate far away."""
    entry, far = _annotation(raw, rng), rng.choice([1e3, 1e4, 1e5, 1e6, 1e9, 2**31, 1e18, 1e38])
    far *= rng.choice((1, -1))
    if isinstance(entry["segmentation"], list) and rng.random() < 0.7:
        polygon = rng.choice(entry["segmentation"])
        polygon[rng.randrange(len(polygon))] = far
    else:
        entry["bbox"][rng.randrange(4)] = far
    return f"{far:g} in annotation {entry['id']}"


def far_polygon(raw, rng):
    """A whole polygon moved or stretched."""
    entry, by = _annotation(raw, rng), rng.choice((-1000, -50, 50, 1e4, 1e8))
    factor = rng.choice((1, 1, 0.001, 100, -1, 1e6))
    entry["segmentation"] = [[v * factor + by for v in p] for p in entry["segmentation"]]
    return f"annotation {entry['id']} by {by:g}, times {factor:g}"


def many_vertices(raw, rng):
    """A polygon of thousands of corners."""
    entry, count = _annotation(raw, rng), rng.choice((2000, 50_000))
    side = rng.choice((60, 60, 1e6))
    entry["segmentation"] = [[rng.random() * side for _ in range(2 * count)]]
    return f"{count} corners up to {side:g} in annotation {entry['id']}"


def ids(raw, rng):
    """Ids shuffled, repeated, as other types, missing, or counted from 0."""
    part = rng.choice(("images", "annotations", "categories", "annotations"))
    key = rng.choice(("id", "image_id", "category_id")) if part == "annotations" else "id"
    how = rng.choice(("shuffled", "one", "text", "float", "none", "zero", "huge", "negative"))
    values = [entry[key] for entry in raw[part]]
    if how == "shuffled":
        rng.shuffle(values)
    changed = {
        "shuffled": values,
        "one": [values[0]] * len(values),
        "text": list(map(str, values)),
        "float": list(map(float, values)),
        "none": [None] * len(values),
        "zero": list(range(len(values))),
        "huge": [v + 2**62 * 4 for v in values],
        "negative": [-v for v in values],
    }[how]
    for entry, value in zip(raw[part], changed):
        entry[key] = value
    return f"{part} {key} {how}"


def size(raw, rng):
    """The size of an image swapped, missing, negative, larger, absurd."""
    image = rng.choice(raw["images"])
    height, width = image["height"], image["width"]
    new = rng.choice(
        [
            *((width, height), (-1, -1), (None, None), (0, 0), (height * 2, width * 2)),
            *((height + 1, width), (2**31, 2**31), (2**62, 2), (float(height), float(width))),
            *((str(height), str(width)), (10**6, 10**6), (1, 1), (8192, 8192)),
        ]
    )
    image["height"], image["width"] = new
    return f"image {image['id']} is {new}"


def file_name(raw, rng):
    """Another path, or another image's."""
    image, other = rng.choice(raw["images"]), rng.choice(raw["images"])
    image["file_name"] = rng.choice([rng.choice(PATHS), other["file_name"], "images/a.png"])
    return f"{image['file_name']!r:.60}"


def shape(raw, rng):
    """A segmentation in one of the forms that tools write, or in none."""
    entry = _annotation(raw, rng)
    x, y, w, h = entry["bbox"]
    points = [[x, y], [x + w, y], [x + w, y + h], [x, y + h]]
    new = rng.choice(
        [
            *(points, [points], [[points]], [x, y, w, h], [[x, y, w, h]], [[x, y, x + w, y + h]]),
            *([sum(points, [])], sum(points, []), [], [[]], [[], sum(points, [])], None, "", {}),
            *([{"x": a, "y": b} for a, b in points], [entry["segmentation"]], [None], [[None] * 6]),
            {"size": [HEIGHT, WIDTH], "counts": [0, HEIGHT * WIDTH]},
            {"size": [HEIGHT, WIDTH], "counts": [HEIGHT * WIDTH]},
            {"size": [HEIGHT, WIDTH], "counts": [-5, 10, HEIGHT * WIDTH - 5]},
            {"size": [HEIGHT, WIDTH], "counts": [2**31, 2**31, 2**32]},
            {"size": [WIDTH, HEIGHT], "counts": [100, 200, HEIGHT * WIDTH - 300]},
            {
                "size": [HEIGHT, WIDTH],
                "counts": rng.choice(("", "0", "PP", "~~~", "\ud800", "`" * 99)),
            },
            {"size": [2**31, 2**31], "counts": [2**62]},
            {"counts": [1, 2, HEIGHT * WIDTH - 3]},
            nested(rng.choice((5, 50, 900))),
        ]
    )
    entry["segmentation"] = new
    return f"annotation {entry['id']}: {new!r:.60}"


def box(raw, rng):
    """A box in another form, of no area, beside its mask, or of no numbers."""
    entry = _annotation(raw, rng)
    x, y, w, h = entry["bbox"]
    other = _annotation(raw, rng)["bbox"]
    new = rng.choice(
        [
            *([x, y, x + w, y + h], [x, y, 0, 0], [x, y, -w, -h], [x + w, y + h, -w, -h], other),
            *([x, y, w], [[x, y], [w, h]], None, [], [x, y, w, h, 0.9], {"x": x, "y": y}),
            *([x / WIDTH, y / HEIGHT, w / WIDTH, h / HEIGHT], [str(x), str(y), str(w), str(h)]),
            *([x + 1000, y, w, h], [x, y, 1e-30, h], [-1e9, -1e9, 2e9, 2e9], [x, y, 1e308, 1e308]),
            [strange(rng), y, w, h],
        ]
    )
    entry["bbox"] = new
    return f"annotation {entry['id']}: {new!r:.60}"


def points(raw, rng):
    """Keypoints of another number, place, mark or kind."""
    entry = _annotation(raw, rng)
    good = entry["keypoints"]
    new = rng.choice(
        [
            *(good[:-1], good[:-3], good * 2, [], None, [good], [0] * len(good), good[::-1]),
            *([*good[:2], 3, *good[3:]], [*good[:2], 1.5, *good[3:]], [str(v) for v in good]),
            *([1e9, *good[1:]], [float("nan"), *good[1:]], [-5, *good[1:]], [10**40, *good[1:]]),
        ]
    )
    entry["keypoints"] = new
    return f"annotation {entry['id']}: {new!r:.60}"


def crowd(raw, rng):
    """Crowd marks of other kinds, on one or on all."""
    chosen = rng.choice((raw["annotations"], [_annotation(raw, rng)]))
    value = rng.choice((1, True, "1", "no", 2, None, 0.0, [1], "0", float("nan")))
    for entry in chosen:
        entry["iscrowd"] = value
    return f"{value!r} on {len(chosen)}"


SPECIAL = (far_coordinate, far_polygon, many_vertices, ids, size, file_name, shape, box, crowd)
