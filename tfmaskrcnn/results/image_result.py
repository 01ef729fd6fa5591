"""What a writer of results gets of one image."""

import os
from typing import Any, List, NamedTuple, Optional, Tuple

from tfmaskrcnn.instances import Instances
from tfmaskrcnn.ops.paste import Window
from tfmaskrcnn.results.polygons_of_masks import MaskPolygon, polygons_of
from tfmaskrcnn.results.shared_polygons import SharedPolygons

Sliced = Any  # [H, W, C] uint8: an array, or what has its shape and reads `image[y:b, x:r]` then


class ImageResult(NamedTuple):
    """The objects that were found in one image and chosen, and how the image is called."""

    image_id: int
    file_name: str  # as results name it, with "/" between folders
    stem: str  # of files that are written for it: unique in a prediction, "/" between folders
    found: Instances  # those at or above their thresholds, best first
    path: Optional[str] = None  # of the image file; None of a frame or an array
    # As the model saw it; None for writers that need no pixels.
    image: Optional[Sliced] = None
    frame: Optional[int] = None  # of a video, from 0
    seconds: Optional[float] = None  # since the video's start


def stem_path(folder: str, stem: str, ending: str = "") -> str:
    """Where a file of the image with this `stem` lies below `folder`."""
    return os.path.join(folder, *f"{stem}{ending}".split("/"))


class ResultOptions(NamedTuple):
    """What all writers of one prediction share."""

    class_names: Tuple[str, ...]  # of classes 1..K
    category_ids: Tuple[int, ...]  # of the same, as the training data numbered them
    tolerance: float = 0.5  # pixels by which a polygon may leave its mask
    label_format: str = "png"  # or "tiff", of label images
    shared: Optional[SharedPolygons] = None  # among several writers; None makes them anew

    def polygons(self, window: Window) -> List[MaskPolygon]:
        """The parts of a mask within the tolerance, see `polygons_of`; not to be written into."""
        if self.shared is None:
            return polygons_of(window, self.tolerance)
        return self.shared.of(window, self.tolerance)
