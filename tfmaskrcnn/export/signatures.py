"""The inference graph as a `tf.Module` whose signatures take images and give detections.

Preprocessing and scaling back to the original image are inside; the result loads and runs without
Keras and without this package. Outputs have the TF Object Detection API's names.
"""

from typing import Dict, List, Optional, Tuple

import tensorflow as tf

from tfmaskrcnn import compat
from tfmaskrcnn.export.options import ExportOptions
from tfmaskrcnn.export.thresholded import at_or_above
from tfmaskrcnn.inference.score_thresholds import ScoreThresholds
from tfmaskrcnn.model.mask_rcnn import MaskRCNN
from tfmaskrcnn.model.weights import named_weights
from tfmaskrcnn.ops.decoding import CHANNELS, Formats, attempted, decode_image, too_large
from tfmaskrcnn.ops.images import pad_to, padded_size, preprocess
from tfmaskrcnn.ops.paste_graph import masks_to_bitmaps, masks_to_rle
from tfmaskrcnn.ops.placement import in_original, points_in_original
from tfmaskrcnn.ops.structures import Detections
from tfmaskrcnn.ops.tensors import as_graph, side

# Images that are decoded and resized at the same time; each may take 15 bytes a pixel.
_PARALLEL = 4
# Protocol buffers end at 2 GiB, and these have to be held twice.
MAX_BITMAP_BYTES = 2**30
_IMAGE_KEY = "image/encoded"  # of the TF Object Detection API's records


