"""What can be chosen when a model is exported."""

import dataclasses
from numbers import Real
from typing import List, Optional, Sequence, Tuple

from tfmaskrcnn.errors import InputError, quoted
from tfmaskrcnn.ops.limits import MAX_BATCH, MAX_PIXELS
from tfmaskrcnn.support.given import Kind, check

MASKS = ("roi", "rle", "bitmaps")
PRECISIONS = ("float32", "float16", "bfloat16")
ON_ERROR = ("fail", "report")
_SEVERAL = Kind(lambda v: isinstance(v, (list, tuple)), "a list")
_A_PAIR = Kind(lambda v: isinstance(v, (list, tuple)) and len(v) == 2, "(height, width)")
_A_SHARE = Kind(lambda v: isinstance(v, Real) and 0 <= v <= 1, "a number from 0 to 1")


@dataclasses.dataclass(frozen=True)
class ExportOptions:
    """Choices of `export_saved_model`; every None leaves what the model's configuration says.

    Raises:
        InputError: a value is not among those listed here.
    """

    # roi: probabilities M x M inside the boxes; rle: COCO's compressed RLE; bitmaps: full size.
    masks: str = "roi"
    score_threshold: Optional[float] = None  # detections at or below it are left out
    # Leave out detections below the model's own score threshold of their class.
    apply_thresholds: bool = False
    max_detections: Optional[int] = None  # an image
    # Classes to detect, by name or number from 1; they are numbered from 1 in this order.
    classes: Sequence[str] = ()
    names: Sequence[str] = ()  # labels of the exported classes, in their order
    fixed_size: Optional[Tuple[int, int]] = None  # (height, width) of the network's input
    min_side: Optional[int] = None  # of the resized image, instead of a fixed size
    max_side: Optional[int] = None
    # Of convolutions and the box head's dense layers; weights stay float32 in the file, and the
    # inputs, the outputs, boxes and scores are float32. Whatever the model was trained in.
    precision: str = "float32"
    network_batch: Optional[int] = None  # fixed batch of the signature `network`; None any
    max_pixels: int = MAX_PIXELS  # larger images are refused
    max_batch: int = MAX_BATCH  # requests of more images are refused
    # fail: a bad image fails its request; report: the request succeeds, with no detection for the
    # bad image and a sentence in the output `image_errors` (for servers that merge requests).
    on_error: str = "fail"
    gif: bool = False  # take GIF too, of an animation the first frame
    webp: bool = False  # take WebP too; only a server whose TensorFlow decodes WebP can load it

    def __post_init__(self):
        """Check what the configuration's own checks do not."""
        for name, known in (("masks", MASKS), ("precision", PRECISIONS), ("on_error", ON_ERROR)):
            value = getattr(self, name)
            if value not in known:
                raise InputError(f"{name} is {quoted(value)}; wanted one of {', '.join(known)}.")
        for name in ("network_batch", "max_pixels", "max_batch"):
            value = getattr(self, name)
            if value is not None and (type(value) is not int or value < 1):
                raise InputError(f"{name} is {quoted(value)}; wanted a whole number above 0.")
        for name in ("classes", "names"):
            check(getattr(self, name), name, _SEVERAL)
        for name, kind in (("fixed_size", _A_PAIR), ("score_threshold", _A_SHARE)):
            if getattr(self, name) is not None:
                check(getattr(self, name), name, kind)
        if self.fixed_size and (self.min_side or self.max_side):
            raise InputError("Give either fixed_size or min_side and max_side, not both.")
        if self.webp:
            _need_webp()

    def overrides(self) -> List[str]:
        """The changes of the model's configuration, as `yaml_files.override` takes them."""
        fixed_size = list(self.fixed_size) if self.fixed_size else None
        values = {
            "box_head.score_threshold": self.score_threshold,
            "box_head.max_detections": self.max_detections,
            "input.fixed_size": fixed_size,
            "input.min_side": self.min_side,
            "input.max_side": self.max_side,
        }
        changes = [f"{key}={value}" for key, value in values.items() if value is not None]
        if self.min_side or self.max_side:
            changes.append("input.fixed_size=null")
        return changes


def _need_webp() -> None:
    import tensorflow as tf  # the other options are checked without

    if not hasattr(tf.io, "decode_webp"):
        raise InputError(
            f"TensorFlow {tf.__version__} has no WebP decoder; export with a newer one or leave "
            "webp out."
        )
