"""Data sets: COCO records, augmentation, batches, and a synthetic set."""

from tfmaskrcnn.data import importers
from tfmaskrcnn.data.coco import load_coco
from tfmaskrcnn.data.pipeline import from_coco, from_records
from tfmaskrcnn.data.reading import read_image
from tfmaskrcnn.data.shapes import make_shapes, write_shapes
from tfmaskrcnn.data.tfrecord import load_tfrecord
from tfmaskrcnn.data.tfrecord_writing import write_tfrecord

__all__ = ["from_coco", "from_records", "importers", "load_coco", "load_tfrecord"]
__all__ += ["make_shapes", "read_image", "write_shapes", "write_tfrecord"]
