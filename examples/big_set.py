"""How long it takes to read a set as large as COCO's, and how much memory, beside pycocotools.

    python examples/big_set.py                  # 118,287 images, 630,000 objects: 361 MB of JSON
    python examples/big_set.py --check          # check-data too, and its reading of images alone
    python examples/big_set.py --images 5000 --objects 37000

Each program reads in a process of its own, in turns, because other work on the machine changes all
of them alike; seconds are of CPU, gigabytes the process's peak with all that it imports. "first" is
the first reading of a file, whose result is kept in a cache, and "again" takes it from there.
"images" is what of check-data is the images: their headers, all pixels, the bytes of equal lengths.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile

SIZES = ((480, 640), (640, 480), (427, 640), (500, 375))  # (height, width)
LINKS = 30_000  # names of one picture: file systems have limits
CLASSES = 80
PROGRAMS = {
    "first": "from tfmaskrcnn.data import load_coco as read",
    "again": "from tfmaskrcnn.data import load_coco as read",
    "pycocotools": "from pycocotools.coco import COCO; read = lambda json, images: COCO(json)",
    "images": """
import os
from tfmaskrcnn.data.checking.file_checks import look
from tfmaskrcnn.data.checking.file_content import content_keys
from tfmaskrcnn.data.coco.image_files import header_sizes
def read(json, images):
    paths = [os.path.join(images, name) for name in os.listdir(images)]
    content_keys(paths), [(header_sizes(path), look(path, 3)) for path in paths]
""",
    "check-data": "from tfmaskrcnn.data import check as read",
}
MEASURE = """
import resource, sys, time
before = time.process_time()
found = read(*sys.argv[1:])
print(time.process_time() - before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def main() -> None:
    """Make the set and print a line for each process."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=int, default=118_287, metavar="N", help="(118287)")
    parser.add_argument("--objects", type=int, default=630_000, metavar="N", help="(630000)")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="turns of each (3)")
    parser.add_argument("--check", action="store_true", help="check-data too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path, images = write_set(folder, options.images, options.objects)
        print(f"{os.path.getsize(path) / 1e6:.0f} MB of JSON")
        os.environ["TFMASKRCNN_HOME"] = cache = os.path.join(folder, "cache")
        turns = ["first", "again", "pycocotools"] + ["images", "check-data"] * options.check
        for name in turns * options.rounds:
            if name == "first":
                shutil.rmtree(cache, ignore_errors=True)
            seconds, gigabytes = measured(PROGRAMS[name], path, images)
            print(f"{name:12} {seconds:6.1f} s of CPU {gigabytes:6.2f} GB", flush=True)


def measured(program: str, *paths: str):
    """(seconds of CPU without imports, peak gigabytes) of a program in a process of its own."""
    command = [sys.executable, "-c", program + MEASURE, *paths]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    seconds, memory = map(float, done.stdout.split()[-2:])
    return seconds, memory * (1 if sys.platform == "darwin" else 1024) / 1e9


def write_set(folder: str, num_images: int, num_objects: int):
    """(JSON, image folder) of a set like COCO's: polygons of 6 to 40 points, some crowds."""
    import numpy as np

    draw = np.random.default_rng(0)
    entries = write_images(os.path.join(folder, "images"), num_images)
    categories = [{"id": k, "name": f"class {k}"} for k in range(1, CLASSES + 1)]
    path = os.path.join(folder, "set.json")
    with open(path, "w") as file:
        lists = {"images": entries, "categories": categories}
        file.write(json.dumps(lists)[:-1] + ', "annotations": [')
        for n in range(num_objects):
            image = entries[draw.integers(num_images)]
            found = annotation(draw, n, image["height"], image["width"])
            found.update(id=n + 1, image_id=image["id"], category_id=1 + n % CLASSES)
            file.write((", " if n else "") + json.dumps(found))
        file.write("]}")
    return path, os.path.join(folder, "images")


def write_images(folder: str, count: int):
    """Entries of the JSON; many names are links to the same few pictures."""
    from PIL import Image

    os.makedirs(folder)
    entries = []
    for n in range(count):
        height, width = SIZES[n % len(SIZES)]
        name = f"{n:012d}.jpg"
        entries.append({"id": n + 1, "file_name": name, "height": height, "width": width})
        picture = os.path.join(folder, f"{n - n % LINKS + n % len(SIZES):012d}.jpg")
        path = os.path.join(folder, name)
        if path == picture:
            Image.new("RGB", (width, height), (n % 256, 90, 60)).save(path, quality=20)
        else:
            os.link(picture, path)
    return entries


def annotation(draw, n: int, height: int, width: int):
    """Segmentation, box and area of an object; one in ninety is a crowd region."""
    import numpy as np

    if n % 90 == 89:
        runs = [int(draw.integers(1, height * width - 200)), 120]
        shape = {"counts": [*runs, height * width - sum(runs)], "size": [height, width]}
        return {"segmentation": shape, "bbox": [0, 0, width, height], "area": 120, "iscrowd": 1}
    y, x = draw.uniform(30, height - 30), draw.uniform(30, width - 30)
    radius = min(draw.lognormal(3.3, 0.8), y, x, height - y, width - x)
    polygons = []
    for _ in range(1 + (draw.random() < 0.2)):
        angles = np.sort(draw.uniform(0, 2 * np.pi, draw.integers(6, 40)))
        radii = radius * draw.uniform(0.6, 1, len(angles))
        points = np.stack([x + radii * np.cos(angles), y + radii * np.sin(angles)], axis=1)
        polygons.append(points.round(2))
    points = np.concatenate(polygons)
    low, side = points.min(axis=0), np.ptp(points, axis=0).round(2)
    box = [*low.tolist(), *side.tolist()]
    flat = [polygon.ravel().tolist() for polygon in polygons]
    area = round(sum(map(enclosed, polygons)), 3)
    return {"segmentation": flat, "bbox": box, "area": area, "iscrowd": 0}


def enclosed(points) -> float:
    """Area of a polygon, by the shoelace formula."""
    import numpy as np

    (x, y), (after_x, after_y) = points.T, np.roll(points, -1, axis=0).T
    return float(abs(np.sum(x * after_y - after_x * y)) / 2)


if __name__ == "__main__":
    main()
