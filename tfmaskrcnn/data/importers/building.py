"""One COCO instance set, built image by image; what every importer ends in."""

import json
import logging
import os
from collections import Counter
from typing import Any, Dict, Hashable, List, NamedTuple, Optional, Sequence, Tuple

from tfmaskrcnn.data.importers.drawn_views import Views
from tfmaskrcnn.data.importers.fields import fault_of_name, grouped, shown
from tfmaskrcnn.data.importers.found_objects import FoundObject, Shape, annotation, is_box, packed
from tfmaskrcnn.data.importers.source_files import contents
from tfmaskrcnn.errors import InputError, quoted
from tfmaskrcnn.support.files import replaced

_LOG = logging.getLogger(__name__)
_SHOWN_CLASSES = 12
_LONGEST_PATH = 4096  # of Linux


class Imported(NamedTuple):
    """A data set in COCO's form, and what was seen on the way to it."""

    coco: Dict[str, Any]  # "images", "annotations", "categories", ids counted from 1
    image_dir: str  # the folder that its file names start from
    rectangles: int  # objects whose mask is their box
    left_out: Dict[str, int]  # reason -> objects
    notes: Tuple[str, ...] = ()  # what else was seen

    def write(self, path: str) -> None:
        """Write the JSON, whole or not at all."""
        with replaced(path, "w") as file:
            # `dump` is far slower.
            file.write(json.dumps(self.coco, separators=(",", ":"), allow_nan=False))

    def summary(self) -> str:
        """Some lines of numbers."""
        coco = self.coco
        empty = len(coco["images"]) - len({a["image_id"] for a in coco["annotations"]})
        counts = Counter(a["category_id"] for a in coco["annotations"])
        shown = [f"{c['name']} {counts[c['id']]}" for c in coco["categories"][:_SHOWN_CLASSES]]
        shown += ["..."] if len(coco["categories"]) > _SHOWN_CLASSES else []
        lines = [
            f"images      {len(coco['images'])}, {empty} of them without objects",
            f"objects     {len(coco['annotations'])}",
            f"classes     {len(coco['categories'])}: {', '.join(shown)}",
        ]
        if self.rectangles:
            lines.append(f"rectangles  {self.rectangles} objects, whose mask is their box")
        lines += [f"left out    {number}: {reason}" for reason, number in self.left_out.items()]
        return "\n".join(lines + [f"note        {note}" for note in self.notes])


