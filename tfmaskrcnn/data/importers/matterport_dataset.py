"""A `Dataset` of Matterport's Mask R-CNN: whatever has its attributes and `load_mask`."""

import os
from typing import Optional, Sequence

import numpy as np

from tfmaskrcnn.data.importers.building import CocoBuilder, Imported
from tfmaskrcnn.data.importers.image_writing import written_image
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.support.progress_bar import Progress, counted


def from_matterport(
    dataset,
    images: Optional[str] = None,
    classes: Optional[Sequence[str]] = None,
    skip_invalid: bool = False,
    progress: Optional[Progress] = None,
) -> Imported:
    """The images, classes and masks of a prepared `Dataset`; masks are written exactly, as RLE.

    Args:
        dataset: has `image_ids`, `image_info` (dictionaries with "path"), `class_info`
            (dictionaries with "name", the first is the background) and `load_mask(image_id)` ->
            ([H, W, n] bool, [n] class numbers, negative for crowds). `prepare()` is called if it
            was not yet. Images whose path is no file are taken from `load_image(image_id)`.
        images: the folder that file names are to start from, and where images without a file are
            written; None for the common folder of all.
        classes: these only, in this order; None for the data set's own order.
        skip_invalid: leave wrong objects out and count them, instead of stopping.
        progress: called with (images done, images in all).

    Raises:
        InputError: names the image and the object.
    """
    if not len(dataset.image_ids):
        dataset.prepare()
    ids = [int(i) for i in dataset.image_ids]
    if not ids:
        raise InputError("The dataset holds no image.")
    names = [str(info["name"]) for info in dataset.class_info]
    paths = {i: _path(dataset.image_info[i]) for i in ids}
    if images is None:
        images = _common_folder(paths)
    images = os.path.abspath(os.fspath(images))
    builder = CocoBuilder(images, classes, skip_invalid, names[1:])
    for image_id in counted(ids, progress):
        where = f"image {image_id} ({dataset.image_info[image_id].get('id', '')})"
        name = paths[image_id] and os.path.relpath(paths[image_id], images)
        if not name:
            name = written_image(dataset.load_image(image_id), images, f"{image_id:06d}", where)
        masks, kinds = _pair(dataset.load_mask(image_id), where)
        builder.image(name, where, drawn=masks.shape[:2] if masks.ndim == 3 else None)
        _add_objects(builder, masks, kinds, names, where)
    return builder.result("The dataset")


def _path(info) -> Optional[str]:
    path = info.get("path")
    return os.path.abspath(path) if path and os.path.isfile(path) else None


def _common_folder(paths) -> str:
    missing = [i for i, path in paths.items() if path is None]
    if missing:
        raise InputError(
            f"image {missing[0]} has no file; give the folder to write it to as `images`."
        )
    return os.path.commonpath([os.path.dirname(path) for path in paths.values()])


def _pair(found, where: str):
    """The masks and the class numbers [n] of what `load_mask` gives."""
    try:
        masks, kinds = found
        return np.asarray(masks), np.asarray(kinds).reshape(-1).astype(int)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{where}: load_mask gives no pair of masks and class numbers.") from None


def _add_objects(builder: CocoBuilder, masks, kinds, names: Sequence[str], where: str) -> None:
    if not len(kinds) and not masks.size:
        return
    if masks.ndim != 3 or masks.shape[2] != len(kinds) or masks.dtype.kind not in "buif":
        raise InputError(
            f"{where}: load_mask gives masks {masks.shape} for {len(kinds)} classes, of "
            f"{masks.dtype}; wanted [height, width, objects] of bool."
        )
    for n, kind in enumerate(kinds.tolist()):
        place = f"{where}: object {n}"
        if not 0 < abs(kind) < len(names):
            builder.wrong(f"{place}: its class is {kind}, wanted 1 to {len(names) - 1}.")
            continue
        builder.add(names[abs(kind)], masks[..., n] > 0, place, crowd=kind < 0)
