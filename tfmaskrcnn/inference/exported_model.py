"""A SavedModel as an object that predicts like a `MaskRCNN`, and cannot do more than that."""

from typing import List, Optional, Sequence

import numpy as np

from tfmaskrcnn.errors import InputError
from tfmaskrcnn.inference.opening import Source
from tfmaskrcnn.instances import Instances

# What people do to a Keras model, and a graph without its layers has not.
_OF_KERAS = (
    *("build", "compile", "evaluate", "fit", "get_weights", "layers", "load_weights", "predict"),
    *("save", "save_weights", "set_weights", "summary", "train_on_batch", "trainable_weights"),
    *("trainable", "variables", "weights"),
)


class ExportedModel:
    """What `load` makes of the folder of a SavedModel: it finds objects, and needs no Keras.

    Attributes:
        folder: where it lies.
        source: all that is known of it, as `open_source` gives it.
    """

    def __init__(self, folder: str, source: Source):
        """Wrap what `open_source` has opened."""
        self.folder, self.source = folder, source

    @property
    def class_names(self) -> Sequence[str]:
        """Of classes 1..K; none where the exporting program has left none."""
        return self.source.class_names

    def predict_images(
        self,
        images: Sequence[np.ndarray],
        score_threshold: Optional[float] = None,
        batch_size: int = 1,
    ) -> List[Instances]:
        """As `MaskRCNN.predict_images`.

        Args:
            images: uint8 [H, W, C] arrays, RGB if C is 3, of any size.
            score_threshold: keep detections above it, of those that the export leaves; None takes
                them all.
            batch_size: images that go through the network together.
        """
        found: List[Instances] = []
        for start in range(0, len(images), batch_size):
            found += self.source.predict(list(images[start : start + batch_size]))
        if score_threshold is None:
            return found
        return [each[each.scores > score_threshold] for each in found]

    def __getattr__(self, name: str):
        if name in _OF_KERAS:
            raise InputError(
                f"{self.folder} is a SavedModel: it predicts (predict_images), and has no "
                f"{name!r}; load the run that it was exported of to train or change it."
            )
        raise AttributeError(f"an ExportedModel has no attribute {name!r}")

    def __repr__(self):
        return f"<ExportedModel {self.folder!r} of {len(self.class_names)} classes>"
