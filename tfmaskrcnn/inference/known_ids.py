"""Image ids and file names from a COCO file."""

import posixpath
from typing import Dict, List, Optional, Sequence, Tuple

from tfmaskrcnn.data.coco.file import field, read_coco
from tfmaskrcnn.errors import InputError, quoted, short_path


def known_images(
    json_path: str, names: Sequence[str], file_names: Sequence[str]
) -> Tuple[List[int], List[str]]:
    """The ids and file names that a COCO file gives images.

    An image is the entry whose `file_name` its path ends with; where there is none, the only entry
    with the same last part.

    Args:
        json_path: of the COCO file; its images alone are looked at, and need to be there.
        names: of the images, paths as given.
        file_names: of the same, from the folder that they have in common.

    Returns:
        Id and file name in the COCO file of each image.

    Raises:
        InputError: an image is not in the file, two are the same entry, or entries have one id or
            one name.
    """
    ids = _ids_by_name(json_path)
    last: Dict[str, Optional[str]] = {}
    for name in ids:
        base = posixpath.basename(name)
        last[base] = None if base in last else name
    found: Dict[str, int] = {}
    for i, (name, file_name) in enumerate(zip(names, file_names)):
        entry = _entry(ids, last, name.replace("\\", "/")) or _entry(ids, last, file_name)
        if entry is None:
            raise InputError(f"{json_path} has no image of the file name {_short(name)}.")
        if entry in found:
            other = names[found[entry]]
            raise InputError(
                f"{_short(other)} and {_short(name)} are both {quoted(entry)} in {json_path}."
            )
        found[entry] = i
    return [ids[entry] for entry in found], list(found)


def _ids_by_name(json_path: str) -> Dict[str, int]:
    ids: Dict[str, int] = {}
    names: Dict[int, str] = {}
    for i, entry in enumerate(read_coco(json_path, ("images",))["images"]):
        where = f"{json_path}: entry {i} of images"
        name, image_id = field(entry, "file_name", str, where), field(entry, "id", int, where)
        if ids.setdefault(name.replace("\\", "/"), image_id) != image_id:
            raise InputError(f"{where}: {quoted(name)} has another id before; wanted one.")
        if names.setdefault(image_id, name) != name:
            raise InputError(
                f"{where}: the id {quoted(image_id)} is that of {quoted(names[image_id])} too; "
                "wanted one for each image."
            )
    return ids


def _entry(ids, last, path: str) -> Optional[str]:
    parts = path.split("/")
    for start in range(len(parts)):
        inner = "/".join(parts[start:])
        if inner in ids:
            return inner
    return last.get(parts[-1])


def _short(path: str) -> str:
    return short_path(path, 120)
