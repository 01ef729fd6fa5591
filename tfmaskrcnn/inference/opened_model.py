"""`open`: one object that predicts, whatever the model is kept in, and cannot do more than that."""

from typing import List, Optional, Sequence, Tuple

import numpy as np

from tfmaskrcnn.errors import InputError
from tfmaskrcnn.inference.opening import Source, open_source
from tfmaskrcnn.instances import Instances
from tfmaskrcnn.support.given import A_PATH, checked_images, takes

# What people do to a Keras model, and this is none.
_OF_KERAS = (
    *("build", "compile", "evaluate", "fit", "get_weights", "layers", "load_weights", "predict"),
    *("save", "save_weights", "set_weights", "summary", "train_on_batch", "trainable_weights"),
    *("trainable", "variables", "weights"),
)


class OpenedModel:
    """A run, SavedModel, ONNX or TFLite file that finds objects; the last two need no TensorFlow.

    Attributes:
        folder: where it lies; of a file the file.
        source: all that is known of it, as `open_source` gives it.
    """

    def __init__(self, folder: str, source: Source):
        """Wrap what `open_source` has opened."""
        self.folder, self.source = folder, source

    @property
    def class_names(self) -> Sequence[str]:
        """Of classes 1..K; none where the exporting program has left none."""
        return self.source.class_names

    @property
    def category_ids(self) -> Tuple[int, ...]:
        """The data set's ids of classes 1..K; none where they are not known."""
        return self.source.category_ids

    @property
    def thresholds(self):
        """The `ScoreThresholds` that were chosen for it, or None."""
        return self.source.thresholds

    def read_image(self, path: str) -> np.ndarray:
        """[H, W, C] uint8 pixels of an image file as the model wants them.

        Turned by EXIF or not, and grey or colour, as in training (`input.exif`, `input.channels`).
        """
        from tfmaskrcnn.data.coco.image_files import read_image

        return read_image(path, None, self.source.channels, self.source.exif)

    def predict_images(
        self,
        images: Sequence[np.ndarray],
        score_threshold: Optional[float] = None,
        batch_size: int = 1,
    ) -> List[Instances]:
        """As `MaskRCNN.predict_images`.

        Args:
            images: uint8 [H, W, C] arrays, RGB if C is 3, of any size.
            score_threshold: keep detections above it, of those that the model leaves; None takes
                them all.
            batch_size: images that go through the network together.

        Raises:
            InputError: an image is of another kind.
        """
        images = checked_images(images, batch_size, self.source.channels)
        found: List[Instances] = []
        for start in range(0, len(images), batch_size):
            found += self.source.predict(images[start : start + batch_size])
        if score_threshold is None:
            return found
        return [each[each.scores > score_threshold] for each in found]

    def __getattr__(self, name: str):
        if name in _OF_KERAS:
            raise InputError(
                f"{self.folder} was opened to predict (predict_images), and has no {name!r} here; "
                "mr.load of the run gives the model that can be trained and changed."
            )
        raise AttributeError(f"an OpenedModel has no attribute {name!r}")

    def __repr__(self):
        return f"<OpenedModel {self.folder!r} of {len(self.class_names)} classes>"


@takes(path=A_PATH)
def open_model(path: str, runtime: Optional[str] = None) -> OpenedModel:
    """The model at `path`, to find objects by: the same for every artefact.

    Args:
        path: a run folder, a .tfmaskrcnn file, the folder of a SavedModel, an .onnx or .tflite
            file, or the name of published weights. A SavedModel needs no Keras, an .onnx or
            .tflite file no TensorFlow.
        runtime: of an .onnx file, "onnxruntime" (None) or "openvino".

    Raises:
        InputError: there is no such model, it is damaged, or what it needs is not installed.
    """
    return OpenedModel(path, open_source(path, runtime=runtime))
