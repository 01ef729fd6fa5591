"""Keypoints as one-hot heat maps (Mask R-CNN, section 5): targets, and the way back.

Keypoints are (y, x) float32 continuous pixels of the padded input, as boxes are.
"""

from typing import NamedTuple, Tuple

import tensorflow as tf

from tfmaskrcnn.ops.tensors import side

# The parameter of PyTorch's bicubic kernel; TensorFlow's tf.image.resize has -0.5.
CUBIC = -0.75
# Cells of a heat map that are searched for its maximum, best bound first.
CELLS = 16
# Where a cell holds no more samples along an axis, all of them are computed at once.
FEW = 2
_NOWHERE = -1e30  # below any value, and finite: TensorRT has no infinities in half precision


class KeypointTarget(NamedTuple):
    """Where in the RoI's heat map each keypoint lies."""

    position: tf.Tensor  # [B, R, J] int32, row * M + column; 0 where not visible
    visible: tf.Tensor  # [B, R, J] bool: annotated as visible and inside the RoI


class _Axis(NamedTuple):
    """Samples of an enlarged heat map along one axis, by cell.

    Cell c holds the samples between the centres of pixels c - 1 and c, so there are M + 1 cells.
    """

    count: tf.Tensor  # [n, 1] float32, samples along the axis: the box's side, rounded up
    first: tf.Tensor  # [n, M + 2] float32, index of each cell's first sample, and the end


def keypoint_targets(
    rois: tf.Tensor, keypoints: tf.Tensor, gt_index: tf.Tensor, side_of_map: int
) -> KeypointTarget:
    """What the keypoint head should say for each RoI.

    Args:
        rois: [B, R, 4] float32 yxyx pixels.
        keypoints: [B, G, J, 3] float32 (y, x, visibility), pixels; visible above 0.
        gt_index: [B, R] int32, the object of each RoI.
        side_of_map: M.
    """
    own = tf.gather(keypoints, gt_index, batch_dims=1)  # [B, R, J, 3]
    corner, end = rois[:, :, tf.newaxis, :2], rois[:, :, tf.newaxis, 2:]  # [B, R, 1, 2]
    scale = tf.math.divide_no_nan(float(side_of_map), end - corner)
    place = tf.floor((own[..., :2] - corner) * scale)  # [B, R, J, 2]
    # A point on the far border belongs to the last cell, as one on the near border to the first.
    place = tf.where(own[..., :2] == end, float(side_of_map - 1), place)
    inside = tf.reduce_all((place >= 0) & (place < side_of_map) & (end > corner), axis=-1)
    visible = inside & (own[..., 2] > 0)
    place = tf.cast(tf.where(visible[..., tf.newaxis], place, 0.0), tf.int32)
    return KeypointTarget(place[..., 0] * side_of_map + place[..., 1], visible)