class Servable(tf.Module):
    """A model's inference graph with five signatures.

    `serving_default`: `images` uint8 [B, H, W, C], RGB if C is 3, any size, one size a batch.
    `image_bytes`: `image_bytes` string [B], files as `ops.decoding` takes them, sizes mixed; EXIF
    is applied if the model's `input.exif` says so, and all that comes back is of that view.
    `tf_example`: `tf_example` string [B], serialized `tf.train.Example`s with `image/encoded`.
    `network`: `images` float32 [B, H, W, C] normalised and padded, `sizes` float32 [B, 2]; what
    TensorRT gets. Its boxes are relative to `sizes`, as the others' are to the whole image.
    `preprocess`: `image_bytes` as above to the `images` and `sizes` of `network`, and `image_size`.

    The first four give `detection_boxes` [B, D, 4] float32 yxyx in 0..1 of the image,
    `detection_scores` [B, D] float32, `detection_classes` [B, D] float32 (1..K), `num_detections`
    [B] float32 and, by the heads that there are, `detection_masks` [B, D, M, M] float32
    probabilities inside the box, `detection_keypoints` [B, D, J, 2] float32 (y, x) like the boxes
    and `detection_keypoint_scores` [B, D, J] float32. The first three also give `image_size`
    [B, 2] int32 (height, width); by option `detection_masks_rle` [B, D] string or
    `detection_masks_reframed` [B, D, H, W] uint8 (H and W of the largest image of the batch)
    instead of `detection_masks`; and `image_errors` [B] string.
    """

    def __init__(
        self,
        model: MaskRCNN,
        options: Optional[ExportOptions] = None,
        thresholds: Optional[ScoreThresholds] = None,
    ):
        """`thresholds` of the exported classes leave out what is below them."""
        super().__init__(name="servable")
        self._thresholds = _Untracked(thresholds)
        self._model, self._options = _Untracked(model), _Untracked(options or ExportOptions())
        # tf.Module does not see through Keras 3's wrappers, and must not see Keras's layers.
        self.weights = [compat.tensor_variable(v) for v in named_weights(model).values()]
        c, batch = model.config.input, self._options.it.network_batch
        image = (*(c.static_size or (None, None)), c.channels)
        raw = (None, None, None, c.channels)
        self.functions = {
            "serving_default": self._signature(
                self.serve_images, tf.TensorSpec(raw, tf.uint8, "images")
            ),
            "network": self._signature(
                self.serve_network,
                tf.TensorSpec((batch, *image), tf.float32, "images"),
                tf.TensorSpec((batch, 2), tf.float32, "sizes"),
            ),
        }
        # Made once for the three signatures that have them; they are nearly all of their graphs.
        one = [tf.TensorSpec([], tf.string)]
        self._decode = _Untracked(as_graph(self._decoded, input_signature=one))
        self._answer = _Untracked(as_graph(self._answered, input_signature=_prepared_specs(image)))
        if c.channels in CHANNELS:  # image files have no others
            files = tf.TensorSpec([None], tf.string, "image_bytes")
            examples = tf.TensorSpec([None], tf.string, "tf_example")
            self.functions["image_bytes"] = self._signature(self.serve_bytes, files)
            self.functions["tf_example"] = self._signature(self.serve_examples, examples)
            self.functions["preprocess"] = self._signature(self.serve_preprocess, files)

    @staticmethod
    def _signature(function, *specs):
        return as_graph(function, input_signature=specs)

    def serve_images(self, images: tf.Tensor) -> Dict[str, tf.Tensor]:
        """Detections in uint8 [B, H, W, C] images of one size."""
        size = tf.shape(images)[1:3]
        empty = tf.where(tf.reduce_any(size < 1), "has no pixels", "")
        problem = tf.strings.join([empty, too_large(size, self._options.it.max_pixels)])
        return self._detect_all(images, lambda image: (image, problem))

    def serve_bytes(self, image_bytes: tf.Tensor) -> Dict[str, tf.Tensor]:
        """Detections in [B] encoded images."""
        return self._detect_all(image_bytes, self._decode.it)

    def serve_examples(self, tf_example: tf.Tensor) -> Dict[str, tf.Tensor]:
        """Detections in the images of [B] serialized `tf.train.Example`s."""

        def encoded_of(text):
            features = {_IMAGE_KEY: tf.io.FixedLenFeature([], tf.string)}
            return tf.io.parse_single_example(text, features)[_IMAGE_KEY]

        def decode(text):
            encoded = attempted(encoded_of, text, tf.constant(""))
            missing = tf.equal(tf.strings.length(encoded), 0)
            image, problem = self._decode.it(encoded)
            explained = f"is no tf.train.Example with one {_IMAGE_KEY}"
            return image, tf.where(missing, explained, problem)

        return self._detect_all(tf_example, decode)

    def serve_preprocess(self, image_bytes: tf.Tensor) -> Dict[str, tf.Tensor]:
        """What `serve_network` wants for [B] encoded images; a bad one fails the request."""
        prepared = self._prepared(self._counted(image_bytes), self._decode.it)
        images, sizes, originals, problems = prepared
        return {"images": _all_good(images, problems), "sizes": sizes, "image_size": originals}

    def serve_network(self, images: tf.Tensor, sizes: tf.Tensor) -> Dict[str, tf.Tensor]:
        """Detections in preprocessed images [B, H, W, C] of real `sizes` [B, 2]."""
        return self._outputs(self._detect(images, sizes), sizes)

    def _detect(self, images: tf.Tensor, sizes: tf.Tensor) -> Detections:
        """See `MaskRCNN.detect`."""
        found, thresholds = self._model.it.detect(images, sizes), self._thresholds.it
        if thresholds is None:
            return found
        return at_or_above(found, thresholds.of(range(1, len(thresholds.scores) + 1)))

    def _outputs(self, found: Detections, sizes: tf.Tensor) -> Dict[str, tf.Tensor]:
        """Detections with boxes relative to `sizes` [B, 2] float32."""
        scale = tf.expand_dims(tf.concat([sizes, sizes], axis=-1), 1)  # [B, 1, 4]
        outputs = {
            "detection_boxes": found.boxes / scale,
            "detection_scores": found.scores,
            "detection_classes": found.classes,
            # Not a cast, which TensorRT does not convert.
            "num_detections": tf.reduce_sum(tf.where(found.valid, 1.0, 0.0), axis=1),
        }
        if found.masks is not None:
            outputs["detection_masks"] = found.masks
        if found.keypoints is not None:
            per_point = tf.expand_dims(scale[..., :2], 1)  # [B, 1, 1, 2]
            outputs["detection_keypoints"] = found.keypoints[..., :2] / per_point
            outputs["detection_keypoint_scores"] = found.keypoints[..., 2]
        return {name: tf.identity(value, name=name) for name, value in outputs.items()}

    def _decoded(self, encoded):
        options, config = self._options.it, self._model.it.config.input
        formats = Formats(options.gif, options.webp)
        return decode_image(encoded, options.max_pixels, formats, config.channels, config.exif)

    def _detect_all(self, sources, decode) -> Dict[str, tf.Tensor]:
        """Detections in sources that `decode` makes (uint8 [H, W, C] image, problem) of."""
        with tf.name_scope("preprocess"):  # a name by which export/latency.py sums times
            prepared = self._prepared(self._counted(sources), decode)
        return self._answer.it(*prepared)

    def _answered(self, images, sizes, originals, problems) -> Dict[str, tf.Tensor]:
        """The outputs of a signature for what `_prepared` gives."""
        good = tf.equal(problems, "")
        if self._options.it.on_error == "fail":
            images = _all_good(images, problems)
        found = self._detect(images, sizes)
        boxes = in_original(found.boxes, sizes, originals, self._model.it.config)
        keypoints = points_in_original(found.keypoints, sizes, originals)
        found = found._replace(boxes=boxes, keypoints=keypoints)
        outputs = self._outputs(found, tf.cast(originals, tf.float32))
        outputs["image_size"] = originals
        outputs = self._with_masks(outputs, good)
        if self._options.it.on_error == "report":
            outputs = {name: _where(good, value) for name, value in outputs.items()}
            outputs["image_errors"] = problems
        return outputs

    def _counted(self, sources: tf.Tensor) -> tf.Tensor:
        """`sources` [B, ...], unless B is 0 or more than a request may have."""
        count, limit = tf.shape(sources)[0], self._options.it.max_batch
        text = ["The request has ", tf.strings.as_string(count), f" images; {limit} at most."]
        checks = [
            tf.debugging.Assert(count > 0, ["The batch is empty; send at least one image."]),
            tf.debugging.Assert(count <= limit, [tf.strings.join(text)]),
        ]
        with tf.control_dependencies(checks):
            return tf.identity(sources)

    def _prepared(self, sources, decode) -> Tuple[tf.Tensor, ...]:
        """Decode and preprocess each of the sources and pad them to one size.

        Returns:
            images [B, H, W, C] float32 and sizes [B, 2] float32 for the network, the images' own
            sizes [B, 2] int32, and problems [B] string; a bad image is one black pixel.
        """
        config = self._model.it.config.input
        channels = config.channels
        static = config.static_size
        padded = tf.TensorSpec([*static, channels]) if static else None

        def ready(source):
            image, problem = decode(source)
            image = tf.cond(
                tf.equal(problem, ""), lambda: image, lambda: tf.zeros([1, 1, channels], tf.uint8)
            )
            image, original = tf.ensure_shape(image, [None, None, channels]), tf.shape(image)[:2]
            image, _ = preprocess(image, config)
            size = tf.cast(tf.shape(image)[:2], tf.float32)
            if padded is not None:
                return pad_to(image, *static, config), size, original, problem
            # Sizes may differ within the batch.
            return tf.RaggedTensor.from_tensor(image), size, original, problem

        spec = padded or tf.RaggedTensorSpec([None, None, channels], tf.float32, ragged_rank=1)
        specs = (
            spec,
            tf.TensorSpec([2]),
            tf.TensorSpec([2], tf.int32),
            tf.TensorSpec([], tf.string),
        )
        images, sizes, originals, problems = tf.map_fn(
            ready, sources, fn_output_signature=specs, parallel_iterations=_PARALLEL
        )
        if padded is None:
            images = images.to_tensor()  # [B, highest, widest, C], zeros behind
            height, width = tf.shape(images)[1], tf.shape(images)[2]
            goal = padded_size(height, width, config.pad_multiple)
            paddings = [[0, 0], [0, goal[0] - height], [0, goal[1] - width], [0, 0]]
            images = tf.pad(images, paddings)
        return images, sizes, originals, problems

    def _with_masks(self, outputs: Dict[str, tf.Tensor], good: tf.Tensor) -> Dict[str, tf.Tensor]:
        """`outputs` with the kind of masks that the options ask for; `good` [B] bool."""
        kind, sizes = self._options.it.masks, outputs["image_size"]
        if kind == "roi":
            return outputs
        masks = outputs.pop("detection_masks")
        count = side(masks, 1)
        valid = tf.range(count) < tf.cast(outputs["num_detections"], tf.int32)[:, tf.newaxis]
        scale = tf.cast(tf.concat([sizes, sizes], axis=-1), tf.float32)[:, tf.newaxis]
        boxes = outputs["detection_boxes"] * scale
        arguments = (boxes, valid & good[:, tf.newaxis], sizes)
        rule = self._model.it.config.mask_head.paste_rule
        if kind == "rle":
            return {**outputs, "detection_masks_rle": masks_to_rle(masks, *arguments, rule)}
        height, width = tf.unstack(tf.cast(tf.reduce_max(sizes, axis=0), tf.int64))
        bytes_needed = tf.size(valid, tf.int64) * height * width
        text = tf.strings.as_string(bytes_needed)
        sentence = ["The bitmaps of this request would take ", text]
        sentence += [f" bytes, {MAX_BITMAP_BYTES} at most; send fewer or smaller images."]
        fits = tf.debugging.Assert(bytes_needed <= MAX_BITMAP_BYTES, [tf.strings.join(sentence)])
        with tf.control_dependencies([fits]):
            masks = tf.identity(masks)
        return {**outputs, "detection_masks_reframed": masks_to_bitmaps(masks, *arguments, rule)}


