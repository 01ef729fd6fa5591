"""The one set of rules by which the entries of a COCO file are read: for training, evaluation,
checking and TFRecords alike."""

import dataclasses
import functools
import os
from typing import Any, Dict, List, Optional, Sequence

from tfmaskrcnn.data.coco.annotation_ids import checked_id
from tfmaskrcnn.data.coco.annotation_reader import AnnotationReader
from tfmaskrcnn.data.coco.annotations import Checked, Fault
from tfmaskrcnn.data.coco.data_classes import Numbering, numbering
from tfmaskrcnn.data.coco.file import field
from tfmaskrcnn.data.coco.image_files import header_sizes
from tfmaskrcnn.data.coco.object_table import ImageHead, ObjectTable
from tfmaskrcnn.data.coco.reading_rules import OnFault, Rules
from tfmaskrcnn.errors import InputError, quoted, short_path
from tfmaskrcnn.support import storage

# Pixels that are believed without a look at the image file's header: masks of this size are drawn
# in a moment. Larger ones must be as large as the file.
BELIEVED_PIXELS = 2**26


@dataclasses.dataclass(frozen=True)
class Entries:
    """The entries of a file that keep the rules."""

    categories: Dict[int, str]  # id -> name of classes 1..K; of all categories ids ascend
    images: Dict[int, Dict[str, Any]]  # id -> entry, in the file's order
    table: ObjectTable  # the annotations
    annotations: Sequence[Any]  # the file's list
    numbering: Numbering
    left_out: int = 0  # annotations of categories that are no class

    @functools.cached_property
    def objects(self) -> Dict[int, List[Checked]]:
        """Image id -> its annotations, in the file's order."""
        return self.table.checked()

    def heads(self) -> List[ImageHead]:
        """The images, which have file names."""
        keys = ("file_name", "height", "width")
        return [ImageHead(i, *map(image.get, keys)) for i, image in self.images.items()]

    def entry(self, found: Checked) -> Dict[str, Any]:
        """The JSON's entry of an annotation, with the category id of its class."""
        return self.numbering.entry(self.annotations[found.position])


def read_entries(
    raw: Dict[str, Any], json_path: str, image_dir: Optional[str], on_fault: OnFault, rules: Rules
) -> Entries:
    """Check each entry of the parsed JSON `raw`; each fault goes to `on_fault`.

    Args:
        raw: of `file.read_coco`.
        json_path: names the file in errors.
        image_dir: the folder that its file names start from; None looks at no image file.
        on_fault: is told of each fault.
        rules: what is read.

    Raises:
        InputError: something is wrong with the set as a whole.
    """
    names = read_categories(raw["categories"], json_path, on_fault)
    classes = numbering(names, rules.classes, json_path)
    images = _images(raw["images"], json_path, image_dir, on_fault)
    annotations = raw["annotations"]
    reader = AnnotationReader(annotations, images, classes, json_path, on_fault, rules)
    table, left_out = reader.objects()
    return Entries(classes.names, images, table, annotations, classes, left_out)


def read_categories(entries: List[Any], json_path: str, on_fault: OnFault) -> Dict[int, str]:
    """Id -> name of a file's categories, ascending.

    Raises:
        InputError: there is none that can be used.
    """
    names, first = {}, None
    for n, entry in enumerate(entries):
        where = f"{json_path}: entry {n} of 'categories'"
        try:
            category_id = checked_id(entry, "id", where)
            if category_id in names:
                repeats = f"{where} repeats the id {category_id}; ids must be unique."
                raise Fault("category-id", repeats)
            names[category_id] = field(entry, "name", str, where)
        except Fault as fault:
            first = first or fault
            on_fault("categories", n, fault)
    if not names and first:
        raise InputError(f"None of the {len(entries)} categories can be used: {first}")
    if not names:
        raise InputError(f"{json_path}: 'categories' is empty; wanted at least one.")
    return dict(sorted(names.items()))


def _images(
    entries: List[Any], json_path: str, image_dir: Optional[str], on_fault: OnFault
) -> Dict[int, Dict[str, Any]]:
    if not entries:
        raise InputError(f"{json_path}: 'images' is empty; wanted at least one.")
    if image_dir is not None and not storage.is_folder(image_dir):
        raise InputError(f"The image folder {image_dir} does not exist.")
    images, files = {}, storage.FilesThere()
    for n, entry in enumerate(entries):
        try:
            image_id = _image_id(entry, images, f"{json_path}: entry {n} of 'images'", json_path)
            where = f"{json_path}: image {image_id}"
            if image_dir is None:
                _check_believed(entry, None, where)
                images[image_id] = entry
                continue
            path = os.path.join(image_dir, _file_name(entry, where))
            there = path in files
            _check_believed(entry, path if there else None, where)
            images[image_id] = entry
            if not there:
                missing = f"the file {short_path(path)} does not exist"
                raise Fault("image-missing", f"{where}: {missing}.")
        except Fault as fault:
            on_fault("images", n, fault)
    return images


def _image_id(entry: Any, images: Dict[int, Dict], where: str, json_path: str) -> int:
    """The id of an image's entry; its size is checked too."""
    image_id = checked_id(entry, "id", where)
    where = f"{json_path}: image {image_id}"
    if image_id in images:
        raise Fault("image-id", f"{where} occurs twice in 'images'; ids must be unique.")
    for key in ("height", "width"):
        if field(entry, key, int, where) <= 0:
            raise Fault(
                "entry", f"{where}: '{key}' is {quoted(entry[key])}, wanted pixels above 0."
            )
    return image_id


def _file_name(entry: Dict[str, Any], where: str) -> str:
    name = field(entry, "file_name", str, where)
    if "\0" in name:
        raise Fault("entry", f"{where}: 'file_name' is {quoted(name)}, which no file has.")
    return name


def _check_believed(entry: Dict[str, Any], path: Optional[str], where: str) -> None:
    """Refuse a size that nobody has, before masks of this size are drawn.

    Args:
        entry: of the image.
        path: of its file; None if there is none to look at.
        where: names the image.
    """
    size = entry["height"], entry["width"]
    if size[0] * size[1] <= BELIEVED_PIXELS:
        return
    if path is not None:
        try:
            found = header_sizes(path)
        except InputError as error:
            raise Fault("image-size", f"{where}: {error}") from None
        if size in found:
            return
    have = f"its file is {found[0][0]} x {found[0][1]}" if path else "there is no file to compare"
    told = f"{quoted(size[0])} x {quoted(size[1])} pixels (height x width)"
    raise Fault("image-size", f"{where} is said to have {told}; {have}.")
