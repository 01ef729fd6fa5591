"""File names that are found under another name, and sizes that the files tell."""

import functools
import os
from collections import Counter
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from PIL import Image

from tfmaskrcnn.data.checking.notes import Notes, Place, is_plain_id
from tfmaskrcnn.data.coco.annotations import Fault
from tfmaskrcnn.data.coco.file_names import name_candidates, shown_name
from tfmaskrcnn.data.coco.image_files import PILLOW_FORMATS, check_size
from tfmaskrcnn.data.coco.meaning import clear_box, clear_id, clear_segmentation
from tfmaskrcnn.data.coco.orientation import orientation_of, seen_size, stored_size
from tfmaskrcnn.errors import quoted
from tfmaskrcnn.support import storage
from tfmaskrcnn.support.files import open_regular

_MAX_WALKED = 200_000  # files below the image folder that are listed for their names
# Where other programs write the name of the file.
_NAME_KEYS = ("filename", "fileName", "file", "image", "path", "name", "coco_url", "url")
_OVER = 1.0  # pixels that an annotation may reach over the edge


class _Header(NamedTuple):
    """What the first bytes of an image file say."""

    stored: Tuple[int, int]  # (height, width)
    orientation: int  # 0 if nobody needs to know


def _header(path: str, given: Tuple[Any, Any]) -> Optional[_Header]:
    """None if there is no such image. EXIF is read if the size is another one than is given."""
    try:
        with open_regular(path) as file, Image.open(file, formats=PILLOW_FORMATS) as image:
            stored = stored_size(image)  # a PNG is decoded in search of its EXIF
            return _Header(stored, 0 if stored == given else orientation_of(image))
    except Exception:  # damaged files make Pillow raise nearly anything; reading them names it
        return None


def clear_file_names(entries: List[Any], image_dir: str, notes: Notes) -> List[Any]:
    """Images with names of files that exist, where one file alone can be meant."""
    names = [_name_of(e) if isinstance(e, dict) else None for e in entries]
    lost = [n for n, name in enumerate(names) if isinstance(name, str) and name]
    lost = [
        n
        for n in lost
        if "\0" not in names[n]
        and (names[n] != entries[n].get("file_name") or not _is_file(image_dir, names[n]))
    ]
    if not lost or not storage.is_folder(image_dir):
        return entries
    listed = _listing(image_dir)
    found = {n: _meant(names[n], image_dir, listed) for n in lost}
    # Two names that lead to one file would make one image of two.
    uses = Counter(os.path.normpath(name) for name in found.values() if name)
    right = {name for n, name in enumerate(names) if isinstance(name, str) and n not in found}
    uses.update(map(os.path.normpath, right))
    times, done = Counter(name for name in names if isinstance(name, str)), list(entries)
    for n, name in found.items():
        if name and uses[os.path.normpath(name)] == times[names[n]]:
            image_id = entries[n].get("id")
            image_id = image_id if is_plain_id(image_id) else None
            place = Place(f"image {quoted(entries[n].get('id'))}", name, image_id)
            text = f"there is no file '{shown_name(names[n])}' in {image_dir}, but {name} is."
            if "file_name" not in entries[n]:
                text = f"'file_name' is missing, but {shown_name(names[n])} is there."
            elif name.casefold() == names[n].casefold() and name != names[n]:
                text = f"the JSON says {shown_name(names[n])}, the disk {name}."
            notes.add("file-name", place, text, f"its file_name is {name} now.")
            done[n] = {**entries[n], "file_name": name}
    return done


def _name_of(entry: Dict[str, Any]) -> Any:
    """Its file name, under another key where there is none."""
    if "file_name" in entry:
        name = entry["file_name"]
        alone = isinstance(name, list) and len(name) == 1
        return name[0] if alone else name
    return next((entry[key] for key in _NAME_KEYS if isinstance(entry.get(key), str)), None)


def clear_sizes(
    entries: List[Any], annotations: Sequence[Any], image_dir: str, exif: str, notes: Notes
) -> List[Any]:
    """Images with the sizes of their files, where the annotations fit those."""

    @functools.lru_cache(None)
    def by_image() -> Dict[int, List[Dict]]:  # seldom asked for
        found: Dict[int, List[Dict]] = {}
        for annotation in annotations:
            if isinstance(annotation, dict) and is_plain_id(annotation.get("image_id")):
                found.setdefault(annotation["image_id"], []).append(annotation)
        return found

    done = []
    for entry in entries:
        if isinstance(entry, dict) and is_plain_id(entry.get("id")):
            entry = _sized(entry, by_image, image_dir, exif, notes)
        done.append(entry)
    return done


