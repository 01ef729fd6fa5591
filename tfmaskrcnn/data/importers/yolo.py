"""YOLO segmentation: `data.yaml`, and a text file of normalised polygons for each image."""

import os
from typing import Any, Dict, List, Optional, Sequence, Tuple

import yaml

from tfmaskrcnn.data.importers.building import CocoBuilder, Imported
from tfmaskrcnn.data.importers.outlines import rectangle
from tfmaskrcnn.data.importers.source_files import IMAGE_SUFFIXES, files_below
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.support.files import read_text
from tfmaskrcnn.support.progress_bar import Progress, counted

_SPLITS = ("train", "val", "test")


def from_yolo(
    path: str,
    images: Optional[str] = None,
    classes: Optional[Sequence[str]] = None,
    skip_invalid: bool = False,
    progress: Optional[Progress] = None,
    split: str = "train",
) -> Imported:
    """One split of a YOLO set. An image without a text file, or with an empty one, has no object.

    A line of five numbers is a box. The text files lie where the images do, with the last folder
    `images` of their path replaced by `labels`.

    Args:
        path: `data.yaml` with `names`, `path` and the splits.
        images: the folder that `path` inside the file means; None for what it says.
        classes: these only, in this order; None for all `names`, used or not.
        skip_invalid: leave wrong lines out and count them, instead of stopping.
        progress: called with (images done, images in all).
        split: "train", "val" or "test".

    Raises:
        InputError: names the file and the line.
    """
    path = os.fspath(path)
    raw = _read_yaml(path)
    names = _names(raw.get("names"), path)
    root, found = _images(raw, path, images, split)
    builder = CocoBuilder(root, classes, skip_invalid, list(names.values()))
    for name in counted(found, progress):
        size = builder.image(name, path)
        text = _label_path(os.path.abspath(os.path.join(root, name)))
        if os.path.isfile(text):
            _add_lines(builder, text, size, names)
    return builder.result(f"{path}, split {split},")


def _read_yaml(path: str) -> Dict[str, Any]:
    if os.path.isdir(path):
        raise InputError(f"{path} is a folder; wanted the file data.yaml.")
    text = read_text(path)
    try:
        raw = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"{path} is not valid YAML: {' '.join(str(error).split())}.") from None
    if not isinstance(raw, dict):
        raise InputError(f"{path} is no data.yaml: wanted 'names' and the splits.")
    return raw


def _names(names: Any, path: str) -> Dict[int, str]:
    """Class number -> name, ascending; YAML has a list of them or numbered entries."""
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or not names or not all(isinstance(k, int) for k in names):
        raise InputError(f"{path}: 'names' is {names!r:.60}, wanted a list of class names.")
    return {k: str(names[k]).strip() for k in sorted(names)}


def _images(
    raw: Dict[str, Any], path: str, images: Optional[str], split: str
) -> Tuple[str, List[str]]:
    """The folder that file names start from, and the sorted names of the split's images."""
    given = raw.get("val" if split == "valid" else split)
    if not given:
        there = [name for name in _SPLITS if raw.get(name)]
        raise InputError(f"{path} has no split {split!r}, but {', '.join(there) or 'none at all'}.")
    beside = os.path.dirname(path) or "."
    root = images or os.path.join(beside, str(raw.get("path") or "."))
    if not os.path.isdir(root):
        root = beside  # of another machine
    found: List[str] = []
    for place in given if isinstance(given, list) else [given]:
        found += _listed(root, str(place), path)
    return root, sorted(dict.fromkeys(found))


def _listed(root: str, place: str, path: str) -> List[str]:
    """Images of a folder, or of a text file that lists them; names from `root`."""
    inside = place  # some tools write ../train/images for train/images
    while not os.path.exists(os.path.join(root, inside)) and inside.startswith(("../", "./")):
        inside = inside.split("/", 1)[1]
    whole = os.path.join(root, inside)
    if os.path.isdir(whole):
        names = [os.path.join(whole, name) for name in files_below(whole, IMAGE_SUFFIXES)]
    elif os.path.isfile(whole):
        lines = [line.strip() for line in read_text(whole).splitlines() if line.strip()]
        names = [os.path.join(root, line) for line in lines]
    else:
        raise InputError(f"{path}: there is neither folder nor list {whole}.")
    return [os.path.relpath(name, root).replace(os.sep, "/") for name in names]


def _label_path(name: str) -> str:
    parts = name.replace(os.sep, "/").split("/")
    for i in reversed(range(len(parts) - 1)):
        if parts[i] == "images":
            parts[i] = "labels"
            break
    return os.path.splitext("/".join(parts))[0] + ".txt"


def _add_lines(builder: CocoBuilder, path: str, size, names: Dict[int, str]) -> None:
    height, width = size
    for n, line in enumerate(read_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        where = f"{path}: line {n}"
        try:
            kind, *numbers = [float(word) for word in line.split()]
        except ValueError:
            builder.wrong(f"{where} is {line!r:.60}, wanted numbers.")
            continue
        if kind not in names:
            builder.wrong(f"{where}: there is no class {kind:g} in 'names'.")
            continue
        xs, ys = [v * width for v in numbers[::2]], [v * height for v in numbers[1::2]]
        polygon = [v for point in zip(xs, ys) for v in point]
        if len(numbers) == 4:  # the middle and the sides of a box
            (x, w), (y, h) = xs, ys
            polygon = rectangle(x - w / 2, y - h / 2, x + w / 2, y + h / 2)
        elif len(numbers) % 2:
            builder.wrong(f"{where} has {len(numbers)} coordinates, wanted pairs.")
            continue
        elif numbers and (min(numbers) < -1 or max(numbers) > 2):
            builder.wrong(f"{where} has coordinates up to {max(numbers):g}, wanted shares 0 to 1.")
            continue
        builder.add(names[int(kind)], [polygon], where)
