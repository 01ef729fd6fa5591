"""What of a COCO file is read, and who is told of what is wrong in it."""

from typing import Callable, NamedTuple, Optional, Tuple

from tfmaskrcnn.data.coco.annotations import Fault
from tfmaskrcnn.data.coco.data_classes import DataClasses

# Called with "images", "annotations" or "categories", the entry's number in it, and what is wrong.
# If it returns, the entry is left out; but an image whose file is missing stays, and so does an
# annotation of which only the id is wrong: it gets a new one.
OnFault = Callable[[str, int, Fault], None]


class Rules(NamedTuple):
    """What of an annotation is read besides its class and box."""

    masks: bool = True  # every annotation must have a segmentation
    keypoint_names: Tuple[str, ...] = ()  # empty without a keypoint head
    keypoint_offset: float = 0.0
    classes: Optional[DataClasses] = None  # None for a class a category
