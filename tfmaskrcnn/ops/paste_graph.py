"""`ops.paste` in a graph: bitmaps and COCO RLE of masks as TensorFlow ops, for exported models.

The arithmetic is that of `paste`, step by step, so that both give the same pixels.
"""

from typing import Tuple

import tensorflow as tf

THRESHOLD = 0.5
# Masks that are pasted at the same time: each takes some 6 bytes a pixel of its window.
_PARALLEL = 2
_RLE_DIGITS = 7  # of 5 bits: enough for images of 2**34 pixels


def masks_to_rle(masks, boxes, valid, sizes, rule: str = "aligned") -> tf.Tensor:
    """`counts` of COCO's compressed RLE, as `paste.paste_to_rle` gives them.

    Args:
        masks: [B, D, M, M] float32 probabilities inside the boxes.
        boxes: [B, D, 4] float32 yxyx pixels of the image.
        valid: [B, D] bool.
        sizes: [B, 2] int32, (height, width) of the images.
        rule: of `paste.PASTE_RULES`.

    Returns:
        [B, D] string; empty where not `valid`.
    """

    def of_one(index):
        size = sizes[index[0]]
        first, bitmap = paste_window(
            masks[index[0], index[1]], boxes[index[0], index[1]], size, rule
        )
        return window_rle(first, bitmap, size)

    with tf.device("CPU:0"):  # the products of a GPU are TF32, too coarse at the threshold
        rows = tf.where(valid)  # [n, 2]
        spec = tf.TensorSpec([], tf.string)
        found = tf.map_fn(of_one, rows, fn_output_signature=spec, parallel_iterations=_PARALLEL)
        flat = tf.reshape(valid, [-1])
        place = tf.where(flat, tf.cumsum(tf.cast(flat, tf.int32)), 0)
        every = tf.reshape(tf.gather(tf.concat([[""], found], 0), place), tf.shape(valid))
        return tf.ensure_shape(every, valid.shape)


def masks_to_bitmaps(masks, boxes, valid, sizes, rule: str = "aligned") -> tf.Tensor:
    """Masks in the images' own pixels, as `paste.paste_masks` gives them.

    Args: as of `masks_to_rle`.

    Returns:
        [B, D, H, W] uint8 in {0, 1} with the largest height and width of `sizes`, zeros outside
        the smaller images and where not `valid`.
    """
    canvas = tf.reduce_max(sizes, axis=0)  # [2]

    def of_one(index):
        def pasted():
            first, bitmap = paste_window(
                masks[index[0], index[1]], boxes[index[0], index[1]], sizes[index[0]], rule
            )
            last = canvas - first - tf.shape(bitmap)
            return tf.pad(tf.cast(bitmap, tf.uint8), tf.stack([first, last], axis=1))

        shown = valid[index[0], index[1]]
        return tf.cond(shown, pasted, lambda: tf.zeros(canvas, tf.uint8))

    with tf.device("CPU:0"):
        batch, count = tf.shape(valid)[0], tf.shape(valid)[1]
        rows = tf.where(tf.ones_like(valid))  # [B * D, 2]
        spec = tf.TensorSpec([None, None], tf.uint8)
        found = tf.map_fn(of_one, rows, fn_output_signature=spec, parallel_iterations=_PARALLEL)
        found = tf.reshape(found, [batch, count, canvas[0], canvas[1]])
        return tf.ensure_shape(found, [*valid.shape, None, None])


def paste_window(mask, box, size, rule: str = "aligned") -> Tuple[tf.Tensor, tf.Tensor]:
    """The part of an image that a mask may cover, as `paste.paste_windows` gives it.

    Args:
        mask: [M, M] float32.
        box: [4] float32 yxyx pixels.
        size: [2] int32, (height, width) of the image.
        rule: of `paste.PASTE_RULES`.

    Returns:
        first: [2] int32, row and column of the image where the bitmap starts.
        bitmap: [h, w] bool, h or w 0 when nothing of the mask is in the image.
    """
    side = mask.shape[-1]
    box = tf.round(box) if rule == "matterport" else box
    starts, stops = _torchvision_box(box, side) if rule == "torchvision" else _edges(box)
    lengths = stops - starts  # [2] float64
    whole = tf.reduce_all(tf.math.is_finite(lengths) & (lengths > 0))
    reach = 0.0 if rule == "matterport" else lengths / (2 * side)
    limit = tf.cast(size, tf.float64)
    first = tf.clip_by_value(tf.math.ceil(starts - reach - 0.5), 0.0, limit)
    last = tf.clip_by_value(tf.floor(stops + reach + 0.5), 0.0, limit)
    first, last = (tf.cast(tf.where(whole, edge, 0.0), tf.int32) for edge in (first, last))
    last = tf.maximum(first, last)
    rows = _tent_weights(first[0], last[0], starts[0], lengths[0], side)  # [h, M]
    columns = _tent_weights(first[1], last[1], starts[1], lengths[1], side)  # [w, M]
    values = tf.matmul(rows @ mask, columns, transpose_b=True)
    if rule == "matterport":
        values = tf.clip_by_value(values, tf.reduce_min(mask), tf.reduce_max(mask))
    return first, values >= THRESHOLD