def _prepared_specs(image) -> List[tf.TensorSpec]:
    """Of what `_prepared` gives for network inputs of the shape `image`."""
    return [
        tf.TensorSpec((None, *image), tf.float32),
        tf.TensorSpec((None, 2), tf.float32),
        tf.TensorSpec((None, 2), tf.int32),
        tf.TensorSpec((None,), tf.string),
    ]


class _Untracked:
    """Hides an object from `tf.Module`'s search for variables."""

    def __init__(self, it):
        self.it = it


def _all_good(images: tf.Tensor, problems: tf.Tensor) -> tf.Tensor:
    """`images`, unless there is a problem among [B] strings."""
    good = tf.reduce_all(tf.equal(problems, ""))
    with tf.control_dependencies([tf.debugging.Assert(good, [_sentences(problems)])]):
        return tf.identity(images)


def _sentences(problems: tf.Tensor) -> tf.Tensor:
    """One scalar string of the [B] problems, such as "Image 3 of the batch is empty."."""
    bad = tf.where(problems != "")[:, 0]
    each = tf.strings.join(
        ["Image ", tf.strings.as_string(bad), " of the batch ", tf.gather(problems, bad), "."]
    )
    return tf.strings.reduce_join(each, separator=" ")


def _where(good: tf.Tensor, value: tf.Tensor) -> tf.Tensor:
    """Rows of `value` [B, ...] where `good` [B], else zeros or empty strings."""
    shape = tf.concat([tf.shape(good), tf.ones([tf.rank(value) - 1], tf.int32)], 0)
    return tf.where(tf.reshape(good, shape), value, tf.zeros_like(value))
