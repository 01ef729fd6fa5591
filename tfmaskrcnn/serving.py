"""The exported model: a `tf.Module` whose signatures take images and give detections.

Preprocessing and scaling back to the original image are inside; the result loads and runs without
Keras and without this package. Outputs have the TF Object Detection API's names.
"""

import json
import os
import tempfile
from typing import Dict

import tensorflow as tf

from tfmaskrcnn import compat
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.model import MaskRCNN
from tfmaskrcnn.ops.images import pad_to, padded_size, preprocess
from tfmaskrcnn.weights import named_weights


class Servable(tf.Module):
    """A model's inference graph with three signatures.

    `serving_default`: `images` uint8 [B, H, W, 3] RGB, any size, one size a batch.
    `image_bytes`: `image_bytes` string [B], JPEG, PNG, GIF (first frame) or BMP, sizes mixed.
    `network`: `images` float32 [B, H, W, 3] normalised and padded, `sizes` float32 [B, 2]; what
    TensorRT gets. Its boxes are relative to `sizes`, as the others' are to the whole image.

    All give `detection_boxes` [B, D, 4] float32 yxyx in 0..1 of the image, `detection_scores`
    [B, D] float32, `detection_classes` [B, D] float32 (1..K), `num_detections` [B] float32; by the
    heads that the model has `detection_masks` [B, D, M, M] float32 probabilities inside the box,
    `detection_keypoints` [B, D, J, 2] float32 (y, x) like the boxes and
    `detection_keypoint_scores` [B, D, J] float32.
    """

    def __init__(self, model: MaskRCNN):
        super().__init__(name="servable")
        self._model = _Untracked(model)
        # tf.Module does not see through Keras 3's wrappers, and must not see Keras's layers.
        self.weights = [compat.tensor_variable(v) for v in named_weights(model).values()]
        shape = model.config.input.fixed_size or (None, None)
        self.functions = {
            "serving_default": self._signature(
                self.serve_images, tf.TensorSpec([None, None, None, 3], tf.uint8, "images")
            ),
            "image_bytes": self._signature(
                self.serve_bytes, tf.TensorSpec([None], tf.string, "image_bytes")
            ),
            "network": self._signature(
                self.serve_network,
                tf.TensorSpec([None, *shape, 3], tf.float32, "images"),
                tf.TensorSpec([None, 2], tf.float32, "sizes"),
            ),
        }

    @staticmethod
    def _signature(function, *specs):
        return tf.function(function, input_signature=specs)

    def serve_images(self, images: tf.Tensor) -> Dict[str, tf.Tensor]:
        """Detections in uint8 [B, H, W, 3] images of one size."""
        return self._detect_all(images, lambda image: image)

    def serve_bytes(self, image_bytes: tf.Tensor) -> Dict[str, tf.Tensor]:
        """Detections in [B] encoded images."""

        def decode(encoded):
            image = tf.io.decode_image(encoded, channels=3, expand_animations=False)
            return tf.ensure_shape(image, [None, None, 3])

        return self._detect_all(image_bytes, decode)

    def serve_network(self, images: tf.Tensor, sizes: tf.Tensor) -> Dict[str, tf.Tensor]:
        """Detections in preprocessed images [B, H, W, 3] of real `sizes` [B, 2]."""
        found = self._model.it.detect(images, sizes)
        scale = tf.expand_dims(tf.concat([sizes, sizes], axis=-1), 1)  # [B, 1, 4]
        outputs = {
            "detection_boxes": found.boxes / scale,
            "detection_scores": found.scores,
            "detection_classes": tf.cast(found.classes, tf.float32),
            "num_detections": tf.reduce_sum(tf.cast(found.valid, tf.float32), axis=1),
        }
        if found.masks is not None:
            outputs["detection_masks"] = found.masks
        if found.keypoints is not None:
            outputs["detection_keypoints"] = found.keypoints[..., :2] / scale[:, tf.newaxis, :, :2]
            outputs["detection_keypoint_scores"] = found.keypoints[..., 2]
        return {name: tf.identity(value, name=name) for name, value in outputs.items()}

    def _detect_all(self, sources, decode) -> Dict[str, tf.Tensor]:
        """Decode and preprocess each of the sources, pad them to one size, detect."""
        config = self._model.it.config.input
        padded = tf.TensorSpec([*config.fixed_size, 3], tf.float32) if config.fixed_size else None

        def ready(source):
            image, _ = preprocess(decode(source), config)
            size = tf.cast(tf.shape(image)[:2], tf.float32)
            if padded is not None:
                return pad_to(image, *config.fixed_size), size
            return tf.RaggedTensor.from_tensor(image), size  # sizes may differ within the batch

        spec = padded or tf.RaggedTensorSpec([None, None, 3], tf.float32, ragged_rank=1)
        size_spec = tf.TensorSpec([2], tf.float32)
        images, sizes = tf.map_fn(ready, sources, fn_output_signature=(spec, size_spec))
        if padded is None:
            images = images.to_tensor()  # [B, highest, widest, 3], zeros behind
            height, width = tf.shape(images)[1], tf.shape(images)[2]
            goal = padded_size(height, width, config.pad_multiple)
            paddings = [[0, 0], [0, goal[0] - height], [0, goal[1] - width], [0, 0]]
            images = tf.pad(images, paddings)
        return self.serve_network(images, sizes)


class _Untracked:
    """Hides an object from `tf.Module`'s search for variables."""

    def __init__(self, it):
        self.it = it


def export_saved_model(model: MaskRCNN, folder: str) -> str:
    """Write `model` as a SavedModel that loads and runs without Keras.

    Args:
        model: with the weights to serve.
        folder: must not exist or be empty; for TF Serving its last part is a version number.

    Returns:
        `folder`. Beside the graph it holds `assets/config.json`: the configuration with class
        names and category ids.

    Raises:
        InputError: `folder` holds something already, or cannot be written.
    """
    folder = os.fspath(folder)
    if os.path.isdir(folder) and os.listdir(folder):
        raise InputError(f"{folder} is not empty; choose a new folder, such as the next version.")
    servable = Servable(model)
    with tempfile.TemporaryDirectory() as temporary:
        config = os.path.join(temporary, "config.json")
        with open(config, "w", encoding="utf-8") as file:
            json.dump(model.config.model_dump(mode="json"), file, indent=2)
        servable.config = tf.saved_model.Asset(config)
        try:
            tf.saved_model.save(servable, folder, signatures=servable.functions)
        except (OSError, tf.errors.OpError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(f"Cannot write the SavedModel {folder}: {reason}.") from None
    return folder
