"""RoIAlign (Mask R-CNN, section 3) made of `tf.image.crop_and_resize`, exactly.

`crop_and_resize` by itself is not RoIAlign: it samples box edges and gives zeros beyond the outer
pixels' centres. Here each level is padded by its own edge pixels, the sample grid is placed where
RoIAlign wants it, and the samples of a bin are averaged. All levels lie in the *atlas*
(`ops.atlas`), so that a head reads its RoIs by ONE `crop_and_resize`: shapes stay static and one
operation a head stays outside TensorRT.
"""

import tensorflow as tf

from tfmaskrcnn.errors import InputError
from tfmaskrcnn.ops.atlas import Atlas, build_atlas, level_places
from tfmaskrcnn.ops.roi_levels import roi_levels
from tfmaskrcnn.ops.tensors import as_graph, kept_until_exit
from tfmaskrcnn.ops.tensors import side as length

# Samples a bin and axis, above what any image can ask for.
MAX_SAMPLES = 2**15


def pyramid_roi_align(
    atlas: Atlas,
    boxes: tf.Tensor,
    side: int,
    sampling_ratio: int = 2,
    aligned: bool = True,
    canonical_size: float = 224.0,
    canonical_level: int = 4,
    level_rounding: str = "floor",
) -> tf.Tensor:
    """Features of RoIs, each read from the level that fits its size (FPN, equation 1).

    Args:
        atlas: from `build_atlas` on `ROI_LEVELS` or a part of them.
        boxes: [B, R, 4] float32 yxyx input pixels; no gradient flows to them.
        side: S, bins a side.
        sampling_ratio: samples a bin and axis; 0 takes as many as the bin covers feature pixels,
            which has no gradient, is slower, and does not convert to TensorRT.
        aligned: shift by half a feature pixel, so that pixel centres are sampled right; False
            (torchvision's detectors) also makes RoIs at least one feature pixel large.
        canonical_size, canonical_level, level_rounding: see `roi_levels`.

    Returns:
        [B, R, S, S, C] float32.
    """
    boxes = tf.stop_gradient(boxes)
    level = roi_levels(boxes, canonical_size, canonical_level, level_rounding)
    return _align(atlas, boxes, level, side, sampling_ratio, aligned)


def roi_align(
    features: tf.Tensor,
    boxes: tf.Tensor,
    side: int,
    sampling_ratio: int = 2,
    aligned: bool = True,
    stride: float = 1.0,
) -> tf.Tensor:
    """RoIAlign on one feature map.

    Args:
        features: [B, H, W, C], any float type.
        boxes: [B, R, 4] float32 yxyx; `stride` of their units make one feature pixel.

    Returns:
        [B, R, S, S, C] float32; further arguments as in `pyramid_roi_align`.
    """
    atlas = build_atlas({"p0": features}, ["p0"], inference=sampling_ratio == 0)
    boxes = tf.stop_gradient(tf.cast(boxes, tf.float32)) / stride
    return _align(atlas, boxes, tf.zeros_like(boxes[..., 0]), side, sampling_ratio, aligned)


def _align(atlas, boxes, level, side, ratio, aligned):
    """RoIAlign of boxes whose `level` [B, R] float32 is a row of the layout."""
    origin, size, stride = level_places(atlas, level)
    low, high = boxes[..., :2] / stride, boxes[..., 2:] / stride  # [B, R, 2] feature pixels
    if aligned:
        low, extent = low - 0.5, high - low
    else:
        extent = tf.maximum(high - low, 1.0)
    if ratio == 0:
        if not atlas.inference:
            raise InputError("roi.sampling_ratio 0 is for inference; set it to 2 to train.")
        return _align_adaptively(atlas.canvas, low, extent, origin, size, side)
    count = side * ratio
    step = extent / count
    first = low + 0.5 * step + 1.0  # + 1: the padded edge
    last = first + (count - 1) * step
    index = tf.cast(tf.range(count), tf.float32)
    samples = tf.expand_dims(first, -1) + tf.expand_dims(step, -1) * index  # [B, R, 2, n]
    limit = tf.expand_dims(size, -1) + 1.0
    # Beyond one pixel outside the level RoIAlign reads zeros; the canvas holds other levels there.
    inside = tf.where((samples >= 0.0) & (samples <= limit), 1.0, 0.0)

    canvas, batch, rois = atlas.canvas, length(boxes, 0), length(boxes, 1)
    corners = tf.concat([first + origin, last + origin], axis=-1)  # canvas pixels
    corners = tf.reshape(corners, [-1, 4])
    inside = tf.reshape(inside, [-1, 2, count])
    image_index = tf.repeat(tf.range(batch), rois)
    pooled = pool_samples(atlas, corners, inside, image_index, count, ratio)
    return tf.reshape(pooled, [-1, rois, side, side, canvas.shape[3]])


