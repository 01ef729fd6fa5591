"""From a list of images to a list of `Instances`, around a model's `detect`."""

from numbers import Real
from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np
import tensorflow as tf

from tfmaskrcnn.instances import Instances
from tfmaskrcnn.ops.images import pad_to, padded_size, preprocess
from tfmaskrcnn.ops.placement import in_original, points_in_original
from tfmaskrcnn.ops.structures import Detections
from tfmaskrcnn.ops.tensors import as_graph
from tfmaskrcnn.support.given import Kind, check, checked_images
from tfmaskrcnn.support.reproducible import sums_in_order

_A_NUMBER = Kind(lambda value: isinstance(value, Real), "a number")


class Predictor:
    """Preprocesses, runs `model.detect` in one graph for all image sizes, and scales back."""

    def __init__(self, model):
        self._model = model
        self._graphs: Dict[float, tf.types.experimental.GenericFunction] = {}
        self._preprocess = as_graph(
            lambda image: preprocess(image, model.config.input),
            input_signature=[tf.TensorSpec([None, None, model.config.input.channels], tf.uint8)],
        )

    def __call__(
        self, images: Sequence[np.ndarray], score_threshold: Optional[float], batch_size: int
    ) -> List[Instances]:
        """See `MaskRCNN.predict_images`."""
        images = checked_images(images, batch_size, self._model.config.input.channels)
        if score_threshold is not None:
            check(score_threshold, "predict_images: score_threshold", _A_NUMBER)
        found = []
        for start in range(0, len(images), batch_size):
            found += self._predict_batch(images[start : start + batch_size], score_threshold)
        return found

    def _predict_batch(self, images, score_threshold) -> List[Instances]:
        default = self._model.config.box_head.score_threshold
        threshold = default if score_threshold is None else score_threshold
        batch, sizes = self._batch_of(images)
        with sums_in_order():
            found = self._graph(float(threshold))(batch, tf.constant(sizes, tf.float32))
        return self._results(images, sizes, found)

    def _batch_of(self, images) -> Tuple[tf.Tensor, np.ndarray]:
        """[B, H, W, C] padded images, and their sizes [B, 2] without the padding."""
        config = self._model.config
        ready = [self._preprocess(image) for image in images]
        sizes = np.array([image.shape[:2] for image, _ in ready])  # [B, 2]
        static = config.input.static_size
        height, width = static or padded_size(*sizes.max(axis=0), config.input.pad_multiple)
        goal = int(height), int(width)
        return tf.stack([pad_to(image, *goal, config.input) for image, _ in ready]), sizes

    def _results(self, images, sizes, found: Detections) -> List[Instances]:
        """The instances of each image, from what `detect` found in their batch."""
        found = Detections(*(None if part is None else part.numpy() for part in found))
        return [
            self._instances(_of_image(found, i), image.shape[:2], sizes[i])
            for i, image in enumerate(images)
        ]

    def _graph(self, threshold: float):
        """`detect` with this score threshold as a graph; the threshold is a constant in it."""
        if threshold not in self._graphs:
            c = self._model.config.input
            shape = (None, *(c.static_size or (None, None)), c.channels)
            self._graphs[threshold] = as_graph(
                lambda images, sizes: self._model.detect(images, sizes, threshold),
                input_signature=[
                    tf.TensorSpec(shape, tf.float32),
                    tf.TensorSpec([None, 2], tf.float32),
                ],
            )
        return self._graphs[threshold]

    def _instances(self, found: Detections, size, resized) -> Instances:
        """Detections of one image, `resized` (height, width), in pixels of the original `size`."""
        height, width = size
        config = self._model.config
        boxes = in_original(found.boxes[found.valid], resized, size, config).numpy()
        boxes = np.clip(boxes, 0, [height, width, height, width]).astype(np.float32)
        keypoints = None
        if found.keypoints is not None:
            keypoints = points_in_original(found.keypoints[found.valid], resized, size).numpy()
        return Instances(
            boxes=boxes,
            scores=found.scores[found.valid],
            classes=found.classes[found.valid].astype(np.int32),
            size=(height, width),
            mask_probabilities=None if found.masks is None else found.masks[found.valid],
            class_names=config.class_names,
            paste_rule=config.mask_head.paste_rule,
            keypoints=keypoints,
            skeleton=config.keypoint_head.skeleton,
            keypoint_offset=config.keypoint_head.pixel_offset,
        )


def _of_image(found: Detections, i: int) -> Detections:
    return Detections(*(None if part is None else part[i] for part in found))
