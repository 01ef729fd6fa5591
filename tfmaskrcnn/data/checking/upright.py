"""Copies of images without an EXIF orientation: pixels lie as the annotations see them."""

import os
from typing import Any, List, Tuple

from PIL import Image

from tfmaskrcnn.data.checking.check_result import CheckResult
from tfmaskrcnn.data.checking.notes import Change, is_plain_id
from tfmaskrcnn.data.coco.file_names import shown_name
from tfmaskrcnn.data.coco.image_files import read_image
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.support.files import replaced


def write_upright(
    result: CheckResult, images: List[Any], folder: str
) -> Tuple[List[Any], List[Change]]:
    """Write a PNG of each image that has an orientation; (the entries that name them, changes).

    An image whose size in the JSON is that of the stored pixels alone is copied as it is stored;
    all others are turned as viewers turn them, or left as `input.exif=ignore` has it.

    Args:
        result: of the check.
        images: the entries of the new JSON.
        folder: where the copies go; made if it is not there.

    Raises:
        InputError: a copy would replace another file, or cannot be written.
    """
    done, changes = [], []
    exif, channels = result.config.model.input.exif, result.config.model.input.channels
    for entry in images:
        path = _path(entry, result.image_dir)
        looked = result.looked.get(path) if path else None
        if looked is None or looked.facts is None or looked.facts.orientation == 1:
            done.append(entry)
            continue
        size, view = looked.facts[:2], exif
        given = entry.get("height"), entry.get("width")
        if given != size and given == size[::-1] and looked.facts.orientation >= 5:
            view = "ignore" if exif == "apply" else "apply"
        pixels = read_image(path, channels=channels, exif=view)
        copy = _write(pixels, folder, entry["file_name"])
        # "../" leads out of the folder that a link leads to, not of the link's.
        places = os.path.realpath(copy), os.path.realpath(result.image_dir)
        name = os.path.relpath(*places).replace(os.sep, "/")
        where = f"image {entry.get('id')} ({shown_name(entry['file_name'])})"
        text = f"{where}: its file is {name} now, whose pixels need no turn."
        changes.append(Change("upright copies", text))
        done.append({**entry, "file_name": name})
    return done, changes


def _path(entry: Any, image_dir: str) -> str:
    name = entry.get("file_name") if isinstance(entry, dict) else None
    known = isinstance(name, str) and is_plain_id(entry.get("id"))
    return os.path.join(image_dir, name) if known else ""


def _write(pixels, folder: str, name: str) -> str:
    """The path of a new PNG in `folder`, below it where the name has folders."""
    inside = os.path.normpath(os.path.splitext(name)[0])
    if os.path.isabs(inside) or inside.startswith(".."):
        inside = os.path.basename(inside)
    path = os.path.join(folder, f"{inside}.png")
    if os.path.exists(path):
        raise InputError(f"{path} exists already; give --upright a new folder.")
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
    except OSError as error:
        raise InputError(f"Cannot write {path}: {error.strerror or error}.") from None
    with replaced(path) as file:
        image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
        image.save(file, format="PNG")
    return path
