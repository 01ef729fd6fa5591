"""RoIPool (Fast R-CNN, section 2.1): maxima over bins of whole feature pixels.

It rounds twice, the RoI to whole feature pixels and then the bins within it; this is what RoIAlign
does away with (Mask R-CNN, section 3 and tables 2c, 2d). It is here to be compared with: its shapes
are dynamic, and it does not convert to TensorRT.
"""

from typing import NamedTuple

import tensorflow as tf

from tfmaskrcnn.ops.atlas import Atlas, build_atlas, level_places
from tfmaskrcnn.ops.roi_levels import roi_levels
from tfmaskrcnn.ops.tensors import as_graph, kept_until_exit
from tfmaskrcnn.ops.tensors import side as length

# RoIs worked on at a time. Each reads up to some 1500 feature pixels, 100 MB of 256 channels for 64
# of them; all at once would take gigabytes.
CHUNK = 64


def pyramid_roi_pool(
    atlas: Atlas,
    boxes: tf.Tensor,
    side: int,
    canonical_size: float = 224.0,
    canonical_level: int = 4,
    level_rounding: str = "floor",
) -> tf.Tensor:
    """Maxima in the bins of RoIs, each read from the level that RoIAlign reads it from.

    Args:
        atlas: from `build_atlas`.
        boxes: [B, R, 4] float32 yxyx input pixels; no gradient flows to them.
        side: S, bins a side.
        canonical_size, canonical_level, level_rounding: see `roi_levels`.

    Returns:
        [B, R, S, S, C] float32; 0 in a bin without a pixel.
    """
    boxes = tf.stop_gradient(boxes)
    level = roi_levels(boxes, canonical_size, canonical_level, level_rounding)
    return _pool_levels(atlas, boxes, level, side)


def roi_pool(features: tf.Tensor, boxes: tf.Tensor, side: int, stride: float = 1.0) -> tf.Tensor:
    """RoIPool on one feature map [B, H, W, C].

    Args:
        features: [B, H, W, C], any float type.
        boxes: [B, R, 4] float32 yxyx; `stride` of their units make one feature pixel.
        side: S, bins a side.

    Returns:
        [B, R, S, S, C] float32; 0 in a bin without a pixel.
    """
    atlas = build_atlas({"p0": features}, ["p0"])
    boxes = tf.stop_gradient(tf.cast(boxes, tf.float32)) / stride
    return _pool_levels(atlas, boxes, tf.zeros_like(boxes[..., 0]), side)


def bin_edges(boxes: tf.Tensor, sizes: tf.Tensor, side: int) -> tf.Tensor:
    """The feature pixels of each bin after both roundings.

    Args:
        boxes: [..., 4] float32 yxyx feature pixels.
        sizes: [..., 2] float32, (height, width) of the feature map.
        side: S.

    Returns:
        [..., 2, S, 2] float32 whole numbers: for rows and for columns each bin's first pixel and
        the one behind its last, equal for an empty bin.
    """
    low, high = _rounded(boxes[..., :2]), _rounded(boxes[..., 2:])
    extent = tf.maximum(high - low + 1.0, 1.0)  # the pixel in which a RoI ends belongs to it
    # A graph multiplies by 1 / side instead, which in float32 moves some edges by a whole pixel.
    step = tf.cast(tf.cast(extent, tf.float64) / side, tf.float32)[..., tf.newaxis]  # [..., 2, 1]
    index = tf.cast(tf.range(side), tf.float32)
    edges = tf.stack([tf.floor(index * step), tf.math.ceil((index + 1.0) * step)], axis=-1)
    edges += low[..., tf.newaxis, tf.newaxis]
    return tf.clip_by_value(edges, 0.0, sizes[..., tf.newaxis, tf.newaxis])


def _rounded(values: tf.Tensor) -> tf.Tensor:
    """To the nearest whole number, halves away from 0 as C does; `tf.round` goes to even ones."""
    size = tf.abs(values)
    whole = tf.floor(size)
    return tf.sign(values) * tf.where(size - whole >= 0.5, whole + 1.0, whole)


def _pool_levels(atlas: Atlas, boxes, level, side: int) -> tf.Tensor:
    """RoIPool of boxes whose `level` [B, R] float32 is a row of the layout."""
    origin, size, stride = level_places(atlas, level)
    edges = bin_edges(boxes / stride, size, side)  # [B, R, 2, S, 2] pixels of the level
    edges += origin[..., tf.newaxis, tf.newaxis] + 1.0  # of the canvas; + 1: the padded edge
    batch, rois = length(boxes, 0), length(boxes, 1)
    edges = tf.cast(tf.reshape(edges, [-1, 2, side, 2]), tf.int32)
    image_index = tf.repeat(tf.range(batch), rois)
    channels = atlas.canvas.shape[3]
    pool = _maxima if atlas.inference else _differentiable_maxima(side, channels)
    pooled = pool(atlas.canvas, edges, image_index)
    return tf.reshape(pooled, [-1, rois, side, side, channels])


