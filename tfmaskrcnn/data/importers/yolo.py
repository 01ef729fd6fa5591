"""YOLO segmentation: `data.yaml`, and a text file of normalised polygons for each image."""

import os
from typing import Any, Dict, List, Optional, Sequence, Tuple

import yaml

from tfmaskrcnn.data.importers.building import CocoBuilder, Imported
from tfmaskrcnn.data.importers.fields import number, shown
from tfmaskrcnn.data.importers.outlines import rectangle
from tfmaskrcnn.data.importers.source_files import (
    IMAGE_SUFFIXES,
    contents,
    existing_file,
    existing_folder,
    files_below,
)
from tfmaskrcnn.errors import InputError, quoted
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
    path = existing_file(path, "the file data.yaml")
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


class _Loader(yaml.SafeLoader):
    """YAML without aliases, by which a few hundred bytes stand for gigabytes."""

    def compose_node(self, parent, index):
        """The next node."""
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it has an alias (*), which is not read here")
        return super().compose_node(parent, index)


def _read_yaml(path: str) -> Dict[str, Any]:
    text = read_text(path)
    try:
        raw = yaml.load(text, _Loader)
    except Exception as error:  # odd tags and numbers make PyYAML raise nearly anything
        reason = shown(" ".join(str(error).split()) or type(error).__name__, 160)
        raise InputError(f"{path} is not valid YAML: {reason}.") from None
    if not isinstance(raw, dict):
        raise InputError(f"{path} is no data.yaml: wanted 'names' and the splits.")
    return raw


def _names(names: Any, path: str) -> Dict[int, str]:
    """Class number -> name, ascending; YAML has a list of them or numbered entries."""
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or not names or not all(isinstance(k, int) for k in names):
        raise InputError(f"{path}: 'names' is {quoted(names)}, wanted a list of class names.")
    for k, name in names.items():
        if isinstance(name, (list, dict)) or name is None or not shown(name).strip():
            raise InputError(f"{path}: the name of class {quoted(k)} is {quoted(name)}.")
    return {k: _text(names[k]).strip() for k in sorted(names)}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else quoted(value)


def _images(
    raw: Dict[str, Any], path: str, images: Optional[str], split: str
) -> Tuple[str, List[str]]:
    """The folder that file names start from, and the sorted names of the split's images."""
    given = raw.get("val" if split == "valid" else split)
    if not given:
        there = [name for name in _SPLITS if raw.get(name)]
        split = shown(split)
        raise InputError(f"{path} has no split {split!r}, but {', '.join(there) or 'none at all'}.")
    beside = os.path.dirname(path) or "."
    root = images or os.path.join(beside, _text(raw.get("path") or "."))
    if images:
        existing_folder(images, "image folder")
    if not os.path.isdir(root):
        root = beside  # of another machine
    found: List[str] = []
    for place in given if isinstance(given, list) else [given]:
        found += _listed(root, _text(place), path)
    if not found:
        raise InputError(
            f"{path}: the split {split!r} ({quoted(given)}) holds no image; {shown(root, 200)} "
            f"holds {contents(root)}."
        )
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
        raise InputError(f"{path}: there is neither folder nor list {shown(whole, 200)}.")
    return [os.path.relpath(name, root).replace(os.sep, "/") for name in names]


def _label_path(name: str) -> str:
    parts = name.replace(os.sep, "/").split("/")
    for i in reversed(range(len(parts) - 1)):
        if parts[i] == "images":
            parts[i] = "labels"
            break
    return os.path.splitext("/".join(parts))[0] + ".txt"


def _add_lines(builder: CocoBuilder, path: str, size, names: Dict[int, str]) -> None:
    for n, line in enumerate(read_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        where = f"{shown(path, 200)}: line {n}"
        words = line.split()
        try:
            kind, *shares = [number(word, "a value") for word in words]
        except ValueError:
            builder.wrong(f"{where} is {quoted(line)}, wanted finite numbers.")
            continue
        if kind not in names:
            builder.wrong(f"{where}: there is no class {shown(words[0], 30)} in 'names'.")
            continue
        try:
            polygon = _outline(shares, size)
        except ValueError as error:
            builder.wrong(f"{where} {error}.")
            continue
        builder.add(names[int(kind)], [polygon], where)


def _outline(shares: List[float], size: Tuple[int, int]) -> List[float]:
    """The polygon in pixels of shares x, y, ..., or of the middle and the sides of a box."""
    height, width = size
    if len(shares) % 2:
        raise ValueError(f"has {len(shares)} coordinates, wanted pairs")
    if shares and (min(shares) < -1 or max(shares) > 2):
        furthest = max(shares, key=abs)
        raise ValueError(f"has coordinates up to {furthest:g}, wanted shares 0 to 1")
    xs, ys = [v * width for v in shares[::2]], [v * height for v in shares[1::2]]
    if len(shares) != 4:
        return [v for point in zip(xs, ys) for v in point]
    (x, w), (y, h) = xs, ys
    if w <= 0 or h <= 0:
        raise ValueError(f"has a box of width {shares[2]:g} and height {shares[3]:g}")
    return rectangle(x - w / 2, y - h / 2, x + w / 2, y + h / 2)
