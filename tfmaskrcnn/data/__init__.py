"""Data sets: COCO records, augmentation, batches, and a synthetic set."""

from tfmaskrcnn.data import importers
from tfmaskrcnn.data.bridge import albumentations_transform
from tfmaskrcnn.data.checking import check, write_page, write_repaired
from tfmaskrcnn.data.coco import load_coco
from tfmaskrcnn.data.pipeline import from_coco, from_records
from tfmaskrcnn.data.reading import read_image
from tfmaskrcnn.data.shapes import make_shapes, write_shapes
from tfmaskrcnn.data.tfrecord import load_tfrecord
from tfmaskrcnn.data.tfrecord_writing import write_tfrecord

__all__ = [
    "albumentations_transform",
    "check",
    "from_coco",
    "from_records",
    "importers",
    "load_coco",
    "load_tfrecord",
    "make_shapes",
    "read_image",
    "write_page",
    "write_repaired",
    "write_shapes",
    "write_tfrecord",
]
