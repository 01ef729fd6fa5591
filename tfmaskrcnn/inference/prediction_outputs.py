"""The files that a prediction writes: for each image when it is done, for all from the journal."""

import json
import os
import time
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple

import numpy as np
from PIL import Image

from tfmaskrcnn.drawing.overlays import draw
from tfmaskrcnn.inference.image_sources import Picture
from tfmaskrcnn.inference.journal import Journal
from tfmaskrcnn.inference.journal_records import chosen_of, instances_of
from tfmaskrcnn.inference.looking import Pixels
from tfmaskrcnn.inference.prediction_options import PredictionOptions
from tfmaskrcnn.instances import Instances
from tfmaskrcnn.results.image_result import ImageResult, ResultOptions, Sliced, stem_path
from tfmaskrcnn.results.result_formats import FORMATS, writer
from tfmaskrcnn.results.shared_polygons import SharedPolygons
from tfmaskrcnn.support.files import replaced
from tfmaskrcnn.support.pages import encodable

RESULTS, OBJECTS, COUNTS = "results.json", "objects.csv", "counts.csv"
UNCERTAIN = "uncertain.txt"
# Of the time of a prediction, that may go into files of all images while it runs.
_SHARE = 0.05
_LEAST_SECONDS = 2.0  # between two such times
_ENOUGH_LABELS = 1 << 15  # classes, where a model has no category ids


