"""Which images of each global batch a process reads, and how its replicas divide them."""

from typing import Callable, Dict, NamedTuple, Tuple

import numpy as np
import tensorflow as tf

from tfmaskrcnn.config.run import Config
from tfmaskrcnn.data.augment.geometry import random_geometry
from tfmaskrcnn.data.augment.seeds import own_seed, sample_seeds
from tfmaskrcnn.data.coco.records import CocoData
from tfmaskrcnn.ops import images


class Share(NamedTuple):
    """One process's rows of every global batch, consecutive, cut for each of its replicas."""

    batch_size: int  # of the global batch
    edges: Tuple[int, ...]  # the first row of each replica of the process, and the end of the last

    @property
    def rows(self) -> int:
        """Images of a batch that the process reads."""
        return self.edges[-1] - self.edges[0]

    @property
    def replicas(self) -> int:
        """Parts that the rows are cut into."""
        return len(self.edges) - 1

    def holds(self, position: tf.Tensor) -> tf.Tensor:
        """Whether the image at this place of an epoch, scalar int64, is one of the rows."""
        row = position % self.batch_size
        return (row >= self.edges[0]) & (row < self.edges[-1])


def share_of(batch_size: int, replicas: int, first: int, count: int) -> Share:
    """The share of replicas `first` to `first + count - 1` of all `replicas`.

    Parts differ by one image at most where the batch cannot be divided evenly.
    """
    edges = (batch_size * replica // replicas for replica in range(first, first + count + 1))
    return Share(batch_size, tuple(edges))


def padded_alike(
    batches: tf.data.Dataset, positions: tf.data.Dataset, size: Callable, batch_size: int
) -> tf.data.Dataset:
    """`batches` of a process with the padding that the images of the whole global batch need.

    What a network finds, and which anchors are drawn, depend on the padding, so all processes
    must have the same.

    Args:
        batches: dictionaries with "image" [n, h, w, C], padded with zeros.
        positions: (epoch, position, index) of all images of the same global batches.
        size: from these three to (height, width) of the image alone, padded.
        batch_size: of the global batch.
    """
    sizes = positions.map(size, tf.data.AUTOTUNE, deterministic=True)
    sizes = sizes.batch(batch_size, drop_remainder=True)  # [B], [B] int32

    def pad(batch: Dict[str, tf.Tensor], sizes):
        image = batch["image"]
        missing = tf.stack([tf.reduce_max(side) for side in sizes]) - tf.shape(image)[1:3]
        padding = tf.pad(missing[:, tf.newaxis], [[1, 1], [1, 0]])
        channels = image.shape[-1]
        image = tf.ensure_shape(tf.pad(image, padding), [image.shape[0], None, None, channels])
        return {**batch, "image": image}

    return tf.data.Dataset.zip((batches, sizes)).map(pad)


def size_function(data: CocoData, config: Config) -> Callable:
    """(epoch, position, index) -> padded (height, width) of a training image that is not read."""
    input, augment = config.model.input, config.data.augment

    def about(index):
        record = data.records[index]
        return np.array([record.height, record.width], np.int32), record.boxes[~record.crowd]

    def size(epoch, position, index):
        sides, objects = tf.numpy_function(about, [index], [tf.int32, tf.float32], stateful=False)
        height, width = tf.unstack(tf.ensure_shape(sides, [2]))
        seed = sample_seeds(own_seed(config.train.seed, epoch, position))[0]
        objects = tf.ensure_shape(objects, [None, 4])
        geometry = random_geometry(seed, height, width, objects, input, augment)
        return images.padded_size(*tf.unstack(geometry.size), input.pad_multiple)

    return size


def cut(batches: tf.data.Dataset, share: Share) -> tf.data.Dataset:
    """One batch for each replica out of each batch of the process's rows, in order."""
    if share.replicas == 1:
        return batches
    edges = tf.constant(share.edges, tf.int64) - share.edges[0]

    def parts(batch: Dict[str, tf.Tensor]) -> tf.data.Dataset:
        def part(replica):
            return {name: rows[edges[replica] : edges[replica + 1]] for name, rows in batch.items()}

        return tf.data.Dataset.range(share.replicas).map(part)

    return batches.flat_map(parts)
