"""Data sets: COCO records, augmentation, batches, and a synthetic set.

Names are loaded on first use: reading a COCO file needs no TensorFlow.
"""

from typing import TYPE_CHECKING

from tfmaskrcnn.support.lazy import on_use as _on_use

if TYPE_CHECKING:
    from tfmaskrcnn.data import importers
    from tfmaskrcnn.data.augment.user_function import albumentations_transform
    from tfmaskrcnn.data.batches.arrays import from_arrays
    from tfmaskrcnn.data.batches.examples import from_generator
    from tfmaskrcnn.data.batches.pipeline import from_coco, from_records
    from tfmaskrcnn.data.checking import check, write_page, write_repaired
    from tfmaskrcnn.data.coco.image_files import read_image
    from tfmaskrcnn.data.coco.records import load_coco
    from tfmaskrcnn.data.labels import with_classes_of
    from tfmaskrcnn.data.shapes import make_shapes, write_shapes
    from tfmaskrcnn.data.splitting import split
    from tfmaskrcnn.data.tfrecord.reading import load_tfrecord
    from tfmaskrcnn.data.tfrecord.writing import write_tfrecord

_PUBLIC = {
    "albumentations_transform": "augment.user_function:albumentations_transform",
    "check": "checking:check",
    "from_arrays": "batches.arrays:from_arrays",
    "from_coco": "batches.pipeline:from_coco",
    "from_generator": "batches.examples:from_generator",
    "from_records": "batches.pipeline:from_records",
    "importers": "importers",
    "load_coco": "coco.records:load_coco",
    "load_tfrecord": "tfrecord.reading:load_tfrecord",
    "make_shapes": "shapes:make_shapes",
    "read_image": "coco.image_files:read_image",
    "split": "splitting:split",
    "with_classes_of": "labels:with_classes_of",
    "write_page": "checking:write_page",
    "write_repaired": "checking:write_repaired",
    "write_shapes": "shapes:write_shapes",
    "write_tfrecord": "tfrecord.writing:write_tfrecord",
}

__all__ = [
    "albumentations_transform",
    "check",
    "from_arrays",
    "from_coco",
    "from_generator",
    "from_records",
    "importers",
    "load_coco",
    "load_tfrecord",
    "make_shapes",
    "read_image",
    "split",
    "with_classes_of",
    "write_page",
    "write_repaired",
    "write_shapes",
    "write_tfrecord",
]

__getattr__, __dir__ = _on_use(__name__, _PUBLIC)