def decode_heatmaps(
    logits: tf.Tensor, boxes: tf.Tensor, image_sides: Tuple, score: str = "probability"
) -> tf.Tensor:
    """The best pixel of each heat map enlarged to the size of its box, as in Detectron.

    The reference resizes each map bicubically to the box's size in whole pixels, rounded up, and
    takes the maximum. To keep shapes static, and to be spared millions of values, only the samples
    of the `CELLS` most promising cells are computed here. A cell's promise is an upper bound of
    its cubic patch, the largest of its Bezier control points; it is exact for small boxes, where a
    cell holds few samples. In 480 maps of peaks and white noise, the hardest case, no maximum was
    missed; two were with half as many cells (`tests/ops/test_heatmaps.py`).

    Args:
        logits: [B, D, J, M, M] float32.
        boxes: [B, D, 4] float32 yxyx pixels.
        image_sides: (H, W), which no side of a box exceeds; integers or scalar int32 tensors.
        score: "probability" of the pixel under a softmax over the M x M map, which may exceed 1
            between its pixels (Detectron2); "logit", its value (torchvision).

    Returns:
        [B, D, J, 3] float32 (y, x, score), pixels.
    """
    batch, detections = side(logits, 0), side(logits, 1)
    joints, size = logits.shape[2], logits.shape[3]
    maps = tf.reshape(logits, [-1, size, size])  # [n, M, M], n = B * D * J
    corners = tf.repeat(tf.reshape(boxes, [-1, 4]), joints, axis=0)  # [n, 4]
    sides = tf.maximum(corners[:, 2:] - corners[:, :2], 1.0)  # [n, 2]
    samples = tf.math.ceil(sides)
    axes = [_axis(samples[:, i : i + 1], size) for i in range(2)]
    best, place = _maximum(maps, axes, [1 - -limit // size for limit in image_sides])
    point = (place + 0.5) * (sides / samples) + corners[:, :2]  # [n, 2]
    if score == "probability":
        best = 1.0 / tf.reduce_sum(tf.exp(maps - best[:, tf.newaxis, tf.newaxis]), axis=[1, 2])
    return tf.reshape(
        tf.concat([point, best[:, tf.newaxis]], axis=1), [batch, detections, joints, 3]
    )


def _axis(count: tf.Tensor, size: int) -> _Axis:
    """The samples of `count` [n, 1] along an axis of `size` pixels."""
    edges = tf.constant([c - 0.5 for c in range(size + 2)], tf.float32)  # cell 0 starts at pixel -1
    first = tf.math.ceil(edges * (count / size) - 0.5)
    return _Axis(count, tf.minimum(tf.maximum(first, 0.0), count))


def _maximum(maps: tf.Tensor, axes, most) -> Tuple[tf.Tensor, tf.Tensor]:
    """The largest sample [n] of each enlarged map [n, M, M] and its (row, column) [n, 2].

    `most` are the samples that a cell may have along each axis.
    """
    size = maps.shape[1]
    padded = _edge_padded(maps, 2)  # [n, M + 4, M + 4]
    filled = [tf.where(axis.first[:, 1:] > axis.first[:, :-1], 0.0, _NOWHERE) for axis in axes]
    bound = (
        _cell_bounds(padded, axes, size) + filled[0][:, :, tf.newaxis] + filled[1][:, tf.newaxis]
    )
    cell = tf.math.top_k(tf.reshape(bound, [-1, (size + 1) ** 2]), CELLS).indices  # [n, k]
    row = cell // (size + 1)
    places = (row, cell - row * (size + 1))
    # The 4 x 4 pixels around each cell, and the weights of its samples.
    corner = places[0] * (size + 4) + places[1]
    around = tf.constant([i * (size + 4) + j for i in range(4) for j in range(4)])
    flat = tf.reshape(padded, [-1, (size + 4) ** 2])
    patch = tf.gather(flat, corner[..., tf.newaxis] + around, batch_dims=1)  # [n, k, 16]
    patch = tf.reshape(patch, [-1, CELLS, 4, 4])
    (rows, row_weights, below), (columns, column_weights, right) = (
        _samples(axis, place, number, size) for axis, place, number in zip(axes, places, most)
    )  # [n, k, s], [n, k, s, 4], [n, k, s]
    values = tf.matmul(tf.matmul(row_weights, patch), column_weights, transpose_b=True)
    values += below[..., tf.newaxis] + right[..., tf.newaxis, :]  # [n, k, s, t]
    values = tf.reshape(values, [-1, CELLS * most[0] * most[1]])
    index = tf.argmax(values, axis=1, output_type=tf.int32)  # [n]
    of_row = index // most[1]  # among the k * s rows
    of_column = of_row // most[0] * most[1] + index - of_row * most[1]
    found = [
        tf.gather(tf.reshape(samples, [-1, CELLS * number]), i, batch_dims=1)
        for samples, number, i in ((rows, most[0], of_row), (columns, most[1], of_column))
    ]
    return tf.reduce_max(values, axis=1), tf.stack(found, axis=1)


def _samples(axis: _Axis, cell: tf.Tensor, number, size: int):
    """Indices, weights and validity of up to `number` samples in each of the cells [n, k].

    Returns:
        [n, k, s] float32 indices; [n, k, s, 4] weights of the pixels cell - 2 to cell + 1;
        [n, k, s] 0 for a sample of the cell, very negative for none.
    """
    start = tf.gather(axis.first, cell, batch_dims=1)[..., tf.newaxis]  # [n, k, 1]
    end = tf.gather(axis.first, cell + 1, batch_dims=1)[..., tf.newaxis]
    index = start + tf.cast(tf.range(number), tf.float32)
    left = tf.cast(cell, tf.float32)[..., tf.newaxis] - 1.0  # the pixel before the cell
    where = (size / axis.count)[..., tf.newaxis] * (index + 0.5) - 0.5
    weights = _cubic_weights(where - left)
    return index, weights, tf.where(index < end, 0.0, _NOWHERE)


def _cubic_weights(t: tf.Tensor) -> tf.Tensor:
    """Weights [..., 4] of the pixels at -1, 0, 1, 2 for the point `t` in [0, 1]."""

    def near(x):  # |x| <= 1
        return ((CUBIC + 2.0) * x - (CUBIC + 3.0)) * x * x + 1.0

    def far(x):  # 1 <= |x| <= 2
        return ((CUBIC * x - 5.0 * CUBIC) * x + 8.0 * CUBIC) * x - 4.0 * CUBIC

    return tf.stack([far(t + 1.0), near(t), near(1.0 - t), far(2.0 - t)], axis=-1)


def _cell_bounds(padded: tf.Tensor, axes, size: int) -> tf.Tensor:
    """Upper bounds [n, M + 1, M + 1] of the samples in each cell of maps padded by two pixels.

    It is the largest sample itself where there are few.
    """
    bound = None
    for by_row in _control_points(padded, 1, axes[0], size):
        for points in _control_points(by_row, 2, axes[1], size):
            bound = points if bound is None else tf.maximum(bound, points)
    return bound


def _control_points(values: tf.Tensor, dim: int, axis: _Axis, size: int):
    """Four values that bound the samples of each cell along dimension `dim`, now M + 1 long.

    Between two pixels the cubic has the slopes -a (right - left neighbour), so its Bezier points
    lie a third of these after the one and before the other. Where no cell has more than `FEW`
    samples, these themselves take their place.
    """
    pixels = [tf.split(values, [i, size + 1, 3 - i], dim)[1] for i in range(4)]
    before, low, high, after = pixels
    third = -CUBIC / 3.0
    bezier = (low, low + third * (high - before), high - third * (after - low), high)
    cells = tf.constant([list(range(size + 1))])
    cells = tf.broadcast_to(cells, tf.shape(axis.first[:, 1:]))
    _, weights, absent = _samples(axis, cells, FEW, size)  # [n, M + 1, FEW, 4], [n, M + 1, FEW]
    weights = tf.where(absent[..., tf.newaxis] < 0, weights[:, :, :1], weights)
    weights = tf.expand_dims(weights, 3 - dim)  # the dimension that `values` has besides
    few = tf.expand_dims(axis.count, 2) <= FEW * size  # [n, 1, 1]
    points = []
    for i, point in enumerate(bezier):
        sample = tf.add_n([pixels[j] * weights[..., i % FEW, j] for j in range(4)])
        points.append(tf.where(few, sample, point))
    return points


def _edge_padded(maps: tf.Tensor, width: int) -> tf.Tensor:
    """[n, M, M] with its border repeated `width` times on every side."""
    for axis in (1, 2):
        first, _, last = tf.split(maps, [1, maps.shape[axis] - 2, 1], axis)
        maps = tf.concat([first] * width + [maps] + [last] * width, axis)
    return maps