def window_rle(first, bitmap, size) -> tf.Tensor:
    """`counts` of COCO's compressed RLE of a mask; scalar string.

    Args:
        first: [2] int32, row and column of the image where the bitmap starts.
        bitmap: [h, w] bool.
        size: [2] int32, (height, width) of the image.
    """
    height, total = tf.cast(size[0], tf.int64), tf.reduce_prod(tf.cast(size, tf.int64))
    top, left = tf.cast(first[0], tf.int64), tf.cast(first[1], tf.int64)
    # The row below the last one stays off: each column's last run ends.
    columns = tf.pad(tf.transpose(bitmap), [[0, 0], [0, 1]])  # [w, h + 1]
    rows = tf.shape(columns, tf.int64)[1]
    flat = tf.pad(tf.reshape(columns, [-1]), [[1, 0]])
    edges = tf.where(flat[1:] != flat[:-1])[:, 0]  # start, stop, start, stop ...
    edges = (edges // rows + left) * height + edges % rows + top
    starts, stops = edges[0::2], edges[1::2]
    # A run that reaches the image's last row goes on in the first row of the next column.
    apart = starts[1:] != stops[:-1]
    end = tf.ones([tf.minimum(tf.size(starts), 1)], tf.bool)
    starts = tf.boolean_mask(starts, tf.concat([end, apart], 0))
    stops = tf.boolean_mask(stops, tf.concat([apart, end], 0))
    edges = tf.reshape(tf.stack([starts, stops], axis=1), [-1])
    bounds = tf.concat([[tf.constant(0, tf.int64)], edges, [total]], 0)
    counts = bounds[1:] - bounds[:-1]
    trailing = tf.equal(counts[-1], 0) & (tf.size(counts) > 1)
    return _compressed(tf.cond(trailing, lambda: counts[:-1], lambda: counts))


def _compressed(counts: tf.Tensor) -> tf.Tensor:
    """[n] int64 run lengths as COCO writes them: digits of 5 bits, from the third run on signed
    differences to the run before the last."""
    before = tf.concat([tf.zeros([3], tf.int64), counts[1:-2]], 0)[: tf.size(counts)]
    rest, emitted = counts - before, tf.ones_like(counts, tf.bool)
    digits, shown = [], []
    for _ in range(_RLE_DIGITS):
        digit = tf.bitwise.bitwise_and(rest, 31)
        rest = tf.bitwise.right_shift(rest, tf.constant(5, tf.int64))
        sign = tf.where(digit >= 16, tf.constant(-1, tf.int64), 0)
        more = rest != sign
        digits.append(tf.cast(digit, tf.int32) + tf.where(more, 32, 0) + 48)
        shown.append(emitted)
        emitted &= more
    codes = tf.boolean_mask(tf.stack(digits, axis=1), tf.stack(shown, axis=1))
    return tf.strings.unicode_encode(codes, "UTF-8")


def _edges(box: tf.Tensor) -> Tuple[tf.Tensor, tf.Tensor]:
    return tf.cast(box[:2], tf.float64), tf.cast(box[2:], tf.float64)


def _torchvision_box(box: tf.Tensor, side: int) -> Tuple[tf.Tensor, tf.Tensor]:
    """See `paste`: float32 in torchvision's order of operations, as a truncation follows."""
    scale = tf.constant((side + 2) / side, tf.float32)
    half = (box[2:] - box[:2]) * 0.5 * scale
    center = (box[2:] + box[:2]) * 0.5
    low, high = (tf.cast(edge, tf.float64) for edge in (center - half, center + half))
    low, high = (tf.sign(edge) * tf.floor(tf.abs(edge)) for edge in (low, high))
    length = tf.maximum(high - low + 1.0, 1.0)
    start = low + length / (side + 2)
    return start, start + length * side / (side + 2)


def _tent_weights(first, last, start, length, side: int) -> tf.Tensor:
    """[last - first, M] float32: weights of the mask's cells at the pixel centres of one axis."""
    pixels = tf.cast(tf.range(first, last), tf.float64)
    cells = (pixels + (0.5 - start)) * (side / length) - 0.5
    distance = tf.abs(cells[:, tf.newaxis] - tf.range(side, dtype=tf.float64))
    return tf.cast(tf.maximum(1.0 - distance, 0.0), tf.float32)