class CocoBuilder:
    """Takes images and their objects in order; `result` gives the whole.

    Args:
        image_dir: the folder that all file names start from.
        classes: these only, in this order; None for all.
        skip_invalid: leave wrong objects out and count them, instead of stopping.
        known: classes that the source declares, in its order; None sorts the names that occur.
    """

    def __init__(
        self,
        image_dir: str,
        classes: Optional[Sequence[str]] = None,
        skip_invalid: bool = False,
        known: Optional[Sequence[str]] = None,
    ):
        self.image_dir = image_dir
        for names in (classes, known):
            twice = [name for name, count in Counter(names or ()).items() if count > 1]
            if twice:
                raise InputError(f"The class {quoted(twice[0])} is named twice; names must differ.")
            for name in names or ():
                if fault_of_name(name):
                    raise InputError(f"The class {quoted(name)} {fault_of_name(name)}.")
        self._classes, self._known = classes, known
        self._skip_invalid = skip_invalid
        self._images: List[Dict[str, Any]] = []
        self._names = set()
        self._annotations: List[Tuple[str, Dict[str, Any]]] = []
        self._objects: Dict[Hashable, FoundObject] = {}  # of the image at hand
        self._left_out: Counter = Counter()
        self._notes: List[str] = []
        self._rectangles, self._views, self._first = 0, Views(), ""

    def image(
        self,
        file_name: str,
        where: str,
        size: Optional[Tuple[int, int]] = None,
        drawn: Optional[Tuple[int, int]] = None,
    ) -> Tuple[int, int]:
        """Begin an image; what is added from now on belongs to it.

        Args:
            file_name: from `image_dir`.
            where: names the entry in an error.
            size: (height, width) that the source says, compared with the file's.
            drawn: (height, width) of a mask of it, which is not compared here. Either tells the
                views of a file with an EXIF orientation apart.

        Returns:
            (height, width) of the file, in the view that its annotations are of.
        """
        self._finish_image()
        file_name = file_name.replace("\\", "/")
        fault = fault_of_name(file_name, longest=_LONGEST_PATH)
        if fault:
            raise InputError(f"{where}: the image's name {quoted(file_name)} {fault}; rename it.")
        if file_name in self._names:
            raise InputError(f"{where}: the image {shown(file_name)} occurs twice.")
        self._names.add(file_name)
        path = os.path.join(self.image_dir, file_name)
        if not os.path.isfile(path):
            there = f"{shown(self.image_dir)} holds {contents(self.image_dir)}"
            there += ". Say with --images where the images lie"
            raise InputError(f"{where}: the image {shown(path, 200)} does not exist; {there}.")
        height, width = self._views.size(path, file_name, where, size, drawn)
        image_id = len(self._images) + 1
        self._images.append(
            {"id": image_id, "file_name": file_name, "height": height, "width": width}
        )
        return height, width

    @property
    def only_class(self) -> Optional[str]:
        """The name if `classes` is a single one, for sources that do not name what they mark."""
        return self._classes[0] if self._classes and len(self._classes) == 1 else None

    def add(
        self,
        name: Any,
        shape: Optional[Shape],
        where: str,
        crowd: bool = False,
        group: Any = None,
        box: Optional[Tuple[float, float, float, float]] = None,
    ) -> None:
        """Add an object of the image begun last.

        Args:
            name: of its class.
            shape: polygons, a mask or an RLE; None for an object of which only `box` is known.
            where: names the entry in an error.
            crowd: a region of many objects.
            group: objects of equal class and `group` are one object in several parts; None and ""
                are no group.
            box: yxyx pixels; None derives it from the shape.
        """
        if not isinstance(name, str) or not name.strip():
            self.wrong(f"{where}: its class is {quoted(name)}, wanted a name.")
            return
        name = name.strip()
        if fault_of_name(name):
            self.wrong(f"{where}: its class {quoted(name)} {fault_of_name(name)}; rename it.")
            return
        if self._classes is not None and name not in self._classes:
            self.leave_out("of a class that was not asked for")
            return
        try:
            shape = packed(shape, self._images[-1])
        except InputError as error:
            self.wrong(f"{where}: {error}")
            return
        group = grouped(group)
        key = len(self._objects) if group is None else (group, name)
        if key in self._objects:
            self._objects[key].shapes.append(shape)
        else:
            self._objects[key] = FoundObject(name, [shape], box, crowd, where)

    def wrong(self, message: str) -> None:
        """Stop with `message`, or count one wrong object where they are skipped."""
        if not self._skip_invalid:
            raise InputError(message)
        self._first = self._first or message
        self.leave_out("wrong")

    def leave_out(self, reason: str) -> None:
        """Count an object that is not taken over."""
        self._left_out[reason] += 1

    def say(self, note: str) -> None:
        """Add a line to the summary."""
        self._notes.append(note)

    def result(self, source: str) -> Imported:
        """The data set; `source` names its origin in an error."""
        self._finish_image()
        if not self._images:
            raise InputError(f"{source} holds no image.")
        if self._first:
            _LOG.warning("%d wrong objects, the first: %s", self._left_out["wrong"], self._first)
        self._views.report(source)
        found = {name for name, _ in self._annotations}
        names = list(self._classes or self._known or sorted(found))
        if not names:
            raise InputError(f"{source} names no class: there is no object in it.")
        absent = [name for name in self._classes or () if name not in found]
        if absent:
            _LOG.warning("%s: no object of the class %s", source, ", ".join(absent))
        ids = {name: k for k, name in enumerate(names, start=1)}
        annotations = [
            {"id": n, "category_id": ids[name], **rest}
            for n, (name, rest) in enumerate(self._annotations, start=1)
        ]
        categories = [{"id": k, "name": name} for name, k in ids.items()]
        coco = {"images": self._images, "annotations": annotations, "categories": categories}
        seen = self._rectangles, dict(self._left_out), tuple(self._notes)
        return Imported(coco, self.image_dir, *seen)

    def _finish_image(self) -> None:
        objects, self._objects = self._objects, {}
        for found in objects.values():
            try:
                entry = annotation(found, self._images[-1])
            except InputError as error:
                self.wrong(f"{found.where}: {error}")
                continue
            if self._known is not None and found.name not in self._known:
                known = ", ".join(map(quoted, self._known[:_SHOWN_CLASSES]))
                missing = f"its class {quoted(found.name)} is not declared, but {known}"
                self.wrong(f"{found.where}: {missing}.")
                continue
            self._annotations.append((found.name, entry))
            self._rectangles += is_box(entry.get("segmentation"))
