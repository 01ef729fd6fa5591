"""An exported model as the pipeline of `examples/beam_predict.py` uses it."""

import os
import tempfile
from typing import Any, Dict, List, Optional, Union

import numpy as np

from tfmaskrcnn.errors import InputError, one_line
from tfmaskrcnn.inference.beam_inputs import REMOTE, below, matching
from tfmaskrcnn.inference.exported import exported_config
from tfmaskrcnn.inference.opening import is_saved_model, open_source
from tfmaskrcnn.inference.prediction_outputs import labels_of
from tfmaskrcnn.inference.score_thresholds import exported_thresholds, limits_of
from tfmaskrcnn.inference.tiling.tile_plan import TileOptions
from tfmaskrcnn.inference.tiling.tiled_prediction import tiled
from tfmaskrcnn.instances import Instances
from tfmaskrcnn.results.image_result import ImageResult
from tfmaskrcnn.results.measuring import measured
from tfmaskrcnn.support.pixel_size import PixelSize


class About:
    """What the files in a SavedModel say, without TensorFlow; workers get it."""

    def __init__(self, folder: str):
        """Read a SavedModel's own files.

        Raises:
            InputError: `folder` is no SavedModel.
        """
        place = on_this_disk(folder)
        if not is_saved_model(place):
            raise InputError(f"{folder} is no SavedModel: there is no saved_model.pb in it.")
        model = exported_config(place)
        self.names = tuple(model.get("class_names", ()))
        self.ids = labels_of(model.get("category_ids", ()))
        self.channels = model.get("input", {}).get("channels", 3)
        self.exif = model.get("input", {}).get("exif", "apply")
        self.masks = model.get("mask_head", {}).get("enabled", True)
        self.thresholds = exported_thresholds(place, model.get("num_classes"))

    def chosen(self, found: Instances, threshold: Optional[float] = None) -> Instances:
        """Those at or above a threshold, or the model's own, as `predict` chooses them."""
        return found[found.scores >= limits_of(self.thresholds, threshold)(found)]

    def specimen(self, pixel_size: Optional[PixelSize] = None) -> Dict[str, Any]:
        """A row of `objects.csv`, of an object that is made up: its columns and their types."""
        mask = np.ones((1, 2, 2)) if self.masks else None
        found = Instances([[1, 1, 3, 3]], [0.5], [1], (4, 4), mask, self.names)
        image = np.zeros((4, 4, self.channels), np.uint8)
        return measured(ImageResult(1, "", "", found, None, image), pixel_size)[0]


class LoadedModel:
    """A SavedModel in memory; no tuple, because Beam keeps a weak reference to it."""

    def __init__(self, folder: str, tiles: TileOptions):
        self._source = tiled(open_source(on_this_disk(folder)), tiles)

    def found(self, images: List[np.ndarray]) -> List[Union[Instances, str]]:
        """What is in each image [H, W, C] uint8, or why nothing can be found."""
        try:
            return list(self._source.predict(images))
        except Exception as error:  # whatever it is, the other images go on
            if len(images) > 1:
                return [found for image in images for found in self.found([image])]
            return [one_line(error, 500) or type(error).__name__]


def on_this_disk(folder: str) -> str:
    """`folder`, or a copy of it if it is on another file system, such as gs://bucket/model."""
    if REMOTE not in folder:
        return folder
    from apache_beam.io.filesystems import FileSystems

    copy, start = tempfile.mkdtemp(prefix="saved_model_"), len(below(folder, ""))
    for path in matching(below(folder, "**")):
        target = os.path.join(copy, *path[start:].split("/"))
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with FileSystems.open(path) as content, open(target, "wb") as file:
            file.write(content.read())
    return copy