def _align_adaptively(canvas, low, extent, origin, size, side):
    """Bins of ceil(extent / side) samples an axis; the RoIs of one number go together.

    Args:
        low, extent: [B, R, 2] float32 first corner and size of the RoIs, feature pixels.
        origin, size: [B, R, 2] float32 of their levels in the canvas.
    """
    image_index = tf.repeat(tf.range(length(low, 0)), length(low, 1))
    shape = [length(low, 0), length(low, 1), side, side, canvas.shape[3]]
    low, extent, origin, size = (tf.reshape(t, [-1, 2]) for t in (low, extent, origin, size))
    samples = tf.cast(tf.maximum(tf.math.ceil(extent / side), 1.0), tf.int32)  # [B*R, 2]
    codes, group = tf.unique(samples[:, 0] * MAX_SAMPLES + samples[:, 1])
    scale = tf.cast(tf.tile(tf.shape(canvas)[1:3] - 1, [2]), tf.float32)

    def add(i, out):
        rows = tf.where(group == i)[:, 0]
        each = tf.stack([codes[i] // MAX_SAMPLES, codes[i] % MAX_SAMPLES])  # [2]
        count = side * each
        step = tf.gather(extent, rows) / tf.cast(count, tf.float32)  # [g, 2]
        first = tf.gather(low, rows) + 0.5 * step + 1.0  # + 1: the padded edge
        last = first + tf.cast(count - 1, tf.float32) * step
        start, limit = tf.gather(origin, rows), tf.gather(size, rows) + 1.0
        corners = tf.concat([first + start, last + start], axis=-1) / scale
        crops = tf.image.crop_and_resize(canvas, corners, tf.gather(image_index, rows), count)
        for axis in (0, 1):
            index = tf.cast(tf.range(count[axis]), tf.float32)
            at = first[:, axis : axis + 1] + step[:, axis : axis + 1] * index  # [g, n]
            inside = tf.where((at >= 0.0) & (at <= limit[:, axis : axis + 1]), 1.0, 0.0)
            crops *= tf.expand_dims(tf.expand_dims(inside, 2 - axis), -1)
        crops = tf.reshape(crops, [-1, side, each[0], side, each[1], canvas.shape[3]])
        pooled = tf.reduce_mean(crops, axis=[2, 4])
        return i + 1, tf.tensor_scatter_nd_update(out, rows[:, tf.newaxis], pooled)

    out = tf.zeros([tf.shape(low)[0], *shape[2:]])
    _, out = tf.while_loop(lambda i, _: i < tf.size(codes), add, (0, out))
    return tf.reshape(out, shape)


def pool_samples(atlas, corners, inside, image_index, count, ratio):
    """Average of `ratio` x `ratio` bilinear samples: [B*R, count/ratio, count/ratio, C] float32.

    Args:
        corners: [B*R, 4] float32 yxyx canvas pixels of the first and the last sample.
        inside: [B*R, 2, count] float32, 0 where a sample's row (column) is outside its level.
    """
    if atlas.inference:
        return _pooled(atlas.canvas, corners, inside, image_index, count, ratio)
    pool = _differentiable_pool(count, ratio, atlas.canvas.shape[3])
    return pool(atlas.canvas, corners, inside, image_index)


def _pooled(canvas, corners, inside, image_index, count, ratio):
    crops = tf.image.crop_and_resize(
        canvas, corners / _last_pixels(canvas), image_index, [count, count]
    )
    crops *= tf.expand_dims(_sample_weights(inside), -1)
    return tf.nn.avg_pool2d(crops, ratio, ratio, "VALID") if ratio > 1 else crops


def _last_pixels(canvas):
    height, width = length(canvas, 1), length(canvas, 2)
    return tf.cast(tf.stack([height - 1, width - 1] * 2), tf.float32)


def _sample_weights(inside):
    return tf.expand_dims(inside[:, 0], 2) * tf.expand_dims(inside[:, 1], 1)  # [B*R, n, n]


@kept_until_exit
def _differentiable_pool(count, ratio, channels):
    """`_pooled` with its right gradient, as one function that all models share.

    TensorFlow never lets go of a custom gradient, nor of the graph that it was traced in; here that
    is this small graph and not a model's whole training step.
    """

    def pool(canvas, corners, inside, image_index):
        @tf.custom_gradient
        def of_canvas(canvas):
            def gradient(upstream):
                return _gradient(upstream, canvas, corners, inside, image_index, count, ratio)

            return _pooled(canvas, corners, inside, image_index, count, ratio), gradient

        return of_canvas(canvas)

    specs = [
        tf.TensorSpec([None, None, None, channels]),
        tf.TensorSpec([None, 4]),
        tf.TensorSpec([None, 2, count]),
        tf.TensorSpec([None], tf.int32),
    ]
    return as_graph(pool, input_signature=specs)


def _gradient(upstream, canvas, corners, inside, image_index, count, ratio):
    """Of `_pooled` with respect to the canvas, [B, Ha, Wa, C]."""
    if tf.config.list_logical_devices("GPU"):
        upstream = tf.repeat(tf.repeat(upstream / ratio**2, ratio, axis=1), ratio, axis=2)
        return tf.raw_ops.CropAndResizeGradImage(
            grads=upstream * tf.expand_dims(_sample_weights(inside), -1),
            boxes=corners / _last_pixels(canvas),
            box_ind=image_index,
            image_size=tf.shape(canvas),
            T=tf.float32,
        )
    matrix = _sampling_matrix(corners, inside, image_index, count, ratio, tf.shape(canvas))
    rows = tf.reshape(upstream, [-1, canvas.shape[3]])  # [B*R*S*S, C]
    return tf.reshape(tf.sparse.sparse_dense_matmul(matrix, rows), tf.shape(canvas))


def _sampling_matrix(corners, inside, image_index, count, ratio, shape) -> tf.SparseTensor:
    """The transposed RoIAlign as a sparse [B*Ha*Wa, B*R*S*S] matrix of interpolation weights.

    On a CPU the gradient kernel of `crop_and_resize` adds from several threads without locks and
    loses updates (relative errors up to 0.22 measured; tensorflow#42033). The product with this
    matrix takes about the same time and always gives the same, right sum.
    """
    index = tf.cast(tf.range(count), tf.float32)
    first, last = corners[:, :2, tf.newaxis], corners[:, 2:, tf.newaxis]
    at = first + (last - first) * (index / max(count - 1, 1))  # [B*R, 2, n] canvas pixels
    sizes = tf.cast(shape[1:3], tf.float32)[:, tf.newaxis]
    low = tf.clip_by_value(tf.floor(at), 0.0, sizes - 2.0)
    upper = tf.clip_by_value(at - low, 0.0, 1.0)
    weights = tf.stack([(1.0 - upper) * inside, upper * inside], axis=-1) / ratio  # [B*R, 2, n, 2]
    low = tf.cast(low, tf.int64)
    pixel = tf.stack([low, low + 1], axis=-1)  # [B*R, 2, n, 2]
    shape = tf.cast(shape, tf.int64)
    start = tf.cast(image_index, tf.int64)[:, tf.newaxis, tf.newaxis] * shape[1]
    row = (start + pixel[:, 0]) * shape[2]  # [B*R, n, 2]
    target = row[:, :, :, tf.newaxis, tf.newaxis] + pixel[:, 1][:, tf.newaxis, tf.newaxis]
    weight = weights[:, 0][:, :, :, tf.newaxis, tf.newaxis] * weights[:, 1][:, None, None]
    bins = count // ratio
    rois = tf.shape(corners, tf.int64)[0]
    of_sample = tf.range(count, dtype=tf.int64) // ratio
    source = of_sample[:, tf.newaxis] * bins + of_sample  # [n, n]
    source = tf.range(rois)[:, None, None] * bins**2 + source  # [B*R, n, n]
    source = tf.broadcast_to(source[:, :, tf.newaxis, :, tf.newaxis], tf.shape(target))
    indices = tf.stack([tf.reshape(target, [-1]), tf.reshape(source, [-1])], axis=1)
    size = tf.stack([shape[0] * shape[1] * shape[2], rois * bins**2])
    return tf.SparseTensor(indices, tf.reshape(weight, [-1]), size)
