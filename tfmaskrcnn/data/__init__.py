"""Data sets: COCO records, augmentation, batches, and a synthetic set."""

from tfmaskrcnn.data.checking import check, write_page, write_repaired
from tfmaskrcnn.data.coco import load_coco
from tfmaskrcnn.data.pipeline import from_coco, from_records
from tfmaskrcnn.data.reading import read_image
from tfmaskrcnn.data.shapes import make_shapes, write_shapes

__all__ = [
    "check",
    "from_coco",
    "from_records",
    "load_coco",
    "make_shapes",
    "read_image",
    "write_page",
    "write_repaired",
    "write_shapes",
]
