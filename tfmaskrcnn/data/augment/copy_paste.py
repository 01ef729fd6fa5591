"""Simple copy-paste (Ghiasi et al. 2021): objects of another image are pasted into an image."""

from typing import Callable, Dict, NamedTuple, Tuple

import numpy as np
import tensorflow as tf

from tfmaskrcnn.config.run import Config
from tfmaskrcnn.data.augment.moved_objects import padded_instances
from tfmaskrcnn.data.augment.moving import Moved, MovingReader, call
from tfmaskrcnn.data.coco.records import CocoData, Record
from tfmaskrcnn.data.coco.segmentation import box_mask


class Layer(NamedTuple):
    """A record and where its image went."""

    record: Record
    matrix: np.ndarray  # [2, 3], original -> output


def pasted_instances(
    base: Layer,
    other: Layer,
    window: Tuple[int, int],
    order: np.ndarray,
    rng: np.random.Generator,
    max_instances: int,
    min_visible: float,
) -> Tuple[np.ndarray, Dict[str, np.ndarray]]:
    """Paste a random choice of the objects of `other` over `base`.

    What lies below loses its hidden part: its mask, its box, and all of it where less than
    `min_visible` is left. Crowd regions are not pasted.

    Args:
        base, other: the two images in the output.
        window: (height, width) of the output.
        order: [n] a permutation of the objects of `base`, see `padded_instances`.
        rng: chooses from one object to all.
        max_instances: G, of both together.
        min_visible: see `padded_instances`.

    Returns:
        [h, w] bool, the pixels that are to be taken from `other`; and the objects as of
        `padded_instances`, without "index".
    """
    limits = max_instances, min_visible
    candidates = np.flatnonzero(~other.record.crowd)
    count = rng.integers(1, len(candidates) + 1) if len(candidates) else 0
    chosen = rng.permutation(candidates)[:count]
    top = padded_instances(*other, window, chosen, *limits)
    hidden = np.zeros(window, bool)
    for i, box in zip(top["index"][top["valid"]], top["boxes"][top["valid"]]):
        _paint(hidden, other, i, box)
    below = padded_instances(*base, window, order, *limits, hidden=hidden)
    return hidden, _joined(below, top, rng)


def _paint(canvas: np.ndarray, layer: Layer, i: int, box: np.ndarray) -> None:
    """Set the pixels of object `i`, which lies in `box` [4], in `canvas` [h, w] bool."""
    record = layer.record
    low, high = np.floor(box[:2]).astype(int), np.ceil(box[2:]).astype(int)
    area, grid = np.concatenate([low, high]), tuple((high - low).tolist())
    mask = box_mask(record.segmentations[i], record.height, record.width, layer.matrix, area, grid)
    canvas[low[0] : high[0], low[1] : high[1]] |= mask > 0


def _joined(
    below: Dict[str, np.ndarray], top: Dict[str, np.ndarray], rng: np.random.Generator
) -> Dict[str, np.ndarray]:
    """The valid rows of both, a random choice if they are more than the rows of either."""
    most = len(below["valid"])
    valid = np.concatenate([below["valid"], top["valid"]])
    rows = np.flatnonzero(valid)
    rows = np.sort(rng.permutation(rows)[:most])
    out = {}
    for name in set(below) - {"index"}:
        both = np.concatenate([below[name], top[name]])
        out[name] = np.zeros_like(below[name])
        out[name][: len(rows)] = both[rows]
    return out


class Paster:
    """Pastes into images of a graph, with the probability that the configuration says."""

    def __init__(
        self, data: CocoData, config: Config, reader: MovingReader, dtypes: Dict[str, tf.DType]
    ):
        """`dtypes` are those of the ground truth, by its names."""
        self._config, self._reader, self._dtypes = config, reader, dtypes
        donors = [i for i, record in enumerate(data.records) if not record.crowd.all()]
        self._donors = np.array(donors, np.int64)  # an image without objects has nothing to give

    def __call__(
        self, moved: Moved, order, seed, plain: Callable
    ) -> Tuple[tf.Tensor, Tuple[tf.Tensor, ...]]:
        """The image [h, w, C] and its ground truth in the order of `dtypes`.

        Args:
            moved: the image that is pasted into.
            order: [n] int32, see `padded_instances`.
            seed: [2] int32.
            plain: gives the ground truth of `moved` where nothing is pasted.
        """
        seeds = tf.unstack(tf.random.split(seed, 2), num=2)
        pastes = tf.random.stateless_uniform([], seeds[0]) < self._config.data.augment.copy_paste
        return tf.cond(
            pastes,
            lambda: self._pasted(moved, order, seeds[1]),
            lambda: (moved.image, tuple(plain())),
        )

    def _pasted(self, moved: Moved, order, seed):
        seeds = tf.unstack(tf.random.split(seed, 4), num=4)
        choice = tf.random.stateless_uniform([], seeds[0], maxval=len(self._donors), dtype=tf.int32)
        other = self._reader.moved(tf.gather(self._donors, choice), seeds[1])
        size = moved.geometry.size
        shift = _random_shift(seeds[2], size, other.geometry.size)
        matrix = other.geometry.matrix
        matrix += tf.pad(tf.cast(shift, tf.float32)[:, tf.newaxis], [[0, 0], [2, 0]])
        inputs = [seeds[3], size, order, moved.geometry.matrix, matrix]
        dtypes = {"hidden": tf.bool, **self._dtypes}
        hidden, *found = call(self._truth, [*inputs, *moved.objects, *other.objects], dtypes)
        hidden = tf.ensure_shape(hidden, [None, None])[..., tf.newaxis]
        image = tf.where(hidden, _placed(other.image, shift, size), moved.image)
        return tf.ensure_shape(image, moved.image.shape), tuple(found)

    def _truth(self, seed, size, order, matrix, other_matrix, *objects):
        half = len(objects) // 2
        base, other = self._reader.record(*objects[:half]), self._reader.record(*objects[half:])
        hidden, found = pasted_instances(
            Layer(base, matrix),
            Layer(other, other_matrix),
            (int(size[0]), int(size[1])),
            order,
            np.random.default_rng(seed.astype(np.uint32)),
            self._config.data.max_instances,
            self._config.data.augment.min_visible,
        )
        return (hidden, *(found[name] for name in self._dtypes))


def _random_shift(seed, size, other_size) -> tf.Tensor:
    """[2] int32: where in an image of `size` another one lies, inside it or covering it."""
    room = size - other_size
    low = tf.minimum(room, 0)
    share = tf.random.stateless_uniform([2], seed)
    return low + tf.cast(share * tf.cast(tf.abs(room) + 1, tf.float32), tf.int32)


def _placed(image, shift, size) -> tf.Tensor:
    """[*size, C]: `image` with its first pixel at `shift` [2], cut, zeros beside it."""
    start, before = tf.maximum(-shift, 0), tf.maximum(shift, 0)
    end = tf.minimum(start + size - before, tf.shape(image)[:2])
    part = image[start[0] : end[0], start[1] : end[1]]
    after = size - before - tf.shape(part)[:2]
    paddings = tf.concat([tf.stack([before, after], axis=1), [[0, 0]]], axis=0)
    return tf.pad(part, paddings)