@kept_until_exit
def _differentiable_maxima(side: int, channels: int):
    """`_maxima` with its gradient, as one function for all models: see `ops.roi_align`."""

    def pool(canvas, edges, image_index):
        @tf.custom_gradient
        def of_canvas(canvas):
            maxima = _maxima(canvas, edges, image_index)

            def gradient(upstream):
                return _gradient(upstream, canvas, maxima, edges, image_index)

            return maxima, gradient

        return of_canvas(canvas)

    specs = [
        tf.TensorSpec([None, None, None, channels]),
        tf.TensorSpec([None, 2, side, 2], tf.int32),
        tf.TensorSpec([None], tf.int32),
    ]
    return as_graph(pool, input_signature=specs)


def _maxima(canvas: tf.Tensor, edges: tf.Tensor, image_index: tf.Tensor) -> tf.Tensor:
    """The maxima of bins.

    Args:
        canvas: [B, Ha, Wa, C] float32.
        edges: [n, 2, S, 2] int32, as `bin_edges` gives them but in canvas pixels.
        image_index: [n] int32, the image of each RoI.

    Returns:
        [n * S * S, C] float32.
    """
    pixels, shape = tf.reshape(canvas, [-1, canvas.shape[3]]), tf.shape(canvas)

    def maxima_of(rows):
        bins = _bin_pixels(edges[rows], image_index[rows], shape)
        top = tf.math.segment_max(tf.gather(pixels, bins.pixel), bins.bin)
        return tf.where(bins.real[:, tf.newaxis], top, 0.0)

    return _in_chunks(maxima_of, edges, tf.float32)


def _gradient(upstream, canvas, maxima, edges, image_index) -> tf.Tensor:
    """Of `_maxima` [n*S*S, C]: what comes to each goes to the first pixel that has it."""
    channels, side = canvas.shape[3], edges.shape[2]
    pixels, shape = tf.reshape(canvas, [-1, channels]), tf.shape(canvas)

    def places_of(rows):
        """[bins, C] int64: of each maximum in `pixels`, -1 in an empty bin."""
        bins = _bin_pixels(edges[rows], image_index[rows], shape)
        top = maxima[rows.start * side**2 : rows.stop * side**2]
        is_top = tf.gather(pixels, bins.pixel) == tf.gather(top, bins.bin)
        count = tf.size(bins.pixel)
        # A NaN equals nothing; then any place does.
        order = tf.where(is_top, tf.range(count)[:, tf.newaxis], count - 1)
        place = tf.gather(bins.pixel, tf.math.segment_min(order, bins.bin))
        return tf.cast(tf.where(bins.real[:, tf.newaxis], place, -1), tf.int64)

    place = _in_chunks(places_of, edges, tf.int64)
    # A sum for each pixel and channel, which leaves negative places out.
    target = place * channels + tf.range(channels, dtype=tf.int64) * tf.sign(place + 1)
    total = tf.math.unsorted_segment_sum(upstream, target, tf.size(canvas, tf.int64))
    return tf.reshape(total, shape)


class _Bins(NamedTuple):
    """The pixels of many bins in one list, bin by bin, row by row."""

    pixel: tf.Tensor  # [p] int32, into the canvas as [B*Ha*Wa]
    bin: tf.Tensor  # [p] int32, ascending: which of the n*S*S bins; each has a pixel at least
    real: tf.Tensor  # [n*S*S] bool, False for an empty bin: its pixel is not its own


def _bin_pixels(edges: tf.Tensor, image_index: tf.Tensor, shape: tf.Tensor) -> _Bins:
    """The list for RoIs of `edges` [n, 2, S, 2] in a canvas of `shape` [4]."""
    first = edges[..., 0]  # [n, 2, S]
    count = tf.maximum(edges[..., 1] - first, 0)
    width = count[:, 1, tf.newaxis, :] + tf.zeros_like(count[:, 0, :, tf.newaxis])  # [n, S, S]
    number = tf.reshape(count[:, 0, :, tf.newaxis] * width, [-1])
    row = image_index[:, tf.newaxis, tf.newaxis] * shape[1] + first[:, 0, :, tf.newaxis]
    start = tf.reshape(row * shape[2] + first[:, 1, tf.newaxis, :], [-1])
    real, number = number > 0, tf.maximum(number, 1)
    index = tf.repeat(tf.range(tf.size(number)), number)  # [p]
    offset = tf.range(tf.size(index)) - tf.gather(tf.cumsum(number, exclusive=True), index)
    width = tf.gather(tf.maximum(tf.reshape(width, [-1]), 1), index)
    pixel = tf.gather(start, index) + offset // width * shape[2] + offset % width
    return _Bins(pixel, index, real)


def _in_chunks(function, rois: tf.Tensor, dtype) -> tf.Tensor:
    """`function` of slices of at most `CHUNK` rows of `rois`, its results one behind the other."""
    total = tf.shape(rois)[0]
    chunks = tf.maximum((total + CHUNK - 1) // CHUNK, 1)

    def step(i, results):
        rows = slice(i * CHUNK, tf.minimum((i + 1) * CHUNK, total))
        return i + 1, results.write(i, function(rows))

    results = tf.TensorArray(dtype, size=chunks, infer_shape=False)
    _, results = tf.while_loop(lambda i, _: i < chunks, step, (0, results), parallel_iterations=1)
    return results.concat()