class Outputs:
    """What is written into an output folder, and when."""

    def __init__(
        self,
        folder: str,
        options: PredictionOptions,
        pictures: Sequence[Picture],
        class_names: Tuple[str, ...] = (),
        category_ids: Tuple[int, ...] = (),
    ):
        self.folder, self._options = folder, options
        self._pictures = {picture.index: picture for picture in pictures}
        self._names = class_names
        self._ids = labels_of(category_ids)
        self._shared = ResultOptions(
            *(class_names, tuple(category_ids), options.tolerance, options.label_format),
            SharedPolygons(),
        )
        scopes = [(name, FORMATS[name]) for name in options.formats]
        self._single = [(name, writer(name), f) for name, f in scopes if f.scope == "image"]
        self._sets = [writer(name) for name, f in scopes if f.scope == "set"]
        self.detections, self.objects = 0, 0  # in `results.json`, and those that were chosen
        self._next, self._count = -1.0, 0  # when the files of all images may be written again

    @property
    def path(self) -> str:
        """Of `results.json`."""
        return os.path.join(self.folder, RESULTS)

    def written(self) -> Dict[str, str]:
        """What is asked for, from its name to its place."""
        options, places = self._options, {"results": RESULTS}
        places.update({"uncertain": UNCERTAIN} if options.only_uncertain else {})
        deep = any(os.path.dirname(picture.stem) for picture in self._pictures.values())
        pictures = {"pictures": "**/*.png" if deep else "*.png"}
        places.update(pictures if options.pictures else {})
        places.update({name: FORMATS[name].file or f"{name}/" for name in options.formats})
        places.update({"objects": OBJECTS, "counts": COUNTS} if options.measure else {})
        paths = {name: os.path.join(self.folder, place) for name, place in places.items()}
        return {**paths, **({"video": options.video} if options.video else {})}

    @property
    def needs_image(self) -> bool:
        """Whether pixels are wanted of an image whose objects are known."""
        return self._options.pictures or any(f.needs_image for _, _, f in self._single)

    def result(
        self, picture: Picture, chosen: Instances, image: Optional[Sliced] = None
    ) -> ImageResult:
        """What writers get of an image."""
        return ImageResult(
            *(picture.image_id, picture.file_name, picture.stem, chosen, picture.path, image)
        )

    def drawn(self, chosen: Instances, pixels: Pixels) -> np.ndarray:
        """[h, w, 3] uint8, the picture of an image."""
        style = self._options.style
        return draw(pixels.fitted(style), chosen, 0.0, style=style)

    def add(
        self,
        picture: Picture,
        chosen: Instances,
        pixels: Optional[Pixels],
        drawn: Optional[np.ndarray] = None,
    ) -> None:
        """Write the files of one image.

        Args:
            picture: names it.
            chosen: its objects at or above their thresholds, masks as RLE.
            pixels: of the image; None where `needs_image` is False.
            drawn: what `drawn` has made of them, if it was asked.
        """
        if self._options.pictures:
            drawn = self.drawn(chosen, pixels) if drawn is None else drawn
            _save_png(drawn, self._place("", picture, ".png"))
        if self._single:
            result = self.result(picture, chosen)
            for name, write, kind in self._single:
                self._place(name, picture)
                image = pixels.parts if kind.needs_image else None
                write(result._replace(image=image), os.path.join(self.folder, name), self._shared)

    def measured(self, picture: Picture, chosen: Instances, pixels: Pixels) -> List[Dict]:
        """Rows of the image in `objects.csv`."""
        from tfmaskrcnn.results.measuring import measured

        result = self.result(picture, chosen, pixels.parts)
        return measured(result, self._options.pixel_size)

    def write_results(self, journal: Journal) -> None:
        """Replace `results.json` alone."""
        journal.sync()
        self.detections, self.objects = _write_results(self.path, journal, self._ids)

    def write_all(self, journal: Journal, only: Optional[List[int]] = None) -> None:
        """Replace the files of all images by what the journal holds.

        Args:
            journal: of this folder.
            only: indices of the images that data sets are to hold, in this order; None takes all.
        """
        self.write_results(journal)
        for write in self._sets:
            write(self._results(journal, only), self.folder, self._shared)
        if self._options.measure:
            from tfmaskrcnn.results.measure_tables import write_counts, write_objects

            rows = (row for r in journal.records() for row in r.get("measured", ()))
            write_objects(rows, os.path.join(self.folder, OBJECTS))
            counts = self._results(journal)
            frames = any(picture.frame for picture in self._pictures.values())
            write_counts(counts, os.path.join(self.folder, COUNTS), self._names, frames)

    def write_chosen(self, journal: Journal, only: List[int], images: Callable) -> None:
        """Write the files of the images at these indices, and data sets of them alone.

        Args:
            journal: of this folder.
            only: indices, the most uncertain image first.
            images: gives the `Pixels` of a `Picture`.
        """
        with replaced(os.path.join(self.folder, UNCERTAIN), "w") as file:
            for record in journal.records(only):
                picture = self._pictures[record["index"]]
                pixels = images(picture) if self.needs_image else None
                self.add(picture, self.chosen(record), pixels)
                file.write(encodable(picture.name) + "\n")
        self.write_all(journal, only)

    def write_so_far(self, journal: Journal) -> None:
        """`write_all` of an unfinished prediction."""
        if self._options.only_uncertain:
            self.write_results(journal)  # it is not known yet which images are saved
        else:
            self.write_all(journal)

    def write_now_and_then(self, journal: Journal) -> None:
        """`write_so_far`, if it does not take more than 5 % of the time."""
        begun = time.monotonic()
        if begun < self._next:
            return
        self.write_so_far(journal)
        took = time.monotonic() - begun
        growth = len(journal) / max(self._count, 1) if self._count else 1.0
        self._count = len(journal)
        self._next = begun + max(took * growth / _SHARE, _LEAST_SECONDS)

    def chosen(self, record: Dict[str, Any]) -> Instances:
        """The objects of a record of the journal that were chosen."""
        return chosen_of(record, self._names)

    def _results(self, journal: Journal, only: Optional[List[int]] = None) -> Iterator[ImageResult]:
        for record in journal.records(only):
            result = self.result(self._pictures[record["index"]], self.chosen(record))
            yield result._replace(frame=record.get("frame"), seconds=record.get("seconds"))

    def _place(self, name: str, picture: Picture, ending: str = "") -> str:
        """Where a file of the image goes; its folder is made."""
        path = stem_path(os.path.join(self.folder, name), picture.stem, ending)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return path


def labels_of(category_ids: Sequence[int]) -> Tuple[int, ...]:
    """What results call classes 1..K: the training data's ids, or else their numbers."""
    return tuple(category_ids) or tuple(range(1, _ENOUGH_LABELS))


def _write_results(path: str, journal: Journal, category_ids: Sequence[int]) -> Tuple[int, int]:
    """All detections in COCO's results format, streamed; returns how many, and how many chosen."""
    count = chosen = 0
    with replaced(path, "w") as file:
        file.write("[")
        for record in journal.records():
            chosen += len(record["chosen"])
            for entry in _entries(record, category_ids):
                file.write((", " if count else "") + json.dumps(entry))
                count += 1
        file.write("]")
    return count, chosen


def _entries(record: Dict[str, Any], category_ids: Sequence[int]) -> List[Dict[str, Any]]:
    found = instances_of(record).coco_results(record["image_id"], category_ids)
    return [{**entry, "file_name": record["file_name"]} for entry in found]


def _save_png(picture: np.ndarray, path: str) -> None:
    with replaced(path) as file:
        Image.fromarray(picture).save(file, "PNG")