def fits(annotation: Dict[str, Any], height: int, width: int) -> bool:
    """Whether all that an annotation says of places lies in an image of this size."""
    box, shape = clear_box(annotation.get("bbox")), annotation.get("segmentation")
    if box is None and annotation.get("bbox"):
        return False
    x, y, w, h = box or (0, 0, 0, 0)
    if x + w > width + _OVER or y + h > height + _OVER:
        return False
    meaning = clear_segmentation(shape, annotation.get("bbox"), height, width)
    shape = meaning.mended if meaning else shape
    if isinstance(shape, dict):
        size = shape.get("size")
        return isinstance(size, (list, tuple)) and list(size) == [height, width]
    return not shape or (isinstance(shape, list) and _all_inside(shape, height, width))


def _all_inside(polygons: List[Any], height: int, width: int) -> bool:
    try:
        flat = np.concatenate([np.array(p, float) for p in polygons])
        most = flat.reshape(-1, 2).max(axis=0)
    except (TypeError, ValueError, OverflowError):
        return False
    return bool(np.all(most <= (width + _OVER, height + _OVER)))


def _sized(entry: Dict, by_image: Callable, image_dir: str, exif: str, notes: Notes) -> Dict:
    name, given = entry.get("file_name"), (entry.get("height"), entry.get("width"))
    if not isinstance(name, str) or not name or "\0" in name:
        return entry
    path = os.path.join(image_dir, name)
    header = _header(path, given)
    if header is None or header.orientation == 0:
        return _whole_sides(entry, notes)
    size = seen_size(header.stored, header.orientation) if exif == "apply" else header.stored
    if given == size:
        return _whole_sides(entry, notes)
    sides = tuple(clear_id(side) for side in given)
    other_view = header.orientation >= 5 and sides == size[::-1]
    if other_view or not all(fits(one, *size) for one in by_image().get(entry["id"], [])):
        return _whole_sides(entry, notes)
    now = f"its height x width is {size[0]} x {size[1]} now, as in the file."
    place = Place(f"image {entry['id']}", name, entry["id"])
    if all(side is not None and side > 0 for side in sides) and sides != size:
        try:
            check_size(path, size, sides, header.orientation, exif)
        except Fault as fault:
            notes.add("image-size", place, str(fault), now)
    else:
        said = [quoted(side) if key in entry else "missing" for key, side in _sides(entry)]
        text = f"its height is {said[0]}, its width {said[1]}; the file has {size[0]} x {size[1]}."
        notes.add("image-size", place, text, now)
    return {**entry, "height": size[0], "width": size[1]}


def _whole_sides(entry: Dict, notes: Notes) -> Dict:
    """Texts and floats that say an integer, of an image whose file tells nothing."""
    changes = {}
    for key, side in _sides(entry):
        number = clear_id(side)
        if number is not None and not is_plain_id(side):
            place = Place(f"image {entry['id']}", str(entry.get("file_name")), entry["id"])
            text = f"'{key}' is {quoted(side)}, wanted an integer."
            notes.add("image-size", place, text, f"'{key}' is {number} now.")
            changes[key] = number
    return {**entry, **changes} if changes else entry


def _sides(entry: Dict) -> Iterator[Tuple[str, Any]]:
    return ((key, entry.get(key)) for key in ("height", "width"))


def _is_file(image_dir: str, name: str) -> bool:
    try:
        return storage.is_file(os.path.join(image_dir, name))
    except (OSError, ValueError):
        return False


def _listing(image_dir: str) -> Dict[str, List[str]]:
    """Lower-case last part -> the files of that name, relative to the folder, with "/"."""
    found: Dict[str, List[str]] = {}
    count = 0
    for folder, _, names in os.walk(image_dir):
        inside = os.path.relpath(folder, image_dir).replace(os.sep, "/")
        for name in names:
            relative = name if inside == "." else f"{inside}/{name}"
            found.setdefault(name.casefold(), []).append(relative)
        count += len(names)
        if count > _MAX_WALKED:
            break
    return found


def _meant(name: str, image_dir: str, listed: Dict[str, List[str]]) -> Optional[str]:
    """The one file that a name can stand for: by its last parts, then wherever it lies."""
    candidates = name_candidates(name)
    for candidate in (name, *candidates):
        if _is_file(image_dir, candidate):
            return candidate
    for last in [c for c in (name, *candidates) if "/" not in c and "\\" not in c]:
        files = listed.get(last.casefold(), [])
        exact = [f for f in files if f.rsplit("/", 1)[-1] == last] or files
        if len(exact) == 1:
            return exact[0]
    return None
